//===- Merge.cpp - splits of the keys, and how their results join ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   units = tiles * splits, as many splits as fill the chip
//   end of a unit, each warpgroup: o, m, l -> workspace
//   launch behind it: for each tile and some columns, a warp for 16 rows:
//     all splits in order, kAtOnce of them in flight, more where the block has
//     few rows -> output, log-sum-exp
//
// In the workspace, behind what is cleared: words of all tiles, which the first
// split leaves; 16 rows of a unit as pieces of 8 columns as the lanes hold
// them, 4 numbers a lane, and {m, m, l, l}. Rows that the tile lacks are not
// written.
//
// No counter says which split is last, so nothing is cleared before, and many
// CTAs merge one tile.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/CudaKernel.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

/// Fewer keys are not worth a split.
static constexpr int64_t kLeastSplit = 256;
/// What a unit costs beside its keys, and each split in the merge, in keys.
static constexpr int64_t kUnitKeys = 256, kMergeKeys = 8;
/// Most units a multiprocessor.
static constexpr int64_t kWaves = 4;
/// Bytes of a piece of all lanes.
static constexpr int64_t kPartBytes = 512;
/// Splits that a thread loads before it adds, and pieces of each.
static constexpr int64_t kAtOnce = 8, kMergePieces = 2;

//===----------------------------------------------------------------------===//
// Numbers of a run
//===----------------------------------------------------------------------===//

Value CudaKernel::tileTokens(Value slots) {
  return fold.getCuQuery() ? rowTiles(slots).rows
                           : tensorSlot(slots, fold.getQuery(), 3);
}

Value CudaKernel::packFactor(Value slots) {
  if (!mayPack())
    return e.c(1);
  if (plan)
    return planned(kPlanPack);
  Value tokens = tileTokens(slots), one = e.c(1);
  Value fit = e.udiv(e.c(rows), e.max(tokens, one));
  // Packed queries are many where tiles are not cut for few.
  int64_t most = schedule.getRows() - (fold.getCuQuery() ? 1 : 0);
  fit = e.max(e.select(e.le(tokens, e.c(most)), fit, one), one);
  Value group = sharingHeads(slots);
  auto ceilDiv = [&](Value a, Value x) {
    return e.udiv(e.add(e.add(a, x), -1), x);
  };
  // Tiles of a group are alike: 5 heads of which 4 fit are 3 and 2.
  Value tiles = e.max(ceilDiv(group, fit), one);
  return e.max(ceilDiv(group, tiles), one);
}

/// The number of splits for which the last multiprocessor is done first.
Value CudaKernel::splitCount(Value slots, Value multiprocessors) {
  if (!few)
    return e.c(1);
  Value one = e.c(1), nk = mostKeys(slots);
  Value tiles = e.max(tileCount(slots), one);
  Value processors = e.max(e.mul(multiprocessors, unitsAtOnce()), one);
  auto ceilDiv = [&](Value a, Value x) {
    return e.udiv(e.add(e.add(a, x), -1), x);
  };
  // Of keys that follow each other it is known how many there are in all.
  if (fold.getCuQuery() && !isPaged()) {
    Value documents = e.add(tensorSlot(slots, fold.getCuQuery(), 1), -1);
    nk = ceilDiv(nk, e.max(documents, one));
  }
  auto cost = [&](Value splits) {
    Value turns = ceilDiv(e.mul(tiles, splits), processors);
    Value unit = e.add(ceilDiv(nk, splits), kUnitKeys);
    return e.add(e.mul(turns, unit), e.mul(splits, kMergeKeys));
  };
  Value useful = e.udiv(nk, e.c(kLeastSplit));
  Value best = one, least = cost(one);
  for (int64_t wave = 1; wave <= kWaves; ++wave) {
    Value splits = e.udiv(e.mul(processors, wave), tiles);
    splits = e.max(e.min(splits, useful), one);
    Value now = cost(splits), better = e.lt(now, least);
    best = e.select(better, splits, best);
    least = e.select(better, now, least);
  }
  // Tiles of a long query differ, and as many of them as there are processors
  // even that out.
  Value tokens = tileTokens(slots);
  Value few =
      e.bor(e.lt(tiles, processors), e.le(tokens, e.c(schedule.getRows())));
  // A tile of several documents would have a merge for each.
  if (fold.getCuQuery())
    few = e.eq(tokens, one);
  return e.select(few, best, one);
}

Value CudaKernel::takesFew(Value slots, Value multiprocessors) {
  return e.bor(e.lt(e.c(1), packFactor(slots)),
               e.lt(e.c(1), splitCount(slots, multiprocessors)));
}

int64_t CudaKernel::warpBytes() const {
  return (shape.valueDim / 8 + 1) * kPartBytes;
}

Value CudaKernel::tileWarps(Value slots) {
  Value held = e.mul(packFactor(slots), tileTokens(slots));
  return e.ceilDiv(e.min(held, e.c(rows)), 16);
}

Value CudaKernel::workspaceBytes(Value slots, Value multiprocessors) {
  Value splits = splitCount(slots, multiprocessors);
  Value bytes = e.mul(e.mul(splits, tileWarps(slots)), warpBytes());
  bytes = e.mul(tileCount(slots), e.add(bytes, wordsBytes()));
  bytes = e.select(e.lt(e.c(1), splits), bytes, e.c(0));
  return e.add(bytes, FIL_ABI_ZEROED_BYTES);
}

Value CudaKernel::wordsOf(Value tile) {
  return e.at(e.at(workspace, FIL_ABI_ZEROED_BYTES), e.mul(tile, wordsBytes()));
}

Value CudaKernel::resultsOf(Value tile, Value tiles) {
  Value bytes = e.mul(tileWord(walk::kWarps), warpBytes());
  Value before = e.mul(e.mul(tile, tileWord(walk::kSplits)), bytes);
  return e.at(wordsOf(tiles), before);
}

//===----------------------------------------------------------------------===//
// End of a unit
//===----------------------------------------------------------------------===//

void CudaKernel::emitResult(const State &state) {
  if (!few)
    return emitEpilogue(state);
  e.ifThen(
      e.eq(tileWord(walk::kSplits), e.c(1)), [&] { emitEpilogue(state); },
      [&] { emitPartial(state); });
}

void CudaKernel::emitPartial(const State &state) {
  llvm::SaveAndRestore<Value> restore[] = {{lane, p.here(lane)},
                                           {warp, p.here(warp)}};
  llvm::SaveAndRestore<Value> restoreGroup(group,
                                           group ? p.here(group) : Value());
  Value number = rowWarp();
  llvm::SaveAndRestore<Value> places[] = {
      {rowInTile, p.add(p.mul(number, 16), p.shr(lane, 2))},
      {columnPair, p.mul(p.bitAnd(lane, 3), 2)}};
  Value used = usedRows(), tile = tileWord(walk::kTile);
  Value split = tileWord(walk::kSplit);
  Value unitBytes = e.mul(tileWord(walk::kWarps), warpBytes());
  int64_t pieces = shape.valueDim / 8;
  Value own = p.wide(number);
  Value at = e.add(e.mul(own, warpBytes()), p.wide(p.mul(lane, 16)));
  Value tiles = e.udiv(units, tileWord(walk::kSplits));
  at = e.at(resultsOf(tile, tiles), e.add(at, e.mul(split, unitBytes)));
  e.ifThen(p.lt(rowInTile, used), [&] {
    for (int64_t k = 0; k < pieces; ++k)
      e.store(p.join(ValueRange(state.o).slice(4 * k, 4)),
              e.at(at, k * kPartBytes), 16);
    Value l[] = {emitCheckedSum(state.o, state.l[0], 0),
                 emitCheckedSum(state.o, state.l[1], 1)};
    e.store(p.join({state.m[0], state.m[1], l[0], l[1]}),
            e.at(at, pieces * kPartBytes), 16);
  });
  Value first = e.band(e.eq(split, e.c(0)), e.eq(own, e.c(0)));
  e.ifThen(first, [&] {
    Value to = wordsOf(tile);
    e.loop(p.wide(lane), e.c(tileWords()), 32, [&](Value number) {
      Value offset = e.mul(number, 8);
      e.store(p.loadShared(e.i64(), p.add(tileAt, p.narrow(offset))),
              e.at(to, offset), 8);
    });
  });
  p.syncWarp();
}

void CudaKernel::emitMerge(Value results, Value rowWarp, Value block) {
  constexpr int64_t width = kMergePieces;
  Value used = usedRows(), splits = p.narrow(tileWord(walk::kSplits));
  Value unitBytes = e.mul(tileWord(walk::kWarps), warpBytes());
  // Lanes whose rows the tile lacks take every second split, or fourth, or
  // eighth.
  Value rest = p.sub(used, p.mul(rowWarp, 16)), lanes = p.c(32);
  for (int32_t few : {4, 2, 1})
    lanes = p.select(p.lt(rest, p.c(few + 1)), p.c(4 * few), lanes);
  Value turn = arith::DivUIOp::create(builder, e.loc, lane, lanes);
  Value turns = arith::DivUIOp::create(builder, e.loc, p.c(32), lanes);
  Value source = arith::RemUIOp::create(builder, e.loc, lane, lanes);
  Value row = p.add(p.mul(rowWarp, 16), p.shr(source, 2));
  // Rows that nobody wrote: the first one's numbers, for nothing.
  source = p.select(p.lt(row, used), source, p.bitAnd(source, 3));
  Value at = e.at(results, e.add(e.mul(p.wide(rowWarp), warpBytes()),
                                 p.wide(p.mul(source, 16))));
  int64_t pieces = shape.valueDim / 8;
  auto least = [&](Value a, Value x) -> Value {
    return arith::MinSIOp::create(builder, e.loc, a, x);
  };
  SmallVector<Value> piece;
  for (int64_t x = 0; x < width; ++x)
    piece.push_back(p.add(p.mul(block, int32_t(width)), int32_t(x)));
  Type four = VectorType::get({4}, e.f32());
  Value minusInf = p.cf(-std::numeric_limits<float>::infinity());
  // Sums of O, of weights, and tops; what is at `k` goes with a row.
  const int64_t sumCount = 4 * width + 2;
  auto rowAt = [&](int64_t k) { return k < 4 * width ? rowOf(k) : int(k % 2); };
  auto weightOf = [&](Value before, Value shift) {
    Value change = p.fsub(shift, emitShift(before));
    Value isNone = p.isValue(before, -std::numeric_limits<float>::infinity());
    return p.select(isNone, p.cf(0.0f), p.ex2(change));
  };
  Values none(sumCount, p.cf(0.0f));
  none.append({minusInf, minusInf});
  Values sums = e.loop(
      e.c(0), p.wide(splits), e.mul(p.wide(turns), kAtOnce), none,
      [&](Value base, ValueRange carried) -> Values {
        Value first = p.add(p.narrow(base), turn);
        SmallVector<Values> o(kAtOnce), rest(kAtOnce);
        auto splitOf = [&](int64_t a) {
          return p.add(first, p.mul(turns, int32_t(a)));
        };
        for (int64_t a = 0; a < kAtOnce; ++a) {
          Value from =
              e.at(at, e.mul(p.wide(least(splitOf(a), p.add(splits, -1))),
                             unitBytes));
          rest[a] = {e.load(four, e.at(from, pieces * kPartBytes), 16)};
          for (Value number : piece) {
            Value offset = p.mul(least(number, p.c(int32_t(pieces - 1))),
                                 int32_t(kPartBytes));
            o[a].push_back(e.load(four, e.at(from, p.wide(offset)), 16));
          }
        }
        Values after(carried), m(carried.take_back(2)), top(m);
        for (int64_t a = 0; a < kAtOnce; ++a) {
          rest[a] = p.split(rest[a][0]);
          Value is = p.lt(splitOf(a), splits);
          for (int r = 0; r < 2; ++r) {
            rest[a][r] = p.select(is, rest[a][r], minusInf);
            top[r] = p.fmax(top[r], rest[a][r]);
          }
        }
        Value shift[] = {emitShift(top[0]), emitShift(top[1])};
        Value alpha[] = {weightOf(m[0], shift[0]), weightOf(m[1], shift[1])};
        for (int64_t k = 0; k < sumCount; ++k)
          after[k] = p.fmul(after[k], alpha[rowAt(k)]);
        for (int64_t a = 0; a < kAtOnce; ++a) {
          Value weight[] = {weightOf(rest[a][0], shift[0]),
                            weightOf(rest[a][1], shift[1])};
          for (int64_t x = 0; x < width; ++x)
            for (auto [k, value] : llvm::enumerate(p.split(o[a][x])))
              after[4 * x + k] =
                  p.fma(value, weight[rowOf(k)], after[4 * x + k]);
          for (int r = 0; r < 2; ++r)
            after[4 * width + r] =
                p.fma(rest[a][2 + r], weight[r], after[4 * width + r]);
        }
        std::copy(top.begin(), top.end(), after.end() - 2);
        return after;
      });
  // A row's lanes of all turns, and so all lanes of the warp, add up.
  for (int32_t apart : {16, 8, 4})
    sums = ifChanged(p.lt(lanes, p.c(apart + 1)), sums, [&](Values own) {
      Values other;
      for (Value value : own)
        other.push_back(p.shuffleXor(value, apart));
      Value ours[2], theirs[2];
      for (int r = 0; r < 2; ++r) {
        Value &top = own[sumCount + r], far = other[sumCount + r];
        Value most = p.fmax(top, far), shift = emitShift(most);
        ours[r] = weightOf(top, shift);
        theirs[r] = weightOf(far, shift);
        top = most;
      }
      for (int64_t k = 0; k < sumCount; ++k)
        own[k] =
            p.fma(other[k], theirs[rowAt(k)], p.fmul(own[k], ours[rowAt(k)]));
      return own;
    });
  // One of them writes.
  used = p.select(p.eq(turn, p.c(0)), used, p.c(0));
  Value batch = tileWord(walk::kBatch), head0 = tileWord(walk::kHead);
  Value row0 = e.add(tileWord(walk::kRow0), tileWord(walk::kQueryBase));
  for (int r = 0; r < 2; ++r) {
    Value number = p.add(row, 8 * r), there = p.lt(number, used);
    RowPlace place = placeOfRow(number);
    Value head = e.add(head0, place.head), token = e.add(row0, place.token);
    Value top = sums[4 * width + 2 + r];
    Value sum = emitCheckedTop(top, sums[4 * width + r]);
    auto [inverse, lse] = emitLastStep(top, sum, head);
    Value first = e.band(p.eq(block, p.c(0)), p.eq(columnPair, p.c(0)));
    e.ifThen(e.band(there, first), [&, lse = lse] {
      emitStoreLse(lse, {batch, head, token});
    });
    Value to = tensorAt(slots, storeOp.getOutput(), {batch, head, token});
    for (int64_t x = 0; x < width; ++x) {
      Value both = p.pack(outputType, p.fmul(sums[4 * x + 2 * r], inverse),
                          p.fmul(sums[4 * x + 2 * r + 1], inverse));
      Value inside = e.band(there, p.lt(piece[x], p.c(int32_t(pieces))));
      e.ifThen(inside, [&] {
        Value column = p.add(p.mul(piece[x], 8), columnPair);
        e.store(both, e.at(to, p.wide(p.mul(column, 2))), 4);
      });
    }
  }
}

//===----------------------------------------------------------------------===//
// The launch that merges
//===----------------------------------------------------------------------===//

/// CTAs of a tile.
static int64_t mergeBlocks(int64_t valueDim) {
  return llvm::divideCeil(valueDim / 8, kMergePieces);
}

void CudaKernel::emitMergeUnits(StringRef name) {
  e.function(name, {e.ptr(), e.i64()}, {e.i64()},
             [&](ArrayRef<Value> args) -> SmallVector<Value> {
               Value one = e.lt(splitCount(args[0], args[1]), e.c(2));
               Value ctas =
                   e.mul(tileCount(args[0]), mergeBlocks(shape.valueDim));
               return {e.select(one, e.c(0), ctas)};
             });
}

CudaLaunch CudaKernel::emitMergeDevice() {
  maps.clear();
  CudaLaunch launch;
  launch.role = LaunchRole::Merge;
  launch.function = named("merge_kernel");
  launch.follows = cuda.launchesFollow();
  launch.threads = 2 * rows; // a warp for 16
  launch.sharedBytes = int32_t(wordsBytes());
  launch.units = named("merge_units");
  LLVM::LLVMFuncOp function =
      declareKernel(launch.function, launch.threads, /*ctas=*/1);
  Block *body = function.addEntryBlock(builder);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(body);
  slots = body->getArgument(0);
  workspace = body->getArgument(1);
  units = body->getArgument(2);
  tileAt = shared = emitShared();
  Value thread = p.special("tid.x");
  lane = p.bitAnd(thread, 31);
  columnPair = p.mul(p.bitAnd(lane, 3), 2);
  int32_t blocks = int32_t(mergeBlocks(shape.valueDim));
  Value unit = p.special("ctaid.x"), tiles = p.div(p.narrow(units), blocks);
  Value tile = p.div(unit, blocks), block = p.rem(unit, blocks);
  Value words = wordsOf(p.wide(tile));
  if (launch.follows)
    p.waitForLaunches();
  e.loop(p.wide(thread), e.c(tileWords()), launch.threads, [&](Value number) {
    Value offset = e.mul(number, 8);
    p.storeShared(e.load(e.i64(), e.at(words, offset), 8),
                  p.add(tileAt, p.narrow(offset)));
  });
  p.syncBlock();
  Value rowWarp = p.broadcastLane0(p.shr(thread, 5));
  e.ifThen(p.lt(p.mul(rowWarp, 16), usedRows()), [&] {
    emitMerge(resultsOf(p.wide(tile), p.wide(tiles)), rowWarp, block);
  });
  LLVM::ReturnOp::create(builder, e.loc, ValueRange());
  return launch;
}
