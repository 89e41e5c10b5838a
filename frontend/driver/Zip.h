//===- Zip.h - members of a zip archive, for .npz -------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads through the central directory: stored and deflated members, zip64, with
// checksums. No encryption, no archives in several parts.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_ZIP_H
#define FILIGREE_FRONTEND_DRIVER_ZIP_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace filigree {

struct ZipMember {
  std::string name;
  uint16_t method = 0; ///< 0 stored, 8 deflated
  uint32_t crc = 0;
  uint64_t packedSize = 0, size = 0;
  uint64_t headerOffset = 0;
};

/// The members in the order of the directory.
llvm::Expected<std::vector<ZipMember>> listZip(llvm::StringRef file);

/// The contents of one member, checked against its size and checksum.
llvm::Expected<std::string> readZip(llvm::StringRef file,
                                    const ZipMember &member);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_ZIP_H
