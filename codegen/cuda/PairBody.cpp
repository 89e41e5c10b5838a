//===- PairBody.cpp - masks and edges over the pairs that a thread holds --===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/PairBody.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

/// Parts stay below this, so that differences of two fit 32 bits.
static constexpr int64_t kMostPart = int64_t(1) << 30;
/// Integers up to this are exact as f32.
static constexpr int64_t kExactFloat = int64_t(1) << 24;

static std::optional<int64_t> constantOf(Value value) {
  APInt constant;
  if (!matchPattern(value, m_ConstantInt(&constant)))
    return std::nullopt;
  return constant.getSExtValue();
}

static bool fits(int64_t lo, int64_t hi) {
  return -kMostPart < lo && hi < kMostPart;
}

Value PairBody::joined(const Split &split) {
  return split.part ? e.add(split.whole, p.wide(split.part)) : split.whole;
}

Split PairBody::sum(const Split &a, const Split &x, bool subtract) {
  Split result;
  result.lo = subtract ? a.lo - x.hi : a.lo + x.lo;
  result.hi = subtract ? a.hi - x.lo : a.hi + x.hi;
  if (!fits(result.lo, result.hi))
    return sum({joined(a)}, {joined(x)}, subtract);
  auto combine = [&](Value a, Value x) -> Value {
    if (subtract)
      return arith::SubIOp::create(e.b, e.loc, a, x);
    return arith::AddIOp::create(e.b, e.loc, a, x);
  };
  result.whole = combine(a.whole, x.whole);
  if (!x.part)
    result.part = a.part;
  else if (!a.part && !subtract)
    result.part = x.part;
  else
    result.part = combine(a.part ? a.part : p.c(0), x.part);
  return result;
}

Split PairBody::scaled(const Split &a, int64_t factor) {
  if (!a.part)
    return {e.mul(a.whole, factor)};
  // Bounds of parts are below 2^30: no factor up to 2^32 overflows here.
  if (std::abs(factor) > int64_t(1) << 32)
    return scaled({joined(a)}, factor);
  int64_t lo = std::min(a.lo * factor, a.hi * factor);
  int64_t hi = std::max(a.lo * factor, a.hi * factor);
  if (!fits(lo, hi) || !fits(0, std::abs(factor)))
    return scaled({joined(a)}, factor);
  return {e.mul(a.whole, factor), p.mul(a.part, int32_t(factor)), lo, hi};
}

/// whole = q d + r: the value is q d + (r + part), and r + part + up d is not
/// negative.
Split PairBody::divided(const Split &a, int64_t divisor, bool remainder) {
  int64_t up = llvm::divideCeil(uint64_t(std::max<int64_t>(0, -a.lo)),
                                uint64_t(divisor));
  int64_t most = divisor - 1 + a.hi + up * divisor;
  if (!a.part || !fits(0, divisor) || !fits(0, most)) {
    Value whole = joined(a);
    return {remainder ? scalars.floorMod(whole, divisor)
                      : scalars.floorDiv(whole, divisor)};
  }
  Value rest = p.narrow(scalars.floorMod(a.whole, divisor));
  Value shifted = arith::AddIOp::create(
      e.b, e.loc, p.add(rest, int32_t(up * divisor)), a.part);
  if (remainder)
    return {e.c(0), p.rem(shifted, int32_t(divisor)), 0, divisor - 1};
  return {e.add(scalars.floorDiv(a.whole, divisor), -up),
          p.div(shifted, int32_t(divisor)), 0, most / divisor};
}

Value PairBody::compared(arith::CmpIPredicate predicate, const Split &a,
                         const Split &x) {
  Split difference = sum(a, x, /*subtract=*/true);
  if (!difference.part)
    return e.cmp(predicate, difference.whole, e.c(0));
  // part against -whole: beyond the parts' bounds the answer is the same.
  Value opposite = e.sub(e.c(0), difference.whole);
  Value limit =
      p.narrow(e.min(e.max(opposite, e.c(-kMostPart)), e.c(kMostPart)));
  // LLVM would compare `opposite` instead, in 64 bits for every pair.
  limit = p.ptx("mov.b32 $0, $1;", {e.i32()}, {}, {limit}, /*pure=*/true)[0];
  return arith::CmpIOp::create(e.b, e.loc, predicate, difference.part, limit);
}

Split PairBody::lookup(attn::LookupOp op, const PairPlace &place, Block &body) {
  auto table = cast<BlockArgument>(op.getTable());
  unsigned first = body.getNumArguments() - 4;
  const Split *storage[] = {&place.b, &place.h, &place.row, &place.col};
  // Only keys have a part, below 256, and the runtime keeps their stride below
  // 2^23: 32 bits are enough for a product.
  Value offset = e.c(0), part;
  for (auto [axis, value] : llvm::enumerate(op.getIndices())) {
    const Split &index =
        *storage[cast<BlockArgument>(value).getArgNumber() - first];
    Value stride = scalars.tensorSlot(table, 5 + int64_t(axis));
    offset = e.add(offset, e.mul(index.whole, stride));
    if (!index.part)
      continue;
    Value more =
        arith::MulIOp::create(e.b, e.loc, index.part, p.narrow(stride));
    part = part ? Value(arith::AddIOp::create(e.b, e.loc, part, more)) : more;
  }
  Type element = getElementTypeOrSelf(table.getType());
  int64_t bytes = walk::Emitter::bytesOf(element);
  Value at = e.at(e.asPtr(scalars.tensorSlot(table, 0)), e.mul(offset, bytes));
  if (part)
    at = e.at(at, e.mul(p.wide(part), bytes));
  if (!element.isInteger(32))
    return {e.loadWide(element, at)};
  return {p.wide(e.load(e.i32(), at, 4))};
}

Split PairBody::operand(Value value, Map &map) {
  auto it = map.find(value);
  if (it != map.end())
    return it->second;
  return map[value] = {scalars.outside(value)};
}

Split PairBody::emitOp(Operation &op, Map &map, const PairPlace &place,
                       Block &body) {
  auto of = [&](Value value) { return operand(value, map); };
  // Anything else in 64 bits.
  auto generic = [&]() -> Split {
    Values operands;
    for (Value value : op.getOperands())
      operands.push_back(joined(of(value)));
    return {scalars.apply(op, operands)};
  };
  return llvm::TypeSwitch<Operation *, Split>(&op)
      .Case([&](attn::LookupOp o) { return lookup(o, place, body); })
      .Case([&](arith::AddIOp o) {
        return sum(of(o.getLhs()), of(o.getRhs()), /*subtract=*/false);
      })
      .Case([&](arith::SubIOp o) {
        return sum(of(o.getLhs()), of(o.getRhs()), /*subtract=*/true);
      })
      .Case([&](arith::MulIOp o) {
        for (auto [a, x] : {std::pair(o.getLhs(), o.getRhs()),
                            std::pair(o.getRhs(), o.getLhs())})
          if (std::optional<int64_t> factor = constantOf(x))
            return scaled(of(a), *factor);
        return generic();
      })
      .Case([&](arith::FloorDivSIOp o) {
        return divided(of(o.getLhs()), *constantOf(o.getRhs()), false);
      })
      .Case([&](attn::ModOp o) {
        return divided(of(o.getDividend()), *constantOf(o.getDivisor()), true);
      })
      .Case([&](arith::CmpIOp o) -> Split {
        if (o.getLhs().getType().isInteger(1))
          return generic();
        return {compared(o.getPredicate(), of(o.getLhs()), of(o.getRhs()))};
      })
      .Case([&](arith::SIToFPOp o) -> Split {
        Split a = of(o.getIn());
        if (!a.part || a.lo < -kExactFloat || a.hi > kExactFloat)
          return generic();
        auto real = [&](Value value) -> Value {
          return arith::SIToFPOp::create(e.b, e.loc, e.f32(), value);
        };
        return {p.fadd(real(a.whole), real(a.part))};
      })
      .Default([&](Operation *) { return generic(); });
}

Value PairBody::evaluate(Block &body, const PairPlace &place, Value logit) {
  Map map;
  unsigned first = 0;
  if (logit)
    map[body.getArgument(first++)] = {logit};
  for (const Split *position : {&place.b, &place.h, &place.i, &place.j})
    map[body.getArgument(first++)] = *position;
  for (Operation &op : body.without_terminator())
    map[op.getResult(0)] = emitOp(op, map, place, body);
  return joined(operand(body.getTerminator()->getOperand(0), map));
}
