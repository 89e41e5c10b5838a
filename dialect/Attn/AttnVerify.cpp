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

/// What a predicate may use: integer arithmetic on i64, logic on i1.
static LogicalResult verifyPredicateOp(Operation *parent, Operation &op) {
  if (isa<YieldOp>(op)) // verifyYield
    return success();
  if (isa<arith::ConstantOp>(op)) /*C7*/ {
    Type type = op.getResult(0).getType();
    if (type.isInteger(64) || type.isInteger(1))
      return success();
    return op.emitOpError("expected i64 or i1 in a predicate, but got ")
           << type;
  }
  if (isa<arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::FloorDivSIOp,
          arith::CmpIOp>(op)) /*C7*/ {
    if (!op.getOperand(0).getType().isInteger(64))
      return op.emitOpError("expected i64 in a predicate, but got ")
             << op.getOperand(0).getType();
  }
  if (isa<arith::AndIOp, arith::OrIOp, arith::XOrIOp>(op)) /*C7*/ {
    if (!op.getOperand(0).getType().isInteger(1))
      return op.emitOpError("expected i1 in a predicate, but got ")
             << op.getOperand(0).getType();
    return success();
  }
  if (isa<arith::AddIOp, arith::SubIOp>(op))
    return success();
  if (auto compare = dyn_cast<arith::CmpIOp>(op)) /*C8*/ {
    if (compare.getPredicate() < arith::CmpIPredicate::ult)
      return success();
    return op.emitOpError("expected a signed comparison in a predicate");
  }
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

LogicalResult WhereOp::verifyRegions() {
  Block &body = getBody().front();
  if (failed(verifyBodyArguments(*this, body, /*takesLogit=*/false))) /*C5*/
    return failure();
  if (failed(
          verifyYield(*this, body, IntegerType::get(getContext(), 1)))) /*C6*/
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
  if (failed(verifyCompatibleShape(getStart().getType(),
                                   getCount().getType()))) /*C3*/
    return emitOpError("expected `start` and `count` to agree in shape, but "
                       "got ")
           << getStart().getType() << " and " << getCount().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// lookup
//===----------------------------------------------------------------------===//

LogicalResult LookupOp::verify() {
  auto table = cast<RankedTensorType>(getTable().getType());
  bool isBias =
      isa<Float32Type, BFloat16Type, Float16Type>(table.getElementType());
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
  if (parent && parent->getDialect()->getNamespace() == "tile")
    return success(); // lowered: checked before
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
  for (auto [name, type] :
       {std::pair<StringRef, RankedTensorType>{"key", key}, {"value", value}})
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
    bool isScalar =
        isa<YieldOp, LookupOp, ModOp>(op) ||
        (isa<arith::ArithDialect, math::MathDialect>(op.getDialect()) &&
         OpTrait::hasElementwiseMappableTraits(&op)) ||
        isa<arith::ConstantOp>(op);
    for (Type type : op.getResultTypes())
      isScalar &= type.isIntOrFloat();
    if (!isScalar) { /*C4*/
      InFlightDiagnostic error = op.emitOpError(
          "is not allowed in an edge: expected scalar arithmetic");
      error.attachNote(getLoc()) << "the source is here";
      return error;
    }
    if (isa<arith::FloorDivSIOp, arith::CeilDivSIOp, arith::CeilDivUIOp,
            arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
            ModOp>(op) &&
        !isPositiveConstant(op.getOperand(1))) /*C5*/
      return op.emitOpError("expected a positive constant divisor");
  }
  return success();
}

LogicalResult AttendOp::verify() {
  if (getSources().empty()) /*C1*/
    return emitOpError("expected at least one source");
  auto query = cast<RankedTensorType>(getQuery().getType());
  if (query.isDynamicDim(3)) /*C3*/
    return emitOpError("expected a static head size of `query`, but got ")
           << query;
  int64_t valueDim = getPartial().getType().getValueDim();
  RankedTensorType firstKey, firstValue;
  for (auto [index, source] : llvm::enumerate(getSources())) {
    auto op = source.getDefiningOp<SourceOp>();
    if (!op) /*C2*/
      return emitOpError("expected source ")
             << index << " to be made by `attn.source`";
    auto key = cast<RankedTensorType>(op.getKey().getType());
    auto value = cast<RankedTensorType>(op.getValue().getType());
    auto refuse = [&, index = index](const Twine &noun, auto want, auto got) {
      InFlightDiagnostic error = emitOpError("expected ")
                                 << noun << " " << want << ", but got " << got;
      error.attachNote(op.getLoc()) << "source " << index << " is here";
      return error;
    };
    if (key.getDimSize(3) != query.getDimSize(3)) /*C3*/
      return refuse("`key` head size", query.getDimSize(3), key.getDimSize(3));
    if (value.getDimSize(3) != valueDim) /*C4*/
      return refuse("`value` head size", valueDim, value.getDimSize(3));
    if (!firstKey)
      firstKey = key, firstValue = value;
    if (key.getElementType() != firstKey.getElementType()) /*C7*/
      return refuse("`key` element type", firstKey.getElementType(),
                    key.getElementType());
    if (value.getElementType() != firstValue.getElementType()) /*C7*/
      return refuse("`value` element type", firstValue.getElementType(),
                    value.getElementType());
    if (!getPageTable() &&
        failed(verifyCompatibleShape({query.getDimSize(0)},
                                     {key.getDimSize(0)}))) /*C8*/
      return refuse("`key` batch", query.getDimSize(0), key.getDimSize(0));
    if (!query.isDynamicDim(1) && !key.isDynamicDim(1) &&
        (key.getDimSize(1) < 1 ||
         query.getDimSize(1) % key.getDimSize(1) != 0)) /*C9*/
      return refuse("a number of `key` heads that divides", query.getDimSize(1),
                    key.getDimSize(1));
    if (getPage() && !key.isDynamicDim(2) &&
        key.getDimSize(2) != int64_t(*getPage())) /*C13*/
      return refuse("`key` slots in a page", int64_t(*getPage()),
                    key.getDimSize(2));
  }
  if (!getPageTable() && bool(getCuQuery()) != bool(getCuKey())) /*C5*/
    return emitOpError("expected both cumulative length tensors or neither");
  bool isPaged = getPageTable() || getLengths() || getPage();
  if (isPaged && getCuKey()) /*C10*/
    return emitOpError("expected `documents` or `paged`, but got both");
  if (getCuQuery() && getOffsets()) /*C6*/
    return emitOpError("expected no `offsets` with `")
           << (isPaged ? "paged" : "documents")
           << "`: positions restart at 0 in each";
  if (isPaged &&
      !(getCuQuery() && getPageTable() && getLengths() && getPage())) /*C11*/
    return emitOpError("expected cumulative lengths of queries, a page table, "
                       "lengths and a page with `paged`");
  if (isPaged && int64_t(*getPage()) < 1) /*C12*/
    return emitOpError("expected at least 1 slot in a page, but got ")
           << int64_t(*getPage());
  return success();
}

LogicalResult FinalizeOp::verify() {
  auto output = cast<RankedTensorType>(getOutput().getType());
  auto lse = cast<RankedTensorType>(getLse().getType());
  int64_t want = getPartial().getType().getValueDim();
  if (output.isDynamicDim(3)) /*C1*/
    return emitOpError("expected a static head size of `output`, but got ")
           << output;
  if (want != output.getDimSize(3)) /*C1*/
    return emitOpError("expected `output` head size ")
           << want << ", but got " << output.getDimSize(3);
  if (failed(verifyCompatibleShape(output.getShape().drop_back(),
                                   lse.getShape()))) /*C2*/
    return emitOpError("expected `output` and `lse` to agree but for the head "
                       "size, but got ")
           << output << " and " << lse;
  if (!getSink())
    return success();
  auto sink = cast<RankedTensorType>(getSink().getType());
  if (failed(verifyCompatibleShape({output.getDimSize(1)},
                                   sink.getShape()))) /*C3*/
    return emitOpError("expected one `sink` for each of ")
           << output.getDimSize(1) << " heads, but got " << sink.getDimSize(0);
  return success();
}
