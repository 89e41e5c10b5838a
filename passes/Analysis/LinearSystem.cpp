//===- LinearSystem.cpp - integer rows, and a prover about them -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every coefficient stays within the budget (2^30), so a sum of two products
// fits int64; `combine` checks it and sets a flag instead of wrapping.
//
// The packaged Presburger library has no assertions: a wrong row length or a
// declared but unused column is silent garbage. `compress` is therefore the
// only place that builds its objects, and passes used columns only.
//
//===----------------------------------------------------------------------===//
#include "passes/Analysis/LinearSystem.h"
#include "mlir/Analysis/Presburger/IntegerRelation.h"
#include "mlir/Analysis/Presburger/Simplex.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <numeric>

using namespace filigree;
using llvm::SmallVector;
using mlir::presburger::IntegerRelation;
using mlir::presburger::PresburgerSpace;
using mlir::presburger::Simplex;

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

Row Row::negated() const {
  Row result = *this;
  for (int64_t &value : result.coef)
    value = -value;
  result.constant = -constant - 1;
  return result;
}

RowState filigree::normalize(Row &row) {
  int64_t gcd = 0, lead = 0;
  for (int64_t value : row.coef) {
    gcd = std::gcd(gcd, value);
    if (lead == 0)
      lead = value;
  }
  if (gcd == 0) {
    bool holds = row.equality ? row.constant == 0 : row.constant >= 0;
    return holds ? RowState::True : RowState::False;
  }
  if (row.equality) {
    if (row.constant % gcd != 0)
      return RowState::False;
    // One sign for each equality, so that duplicates are seen.
    if (lead < 0)
      gcd = -gcd;
    row.constant /= gcd;
  } else {
    row.constant = llvm::divideFloorSigned(row.constant, gcd);
  }
  for (int64_t &value : row.coef)
    value /= gcd;
  while (!row.coef.empty() && row.coef.back() == 0)
    row.coef.pop_back();
  return RowState::Keep;
}

//===----------------------------------------------------------------------===//
// VariableTable
//===----------------------------------------------------------------------===//

VariableTable::VariableTable(const PairDomain &domain, const Tiling &tiling,
                             const ProofBudget &budget)
    : domain(domain), tiling(tiling), budget(budget),
      numSymbols(domain.symbols.size()) {
  variables.push_back({Kind::Outer, {}, 0});
  for (unsigned k = 0; k < numSymbols; ++k)
    variables.push_back({Kind::Symbol, {}, 0});
  variables.push_back({Kind::Inner, {}, 0});
  variables.push_back({Kind::Storage, {}, 0});
  variables.push_back({Kind::Storage, {}, 0});
  variables.push_back({Kind::Scratch, {}, 0});
  variables.push_back({Kind::Scratch, {}, 0});

  for (unsigned k = 0; k < numSymbols; ++k) {
    const SymbolInfo &info = domain.symbols[k];
    std::optional<int64_t> lo = info.lo;
    if (k < firstParam)
      lo = std::max<int64_t>(lo.value_or(0), 0);
    // A bound beyond the budget says nothing the proofs could use.
    if (lo && *lo > -budget.coefficient && *lo < budget.coefficient) {
      Row row;
      row.set(symbol(k), 1);
      row.constant = -*lo;
      constantFacts.push_back(row);
    }
    if (info.hi && *info.hi > -budget.coefficient &&
        *info.hi < budget.coefficient) {
      Row row;
      row.set(symbol(k), -1);
      row.constant = *info.hi;
      constantFacts.push_back(row);
    }
  }
  // X is valid: 0 <= X, outerScale * X <= N - 1.
  Row first, last;
  first.set(outer(), 1);
  last.set(outer(), -tiling.outerScale);
  last.set(symbol(tiling.outer == Outer::Queries ? symNq : symNk), 1);
  last.constant = -1;
  constantFacts.push_back(first);
  constantFacts.push_back(last);
}

bool VariableTable::isKnownAtLaunch(const Row &row) const {
  for (unsigned var = 0; var < row.coef.size(); ++var)
    if (row.coef[var] != 0 && !isKnownAtLaunch(var))
      return false;
  return true;
}

double VariableTable::magnitude(const Row &row) const {
  double sum = std::abs(double(row.constant));
  for (unsigned var = 0; var < row.coef.size(); ++var) {
    if (row.coef[var] == 0)
      continue;
    sum += std::abs(double(row.coef[var])) * variables[var].magnitude;
  }
  return sum;
}

Row VariableTable::combine(const Row &x, int64_t a, const Row &y, int64_t b) {
  Row result;
  int64_t limit = budget.coefficient;
  auto one = [&](int64_t u, int64_t v) -> int64_t {
    __int128 value = __int128(a) * u + __int128(b) * v;
    if (value > limit || value < -limit) {
      overflow = true;
      return 0;
    }
    return int64_t(value);
  };
  unsigned count = std::max(x.coef.size(), y.coef.size());
  result.coef.resize(count);
  for (unsigned var = 0; var < count; ++var)
    result.coef[var] = one(x.get(var), y.get(var));
  result.constant = one(x.constant, y.constant);
  return result;
}

Row VariableTable::floorDiv(const Row &row, int64_t divisor) {
  // row = divisor * whole + rest, floor(row / divisor) = whole + floor(rest /
  // divisor). Truncation keeps signs, so `i - j` does not become `i + 3*j`.
  Row whole, rest;
  int64_t gcd = divisor;
  for (unsigned var = 0; var < row.coef.size(); ++var) {
    whole.set(var, row.coef[var] / divisor);
    rest.set(var, row.coef[var] % divisor);
    gcd = std::gcd(gcd, rest.coef[var]);
  }
  whole.constant = llvm::divideFloorSigned(row.constant, divisor);
  rest.constant = llvm::mod(row.constant, divisor);
  // floor((g*x + k) / (g*c)) = floor((x + floor(k/g)) / c).
  for (int64_t &value : rest.coef)
    value /= gcd;
  rest.constant = llvm::divideFloorSigned(rest.constant, gcd);
  divisor /= gcd;
  while (!rest.coef.empty() && rest.coef.back() == 0)
    rest.coef.pop_back();
  if (rest.coef.empty()) {
    whole.constant += llvm::divideFloorSigned(rest.constant, divisor);
    return whole;
  }
  std::vector<int64_t> key(rest.coef.begin(), rest.coef.end());
  key.push_back(rest.constant);
  auto [entry, inserted] = shared.try_emplace({key, divisor}, size());
  if (inserted) {
    double size = magnitude(rest) / double(divisor) + 1;
    // A dividend that wraps makes its quotient mean nothing, however small.
    if (size * double(divisor) >= 0x1p62)
      size = 0x1p63;
    variables.push_back(
        {isKnownAtLaunch(rest) ? Kind::Division : Kind::Quotient, rest, divisor,
         size});
  }
  whole.add(entry->second, 1);
  return whole;
}

void VariableTable::appendDefinition(unsigned var, Rows &rows) const {
  Row low = variables[var].dividend;
  low.set(var, -variables[var].divisor);
  Row high = low;
  for (int64_t &value : high.coef)
    value = -value;
  high.constant = variables[var].divisor - 1 - low.constant;
  rows.push_back(std::move(low));
  rows.push_back(std::move(high));
}

void VariableTable::collectQuotients(
    const Row &row, llvm::SmallVectorImpl<unsigned> &quotients) const {
  for (unsigned var = 0; var < row.coef.size(); ++var) {
    if (row.coef[var] == 0 || variables[var].kind != Kind::Quotient ||
        llvm::is_contained(quotients, var))
      continue;
    collectQuotients(variables[var].dividend, quotients);
    quotients.push_back(var);
  }
}

void VariableTable::appendFacts(Rows &rows) const {
  SmallVector<bool> used(size(), false);
  for (const Row &row : rows)
    for (unsigned var = 0; var < row.coef.size(); ++var)
      used[var] = used[var] || row.coef[var] != 0;
  // Dividends use earlier variables only, so one pass from the end suffices.
  for (unsigned var = size(); var-- > 0;) {
    if (!used[var] || variables[var].kind != Kind::Division)
      continue;
    appendDefinition(var, rows);
    const Row &dividend = variables[var].dividend;
    for (unsigned inner = 0; inner < dividend.coef.size(); ++inner)
      used[inner] = used[inner] || dividend.coef[inner] != 0;
  }
  for (const Row &fact : constantFacts) {
    // A bound of a symbol nobody mentions is one row more for nothing.
    unsigned var = fact.coef.size() - 1;
    if (used[var] || fact.get(outer()) != 0)
      rows.push_back(fact);
  }
}

//===----------------------------------------------------------------------===//
// Prover
//===----------------------------------------------------------------------===//

namespace {
/// Rows over the columns they use, in the library's layout.
struct Compressed {
  SmallVector<int> columnOf;
  unsigned numColumns = 0;

  explicit Compressed(unsigned numVars) : columnOf(numVars, -1) {}
  void use(const Row &row) {
    for (unsigned var = 0; var < row.coef.size(); ++var)
      if (row.coef[var] != 0 && columnOf[var] < 0)
        columnOf[var] = int(numColumns++);
  }
  SmallVector<int64_t> layout(const Row &row) const {
    SmallVector<int64_t> result(numColumns + 1, 0);
    for (unsigned var = 0; var < row.coef.size(); ++var)
      if (row.coef[var] != 0)
        result[columnOf[var]] = row.coef[var];
    result[numColumns] = row.constant;
    return result;
  }
  IntegerRelation relation(llvm::ArrayRef<Row> rows) const {
    IntegerRelation result(PresburgerSpace::getSetSpace(numColumns));
    for (const Row &row : rows) {
      if (row.equality)
        result.addEquality(layout(row));
      else
        result.addInequality(layout(row));
    }
    return result;
  }
};
} // namespace

/// Limits of one question, facts included. The Simplex slows down beyond any
/// use on larger systems, whose numbers outgrow a word; the integer search has
/// no bound of its own. No mask met in practice comes near them.
static constexpr unsigned maxRows = 56, maxColumns = 18, maxIntegerRows = 24;

/// A question costs one unit, and more for a large tableau, so that a budget
/// bounds the time although it only counts.
bool Prover::spend(size_t numRows, size_t numColumns) {
  ++asked;
  if (left == 0 || numRows > maxRows || numColumns > maxColumns)
    return false;
  left -= std::min(left, unsigned(1 + numRows * numColumns / 512));
  return true;
}

/// Rows and facts, for a question that may add `extra`.
static Compressed compress(const VariableTable &vars, Rows &rows,
                           llvm::ArrayRef<Row> extra) {
  // Facts about divisions that only the extra rows use are needed as well.
  unsigned count = rows.size();
  rows.append(extra.begin(), extra.end());
  vars.appendFacts(rows);
  rows.erase(rows.begin() + count, rows.begin() + count + extra.size());
  Compressed compressed(vars.size());
  for (const Row &row : rows)
    compressed.use(row);
  for (const Row &row : extra)
    compressed.use(row);
  return compressed;
}

bool Prover::isEmpty(const Rows &rows) {
  Rows all = rows;
  Compressed compressed = compress(vars, all, {});
  if (!spend(all.size(), compressed.numColumns))
    return false;
  return Simplex(compressed.relation(all)).isEmpty();
}

bool Prover::isIntegerEmpty(const Rows &rows) {
  Rows all = rows;
  Compressed compressed = compress(vars, all, {});
  if (!spend(all.size(), compressed.numColumns))
    return false;
  IntegerRelation relation = compressed.relation(all);
  if (Simplex(relation).isEmpty())
    return true;
  return all.size() <= maxIntegerRows && relation.isIntegerEmpty();
}

static Prover::Answer askSimplex(Simplex &simplex, const Compressed &compressed,
                                 const Row &candidate) {
  using mlir::presburger::Fraction;
  SmallVector<llvm::DynamicAPInt, 8> layout;
  for (int64_t value : compressed.layout(candidate))
    layout.push_back(llvm::DynamicAPInt(value));
  auto low = simplex.computeOptimum(Simplex::Direction::Down, layout);
  auto high = simplex.computeOptimum(Simplex::Direction::Up, layout);
  // Integer values: above -1 means at least 0.
  bool notBelow = low.isBounded() && *low > Fraction(-1, 1);
  bool below = high.isBounded() && *high < Fraction(0, 1);
  if (!candidate.equality)
    return notBelow ? Prover::Answer::Always
           : below  ? Prover::Answer::Never
                    : Prover::Answer::Sometimes;
  bool notAbove = high.isBounded() && *high < Fraction(1, 1);
  bool above = low.isBounded() && *low > Fraction(0, 1);
  return notBelow && notAbove ? Prover::Answer::Always
         : below || above     ? Prover::Answer::Never
                              : Prover::Answer::Sometimes;
}

Prover::Answer Prover::ask(const Rows &rows, const Row &candidate) {
  Row row = candidate;
  RowState state = normalize(row);
  if (state != RowState::Keep)
    return state == RowState::True ? Answer::Always : Answer::Never;
  Rows all = rows;
  Compressed compressed = compress(vars, all, row);
  if (!spend(all.size(), compressed.numColumns))
    return Answer::Sometimes;
  Simplex simplex(compressed.relation(all));
  if (simplex.isEmpty())
    return Answer::Never;
  return askSimplex(simplex, compressed, row);
}

bool Prover::implies(const Rows &rows, const Rows &candidates) {
  Rows all = rows;
  Compressed compressed = compress(vars, all, candidates);
  if (!spend(all.size(), compressed.numColumns))
    return false;
  Simplex simplex(compressed.relation(all));
  if (simplex.isEmpty())
    return true;
  for (const Row &candidate : candidates)
    if (askSimplex(simplex, compressed, candidate) != Answer::Always)
      return false;
  return true;
}

bool Prover::dropRedundant(Rows &rows) {
  // The library numbers inequalities first, then two per equality; only
  // inequalities are candidates.
  Rows ordered;
  for (bool equality : {false, true})
    for (const Row &row : rows)
      if (row.equality == equality)
        ordered.push_back(row);
  rows = std::move(ordered);
  unsigned candidates =
      llvm::count_if(rows, [](const Row &row) { return !row.equality; });
  Rows all = rows;
  Compressed compressed = compress(vars, all, {});
  if (!spend(all.size(), compressed.numColumns))
    return true;
  Simplex simplex(compressed.relation(all));
  if (simplex.isEmpty())
    return false;
  simplex.detectRedundant(0, candidates);
  Rows kept;
  for (unsigned k = 0; k < rows.size(); ++k)
    if (k >= candidates || !simplex.isMarkedRedundant(k))
      kept.push_back(rows[k]);
  rows = std::move(kept);
  return true;
}
