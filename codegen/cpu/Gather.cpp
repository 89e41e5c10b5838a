//===- Gather.cpp - keys that lie apart, collected into whole chunks ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A stream that gathers (tile.stream, `gather`) has short segments: columns, or
// blocks of a few keys. A chunk of each would leave the micro kernels empty, so
// the walk collects positions, and a chunk reads the rows they name. Positions
// are collected by class: class 0 holds keys that every row of the tile sees,
// class 1 + c those that the mask of case c decides. Each is ascending, so its
// first and its last bound all of them.
//
//   append_<class>(scratch, lo, hi):      process calls it (Ranges.cpp)
//     positions += lo, lo + 1, ..., hi - 1
//     two chunks are full: fold the first
//   flush_<class>(scratch):               at the end of the walk
//     fold what is left
//   fold_<class>(scratch, n):
//     chunk of the class over positions[0, n)     (Chunk.cpp, Rows.cpp)
//     positions: drop n
//
// So while a chunk is folded, the rows of the next are known and asked for. In
// the chunks of such a stream `key` counts places in the collection.
//
//===----------------------------------------------------------------------===//
#include "codegen/cpu/KernelEmitter.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cpu;

/// Bytes before the positions of a class: their number.
static constexpr int64_t kPositionsAt = 64;
/// Rows ahead that a gather asks for.
static constexpr int64_t kRowsAhead = 4;

void KernelEmitter::layOutStream(size_t s) {
  auto &classes = layout.gathered.emplace_back();
  if (!streams[s].op.getGather())
    return;
  // Two chunks, and what follows them may be read as if there was a third.
  int64_t most = 3 * std::max({schedule.getChunk(), schedule.getMaskedChunk(),
                               rowChunk()}) +
                 e.lanes();
  for (size_t k = 0; k <= streams[s].cases.size(); ++k)
    classes.push_back(layout.take(kPositionsAt + 8 * most));
}

Value KernelEmitter::positionsAt(size_t s, int caseIndex, Value scratch) {
  return e.at(scratch, layout.gathered[s][1 + caseIndex] + kPositionsAt);
}

Value KernelEmitter::positionOf(size_t s, int caseIndex, Value scratch,
                                Value key) {
  if (!streams[s].op.getGather())
    return key;
  return e.load(e.i64(),
                e.at(positionsAt(s, caseIndex, scratch), e.mul(key, 8)), 8);
}

Value KernelEmitter::positionsOf(size_t s, int caseIndex, Value scratch,
                                 Value key) {
  if (!streams[s].op.getGather())
    return e.add(e.splat(key), e.iota());
  return e.load(e.vec(e.i64()),
                e.at(positionsAt(s, caseIndex, scratch), e.mul(key, 8)), 8);
}

/// gather(src, stride, positions, n, dst): rows of src, `stride` bytes apart,
/// as dense rows; widened to f32 if `widens`.
func::FuncOp KernelEmitter::emitGatherRows(StringRef name, int64_t dim,
                                           bool widens) {
  int64_t lanes = e.lanes(), bytes = Emitter::bytesOf(keyType);
  int64_t outBytes = widens ? 4 : bytes;
  Type word = e.b.getIntegerType(8 * bytes);
  return e.function(
      named(name), {e.ptr(), e.i64(), e.ptr(), e.i64(), e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        auto rowOf = [&](Value j) {
          Value position = e.load(e.i64(), e.at(args[2], e.mul(j, 8)), 8);
          return e.at(args[0], e.mul(position, args[1]));
        };
        e.loop(e.c(0), args[3], 1, [&](Value j) {
          Value from = rowOf(j);
          Value next = rowOf(e.min(e.add(j, kRowsAhead), e.add(args[3], -1)));
          for (int64_t at = 0; at < dim * bytes; at += 64)
            e.prefetch(e.at(next, at));
          Value to = e.at(args[4], e.mul(j, outBytes * dim));
          auto copy = [&](int64_t d, bool vector) {
            Value source = e.at(from, bytes * d);
            Value value = widens ? vector ? e.loadWideVec(keyType, source)
                                          : e.loadWide(keyType, source)
                                 : e.load(vector ? Type(e.vec(word)) : word,
                                          source, bytes);
            e.store(value, e.at(to, outBytes * d), outBytes);
          };
          int64_t whole = dim / lanes * lanes;
          for (int64_t d = 0; d < whole; d += lanes)
            copy(d, /*vector=*/true);
          for (int64_t d = whole; d < dim; ++d)
            copy(d, /*vector=*/false);
        });
        return {};
      });
}

void KernelEmitter::emitGatherFunctions() {
  bool gathers = llvm::any_of(
      streams, [](StreamCode &stream) { return stream.op.getGather(); });
  if (!gathers)
    return;
  scoresOfGathered =
      emitScoresOfGathered(e, named("gathered_scores"), shape, gatheredAhead(),
                           Emitter::bytesOf(keyType));
  gatherKeys = emitGatherRows("gather_k", shape.keyDim, /*widens=*/true);
  gatherValues = emitGatherRows("gather_v", shape.valueDim, /*widens=*/true);
  gatherStoredKeys = gatherKeys;
  gatherStoredValues = gatherValues;
  if (keyType.isF32())
    return;
  gatherStoredKeys =
      emitGatherRows("gather_stored_k", shape.keyDim, /*widens=*/false);
  gatherStoredValues =
      emitGatherRows("gather_stored_v", shape.valueDim, /*widens=*/false);
}

Value KernelEmitter::followEachOther(size_t s, int caseIndex, Value scratch,
                                     Value n) {
  Value last = e.add(n, -1);
  return e.eq(e.sub(positionOf(s, caseIndex, scratch, last),
                    positionOf(s, caseIndex, scratch, e.c(0))),
              last);
}

std::pair<Value, Value> KernelEmitter::gatherRows(size_t s, int caseIndex,
                                                  Value scratch, Value n,
                                                  bool stored, bool values) {
  int64_t dim = values ? shape.valueDim : shape.keyDim;
  int64_t bytes = stored ? Emitter::bytesOf(keyType) : 4;
  Value stride = stream(scratch, s, values ? kValueStride : kKeyStride);
  Value base = e.asPtr(stream(scratch, s, values ? kValueAt : kKeyAt));
  Value copy = e.at(scratch, values ? layout.values : layout.keys);
  // Rows that can be used where they are.
  Value inPlace = e.truth(false);
  if (stored || keyType.isF32())
    inPlace = followEachOther(s, caseIndex, scratch, n);
  if (!stored)
    inPlace = e.band(inPlace, e.eq(stride, e.c(bytes * dim)));
  func::FuncOp gather = stored ? values ? gatherStoredValues : gatherStoredKeys
                        : values ? gatherValues
                                 : gatherKeys;
  e.ifThen(e.bnot(inPlace), [&] {
    e.call(gather, {base, stride, positionsAt(s, caseIndex, scratch), n, copy});
  });
  Value first = e.mul(positionOf(s, caseIndex, scratch, e.c(0)), stride);
  return {e.select(inPlace, e.at(base, first), copy),
          e.select(inPlace, stride, e.c(bytes * dim))};
}

void KernelEmitter::emitCollect(size_t s) {
  StreamCode &stream = streams[s];
  for (int k = -1; k < int(stream.cases.size()); ++k) {
    bool masked = k >= 0;
    if (masked &&
        (stream.cases[k].getMask().empty() || twinOf(s, k) != size_t(k))) {
      stream.append.push_back({});
      stream.flush.push_back({});
      continue;
    }
    std::string suffix = suffixOf(s, k);
    int64_t area = layout.gathered[s][1 + k];
    auto widthOf = [&](Value scratch) -> Value {
      return chunkWidth(
          s, scratch, masked ? schedule.getMaskedChunk() : schedule.getChunk());
    };
    auto positionAt = [&](Value scratch, Value place) {
      return e.at(positionsAt(s, k, scratch), e.mul(place, 8));
    };
    // Whole vectors; those that run over find room.
    auto fill = [&](Value count, Value to,
                    llvm::function_ref<Value(Value)> from) {
      e.loop(e.c(0), count, e.lanes(),
             [&](Value x) { e.store(from(x), e.at(to, e.mul(x, 8)), 8); });
    };

    func::FuncOp foldFirst = e.function(
        named("fold_" + suffix), {e.ptr(), e.i64()}, {},
        [&](ArrayRef<Value> args) -> SmallVector<Value> {
          Value scratch = args[0], n = args[1], count = e.at(scratch, area);
          foldKeys(s, k, scratch, e.c(0), n);
          Value left = e.sub(e.loadI64(count, 0), n);
          Value rest = positionAt(scratch, n);
          fill(left, positionsAt(s, k, scratch), [&](Value x) {
            return e.load(e.vec(e.i64()), e.at(rest, e.mul(x, 8)), 8);
          });
          e.storeI64(left, count, 0);
          return {};
        });
    stream.append.push_back(e.function(
        named("append_" + suffix), {e.ptr(), e.i64(), e.i64()}, {},
        [&](ArrayRef<Value> args) -> SmallVector<Value> {
          Value scratch = args[0], hi = args[2], count = e.at(scratch, area);
          Value width = widthOf(scratch), room = e.mul(width, 2);
          e.whileLoop(
              {args[1]}, [&](ValueRange at) { return e.lt(at[0], hi); },
              [&](ValueRange at) -> SmallVector<Value> {
                Value held = e.loadI64(count, 0);
                Value end = e.min(hi, e.add(at[0], e.sub(room, held)));
                Value taken = e.sub(end, at[0]);
                fill(taken, positionAt(scratch, held), [&](Value x) {
                  return e.add(e.splat(e.add(at[0], x)), e.iota());
                });
                Value sum = e.add(held, taken);
                e.storeI64(sum, count, 0);
                e.ifThen(e.eq(sum, room), [&] {
                  e.call(foldFirst, {scratch, width});
                });
                return {end};
              });
          return {};
        }));
    stream.flush.push_back(e.function(
        named("flush_" + suffix), {e.ptr()}, {},
        [&](ArrayRef<Value> args) -> SmallVector<Value> {
          Value scratch = args[0], count = e.at(scratch, area);
          Value held = e.loadI64(count, 0), width = widthOf(scratch);
          e.ifThen(e.lt(e.c(0), held), [&] {
            // Vectors and what asks ahead may read on: keys that exist.
            Value last = positionOf(s, k, scratch, e.add(held, -1));
            fill(width, positionAt(scratch, held),
                 [&](Value) { return e.splat(last); });
          });
          e.whileLoop(
              {held}, [&](ValueRange left) { return e.lt(e.c(0), left[0]); },
              [&](ValueRange left) -> SmallVector<Value> {
                e.call(foldFirst, {scratch, e.min(left[0], width)});
                return {e.loadI64(count, 0)};
              });
          return {};
        }));
  }
}

void KernelEmitter::beginLists(size_t s, Value scratch) {
  for (int64_t area : layout.gathered[s])
    e.storeI64(e.c(0), e.at(scratch, area), 0);
}

void KernelEmitter::endLists(size_t s, Value scratch) {
  if (!streams[s].op.getGather())
    return;
  for (func::FuncOp flush : streams[s].flush)
    if (flush)
      e.call(flush, {scratch});
}
