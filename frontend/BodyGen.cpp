//===- BodyGen.cpp - conditions and edges ---------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/BodyGen.h"
#include "frontend/Builtins.h"
#include "llvm/ADT/DenseSet.h"

using namespace llvm;
using mlir::Value;
using mlir::arith::CmpFPredicate;

namespace filigree::frontend {

//===----------------------------------------------------------------------===//
// Whole bodies
//===----------------------------------------------------------------------===//

Bool BodyGen::generateCondition(ArrayRef<Decl *> variables,
                                const Block &block) {
  generateLets(variables, block);
  return toBool(*block.value);
}

Float BodyGen::generateEdge(ArrayRef<Decl *> variables, const Block &block) {
  generateLets(variables, block);
  return toFloat(*block.value);
}

/// The pattern's numbers and conditions that a body needs, also through others.
static DenseSet<const Decl *> findNeeded(const Block &block) {
  DenseSet<const Decl *> needed;
  SmallVector<const Expr *> work = {block.value};
  for (const Decl *decl : block.lets)
    work.push_back(decl->init);
  while (!work.empty()) {
    const Expr *expr = work.pop_back_val();
    auto *name = dyn_cast<NameExpr>(expr);
    if (name && name->decl && name->decl->kind == DeclKind::Let &&
        needed.insert(name->decl).second)
      work.push_back(name->decl->init);
    forEachChild(*expr, [&](const Expr &child) { work.push_back(&child); });
  }
  return needed;
}

/// Variables, then the pattern's numbers and conditions, then the body's lets.
/// In order, so that no chain of lets is walked recursively.
void BodyGen::generateLets(ArrayRef<Decl *> variables, const Block &block) {
  const Int *indices[] = {&body.b, &body.h, &body.i, &body.j};
  for (const Decl *decl : variables) {
    if (decl->position == 4)
      scalars.try_emplace(decl, body.s);
    else
      scalars.try_emplace(decl, *indices[decl->position]);
  }
  DenseSet<const Decl *> needed = findNeeded(block);
  for (ArrayRef<Decl *> lets : {pattern.lets, block.lets})
    for (const Decl *decl : lets)
      if (!decl->constant && needed.contains(decl))
        scalars.try_emplace(decl, generate(*decl->init));
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

Int BodyGen::toInt(const Expr &expr) { return std::get<Int>(generate(expr)); }

Bool BodyGen::toBool(const Expr &expr) {
  return std::get<Bool>(generate(expr));
}

Float BodyGen::toFloat(const Expr &expr) {
  Scalar scalar = generate(expr);
  if (auto *integer = std::get_if<Int>(&scalar))
    return Float(*integer);
  return std::get<Float>(scalar);
}

BodyGen::Scalar BodyGen::generate(const Expr &expr) {
  if (expr.constant) {
    const Constant &constant = *expr.constant;
    if (constant.type == Type::Int)
      return Int(constant.integer);
    if (constant.type == Type::Float)
      return Float(constant.real);
    return Bool(constant.truth);
  }
  switch (expr.kind) {
  case ExprKind::Name:
    return generateName(cast<NameExpr>(expr));
  case ExprKind::Unary:
    return generateUnary(cast<UnaryExpr>(expr));
  case ExprKind::Binary:
    return generateBinary(cast<BinaryExpr>(expr));
  case ExprKind::Compare:
    return generateCompare(cast<CompareExpr>(expr));
  case ExprKind::Call:
    return generateCall(cast<CallExpr>(expr));
  case ExprKind::Index:
    return generateIndex(cast<IndexExpr>(expr));
  default:
    llvm_unreachable("the checker lets no other expression into a body");
  }
}

BodyGen::Scalar BodyGen::generateName(const NameExpr &expr) {
  auto found = scalars.find(expr.decl);
  if (found != scalars.end())
    return found->second;
  Value argument = arguments.lookup(expr.decl);
  if (expr.type == Type::Int)
    return body.useInt(argument);
  return body.useFloat(argument);
}

BodyGen::Scalar BodyGen::generateUnary(const UnaryExpr &expr) {
  Scalar operand = generate(*expr.operand);
  at(expr.loc);
  if (expr.op == Tok::Bang)
    return !std::get<Bool>(operand);
  if (auto *integer = std::get_if<Int>(&operand))
    return -*integer;
  return -std::get<Float>(operand);
}

BodyGen::Scalar BodyGen::generateBinary(const BinaryExpr &expr) {
  if (expr.type == Type::Bool) {
    Bool lhs = toBool(*expr.lhs), rhs = toBool(*expr.rhs);
    at(expr.loc);
    return expr.op == Tok::AndAnd ? lhs && rhs : lhs || rhs;
  }
  if (expr.type == Type::Int) {
    Int lhs = toInt(*expr.lhs), rhs = toInt(*expr.rhs);
    at(expr.loc);
    switch (expr.op) {
    case Tok::Plus:
      return lhs + rhs;
    case Tok::Minus:
      return lhs - rhs;
    case Tok::Star:
      return lhs * rhs;
    case Tok::Slash:
      return floorDiv(lhs, *rhs.getConstant());
    default:
      return mod(lhs, *rhs.getConstant());
    }
  }
  Float lhs = toFloat(*expr.lhs), rhs = toFloat(*expr.rhs);
  at(expr.loc);
  switch (expr.op) {
  case Tok::Plus:
    return lhs + rhs;
  case Tok::Minus:
    return lhs - rhs;
  case Tok::Star:
    return lhs * rhs;
  default:
    return lhs / rhs;
  }
}

static Bool compareInts(Tok op, const Int &a, const Int &b) {
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

/// False where a side is not a number, except `!=`.
static CmpFPredicate getFloatPredicate(Tok op) {
  switch (op) {
  case Tok::Less:
    return CmpFPredicate::OLT;
  case Tok::LessEqual:
    return CmpFPredicate::OLE;
  case Tok::Greater:
    return CmpFPredicate::OGT;
  case Tok::GreaterEqual:
    return CmpFPredicate::OGE;
  case Tok::Equal:
    return CmpFPredicate::OEQ;
  default:
    return CmpFPredicate::UNE;
  }
}

Bool BodyGen::generateCompare(const CompareExpr &expr) {
  SmallVector<Scalar> operands;
  for (const Expr *operand : expr.operands)
    operands.push_back(generate(*operand));
  at(expr.loc);
  auto toFloat = [](const Scalar &scalar) {
    auto *integer = std::get_if<Int>(&scalar);
    return integer ? Float(*integer) : std::get<Float>(scalar);
  };
  Bool result = true;
  for (auto [index, op] : enumerate(expr.ops)) {
    const Scalar &a = operands[index], &b = operands[index + 1];
    bool ints =
        std::holds_alternative<Int>(a) && std::holds_alternative<Int>(b);
    result = result &&
             (ints ? compareInts(op, std::get<Int>(a), std::get<Int>(b))
                   : compare(getFloatPredicate(op), toFloat(a), toFloat(b)));
  }
  return result;
}

BodyGen::Scalar BodyGen::generateIndex(const IndexExpr &expr) {
  SmallVector<Int> indices;
  for (const Expr *index : expr.indices)
    indices.push_back(toInt(*index));
  at(expr.loc);
  Value table = arguments.lookup(expr.decl);
  if (expr.type == Type::Int)
    return body.lookupInt(table, indices);
  return body.lookupFloat(table, indices);
}

BodyGen::Scalar BodyGen::generateCall(const CallExpr &call) {
  BuiltinKind kind = call.builtin->kind;
  auto arg = [&](unsigned index) -> const Expr & {
    return *call.args[index].value;
  };
  if (kind == BuiltinKind::Alibi) {
    at(call.loc);
    Value slopes = arguments.lookup(cast<NameExpr>(arg(0)).decl);
    return body.lookupFloat(slopes, {body.h}) * Float(body.j - body.i);
  }
  if (kind == BuiltinKind::Where) {
    Bool condition = toBool(arg(0));
    if (call.type == Type::Bool) {
      Bool a = toBool(arg(1)), b = toBool(arg(2));
      at(call.loc);
      return choose(condition, a, b);
    }
    if (call.type == Type::Int) {
      Int a = toInt(arg(1)), b = toInt(arg(2));
      at(call.loc);
      return choose(condition, a, b);
    }
    Float a = toFloat(arg(1)), b = toFloat(arg(2));
    at(call.loc);
    return choose(condition, a, b);
  }
  if (call.type == Type::Int) {
    Int result = toInt(arg(0));
    if (kind == BuiltinKind::Abs) {
      at(call.loc);
      return abs(result);
    }
    for (unsigned index = 1; index < call.args.size(); ++index) {
      Int next = toInt(arg(index));
      at(call.loc);
      result = kind == BuiltinKind::Min ? min(result, next) : max(result, next);
    }
    return result;
  }
  Float result = toFloat(arg(0));
  if (kind == BuiltinKind::Min || kind == BuiltinKind::Max) {
    for (unsigned index = 1; index < call.args.size(); ++index) {
      Float next = toFloat(arg(index));
      at(call.loc);
      result = kind == BuiltinKind::Min ? min(result, next) : max(result, next);
    }
    return result;
  }
  if (kind == BuiltinKind::Softcap) {
    Float cap = toFloat(arg(1));
    at(call.loc);
    return softcap(result, cap);
  }
  at(call.loc);
  switch (kind) {
  case BuiltinKind::Abs:
    return abs(result);
  case BuiltinKind::Exp:
    return exp(result);
  case BuiltinKind::Log:
    return log(result);
  case BuiltinKind::Sqrt:
    return sqrt(result);
  case BuiltinKind::Tanh:
    return tanh(result);
  default:
    return result; // float(x)
  }
}

} // namespace filigree::frontend
