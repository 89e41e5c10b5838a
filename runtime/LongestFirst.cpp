//===- LongestFirst.cpp - a radix sort by cost ----------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Least significant digit first over the key (longest - cost): each pass is
// stable, which makes ties ascend. As many passes as the spread of costs has
// digits, usually two.
//
//===----------------------------------------------------------------------===//
#include "runtime/LongestFirst.h"

namespace filigree::runtime {

size_t OrderStorage::bytes(int64_t units) {
  auto count = static_cast<size_t>(units);
  return count * (sizeof(int64_t) + 2 * sizeof(uint32_t)) +
         kDigits * sizeof(uint32_t);
}

OrderStorage OrderStorage::at(void *memory, int64_t units) {
  OrderStorage storage;
  storage.cost = static_cast<int64_t *>(memory);
  storage.order = reinterpret_cast<uint32_t *>(storage.cost + units);
  storage.spare = storage.order + units;
  storage.counts = storage.spare + units;
  return storage;
}

const uint32_t *sortLongestFirst(const OrderStorage &storage, int64_t units) {
  auto count = static_cast<uint32_t>(units);
  int64_t *cost = storage.cost;
  int64_t longest = 0, shortest = INT64_MAX;
  for (uint32_t u = 0; u < count; ++u) {
    if (cost[u] < 0)
      cost[u] = 0;
    longest = cost[u] > longest ? cost[u] : longest;
    shortest = cost[u] < shortest ? cost[u] : shortest;
  }
  uint32_t *from = storage.order, *to = storage.spare;
  for (uint32_t u = 0; u < count; ++u)
    from[u] = u;
  if (count < 2)
    return from;

  auto spread = static_cast<uint64_t>(longest - shortest);
  for (uint32_t shift = 0; shift < 64 && spread >> shift != 0;
       shift += OrderStorage::kDigitBits) {
    auto digitOf = [&](uint32_t u) {
      return static_cast<uint64_t>(longest - cost[u]) >> shift &
             (OrderStorage::kDigits - 1);
    };
    uint32_t *counts = storage.counts;
    for (uint32_t d = 0; d < OrderStorage::kDigits; ++d)
      counts[d] = 0;
    for (uint32_t u = 0; u < count; ++u)
      ++counts[digitOf(u)];
    uint32_t start = 0;
    for (uint32_t d = 0; d < OrderStorage::kDigits; ++d) {
      uint32_t here = counts[d];
      counts[d] = start;
      start += here;
    }
    for (uint32_t i = 0; i < count; ++i)
      to[counts[digitOf(from[i])]++] = from[i];
    uint32_t *swapped = from;
    from = to;
    to = swapped;
  }
  return from;
}

} // namespace filigree::runtime
