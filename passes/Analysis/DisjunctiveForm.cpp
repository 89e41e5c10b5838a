//===- DisjunctiveForm.cpp - predicates as unions of convex sets ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Negation is pushed to the literals while walking; `a or b` keeps only the
// conjunction it started from when that already implies one of the two.
//
//===----------------------------------------------------------------------===//
#include "passes/Analysis/DisjunctiveForm.h"
#include "llvm/Support/ErrorHandling.h"

using namespace filigree;
using llvm::SmallVector;
using Relation = Predicate::Relation;

/// The linear form of an expression; nothing if it left the budget.
std::optional<Row> DisjunctiveForm::linearize(const IntExpr &expr) {
  Row row, unit;
  switch (expr.kind()) {
  case IntExpr::Kind::Const:
    if (expr.constant() > vars.budget.coefficient ||
        expr.constant() < -vars.budget.coefficient)
      return std::nullopt;
    row.constant = expr.constant();
    return row;
  case IntExpr::Kind::Symbol:
    if (expr.symbolNumber() >= vars.domain.symbols.size())
      return std::nullopt;
    row.set(vars.symbol(expr.symbolNumber()), 1);
    return row;
  case IntExpr::Kind::Row:
  case IntExpr::Kind::Col: {
    // A position is a storage coordinate plus the offset of its axis.
    bool isRow = expr.kind() == IntExpr::Kind::Row;
    std::optional<Row> offset =
        linearize(isRow ? vars.domain.qOffset : vars.domain.kOffset);
    if (!offset || !vars.isKnownAtLaunch(*offset))
      return std::nullopt;
    unit.set(isRow ? vars.storageRow() : vars.storageCol(), 1);
    return vars.combine(*offset, 1, unit, 1);
  }
  case IntExpr::Kind::Add:
  case IntExpr::Kind::Sub: {
    std::optional<Row> lhs = linearize(expr.lhs()), rhs = linearize(expr.rhs());
    if (!lhs || !rhs)
      return std::nullopt;
    return vars.combine(*lhs, 1, *rhs,
                        expr.kind() == IntExpr::Kind::Add ? 1 : -1);
  }
  case IntExpr::Kind::Mul: {
    std::optional<Row> lhs = linearize(expr.lhs());
    if (!lhs)
      return std::nullopt;
    return vars.combine(*lhs, expr.constant(), unit, 0);
  }
  case IntExpr::Kind::FloorDiv:
  case IntExpr::Kind::Mod: {
    std::optional<Row> lhs = linearize(expr.lhs());
    if (!lhs || !vars.fits(*lhs) || expr.constant() > vars.budget.coefficient)
      return std::nullopt;
    Row quotient = vars.floorDiv(*lhs, expr.constant());
    if (expr.kind() == IntExpr::Kind::FloorDiv)
      return quotient;
    return vars.combine(*lhs, 1, quotient, -expr.constant());
  }
  }
  llvm_unreachable("covered switch");
}

bool DisjunctiveForm::checkSize(const List &list) {
  if (vars.overflowed())
    reason = "a coefficient is too large";
  else if (prover.exhausted())
    reason = "the budget of prover queries is spent";
  else if (list.size() > vars.budget.disjuncts)
    reason =
        "more than " + std::to_string(vars.budget.disjuncts) + " disjuncts";
  else
    return true;
  return false;
}

bool DisjunctiveForm::addLiteral(const Row &literal, const List &in,
                                 List &out) {
  Row row = literal;
  RowState state = normalize(row);
  if (state == RowState::False)
    return true;
  for (const Conjunction &conjunction : in) {
    if (state == RowState::True) {
      out.push_back(conjunction);
      continue;
    }
    Conjunction longer = conjunction;
    SmallVector<unsigned> quotients;
    vars.collectQuotients(row, quotients);
    for (unsigned quotient : quotients)
      if (!llvm::is_contained(longer.quotients, quotient)) {
        longer.quotients.push_back(quotient);
        vars.appendDefinition(quotient, longer.rows);
      }
    if (longer.rows.size() >= vars.budget.rows) {
      reason = "more than " + std::to_string(vars.budget.rows) + " rows";
      return false;
    }
    switch (prover.ask(longer.rows, row)) {
    case Prover::Answer::Always:
      out.push_back(conjunction);
      break;
    case Prover::Answer::Never:
      break;
    case Prover::Answer::Sometimes:
      longer.rows.push_back(row);
      out.push_back(std::move(longer));
      break;
    }
  }
  return checkSize(out);
}

bool DisjunctiveForm::expandEither(
    const List &in, List &out,
    llvm::ArrayRef<std::function<bool(const List &, List &)>> alternatives) {
  for (const Conjunction &conjunction : in) {
    List found;
    for (const auto &alternative : alternatives) {
      List part;
      if (!alternative({conjunction}, part))
        return false;
      // Literals only ever add rows, so the same number means the same set:
      // the alternative is implied, and the others add nothing.
      if (part.size() == 1 &&
          part.front().rows.size() == conjunction.rows.size()) {
        found = std::move(part);
        break;
      }
      found.append(part.begin(), part.end());
    }
    out.append(found.begin(), found.end());
    if (!checkSize(out))
      return false;
  }
  return true;
}

bool DisjunctiveForm::expand(const Predicate &predicate, bool complement,
                             const List &in, List &out) {
  switch (predicate.kind()) {
  case Predicate::Kind::True:
  case Predicate::Kind::False:
    if ((predicate.kind() == Predicate::Kind::True) != complement)
      out = in;
    return true;
  case Predicate::Kind::Not:
    return expand(predicate.lhs(), !complement, in, out);
  case Predicate::Kind::And:
  case Predicate::Kind::Or: {
    if ((predicate.kind() == Predicate::Kind::And) != complement) {
      List middle;
      return expand(predicate.lhs(), complement, in, middle) &&
             expand(predicate.rhs(), complement, middle, out);
    }
    auto left = [&](const List &one, List &part) {
      return expand(predicate.lhs(), complement, one, part);
    };
    auto right = [&](const List &one, List &part) {
      return expand(predicate.rhs(), complement, one, part);
    };
    return expandEither(in, out, {left, right});
  }
  case Predicate::Kind::Compare:
    break;
  }

  std::optional<Row> lhs = linearize(predicate.exprLhs());
  std::optional<Row> rhs = linearize(predicate.exprRhs());
  if (!lhs || !rhs || !vars.fits(*lhs) || !vars.fits(*rhs)) {
    reason = "a constant is too large, or an offset is not affine";
    return false;
  }
  Relation relation = predicate.relation();
  if (complement) {
    static const Relation opposite[] = {Relation::GE, Relation::GT,
                                        Relation::LE, Relation::LT,
                                        Relation::NE, Relation::EQ};
    relation = opposite[unsigned(relation)];
  }
  // `less` is rhs - lhs - 1 >= 0, and so on.
  Row up = vars.combine(*rhs, 1, *lhs, -1);
  Row down = vars.combine(*lhs, 1, *rhs, -1);
  if (!checkSize(in))
    return false;
  Row strictUp = up, strictDown = down;
  --strictUp.constant;
  --strictDown.constant;
  switch (relation) {
  case Relation::LT:
    return addLiteral(strictUp, in, out);
  case Relation::LE:
    return addLiteral(up, in, out);
  case Relation::GT:
    return addLiteral(strictDown, in, out);
  case Relation::GE:
    return addLiteral(down, in, out);
  case Relation::EQ:
    up.equality = true;
    return addLiteral(up, in, out);
  case Relation::NE: {
    auto below = [&](const List &one, List &part) {
      return addLiteral(strictUp, one, part);
    };
    auto above = [&](const List &one, List &part) {
      return addLiteral(strictDown, one, part);
    };
    return expandEither(in, out, {below, above});
  }
  }
  llvm_unreachable("covered switch");
}

bool DisjunctiveForm::build(const Predicate &predicate, bool complement) {
  // All pairs: 0 <= r < Nq, 0 <= c < Nk.
  Conjunction pairs;
  for (bool isRow : {true, false}) {
    unsigned var = isRow ? vars.storageRow() : vars.storageCol();
    Row low, high;
    low.set(var, 1);
    high.set(var, -1);
    high.set(vars.symbol(isRow ? symNq : symNk), 1);
    high.constant = -1;
    pairs.rows.push_back(low);
    pairs.rows.push_back(high);
  }
  return expand(predicate, complement, {pairs}, conjunctions);
}
