//===- IntervalEvalTest.cpp - three-valued evaluation, case by case -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What interval evaluation must see without looking at pairs, since generated
// code does no more than that. Soundness is the fuzzer's business.
//
//===----------------------------------------------------------------------===//
#include "passes/Analysis/IntervalEval.h"
#include "llvm/Support/raw_ostream.h"
#include <gtest/gtest.h>

using namespace filigree;

namespace {
const IntExpr i = IntExpr::row(), j = IntExpr::col();
const int64_t none[] = {0, 0};
} // namespace

TEST(IntervalEval, DifferencesAreOneQuantity) {
  // i - j over a square on the diagonal, added back to j.
  EXPECT_EQ(evaluateOn(i - j + j >= 64, {64, 127, 0, 999}, none), Tri::True);
  EXPECT_EQ(evaluateOn(i - j < 128, {64, 127, 0, 63}, none), Tri::True);
  EXPECT_EQ(evaluateOn(i - j < 128, {64, 127, 0, 127}, none), Tri::True);
  EXPECT_EQ(evaluateOn(i - j < 64, {64, 127, 0, 127}, none), Tri::Unknown);
}

TEST(IntervalEval, ModInsideOnePeriodIsExact) {
  EXPECT_EQ(evaluateOn(j.mod(512) < 64, {0, 0, 512, 575}, none), Tri::True);
  EXPECT_EQ(evaluateOn(j.mod(512) < 64, {0, 0, 576, 1023}, none), Tri::False);
  EXPECT_EQ(evaluateOn(j.mod(512) < 64, {0, 0, 576, 1024}, none), Tri::Unknown);
}

TEST(IntervalEval, EqualityClasses) {
  Predicate odd = eq((i.times(6) + 4).mod(4), 1);
  EXPECT_EQ(evaluateOn(odd, {0, 100, 0, 100}, none), Tri::False);
  EXPECT_EQ(evaluateOn(!odd, {0, 100, 0, 100}, none), Tri::True);
  EXPECT_EQ(evaluateOn(eq(i.times(4) - j.times(2), 7), {0, 9, 0, 9}, none),
            Tri::False);
}

TEST(IntervalEval, QuotientAndRemainderMeet) {
  // i - i % 64 is the start of the block: at most i, more than i - 64.
  IntExpr start = i.floorDiv(64).times(64);
  EXPECT_EQ(evaluateOn(start <= i, {3, 500, 0, 0}, none), Tri::True);
  EXPECT_EQ(evaluateOn(i - i.mod(64) <= i, {3, 500, 0, 0}, none), Tri::True);
  EXPECT_EQ(evaluateOn(i - start < 64, {3, 500, 0, 0}, none), Tri::True);
}

TEST(IntervalEval, LargeValuesAreUnknownNotWrong) {
  Predicate huge = i.times(int64_t(1) << 50) > 0;
  EXPECT_EQ(evaluateOn(huge, {1, int64_t(1) << 20, 0, 0}, none), Tri::Unknown);
}

TEST(IntervalEval, DecideFindsOnePair) {
  Predicate one = eq(i, 77) & eq(j, 913);
  EXPECT_EQ(decideOn(one, {0, 127, 900, 1000}, none), Tri::Unknown);
  EXPECT_EQ(decideOn(one, {0, 76, 900, 1000}, none), Tri::False);
  EXPECT_EQ(decideOn(!one, {77, 77, 914, 1000}, none), Tri::True);
}

TEST(Predicate, PrintsAsTheLanguageWritesIt) {
  PairDomain domain;
  IntExpr w = domain.addSymbol("window", 1);
  Predicate p = ((j <= i) & (i - (j - 3) < w)) |
                !eq((i + 1).floorDiv(64).mod(2), j.times(-2));
  EXPECT_EQ(p.str(domain.symbolNames()),
            "(j <= i && i - (j - 3) < window) || !((i + 1) / 64 % 2 == "
            "j * -2)");
}

TEST(Predicate, DivisionFloors) {
  EXPECT_EQ((i - 5).floorDiv(4).evaluate(0, 0, none), -2);
  EXPECT_EQ((i - 5).mod(4).evaluate(0, 0, none), 3);
  EXPECT_EQ(IntExpr(-5).floorDiv(4).constant(), -2);
}

TEST(Predicate, SizeCountsSharedNodesEachTime) {
  EXPECT_EQ((j <= i).size(), 3u);
  EXPECT_EQ((!(j <= i) & (i.mod(5) < 3)).size(), 9u);
  IntExpr twice = i;
  for (int k = 0; k < 10; ++k)
    twice = twice + twice;
  EXPECT_EQ(twice.size(), 2047u);
  for (int k = 0; k < 50; ++k)
    twice = twice + twice;
  EXPECT_EQ((twice <= j).size(), 1u << 30);
}

TEST(Predicate, SubstituteMakesConstants) {
  PairDomain domain;
  IntExpr w = domain.addSymbol("window", 1);
  Predicate p = (i - j < w) & (w > 5);
  std::optional<int64_t> values[] = {std::nullopt, std::nullopt, 9};
  EXPECT_EQ(p.substitute(values).str(), "i - j < 9");
  EXPECT_EQ(p.numSymbolsUsed(), 3u);
}
