//===- PatternsTest.cpp - the tiles of masks people use -------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each pattern is compared with the oracle over sizes, tiles, both outer axes
// and parameter values. The table says where the proof must be exact, and into
// how many ranges it must come: losing either is a failure, not a slowdown.
//
//===----------------------------------------------------------------------===//
#include "Oracle.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"
#include <gtest/gtest.h>

using namespace filigree;
using namespace filigree::test;

namespace {
const IntExpr i = IntExpr::row(), j = IntExpr::col();

struct Pattern {
  const char *name;
  Predicate predicate;
  /// Expected on 64 x 128 tiles.
  bool touchedExact, notFullExact;
  unsigned touchedRanges, notFullRanges; // 0: not asked
};

/// Window, sink, prefix, grid radius and chunk distance as symbols.
struct Symbols {
  PairDomain domain;
  IntExpr w = domain.addSymbol("W", 1), s = domain.addSymbol("S", 0),
          l = domain.addSymbol("L", 0), r = domain.addSymbol("R", 0),
          c = domain.addSymbol("C", 0);
};

std::vector<Pattern> patterns(const Symbols &p) {
  Predicate causal = j <= i;
  Predicate window = causal & (i - j < p.w);
  auto grid = [&](int64_t width, IntExpr radius) {
    IntExpr dy = i.floorDiv(width) - j.floorDiv(width);
    IntExpr dx = i.mod(width) - j.mod(width);
    return (dy <= radius) & (IntExpr(0) - dy <= radius) & (dx <= radius) &
           (IntExpr(0) - dx <= radius);
  };
  Predicate block96 = eq(i.floorDiv(96), j.floorDiv(96));
  return {
      {"all", Predicate::constant(true), true, true, 1, 0},
      {"nothing", Predicate::constant(false), true, true, 0, 1},
      {"causal", causal, true, true, 1, 1},
      {"window", window, true, true, 1, 2},
      {"window_sink", window | (causal & (j < p.s)), true, true, 2, 2},
      {"symmetric_window", (i - j < p.w) & (j - i < p.w), true, true, 1, 2},
      {"dilated4_window", window & eq((i - j).mod(4), 0), true, true, 1, 0},
      {"dilated3_window", window & eq((i - j).mod(3), 0), true, true, 1, 0},
      {"prefix", causal | (j < p.l), true, true, 1, 1},
      {"block_local96", block96, true, true, 1, 0},
      {"block_local256", eq(i.floorDiv(256), j.floorDiv(256)), true, true, 1,
       2},
      {"block_local96_causal", block96 & causal, true, true, 1, 0},
      {"grid64_radius3", grid(64, 3), true, true, 1, 0},
      {"grid64_radius", grid(64, p.r), true, true, 1, 0},
      {"grid48_radius3", grid(48, 3), true, true, 1, 0},
      {"chunked", causal & (i.floorDiv(128) - j.floorDiv(128) <= p.c), true,
       true, 1, 2},
      {"not_window", !window, true, true, 2, 1},
      {"nested",
       (causal & !((i - j >= p.w) & (j.mod(64) >= 8))) |
           !((j >= p.s) | (i < j)),
       true, true, 0, 0},
      {"document_offset", causal & (i - j < p.w) & (j >= p.s), true, true, 1,
       2},
      {"dilated256", causal & eq((i - j).mod(256), 0), false, true, 0, 0},
      {"columns512", causal & ((i - j < p.w) | (j.mod(512) < 64)), false, true,
       0, 0},
  };
}

/// Sizes small enough for the oracle, large enough for several tiles.
const int64_t sizes[][2] = {{1, 1},     {63, 65},   {64, 64},   {113, 203},
                            {256, 256}, {128, 640}, {301, 100}, {520, 700}};
const int64_t values[][5] = {{1, 0, 0, 0, 0},
                             {7, 4, 33, 1, 1},
                             {128, 130, 200, 5, 2},
                             {1000, 1, 640, 70, 0}};
} // namespace

class Patterns : public ::testing::Test {
protected:
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};

  /// Checks the pattern on many tilings over all sizes and values, and returns
  /// one verdict a tiling. The oracle looks at each problem once.
  std::vector<Verdict> check(const Pattern &pattern, const Symbols &symbols,
                             llvm::ArrayRef<BlockSet> sets) {
    std::vector<Verdict> verdicts(sets.size());
    for (const auto &size : sizes)
      for (const auto &value : values) {
        llvm::SmallVector<int64_t> all{size[0], size[1]};
        all.append(std::begin(value), std::end(value));
        PairCounts counts(pattern.predicate, symbols.domain, all);
        for (auto [set, verdict] : llvm::zip_equal(sets, verdicts)) {
          // Where X is a row, a prime step sees all residues.
          int64_t stride = set.tiling.outerScale == 1 ? 17 : 1;
          verdict += checkBlockSet(set, counts, all, stride);
          // Where the proof stops, the fallback finishes.
          bool exact = set.touched.exact && set.notFull.exact;
          for (int64_t x = 0; x < set.numOuter(all) && !exact; x += stride)
            EXPECT_EQ(checkRuns(refinedRuns(set, pattern.predicate,
                                            symbols.domain, x, all, true),
                                counts, set.tiling, x, set.numInner(all))
                          .imprecise,
                      0)
                << pattern.name << " X=" << x;
        }
      }
    return verdicts;
  }
};

TEST_F(Patterns, ProofMatchesTheTable) {
  Symbols symbols;
  for (const Pattern &pattern : patterns(symbols)) {
    BlockSet set = computeBlockSet(pattern.predicate, symbols.domain,
                                   Tiling::tiles(64, 128), &context);
    std::string text;
    llvm::raw_string_ostream os(text);
    set.print(os);
    SCOPED_TRACE(std::string(pattern.name) + "\n" + text);
    EXPECT_EQ(set.touched.exact, pattern.touchedExact);
    EXPECT_EQ(set.notFull.exact, pattern.notFullExact);
    EXPECT_EQ(set.touched.exact, set.touched.reason.empty());
    EXPECT_EQ(set.notFull.exact, set.notFull.reason.empty());
    if (pattern.touchedRanges)
      EXPECT_EQ(set.touched.clusters.size(), pattern.touchedRanges);
    if (pattern.notFullRanges)
      EXPECT_EQ(set.notFull.clusters.size(), pattern.notFullRanges);
    // Cheap enough to run whenever a file is saved: some 30 us a query.
    EXPECT_LT(set.stats.queries, 700u);
    Verdict verdict = check(pattern, symbols, set).front();
    EXPECT_GT(verdict.tiles, 0);
    EXPECT_EQ(verdict.falseEmpty, 0);
    EXPECT_EQ(verdict.falseFull, 0);
    EXPECT_EQ(verdict.malformed, 0);
    if (set.touched.exact && set.notFull.exact)
      EXPECT_EQ(verdict.imprecise, 0);
  }
}

TEST_F(Patterns, AllTilingsAreSound) {
  Symbols symbols;
  const Tiling tilings[] = {Tiling::tiles(128, 128),
                            Tiling::tiles(128, 64),
                            Tiling::tiles(96, 128),
                            Tiling::tiles(128, 8),
                            Tiling::tiles(32, 16),
                            Tiling::tiles(16, 1),
                            Tiling::tiles(64, 128, Outer::Keys),
                            Tiling::tiles(96, 32, Outer::Keys),
                            Tiling::rows(64, 128),
                            Tiling::rows(128, 16, Outer::Keys)};
  for (const Pattern &pattern : patterns(symbols)) {
    SCOPED_TRACE(pattern.name);
    std::vector<BlockSet> sets;
    for (const Tiling &tiling : tilings)
      sets.push_back(
          computeBlockSet(pattern.predicate, symbols.domain, tiling, &context));
    std::vector<Verdict> verdicts = check(pattern, symbols, sets);
    for (auto [set, verdict] : llvm::zip_equal(sets, verdicts)) {
      SCOPED_TRACE(std::to_string(set.tiling.outerTile) + "x" +
                   std::to_string(set.tiling.innerTile));
      EXPECT_EQ(verdict.unsound(), 0);
      if (set.touched.exact && set.notFull.exact)
        EXPECT_EQ(verdict.imprecise, 0);
    }
  }
}

/// Offsets that are separate symbols: packed documents, chunked prefill.
TEST_F(Patterns, OffsetsMayBeSymbols) {
  PairDomain domain;
  IntExpr w = domain.addSymbol("W", 1);
  domain.qOffset = domain.addSymbol("q0");
  domain.kOffset = domain.addSymbol("k0");
  Predicate predicate = (j <= i) & (i - j < w);
  for (int64_t scale : {1, 64}) {
    Tiling tiling{Outer::Queries, 64, 32, scale};
    BlockSet set = computeBlockSet(predicate, domain, tiling, &context);
    EXPECT_TRUE(set.touched.exact && set.notFull.exact);
    EXPECT_EQ(set.touched.clusters.size(), 1u);
    for (int64_t q0 : {-5, 0, 90})
      for (int64_t k0 : {0, 17}) {
        int64_t values[] = {150, 210, 40, q0, k0};
        Verdict verdict =
            checkBlockSet(set, PairCounts(predicate, domain, values), values);
        EXPECT_EQ(verdict.unsound() + verdict.imprecise, 0);
      }
  }
}

TEST_F(Patterns, ClosedFormsReadAsWritten) {
  PairDomain domain;
  IntExpr w = domain.addSymbol("W", 1);
  domain.qOffset = 0;
  BlockSet set = computeBlockSet((j <= i) & (i - j < w), domain,
                                 Tiling::tiles(64, 128), &context);
  std::string text;
  llvm::raw_string_ostream os(text);
  set.print(os);
  EXPECT_NE(text.find("ceildiv(64*X - W - 126, 128)"), std::string::npos)
      << text;
  EXPECT_NE(text.find("floordiv(X, 2) + 1"), std::string::npos) << text;
}

TEST_F(Patterns, LimitsGiveAllTiles) {
  PairDomain domain;
  ProofBudget tight;
  tight.disjuncts = 1;
  BlockSet set = computeBlockSet((j < i) | (j > i + 5), domain,
                                 Tiling::tiles(16, 16), &context, tight);
  EXPECT_FALSE(set.touched.exact);
  EXPECT_NE(set.touched.reason, "");
  int64_t values[] = {40, 40};
  EXPECT_EQ(set.count(0, values), 3);
  // A constant beyond the arithmetic of the proof is no error either.
  set = computeBlockSet(j < IntExpr(int64_t(1) << 40), domain,
                        Tiling::tiles(16, 16), &context);
  EXPECT_FALSE(set.touched.exact);
  EXPECT_EQ(set.runs(0, values).size(), 1u);
}

/// Each quotient is a dividend of all that follow: its size is known once.
TEST_F(Patterns, NestedDivisionsAreQuick) {
  PairDomain domain;
  IntExpr x = i - j;
  for (int k = 0; k < 8; ++k)
    x = x.floorDiv(3) + x.mod(5) + j;
  BlockSet set = computeBlockSet((x.mod(7) < 3) & (j <= i), domain,
                                 Tiling::tiles(64, 128), &context);
  EXPECT_FALSE(set.touched.exact);
  EXPECT_GT(set.stats.queries, 0u);
  int64_t values[] = {300, 300};
  EXPECT_EQ(checkBlockSet(set,
                          PairCounts((x.mod(7) < 3) & (j <= i), domain, values),
                          values)
                .unsound(),
            0);
}

/// "No window" is often spelled as the largest integer.
TEST_F(Patterns, LargestParametersDoNotWrap) {
  PairDomain domain;
  IntExpr w = domain.addSymbol("W", 1), s = domain.addSymbol("S");
  Predicate predicate = (j <= i) & ((i - j < w) | (j < s));
  BlockSet set =
      computeBlockSet(predicate, domain, Tiling::tiles(64, 128), &context);
  EXPECT_TRUE(set.touched.exact && set.notFull.exact);
  for (int64_t value : {maxSymbolMagnitude - 1, int64_t(1) << 20})
    for (int64_t sink : {-maxSymbolMagnitude, maxSymbolMagnitude}) {
      int64_t values[] = {300, 300, value, sink};
      Verdict verdict =
          checkBlockSet(set, PairCounts(predicate, domain, values), values);
      EXPECT_EQ(verdict.unsound() + verdict.imprecise, 0);
    }
  // Where a value could wrap, nothing is claimed.
  Predicate steep = i.times(1 << 15).times(1 << 14).times(2).floorDiv(3) > j;
  set = computeBlockSet(steep, domain, Tiling::tiles(64, 128), &context);
  EXPECT_FALSE(set.touched.exact || set.notFull.exact);
}

TEST_F(Patterns, EmptyProblems) {
  PairDomain domain;
  domain.qOffset = 0;
  BlockSet set =
      computeBlockSet(j <= i, domain, Tiling::tiles(64, 64), &context);
  int64_t noKeys[] = {100, 0}, noQueries[] = {0, 100};
  EXPECT_TRUE(set.runs(0, noKeys).empty());
  EXPECT_TRUE(set.runs(0, noQueries).empty());
  EXPECT_TRUE(set.runs(-1, noKeys).empty());
  EXPECT_EQ(set.numOuter(noQueries), 0);
}
