//===- ExactKeys.cpp - what a warp makes of 32 keys and one query ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A key a lane for scores and masks, columns over the lanes for values. Sums
// are those of the oracle but for their order: scores are subtracted before
// they are scaled, and a value counts only where the mask keeps its key.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/ExactKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

/// chunk_<s>_<case + 1>(scratch, key, n): n keys from `key` on, in pages that
/// exist. A row that is NaN stays NaN.
func::FuncOp ExactKernel::emitChunk(size_t s, int caseIndex) {
  return e.function(named("chunk_" + Twine(s) + "_" + Twine(caseIndex + 1)),
                    {e.ptr(), e.i64(), e.i64()}, {},
                    [&](ArrayRef<Value> args) -> SmallVector<Value> {
                      Value scratch = args[0], n = args[2];
                      e.loop(e.c(0), n, 32, [&](Value first) {
                        Value l = e.load(e.f32(), stateAt(scratch, kSum));
                        e.ifThen(e.bnot(isNaN(l)), [&] {
                          emitKeys(s, caseIndex, scratch, e.add(args[1], first),
                                   e.min(e.sub(n, first), e.c(32)));
                        });
                      });
                      return {};
                    });
}

Value ExactKernel::keyAt(size_t s, Value scratch, Value key, bool values) {
  Value base =
      e.asPtr(stream(scratch, s, values ? walk::kValueAt : walk::kKeyAt));
  Value stride =
      stream(scratch, s, values ? walk::kValueStride : walk::kKeyStride);
  if (!isPaged())
    return e.at(base, e.mul(key, stride));
  Value tensor = values ? streams[s].op.getValue() : streams[s].op.getKey();
  Value pageBytes = e.mul(tensorSlot(slotsOf(scratch), tensor, 5), 2);
  Value page = e.at(base, e.mul(pageOf(scratch, key), pageBytes));
  return e.at(page, e.mul(e.urem(key, e.c(pageSlots())), stride));
}

std::pair<Value, Value> ExactKernel::widen(Value word) {
  auto real = [&](Value bits) -> Value {
    return arith::BitcastOp::create(builder, e.loc, e.f32(), bits);
  };
  if (keyType.isBF16())
    return {real(arith::ShLIOp::create(builder, e.loc, word, p.c(16))),
            real(p.bitAnd(word, int32_t(0xffff0000)))};
  auto half = [&](Value bits) -> Value {
    Value low =
        arith::TruncIOp::create(builder, e.loc, builder.getI16Type(), bits);
    low = arith::BitcastOp::create(builder, e.loc, keyType, low);
    return arith::ExtFOp::create(builder, e.loc, e.f32(), low);
  };
  return {half(word), half(p.shr(word, 16))};
}

Value ExactKernel::emitDot(Value query, Value key) {
  Type four = VectorType::get({4}, e.i32());
  return e.loop(e.c(0), e.c(2 * shape.keyDim), 16, {p.cf(0.0f)},
                [&](Value at, ValueRange sum) -> SmallVector<Value> {
                  Values q = p.split(e.load(four, e.at(query, at), 16));
                  Values k = p.split(e.load(four, e.at(key, at), 16));
                  Value next = sum[0];
                  for (auto [qWord, kWord] : llvm::zip(q, k)) {
                    auto [q0, q1] = widen(qWord);
                    auto [k0, k1] = widen(kWord);
                    next = p.fma(q1, k1, p.fma(q0, k0, next));
                  }
                  return {next};
                })[0];
}

Value ExactKernel::acrossLanes(
    Value a, llvm::function_ref<Value(Value, Value)> combine) {
  for (int32_t lanes = 16; lanes > 0; lanes /= 2)
    a = combine(a, p.shuffleXor(a, lanes));
  return a;
}

void ExactKernel::emitKeys(size_t s, int caseIndex, Value scratch, Value key,
                           Value left) {
  walk::StreamCode &code = streams[s];
  walk::BodyEmitter bodies(e, interface, slotsOf(scratch));
  Value minusInf = p.cf(-std::numeric_limits<float>::infinity());
  lane = p.bitAnd(p.special("tid.x"), 31);
  Value number = p.wide(lane), inside = e.lt(number, left);
  // Lanes without a key take the last one, for nothing.
  Value own = e.add(key, e.min(number, e.add(left, -1)));
  Value row = e.load(e.i64(), stateAt(scratch, kNumber));
  walk::PairPlace place;
  place.b = frame(scratch, walk::kDocument);
  place.h = frame(scratch, walk::kHead);
  place.i = e.add(row, stream(scratch, s, walk::kPosition));
  place.j = own;
  place.row = e.add(row, e.add(frame(scratch, walk::kRow0),
                               frame(scratch, walk::kQueryBase)));
  place.col = e.add(own, stream(scratch, s, walk::kKeyBase));

  Value query = e.asPtr(e.load(e.i64(), stateAt(scratch, kQueryAt)));
  Value score = emitDot(query, keyAt(s, scratch, own, /*values=*/false));
  if (plainScores) {
    score = p.fmul(score, p.cf(queryFactor));
  } else {
    score = p.fmul(score, p.cf(code.op.getScale().convertToDouble()));
    if (code.edge)
      score = bodies.evaluate(code.edge.getBody().front(), place, score);
  }
  Value keep = inside;
  if (caseIndex >= 0)
    keep = e.band(
        keep, bodies.evaluate(code.cases[caseIndex].getMask().front(), place));
  Value kept = p.ballot(keep);
  e.ifThen(e.bnot(p.eq(kept, p.c(0))), [&] {
    score = p.select(keep, score, minusInf);
    Value before = e.load(e.f32(), stateAt(scratch, kTop));
    Value top =
        acrossLanes(score, [&](Value a, Value x) { return p.fmax(a, x); });
    top = p.fmax(before, top);
    Value base =
        p.select(p.isValue(top, -std::numeric_limits<float>::infinity()),
                 p.cf(0.0f), top);
    auto exponentOf = [&](Value a) {
      return p.fmul(p.fsub(a, base), p.cf(logitFactor));
    };
    Value exponent = exponentOf(score), weight = p.ex2(exponent);
    Value alpha =
        p.select(p.isValue(before, -std::numeric_limits<float>::infinity()),
                 p.cf(0.0f), p.ex2(exponentOf(before)));
    Value sum =
        acrossLanes(weight, [&](Value a, Value x) { return p.fadd(a, x); });
    Value l = e.load(e.f32(), stateAt(scratch, kSum));
    e.store(top, stateAt(scratch, kTop));
    e.store(p.fma(l, alpha, sum), stateAt(scratch, kSum));

    // A weight that only f32 takes for 0 leaves an infinite value infinite.
    Value is = arith::CmpFOp::create(builder, e.loc, arith::CmpFPredicate::OGT,
                                     exponent, p.cf(-1074.0f));
    is = e.band(is, p.isValue(weight, 0.0f));
    weight =
        p.select(is, p.cf(std::numeric_limits<float>::denorm_min()), weight);
    Values sums;
    for (int64_t k = 0; k < 2 * pairs; ++k)
      sums.push_back(
          p.fmul(e.load(e.f32(), stateAt(scratch, kSums + 4 * k)), alpha));
    sums = e.loop(
        e.c(0), left, 1, sums, [&](Value x, ValueRange carried) -> Values {
          Value index = p.narrow(x);
          Value bit = arith::ShRUIOp::create(builder, e.loc, kept, index);
          Value counts = p.eq(p.bitAnd(bit, 1), p.c(1));
          return ifChanged(counts, Values(carried), [&](Values o) {
            Value of = p.shuffle(weight, index);
            Value at = keyAt(s, scratch, e.add(key, x), /*values=*/true);
            for (int64_t t = 0; t < pairs; ++t) {
              Value column = p.select(hasColumn(t), columnOf(t), p.c(0));
              auto [v0, v1] =
                  widen(e.load(e.i32(), e.at(at, p.wide(p.mul(column, 2))), 4));
              o[2 * t] = p.fma(of, v0, o[2 * t]);
              o[2 * t + 1] = p.fma(of, v1, o[2 * t + 1]);
            }
            return o;
          });
        });
    for (auto [k, value] : llvm::enumerate(sums))
      e.store(value, stateAt(scratch, kSums + 4 * int64_t(k)));
  });
}
