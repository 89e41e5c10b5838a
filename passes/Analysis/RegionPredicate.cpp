//===- RegionPredicate.cpp - from the body of a mask to a Predicate ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Analysis/RegionPredicate.h"
#include "dialect/Attn/Attn.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace filigree;

namespace {

class Converter {
public:
  Converter(Block &body, OffsetKind offset,
            llvm::function_ref<SymbolInfo(Value)> boundsOf)
      : body(body), boundsOf(boundsOf) {
    if (offset == OffsetKind::TopLeft)
      result.domain.qOffset = IntExpr(0);
    if (offset == OffsetKind::Table) {
      result.domain.qOffset = result.domain.addSymbol("offset");
      result.symbols.push_back(Value());
    }
  }

  RegionPredicate run() {
    // In order, so that nothing recurses deeper than one operation and what
    // many operations use is converted once.
    for (Operation &op : body.without_terminator()) {
      if (isa<attn::LookupOp>(op))
        continue; // a symbol, where it is used
      bool isCondition = op.getResult(0).getType().isInteger(1);
      unsigned size = isCondition ? condition(op.getResult(0)).size()
                                  : integer(op.getResult(0)).size();
      if (size > RegionPredicate::kMostNodes) {
        result.tooLarge = true;
        break;
      }
    }
    if (!result.tooLarge)
      result.predicate = condition(body.getTerminator()->getOperand(0));
    return std::move(result);
  }

private:
  IntExpr integer(Value value) {
    auto known = integers.find(value);
    if (known != integers.end())
      return known->second;
    IntExpr expr = convertInteger(value);
    integers[value] = expr;
    return expr;
  }

  Predicate condition(Value value) {
    auto known = conditions.find(value);
    if (known != conditions.end())
      return known->second;
    Predicate predicate = convertCondition(value);
    conditions.try_emplace(value, predicate);
    return predicate;
  }

  IntExpr symbolOf(Value value) {
    IntExpr &expr = symbols[value];
    if (!expr) {
      SymbolInfo info = boundsOf(value);
      expr = result.domain.addSymbol(info.name, info.lo, info.hi);
      result.symbols.push_back(value);
    }
    return expr;
  }

  /// A lookup is one symbol per table and index list.
  IntExpr lookup(attn::LookupOp op) {
    for (Value known : result.symbols)
      if (auto other = known ? known.getDefiningOp<attn::LookupOp>() : nullptr)
        if (other.getTable() == op.getTable() &&
            other.getIndices() == op.getIndices())
          return symbolOf(known);
    return symbolOf(op.getResult());
  }

  IntExpr convertInteger(Value value) {
    APInt constant;
    if (matchPattern(value, m_ConstantInt(&constant)))
      return IntExpr(constant.getSExtValue());
    if (auto argument = dyn_cast<BlockArgument>(value))
      if (argument.getOwner() == &body && argument.getArgNumber() >= 2)
        return argument.getArgNumber() == 2 ? IntExpr::row() : IntExpr::col();
    Operation *op = value.getDefiningOp();
    if (!op || op->getBlock() != &body)
      return symbolOf(value);
    auto constantOf = [&](Value v) -> std::optional<int64_t> {
      APInt c;
      if (matchPattern(v, m_ConstantInt(&c)))
        return c.getSExtValue();
      return std::nullopt;
    };
    return llvm::TypeSwitch<Operation *, IntExpr>(op)
        .Case([&](arith::AddIOp o) {
          return integer(o.getLhs()) + integer(o.getRhs());
        })
        .Case([&](arith::SubIOp o) {
          return integer(o.getLhs()) - integer(o.getRhs());
        })
        .Case([&](arith::MulIOp o) {
          if (auto c = constantOf(o.getRhs()))
            return integer(o.getLhs()).times(*c);
          return integer(o.getRhs()).times(*constantOf(o.getLhs()));
        })
        .Case([&](arith::FloorDivSIOp o) {
          return integer(o.getLhs()).floorDiv(*constantOf(o.getRhs()));
        })
        .Case([&](attn::ModOp o) {
          return integer(o.getDividend()).mod(*constantOf(o.getDivisor()));
        })
        .Case([&](attn::LookupOp o) { return lookup(o); })
        .Default([&](Operation *) { return symbolOf(value); });
  }

  Predicate convertCondition(Value value) {
    APInt constant;
    if (matchPattern(value, m_ConstantInt(&constant)))
      return Predicate::constant(!constant.isZero());
    Operation *op = value.getDefiningOp();
    return llvm::TypeSwitch<Operation *, Predicate>(op)
        .Case([&](arith::AndIOp o) {
          return condition(o.getLhs()) & condition(o.getRhs());
        })
        .Case([&](arith::OrIOp o) {
          return condition(o.getLhs()) | condition(o.getRhs());
        })
        .Case([&](arith::XOrIOp o) {
          Predicate a = condition(o.getLhs()), b = condition(o.getRhs());
          if (b.kind() == Predicate::Kind::True)
            return !a;
          if (a.kind() == Predicate::Kind::True)
            return !b;
          return (a & !b) | (!a & b);
        })
        .Case([&](arith::CmpIOp o) { return compare(o); });
  }

  Predicate compare(arith::CmpIOp op) {
    using Relation = Predicate::Relation;
    if (op.getLhs().getType().isInteger(1)) {
      Predicate a = condition(op.getLhs()), b = condition(op.getRhs());
      Predicate differ = (a & !b) | (!a & b);
      return op.getPredicate() == arith::CmpIPredicate::eq ? !differ : differ;
    }
    Relation relation;
    switch (op.getPredicate()) {
    case arith::CmpIPredicate::eq:
      relation = Relation::EQ;
      break;
    case arith::CmpIPredicate::ne:
      relation = Relation::NE;
      break;
    case arith::CmpIPredicate::slt:
    case arith::CmpIPredicate::ult:
      relation = Relation::LT;
      break;
    case arith::CmpIPredicate::sle:
    case arith::CmpIPredicate::ule:
      relation = Relation::LE;
      break;
    case arith::CmpIPredicate::sgt:
    case arith::CmpIPredicate::ugt:
      relation = Relation::GT;
      break;
    default:
      relation = Relation::GE;
      break;
    }
    return Predicate::compare(relation, integer(op.getLhs()),
                              integer(op.getRhs()));
  }

  Block &body;
  llvm::function_ref<SymbolInfo(Value)> boundsOf;
  RegionPredicate result;
  llvm::DenseMap<Value, IntExpr> symbols, integers;
  llvm::DenseMap<Value, Predicate> conditions;
};

} // namespace

RegionPredicate
filigree::predicateOf(Block &body, OffsetKind offset,
                      llvm::function_ref<SymbolInfo(Value)> boundsOf) {
  return Converter(body, offset, boundsOf).run();
}
