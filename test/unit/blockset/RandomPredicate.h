//===- RandomPredicate.h - predicates nobody thought of -------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Draws predicates over every production of the grammar with equal weight,
// depth 1 to 4, and checks the classifiers on them: projection, projection with
// the interval fallback, quadtree, all against the oracle.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_UNIT_BLOCKSET_RANDOMPREDICATE_H
#define FILIGREE_TEST_UNIT_BLOCKSET_RANDOMPREDICATE_H

#include "Oracle.h"
#include <functional>
#include <random>

namespace filigree::test {

/// One problem: everything but the sizes.
struct RandomCase {
  PairDomain domain;
  Predicate predicate;
  Tiling tiling;
  /// A few values of all symbols, Nq and Nk included.
  std::vector<llvm::SmallVector<int64_t>> symbolValues;
};

/// Case number `index` of `seed`; the same everywhere.
RandomCase makeRandomCase(uint64_t seed, uint64_t index);

struct FuzzTable {
  int64_t predicates = 0;
  int64_t exact = 0;         // both sides proved exact
  int64_t gaveUp = 0;        // a limit was hit on some side
  Verdict proof;             // runs of the projection alone
  Verdict interval;          // with interval evaluation in ranges not exact
  Verdict decided;           // with probing and halving as well
  int64_t wrongExact = 0;    // said exact, and was not
  int64_t wrongQuadtree = 0; // tiles where the quadtree and the oracle differ
  int64_t unsoundQuadtree = 0;
  double totalMs = 0, maxMs = 0;
  uint64_t slowest = 0;
  std::vector<uint64_t> unproved; // indices of predicates not proved exact

  int64_t unsound() const {
    return proof.unsound() + interval.unsound() + decided.unsound() +
           wrongExact + wrongQuadtree + unsoundQuadtree;
  }
};

/// Runs cases [0, count) of a seed. `corrupt` may damage each result first.
FuzzTable fuzzPredicates(uint64_t seed, uint64_t count,
                         const std::function<void(BlockSet &)> &corrupt = {});

} // namespace filigree::test

#endif // FILIGREE_TEST_UNIT_BLOCKSET_RANDOMPREDICATE_H
