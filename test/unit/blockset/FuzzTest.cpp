//===- FuzzTest.cpp - random predicates, and proof that the check bites ---===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A small run of filigree-fuzz-predicates with one committed seed and one new
// seed. The second half damages results on purpose: a checker that lets those
// pass would let anything pass.
//
//===----------------------------------------------------------------------===//
#include "RandomPredicate.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/MLIRContext.h"
#include <cstdio>
#include <gtest/gtest.h>

using namespace filigree;
using namespace filigree::test;

static void expectClean(uint64_t seed, uint64_t count) {
  std::printf("filigree-fuzz-predicates --seed %llu --count %llu\n",
              (unsigned long long)seed, (unsigned long long)count);
  FuzzTable table = fuzzPredicates(seed, count);
  EXPECT_EQ(table.predicates, int64_t(count));
  EXPECT_GT(table.proof.tiles, int64_t(100 * count));
  EXPECT_EQ(table.proof.unsound(), 0);
  EXPECT_EQ(table.interval.unsound(), 0);
  EXPECT_EQ(table.decided.unsound(), 0);
  EXPECT_EQ(table.wrongExact, 0);
  EXPECT_EQ(table.wrongQuadtree, 0);
  EXPECT_EQ(table.unsoundQuadtree, 0);
  EXPECT_EQ(table.decided.imprecise, 0);
  // At least 85 % proved: far below what is measured, far above an accident.
  EXPECT_GT(table.exact * 100, table.predicates * 85);
}

TEST(Fuzz, CommittedSeed) { expectClean(20251, 1000); }

TEST(Fuzz, NewSeed) { expectClean(std::random_device{}(), 500); }

//===----------------------------------------------------------------------===//
// Must fail
//===----------------------------------------------------------------------===//

static void shift(TileSide &side, bool upper, int64_t by) {
  for (Cluster &cluster : side.clusters)
    for (Box &box : cluster.boxes) {
      mlir::AffineMap &map = upper ? box.hi : box.lo;
      llvm::SmallVector<mlir::AffineExpr> results;
      for (mlir::AffineExpr expr : map.getResults())
        results.push_back(expr + by);
      map = mlir::AffineMap::get(1, map.getNumSymbols(), results,
                                 map.getContext());
    }
}

TEST(MustFail, TouchedEndsOneTileEarly) {
  FuzzTable table = fuzzPredicates(
      7, 60, [](BlockSet &set) { shift(set.touched, true, -1); });
  EXPECT_GT(table.proof.falseEmpty, 0);
  EXPECT_GT(table.unsound(), 0);
}

TEST(MustFail, TouchedStartsOneTileLate) {
  FuzzTable table = fuzzPredicates(
      7, 60, [](BlockSet &set) { shift(set.touched, false, 1); });
  EXPECT_GT(table.proof.falseEmpty, 0);
}

TEST(MustFail, NotFullEndsOneTileEarly) {
  FuzzTable table = fuzzPredicates(
      7, 60, [](BlockSet &set) { shift(set.notFull, true, -1); });
  EXPECT_GT(table.proof.falseFull, 0);
  EXPECT_EQ(table.proof.falseEmpty, 0);
}

TEST(MustFail, ExactWithOneTileTooMany) {
  FuzzTable table =
      fuzzPredicates(7, 60, [](BlockSet &set) { shift(set.touched, true, 1); });
  EXPECT_GT(table.wrongExact, 0);
  EXPECT_EQ(table.proof.unsound(), 0);
}

TEST(MustFail, ClusterDropped) {
  FuzzTable table = fuzzPredicates(7, 200, [](BlockSet &set) {
    if (!set.touched.clusters.empty())
      set.touched.clusters.pop_back();
  });
  EXPECT_GT(table.proof.falseEmpty, 0);
}

/// Runs that code generation could not follow.
TEST(MustFail, RunsOutOfOrder) {
  PairDomain domain;
  domain.qOffset = 0;
  int64_t symbols[] = {64, 64};
  PairCounts counts(Predicate::constant(true), domain, symbols);
  Tiling tiling = Tiling::tiles(16, 16);
  using Run = filigree::Run; // not ::testing::Test::Run
  Run swapped[] = {{2, 4, 1, Run::Full}, {0, 2, 1, Run::Full}};
  Run overlapping[] = {{0, 3, 1, Run::Full}, {2, 4, 1, Run::Full}};
  Run outside[] = {{0, 5, 1, Run::Full}};
  Run right[] = {{0, 4, 1, Run::Full}};
  EXPECT_GT(checkRuns(swapped, counts, tiling, 0, 4).malformed, 0);
  EXPECT_GT(checkRuns(overlapping, counts, tiling, 0, 4).malformed, 0);
  EXPECT_GT(checkRuns(outside, counts, tiling, 0, 4).malformed, 0);
  EXPECT_EQ(checkRuns(right, counts, tiling, 0, 4).unsound(), 0);
}
