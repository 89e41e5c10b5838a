//===- Clustering.cpp - boxes into ranges, by proof -----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drops boxes inside others, groups boxes that never leave a gap between them,
// and orders the groups where one always precedes the other. All of it is
// optimisation: an unproved question leaves one range more, or a sort.
//
//===----------------------------------------------------------------------===//
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/MLIRContext.h"
#include "passes/Analysis/Projection.h"

using namespace filigree;
using llvm::SmallVector;
using mlir::AffineExpr;

/// The row with J renamed.
static Row rename(const Row &row, unsigned inner, unsigned to) {
  Row result = row;
  if (to == inner)
    return result;
  int64_t factor = result.get(inner);
  if (factor != 0) {
    result.set(inner, 0);
    result.set(to, factor);
  }
  return result;
}

static void appendRenamed(const Rows &rows, unsigned inner, unsigned to,
                          Rows &out) {
  for (const Row &row : rows)
    out.push_back(rename(row, inner, to));
}

namespace {
class Clustering {
public:
  Clustering(const VariableTable &vars, Prover &prover)
      : vars(vars), prover(prover) {}

  /// Proved: for any tiles JA < x < JB, JA in a and JB in b, x is in one of
  /// them. x can leave a only through an upper row of a, as JA < x, and be
  /// outside b only through a lower row of b.
  bool noGap(const Rows &a, const Rows &b) {
    unsigned x = vars.inner(), ja = vars.scratch(0), jb = vars.scratch(1);
    Rows base;
    appendRenamed(a, vars.inner(), ja, base);
    appendRenamed(b, vars.inner(), jb, base);
    base.push_back(less(ja, x));
    base.push_back(less(x, jb));
    for (const Row &upper : a) {
      if (!bounds(upper, -1))
        continue;
      for (const Row &lower : b) {
        if (!bounds(lower, 1))
          continue;
        Rows question = base;
        question.push_back(outside(upper, -1));
        question.push_back(outside(lower, 1));
        if (!prover.isIntegerEmpty(question))
          return false;
      }
    }
    return true;
  }

  /// Proved: every tile of a is before every tile of b.
  bool before(const Rows &a, const Rows &b) {
    Rows question;
    appendRenamed(a, vars.inner(), vars.scratch(0), question);
    appendRenamed(b, vars.inner(), vars.scratch(1), question);
    Row notBefore;
    notBefore.set(vars.scratch(0), 1);
    notBefore.set(vars.scratch(1), -1);
    question.push_back(notBefore);
    return prover.isIntegerEmpty(question);
  }

private:
  Row less(unsigned a, unsigned b) {
    Row row;
    row.set(a, -1);
    row.set(b, 1);
    row.constant = -1;
    return row;
  }
  bool bounds(const Row &row, int sign) {
    int64_t factor = row.get(vars.inner());
    return factor != 0 && (row.equality || (factor > 0) == (sign > 0));
  }
  /// x beyond this bound. An equality bounds from both sides.
  Row outside(const Row &row, int sign) {
    Row bound = row;
    if (row.equality && (row.get(vars.inner()) > 0) != (sign > 0)) {
      for (int64_t &value : bound.coef)
        value = -value;
      bound.constant = -bound.constant;
    }
    bound.equality = false;
    return bound.negated();
  }

  const VariableTable &vars;
  Prover &prover;
};

/// Rows to AffineMap and IntegerSet.
class BoxWriter {
public:
  BoxWriter(const VariableTable &vars, mlir::MLIRContext *context)
      : vars(vars), context(context) {}

  Box write(const Rows &rows) {
    SmallVector<AffineExpr> lo, hi, guards;
    SmallVector<bool> equalities;
    for (const Row &row : rows) {
      int64_t factor = row.get(vars.inner());
      if (factor == 0) {
        guards.push_back(expr(row, 1));
        equalities.push_back(row.equality);
        continue;
      }
      // factor * J + e >= 0
      int64_t size = std::abs(factor);
      Row rest = row;
      rest.set(vars.inner(), 0);
      if (row.equality || factor > 0)
        lo.push_back(expr(rest, factor > 0 ? -1 : 1).ceilDiv(size));
      if (row.equality || factor < 0)
        hi.push_back(expr(rest, factor < 0 ? 1 : -1).floorDiv(size) + 1);
    }
    unsigned numSymbols = vars.domain.symbols.size();
    if (guards.empty()) {
      guards.push_back(mlir::getAffineConstantExpr(0, context));
      equalities.push_back(true);
    }
    return {mlir::AffineMap::get(1, numSymbols, lo, context),
            mlir::AffineMap::get(1, numSymbols, hi, context),
            mlir::IntegerSet::get(1, numSymbols, guards, equalities)};
  }

private:
  AffineExpr expr(const Row &row, int64_t sign) {
    AffineExpr sum = mlir::getAffineConstantExpr(sign * row.constant, context);
    for (unsigned var = 0; var < row.coef.size(); ++var)
      if (row.coef[var] != 0)
        sum = sum + variable(var) * (sign * row.coef[var]);
    return sum;
  }
  AffineExpr variable(unsigned var) {
    switch (vars[var].kind) {
    case VariableTable::Kind::Outer:
      return mlir::getAffineDimExpr(0, context);
    case VariableTable::Kind::Symbol:
      return mlir::getAffineSymbolExpr(var - vars.symbol(0), context);
    default:
      return expr(vars[var].dividend, 1).floorDiv(vars[var].divisor);
    }
  }

  const VariableTable &vars;
  mlir::MLIRContext *context;
};
} // namespace

TileSide filigree::makeSide(SmallVector<ProjectedBox, 0> boxes,
                            VariableTable &vars, Prover &prover,
                            mlir::MLIRContext *context) {
  TileSide side;
  side.exact = true;
  // Boxes inside others. One that is not exact must not swallow an exact one:
  // the order of the passes drops the former first.
  SmallVector<Rows, 0> kept;
  for (bool exact : {false, true})
    for (unsigned a = 0; a < boxes.size(); ++a) {
      if (boxes[a].exact != exact)
        continue;
      bool inside = false;
      for (unsigned b = 0; b < boxes.size() && !inside; ++b)
        inside = a != b && !boxes[b].rows.empty() &&
                 prover.implies(boxes[a].rows, boxes[b].rows);
      if (inside) {
        boxes[a].rows.clear(); // so that of two equal boxes one stays
        continue;
      }
      kept.push_back(boxes[a].rows);
      if (!exact && side.exact) {
        side.exact = false;
        side.reason = boxes[a].reason;
      }
    }

  // A cluster needs every pair free of gaps: a member in the middle may be
  // empty and then bridges nothing.
  Clustering clustering(vars, prover);
  SmallVector<SmallVector<unsigned>> groups;
  for (unsigned k = 0; k < kept.size(); ++k) {
    auto fits = [&](const SmallVector<unsigned> &group) {
      return llvm::all_of(group, [&](unsigned member) {
        return clustering.noGap(kept[k], kept[member]) &&
               clustering.noGap(kept[member], kept[k]);
      });
    };
    auto group = llvm::find_if(groups, fits);
    if (group != groups.end())
      group->push_back(k);
    else
      groups.push_back({k});
  }

  // Ascending order, if every pair of clusters is ordered.
  auto precedes = [&](const SmallVector<unsigned> &a,
                      const SmallVector<unsigned> &b) {
    for (unsigned x : a)
      for (unsigned y : b)
        if (!clustering.before(kept[x], kept[y]))
          return false;
    return true;
  };
  bool sorted = true;
  for (unsigned at = 1; at < groups.size() && sorted; ++at) {
    unsigned place = 0;
    while (place < at && precedes(groups[place], groups[at]))
      ++place;
    for (unsigned k = place; k < at && sorted; ++k)
      sorted = precedes(groups[at], groups[k]);
    std::rotate(groups.begin() + place, groups.begin() + at,
                groups.begin() + at + 1);
  }

  side.sorted = sorted;
  BoxWriter writer(vars, context);
  for (const SmallVector<unsigned> &group : groups) {
    Cluster cluster;
    for (unsigned member : group)
      cluster.boxes.push_back(writer.write(kept[member]));
    side.clusters.push_back(std::move(cluster));
  }
  return side;
}
