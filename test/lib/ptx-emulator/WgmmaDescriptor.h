//===- WgmmaDescriptor.h - where a matrix lies in shared memory -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A descriptor names a start, two byte strides and a swizzle. With W the width
// of the swizzle in bytes (16 without one), the matrix is made of atoms:
//
//   K-major (not transposed): 8 rows of W bytes of k. Atoms along the rows are
//     `stride` apart. Within one instruction k (32 bytes) stays in the atom,
//     but for W = 16, where the second half is `leading` away.
//   MN-major (transposed): 8 steps of k, each W bytes of the other direction.
//     Atoms along k are `stride` apart and along the other `leading`; for W =
//     16 it is the other way round.
//
// The swizzle is applied to the address, so a start inside an atom works.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_WGMMADESCRIPTOR_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_WGMMADESCRIPTOR_H

#include "test/lib/ptx-emulator/TensorMap.h"

#include <string>

namespace filigree::ptx {

class MatrixDescriptor {
public:
  MatrixDescriptor(uint64_t bits, bool transposed)
      : bits(bits), transposed(transposed) {
    static constexpr uint32_t widths[] = {0, 128, 64, 32};
    swizzle = widths[bits >> 62];
    width = swizzle ? swizzle : 16;
  }

  uint32_t start() const { return field(0); }

  /// Where element `major` (a row of A, a column of B) at depth k starts, for
  /// elements of two bytes.
  uint32_t address(int major, int k) const {
    auto m = static_cast<uint32_t>(major), step = static_cast<uint32_t>(k);
    uint32_t leading = field(16), stride = field(32), at;
    if (!transposed) {
      uint32_t byte = 2 * step;
      at = m / 8 * stride + m % 8 * width;
      at += swizzle ? byte : byte / 16 * leading + byte % 16;
    } else {
      uint32_t perAtom = width / 2;
      uint32_t alongMajor = swizzle ? leading : stride,
               alongK = swizzle ? stride : leading;
      at = m / perAtom * alongMajor + step / 8 * alongK + step % 8 * width +
           m % perAtom * 2;
    }
    return swizzled((start() + at) & 0x3ffff, swizzle);
  }

  /// What is wrong with the bits, or "".
  std::string fault() const {
    if (bits >> 49 & 7)
      return "unsupported: a base offset";
    if (bits & 0x3ff1c000c000c000)
      return "reserved bits are set";
    return "";
  }

private:
  uint64_t bits;
  bool transposed;
  uint32_t swizzle, width;
  uint32_t field(int at) const {
    return static_cast<uint32_t>(bits >> at & 0x3fff) << 4;
  }
};

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_WGMMADESCRIPTOR_H
