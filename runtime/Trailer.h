//===- Trailer.h - the integrity trailer after an artifact's ELF bytes ----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Makes the trailer that ends an artifact. The compiler appends it, the loader
// recomputes it; both take it from here so that they cannot disagree. Header
// only, without exceptions; needs xxhash.h at build time and nothing at run
// time.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_TRAILER_H
#define FILIGREE_RUNTIME_TRAILER_H

#include "runtime/ArtifactAbi.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace filigree::runtime {

inline constexpr char kTrailerMagic[8] = {'F', 'I', 'L', 'T',
                                          'R', 'A', 'I', 'L'};
static_assert(sizeof(fil_abi_trailer) == 32, "the trailer has no padding");

inline uint64_t hashElf(const void *elf, size_t bytes) {
  return XXH3_64bits(elf, bytes);
}

/// The 32 bytes to write directly after the last byte of the ELF file.
inline fil_abi_trailer makeTrailer(const void *elf, size_t bytes) {
  fil_abi_trailer trailer = {};
  memcpy(trailer.magic, kTrailerMagic, sizeof(kTrailerMagic));
  trailer.abi_major = FIL_ABI_MAJOR;
  trailer.abi_minor = FIL_ABI_MINOR;
  trailer.elf_bytes = bytes;
  trailer.hash = hashElf(elf, bytes);
  return trailer;
}

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_TRAILER_H
