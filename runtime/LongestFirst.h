//===- LongestFirst.h - the order in which unequal units are begun --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Workers that claim the longest units first end together to within one short
// unit. The order is by cost descending, then unit ascending, so it is the same
// in every run; it lives in the caller's workspace.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_LONGESTFIRST_H
#define FILIGREE_RUNTIME_LONGESTFIRST_H

#include <cstddef>
#include <cstdint>

namespace filigree::runtime {

/// More units than this are taken as they come: with so many, the last one to
/// end hardly matters, and the order would cost more memory than it is worth.
inline constexpr int64_t kMostOrdered = int64_t(1) << 20;

/// Arrays of one sort, carved out of a workspace.
struct OrderStorage {
  int64_t *cost;    // [units], filled by the caller; negative counts as 0
  uint32_t *order;  // [units]
  uint32_t *spare;  // [units]
  uint32_t *counts; // [kDigits]

  static constexpr uint32_t kDigitBits = 11;
  static constexpr uint32_t kDigits = 1u << kDigitBits;

  static size_t bytes(int64_t units);
  static OrderStorage at(void *memory, int64_t units);
};

/// Returns order or spare, whichever holds the result. Linear in units.
const uint32_t *sortLongestFirst(const OrderStorage &storage, int64_t units);

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_LONGESTFIRST_H
