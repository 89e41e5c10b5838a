//===- PairCount.h - how many tiles and pairs a predicate leaves ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts by closed forms, evaluated once a row of tiles and once a row: cheap
// enough for a million tokens. Pairs of predicates whose rows have no closed
// form are evaluated, all of them or, where that takes too long, those of
// sampled rows.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_PAIRCOUNT_H
#define FILIGREE_FRONTEND_DRIVER_PAIRCOUNT_H

#include "dialect/BlockSet.h"

namespace filigree {

/// Figures of one (b, h), or sums of several.
struct PairCount {
  uint64_t empty = 0, partial = 0, full = 0; ///< tiles
  uint64_t pairs = 0;
  /// Keys in a tile that some query visits; of several heads, the most.
  uint64_t keys = 0;
  /// False: the tiles are as the closed forms have them, of which some partial
  /// ones may really be empty or full.
  bool exactTiles = true;
  /// False: an estimate from sampled rows.
  bool exactPairs = true;

  PairCount &operator+=(const PairCount &other);
};

/// Values of `symbols` follow PairDomain::symbols; `blocks` is the proof about
/// the predicate. X counts tiles, or rows of one document.
PairCount countPairs(const Predicate &predicate, const PairDomain &domain,
                     const BlockSet &blocks, llvm::ArrayRef<int64_t> symbols,
                     mlir::MLIRContext *context);

/// Every pair of Nq x Nk.
PairCount countAll(const Tiling &tiling, int64_t queries, int64_t keys);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_PAIRCOUNT_H
