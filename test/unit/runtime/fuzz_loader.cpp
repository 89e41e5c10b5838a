//===- fuzz_loader.cpp - arbitrary bytes in front of the loader -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A libFuzzer program. Input bytes are validated as they are, and again as the
// ELF part of a file with a good trailer: a checksum cannot be guessed, and
// without it nothing would reach the checks behind.
//
//===----------------------------------------------------------------------===//
#include "runtime/ArtifactBytes.h"
#include "runtime/Trailer.h"

#include <cstdlib>
#include <vector>

using namespace filigree::runtime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  fil_error err = FIL_ERROR_INIT;
  fil_status status = validateArtifactBytes(data, size, &err);
  if ((status != FIL_OK) != (err.message[0] != 0))
    abort(); // a refusal without a sentence

  fil_abi_trailer trailer = makeTrailer(data, size);
  const auto *raw = reinterpret_cast<const uint8_t *>(&trailer);
  std::vector<uint8_t> sealed(data, data + size);
  sealed.insert(sealed.end(), raw, raw + sizeof(trailer));
  validateArtifactBytes(sealed.data(), sealed.size(), &err);
  return 0;
}
