//===- Oracle.h - tiles by looking at every pair --------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The reference of the tests about tiles: evaluates a predicate on all pairs,
// then counts. Shares no code with the analyses; only `Predicate` itself, whose
// meaning it restates with plain loops over rows.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_UNIT_BLOCKSET_ORACLE_H
#define FILIGREE_TEST_UNIT_BLOCKSET_ORACLE_H

#include "passes/Analysis/IntervalEval.h"
#include <vector>

namespace filigree::test {

/// All pairs of one problem, counted so that any rectangle is one subtraction.
class PairCounts {
public:
  PairCounts(const Predicate &predicate, const PairDomain &domain,
             llvm::ArrayRef<int64_t> symbols);
  /// Class of outer tile x, inner tile j.
  TileClass classOf(const Tiling &tiling, int64_t x, int64_t j) const;
  bool at(int64_t r, int64_t c) const { return count(r, r + 1, c, c + 1); }

private:
  int64_t count(int64_t r0, int64_t r1, int64_t c0, int64_t c1) const;
  int64_t rows, cols;
  std::vector<int32_t> sums; // (rows + 1) x (cols + 1)
};

/// What a comparison of classified tiles with the oracle found.
struct Verdict {
  int64_t tiles = 0;
  int64_t falseEmpty = 0; // skipped, but holds a pair
  int64_t falseFull = 0;  // unmasked, but misses a pair
  int64_t imprecise = 0;  // partial, but uniform
  int64_t malformed = 0;  // runs out of order, overlapping, out of range
  int64_t unsound() const { return falseEmpty + falseFull + malformed; }
  void operator+=(const Verdict &o) {
    tiles += o.tiles, falseEmpty += o.falseEmpty, falseFull += o.falseFull;
    imprecise += o.imprecise, malformed += o.malformed;
  }
};

/// Checks the runs of one outer tile.
Verdict checkRuns(llvm::ArrayRef<Run> runs, const PairCounts &counts,
                  const Tiling &tiling, int64_t x, int64_t numInner);

/// Checks `set.runs` for all outer tiles, or every `stride`-th.
Verdict checkBlockSet(const BlockSet &set, const PairCounts &counts,
                      llvm::ArrayRef<int64_t> symbols, int64_t stride = 1);

} // namespace filigree::test

#endif // FILIGREE_TEST_UNIT_BLOCKSET_ORACLE_H
