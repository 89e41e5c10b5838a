//===- BlockSet.cpp - which tiles of the score matrix are worth a visit ---===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The meaning of a BlockSet (`runs`) and its text. The mathematics is in the
// header; the proof is in passes/Analysis.
//
//===----------------------------------------------------------------------===//
#include "dialect/BlockSet.h"
#include "mlir/IR/AffineExpr.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>

using namespace filigree;
using llvm::ArrayRef;
using llvm::SmallVector;
using mlir::AffineExpr;
using mlir::AffineExprKind;

Tiling Tiling::tiles(int64_t bm, int64_t bn, Outer outer) {
  int64_t outerTile = outer == Outer::Queries ? bm : bn;
  return {outer, outerTile, outer == Outer::Queries ? bn : bm, outerTile};
}

Tiling Tiling::rows(int64_t bm, int64_t bn, Outer outer) {
  Tiling tiling = tiles(bm, bn, outer);
  tiling.outerScale = 1;
  return tiling;
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

static int64_t evaluate(AffineExpr expr, int64_t x, ArrayRef<int64_t> symbols) {
  if (auto constant = llvm::dyn_cast<mlir::AffineConstantExpr>(expr))
    return constant.getValue();
  if (llvm::isa<mlir::AffineDimExpr>(expr))
    return x;
  if (auto symbol = llvm::dyn_cast<mlir::AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()];
  auto binary = llvm::cast<mlir::AffineBinaryOpExpr>(expr);
  int64_t a = evaluate(binary.getLHS(), x, symbols);
  int64_t b = evaluate(binary.getRHS(), x, symbols);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return a + b;
  case AffineExprKind::Mul:
    return a * b;
  case AffineExprKind::Mod:
    return llvm::mod(a, b);
  case AffineExprKind::FloorDiv:
    return llvm::divideFloorSigned(a, b);
  default:
    return llvm::divideCeilSigned(a, b);
  }
}

namespace {
struct Interval {
  int64_t lo, hi; // hi exclusive
};
} // namespace

/// The interval of a cluster; lo >= hi if every member is empty.
static Interval evaluate(const Cluster &cluster, int64_t x,
                         ArrayRef<int64_t> symbols) {
  Interval hull{0, 0};
  for (const Box &box : cluster.boxes) {
    bool guard = true;
    for (unsigned k = 0; k < box.guard.getNumConstraints() && guard; ++k) {
      int64_t value = evaluate(box.guard.getConstraint(k), x, symbols);
      guard = box.guard.isEq(k) ? value == 0 : value >= 0;
    }
    if (!guard)
      continue;
    int64_t lo = INT64_MIN, hi = INT64_MAX;
    for (AffineExpr expr : box.lo.getResults())
      lo = std::max(lo, evaluate(expr, x, symbols));
    for (AffineExpr expr : box.hi.getResults())
      hi = std::min(hi, evaluate(expr, x, symbols));
    if (lo >= hi)
      continue;
    if (hull.lo >= hull.hi)
      hull = {lo, hi};
    else
      hull = {std::min(hull.lo, lo), std::max(hull.hi, hi)};
  }
  return hull;
}

/// Sorted, disjoint, not touching intervals of one side.
static SmallVector<Interval> evaluate(const TileSide &side, int64_t x,
                                      int64_t numInner,
                                      ArrayRef<int64_t> symbols) {
  SmallVector<Interval> list, merged;
  for (const Cluster &cluster : side.clusters) {
    Interval range = evaluate(cluster, x, symbols);
    range.lo = std::max<int64_t>(range.lo, 0);
    range.hi = std::min(range.hi, numInner);
    if (range.lo < range.hi)
      list.push_back(range);
  }
  llvm::sort(list, [](Interval a, Interval b) { return a.lo < b.lo; });
  for (Interval range : list) {
    if (!merged.empty() && range.lo <= merged.back().hi)
      merged.back().hi = std::max(merged.back().hi, range.hi);
    else
      merged.push_back(range);
  }
  return merged;
}

int64_t BlockSet::numOuter(ArrayRef<int64_t> symbols) const {
  int64_t rows = symbols[tiling.outer == Outer::Queries ? symNq : symNk];
  return llvm::divideCeilSigned(std::max<int64_t>(rows, 0), tiling.outerScale);
}

int64_t BlockSet::numInner(ArrayRef<int64_t> symbols) const {
  int64_t rows = symbols[tiling.outer == Outer::Queries ? symNk : symNq];
  return llvm::divideCeilSigned(std::max<int64_t>(rows, 0), tiling.innerTile);
}

SmallVector<Run> BlockSet::runs(int64_t x, ArrayRef<int64_t> symbols) const {
  SmallVector<Run> result;
  if (x < 0 || x >= numOuter(symbols))
    return result;
  int64_t end = numInner(symbols);
  SmallVector<Interval> in = evaluate(touched, x, end, symbols);
  SmallVector<Interval> cut = evaluate(notFull, x, end, symbols);
  const Interval *next = cut.begin();
  for (Interval range : in) {
    int64_t at = range.lo;
    while (at < range.hi) {
      while (next != cut.end() && next->hi <= at)
        ++next;
      bool partial = next != cut.end() && next->lo <= at;
      int64_t stop = range.hi;
      if (next != cut.end())
        stop = std::min(stop, partial ? next->hi : next->lo);
      result.push_back({at, stop, 1, partial ? Run::Partial : Run::Full});
      at = stop;
    }
  }
  return result;
}

int64_t BlockSet::count(int64_t x, ArrayRef<int64_t> symbols) const {
  if (x < 0 || x >= numOuter(symbols))
    return 0;
  int64_t total = 0;
  for (Interval range : evaluate(touched, x, numInner(symbols), symbols))
    total += range.hi - range.lo;
  return total;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

namespace {
/// Prints affine expressions the way a person writes them: `64*X - W - 126`.
class ClosedFormPrinter {
public:
  ClosedFormPrinter(llvm::raw_ostream &os, ArrayRef<std::string> names)
      : os(os), names(names) {}

  void print(AffineExpr expr) {
    SmallVector<std::pair<AffineExpr, int64_t>> terms;
    int64_t constant = 0;
    collect(expr, 1, terms, constant);
    bool first = true;
    // Positive terms first, so that a form does not open with a minus.
    for (bool negative : {false, true})
      for (auto [atom, factor] : terms) {
        if (factor == 0 || (factor < 0) != negative)
          continue;
        sign(first, negative);
        if (factor != 1 && factor != -1)
          os << (negative ? -factor : factor) << '*';
        printAtom(atom);
        first = false;
      }
    if (constant != 0 || first) {
      sign(first, constant < 0);
      os << (constant < 0 ? -constant : constant);
    }
  }

  void printList(ArrayRef<AffineExpr> list, const char *name) {
    if (list.size() == 1)
      return print(list.front());
    os << name << '(';
    llvm::interleaveComma(list, os, [&](AffineExpr e) { print(e); });
    os << ')';
  }

  void print(const Box &box) {
    os << '[';
    printList(box.lo.getResults(), "max");
    os << ", ";
    printList(box.hi.getResults(), "min");
    os << ')';
    bool first = true;
    for (unsigned k = 0; k < box.guard.getNumConstraints(); ++k) {
      AffineExpr expr = box.guard.getConstraint(k);
      if (expr == mlir::getAffineConstantExpr(0, expr.getContext()))
        continue;
      os << (first ? " if " : " and ");
      print(expr);
      os << (box.guard.isEq(k) ? " == 0" : " >= 0");
      first = false;
    }
  }

private:
  void sign(bool first, bool negative) {
    if (first)
      os << (negative ? "-" : "");
    else
      os << (negative ? " - " : " + ");
  }

  void collect(AffineExpr expr, int64_t factor,
               llvm::SmallVectorImpl<std::pair<AffineExpr, int64_t>> &terms,
               int64_t &constant) {
    if (auto value = llvm::dyn_cast<mlir::AffineConstantExpr>(expr)) {
      constant += factor * value.getValue();
      return;
    }
    if (auto binary = llvm::dyn_cast<mlir::AffineBinaryOpExpr>(expr)) {
      if (expr.getKind() == AffineExprKind::Add) {
        collect(binary.getLHS(), factor, terms, constant);
        collect(binary.getRHS(), factor, terms, constant);
        return;
      }
      auto value = llvm::dyn_cast<mlir::AffineConstantExpr>(binary.getRHS());
      if (expr.getKind() == AffineExprKind::Mul && value) {
        collect(binary.getLHS(), factor * value.getValue(), terms, constant);
        return;
      }
    }
    for (auto &term : terms)
      if (term.first == expr) {
        term.second += factor;
        return;
      }
    terms.push_back({expr, factor});
  }

  void printAtom(AffineExpr expr) {
    if (llvm::isa<mlir::AffineDimExpr>(expr)) {
      os << 'X';
      return;
    }
    if (auto symbol = llvm::dyn_cast<mlir::AffineSymbolExpr>(expr)) {
      unsigned k = symbol.getPosition();
      if (k < names.size() && !names[k].empty())
        os << names[k];
      else
        os << 's' << k;
      return;
    }
    auto binary = llvm::cast<mlir::AffineBinaryOpExpr>(expr);
    os << (expr.getKind() == AffineExprKind::FloorDiv  ? "floordiv("
           : expr.getKind() == AffineExprKind::CeilDiv ? "ceildiv("
                                                       : "mod(");
    print(binary.getLHS());
    os << ", ";
    print(binary.getRHS());
    os << ')';
  }

  llvm::raw_ostream &os;
  ArrayRef<std::string> names;
};
} // namespace

static void printSide(llvm::raw_ostream &os, const char *name,
                      const TileSide &side, ArrayRef<std::string> names) {
  os << name << " (" << (side.exact ? "exact" : "superset");
  if (side.clusters.size() > 1)
    os << (side.sorted ? ", ascending" : ", may overlap");
  os << "):";
  if (side.clusters.empty())
    os << " nothing";
  ClosedFormPrinter printer(os, names);
  for (const Cluster &cluster : side.clusters) {
    os << "\n  ";
    if (cluster.boxes.size() > 1)
      os << "one range of: ";
    bool first = true;
    for (const Box &box : cluster.boxes) {
      if (!first)
        os << " with ";
      printer.print(box);
      first = false;
    }
  }
  if (!side.reason.empty())
    os << "\n  not exact: " << side.reason;
  os << '\n';
}

void BlockSet::print(llvm::raw_ostream &os) const {
  bool queries = tiling.outer == Outer::Queries;
  os << "tiles " << tiling.outerTile << " x " << tiling.innerTile << ", outer "
     << (queries ? "queries" : "keys") << " [" << tiling.outerScale << "*X, "
     << tiling.outerScale << "*X + " << tiling.outerTile << ")\n";
  printSide(os, "touched", touched, symbolNames);
  printSide(os, "not full", notFull, symbolNames);
}

//===----------------------------------------------------------------------===//
// The answer that is always right
//===----------------------------------------------------------------------===//

BlockSet BlockSet::conservative(const PairDomain &domain, const Tiling &tiling,
                                llvm::StringRef reason,
                                mlir::MLIRContext *context) {
  BlockSet set;
  set.tiling = tiling;
  set.symbolNames = domain.symbolNames();
  AffineExpr inner = mlir::getAffineSymbolExpr(
      tiling.outer == Outer::Queries ? symNk : symNq, context);
  AffineExpr zero = mlir::getAffineConstantExpr(0, context);
  unsigned numSymbols = domain.symbols.size();
  Box all{mlir::AffineMap::get(1, numSymbols, zero),
          mlir::AffineMap::get(1, numSymbols, inner.ceilDiv(tiling.innerTile)),
          mlir::IntegerSet::get(1, numSymbols, zero, true)};
  for (TileSide *side : {&set.touched, &set.notFull}) {
    side->clusters.push_back({{all}});
    side->sorted = true;
    side->reason = reason.str();
  }
  return set;
}
