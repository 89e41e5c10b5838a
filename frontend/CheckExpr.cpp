//===- CheckExpr.cpp - types, constants and bounds of expressions ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every integer carries the range of values it can take at run time. Positions
// are within 2^32, b and h within 2^31, table entries within int32, parameters
// within their bounds; an expression whose range leaves 64 bits is refused, so
// no graph overflows.
//
//===----------------------------------------------------------------------===//
#include "frontend/CheckerImpl.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include <cmath>

using namespace llvm;

namespace filigree::frontend {

static StringRef spell(Tok op) {
  switch (op) {
  case Tok::Plus:
    return "+";
  case Tok::Minus:
    return "-";
  case Tok::Star:
    return "*";
  case Tok::Slash:
    return "/";
  case Tok::Percent:
    return "%";
  case Tok::Amp:
    return "&";
  case Tok::Pipe:
    return "|";
  case Tok::AndAnd:
    return "&&";
  case Tok::OrOr:
    return "||";
  case Tok::Bang:
    return "!";
  case Tok::Tilde:
    return "~";
  default:
    return "?";
  }
}

static bool isGraph(const Expr &expr) {
  return expr.type == Type::Graph || expr.type == Type::Blocks;
}
static bool isNumber(const Expr &expr) {
  return expr.type == Type::Int || expr.type == Type::Float;
}

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

bool Checker::expectType(Expr &expr, Type type) {
  if (expr.type == type || (type == Type::Graph && isGraph(expr)))
    return true;
  if (expr.type != Type::Error)
    reporter.error(expr.range, "expected " + describe(type) + ", but got " +
                                   describe(expr.type));
  return false;
}

bool Checker::expectNumber(Expr &expr) {
  if (isNumber(expr))
    return true;
  if (expr.type != Type::Error)
    reporter.error(expr.range,
                   "expected a number, but got " + describe(expr.type));
  return false;
}

void Checker::setConstant(Expr &expr, Constant constant) {
  expr.type = constant.type;
  expr.constant = constant;
  if (constant.type == Type::Int)
    expr.bounds = {constant.integer, constant.integer};
}

/// Decimal digits of a 128-bit integer.
static std::string print(__int128 value) {
  bool isNegative = value < 0;
  std::string digits;
  do {
    int digit = int(value % 10);
    digits.push_back(char('0' + (digit < 0 ? -digit : digit)));
    value /= 10;
  } while (value != 0);
  if (isNegative)
    digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

/// Makes `expr` an integer with these values, unless they leave 64 bits.
bool Checker::setInt(Expr &expr, Range range) {
  if (range.lo < INT64_MIN || range.hi > INT64_MAX) {
    __int128 worst = range.hi > INT64_MAX ? range.hi : range.lo;
    reporter.error(SMRange(expr.loc, expr.loc),
                   "integer overflow: expected a value within 64 bits, but it "
                   "can be " +
                       print(worst));
    return false;
  }
  expr.type = Type::Int;
  expr.bounds = range;
  return true;
}

/// Makes `expr` a float; `value` if it is a constant.
void Checker::setFloat(Expr &expr, std::optional<double> value) {
  if (value && std::isnan(*value)) {
    reporter.error(expr.loc, "expected a number, but the result is undefined");
    return;
  }
  if (value && std::isfinite(*value) &&
      std::fabs(*value) > std::numeric_limits<float>::max()) {
    reporter.error(expr.loc, "expected a number in the range of f32, but got " +
                                 std::to_string(*value));
    return;
  }
  expr.type = Type::Float;
  if (value)
    expr.constant = Constant::ofFloat(*value);
}

void Checker::badOperands(BinaryExpr &expr, StringRef wanted) {
  if (expr.lhs->type == Type::Error || expr.rhs->type == Type::Error)
    return;
  // The operator of the other world.
  StringRef hint;
  bool graphs = isGraph(*expr.lhs) && isGraph(*expr.rhs);
  // In `i < 3 | j < 3` the operator stands between the numbers.
  bool conditions =
      (expr.lhs->type == Type::Bool && expr.rhs->type == Type::Bool) ||
      (place != Place::Top && !isGraph(*expr.lhs) && !isGraph(*expr.rhs));
  if (graphs && expr.op == Tok::AndAnd)
    hint = "; graphs intersect with `&`";
  else if (graphs && expr.op == Tok::OrOr)
    hint = "; graphs unite with `|`";
  else if (conditions && expr.op == Tok::Amp)
    hint = "; conditions join with `&&`";
  else if (conditions && expr.op == Tok::Pipe)
    hint = "; conditions join with `||`";
  reporter.error(SMRange(expr.loc, expr.loc),
                 "expected " + wanted + " around `" + spell(expr.op) +
                     "`, but got " + describe(expr.lhs->type) + " and " +
                     describe(expr.rhs->type) + hint);
}

/// Graphs hold integers only.
void Checker::checkFloatInGraph(Expr &expr) {
  bool isFloat = expr.type == Type::Float || expr.usesFloat;
  if (place != Place::Predicate || !isFloat || expr.constant)
    return;
  reporter.error(expr.range,
                 "expected integer arithmetic in a graph, but got a float");
  expr.type = Type::Error;
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

void Checker::checkExpr(Expr &expr) {
  checkKind(expr);
  expr.usesFloat |= expr.type == Type::Float && !expr.constant;
  forEachChild(expr,
               [&](const Expr &child) { expr.usesFloat |= child.usesFloat; });
}

void Checker::checkKind(Expr &expr) {
  switch (expr.kind) {
  case ExprKind::Literal:
    return setConstant(expr, *expr.constant);
  case ExprKind::Name:
    return checkName(cast<NameExpr>(expr));
  case ExprKind::Unary:
    return checkUnary(cast<UnaryExpr>(expr));
  case ExprKind::Binary:
    return checkBinary(cast<BinaryExpr>(expr));
  case ExprKind::Compare:
    return checkCompare(cast<CompareExpr>(expr));
  case ExprKind::Call:
    return checkCall(cast<CallExpr>(expr));
  case ExprKind::Index:
    return checkIndex(cast<IndexExpr>(expr));
  case ExprKind::Where:
    return checkWhere(cast<WhereExpr>(expr));
  case ExprKind::Edge:
    return checkEdge(cast<EdgeExpr>(expr));
  case ExprKind::Tuple:
    reporter.error(expr.range, "expected one expression, but got a list; lists "
                               "stand after `documents:` only");
    return;
  }
}

void Checker::checkUnary(UnaryExpr &expr) {
  Expr &operand = *expr.operand;
  checkExpr(operand);
  switch (expr.op) {
  case Tok::Tilde:
    if (operand.type == Type::Bool)
      reporter.error(operand.range, "expected a graph after `~`, but got a "
                                    "condition; not is spelled `!`");
    else if (expectType(operand, Type::Graph))
      expr.type = Type::Graph;
    return;
  case Tok::Bang:
    if (isGraph(operand))
      reporter.error(operand.range, "expected a condition after `!`, but got a "
                                    "graph; the complement is spelled `~`");
    else if (expectType(operand, Type::Bool)) {
      expr.type = Type::Bool;
      if (operand.constant)
        expr.constant = Constant::ofBool(!operand.constant->truth);
    }
    return;
  default:
    break;
  }
  if (!expectNumber(operand))
    return;
  if (operand.type == Type::Float)
    return setFloat(expr, operand.constant
                              ? std::optional(-operand.constant->real)
                              : std::nullopt);
  if (setInt(expr, {-operand.bounds.hi, -operand.bounds.lo}) &&
      operand.constant)
    expr.constant = Constant::ofInt(int64_t(expr.bounds.lo));
}

void Checker::checkBinary(BinaryExpr &expr) {
  checkExpr(*expr.lhs);
  checkExpr(*expr.rhs);
  const Expr &lhs = *expr.lhs, &rhs = *expr.rhs;
  bool graphs = isGraph(lhs) && isGraph(rhs);
  switch (expr.op) {
  case Tok::AndAnd:
  case Tok::OrOr:
    if (lhs.type != Type::Bool || rhs.type != Type::Bool)
      return badOperands(expr, "two conditions");
    expr.type = Type::Bool;
    if (lhs.constant && rhs.constant)
      expr.constant = Constant::ofBool(
          expr.op == Tok::AndAnd ? lhs.constant->truth && rhs.constant->truth
                                 : lhs.constant->truth || rhs.constant->truth);
    return;
  case Tok::Amp:
  case Tok::Pipe:
    if (!graphs)
      return badOperands(expr, "two graphs");
    expr.type = Type::Graph;
    return;
  default:
    break;
  }
  if (graphs && expr.op == Tok::Minus) {
    expr.type = Type::Graph;
    return;
  }
  if (!isNumber(lhs) || !isNumber(rhs))
    return badOperands(expr, expr.op == Tok::Minus ? "two numbers or two graphs"
                                                   : "two numbers");
  if (lhs.type == Type::Int && rhs.type == Type::Int)
    return checkIntArithmetic(expr);
  checkFloatArithmetic(expr);
  checkFloatInGraph(expr);
}

static __int128 floorDiv(__int128 a, __int128 b) {
  __int128 q = a / b;
  return q - (a % b < 0 ? 1 : 0);
}

void Checker::checkIntArithmetic(BinaryExpr &expr) {
  const Expr &lhs = *expr.lhs, &rhs = *expr.rhs;
  Range a = lhs.bounds, b = rhs.bounds, r;
  switch (expr.op) {
  case Tok::Plus:
    r = {a.lo + b.lo, a.hi + b.hi};
    break;
  case Tok::Minus:
    r = {a.lo - b.hi, a.hi - b.lo};
    break;
  case Tok::Star: {
    if (place != Place::Edge && !lhs.constant && !rhs.constant) {
      reporter.error(SMRange(expr.loc, expr.loc),
                     "expected a constant factor, but neither side of `*` is "
                     "known when the pattern is compiled");
      return;
    }
    auto all = {a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi};
    r = {std::min(all), std::max(all)};
    break;
  }
  default: {
    if (!rhs.constant || rhs.constant->integer <= 0) {
      reporter.error(rhs.range,
                     "expected a positive constant divisor, but got " +
                         (!rhs.constant ? "a value known at run time"
                          : rhs.constant->integer == 0
                              ? "0: division by zero"
                              : std::to_string(rhs.constant->integer)));
      return;
    }
    __int128 divisor = rhs.constant->integer;
    if (expr.op == Tok::Slash)
      r = {floorDiv(a.lo, divisor), floorDiv(a.hi, divisor)};
    else if (lhs.constant)
      r.lo = r.hi = a.lo - floorDiv(a.lo, divisor) * divisor;
    else
      r = {0, divisor - 1};
  }
  }
  if (setInt(expr, r) && lhs.constant && rhs.constant)
    expr.constant = Constant::ofInt(int64_t(r.lo));
}

void Checker::checkFloatArithmetic(BinaryExpr &expr) {
  const auto &lhs = expr.lhs->constant, &rhs = expr.rhs->constant;
  if (expr.op == Tok::Percent)
    return badOperands(expr, "two integers");
  if (expr.op == Tok::Slash && rhs && rhs->asReal() == 0) {
    reporter.error(expr.rhs->range,
                   "expected a divisor other than 0: division by zero");
    return;
  }
  if (!lhs || !rhs)
    return setFloat(expr, std::nullopt);
  double a = lhs->asReal(), b = rhs->asReal();
  setFloat(expr, expr.op == Tok::Plus    ? a + b
                 : expr.op == Tok::Minus ? a - b
                 : expr.op == Tok::Star  ? a * b
                                         : a / b);
}

static bool holds(Tok op, double a, double b) {
  switch (op) {
  case Tok::Less:
    return a < b;
  case Tok::LessEqual:
    return a <= b;
  case Tok::Greater:
    return a > b;
  case Tok::GreaterEqual:
    return a >= b;
  case Tok::Equal:
    return a == b;
  default:
    return a != b;
  }
}

static bool holds(Tok op, int64_t a, int64_t b) {
  switch (op) {
  case Tok::Less:
    return a < b;
  case Tok::LessEqual:
    return a <= b;
  case Tok::Greater:
    return a > b;
  case Tok::GreaterEqual:
    return a >= b;
  case Tok::Equal:
    return a == b;
  default:
    return a != b;
  }
}

void Checker::checkCompare(CompareExpr &expr) {
  bool ok = true, allConstant = true, anyFloat = false;
  for (Expr *operand : expr.operands) {
    checkExpr(*operand);
    ok &= expectNumber(*operand);
    allConstant &= operand->constant.has_value();
    anyFloat |= operand->type == Type::Float;
  }
  if (!ok)
    return;
  if (anyFloat && !allConstant && place == Place::Predicate) {
    for (Expr *operand : expr.operands)
      if (operand->type == Type::Float) {
        reporter.error(operand->range, "expected integer arithmetic in a "
                                       "graph, but got a float");
        return;
      }
  }
  expr.type = Type::Bool;
  if (!allConstant)
    return;
  bool truth = true;
  for (auto [index, op] : enumerate(expr.ops)) {
    const Constant &a = *expr.operands[index]->constant;
    const Constant &b = *expr.operands[index + 1]->constant;
    truth &= a.type == Type::Int && b.type == Type::Int
                 ? holds(op, a.integer, b.integer)
                 : holds(op, a.asReal(), b.asReal());
  }
  expr.constant = Constant::ofBool(truth);
}

//===----------------------------------------------------------------------===//
// Tables and bodies
//===----------------------------------------------------------------------===//

static constexpr StringLiteral kAxisNames[] = {"b", "h",   "i",
                                               "j", "doc", "page"};

void Checker::checkIndex(IndexExpr &expr) {
  expr.decl = lookUp(expr.table);
  for (Expr *index : expr.indices)
    checkExpr(*index);
  if (!expr.decl)
    return unknownName(expr.table, /*asFunction=*/false);
  Decl &decl = *expr.decl;
  if (decl.type == Type::Error)
    return;
  if (decl.type != Type::IntTable && decl.type != Type::FloatTable) {
    reporter.error(expr.table.range, "expected a table before `[`, but `" +
                                         decl.name + "` is " +
                                         describe(decl.type));
    return;
  }
  if (is_contained(decl.axes, Axis::Doc)) {
    reporter.error(expr.range, "expected `" + decl.name +
                                   "` after `documents:` or `paged:` only, as "
                                   "its axis is `doc`");
    return;
  }
  if (is_contained(decl.axes, Axis::Page)) {
    reporter.error(expr.range, "expected `" + decl.name +
                                   "` after `paged:` only, as it is a page "
                                   "table");
    return;
  }
  if (expr.indices.size() != decl.axes.size()) {
    reporter.error(expr.range, "expected " + Twine(decl.axes.size()) +
                                   " indices of `" + decl.name + "`, but got " +
                                   Twine(expr.indices.size()));
    reporter.note(decl.nameRange, "it is declared here");
    return;
  }
  for (auto [index, axis] : zip(expr.indices, decl.axes)) {
    if (index->type == Type::Error)
      return;
    auto *name = dyn_cast<NameExpr>(index);
    if (name && name->decl && name->decl->kind == DeclKind::Variable &&
        name->decl->position == unsigned(axis))
      continue;
    reporter.error(index->range, "expected the variable of axis `" +
                                     kAxisNames[unsigned(axis)] +
                                     "` as index of `" + decl.name +
                                     "`, but got another expression");
    return;
  }
  if (decl.type == Type::IntTable) {
    setInt(expr, {INT32_MIN, INT32_MAX});
    return;
  }
  expr.type = Type::Float;
  checkFloatInGraph(expr);
}

void Checker::checkWhere(WhereExpr &expr) {
  if (place != Place::Top) {
    reporter.error(SMRange(expr.loc, expr.loc),
                   "expected no graph inside a graph or an edge; name it with "
                   "`let` and combine graphs with `|`, `&`, `-`, `~`");
    return;
  }
  checkBody(expr.variables, expr.body, Place::Predicate);
  if (expectType(*expr.body.value, Type::Bool))
    expr.type = Type::Graph;
}

void Checker::checkEdge(EdgeExpr &expr) {
  if (place != Place::Top) {
    reporter.error(SMRange(expr.loc, expr.loc),
                   "expected no edge inside a graph or an edge");
    return;
  }
  checkBody(expr.variables, expr.body, Place::Edge);
  if (expectNumber(*expr.body.value))
    expr.type = Type::Edge;
}

/// Checks a body with its variables and lets in scope, then forgets them.
void Checker::checkBody(ArrayRef<Decl *> variables, Block &body, Place inside) {
  Place outside = std::exchange(place, inside);
  SmallVector<Decl *> local;
  auto add = [&](Decl &decl) {
    declare(decl);
    if (names.lookup(decl.name) == &decl)
      local.push_back(&decl);
  };
  scope_exit leave([&] {
    for (Decl *decl : local)
      names.erase(decl->name);
    place = outside;
  });
  for (Decl *decl : variables) {
    decl->type = decl->position == 4 ? Type::Float : Type::Int;
    if (decl->position < 2)
      decl->bounds = {0, INT32_MAX};
    else
      decl->bounds = {-kMaxPosition, kMaxPosition};
    decl->isChecked = true;
    add(*decl);
  }
  for (Decl *decl : body.lets) {
    checkExpr(*decl->init);
    decl->isChecked = true;
    if (expectScalar(*decl->init)) {
      decl->type = decl->init->type;
      decl->constant = decl->init->constant;
      decl->bounds = decl->init->bounds;
    }
    add(*decl);
  }
  checkExpr(*body.value);
}

bool Checker::expectScalar(Expr &expr) {
  if (isNumber(expr) || expr.type == Type::Bool)
    return true;
  if (expr.type != Type::Error)
    reporter.error(expr.range, "expected a number or a condition, but got " +
                                   describe(expr.type));
  return false;
}

} // namespace filigree::frontend
