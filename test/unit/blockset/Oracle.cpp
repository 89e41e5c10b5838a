//===- Oracle.cpp - tiles by looking at every pair ------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Predicates are evaluated a row at a time: each node of the tree becomes one
// loop over the keys. That is fast enough to look at every pair of thousands of
// predicates, and still says nothing about tiles.
//
//===----------------------------------------------------------------------===//
#include "Oracle.h"
#include <algorithm>

using namespace filigree;
using namespace filigree::test;
using llvm::ArrayRef;

using Values = std::vector<int64_t>;
using Bits = std::vector<uint8_t>;

namespace {
struct RowContext {
  int64_t i, firstCol, cols;
  ArrayRef<int64_t> symbols;
};
} // namespace

template <typename Fn>
static Values map2(const Values &a, const Values &b, Fn fn) {
  Values result(a.size());
  for (size_t k = 0; k < a.size(); ++k)
    result[k] = fn(a[k], b[k]);
  return result;
}

static Values evaluateRow(const IntExpr &e, const RowContext &row) {
  auto constant = [&](int64_t value) { return Values(row.cols, value); };
  switch (e.kind()) {
  case IntExpr::Kind::Const:
    return constant(e.constant());
  case IntExpr::Kind::Row:
    return constant(row.i);
  case IntExpr::Kind::Symbol:
    return constant(row.symbols[e.symbolNumber()]);
  case IntExpr::Kind::Col: {
    Values result(row.cols);
    for (int64_t c = 0; c < row.cols; ++c)
      result[c] = row.firstCol + c;
    return result;
  }
  case IntExpr::Kind::Add:
    return map2(evaluateRow(e.lhs(), row), evaluateRow(e.rhs(), row),
                [](int64_t a, int64_t b) { return a + b; });
  case IntExpr::Kind::Sub:
    return map2(evaluateRow(e.lhs(), row), evaluateRow(e.rhs(), row),
                [](int64_t a, int64_t b) { return a - b; });
  default: {
    Values result = evaluateRow(e.lhs(), row);
    int64_t c = e.constant();
    for (int64_t &value : result) {
      if (e.kind() == IntExpr::Kind::Mul) {
        value *= c;
        continue;
      }
      int64_t remainder = ((value % c) + c) % c;
      value =
          e.kind() == IntExpr::Kind::Mod ? remainder : (value - remainder) / c;
    }
    return result;
  }
  }
}

static Bits evaluateRow(const Predicate &p, const RowContext &row) {
  switch (p.kind()) {
  case Predicate::Kind::True:
    return Bits(row.cols, 1);
  case Predicate::Kind::False:
    return Bits(row.cols, 0);
  case Predicate::Kind::Not: {
    Bits result = evaluateRow(p.lhs(), row);
    for (uint8_t &bit : result)
      bit = !bit;
    return result;
  }
  case Predicate::Kind::And:
  case Predicate::Kind::Or: {
    Bits a = evaluateRow(p.lhs(), row), b = evaluateRow(p.rhs(), row);
    for (size_t k = 0; k < a.size(); ++k)
      a[k] = p.kind() == Predicate::Kind::And ? a[k] & b[k] : a[k] | b[k];
    return a;
  }
  case Predicate::Kind::Compare:
    break;
  }
  Values a = evaluateRow(p.exprLhs(), row), b = evaluateRow(p.exprRhs(), row);
  Bits result(row.cols);
  for (int64_t k = 0; k < row.cols; ++k) {
    switch (p.relation()) {
    case Predicate::Relation::LT:
      result[k] = a[k] < b[k];
      break;
    case Predicate::Relation::LE:
      result[k] = a[k] <= b[k];
      break;
    case Predicate::Relation::GT:
      result[k] = a[k] > b[k];
      break;
    case Predicate::Relation::GE:
      result[k] = a[k] >= b[k];
      break;
    case Predicate::Relation::EQ:
      result[k] = a[k] == b[k];
      break;
    case Predicate::Relation::NE:
      result[k] = a[k] != b[k];
      break;
    }
  }
  return result;
}

PairCounts::PairCounts(const Predicate &predicate, const PairDomain &domain,
                       ArrayRef<int64_t> symbols)
    : rows(symbols[symNq]), cols(symbols[symNk]),
      sums((rows + 1) * (cols + 1), 0) {
  int64_t q = domain.qOffset.evaluate(0, 0, symbols);
  int64_t k = domain.kOffset.evaluate(0, 0, symbols);
  for (int64_t r = 0; r < rows; ++r) {
    Bits bits = evaluateRow(predicate, {r + q, k, cols, symbols});
    int32_t line = 0;
    for (int64_t c = 0; c < cols; ++c) {
      line += bits[c];
      sums[(r + 1) * (cols + 1) + c + 1] = sums[r * (cols + 1) + c + 1] + line;
    }
  }
}

int64_t PairCounts::count(int64_t r0, int64_t r1, int64_t c0,
                          int64_t c1) const {
  auto sum = [&](int64_t r, int64_t c) { return sums[r * (cols + 1) + c]; };
  return sum(r1, c1) - sum(r0, c1) - sum(r1, c0) + sum(r0, c0);
}

TileClass PairCounts::classOf(const Tiling &tiling, int64_t x,
                              int64_t j) const {
  bool queries = tiling.outer == Outer::Queries;
  int64_t o0 = tiling.outerScale * x;
  int64_t o1 = std::min(o0 + tiling.outerTile, queries ? rows : cols);
  int64_t i0 = tiling.innerTile * j;
  int64_t i1 = std::min(i0 + tiling.innerTile, queries ? cols : rows);
  int64_t found = queries ? count(o0, o1, i0, i1) : count(i0, i1, o0, o1);
  return found == 0                       ? TileClass::Empty
         : found == (o1 - o0) * (i1 - i0) ? TileClass::Full
                                          : TileClass::Partial;
}

Verdict test::checkRuns(ArrayRef<Run> runs, const PairCounts &counts,
                        const Tiling &tiling, int64_t x, int64_t numInner) {
  Verdict verdict;
  std::vector<TileClass> claimed(numInner, TileClass::Empty);
  int64_t end = 0;
  const Run *previous = nullptr;
  for (const Run &run : runs) {
    bool bad = run.lo < end || run.lo >= run.hi || run.hi > numInner ||
               run.step != 1 ||
               (previous && previous->hi == run.lo && previous->cls == run.cls);
    previous = &run;
    if (bad) {
      ++verdict.malformed;
      continue;
    }
    end = run.hi;
    std::fill(claimed.begin() + run.lo, claimed.begin() + run.hi,
              run.cls == Run::Full ? TileClass::Full : TileClass::Partial);
  }
  for (int64_t j = 0; j < numInner; ++j) {
    TileClass real = counts.classOf(tiling, x, j);
    ++verdict.tiles;
    if (claimed[j] == real)
      continue;
    verdict.falseEmpty += claimed[j] == TileClass::Empty;
    verdict.falseFull += claimed[j] == TileClass::Full;
    verdict.imprecise += claimed[j] == TileClass::Partial;
  }
  return verdict;
}

Verdict test::checkBlockSet(const BlockSet &set, const PairCounts &counts,
                            ArrayRef<int64_t> symbols, int64_t stride) {
  Verdict verdict;
  int64_t numInner = set.numInner(symbols);
  for (int64_t x = 0; x < set.numOuter(symbols); x += stride) {
    llvm::SmallVector<Run> runs = set.runs(x, symbols);
    verdict += checkRuns(runs, counts, set.tiling, x, numInner);
    int64_t total = 0;
    for (const Run &run : runs)
      total += run.hi - run.lo;
    verdict.malformed += total != set.count(x, symbols);
  }
  return verdict;
}
