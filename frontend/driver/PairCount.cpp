//===- PairCount.cpp - how many tiles and pairs a predicate leaves --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The proof is asked twice: with the tiling of the kernel, and with tiles of
// one pair, whose closed forms are the keys of a row. With all symbols known, a
// bound is a few multiplications; that is what makes a million rows quick.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/PairCount.h"
#include "mlir/IR/AffineExpr.h"
#include "passes/Analysis/IntervalEval.h"
#include "llvm/Support/MathExtras.h"

using namespace filigree;
using llvm::ArrayRef;
using llvm::SmallVector;
using mlir::AffineExpr;
using mlir::AffineExprKind;

PairCount &PairCount::operator+=(const PairCount &other) {
  empty += other.empty;
  partial += other.partial;
  full += other.full;
  pairs += other.pairs;
  keys = std::max(keys, other.keys);
  exactTiles &= other.exactTiles;
  exactPairs &= other.exactPairs;
  return *this;
}

//===----------------------------------------------------------------------===//
// Closed forms with all symbols known
//===----------------------------------------------------------------------===//

namespace {

/// slope * X + constant + sum of factor * floor((slope * X + constant) /
/// divisor).
class Form {
public:
  Form(AffineExpr expr, ArrayRef<int64_t> symbols) {
    SmallVector<AffineExpr> values;
    for (int64_t symbol : symbols)
      values.push_back(mlir::getAffineConstantExpr(symbol, expr.getContext()));
    AffineExpr known = expr.replaceSymbols(values);
    add(known, 1, linear);
  }

  int64_t at(int64_t x) const {
    int64_t value = linear.slope * x + linear.constant;
    for (const Quotient &quotient : quotients) {
      int64_t dividend = at(x, quotient);
      value +=
          quotient.factor * llvm::divideFloorSigned(dividend, quotient.divisor);
    }
    return value;
  }

private:
  struct Linear {
    int64_t slope = 0, constant = 0;
  };
  struct Quotient {
    int64_t factor, divisor;
    std::unique_ptr<Form> dividend; ///< set only where it is not linear
    Linear linear;
  };
  Form() = default;

  static int64_t at(int64_t x, const Quotient &quotient) {
    return quotient.dividend
               ? quotient.dividend->at(x)
               : quotient.linear.slope * x + quotient.linear.constant;
  }

  void addQuotient(AffineExpr dividend, int64_t shift, int64_t divisor,
                   int64_t factor) {
    Form inner;
    inner.add(dividend, 1, inner.linear);
    inner.linear.constant += shift;
    Linear plain = inner.linear;
    bool nested = !inner.quotients.empty();
    quotients.push_back(
        {factor, divisor,
         nested ? std::make_unique<Form>(std::move(inner)) : nullptr, plain});
  }

  void add(AffineExpr expr, int64_t factor, Linear &into) {
    if (auto constant = llvm::dyn_cast<mlir::AffineConstantExpr>(expr)) {
      into.constant += factor * constant.getValue();
      return;
    }
    if (llvm::isa<mlir::AffineDimExpr>(expr)) {
      into.slope += factor;
      return;
    }
    auto binary = llvm::cast<mlir::AffineBinaryOpExpr>(expr);
    AffineExpr lhs = binary.getLHS(), rhs = binary.getRHS();
    if (expr.getKind() == AffineExprKind::Add) {
      add(lhs, factor, into);
      add(rhs, factor, into);
      return;
    }
    int64_t value = llvm::cast<mlir::AffineConstantExpr>(rhs).getValue();
    switch (expr.getKind()) {
    case AffineExprKind::Mul:
      return add(lhs, factor * value, into);
    case AffineExprKind::FloorDiv:
      return addQuotient(lhs, 0, value, factor);
    case AffineExprKind::CeilDiv:
      return addQuotient(lhs, value - 1, value, factor);
    default: // x mod d = x - d * floor(x / d)
      add(lhs, factor, into);
      addQuotient(lhs, 0, value, -factor * value);
    }
  }

  Linear linear;
  std::vector<Quotient> quotients;
};

struct Interval {
  int64_t lo, hi; // hi exclusive
};
using Intervals = SmallVector<Interval, 8>;

/// One side of a proof, as BlockSet::runs reads it.
class Side {
public:
  Side(const TileSide &side, ArrayRef<int64_t> symbols, int64_t numInner)
      : numInner(numInner) {
    for (const Cluster &cluster : side.clusters) {
      clusters.emplace_back();
      for (const Box &box : cluster.boxes) {
        auto &piece = clusters.back().emplace_back();
        for (AffineExpr expr : box.lo.getResults())
          piece.lo.emplace_back(expr, symbols);
        for (AffineExpr expr : box.hi.getResults())
          piece.hi.emplace_back(expr, symbols);
        for (unsigned k = 0; k < box.guard.getNumConstraints(); ++k)
          piece.guard.push_back(
              {Form(box.guard.getConstraint(k), symbols), box.guard.isEq(k)});
      }
    }
  }

  /// Sorted, disjoint, not touching.
  void at(int64_t x, Intervals &merged) const {
    Intervals list;
    for (const auto &cluster : clusters) {
      Interval hull{0, 0};
      for (const Piece &piece : cluster) {
        Interval one = piece.at(x);
        if (one.lo >= one.hi)
          continue;
        hull = hull.lo >= hull.hi ? one
                                  : Interval{std::min(hull.lo, one.lo),
                                             std::max(hull.hi, one.hi)};
      }
      hull = {std::max<int64_t>(hull.lo, 0), std::min(hull.hi, numInner)};
      if (hull.lo < hull.hi)
        list.push_back(hull);
    }
    llvm::sort(list, [](Interval a, Interval b) { return a.lo < b.lo; });
    merged.clear();
    for (Interval one : list)
      if (!merged.empty() && one.lo <= merged.back().hi)
        merged.back().hi = std::max(merged.back().hi, one.hi);
      else
        merged.push_back(one);
  }

private:
  struct Piece {
    std::vector<Form> lo, hi;
    std::vector<std::pair<Form, bool>> guard;
    Interval at(int64_t x) const {
      for (const auto &[form, isEquality] : guard) {
        int64_t value = form.at(x);
        if (isEquality ? value != 0 : value < 0)
          return {0, 0};
      }
      Interval result{INT64_MIN, INT64_MAX};
      for (const Form &form : lo)
        result.lo = std::max(result.lo, form.at(x));
      for (const Form &form : hi)
        result.hi = std::min(result.hi, form.at(x));
      return result;
    }
  };
  std::vector<std::vector<Piece>> clusters;
  int64_t numInner;
};

} // namespace

static int64_t lengthOf(const Intervals &intervals) {
  int64_t length = 0;
  for (Interval one : intervals)
    length += one.hi - one.lo;
  return length;
}

/// Length of what two lists of intervals share.
static int64_t sharedLength(const Intervals &a, const Intervals &b) {
  int64_t length = 0;
  size_t p = 0, q = 0;
  while (p < a.size() && q < b.size()) {
    int64_t lo = std::max(a[p].lo, b[q].lo), hi = std::min(a[p].hi, b[q].hi);
    length += std::max<int64_t>(hi - lo, 0);
    a[p].hi < b[q].hi ? ++p : ++q;
  }
  return length;
}

//===----------------------------------------------------------------------===//
// Rows without a closed form
//===----------------------------------------------------------------------===//

namespace {
class RowCounter {
public:
  RowCounter(const Predicate &predicate, const PairDomain &domain,
             ArrayRef<int64_t> symbols)
      : predicate(predicate), symbols(symbols), evaluator(predicate, symbols),
        qOffset(domain.qOffset.evaluate(0, 0, symbols)),
        kOffset(domain.kOffset.evaluate(0, 0, symbols)) {}

  int64_t count(int64_t row, const Intervals &keys) {
    int64_t total = 0;
    for (Interval one : keys)
      total += count(row + qOffset, one.lo + kOffset, one.hi + kOffset);
    return total;
  }
  /// Questions asked so far: what the work is measured in.
  uint64_t questions = 0;

private:
  int64_t count(int64_t i, int64_t lo, int64_t hi) {
    constexpr int64_t few = 16;
    if (hi - lo > few) {
      ++questions;
      switch (evaluator.evaluate({i, i, lo, hi - 1})) {
      case Tri::True:
        return hi - lo;
      case Tri::False:
        return 0;
      case Tri::Unknown:
        break;
      }
      int64_t middle = lo + (hi - lo) / 2;
      return count(i, lo, middle) + count(i, middle, hi);
    }
    questions += hi - lo;
    int64_t total = 0;
    for (int64_t j = lo; j < hi; ++j)
      total += predicate.evaluate(i, j, symbols);
    return total;
  }

  const Predicate &predicate;
  ArrayRef<int64_t> symbols;
  IntervalEvaluator evaluator;
  int64_t qOffset, kOffset;
};
} // namespace

/// Pairs of all rows, or an estimate; `keysOf` bounds the keys of a row,
/// `size` the cost of a question.
static void countRows(RowCounter &counter, int64_t rows, unsigned size,
                      llvm::function_ref<void(int64_t, Intervals &)> keysOf,
                      PairCount &result) {
  // Questions: a fraction of a second.
  uint64_t most = (uint64_t(1) << 27) / std::max(size, 32u);
  Intervals keys;
  // What a row costs, from a few of them.
  int64_t probes = std::min<int64_t>(rows, 8);
  for (int64_t k = 0; k < probes; ++k) {
    int64_t row = (2 * k + 1) * rows / (2 * probes);
    keysOf(row, keys);
    counter.count(row, keys);
  }
  uint64_t perRow = counter.questions / std::max<int64_t>(probes, 1) + 1;
  int64_t taken =
      std::min<int64_t>(rows, std::max<uint64_t>(most / perRow, 64));
  double sum = 0;
  uint64_t state = 1;
  for (int64_t k = 0; k < taken; ++k) {
    int64_t first = k * rows / taken, last = (k + 1) * rows / taken;
    // One row of every stratum, anywhere in it: strides must not beat.
    state = state * 6364136223846793005u + 1442695040888963407u;
    int64_t row = first + int64_t((state >> 33) % uint64_t(last - first));
    keysOf(row, keys);
    sum += double(counter.count(row, keys)) * double(last - first);
  }
  result.pairs = uint64_t(sum + 0.5);
  result.exactPairs = taken == rows;
}

//===----------------------------------------------------------------------===//
// Counts
//===----------------------------------------------------------------------===//

/// Sorts and joins.
static void unite(std::vector<Interval> &list) {
  llvm::sort(list, [](Interval a, Interval b) { return a.lo < b.lo; });
  size_t count = 0;
  for (Interval one : list)
    if (count && one.lo <= list[count - 1].hi)
      list[count - 1].hi = std::max(list[count - 1].hi, one.hi);
    else
      list[count++] = one;
  list.resize(count);
}

PairCount filigree::countPairs(const Predicate &predicate,
                               const PairDomain &domain, const BlockSet &blocks,
                               ArrayRef<int64_t> symbols,
                               mlir::MLIRContext *context) {
  PairCount result;
  const Tiling &tiling = blocks.tiling;
  int64_t rows = symbols[symNq], keys = symbols[symNk];
  int64_t inner = blocks.numInner(symbols);
  if (rows <= 0 || keys <= 0)
    return result;
  {
    Side touched(blocks.touched, symbols, inner);
    Side notFull(blocks.notFull, symbols, inner);
    int64_t step = tiling.outerTile / tiling.outerScale;
    Intervals in, cut;
    std::vector<Interval> visitedByAny;
    size_t limit = 4096;
    for (int64_t x = 0; x < blocks.numOuter(symbols); x += step) {
      touched.at(x, in);
      notFull.at(x, cut);
      int64_t visited = lengthOf(in), partial = sharedLength(in, cut);
      result.empty += inner - visited;
      result.partial += partial;
      result.full += visited - partial;
      visitedByAny.insert(visitedByAny.end(), in.begin(), in.end());
      if (visitedByAny.size() > limit) {
        unite(visitedByAny);
        limit = 2 * visitedByAny.size() + 4096;
      }
    }
    unite(visitedByAny);
    for (Interval one : visitedByAny)
      result.keys +=
          std::min(one.hi * tiling.innerTile, keys) - one.lo * tiling.innerTile;
    result.exactTiles = blocks.touched.exact && blocks.notFull.exact;
  }
  BlockSet pairs =
      computeBlockSet(predicate, domain, Tiling::tiles(1, 1), context);
  Side seen(pairs.touched, symbols, keys);
  Intervals list;
  if (pairs.touched.exact) {
    for (int64_t row = 0; row < rows; ++row) {
      seen.at(row, list);
      result.pairs += lengthOf(list);
    }
    return result;
  }
  RowCounter counter(predicate, domain, symbols);
  countRows(
      counter, rows, predicate.size(),
      [&](int64_t row, Intervals &into) { seen.at(row, into); }, result);
  return result;
}

PairCount filigree::countAll(const Tiling &tiling, int64_t queries,
                             int64_t keys) {
  PairCount result;
  result.full =
      llvm::divideCeil(uint64_t(queries), uint64_t(tiling.outerTile)) *
      llvm::divideCeil(uint64_t(keys), uint64_t(tiling.innerTile));
  result.pairs = uint64_t(queries) * uint64_t(keys);
  result.keys = keys;
  return result;
}
