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

/// Waits for chunk `number`: its words, read by the lane that gives it back.
void HopperKernel::readChunk(Value number, Fold &fold) {
  Stage stage = stageOf(number);
  p.barrierWait(address(keyFull(), stage.index, 8), stage.parity);
  Values words = ifElse(
      p.eq(lane, p.c(0)),
      [&] {
        Type four = VectorType::get({4}, e.i32());
        Value at = address(offChunk, stage.index, kChunkBytes);
        return p.split(p.loadShared(four, at));
      },
      [&] { return Values(4, p.c(0)); });
  fold.key = p.broadcastLane0(words[0]);
  fold.count = p.broadcastLane0(words[1]);
  fold.code = p.broadcastLane0(words[2]);
}

/// As one list, which loops carry, and back.
Values HopperKernel::pack(const Fold &fold) {
  Values all(fold.o);
  for (const Values *some : {&fold.weights, &fold.m, &fold.l})
    llvm::append_range(all, *some);
  all.append({fold.keys, fold.values, fold.key, fold.count, fold.code,
              fold.pass, fold.last});
  return all;
}

HopperKernel::Fold HopperKernel::unpack(ValueRange all) {
  Fold fold;
  auto take = [&](Values &some, size_t count) {
    some.assign(all.begin(), all.begin() + count);
    all = all.drop_front(count);
  };
  take(fold.o, shape.valueDim / 2);
  take(fold.weights, keys / 4);
  take(fold.m, 2);
  take(fold.l, 2);
  Value *words[] = {&fold.keys, &fold.values, &fold.key, &fold.count,
                    &fold.code, &fold.pass,   &fold.last};
  for (auto [word, value] : llvm::zip_equal(words, all))
    *word = value;
  return fold;
}

/// The chunk at hand is the next one.
void HopperKernel::enterChunk(const Fold &fold) {
  chunkKey = fold.key;
  chunkCount = fold.count;
  chunkCode = p.bitAnd(fold.code, kLast - 1);
}

void HopperKernel::waitValues(const Fold &fold) {
  Stage v = stageOf(fold.values);
  p.barrierWait(address(valueFull(), v.index, 8), v.parity);
}

/// The products of the weights that wait, in flight until `joinProduct`.
void HopperKernel::beginProduct(Fold &fold) {
  fold.o = emitProduct(fold.o, fold.weights, stageOf(fold.values).index);
  p.wgmmaCommit();
}

/// Sums are there, while `pending` younger products need not be.
void HopperKernel::joinProduct(Fold &fold, int32_t pending) {
  fold.o = p.wgmmaWait(pending, fold.o, fold.weights);
  release(valueEmpty(), stageOf(fold.values).index);
  fold.values = p.add(fold.values, 1);
}

/// What products are about to read is in its registers.
void HopperKernel::fenceProducts(Fold &fold) {
  Values both(fold.o);
  llvm::append_range(both, fold.weights);
  both = p.wgmmaFence(both);
  fold.o.assign(both.begin(), both.begin() + fold.o.size());
  fold.weights.assign(both.begin() + fold.o.size(), both.end());
}

/// Scores of the next chunk, while the weights of the one before are
/// multiplied until `joinProduct`.
Values HopperKernel::beginChunk(Fold &fold) {
  enterChunk(fold);
  Stage k = stageOf(fold.keys);
  fenceProducts(fold);
  Values s = emitScores(k.index);
  p.wgmmaCommit();
  waitValues(fold);
  p.wgmmaFence();
  beginProduct(fold);
  s = p.wgmmaWait(1, s, {});
  release(keyEmpty(), k.index);
  return s;
}

/// The warpgroup's rows of Q are not read any more, nor the words of the tile
/// before the one at hand.
void HopperKernel::releaseQuery(Value cond) {
  e.ifThen(cond, [&] { p.barrierArrive(address(queryEmpty(), group, 8)); });
}

/// One more chunk of a tile; `masked`: it may need a mask, or be the last.
void HopperKernel::foldChunk(Fold &fold, bool masked) {
  Values s = beginChunk(fold);
  if (masked) {
    fold.last = isLast(fold.code);
    releaseQuery(fold.last);
  }
  s = emitLogits(s, masked);
  Weights folded = emitLazySoftmax(s, fold.m);
  fold.keys = p.add(fold.keys, 1);
  readChunk(fold.keys, fold);
  joinProduct(fold);
  Values sums(fold.o);
  llvm::append_range(sums, fold.l);
  size_t oCount = fold.o.size();
  sums = ifChanged(folded.moves, sums, [&](Values at) {
    Value alpha[] = {emitAlpha(fold.m[0], folded.shift[0]),
                     emitAlpha(fold.m[1], folded.shift[1])};
    for (size_t x = 0; x < at.size(); ++x)
      at[x] = p.fmul(at[x], alpha[x < oCount ? rowOf(x) : x - oCount]);
    return at;
  });
  fold.o.assign(sums.begin(), sums.begin() + oCount);
  fold.weights = packWeights(folded.weights);
  fold.m = folded.top;
  for (int row = 0; row < 2; ++row)
    fold.l[row] = p.fadd(sums[oCount + row], folded.sums[row]);
}

/// The last product of a tile and the first scores of the next one, under which
/// the result of that tile is stored.
void HopperKernel::emitTurn(Fold &fold) {
  const Values m = fold.m, l = fold.l;
  enterChunk(fold);
  fold.last = isLast(fold.code);
  Stage k = stageOf(fold.keys);
  Values s;
  auto beginScores = [&] {
    p.barrierWait(address(queryFull(), group, 8), p.bitAnd(fold.pass, 1));
    p.wgmmaFence();
    s = emitScores(k.index);
    p.wgmmaCommit();
  };
  if (few) { // the tile before has ended: finishTile
    beginScores();
  } else {
    waitValues(fold);
    fenceProducts(fold);
    beginProduct(fold);
    beginScores();
    joinProduct(fold, /*pending=*/1);
    tileAt = tileWordsAt(p.add(fold.pass, -1));
    e.ifThen(p.lt(p.c(0), fold.pass), [&] { emitTileEnd({fold.o, m, l}); });
  }
  s = p.wgmmaWait(0, s, {});
  release(keyEmpty(), k.index);
  releaseQuery(fold.last);
  fold.keys = p.add(fold.keys, 1);
  tileAt = tileWordsAt(fold.pass);
  // Without keys all are masked.
  Weights first = emitSoftmax(emitLogits(s, /*masked=*/true), {});
  readChunk(fold.keys, fold);
  fold.o.assign(fold.o.size(), p.cf(0.0f));
  fold.weights = packWeights(first.weights);
  fold.m = first.top;
  fold.l = first.sums;
  fold.pass = p.add(fold.pass, 1);
}

/// The last product of a tile, alone, and its result.
void HopperKernel::finishTile(Fold &fold) {
  waitValues(fold);
  fenceProducts(fold);
  beginProduct(fold);
  joinProduct(fold);
  tileAt = tileWordsAt(p.add(fold.pass, -1));
  emitTileEnd({fold.o, fold.m, fold.l});
}

/// The result of the tile at `tileAt`.
void HopperKernel::emitTileEnd(const State &state) {
  if (!few)
    return emitResult(state);
  // A warpgroup without rows has multiplied for nothing.
  e.ifThen(p.lt(p.mul(group, 64), usedRows()), [&] { emitResult(state); });
  p.syncWarp();
}

/// Before the first chunk there are values of none: their product goes nowhere,
/// but nothing is read that nobody has written.
void HopperKernel::clearFirstValues() {
  Value zeros = p.zeroPiece();
  int32_t threads = 128 * warpgroups;
  Value thread = p.add(p.add(p.mul(group, 128), p.mul(warp, 32)), lane);
  e.loop(p.wide(thread), e.c(valueBytes / 16), threads, [&](Value piece) {
    p.storeShared(zeros, p.add(address(offValues), p.mul(p.narrow(piece), 16)));
  });
  p.fenceProxy();
  p.syncNamed(p.c(1 + warpgroups), threads);
}

/// Rows of Q that no head fills stay as they are, and the first Q waits for it.
void HopperKernel::clearQuery() {
  Value zeros = p.zeroPiece();
  const int32_t blockBytes = 64 * kRowBytes, pieces = blockBytes / 16;
  Value first = p.add(address(offQuery), p.mul(group, blockBytes));
  e.ifThen(e.lt(e.c(1), packFactor(slots)), [&] {
    Value thread = p.add(p.mul(warp, 32), lane);
    e.loop(p.wide(thread), e.c(pieces * keyChunks), 128, [&](Value piece) {
      Value number = p.narrow(piece);
      Value block = p.mul(p.div(number, pieces), rows * kRowBytes);
      Value within = p.mul(p.rem(number, pieces), 16);
      p.storeShared(zeros, p.add(p.add(first, block), within));
    });
    p.fenceProxy();
  });
  releaseQuery(e.truth(true));
}

void HopperKernel::emitConsumer() {
  rowInTile = p.add(p.add(p.mul(group, 64), p.mul(warp, 16)), p.shr(lane, 2));
  columnPair = p.mul(p.bitAnd(lane, 3), 2);
  if (!few)
    clearFirstValues();
  if (mayPack())
    clearQuery();
  Value zero = p.c(0), none = p.cf(0.0f);
  Fold begin;
  begin.o.assign(shape.valueDim / 2, none);
  begin.weights.assign(keys / 4, zero);
  begin.m = begin.l = {none, none};
  begin.keys = begin.values = begin.pass = zero;
  begin.last = e.truth(true);
  readChunk(zero, begin);

  auto foldOne = [&](ValueRange at, bool masked) {
    Fold fold = unpack(at);
    foldChunk(fold, masked);
    return pack(fold);
  };
  auto isFull = [&](ValueRange at) {
    Fold fold = unpack(at);
    Value plain = arith::CmpIOp::create(
        builder, e.loc, arith::CmpIPredicate::ult, fold.code, p.c(256));
    return e.band(p.eq(fold.count, p.c(keys)), plain);
  };
  auto isTile = [&](ValueRange at) {
    return e.bnot(p.eq(unpack(at).code, p.c(kQuit)));
  };
  Values folded = e.whileLoop(pack(begin), isTile, [&](ValueRange at) {
    Fold fold = unpack(at);
    emitTurn(fold);
    tileAt = tileWordsAt(p.add(fold.pass, -1));
    // Full chunks have a loop without a mask to themselves; the last of a tile
    // is not among them.
    Values rest = e.whileLoop(
        pack(fold), [&](ValueRange at) { return e.bnot(unpack(at).last); },
        [&](ValueRange at) -> Values {
          Values rest = e.whileLoop(at, isFull, [&](ValueRange inner) {
            return foldOne(inner, /*masked=*/false);
          });
          return foldOne(rest, /*masked=*/true);
        });
    if (!few)
      return rest;
    Fold ended = unpack(rest);
    finishTile(ended);
    return pack(ended);
  });
  if (few)
    return;
  Fold fold = unpack(folded);
  e.ifThen(p.lt(p.c(0), fold.pass), [&] { finishTile(fold); });
}
