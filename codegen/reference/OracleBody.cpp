//===- OracleBody.cpp - bodies of graphs and edges as scalar code ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One case per operation. An operation without a case is an error that names
// it, never a guess.
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/OracleBody.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace filigree;
using namespace filigree::oracle;
namespace arith = mlir::arith;
using mlir::Operation;

mlir::BlockArgument oracle::argumentOf(mlir::Value tensor) {
  while (auto cast = tensor.getDefiningOp<mlir::tensor::CastOp>())
    tensor = cast.getSource();
  return mlir::dyn_cast<mlir::BlockArgument>(tensor);
}

static unsigned widthOf(mlir::Type type) {
  return type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
}

llvm::Type *Bodies::typeOf(mlir::Type type) {
  return mlir::isa<mlir::FloatType>(type)
             ? real
             : llvm::Type::getIntNTy(code.b.getContext(), widthOf(type));
}

//===----------------------------------------------------------------------===//
// Arguments and memory
//===----------------------------------------------------------------------===//

Val Bodies::slot(mlir::Value tensor, int64_t index) {
  return slotAt(interface.args[argumentOf(tensor).getArgNumber()].slot +
                unsigned(index));
}

Val Bodies::loadReal(mlir::Type element, Val base, Val index,
                     llvm::Type *type) {
  if (element.isF32())
    return toType(code.load(code.f32(), base, index), type);
  Val bits = code.load(code.b.getInt16Ty(), base, index);
  return toType(element.isBF16()
                    ? math.bfloatToFloat(code, bits)
                    : code.b.CreateCall(math.halfToFloat(), {bits}),
                type);
}

Val Bodies::loadInt(mlir::Value tensor, Val offset) {
  Val entry =
      code.load(code.b.getInt32Ty(), code.pointer(slot(tensor, 0)), offset);
  return code.b.CreateSExt(entry, code.i64());
}

llvm::LogicalResult Bodies::addOutside(mlir::func::FuncOp function) {
  real = code.f64();
  for (mlir::BlockArgument argument : function.getArguments()) {
    mlir::Type type = argument.getType();
    if (mlir::isa<mlir::RankedTensorType>(type))
      continue;
    Val bits = slotAt(interface.args[argument.getArgNumber()].slot);
    if (type.isF32())
      outside[argument] = code.b.CreateFPExt(
          code.b.CreateBitCast(code.b.CreateTrunc(bits, code.b.getInt32Ty()),
                               code.f32()),
          code.f64());
    else if (type.isInteger(64) || type.isIndex())
      outside[argument] = bits;
    else
      return function.emitError("expected parameters of i64 or f32, but got ")
             << type;
  }
  for (Operation &op : function.getBody().front()) {
    if (mlir::isa<attn::AttnDialect>(op.getDialect()) ||
        mlir::isa<mlir::func::ReturnOp, mlir::tensor::CastOp>(op))
      continue;
    if (op.getNumResults() != 1)
      return op.emitOpError("is not in the oracle of this release");
    Val value = emit(op, outside);
    if (!value)
      return llvm::failure();
    outside[op.getResult(0)] = value;
  }
  return llvm::success();
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

Val Bodies::toType(Val value, llvm::Type *type) {
  if (value->getType() == type || !value->getType()->isFloatingPointTy())
    return value;
  return code.b.CreateFPCast(value, type);
}

Val Bodies::operand(mlir::Value value, Map &map) {
  auto found = map.find(value);
  return toType(found != map.end() ? found->second : outside.lookup(value),
                real);
}

Val Bodies::evaluate(mlir::Block &body, const Pair &at, Val logit,
                     llvm::Type *type) {
  real = type;
  pair = &at;
  Map map;
  unsigned first = 0;
  if (logit)
    map[body.getArgument(first++)] = logit;
  for (Val value : {at.b, at.h, at.i, at.j})
    map[body.getArgument(first++)] = value;
  for (Operation &op : body.without_terminator()) {
    Val value = emit(op, map);
    if (!value)
      return nullptr;
    map[op.getResult(0)] = value;
  }
  return operand(body.getTerminator()->getOperand(0), map);
}

Val Bodies::emit(Operation &op, Map &map) {
  if (auto constant = mlir::dyn_cast<arith::ConstantOp>(op)) {
    mlir::Type type = constant.getType();
    if (auto integer = mlir::dyn_cast<mlir::IntegerAttr>(constant.getValue()))
      return llvm::ConstantInt::get(
          typeOf(type), integer.getValue().sextOrTrunc(widthOf(type)));
    if (auto number = mlir::dyn_cast<mlir::FloatAttr>(constant.getValue()))
      return Code::real(real, number.getValueAsDouble());
  }
  if (auto lookup = mlir::dyn_cast<attn::LookupOp>(op))
    return emitLookup(lookup, map);
  llvm::SmallVector<Val, 3> in;
  for (mlir::Value value : op.getOperands())
    in.push_back(operand(value, map));
  Val result = nullptr;
  bool isReal = mlir::isa<mlir::FloatType>(op.getResult(0).getType());
  if (mlir::isa<arith::SelectOp>(op))
    result = code.select(in[0], in[1], in[2]);
  else if (mlir::isa<mlir::math::MathDialect>(op.getDialect()))
    result = emitMath(op, in);
  else
    result = isReal ? emitReal(op, in) : emitInteger(op, in);
  if (!result)
    op.emitOpError("is not in the oracle of this release");
  return result;
}

Val Bodies::emitLookup(attn::LookupOp op, Map &map) {
  mlir::Value table = op.getTable();
  mlir::Block *body = op->getBlock();
  unsigned first = body->getNumArguments() - 4;
  // Bias tensors are indexed by storage, not by position.
  Val storage[] = {pair->b, pair->h, pair->r, pair->c};
  Val offset = code.c(0);
  for (auto [axis, index] : llvm::enumerate(op.getIndices())) {
    unsigned which =
        mlir::cast<mlir::BlockArgument>(index).getArgNumber() - first;
    offset = code.b.CreateAdd(
        offset, code.b.CreateMul(storage[which], slot(table, 5 + axis)));
  }
  mlir::Type element = mlir::getElementTypeOrSelf(table.getType());
  if (element.isInteger(32))
    return loadInt(table, offset);
  return loadReal(element, code.pointer(slot(table, 0)), offset, real);
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

/// A divisor that hardware can take; 0 and -1 are handled by who asks.
static Val safeDivisor(Code &code, Val by, Val &isZero, Val &isMinusOne) {
  llvm::Type *type = by->getType();
  isZero = code.b.CreateICmpEQ(by, llvm::ConstantInt::get(type, 0));
  isMinusOne =
      code.b.CreateICmpEQ(by, llvm::ConstantInt::getAllOnesValue(type));
  Val one = llvm::ConstantInt::get(type, 1);
  return code.select(code.b.CreateOr(isZero, isMinusOne), one, by);
}

/// a / by with the quotient's last step decided by `adjust(remainder, safe)`,
/// an integer to add; 0 for a divisor of 0.
template <typename Adjust>
static Val divide(Code &code, Val a, Val by, Adjust adjust) {
  Val isZero, isMinusOne, safe = safeDivisor(code, by, isZero, isMinusOne);
  Val quotient = code.b.CreateSDiv(a, safe);
  Val remainder = code.b.CreateSRem(a, safe);
  quotient = code.b.CreateAdd(quotient, adjust(remainder, safe));
  quotient = code.select(isMinusOne, code.b.CreateNeg(a), quotient);
  return code.select(isZero, llvm::ConstantInt::get(a->getType(), 0), quotient);
}

/// Rounds to minus infinity.
Val Bodies::floorDiv(Val a, Val by) {
  llvm::IRBuilder<> &b = code.b;
  Val zero = llvm::ConstantInt::get(a->getType(), 0);
  return divide(code, a, by, [&](Val remainder, Val safe) {
    Val down = b.CreateAnd(b.CreateICmpNE(remainder, zero),
                           b.CreateICmpSLT(b.CreateXor(a, safe), zero));
    return b.CreateSExt(down, a->getType());
  });
}

static llvm::CmpInst::Predicate predicateOf(arith::CmpIPredicate predicate) {
  using From = arith::CmpIPredicate;
  using To = llvm::CmpInst;
  switch (predicate) {
  case From::eq:
    return To::ICMP_EQ;
  case From::ne:
    return To::ICMP_NE;
  case From::slt:
    return To::ICMP_SLT;
  case From::sle:
    return To::ICMP_SLE;
  case From::sgt:
    return To::ICMP_SGT;
  case From::sge:
    return To::ICMP_SGE;
  case From::ult:
    return To::ICMP_ULT;
  case From::ule:
    return To::ICMP_ULE;
  case From::ugt:
    return To::ICMP_UGT;
  case From::uge:
    return To::ICMP_UGE;
  }
  return To::BAD_ICMP_PREDICATE;
}

static llvm::CmpInst::Predicate predicateOf(arith::CmpFPredicate predicate) {
  using To = llvm::CmpInst;
  // In the order of the enumeration.
  static const To::Predicate predicates[] = {
      To::FCMP_FALSE, To::FCMP_OEQ, To::FCMP_OGT, To::FCMP_OGE,
      To::FCMP_OLT,   To::FCMP_OLE, To::FCMP_ONE, To::FCMP_ORD,
      To::FCMP_UEQ,   To::FCMP_UGT, To::FCMP_UGE, To::FCMP_ULT,
      To::FCMP_ULE,   To::FCMP_UNE, To::FCMP_UNO, To::FCMP_TRUE};
  return predicates[unsigned(predicate)];
}

Val Bodies::emitInteger(Operation &op, llvm::ArrayRef<Val> in) {
  llvm::IRBuilder<> &b = code.b;
  llvm::Type *type = typeOf(op.getResult(0).getType());
  auto zero = [&] { return llvm::ConstantInt::get(type, 0); };
  return llvm::TypeSwitch<Operation *, Val>(&op)
      .Case([&](arith::AddIOp) { return b.CreateAdd(in[0], in[1]); })
      .Case([&](arith::SubIOp) { return b.CreateSub(in[0], in[1]); })
      .Case([&](arith::MulIOp) { return b.CreateMul(in[0], in[1]); })
      .Case([&](arith::AndIOp) { return b.CreateAnd(in[0], in[1]); })
      .Case([&](arith::OrIOp) { return b.CreateOr(in[0], in[1]); })
      .Case([&](arith::XOrIOp) { return b.CreateXor(in[0], in[1]); })
      .Case([&](arith::MinSIOp) {
        return code.select(b.CreateICmpSLT(in[0], in[1]), in[0], in[1]);
      })
      .Case([&](arith::MaxSIOp) {
        return code.select(b.CreateICmpSGT(in[0], in[1]), in[0], in[1]);
      })
      .Case([&](arith::FloorDivSIOp) { return floorDiv(in[0], in[1]); })
      .Case([&](attn::ModOp) {
        Val whole = b.CreateMul(floorDiv(in[0], in[1]), in[1]);
        return code.select(b.CreateICmpEQ(in[1], zero()), zero(),
                           b.CreateSub(in[0], whole));
      })
      .Case([&](arith::CeilDivSIOp) {
        return divide(code, in[0], in[1], [&](Val remainder, Val safe) {
          Val up =
              b.CreateAnd(b.CreateICmpNE(remainder, zero()),
                          b.CreateICmpSGE(b.CreateXor(in[0], safe), zero()));
          return b.CreateZExt(up, type);
        });
      })
      .Case([&](arith::DivSIOp) {
        return divide(code, in[0], in[1], [&](Val, Val) { return zero(); });
      })
      .Case([&](arith::RemSIOp) -> Val {
        Val isZero, isMinusOne;
        Val safe = safeDivisor(code, in[1], isZero, isMinusOne);
        // A divisor of 0 or -1 has become 1, which leaves nothing.
        return b.CreateSRem(in[0], safe);
      })
      .Case<arith::ExtSIOp, arith::IndexCastOp>(
          [&](auto) { return b.CreateSExtOrTrunc(in[0], type); })
      .Case([&](arith::ExtUIOp) { return b.CreateZExt(in[0], type); })
      .Case([&](arith::TruncIOp) { return b.CreateTrunc(in[0], type); })
      .Case([&](arith::FPToSIOp) -> Val {
        // Out of range is 0.
        Val small = b.CreateFCmpOLT(
            b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, in[0]),
            Code::real(real, 0x1p63));
        Val whole = b.CreateFPToSI(
            code.select(small, in[0], Code::real(real, 0)), code.i64());
        return b.CreateSExtOrTrunc(whole, type);
      })
      .Case([&](arith::CmpIOp compare) {
        return b.CreateICmp(predicateOf(compare.getPredicate()), in[0], in[1]);
      })
      .Case([&](arith::CmpFOp compare) {
        return b.CreateFCmp(predicateOf(compare.getPredicate()), in[0], in[1]);
      })
      .Default([](Operation *) { return nullptr; });
}

//===----------------------------------------------------------------------===//
// Reals
//===----------------------------------------------------------------------===//

Val Bodies::emitReal(Operation &op, llvm::ArrayRef<Val> in) {
  llvm::IRBuilder<> &b = code.b;
  auto isNaN = [&](Val x) { return b.CreateFCmpUNO(x, x); };
  // maximumf and minimumf propagate NaN, maxnumf and minnumf drop it.
  auto propagate = [&](Val better) {
    return code.select(b.CreateOr(better, isNaN(in[0])), in[0], in[1]);
  };
  auto drop = [&](Val better) {
    return code.select(b.CreateOr(better, isNaN(in[1])), in[0], in[1]);
  };
  return llvm::TypeSwitch<Operation *, Val>(&op)
      .Case([&](arith::AddFOp) { return b.CreateFAdd(in[0], in[1]); })
      .Case([&](arith::SubFOp) { return b.CreateFSub(in[0], in[1]); })
      .Case([&](arith::MulFOp) { return b.CreateFMul(in[0], in[1]); })
      .Case([&](arith::DivFOp) { return b.CreateFDiv(in[0], in[1]); })
      .Case([&](arith::NegFOp) { return b.CreateFNeg(in[0]); })
      .Case([&](arith::MaximumFOp) {
        return propagate(b.CreateFCmpOGT(in[0], in[1]));
      })
      .Case([&](arith::MinimumFOp) {
        return propagate(b.CreateFCmpOLT(in[0], in[1]));
      })
      .Case(
          [&](arith::MaxNumFOp) { return drop(b.CreateFCmpOGT(in[0], in[1])); })
      .Case(
          [&](arith::MinNumFOp) { return drop(b.CreateFCmpOLT(in[0], in[1])); })
      .Case<arith::ExtFOp, arith::TruncFOp>([&](auto) { return in[0]; })
      .Case([&](arith::SIToFPOp) { return b.CreateSIToFP(in[0], real); })
      .Case([&](arith::UIToFPOp) { return b.CreateUIToFP(in[0], real); })
      .Default([](Operation *) { return nullptr; });
}

Val Bodies::apply(llvm::Function *f, llvm::ArrayRef<Val> in) {
  llvm::SmallVector<Val, 3> wide;
  for (Val value : in)
    wide.push_back(toType(value, code.f64()));
  return toType(code.b.CreateCall(f, wide), real);
}

Val Bodies::emitMath(Operation &op, llvm::ArrayRef<Val> in) {
  namespace math = mlir::math;
  llvm::IRBuilder<> &b = code.b;
  auto root = [&] {
    return b.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, in[0]);
  };
  if (mlir::isa<math::SqrtOp>(op))
    return root();
  if (mlir::isa<math::RsqrtOp>(op))
    return b.CreateFDiv(Code::real(real, 1), root());
  if (mlir::isa<math::AbsFOp>(op))
    return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, in[0]);
  if (mlir::isa<math::AbsIOp>(op))
    return code.select(
        b.CreateICmpSLT(in[0], llvm::ConstantInt::get(in[0]->getType(), 0)),
        b.CreateNeg(in[0]), in[0]);
  if (mlir::isa<math::CopySignOp>(op))
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, in[0], in[1]);
  if (mlir::isa<math::FmaOp>(op))
    return apply(this->math.fma(), in);
  // The others are named as the operation is: math.exp is exp.
  if (in.size() == 1 && mlir::isa<mlir::FloatType>(op.getResult(0).getType()))
    if (llvm::Function *f = this->math.unary(op.getName().stripDialect()))
      return apply(f, in);
  return nullptr;
}
