//===- Walk.cpp - one pass over the key axis of a stream ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   walk(scratch):
//     addresses, clip to the split, ranges of every case
//     no lists:  clip to the split's share of what the case touches
//                process(case 0, all keys)
//     lists:     skip, in every list, what ends before the split
//                at = first key of the split
//                while at < its end:
//                  advance every list past blocks that end at or before `at`
//                  members = lists whose block holds `at`
//                  end = first key where membership can change
//                  process(case of members, [at, end))
//                if keys are gathered: flush what is left
//     one list, nothing outside it: process(case, block) of each good entry
//
// Every list entry is checked before it is used: out of range or not ascending
// is reported through the status word and dropped.
//
//===----------------------------------------------------------------------===//
#include "codegen/walk/WalkEmitter.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::walk;

/// First report wins: compare-and-swap on the code, then the place.
void WalkEmitter::emitReport(Value scratch, int64_t code, Value col) {
  Value word = e.load(e.i64(), slotsOf(scratch));
  e.ifThen(e.bnot(e.eq(word, e.c(0))), [&] {
    Value at = e.asPtr(word);
    auto i32c = [&](int64_t v) -> Value {
      return arith::ConstantIntOp::create(e.b, e.loc, v, 32);
    };
    Value swapped = LLVM::AtomicCmpXchgOp::create(
        e.b, e.loc, at, i32c(0), i32c(code), LLVM::AtomicOrdering::acq_rel,
        LLVM::AtomicOrdering::monotonic);
    Value won =
        LLVM::ExtractValueOp::create(e.b, e.loc, swapped, ArrayRef<int64_t>{1});
    e.ifThen(won, [&] {
      Value places[] = {frame(scratch, kDocument), frame(scratch, kHead),
                        frame(scratch, kRow0), col};
      for (auto [k, value] : llvm::enumerate(places))
        e.store(arith::TruncIOp::create(e.b, e.loc, e.i32(), value),
                e.at(at, 4 * (int64_t(k) + 1)));
    });
  });
}

Value WalkEmitter::emitGoodEntry(Value scratch, Value col, Value previous,
                                 Value blocks) {
  Value inside = e.band(e.le(e.c(0), col), e.lt(col, blocks));
  Value good = e.band(inside, e.lt(previous, col));
  e.ifThen(e.bnot(good), [&] {
    e.ifThen(
        inside, [&] { emitReport(scratch, FIL_ABI_COLUMN_NOT_ASCENDING, col); },
        [&] { emitReport(scratch, FIL_ABI_COLUMN_OUT_OF_RANGE, col); });
  });
  return good;
}

/// skip_<list>(scratch): a vector of entries at a time while all are good and
/// end before the split. Every split reads the list from its beginning, so that
/// what is dropped does not depend on the number of splits.
func::FuncOp WalkEmitter::emitSkip(size_t s, size_t list) {
  tile::StreamOp op = streams[s].op;
  int64_t blockCols = op.getBlocks()[2 * list + 1], lanes = e.lanes();
  return e.function(
      named("skip_" + Twine(s) + "_" + Twine(list)), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], slots = slotsOf(scratch);
        Value state = e.at(scratch, layout.list[s][list]);
        Value cols = e.asPtr(tensorSlot(slots, op.getCols()[list], 0));
        Value dense = e.eq(tensorSlot(slots, op.getCols()[list], 5), e.c(1));
        // Blocks below this one end before the split.
        Value limit = e.udiv(stream(scratch, s, kClipLo), e.c(blockCols));
        Value end = e.select(dense, e.loadI64(state, kEnd), e.c(0));
        VectorType words = e.vec(e.i32());
        SmallVector<int64_t> before = {2 * lanes - 1};
        for (int64_t lane = 1; lane < lanes; ++lane)
          before.push_back(lane - 1);
        Value none = vector::BroadcastOp::create(
            e.b, e.loc, words,
            arith::ConstantIntOp::create(e.b, e.loc, -1, 32));
        SmallVector<Value> skipped = e.whileLoop(
            {e.loadI64(state, kNext), none, e.truth(true)},
            [&](ValueRange carried) {
              return e.band(carried[2], e.le(e.add(carried[0], lanes), end));
            },
            [&](ValueRange carried) -> SmallVector<Value> {
              Value entries =
                  e.load(words, e.at(cols, e.mul(carried[0], 4)), 4);
              Value previous = vector::ShuffleOp::create(e.b, e.loc, entries,
                                                         carried[1], before);
              Value ascend = vector::ReductionOp::create(
                  e.b, e.loc, vector::CombiningKind::AND,
                  e.lt(previous, entries));
              Value last = arith::ExtSIOp::create(
                  e.b, e.loc, e.i64(),
                  vector::ExtractOp::create(e.b, e.loc, entries,
                                            ArrayRef<int64_t>{lanes - 1}));
              Value all = e.band(ascend, e.lt(last, limit));
              e.ifThen(all, [&] { e.storeI64(last, state, kPrevious); });
              return {e.select(all, e.add(carried[0], lanes), carried[0]),
                      e.select(all, entries, carried[1]), all};
            });
        e.storeI64(skipped[0], state, kNext);
        return {};
      });
}

/// advance_<list>(scratch): the next good block that ends after the first key
/// of the split, or none.
func::FuncOp WalkEmitter::emitAdvance(size_t s, size_t list) {
  tile::StreamOp op = streams[s].op;
  int64_t blockCols = op.getBlocks()[2 * list + 1];
  return e.function(
      named("advance_" + Twine(s) + "_" + Twine(list)), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], slots = slotsOf(scratch);
        Value state = e.at(scratch, layout.list[s][list]);
        Value nk = stream(scratch, s, kNk);
        Value blocks = e.ceilDiv(nk, blockCols);
        Value first = e.udiv(clipOf(s, scratch).lo, e.c(blockCols));
        Value cols = e.asPtr(tensorSlot(slots, op.getCols()[list], 0));
        Value stride = tensorSlot(slots, op.getCols()[list], 5);
        e.storeI64(e.c(kNever), state, kBlockLo);
        e.storeI64(e.c(kNever), state, kBlockHi);
        e.whileLoop(
            {e.loadI64(state, kNext), e.truth(false)},
            [&](ValueRange carried) {
              return e.band(e.lt(carried[0], e.loadI64(state, kEnd)),
                            e.bnot(carried[1]));
            },
            [&](ValueRange carried) -> SmallVector<Value> {
              Value entry = e.load(
                  e.i32(), e.at(cols, e.mul(e.mul(carried[0], stride), 4)));
              Value col = arith::ExtSIOp::create(e.b, e.loc, e.i64(), entry);
              Value good = emitGoodEntry(scratch, col,
                                         e.loadI64(state, kPrevious), blocks);
              Value next = e.add(carried[0], 1);
              e.storeI64(next, state, kNext);
              e.ifThen(good, [&] {
                Value lo = e.mul(col, blockCols);
                e.storeI64(col, state, kPrevious);
                e.storeI64(lo, state, kBlockLo);
                e.storeI64(e.min(e.add(lo, blockCols), nk), state, kBlockHi);
              });
              return {next, e.band(good, e.le(first, col))};
            });
        return {};
      });
}

Value WalkEmitter::shareOf(Value scratch, Value keys) {
  Value splits = frame(scratch, kSplits);
  Value share = e.udiv(e.add(e.add(keys, splits), -1), splits);
  return e.mul(e.ceilDiv(share, schedule.getMaskedChunk()),
               schedule.getMaskedChunk());
}

bool WalkEmitter::walksBlocks(size_t s) {
  return streams[s].op.getStarts().size() == 1 &&
         llvm::all_of(streams[s].cases,
                      [](tile::CaseOp op) { return op.getMembers() == 1; });
}

void WalkEmitter::emitWalkBlocks(size_t s, Value scratch) {
  tile::StreamOp op = streams[s].op;
  int64_t blockCols = op.getBlocks()[1];
  Value slots = slotsOf(scratch), nk = stream(scratch, s, kNk);
  Clip clip = clipOf(s, scratch);
  Value state = e.at(scratch, layout.list[s][0]);
  Value first = e.loadI64(state, kNext), end = e.loadI64(state, kEnd);
  // Entries have 32 bits, so comparing them takes no more.
  auto wide = [&](Value entry) -> Value {
    return arith::ExtSIOp::create(e.b, e.loc, e.i64(), entry);
  };
  Value blocks = e.min(e.ceilDiv(nk, blockCols), e.c(INT32_MAX));
  blocks = wide(arith::TruncIOp::create(e.b, e.loc, e.i32(), blocks));
  Value bytes = e.mul(tensorSlot(slots, op.getCols()[0], 5), 4);
  Value begin =
      e.at(e.asPtr(tensorSlot(slots, op.getCols()[0], 0)), e.mul(first, bytes));
  e.ifThen(e.lt(first, end), [&] {
    // An entry is asked for when the one before is at hand.
    e.whileLoop(
        {first, e.loadI64(state, kPrevious), begin, e.load(e.i32(), begin, 4),
         e.truth(true)},
        [&](ValueRange at) { return e.band(at[4], e.lt(at[0], end)); },
        [&](ValueRange at) -> SmallVector<Value> {
          Value next = e.add(at[0], 1);
          Value nextAt = e.select(e.lt(next, end), e.at(at[2], bytes), at[2]);
          Value entry = e.load(e.i32(), nextAt, 4);
          Value col = wide(at[3]), block = e.mul(col, blockCols);
          Value good = emitGoodEntry(scratch, col, at[1], blocks);
          Value lo = block, hi = e.min(e.add(block, blockCols), clip.hi);
          Value some = good, goesOn = e.truth(true);
          if (splitsKeys()) {
            lo = e.max(block, clip.lo);
            some = e.band(good, e.lt(lo, hi));
            goesOn = e.bor(e.bnot(good), e.lt(block, clip.hi));
          }
          e.ifThen(some, [&] {
            for (func::FuncOp process : streams[s].process)
              e.call(process, {scratch, lo, hi});
          });
          return {next, e.select(good, col, at[1]), nextAt, entry, goesOn};
        });
  });
}

WalkEmitter::Clip WalkEmitter::clipOf(size_t s, Value scratch) {
  if (!splitsKeys())
    return {e.c(0), stream(scratch, s, kNk)};
  return {stream(scratch, s, kClipLo), stream(scratch, s, kClipHi)};
}

void WalkEmitter::emitKeyAddresses(size_t s, Value scratch) {
  tile::StreamOp op = streams[s].op;
  Value slots = slotsOf(scratch), area = e.at(scratch, layout.stream[s]);
  Value kvHead = frame(scratch, kKvHead), batch = frame(scratch, kBatch);
  Value keyBase = e.loadI64(area, kKeyBase);
  int64_t bytes = Emitter::bytesOf(keyType);
  for (auto [tensor, at, strideWord] :
       {std::tuple<Value, int64_t, int64_t>{op.getKey(), kKeyAt, kKeyStride},
        {op.getValue(), kValueAt, kValueStride}}) {
    e.storeI64(e.asInt(tensorAt(slots, tensor, {batch, kvHead, keyBase})), area,
               at);
    e.storeI64(e.mul(tensorSlot(slots, tensor, 7), bytes), area, strideWord);
  }
}

func::FuncOp WalkEmitter::emitWalk(size_t s) {
  tile::StreamOp op = streams[s].op;
  size_t lists = op.getStarts().size();
  bool onlyBlocks = walksBlocks(s);
  SmallVector<func::FuncOp> advance, skip;
  for (size_t list = 0; list < lists; ++list) {
    if (!onlyBlocks)
      advance.push_back(emitAdvance(s, list));
    skip.push_back(splitsKeys() ? emitSkip(s, list) : func::FuncOp());
  }
  return e.function(
      named("walk_" + Twine(s)), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], slots = slotsOf(scratch);
        Value area = e.at(scratch, layout.stream[s]);
        Value batch = frame(scratch, kBatch);
        if (readsKeys())
          emitKeyAddresses(s, scratch);
        Value nk = e.loadI64(area, kNk), clipLo = e.c(0);
        if (splitsKeys()) {
          Value share = shareOf(scratch, nk);
          clipLo = e.min(nk, e.mul(share, frame(scratch, kSplit)));
          e.storeI64(clipLo, area, kClipLo);
          e.storeI64(e.min(nk, e.add(clipLo, share)), area, kClipHi);
        }
        auto visit = [&] {
          for (func::FuncOp ranges : streams[s].ranges)
            if (ranges)
              e.call(ranges, {scratch});

          if (lists == 0) {
            if (splitsKeys() && !streams[s].ranges.empty() &&
                streams[s].ranges[0])
              e.ifThen(e.lt(e.c(1), frame(scratch, kSplits)),
                       [&] { emitClip(s, scratch); });
            if (!streams[s].process.empty())
              e.call(streams[s].process[0], {scratch, e.c(0), nk});
            return;
          }

          beginLists(s, scratch);
          for (size_t list = 0; list < lists; ++list) {
            Value state = e.at(scratch, layout.list[s][list]);
            Value start = op.getStarts()[list], count = op.getCounts()[list];
            Value listHeads = tensorSlot(slots, start, 2);
            Value heads = tensorSlot(slots, fold.getQuery(), 2);
            // The list's head axis is 1, Hkv or Hq; all divide Hq.
            Value head = e.udiv(e.mul(frame(scratch, kHead), listHeads), heads);
            Value entry = e.min(batch, e.add(tensorSlot(slots, start, 1), -1));
            Value row =
                e.udiv(frame(scratch, kRow0), e.c(op.getBlocks()[2 * list]));
            auto wordOf = [&](Value tensor) -> Value {
              Value value =
                  e.load(e.i32(), tensorAt(slots, tensor, {entry, head, row}));
              return arith::ExtSIOp::create(e.b, e.loc, e.i64(), value);
            };
            Value first = wordOf(start), number = wordOf(count);
            Value capacity = tensorSlot(slots, op.getCols()[list], 1);
            Value good =
                e.band(e.band(e.le(e.c(0), first), e.le(e.c(0), number)),
                       e.le(e.add(first, number), capacity));
            e.ifThen(e.bnot(good), [&] {
              emitReport(scratch, FIL_ABI_LIST_OUT_OF_ARRAY, number);
            });
            e.storeI64(e.select(good, first, e.c(0)), state, kNext);
            e.storeI64(e.select(good, e.add(first, number), e.c(0)), state,
                       kEnd);
            e.storeI64(e.c(-1), state, kPrevious);
            if (splitsKeys())
              e.ifThen(e.lt(e.c(0), clipLo),
                       [&] { e.call(skip[list], {scratch}); });
            if (!onlyBlocks)
              e.call(advance[list], {scratch});
          }
          if (onlyBlocks) {
            emitWalkBlocks(s, scratch);
            endLists(s, scratch);
            return;
          }
          Value clipHi = clipOf(s, scratch).hi;
          e.whileLoop(
              {clipLo}, [&](ValueRange at) { return e.lt(at[0], clipHi); },
              [&](ValueRange at) -> SmallVector<Value> {
                Value members = e.c(0), end = nk;
                for (size_t list = 0; list < lists; ++list) {
                  Value state = e.at(scratch, layout.list[s][list]);
                  e.ifThen(e.le(e.loadI64(state, kBlockHi), at[0]),
                           [&] { e.call(advance[list], {scratch}); });
                  Value lo = e.loadI64(state, kBlockLo);
                  Value inside = e.le(lo, at[0]);
                  members = e.bor(members,
                                  e.select(inside, e.c(1ll << list), e.c(0)));
                  end = e.min(end,
                              e.select(inside, e.loadI64(state, kBlockHi), lo));
                }
                for (auto [k, caseOp] : llvm::enumerate(streams[s].cases))
                  e.ifThen(
                      e.eq(members, e.c(int64_t(caseOp.getMembers()))),
                      [&, k = k] {
                        e.call(streams[s].process[k], {scratch, at[0], end});
                      });
                return {end};
              });
          endLists(s, scratch);
        };
        e.ifThen(e.lt(e.c(0), nk), visit);
        return {};
      });
}
