//===- TensorMap.h - what 128 bytes say about a tensor --------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The encoding is this emulator's own; encodeTiled in PtxEmulator.h writes it.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_TENSORMAP_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_TENSORMAP_H

#include <cstdint>

namespace filigree::ptx {

struct TensorMap {
  uint64_t base = 0;
  uint32_t rank = 0, elementBytes = 0;
  uint64_t dimensions[5] = {};
  uint64_t strides[5] = {}; ///< bytes; [0] is the element
  uint32_t box[5] = {};
  uint32_t elementStrides[5] = {};
  uint32_t swizzle = 0; ///< bytes: 0, 32, 64, 128
  bool fillNaN = false;
  bool isFloat = false, isBFloat = false;

  uint32_t boxBytes() const {
    uint32_t bytes = elementBytes;
    for (uint32_t d = 0; d < rank; ++d)
      bytes *= (box[d] + elementStrides[d] - 1) / elementStrides[d];
    return bytes;
  }
};

/// False: the bytes are no tensor map.
bool readTensorMap(const void *bytes, TensorMap &map);

/// Where a byte of a tile lies: the pattern belongs to the address, not to the
/// tile, so a tile need not start at a multiple of the pattern's length.
inline uint32_t swizzled(uint32_t address, uint32_t swizzle) {
  // swizzle 128: bits 4-6 ^= bits 7-9; 64: 4-5 ^= 7-8; 32: 4 ^= 7
  return swizzle ? address ^ (((address >> 7) & (swizzle / 16 - 1)) << 4)
                 : address;
}

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_TENSORMAP_H
