//===- Bodies.cpp - masks, edges and symbols as vector and scalar code ----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/walk/Bodies.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace filigree;
using namespace filigree::walk;

using arith::CmpIPredicate;

static bool isVector(Value value) { return isa<VectorType>(value.getType()); }

static int64_t constantOf(Value value) {
  APInt constant;
  bool isConstant = matchPattern(value, m_ConstantInt(&constant));
  assert(isConstant && "verified: divisors are constant");
  (void)isConstant;
  return constant.getSExtValue();
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Value BodyEmitter::tensorSlot(BlockArgument argument, int64_t index) {
  return e.loadI64(slots, interface.args[argument.getArgNumber()].slot + index);
}

Value BodyEmitter::scalarArgument(BlockArgument argument) {
  Value bits = e.loadI64(slots, interface.args[argument.getArgNumber()].slot);
  if (argument.getType().isInteger(64))
    return bits;
  Value low = arith::TruncIOp::create(e.b, e.loc, e.i32(), bits);
  return arith::BitcastOp::create(e.b, e.loc, e.f32(), low);
}

Value BodyEmitter::outside(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return scalarArgument(argument);
  return e.b.clone(*value.getDefiningOp())->getResult(0);
}

/// Byte address of an element; stride slots start after the extents.
static Value addressOf(Emitter &e, BodyEmitter &bodies, BlockArgument table,
                       ValueRange indices, int64_t bytes, Value &base) {
  base = e.asPtr(bodies.tensorSlot(table, 0));
  Value offset = e.c(0);
  for (auto [axis, index] : llvm::enumerate(indices))
    offset = e.add(offset,
                   e.mul(index, bodies.tensorSlot(table, 5 + int64_t(axis))));
  return e.mul(offset, bytes);
}

Value BodyEmitter::tableEntry(BlockArgument table, ValueRange indices) {
  Value base;
  Value offset = addressOf(e, *this, table, indices, 4, base);
  Value entry = e.load(e.i32(), e.at(base, offset), 4);
  return arith::ExtSIOp::create(e.b, e.loc, e.i64(), entry);
}

//===----------------------------------------------------------------------===//
// One vector of pairs
//===----------------------------------------------------------------------===//

Value BodyEmitter::lift(Value value) {
  return isVector(value) ? value : e.splat(value);
}

/// A constant shaped like `like`.
static Value constantLike(Emitter &e, Value like, int64_t value) {
  if (!isVector(like))
    return e.c(value);
  return arith::ConstantOp::create(
      e.b, e.loc,
      DenseElementsAttr::get(cast<ShapedType>(like.getType()),
                             APInt(64, uint64_t(value), true)));
}

/// Numbers of this size and below are exact as double, and so is the floor of
/// their quotients: a quotient that is no integer is 1 / divisor away from one,
/// more than the division rounds.
static constexpr double kExactDouble = 0x1p52;
/// Divisors up to this leave a remainder that is exact as double.
static constexpr int64_t kDoubleDivisor = int64_t(1) << 31;

Value BodyEmitter::floorDiv(Value x, int64_t divisor, double magnitude) {
  if (llvm::isPowerOf2_64(divisor))
    return arith::ShRSIOp::create(e.b, e.loc, x,
                                  constantLike(e, x, llvm::Log2_64(divisor)));
  if (!isVector(x))
    return arith::FloorDivSIOp::create(e.b, e.loc, x, e.c(divisor));
  if (divisor > kDoubleDivisor) {
    SmallVector<Value> quotients;
    for (int64_t lane = 0; lane < e.lanes(); ++lane)
      quotients.push_back(floorDiv(
          vector::ExtractOp::create(e.b, e.loc, x, ArrayRef{lane}), divisor));
    return vector::FromElementsOp::create(
        e.b, e.loc, cast<VectorType>(x.getType()), quotients);
  }
  // No integer division of vectors: through double.
  Type f64 = e.vec(e.b.getF64Type());
  Value by = arith::ConstantOp::create(
      e.b, e.loc,
      DenseElementsAttr::get(cast<ShapedType>(f64), APFloat(double(divisor))));
  auto divide = [&](Value a) -> Value {
    Value real = arith::SIToFPOp::create(e.b, e.loc, f64, a);
    return arith::DivFOp::create(e.b, e.loc, real, by);
  };
  auto truncate = [&](Value quotient) -> Value {
    return arith::FPToSIOp::create(e.b, e.loc, x.getType(), quotient);
  };
  // Truncate, then step down where that went up: no call to floor.
  Value quotient = divide(x), whole = truncate(quotient), over;
  if (magnitude <= kExactDouble) {
    over = arith::CmpFOp::create(
        e.b, e.loc, arith::CmpFPredicate::OGT,
        arith::SIToFPOp::create(e.b, e.loc, f64, whole), quotient);
  } else {
    // x and the quotient were rounded, by 2^-52 of the quotient together. What
    // is left is below 2^31 + 2^12: divided again, it is between -divisor and
    // divisor.
    Value size = constantLike(e, x, divisor);
    Value rest = e.sub(x, e.mul(whole, size));
    Value more = truncate(divide(rest));
    whole = e.add(whole, more);
    rest = e.sub(rest, e.mul(more, size));
    over = e.lt(rest, constantLike(e, x, 0));
  }
  return e.select(over, e.add(whole, constantLike(e, x, -1)), whole);
}

Value BodyEmitter::floorMod(Value x, int64_t divisor, double magnitude) {
  if (llvm::isPowerOf2_64(divisor))
    return e.band(x, constantLike(e, x, divisor - 1));
  return e.sub(
      x, e.mul(floorDiv(x, divisor, magnitude), constantLike(e, x, divisor)));
}

double BodyEmitter::magnitudeOf(Value value, Magnitudes &known,
                                Block &body) const {
  auto it = known.find(value);
  if (it != known.end())
    return it->second;
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return std::fabs(double(constant.getSExtValue()));
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (argument.getOwner() == &body)
      return 0x1p32; // b, h and positions
    const InterfaceArg &info = interface.args[argument.getArgNumber()];
    return std::max(std::fabs(double(info.min)), std::fabs(double(info.max)));
  }
  Operation *op = value.getDefiningOp();
  auto of = [&](unsigned k) {
    return magnitudeOf(op->getOperand(k), known, body);
  };
  double size =
      llvm::TypeSwitch<Operation *, double>(op)
          .Case<arith::AddIOp, arith::SubIOp>(
              [&](auto) { return of(0) + of(1); })
          .Case([&](arith::MulIOp) { return of(0) * of(1); })
          .Case([&](arith::FloorDivSIOp o) {
            return of(0) / double(constantOf(o.getRhs())) + 1;
          })
          .Case(
              [&](attn::ModOp o) { return double(constantOf(o.getDivisor())); })
          .Case<arith::MinSIOp, arith::MaxSIOp>(
              [&](auto) { return std::max(of(0), of(1)); })
          .Case([&](arith::SelectOp) { return std::max(of(1), of(2)); })
          .Case([&](math::AbsIOp) { return of(0); })
          .Case([&](attn::LookupOp) { return 0x1p31; })
          .Default(HUGE_VAL);
  return known[value] = size;
}

Value BodyEmitter::emitLookup(attn::LookupOp op, Map &map,
                              const PairPlace &place, Block &body) {
  auto table = cast<BlockArgument>(op.getTable());
  unsigned first = body.getNumArguments() - 4;
  Value storage[] = {place.b, place.h, place.row, place.col};
  SmallVector<Value> indices;
  bool perQuery = false;
  for (Value index : op.getIndices()) {
    unsigned number = cast<BlockArgument>(index).getArgNumber() - first;
    indices.push_back(storage[number]);
    perQuery |= isVector(storage[number]);
  }
  Type element = getElementTypeOrSelf(table.getType());
  if (element.isInteger(32))
    return tableEntry(table, indices);
  int64_t bytes = Emitter::bytesOf(element);
  if (!perQuery) {
    Value base;
    Value offset = addressOf(e, *this, table, indices, bytes, base);
    return e.loadWide(element, e.at(base, offset));
  }
  // Queries lie in the lanes: one load a lane, the row stride apart.
  Value base = e.asPtr(tensorSlot(table, 0));
  Value uniform = e.c(0), lanesAt;
  for (auto [axis, index] : llvm::enumerate(indices)) {
    Value stride = tensorSlot(table, 5 + int64_t(axis));
    if (isVector(index))
      lanesAt = e.mul(index, e.splat(stride));
    else
      uniform = e.add(uniform, e.mul(index, stride));
  }
  SmallVector<Value> entries;
  for (int64_t lane = 0; lane < e.lanes(); ++lane) {
    Value offset =
        vector::ExtractOp::create(e.b, e.loc, lanesAt, ArrayRef{lane});
    entries.push_back(
        e.loadWide(element, e.at(base, e.mul(e.add(offset, uniform), bytes))));
  }
  return vector::FromElementsOp::create(e.b, e.loc, e.vec(e.f32()), entries);
}

Value BodyEmitter::emitOp(Operation &op, Map &map, Magnitudes &known,
                          const PairPlace &place, Block &body) {
  auto operand = [&](Value value) -> Value {
    auto it = map.find(value);
    if (it != map.end())
      return it->second;
    return map[value] = outside(value);
  };
  if (auto lookup = dyn_cast<attn::LookupOp>(op))
    return emitLookup(lookup, map, place, body);
  if (auto divide = dyn_cast<arith::FloorDivSIOp>(op))
    return floorDiv(operand(divide.getLhs()), constantOf(divide.getRhs()),
                    magnitudeOf(divide.getLhs(), known, body));
  if (auto mod = dyn_cast<attn::ModOp>(op))
    return floorMod(operand(mod.getDividend()), constantOf(mod.getDivisor()),
                    magnitudeOf(mod.getDividend(), known, body));
  SmallVector<Value> operands;
  for (Value value : op.getOperands())
    operands.push_back(operand(value));
  return apply(op, operands);
}

Value BodyEmitter::apply(Operation &op, SmallVector<Value> operands) {
  bool vector = llvm::any_of(operands, isVector);
  Type type = op.getResult(0).getType();
  if (vector) {
    for (Value &value : operands)
      value = lift(value);
    type = e.vec(type);
  }
  // exp and its kin have no library to call: base-2 forms of our own.
  auto onVector = [&](llvm::function_ref<Value(Value)> f) -> Value {
    if (vector)
      return f(operands[0]);
    Value result = f(e.splat(operands[0]));
    return vector::ExtractOp::create(e.b, e.loc, result, ArrayRef<int64_t>{0});
  };
  if (isa<math::ExpOp>(op))
    return onVector([&](Value x) {
      return e.checkedExp2(e.fmul(x, e.splat(1.4426950408889634f)));
    });
  if (isa<math::Exp2Op>(op))
    return onVector([&](Value x) { return e.checkedExp2(x); });
  if (isa<math::LogOp>(op))
    return onVector([&](Value x) {
      return e.fmul(e.checkedLog2(x), e.splat(0.6931471805599453f));
    });
  if (isa<math::TanhOp>(op))
    return onVector([&](Value x) { return e.tanh(x); });
  OperationState state(e.loc, op.getName());
  state.addOperands(operands);
  state.addTypes(type);
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return e.b.clone(op)->getResult(0);
  state.addAttributes(op.getDiscardableAttrDictionary().getValue());
  state.propertiesAttr = op.getPropertiesAsAttribute();
  return e.b.create(state)->getResult(0);
}

Value BodyEmitter::evaluate(Block &body, const PairPlace &place, Value logit) {
  Map map;
  Magnitudes known;
  unsigned first = 0;
  if (logit)
    map[body.getArgument(first++)] = logit;
  Value places[] = {place.b, place.h, place.i, place.j};
  for (Value value : places)
    map[body.getArgument(first++)] = value;
  for (Operation &op : body.without_terminator())
    map[op.getResult(0)] = emitOp(op, map, known, place, body);
  Value yielded = body.getTerminator()->getOperand(0);
  auto it = map.find(yielded);
  return it != map.end() ? it->second : outside(yielded);
}

SmallVector<Value> BodyEmitter::symbols(Block &body, Value b, Value h) {
  Map map;
  map[body.getArgument(0)] = b;
  map[body.getArgument(1)] = h;
  SmallVector<Value> values;
  for (Operation &op : body.without_terminator()) {
    if (auto lookup = dyn_cast<attn::LookupOp>(op)) {
      SmallVector<Value> indices;
      for (Value index : lookup.getIndices())
        indices.push_back(map[index]);
      map[op.getResult(0)] =
          tableEntry(cast<BlockArgument>(lookup.getTable()), indices);
    } else {
      map[op.getResult(0)] = e.b.clone(op)->getResult(0);
    }
  }
  for (Value value : body.getTerminator()->getOperands()) {
    auto it = map.find(value);
    values.push_back(it != map.end() ? it->second : outside(value));
  }
  return values;
}

//===----------------------------------------------------------------------===//
// Intervals
//===----------------------------------------------------------------------===//

Certainty BodyEmitter::certainty(Block &body, Value b, Value h, Value iLo,
                                 Value iHi, Value jLo, Value jHi) {
  llvm::DenseMap<Value, Interval> ints;
  llvm::DenseMap<Value, Certainty> conds;
  ints[body.getArgument(0)] = {b, b};
  ints[body.getArgument(1)] = {h, h};
  ints[body.getArgument(2)] = {iLo, iHi};
  ints[body.getArgument(3)] = {jLo, jHi};
  auto intOf = [&](Value value) -> Interval {
    auto it = ints.find(value);
    if (it != ints.end())
      return it->second;
    Value scalar = outside(value);
    return ints[value] = {scalar, scalar};
  };
  auto condOf = [&](Value value) -> Certainty {
    auto it = conds.find(value);
    if (it != conds.end())
      return it->second;
    Value scalar = outside(value);
    return conds[value] = {scalar, scalar};
  };
  auto negate = [&](Certainty a) -> Certainty {
    return {e.bnot(a.all), e.bnot(a.any)};
  };
  auto both = [&](Certainty a, Certainty x) -> Certainty {
    return {e.band(a.any, x.any), e.band(a.all, x.all)};
  };
  auto either = [&](Certainty a, Certainty x) -> Certainty {
    return {e.bor(a.any, x.any), e.bor(a.all, x.all)};
  };
  for (Operation &op : body.without_terminator()) {
    Value result = op.getResult(0);
    llvm::TypeSwitch<Operation *>(&op)
        .Case([&](arith::ConstantOp) {
          Value value = e.b.clone(op)->getResult(0);
          if (result.getType().isInteger(1))
            conds[result] = {value, value};
          else
            ints[result] = {value, value};
        })
        .Case([&](arith::AddIOp o) {
          Interval a = intOf(o.getLhs()), x = intOf(o.getRhs());
          ints[result] = {e.add(a.lo, x.lo), e.add(a.hi, x.hi)};
        })
        .Case([&](arith::SubIOp o) {
          Interval a = intOf(o.getLhs()), x = intOf(o.getRhs());
          ints[result] = {e.sub(a.lo, x.hi), e.sub(a.hi, x.lo)};
        })
        .Case([&](arith::MulIOp o) {
          Interval a = intOf(o.getLhs()), x = intOf(o.getRhs());
          // One factor is constant; its sign decides the order.
          Value p = e.mul(a.lo, x.lo), q = e.mul(a.hi, x.hi);
          ints[result] = {e.min(p, q), e.max(p, q)};
        })
        .Case([&](arith::FloorDivSIOp o) {
          Interval a = intOf(o.getLhs());
          int64_t divisor = constantOf(o.getRhs());
          ints[result] = {floorDiv(a.lo, divisor), floorDiv(a.hi, divisor)};
        })
        .Case([&](attn::ModOp o) {
          Interval a = intOf(o.getDividend());
          int64_t divisor = constantOf(o.getDivisor());
          Value same = e.eq(floorDiv(a.lo, divisor), floorDiv(a.hi, divisor));
          ints[result] = {
              e.select(same, floorMod(a.lo, divisor), e.c(0)),
              e.select(same, floorMod(a.hi, divisor), e.c(divisor - 1))};
        })
        .Case([&](attn::LookupOp o) {
          SmallVector<Value> indices;
          for (Value index : o.getIndices())
            indices.push_back(intOf(index).lo);
          Value entry = tableEntry(cast<BlockArgument>(o.getTable()), indices);
          ints[result] = {entry, entry};
        })
        .Case([&](arith::CmpIOp o) {
          if (o.getLhs().getType().isInteger(1)) {
            Certainty a = condOf(o.getLhs()), x = condOf(o.getRhs());
            Certainty differ = either(both(a, negate(x)), both(negate(a), x));
            conds[result] =
                o.getPredicate() == CmpIPredicate::eq ? negate(differ) : differ;
            return;
          }
          Interval a = intOf(o.getLhs()), x = intOf(o.getRhs());
          auto less = [&](Interval p, Interval q, CmpIPredicate relation) {
            return Certainty{e.cmp(relation, p.lo, q.hi),
                             e.cmp(relation, p.hi, q.lo)};
          };
          Certainty equal = {e.band(e.le(a.lo, x.hi), e.le(x.lo, a.hi)),
                             e.band(e.eq(a.lo, x.hi), e.eq(a.hi, x.lo))};
          switch (o.getPredicate()) {
          case CmpIPredicate::slt:
            conds[result] = less(a, x, CmpIPredicate::slt);
            break;
          case CmpIPredicate::sle:
            conds[result] = less(a, x, CmpIPredicate::sle);
            break;
          case CmpIPredicate::sgt:
            conds[result] = less(x, a, CmpIPredicate::slt);
            break;
          case CmpIPredicate::sge:
            conds[result] = less(x, a, CmpIPredicate::sle);
            break;
          case CmpIPredicate::eq:
            conds[result] = equal;
            break;
          default:
            conds[result] = negate(equal);
            break;
          }
        })
        .Case([&](arith::AndIOp o) {
          conds[result] = both(condOf(o.getLhs()), condOf(o.getRhs()));
        })
        .Case([&](arith::OrIOp o) {
          conds[result] = either(condOf(o.getLhs()), condOf(o.getRhs()));
        })
        .Case([&](arith::XOrIOp o) {
          Certainty a = condOf(o.getLhs()), x = condOf(o.getRhs());
          conds[result] = either(both(a, negate(x)), both(negate(a), x));
        });
  }
  return condOf(body.getTerminator()->getOperand(0));
}
