//===- Epilogue.cpp - from sums of a tile to output and log-sum-exp -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/CudaKernel.h"
#include "llvm/ADT/bit.h"

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

/// Log-sum-exp of the rows; what those of O are multiplied with.
Values CudaKernel::emitLse(const State &state) {
  Value batch = tileWord(walk::kBatch), head0 = tileWord(walk::kHead);
  Value row0 = e.add(tileWord(walk::kRow0), tileWord(walk::kQueryBase));
  Value used = usedRows();
  Values inverse;
  for (int row = 0; row < 2; ++row) {
    Value number = p.add(rowInTile, 8 * row);
    RowPlace place = placeOfRow(number);
    Value head = e.add(head0, place.head), token = e.add(row0, place.token);
    Value sum = emitCheckedSum(state.o, state.l[row], row);
    auto [factor, lse] =
        emitLastStep(state.m[row], emitCheckedTop(state.m[row], sum), head);
    inverse.push_back(factor);
    Value writes = e.band(p.eq(columnPair, p.c(0)), p.lt(number, used));
    e.ifThen(writes, [&, lse = lse] {
      emitStoreLse(lse, {batch, head, token});
    });
  }
  return inverse;
}

CudaKernel::Staged CudaKernel::placeOfOutput() {
  Value batch = tileWord(walk::kBatch), head = tileWord(walk::kHead);
  Value row0 = e.add(tileWord(walk::kRow0), tileWord(walk::kQueryBase));
  return {tensorAt(slots, storeOp.getOutput(), {batch, head, row0}),
          usedRows()};
}

CudaKernel::Staged CudaKernel::emitStage(const State &state) {
  emitStagePieces(state.o, emitLse(state), 0, 2 * valueChunks);
  p.syncWarp();
  return placeOfOutput();
}

void CudaKernel::emitStore(const Staged &staged) {
  emitStorePieces(staged, 0, 2 * valueChunks);
  p.syncWarp();
}

// 8 rows of 64 columns at a time go through shared memory, so that lanes store
// 16 bytes of a row side by side; as many such pieces between two syncs as
// there is room for.
void CudaKernel::emitEpilogue(const State &state) {
  Values inverse = emitLse(state);
  Staged staged = placeOfOutput();
  const int pieces = 2 * valueChunks;
  for (int from = 0; from < pieces; from += outputPieces) {
    int end = std::min(pieces, from + outputPieces);
    emitStagePieces(state.o, inverse, from, end);
    p.syncWarp();
    emitStorePieces(staged, from, end);
    p.syncWarp();
  }
}

/// Groups of 8 columns of a piece: of its 64, those that the output has.
int CudaKernel::groupsOf(int piece) {
  return std::min<int>(8, int(shape.valueDim / 8) - 8 * (piece / 2));
}

/// Row of the warp's first in the tile.
Value CudaKernel::warpRow() { return p.sub(rowInTile, p.shr(lane, 2)); }

/// Of the warp's pieces in shared memory.
Value CudaKernel::pieceAt(int number) {
  Value warpAt = p.mul(p.shr(warpRow(), 4), outputPieces * kPieceBytes);
  return p.add(p.add(address(offOutput), warpAt), number * kPieceBytes);
}

/// Piece k is rows 8 (k % 2) to 8 more of the warp's 16, columns 64 (k / 2) to
/// 64 more.
void CudaKernel::emitStagePieces(ValueRange o, ValueRange inverse, int from,
                                 int end) {
  // A lane names a row of 8 for stmatrix, or has two numbers of one.
  Value laneRow = cuda.storeMatrix ? p.bitAnd(lane, 7) : p.shr(lane, 2);
  for (int piece = from; piece < end; ++piece) {
    int row = piece % 2, groups = groupsOf(piece);
    Values words;
    for (int g = 0; g < groups; ++g) {
      int k = 4 * (8 * (piece / 2) + g) + 2 * row;
      words.push_back(p.pack(outputType, p.fmul(o[k], inverse[row]),
                             p.fmul(o[k + 1], inverse[row])));
    }
    Value rowAt = p.add(pieceAt(piece - from), p.mul(laneRow, kRowBytes));
    auto placeOf = [&](Value group) {
      return p.add(rowAt, p.mul(p.bitXor(group, laneRow), 16));
    };
    for (int g = 0; g < groups;) {
      if (!cuda.storeMatrix) {
        p.storeShared(words[g],
                      p.add(placeOf(p.c(g)), p.mul(p.bitAnd(lane, 3), 4)));
        ++g;
        continue;
      }
      int count = int(llvm::bit_floor(unsigned(std::min(4, groups - g))));
      // Lanes beyond the last matrix name places that nobody writes.
      Value group = p.add(p.bitAnd(p.shr(lane, 3), count - 1), g);
      p.storeMatrices(placeOf(group), ValueRange(words).slice(g, count));
      g += count;
    }
  }
}

void CudaKernel::emitStorePieces(const Staged &staged, int from, int end) {
  auto [base, used] = staged;
  Value output = storeOp.getOutput();
  Value headStride = e.mul(tensorSlot(slots, output, 6), e.c(2));
  Value stride = e.mul(tensorSlot(slots, output, 7), e.c(2));
  for (int piece = from; piece < end; ++piece) {
    Value at = pieceAt(piece - from);
    int groups = groupsOf(piece);
    for (int turn = 0; turn < 8 * groups; turn += 32) {
      Value number = p.add(lane, turn);
      Value row = p.div(number, groups), group = p.rem(number, groups);
      Value inTile = p.add(p.add(warpRow(), 8 * (piece % 2)), row);
      Value inside = p.lt(inTile, used);
      if (turn + 32 > 8 * groups)
        inside = e.band(inside, p.lt(number, p.c(8 * groups)));
      Value place = p.add(at, p.mul(row, kRowBytes));
      place = p.add(place, p.mul(p.bitXor(group, row), 16));
      e.ifThen(inside, [&, base = base] {
        Value data = p.loadShared(VectorType::get({4}, e.i32()), place);
        RowPlace to = placeOfRow(inTile);
        Value offset =
            e.add(e.mul(to.token, stride), e.mul(to.head, headStride));
        Value column = p.add(group, 8 * (piece / 2));
        offset = e.add(offset, p.wide(p.mul(column, 16)));
        LLVM::StoreOp::create(builder, e.loc, data, e.at(base, offset), 16);
      });
    }
  }
}
