//===- Epilogue.cpp - from sums of a tile to output and log-sum-exp -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/CudaKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

std::pair<Value, Value> CudaKernel::emitLastStep(Value m, Value l, Value head) {
  Value minusInf = p.cf(-std::numeric_limits<float>::infinity());
  l = p.fadd(l, p.shuffleXor(l, 1));
  l = p.fadd(l, p.shuffleXor(l, 2));
  Value top = p.fmul(m, p.cf(logitFactor)); // base 2
  Value scale = p.cf(1.0f);
  if (Value sink = storeOp.getSink()) {
    // One more logit, with value zero.
    Value entry = e.load(e.f32(), tensorAt(slots, sink, {head}), 4);
    Value logit = p.fmul(entry, p.cf(walk::kLog2e));
    Value best = p.fmax(logit, top);
    Value none = p.isValue(best, -std::numeric_limits<float>::infinity());
    Value shift = p.select(none, p.cf(0.0f), best);
    scale = p.ex2(p.fsub(top, shift));
    l = p.fma(l, scale, p.ex2(p.fsub(logit, shift)));
    top = best;
  }
  Value empty = p.isValue(l, 0.0f);
  Value inverse = p.select(empty, p.cf(0.0f), p.fmul(scale, p.rcp(l)));
  Value lse = p.fmul(p.fadd(p.lg2(l), top), p.cf(walk::kLn2));
  return {inverse, p.select(empty, minusInf, lse)};
}

Value CudaKernel::emitCheckedSum(ValueRange o, Value l, int row) {
  if (!hasExactLaunch())
    return l;
  // 0 x is NaN of what is no number. Two chains: one would wait for itself.
  Value zero = p.cf(0.0f), chains[2] = {l, zero};
  for (size_t k = 0; k < o.size(); ++k)
    if (rowOf(k) == row)
      chains[k % 2] = p.fma(o[k], zero, chains[k % 2]);
  return p.fadd(chains[0], chains[1]);
}

Value CudaKernel::emitCheckedTop(Value m, Value l) {
  Value top = p.fmul(m, p.cf(logitFactor));
  Value bits = arith::BitcastOp::create(builder, e.loc, e.i32(), top);
  Value size = p.bitAnd(bits, 0x7fffffff);
  Value far = p.lt(p.c(0x4b800000), size); // 2^24, infinity, NaN
  far = e.band(far, e.bnot(p.eq(bits, p.c(int32_t(0xff800000)))));
  return p.select(far, p.cf(std::numeric_limits<float>::quiet_NaN()), l);
}

void CudaKernel::emitStoreLse(Value lse, ArrayRef<Value> place) {
  e.store(lse, tensorAt(slots, storeOp.getLse(), place), 4);
  if (!hasExactLaunch())
    return;
  Value marked = arith::CmpFOp::create(builder, e.loc,
                                       arith::CmpFPredicate::UNO, lse, lse);
  e.ifThen(marked, [&] { p.storeRelaxed(p.c(1), e.at(workspace, kMarkAt)); });
}

void CudaKernel::emitEpilogue(const State &state) {
  emitStore(emitStage(state));
}

CudaKernel::Staged CudaKernel::emitStage(const State &state) {
  Value batch = tileWord(walk::kBatch), head0 = tileWord(walk::kHead);
  Value row0 = e.add(tileWord(walk::kRow0), tileWord(walk::kQueryBase));
  Value count = usedRows();
  Values inverse;
  for (int row = 0; row < 2; ++row) {
    Value number = p.add(rowInTile, 8 * row);
    RowPlace place = placeOfRow(number);
    Value head = e.add(head0, place.head), token = e.add(row0, place.token);
    Value sum = emitCheckedSum(state.o, state.l[row], row);
    auto [factor, lse] =
        emitLastStep(state.m[row], emitCheckedTop(state.m[row], sum), head);
    inverse.push_back(factor);
    Value writes = e.band(p.eq(columnPair, p.c(0)), p.lt(number, count));
    e.ifThen(writes, [&, lse = lse] {
      emitStoreLse(lse, {batch, head, token});
    });
  }

  if (offOutput == offQuery)
    emitLastQueryRead();
  Value warpRow = p.sub(rowInTile, p.shr(lane, 2));
  Value warpAt = p.add(address(offOutput), p.mul(warpRow, 128));
  Value swizzle = p.bitAnd(lane, 7);
  // Row of the lane among the 16, by halves of 8, for stmatrix.
  Value laneRow = p.bitAnd(lane, 15);
  Value laneAt = p.add(warpAt, p.mul(laneRow, 128));
  int64_t groups = shape.valueDim / 8; // of 8 columns
  for (int64_t g = 0; g < groups; g += 2) {
    int64_t width = std::min<int64_t>(2, groups - g);
    Values registers;
    for (int64_t x = g; x < g + width; ++x)
      for (int row = 0; row < 2; ++row) {
        int64_t k = 4 * x + 2 * row;
        registers.push_back(p.pack(outputType, p.fmul(state.o[k], inverse[row]),
                                   p.fmul(state.o[k + 1], inverse[row])));
      }
    if (!cuda.storeMatrix) {
      for (auto [k, word] : llvm::enumerate(registers)) {
        int64_t x = g + int64_t(k) / 2;
        Value place = p.mul(p.bitXor(p.c(x % 8), p.shr(lane, 2)), 16);
        Value at = p.add(warpAt, p.add(p.mul(p.shr(lane, 2), 128), place));
        at = p.add(at, p.mul(p.bitAnd(lane, 3), 4));
        p.storeShared(word,
                      p.add(at, int32_t(x / 8) * rows * 128 + 1024 * (k % 2)));
      }
      continue;
    }
    Value column = p.add(p.shr(lane, 4), g % 8);
    Value at = p.add(laneAt, int32_t(g / 8) * rows * 128);
    p.storeMatrices(p.add(at, p.mul(p.bitXor(column, swizzle), 16)), registers);
  }
  p.syncWarp();
  return {tensorAt(slots, storeOp.getOutput(), {batch, head0, row0}), count};
}

void CudaKernel::emitStore(const Staged &staged) {
  auto [base, count] = staged;
  Value warpRow = p.sub(rowInTile, p.shr(lane, 2));
  Value warpAt = p.add(address(offOutput), p.mul(warpRow, 128));
  int64_t groups = shape.valueDim / 8;
  // 16 bytes a lane and turn, rows one after the other.
  Value output = storeOp.getOutput();
  Value headStride = e.mul(tensorSlot(slots, output, 6), e.c(2));
  Value stride = e.mul(tensorSlot(slots, output, 7), e.c(2));
  Type four = VectorType::get({4}, e.i32());
  int64_t pieces = 16 * groups;
  for (int64_t turn = 0; turn < pieces; turn += 32) {
    Value piece = p.add(lane, turn);
    Value row = p.div(piece, groups), column = p.rem(piece, groups);
    Value number = p.add(warpRow, row);
    Value inside = p.lt(number, count);
    if (turn + 32 > pieces)
      inside = e.band(inside, p.lt(piece, p.c(pieces)));
    Value at = p.add(warpAt, p.mul(row, 128));
    at = p.add(at, p.mul(p.div(column, 8), rows * 128));
    Value place = p.bitXor(p.bitAnd(column, 7), p.bitAnd(row, 7));
    e.ifThen(inside, [&, base = base] {
      Value data = p.loadShared(four, p.add(at, p.mul(place, 16)));
      RowPlace to = placeOfRow(number);
      Value offset = e.add(e.mul(to.token, stride), e.mul(to.head, headStride));
      offset = e.add(offset, p.wide(p.mul(column, 16)));
      LLVM::StoreOp::create(builder, e.loc, data, e.at(base, offset), 16);
    });
  }
  emitReleaseOutput();
  p.syncWarp();
}
