//===- Softmax.cpp - edges, masks and weights of a warp's scores ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A warp holds 16 rows of scores as mma and wgmma leave them: element k of a
// thread is row 16 warp + lane / 4 + 8 (k / 2 % 2) and column 8 (k / 4) +
// 2 (lane % 4) + k % 2.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/CudaKernel.h"
#include "codegen/cuda/PairBody.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

/// Edge of `stream` and mask of its case on every score; keys beyond the
/// chunk's are masked wherever a case is.
Values CudaKernel::emitOn(Values s, size_t index, int caseIndex, bool edge) {
  walk::StreamCode &code = streams[index];
  auto streamWord = [&](int64_t word) {
    return tileWord(layout.stream[index] / 8 + word);
  };
  auto least = [&](Value a, Value x) -> Value {
    return arith::MinSIOp::create(builder, e.loc, a, x);
  };
  // Whole is where the thread is, part a constant: what differs between its
  // pairs costs no register.
  Value row = p.wide(rowInTile), column = p.wide(columnPair);
  Value key = e.add(p.wide(chunkKey), column);
  Value row0 = e.add(tileWord(walk::kRow0), tileWord(walk::kQueryBase));
  Value lastRow = e.add(tileWord(walk::kRows), -1);
  Value keysLeft = p.sub(chunkCount, columnPair);
  Value lastKey = p.add(keysLeft, -1);
  PairPlace place;
  place.b = {tileWord(walk::kDocument)};
  place.j = {key, Value(), 0, keys};
  // Scores may be those of the end of a chunk that has not as many keys.
  place.col = {e.add(key, streamWord(walk::kKeyBase)), Value(),
               -8 - (keys - 2 * int64_t(s.size())), keys};
  walk::BodyEmitter scalars(e, interface, slots);
  PairBody bodies(e, p, scalars);
  Value scale = p.cf(code.op.getScale().convertToDouble());
  Value minusInf = p.cf(-std::numeric_limits<float>::infinity());
  place.h = {tileWord(walk::kHead)};
  place.i = {e.add(streamWord(walk::kPosition), row), Value(), 0, rows};
  // What lies beyond stays inside bias tensors; nobody reads it.
  auto storageRow = [&](Value token) {
    return e.add(row0, e.min(token, lastRow));
  };
  auto enterRow = [&](int number) {
    auto [token, head] = placeOfRow(p.add(rowInTile, 8 * number));
    place.h = {e.add(tileWord(walk::kHead), head)};
    place.i = {e.add(streamWord(walk::kPosition), token)};
    place.row = {storageRow(token)};
  };
  // Pair by pair: what one needs is dead before the next. Where heads share a
  // tile rows are no constant apart, so row by row.
  SmallVector<size_t> order(s.size());
  for (size_t k = 0; k < s.size(); ++k)
    order[k] = mayPack() ? 4 * (k % (s.size() / 2) / 2) + k % 2 +
                               2 * (k / (s.size() / 2))
                         : k;
  for (auto [number, k] : llvm::enumerate(order)) {
    if (!mayPack()) {
      int32_t down = 8 * rowOf(k);
      place.i.part = p.c(down);
      place.row = {storageRow(e.add(row, down))};
    } else if (number % (s.size() / 2) == 0) {
      enterRow(rowOf(k));
    }
    place.j.part = p.c(int32_t(8 * (k / 4) + k % 2));
    place.col.part = least(place.j.part, lastKey);
    if (edge) {
      s[k] = p.fmul(s[k], scale);
      if (code.edge)
        s[k] = bodies.evaluate(code.edge.getBody().front(), place, s[k]);
      continue;
    }
    Value keep = p.lt(place.j.part, keysLeft);
    if (caseIndex >= 0)
      keep = e.band(keep, bodies.evaluate(
                              code.cases[caseIndex].getMask().front(), place));
    s[k] = p.select(keep, s[k], minusInf);
  }
  return s;
}

Values CudaKernel::emitLogits(Values s, bool masked) {
  if (!plainScores)
    for (size_t k = 0; k < streams.size(); ++k) {
      auto edge = [&](Values values) { return emitOn(values, k, -1, true); };
      Value is;
      if (streams.size() > 1)
        is = p.eq(p.bitAnd(chunkCode, 255), p.c(k));
      // Where there are no keys there are no tensors to look into.
      if (Value some = p.lt(p.c(0), chunkCount); masked)
        is = is ? e.band(is, some) : some;
      s = is ? ifChanged(is, s, edge) : edge(s);
    }
  if (!masked)
    return s;
  Value partial = e.bor(p.lt(p.c(255), chunkCode),
                        p.lt(chunkCount, p.c(2 * int32_t(s.size()))));
  return ifChanged(partial, s, [&](Values values) {
    Value whole = p.lt(chunkCode, p.c(256));
    values = ifChanged(whole, values,
                       [&](Values v) { return emitOn(v, 0, -1, false); });
    for (size_t k = 0; k < streams.size(); ++k)
      for (size_t x = 0; x < streams[k].cases.size(); ++x)
        if (!streams[k].cases[x].getMask().empty())
          values =
              ifChanged(p.eq(chunkCode, p.c(int32_t(k | (x + 1) << 8))), values,
                        [&](Values v) { return emitOn(v, k, x, false); });
    return values;
  });
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// What is added to base-2 logits of a row whose largest score is `m`: 0 where
/// there is none.
Value CudaKernel::emitShift(Value m) {
  Value none = p.isValue(m, -std::numeric_limits<float>::infinity());
  return p.fmul(p.select(none, p.cf(0.0f), m), p.cf(-logitFactor));
}

/// Of each row, the largest of this thread's scores.
Values CudaKernel::emitThreadTop(ValueRange s) {
  Values top;
  for (int row = 0; row < 2; ++row) {
    // Two chains a row: one would wait for itself.
    Value chains[2];
    for (size_t k = 0; k < s.size(); ++k)
      if (rowOf(k) == row) {
        Value &chain = chains[k % 2];
        chain = chain ? p.fmax(chain, s[k]) : s[k];
      }
    top.push_back(p.fmax(chains[0], chains[1]));
  }
  return top;
}

/// Of each row, the largest of what its four threads have, and of `top`.
Values CudaKernel::emitRowTop(ValueRange own, ValueRange top) {
  Values result;
  for (int row = 0; row < 2; ++row) {
    Value m = p.fmax(own[row], p.shuffleXor(own[row], 1));
    m = p.fmax(m, p.shuffleXor(m, 2));
    result.push_back(top.empty() ? m : p.fmax(m, top[row]));
  }
  return result;
}

/// Weights = 2^(c (s - top)), 0 where top is -inf.
CudaKernel::Weights CudaKernel::emitWeights(ValueRange s, ValueRange top) {
  Weights result;
  result.top.assign(top.begin(), top.end());
  for (Value m : top)
    result.shift.push_back(emitShift(m));
  Value factor = p.cf(logitFactor);
  for (size_t k = 0; k < s.size(); ++k)
    result.weights.push_back(
        p.ex2(p.fma(s[k], factor, result.shift[rowOf(k)])));
  for (int row = 0; row < 2; ++row) {
    Value chains[2];
    for (size_t k = 0; k < s.size(); ++k)
      if (rowOf(k) == row) {
        Value &chain = chains[k % 2];
        chain = chain ? p.fadd(chain, result.weights[k]) : result.weights[k];
      }
    result.sums.push_back(p.fadd(chains[0], chains[1]));
  }
  return result;
}

CudaKernel::Weights CudaKernel::emitSoftmax(ValueRange s, ValueRange top) {
  return emitWeights(s, emitRowTop(emitThreadTop(s), top));
}

CudaKernel::Weights CudaKernel::emitLazySoftmax(ValueRange s, ValueRange top) {
  Values own = emitThreadTop(s);
  Value exceeds = e.truth(false);
  for (int row = 0; row < 2; ++row) {
    Value most = p.fadd(top[row], p.cf(kSlack / logitFactor));
    exceeds = e.bor(exceeds, arith::CmpFOp::create(builder, e.loc,
                                                   arith::CmpFPredicate::OGT,
                                                   own[row], most));
  }
  Value moves = e.bnot(p.eq(p.ballot(exceeds), p.c(0)));
  Weights result = emitWeights(s, ifChanged(moves, Values(top), [&](Values) {
                                 return emitRowTop(own, top);
                               }));
  result.moves = moves;
  return result;
}

Values CudaKernel::packWeights(ValueRange weights) {
  Values packed;
  for (size_t k = 0; k < weights.size(); k += 2)
    packed.push_back(p.pack(keyType, weights[k], weights[k + 1]));
  return packed;
}
