//===- Projection.cpp - the tiles a convex set of pairs touches -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The elimination loop, and `computeBlockSet` which runs it for both sides.
// Any limit that is hit turns the side into "all tiles, not exact": slower
// code, never a wrong answer and never an error.
//
//===----------------------------------------------------------------------===//
#include "passes/Analysis/Projection.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace filigree;
using llvm::SmallVector;

/// Above this many rows, redundant ones are dropped before the next step.
static constexpr unsigned crowded = 12;

//===----------------------------------------------------------------------===//
// Setting up
//===----------------------------------------------------------------------===//

/// Rows of the outer and of the inner tile.
void Projection::appendTile() {
  bool queries = vars.tiling.outer == Outer::Queries;
  unsigned outerVar = queries ? vars.storageRow() : vars.storageCol();
  unsigned innerVar = queries ? vars.storageCol() : vars.storageRow();
  auto cover = [&](unsigned var, unsigned tile, int64_t scale, int64_t size) {
    Row low, high;
    low.set(var, 1);
    low.set(tile, -scale);
    high.set(var, -1);
    high.set(tile, scale);
    high.constant = size - 1;
    rows.push_back(low);
    rows.push_back(high);
    Row nonNegative;
    nonNegative.set(tile, 1);
    rows.push_back(nonNegative);
  };
  cover(outerVar, vars.outer(), vars.tiling.outerScale, vars.tiling.outerTile);
  cover(innerVar, vars.inner(), vars.tiling.innerTile, vars.tiling.innerTile);
}

SmallVector<unsigned> Projection::eliminable(const Row &row) const {
  SmallVector<unsigned> result;
  for (unsigned var = 0; var < row.coef.size(); ++var)
    if (row.coef[var] != 0 && vars.isEliminated(var))
      result.push_back(var);
  return result;
}

/// Normalizes all rows and keeps the tightest of parallel ones.
Projection::Step Projection::clean() {
  Rows kept;
  for (Row &row : rows) {
    RowState state = normalize(row);
    if (state == RowState::False)
      return Step::Empty;
    if (state == RowState::True)
      continue;
    Row *twin = llvm::find_if(kept, [&](const Row &other) {
      return other.equality == row.equality && other.coef == row.coef;
    });
    if (twin == kept.end())
      kept.push_back(std::move(row));
    else if (!row.equality)
      twin->constant = std::min(twin->constant, row.constant);
    else if (twin->constant != row.constant)
      return Step::Empty;
  }
  rows = std::move(kept);
  return Step::Nothing;
}

void Projection::notExact(unsigned var, const char *step) {
  if (exact)
    reason = std::string(step) +
             (var == vars.storageRow()   ? " the query"
              : var == vars.storageCol() ? " the key"
                                         : " a quotient by ") +
             (vars[var].kind == VariableTable::Kind::Quotient
                  ? std::to_string(vars[var].divisor)
                  : "");
  exact = false;
}

//===----------------------------------------------------------------------===//
// Equalities
//===----------------------------------------------------------------------===//

/// Removes `var` from all rows with an equality that holds it. Exact over the
/// integers iff the coefficient is +-1.
void Projection::substitute(const Row &equality, unsigned var) {
  int64_t pivot = equality.get(var);
  for (Row &row : rows) {
    int64_t factor = row.get(var);
    if (factor == 0)
      continue;
    // A positive multiple of the row, so that inequalities keep their sense.
    bool isEquality = row.equality;
    row = vars.combine(row, std::abs(pivot), equality,
                       pivot > 0 ? -factor : factor);
    row.equality = isEquality;
  }
}

Projection::Step Projection::solveEquality() {
  // The equality nearest to a substitution: a unit coefficient first, then one
  // that a change of variables improves, then a single variable.
  int best = -1;
  int bestRank = 3;
  for (unsigned k = 0; k < rows.size(); ++k) {
    if (!rows[k].equality)
      continue;
    SmallVector<unsigned> held = eliminable(rows[k]);
    if (held.empty())
      continue;
    bool unit = llvm::any_of(
        held, [&](unsigned var) { return std::abs(rows[k].get(var)) == 1; });
    int rank = unit ? 0 : held.size() > 1 ? 1 : 2;
    if (rank < bestRank) {
      bestRank = rank;
      best = int(k);
    }
  }
  if (best < 0)
    return Step::Nothing;
  Row equality = rows[best];
  SmallVector<unsigned> held = eliminable(equality);
  unsigned var =
      *std::min_element(held.begin(), held.end(), [&](unsigned a, unsigned b) {
        return std::abs(equality.get(a)) < std::abs(equality.get(b));
      });

  if (bestRank == 1) {
    // var := var' - sum t_w * w is unimodular and leaves remainders on the w.
    for (unsigned other : held) {
      if (other == var)
        continue;
      int64_t t =
          llvm::divideFloorSigned(equality.get(other), equality.get(var));
      for (Row &row : rows)
        if (int64_t factor = row.get(var)) {
          Row change;
          change.set(other, factor);
          bool isEquality = row.equality;
          row = vars.combine(row, 1, change, -t);
          row.equality = isEquality;
        }
    }
    return Step::Progress;
  }

  rows.erase(rows.begin() + best);
  if (bestRank == 0) {
    substitute(equality, var);
    return Step::Progress;
  }
  // c * var = e with c > 1. If e2 = e mod c is known at launch, var = e1 +
  // floor(e2 / c), provided that e2 is divisible.
  int64_t c = std::abs(equality.get(var));
  Row rest = equality;
  rest.equality = false;
  rest.set(var, 0);
  rest = vars.combine(rest, equality.get(var) > 0 ? -1 : 1, Row(), 0);
  Row remainder;
  for (unsigned k = 0; k < rest.coef.size(); ++k)
    remainder.set(k, rest.coef[k] % c);
  remainder.constant = llvm::mod(rest.constant, c);
  if (!vars.isKnownAtLaunch(remainder)) {
    // The tile decides divisibility, which has no convex form.
    notExact(var, "the stride is not a divisor of the tile when eliminating");
    substitute(equality, var);
    return Step::Progress;
  }
  Row quotient = vars.floorDiv(rest, c); // e1 + floor(e2 / c)
  Row divisible = vars.combine(rest, 1, quotient, -c);
  divisible.equality = true;
  Row solved = vars.combine(Row(), 0, quotient, -1);
  solved.add(var, 1);
  substitute(solved, var);
  rows.push_back(divisible);
  return Step::Progress;
}

//===----------------------------------------------------------------------===//
// Inequalities
//===----------------------------------------------------------------------===//

bool Projection::pairsAreExact(unsigned var, const Rows &system) {
  Rows dark;
  for (const Row &low : system) {
    int64_t a = low.get(var);
    if (a <= 1)
      continue;
    for (const Row &high : system) {
      int64_t b = -high.get(var);
      if (b <= 1)
        continue;
      Row row = vars.combine(low, b, high, a);
      row.constant -= (a - 1) * (b - 1);
      RowState state = normalize(row);
      if (state == RowState::False || vars.overflowed())
        return false;
      if (state == RowState::Keep)
        dark.push_back(std::move(row));
    }
  }
  return dark.empty() || prover.implies(system, dark);
}

/// Step d: makes rows on `var` unit where the rest is known at launch.
bool Projection::sharpen(unsigned var, Rows &system) {
  bool changed = false;
  for (Row &row : system) {
    int64_t c = std::abs(row.get(var));
    if (c <= 1)
      continue;
    // c*v <= e, or c*v >= -e; both become e1 + floor(e2 / c) + - v >= 0.
    Row rest = row;
    rest.set(var, 0);
    Row remainder;
    for (unsigned k = 0; k < rest.coef.size(); ++k)
      remainder.set(k, rest.coef[k] % c);
    if (!vars.isKnownAtLaunch(remainder))
      continue;
    int64_t sign = row.get(var) > 0 ? 1 : -1;
    row = vars.floorDiv(rest, c);
    row.add(var, sign);
    changed = true;
  }
  return changed;
}

Rows Projection::pairUp(unsigned var, const Rows &system) {
  Rows result;
  for (const Row &low : system) {
    int64_t a = low.get(var);
    if (a == 0)
      result.push_back(low);
    if (a <= 0)
      continue;
    for (const Row &high : system)
      if (int64_t b = -high.get(var); b > 0)
        result.push_back(vars.combine(low, b, high, a));
  }
  return result;
}

Projection::Step Projection::eliminateOne() {
  SmallVector<std::pair<int64_t, unsigned>> order;
  for (unsigned var = 0; var < vars.size(); ++var) {
    if (!vars.isEliminated(var))
      continue;
    int64_t lower = 0, upper = 0;
    for (const Row &row : rows) {
      lower += row.get(var) > 0;
      upper += row.get(var) < 0;
    }
    if (lower + upper > 0)
      order.push_back({lower * upper - lower - upper, var});
  }
  if (order.empty())
    return Step::Nothing;
  llvm::sort(order);

  for (auto [cost, var] : order)
    if (pairsAreExact(var, rows)) {
      rows = pairUp(var, rows);
      return Step::Progress;
    }
  for (auto [cost, var] : order) {
    Rows sharper = rows;
    if (sharpen(var, sharper) && pairsAreExact(var, sharper)) {
      rows = pairUp(var, sharper);
      return Step::Progress;
    }
  }
  unsigned var = order.front().second;
  notExact(var, "no exact step to eliminate");
  sharpen(var, rows);
  rows = pairUp(var, rows);
  return Step::Progress;
}

Projection::Result Projection::run(const Conjunction &conjunction) {
  rows = conjunction.rows;
  appendTile();
  while (true) {
    if (clean() == Step::Empty)
      return Result::Empty;
    if (vars.overflowed()) {
      reason = "a coefficient is too large";
      return Result::GaveUp;
    }
    if (rows.size() > vars.budget.rows) {
      reason = "more than " + std::to_string(vars.budget.rows) + " rows";
      return Result::GaveUp;
    }
    if (prover.exhausted()) {
      reason = "the budget of prover queries is spent";
      return Result::GaveUp;
    }
    if (solveEquality() == Step::Progress)
      continue;
    if (rows.size() > crowded && !prover.dropRedundant(rows))
      return Result::Empty;
    if (eliminateOne() == Step::Nothing)
      break;
  }
  // J >= 0 and J <= (N - 1) / innerTile are kept unless implied.
  if (!prover.dropRedundant(rows))
    return Result::Empty;
  if (!llvm::all_of(rows, [&](const Row &row) { return vars.fits(row); })) {
    reason = "a coefficient is too large";
    return Result::GaveUp;
  }
  return Result::Done;
}

//===----------------------------------------------------------------------===//
// Both sides
//===----------------------------------------------------------------------===//

BlockSet filigree::computeBlockSet(const Predicate &predicate,
                                   const PairDomain &domain,
                                   const Tiling &tiling,
                                   mlir::MLIRContext *context,
                                   const ProofBudget &budget) {
  BlockSet set = BlockSet::conservative(domain, tiling, "", context);
  for (bool complement : {false, true}) {
    TileSide &side = complement ? set.notFull : set.touched;
    VariableTable vars(domain, tiling, budget);
    Prover prover(vars, budget.queries / 2);
    DisjunctiveForm form(vars, prover);
    std::string reason = form.build(predicate, complement) ? "" : form.reason;
    bool gaveUp = !reason.empty();

    SmallVector<ProjectedBox, 0> boxes;
    for (unsigned k = 0; k < form.conjunctions.size() && !gaveUp; ++k) {
      Projection projection(vars, prover);
      Projection::Result result = projection.run(form.conjunctions[k]);
      if (!projection.reason.empty())
        reason = "disjunct " + std::to_string(k + 1) + " of " +
                 std::to_string(form.conjunctions.size()) + ": " +
                 projection.reason;
      gaveUp = result == Projection::Result::GaveUp;
      if (result == Projection::Result::Done)
        boxes.push_back({std::move(projection.rows), projection.exact,
                         projection.exact ? "" : reason});
    }
    (complement ? set.stats.notFullDisjuncts : set.stats.touchedDisjuncts) =
        form.conjunctions.size();
    if (gaveUp)
      side.reason = reason;
    else
      side = makeSide(std::move(boxes), vars, prover, context);
    set.stats.queries += prover.used();
  }
  return set;
}
