//===- Consumer.cpp - a warpgroup: products, softmax, and the result ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// 64 rows of queries a warpgroup. Element k of an accumulator of a thread is
// row 16 warp + lane / 4 + 8 (k / 2 % 2) and column 8 (k / 4) + 2 (lane % 4) +
// k % 2; P in registers has the layout that wgmma wants of A.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/HopperKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Descriptor steps of k16, K-major tiles of `tileRows` rows.
static SmallVector<int32_t> majorSteps(int64_t dim, int32_t tileRows) {
  SmallVector<int32_t> steps;
  for (int32_t k = 0; k < (dim + 15) / 16; ++k)
    steps.push_back((k / 4 * tileRows * 128 + k % 4 * 32) >> 4);
  return steps;
}

Values HopperKernel::emitScores(Value stage) {
  Value q = p.add(address(offQuery), p.mul(group, 64 * 128));
  Value k = address(offKeys, stage, keyBytes);
  return p.wgmmaShared({keyType, queryFactor < 0}, keys,
                       p.descriptor(q, 16, 1024), p.descriptor(k, 16, 1024),
                       majorSteps(shape.keyDim, rows),
                       majorSteps(shape.keyDim, keys));
}

Values HopperKernel::emitProduct(ValueRange o, ValueRange probabilities,
                                 Value stage) {
  Value v = address(offValues, stage, valueBytes);
  SmallVector<int32_t> steps;
  for (int32_t k = 0; k < keys / 16; ++k)
    steps.push_back(k * 16 * 128 >> 4);
  return p.wgmmaRegisters({keyType}, shape.valueDim, o, probabilities,
                          p.descriptor(v, keys * 128, 1024), steps);
}

/// What the sums of a row are multiplied with when its reference moves on from
/// `before`: 2 to the difference of the shifts, 0 where there was none.
Value HopperKernel::emitAlpha(Value before, Value shift) {
  Value none = p.isValue(before, -std::numeric_limits<float>::infinity());
  Value change = p.fsub(shift, emitShift(before));
  return p.select(none, p.cf(0.0f), p.ex2(change));
}

//===----------------------------------------------------------------------===//
// The loop
//===----------------------------------------------------------------------===//

void HopperKernel::release(int32_t ring, Value stage) {
  p.barrierArriveIf(p.eq(lane, p.c(0)), address(ring, stage, 8));
}

/// The words of the chunk in `stage`, read by the lane that gives it back.
void HopperKernel::readChunk(Value stage) {
  Values words = ifElse(
      p.eq(lane, p.c(0)),
      [&] {
        Type four = VectorType::get({4}, e.i32());
        Value at = address(offChunk, stage, kChunkBytes);
        return p.split(p.loadShared(four, at));
      },
      [&] { return Values(4, p.c(0)); });
  chunkKey = p.broadcastLane0(words[0]);
  chunkCount = p.broadcastLane0(words[1]);
  chunkCode = p.broadcastLane0(words[2]);
}

void HopperKernel::emitConsumer() {
  rowInTile = p.add(p.add(p.mul(group, 64), p.mul(warp, 16)), p.shr(lane, 2));
  columnPair = p.mul(p.bitAnd(lane, 3), 2);
  Type i32 = e.i32();

  auto tiles = scf::WhileOp::create(builder, e.loc, TypeRange{i32, i32, i32},
                                    ValueRange{p.c(0), p.c(0), p.c(0)});
  OpBuilder::InsertionGuard guard(builder);
  // Passes, key stages and value stages used so far.
  auto begin = [&](Region &region) {
    Block *block = builder.createBlock(&region, {}, TypeRange{i32, i32, i32},
                                       SmallVector<Location>(3, e.loc));
    return ValueRange(block->getArguments());
  };
  ValueRange before = begin(tiles.getBefore());
  p.barrierWait(address(barrier(kQueryFull)), p.bitAnd(before[0], 1));
  Value word = p.loadShared(e.i64(), tileWordsAt(before[0]));
  Value more = arith::CmpIOp::create(builder, e.loc, arith::CmpIPredicate::ne,
                                     word, e.c(-1));
  scf::ConditionOp::create(builder, e.loc, more, before);

  ValueRange counts = begin(tiles.getAfter());
  tileAt = tileWordsAt(counts[0]);
  Values used = emitPass(counts[1], counts[2]);
  scf::YieldOp::create(builder, e.loc,
                       ValueRange{p.add(counts[0], 1), used[0], used[1]});
}

Values HopperKernel::emitPass(Value keysBefore, Value valuesBefore) {
  Type f32 = e.f32(), i32 = e.i32();
  Stage first = stageOf(keysBefore);
  p.barrierWait(address(keyFull(), first.index, 8), first.parity);
  readChunk(first.index);
  size_t oCount = shape.valueDim / 2, pCount = keys / 4;

  // A pass without chunks: zeros, and -inf.
  SmallVector<Type> types(oCount, f32);
  types.append(4, f32);
  types.append(2, i32);
  auto some =
      scf::IfOp::create(builder, e.loc, types, p.lt(p.c(-1), chunkCode), true);
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(some.elseBlock());
    release(keyEmpty(), first.index);
    if (ownOutput())
      p.barrierArrive(address(barrier(kQueryEmpty)));
    Values none(oCount, p.cf(0.0f));
    Value minusInf = p.cf(-std::numeric_limits<float>::infinity());
    none.append({minusInf, minusInf, p.cf(0.0f), p.cf(0.0f)});
    none.append({p.add(keysBefore, 1), valuesBefore});
    scf::YieldOp::create(builder, e.loc, none);

    builder.setInsertionPointToStart(some.thenBlock());
    p.wgmmaFence();
    Values s = emitScores(first.index);
    p.wgmmaCommit();
    s = p.wgmmaWait(0, s, {});
    release(keyEmpty(), first.index);
    s = emitLogits(s, /*masked=*/true);
    Weights begun = emitSoftmax(s, {});
    Values state(oCount, p.cf(0.0f));
    llvm::append_range(state, packWeights(begun.weights));
    llvm::append_range(state, begun.top);
    llvm::append_range(state, begun.sums);
    auto nextChunk = [&](Value number) {
      Stage stage = stageOf(number);
      p.barrierWait(address(keyFull(), stage.index, 8), stage.parity);
      readChunk(stage.index);
    };
    Value second = p.add(keysBefore, 1);
    nextChunk(second);
    state.append({second, valuesBefore, chunkKey, chunkCount, chunkCode});

    // One more chunk; `masked`: it may need a mask.
    auto foldChunk = [&](ValueRange at, bool masked) -> Values {
      Values o(at.take_front(oCount));
      Values held(at.slice(oCount, pCount));
      ValueRange m = at.slice(oCount + pCount, 2);
      ValueRange l = at.slice(oCount + pCount + 2, 2);
      ValueRange rest = at.drop_front(oCount + pCount + 4);
      Value keysUsed = rest[0], valuesUsed = rest[1];
      Stage k = stageOf(keysUsed), v = stageOf(valuesUsed);
      chunkKey = rest[2];
      chunkCount = rest[3];
      chunkCode = rest[4];
      Values both(o);
      llvm::append_range(both, held);
      both = p.wgmmaFence(both);
      o.assign(both.begin(), both.begin() + oCount);
      held.assign(both.begin() + oCount, both.end());
      s = emitScores(k.index);
      p.wgmmaCommit();
      p.barrierWait(address(valueFull(), v.index, 8), v.parity);
      p.wgmmaFence();
      o = emitProduct(o, held, v.index);
      p.wgmmaCommit();
      s = p.wgmmaWait(1, s, {});
      release(keyEmpty(), k.index);
      s = emitLogits(s, masked);
      Weights folded = emitLazySoftmax(s, m);
      Value next = p.add(keysUsed, 1);
      nextChunk(next);
      o = p.wgmmaWait(0, o, held);
      release(valueEmpty(), v.index);
      Values sums(o);
      llvm::append_range(sums, l);
      sums = ifChanged(folded.moves, sums, [&](Values at) {
        Value alpha[] = {emitAlpha(m[0], folded.shift[0]),
                         emitAlpha(m[1], folded.shift[1])};
        for (size_t x = 0; x < at.size(); ++x)
          at[x] = p.fmul(at[x], alpha[x < oCount ? rowOf(x) : x - oCount]);
        return at;
      });
      Values after(ArrayRef(sums).take_front(oCount));
      llvm::append_range(after, packWeights(folded.weights));
      llvm::append_range(after, folded.top);
      for (int row = 0; row < 2; ++row)
        after.push_back(p.fadd(sums[oCount + row], folded.sums[row]));
      after.append(
          {next, p.add(valuesUsed, 1), chunkKey, chunkCount, chunkCode});
      return after;
    };
    auto isEnd = [&](ValueRange at) { return p.lt(at.back(), p.c(0)); };
    auto isFull = [&](ValueRange at) {
      Value whole = p.eq(at[at.size() - 2], p.c(keys));
      Value plain = arith::CmpIOp::create(
          builder, e.loc, arith::CmpIPredicate::ult, at.back(), p.c(256));
      return e.band(whole, plain);
    };
    // Full chunks have a loop without a mask to themselves.
    Values folded = e.whileLoop(
        state, [&](ValueRange at) { return e.bnot(isEnd(at)); },
        [&](ValueRange at) -> Values {
          Values rest = e.whileLoop(at, isFull, [&](ValueRange inner) {
            return foldChunk(inner, /*masked=*/false);
          });
          return ifChanged(e.bnot(isEnd(rest)), rest, [&](Values last) {
            return foldChunk(last, /*masked=*/true);
          });
        });
    ValueRange done = folded;
    // The chunk of the end holds no keys.
    Value keysUsed = done[oCount + pCount + 4];
    Value valuesUsed = done[oCount + pCount + 5];
    release(keyEmpty(), stageOf(keysUsed).index);
    if (ownOutput())
      p.barrierArrive(address(barrier(kQueryEmpty)));
    Stage v = stageOf(valuesUsed);
    p.barrierWait(address(valueFull(), v.index, 8), v.parity);
    Values both(done.take_front(oCount + pCount));
    both = p.wgmmaFence(both);
    Values held(ArrayRef(both).drop_front(oCount));
    Values o = emitProduct(ValueRange(both).take_front(oCount), held, v.index);
    p.wgmmaCommit();
    o = p.wgmmaWait(0, o, held);
    release(valueEmpty(), v.index);
    llvm::append_range(o, done.slice(oCount + pCount, 4));
    o.append({p.add(keysUsed, 1), p.add(valuesUsed, 1)});
    scf::YieldOp::create(builder, e.loc, o);
  }
  ValueRange result = some.getResults();
  State state;
  state.o.assign(result.begin(), result.begin() + oCount);
  state.m.assign(result.begin() + oCount, result.begin() + oCount + 2);
  state.l.assign(result.begin() + oCount + 2, result.begin() + oCount + 4);
  // A warpgroup without rows has computed nothing of use, but all of its lanes
  // have read the words of the tile before one gives it back.
  if (few) {
    e.ifThen(p.lt(p.mul(group, 64), usedRows()), [&] { emitResult(state); });
    p.syncWarp();
  } else {
    emitResult(state);
  }
  if (!ownOutput())
    p.barrierArrive(address(barrier(kQueryEmpty)));
  return {result[oCount + 4], result[oCount + 5]};
}
