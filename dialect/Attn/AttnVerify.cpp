//===- AttnVerify.cpp - the constraints of SPEC.md, checked ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each check carries the number of its constraint; the tests are named after
// it. What the .td files already guarantee is not checked again.
//
//===----------------------------------------------------------------------===//
#include "dialect/Attn/Attn.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace filigree::attn;

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

/// The block must take `numF32` f32 arguments (0 or 1), then b, h, i, j as i64.
static LogicalResult verifyBodyArguments(Operation *op, Block &body,
                                         bool takesLogit) {
  SmallVector<Type> want;
  if (takesLogit)
    want.push_back(Float32Type::get(op->getContext()));
  want.append(4, IntegerType::get(op->getContext(), 64));
  if (body.getArgumentTypes() != TypeRange(want))
    return op->emitOpError("expected body arguments (")
           << TypeRange(want) << "), but got (" << body.getArgumentTypes()
           << ")";
  return success();
}

static LogicalResult verifyYield(Operation *op, Block &body, Type want) {
  auto yield = cast<YieldOp>(body.getTerminator());
  if (yield.getValues().size() != 1 ||
      yield.getValues().front().getType() != want)
    return op->emitOpError("expected the body to yield one ")
           << want << ", but it yields (" << yield.getOperandTypes() << ")";
  return success();
}

/// True if `value` is a constant > 0.
static bool isPositiveConstant(Value value) {
  APInt constant;
  return matchPattern(value, m_ConstantInt(&constant)) &&
         constant.isStrictlyPositive();
}

/// Integer arithmetic a predicate may use.
static LogicalResult verifyPredicateOp(Operation *parent, Operation &op) {
  if (isa<arith::ConstantOp, arith::AddIOp, arith::SubIOp, arith::AndIOp,
          arith::OrIOp, arith::XOrIOp, arith::CmpIOp, YieldOp>(op))
    return success();
  if (isa<arith::MulIOp>(op)) /*C2*/ {
    APInt ignored;
    if (matchPattern(op.getOperand(0), m_ConstantInt(&ignored)) ||
        matchPattern(op.getOperand(1), m_ConstantInt(&ignored)))
      return success();
    return op.emitOpError("expected a constant factor in a predicate, but "
                          "neither operand is constant");
  }
  if (isa<arith::FloorDivSIOp, ModOp>(op)) /*C3*/ {
    if (isPositiveConstant(op.getOperand(1)))
      return success();
    return op.emitOpError("expected a positive constant divisor");
  }
  if (auto lookup = dyn_cast<LookupOp>(op)) /*C4*/ {
    if (lookup.getValue().getType().isInteger(64))
      return success();
    return op.emitOpError("expected an integer table in a predicate, but got ")
           << lookup.getTable().getType();
  }
  InFlightDiagnostic error = /*C1*/
      op.emitOpError("is not allowed in a predicate: expected integer "
                     "arithmetic, comparisons, and, or, xor");
  error.attachNote(parent->getLoc()) << "the predicate is here";
  return error;
}

//===----------------------------------------------------------------------===//
// where
//===----------------------------------------------------------------------===//

LogicalResult WhereOp::verify() { return success(); }

LogicalResult WhereOp::verifyRegions() {
  Block &body = getBody().front();
  if (failed(verifyBodyArguments(*this, body, /*takesLogit=*/false)) ||
      failed(verifyYield(*this, body, IntegerType::get(getContext(), 1))))
    return failure();
  for (Operation &op : body)
    if (failed(verifyPredicateOp(*this, op)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// blocks
//===----------------------------------------------------------------------===//

LogicalResult BlocksOp::verify() {
  if (int64_t(getBlockRows()) < 1) /*C1*/
    return emitOpError("expected at least 1 row in a block, but got ")
           << int64_t(getBlockRows());
  if (int64_t(getBlockCols()) < 1) /*C2*/
    return emitOpError("expected at least 1 column in a block, but got ")
           << int64_t(getBlockCols());
  return success();
}

//===----------------------------------------------------------------------===//
// lookup
//===----------------------------------------------------------------------===//

LogicalResult LookupOp::verify() {
  auto table = cast<RankedTensorType>(getTable().getType());
  bool isBias = isa<FloatType>(table.getElementType());
  if (!isBias && !table.getElementType().isInteger(32)) /*C1*/
    return emitOpError("expected a table of i32, f32, bf16 or f16, but got ")
           << table;
  if (table.getRank() != int64_t(getIndices().size())) /*C2*/
    return emitOpError("expected ")
           << table.getRank() << " indices, but got " << getIndices().size();
  if (table.getRank() < 1 || table.getRank() > (isBias ? 4 : 2)) /*C2*/
    return emitOpError("expected a table of rank 1 to ")
           << (isBias ? 4 : 2) << ", but got " << table;
  if (isBias != getValue().getType().isF32()) /*C3*/
    return emitOpError("expected a value of type ")
           << (isBias ? "f32" : "i64") << ", but got " << getValue().getType();
  // Within a body the last four arguments are b, h, i, j.
  auto parent = (*this)->getParentOp();
  Block *body = (*this)->getBlock();
  if (!parent || !isa<WhereOp, SourceOp>(parent) ||
      body->getNumArguments() < 4) /*C4*/
    return emitOpError("expected to stand in the body of a graph or an edge");
  unsigned first = body->getNumArguments() - 4;
  for (Value index : getIndices()) {
    auto argument = dyn_cast<BlockArgument>(index);
    if (!argument || argument.getOwner() != body ||
        argument.getArgNumber() < first) /*C4*/
      return emitOpError("expected indices out of the body's b, h, i, j");
    if (!isBias && argument.getArgNumber() >= first + 2) /*C4*/
      return emitOpError("expected an integer table to be indexed by b and h "
                         "only");
  }
  return success();
}

//===----------------------------------------------------------------------===//
// source, attend, finalize
//===----------------------------------------------------------------------===//

LogicalResult SourceOp::verify() {
  auto key = cast<RankedTensorType>(getKey().getType());
  auto value = cast<RankedTensorType>(getValue().getType());
  for (int64_t axis : {0, 1, 2}) /*C1*/
    if (failed(verifyCompatibleShape({key.getDimSize(axis)},
                                     {value.getDimSize(axis)})))
      return emitOpError("expected `key` and `value` to agree in extent ")
             << axis << ", but got " << key << " and " << value;
  for (auto [name, type] : {std::pair<StringRef, RankedTensorType>{"key", key},
                            {"value", value}})
    if (type.isDynamicDim(3) || type.getDimSize(3) < 1) /*C2*/
      return emitOpError("expected a static head size of `")
             << name << "`, but got " << type;
  return success();
}

LogicalResult SourceOp::verifyRegions() {
  if (getEdge().empty())
    return success();
  Block &body = getEdge().front();
  if (failed(verifyBodyArguments(*this, body, /*takesLogit=*/true)) || /*C3*/
      failed(verifyYield(*this, body, Float32Type::get(getContext()))))
    return failure();
  for (Operation &op : body) {
    bool isScalar = isa<YieldOp, LookupOp, ModOp>(op) ||
                    (isa<arith::ArithDialect, math::MathDialect>(
                         op.getDialect()) &&
                     OpTrait::hasElementwiseMappableTraits(&op)) ||
                    isa<arith::ConstantOp>(op);
    if (!isScalar) { /*C4*/
      InFlightDiagnostic error = op.emitOpError(
          "is not allowed in an edge: expected scalar arithmetic");
      error.attachNote(getLoc()) << "the source is here";
      return error;
    }
    if (isa<arith::FloorDivSIOp, ModOp>(op) &&
        !isPositiveConstant(op.getOperand(1))) /*C5*/
      return op.emitOpError("expected a positive constant divisor");
  }
  return success();
}

LogicalResult AttendOp::verify() {
  if (getSources().empty()) /*C1*/
    return emitOpError("expected at least one source");
  auto query = cast<RankedTensorType>(getQuery().getType());
  int64_t valueDim = getPartial().getType().getValueDim();
  for (auto [index, source] : llvm::enumerate(getSources())) {
    auto op = source.getDefiningOp<SourceOp>();
    if (!op) /*C2*/
      return emitOpError("expected source ")
             << index << " to be made by `attn.source`";
    auto key = cast<RankedTensorType>(op.getKey().getType());
    auto value = cast<RankedTensorType>(op.getValue().getType());
    if (key.getDimSize(3) != query.getDimSize(3)) /*C3*/ {
      InFlightDiagnostic error = emitOpError("expected `key` head size ")
                                 << query.getDimSize(3) << ", but got "
                                 << key.getDimSize(3);
      error.attachNote(op.getLoc()) << "source " << index << " is here";
      return error;
    }
    if (value.getDimSize(3) != valueDim) /*C4*/ {
      InFlightDiagnostic error = emitOpError("expected `value` head size ")
                                 << valueDim << ", but got "
                                 << value.getDimSize(3);
      error.attachNote(op.getLoc()) << "source " << index << " is here";
      return error;
    }
  }
  if (bool(getCuQuery()) != bool(getCuKey())) /*C5*/
    return emitOpError("expected both cumulative length tensors or neither");
  if (getCuQuery() && getOffsets()) /*C6*/
    return emitOpError("expected no `offsets` with `documents`: positions "
                       "restart at 0 in each");
  return success();
}

LogicalResult FinalizeOp::verify() {
  int64_t want = getPartial().getType().getValueDim();
  int64_t got = cast<RankedTensorType>(getOutput().getType()).getDimSize(3);
  if (want != got) /*C1*/
    return emitOpError("expected `output` head size ")
           << want << ", but got " << got;
  return success();
}
