//===- Rows.cpp - few queries against many keys: head dims in the lanes ---===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decoding holds one query a head, or a few: a panel would be mostly empty, and
// the time is that of reading the keys. Here a row of queries lies along its
// head dimension, and the query heads that share a key head are held together:
// row r is row r % kRows of the tile, of head kHead + r / kRows.
//
//   row_chunk(scratch, key, n):
//     K, V rows of [key, key + n), where they are; in pages: page by page
//     for R rows at a time:        micro kernels in RowKernels.cpp
//       scores of n keys; edge; mask; softmax; add the weighted values to o
//
//===----------------------------------------------------------------------===//
#include "codegen/cpu/KernelEmitter.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cpu;

//===----------------------------------------------------------------------===//
// Chunks
//===----------------------------------------------------------------------===//

Value KernelEmitter::storageRow(Value scratch, Value row) {
  Value first = e.add(frame(scratch, kRow0), frame(scratch, kQueryBase));
  return e.add(first, e.urem(row, frame(scratch, kRows)));
}

/// Edge and mask of one row over [key, key + n), keys in the lanes. A mask also
/// leaves signs: -0 where a pair is no edge, else 0.
void KernelEmitter::emitRowBodies(size_t s, int caseIndex, Value scratch,
                                  Value row, Value scoreRow, Value signs,
                                  Value key, Value n) {
  bool masked = caseIndex >= 0;
  if (!masked && plainScores)
    return;
  Value none = e.splat(kNoScore);
  e.loop(e.c(0), n, e.lanes(), [&](Value j) {
    Value rows = frame(scratch, kRows);
    Value lane = positionsOf(s, caseIndex, scratch, e.add(key, j));
    Value lastKey = e.splat(e.add(stream(scratch, s, kNk), -1));
    Value inside = arith::MinSIOp::create(e.b, e.loc, lane, lastKey);
    PairPlace place;
    place.b = frame(scratch, kDocument);
    place.h = e.add(frame(scratch, kHead), e.udiv(row, rows));
    place.row = storageRow(scratch, row);
    place.i = e.add(stream(scratch, s, kPosition), e.urem(row, rows));
    place.j = lane;
    place.col = e.add(inside, e.splat(stream(scratch, s, kKeyBase)));
    Value at = e.at(scoreRow, e.mul(j, 4));
    Value logit = e.loadVec(at);
    BodyEmitter bodies(e, interface, slotsOf(scratch));
    if (!plainScores)
      logit = emitLogit(s, scratch, place, logit);
    if (masked) {
      Value edge = bodies.evaluate(
          streams[s].cases[caseIndex].getMask().front(), place);
      if (!isa<VectorType>(edge.getType()))
        edge = e.splat(edge);
      logit = e.select(edge, logit, none);
      e.store(e.select(edge, e.splat(0.0f), e.splat(kNoEdge)),
              e.at(signs, e.mul(j, 4)), 4);
    }
    e.store(logit, at, 4);
  });
}

/// Weights of pairs that are no edges, +0 so far, become kNoEdge.
void KernelEmitter::markUnseen(Value weights, Value signs, Value n) {
  Type words = e.vec(e.i32());
  auto loadBits = [&](Value at) { return e.load(words, at, 4); };
  e.loop(e.c(0), n, e.lanes(), [&](Value j) {
    Value offset = e.mul(j, 4), at = e.at(weights, offset);
    e.store(e.bor(loadBits(at), loadBits(e.at(signs, offset))), at, 4);
  });
}

KernelEmitter::StoredRows KernelEmitter::storedRows(size_t s, int caseIndex,
                                                    Value scratch, Value key,
                                                    Value n, bool values) {
  Value stride = stream(scratch, s, values ? kValueStride : kKeyStride);
  Value at;
  if (streams[s].op.getGather())
    std::tie(at, stride) =
        gatherRows(s, caseIndex, scratch, n, /*stored=*/true, values);
  else
    at = keyAt(s, scratch, key, values);
  return {e.c(0), n, at, stride, e.mul(stride, rowChunk())};
}

void KernelEmitter::forRowsOfPages(size_t s, Value scratch, Value key, Value n,
                                   bool values,
                                   llvm::function_ref<void(StoredRows)> body) {
  Value stride = stream(scratch, s, values ? kValueStride : kKeyStride);
  forPages(key, n, [&](Value done, Value from, Value count) {
    Value at = keyAt(s, scratch, from, values);
    Value next = nextKeyAt(s, scratch, e.add(from, rowChunk()), values);
    body({done, count, at, stride, e.sub(e.asInt(next), e.asInt(at))});
  });
}

func::FuncOp KernelEmitter::emitRowChunk(size_t s, int caseIndex) {
  return arithmetic(
      e, named("row_chunk_" + suffixOf(s, caseIndex)),
      {e.ptr(), e.i64(), e.i64()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], key = args[1], n = args[2];
        StoredRows inOnePlace[2];
        if (!isPaged())
          for (bool values : {false, true})
            inOnePlace[values] =
                storedRows(s, caseIndex, scratch, key, n, values);
        auto forRows = [&](bool values,
                           llvm::function_ref<void(StoredRows)> body) {
          if (isPaged())
            forRowsOfPages(s, scratch, key, n, values, body);
          else
            body(inOnePlace[values]);
        };
        bool masked = caseIndex >= 0;
        Value held = frame(scratch, kHeld);
        Value scoresAt = e.at(scratch, layout.rowScores);
        Value signs = e.at(scratch, layout.rowSigns);
        int64_t strideBytes = 4 * rowChunk();
        auto fold = [&](Value row, int64_t rows) {
          Value first = e.at(scoresAt, e.mul(row, strideBytes));
          Value alpha = e.at(scratch, layout.alpha);
          bool single = rows == 1;
          Value queries =
              e.at(e.at(scratch, layout.query), e.mul(row, 4 * shape.keyDim));
          forRows(/*values=*/false, [&](StoredRows keys) {
            e.call(single ? rowScoresOne : rowScoresMany,
                   {queries, keys.at, keys.stride, keys.count,
                    e.at(first, e.mul(keys.first, 4)), e.c(strideBytes),
                    keys.ahead});
          });
          for (int64_t r = 0; r < rows; ++r) {
            Value scoreRow = e.at(first, r * strideBytes);
            Value number = e.add(row, r);
            emitRowBodies(s, caseIndex, scratch, number, scoreRow,
                          e.at(signs, r * strideBytes), key, n);
            // Whole vectors only: what lies beyond n weighs nothing.
            Value padded = e.mul(e.ceilDiv(n, e.lanes()), e.lanes());
            e.loop(n, padded, 1, [&](Value j) {
              e.store(e.cf(kNoScore), e.at(scoreRow, e.mul(j, 4)), 4);
            });
          }
          Value width = e.mul(row, 4);
          e.call(single ? rowSoftmaxOne : rowSoftmaxMany,
                 {first, e.c(strideBytes), n,
                  e.at(e.at(scratch, layout.top), width),
                  e.at(e.at(scratch, layout.sum), width), alpha});
          if (masked)
            for (int64_t r = 0; r < rows; ++r)
              markUnseen(e.at(first, r * strideBytes),
                         e.at(signs, r * strideBytes), n);
          Value output = e.at(e.at(scratch, layout.output),
                              e.mul(row, 4 * shape.valueDim));
          forRows(/*values=*/true, [&](StoredRows values) {
            e.call(single ? rowAccumulateOne[masked]
                          : rowAccumulateMany[masked],
                   {e.at(first, e.mul(values.first, 4)), e.c(strideBytes),
                    values.at, values.stride, values.count, output, alpha,
                    values.ahead});
            // What the next page adds to has the new maximum.
            if (isPaged())
              for (int64_t r = 0; r < rows; ++r)
                e.store(e.cf(1.0f), e.at(alpha, 4 * r), 4);
          });
        };
        Value groups = e.mul(e.udiv(held, e.c(kRowGroup)), kRowGroup);
        e.loop(e.c(0), groups, kRowGroup,
               [&](Value row) { fold(row, kRowGroup); });
        e.loop(groups, held, 1, [&](Value row) { fold(row, 1); });
        return {};
      });
}

//===----------------------------------------------------------------------===//
// Begin and end
//===----------------------------------------------------------------------===//

/// row_begin(scratch): q rows as f32, scaled; o, l, m = 0, 0, -inf.
func::FuncOp KernelEmitter::emitRowBegin() {
  return arithmetic(
      e, named("row_begin"), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], slots = slotsOf(scratch);
        Value query = fold.getQuery(), rows = frame(scratch, kRows);
        int64_t dim = shape.keyDim, bytes = Emitter::bytesOf(queryType);
        Value scale = e.cf(queryFactor);
        e.loop(e.c(0), frame(scratch, kHeld), 1, [&](Value row) {
          Value src = tensorAt(slots, query,
                               {frame(scratch, kBatch),
                                e.add(frame(scratch, kHead), e.udiv(row, rows)),
                                storageRow(scratch, row)});
          Value dst = e.at(e.at(scratch, layout.query), e.mul(row, 4 * dim));
          e.loop(e.c(0), e.c(dim), 1, [&](Value d) {
            e.store(e.fmul(e.loadWide(queryType, e.at(src, e.mul(d, bytes))),
                           scale),
                    e.at(dst, e.mul(placeInRow(d, dim), 4)), 4);
          });
          Value out = e.at(e.at(scratch, layout.output),
                           e.mul(row, 4 * shape.valueDim));
          e.loop(e.c(0), e.c(shape.valueDim), 1, [&](Value d) {
            e.store(e.cf(0.0f), e.at(out, e.mul(d, 4)), 4);
          });
          e.store(e.cf(kNoScore),
                  e.at(e.at(scratch, layout.top), e.mul(row, 4)), 4);
          e.store(e.cf(0.0f), e.at(e.at(scratch, layout.sum), e.mul(row, 4)),
                  4);
        });
        return {};
      });
}

/// row_finish(scratch): as finish, o in rows.
func::FuncOp KernelEmitter::emitRowFinish() {
  return arithmetic(
      e, named("row_finish"), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], slots = slotsOf(scratch);
        Value rows = frame(scratch, kRows);
        int64_t bytes = Emitter::bytesOf(outputType);
        e.loop(e.c(0), frame(scratch, kHeld), 1, [&](Value row) {
          Value head = e.add(frame(scratch, kHead), e.udiv(row, rows));
          Value at = e.mul(row, 4);
          auto load = [&](int64_t offset) {
            return e.splat(e.load(e.f32(), e.at(e.at(scratch, offset), at), 4));
          };
          auto [inverse, lse] =
              emitLastStep(slots, head, load(layout.top), load(layout.sum));
          auto first = [&](Value vector) -> Value {
            return vector::ExtractOp::create(e.b, e.loc, vector,
                                             ArrayRef<int64_t>{0});
          };
          SmallVector<Value> place = {frame(scratch, kBatch), head,
                                      storageRow(scratch, row)};
          e.store(first(lse), tensorAt(slots, storeOp.getLse(), place), 4);
          Value to = tensorAt(slots, storeOp.getOutput(), place);
          Value from = e.at(e.at(scratch, layout.output),
                            e.mul(row, 4 * shape.valueDim));
          Value scale = first(inverse), empty = isNoEdge(e, scale);
          e.loop(e.c(0), e.c(shape.valueDim), 1, [&](Value d) {
            Value at = e.mul(placeInRow(d, shape.valueDim), 4);
            Value sum = e.load(e.f32(), e.at(from, at), 4);
            e.storeNarrow(outputType,
                          e.select(empty, e.cf(0.0f), e.fmul(sum, scale)),
                          e.at(to, e.mul(d, bytes)));
          });
        });
        return {};
      });
}

/// row_merge(scratch, partials, stride, splits): folds the partials of a tile
/// into o, m, l.
func::FuncOp KernelEmitter::emitRowMerge() {
  int64_t span = spanRows * 4;
  return arithmetic(
      e, named("row_merge"), {e.ptr(), e.ptr(), e.i64()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], splits = args[2];
        e.loop(e.c(0), frame(scratch, kHeld), 1, [&](Value row) {
          Value at = e.mul(row, 4);
          auto partial = [&](Value split, int64_t offset) {
            return e.at(e.at(args[1], e.mul(split, partialBytes())), offset);
          };
          auto scalar = [&](Value split, int64_t offset) {
            return e.load(e.f32(), e.at(partial(split, offset), at), 4);
          };
          SmallVector<Value> top = e.loop(
              e.c(0), splits, 1, {e.cf(kNoScore)},
              [&](Value split, ValueRange m) -> SmallVector<Value> {
                return {e.fmaxRaw(scalar(split, span * shape.valueDim), m[0])};
              });
          Value shift = e.splat(shiftOf(e, top[0]));
          Value out = e.at(e.at(scratch, layout.output),
                           e.mul(row, 4 * shape.valueDim));
          e.loop(e.c(0), e.c(shape.valueDim), 1, [&](Value d) {
            e.store(e.cf(0.0f), e.at(out, e.mul(d, 4)), 4);
          });
          SmallVector<Value> sum = e.loop(
              e.c(0), splits, 1, {e.cf(0.0f)},
              [&](Value split, ValueRange l) -> SmallVector<Value> {
                Value m = scalar(split, span * shape.valueDim);
                Value weight = vector::ExtractOp::create(
                    e.b, e.loc, e.exp2(e.fsub(e.splat(m), shift), logitFactor),
                    ArrayRef<int64_t>{0});
                Value from =
                    e.at(partial(split, 0), e.mul(row, 4 * shape.valueDim));
                e.loop(e.c(0), e.c(shape.valueDim), 1, [&](Value d) {
                  Value slot = e.at(out, e.mul(d, 4));
                  Value o = e.load(e.f32(), e.at(from, e.mul(d, 4)), 4);
                  e.store(e.fadd(e.fmul(o, weight), e.load(e.f32(), slot, 4)),
                          slot, 4);
                });
                Value part = scalar(split, span * (shape.valueDim + 1));
                return {e.fadd(e.fmul(part, weight), l[0])};
              });
          e.store(top[0], e.at(e.at(scratch, layout.top), at), 4);
          e.store(sum[0], e.at(e.at(scratch, layout.sum), at), 4);
        });
        return {};
      });
}

void KernelEmitter::emitRowFunctions() {
  rowScoresMany = emitRowScores(kRowGroup);
  rowScoresOne = emitRowScores(1);
  for (bool safe : {false, true}) {
    rowAccumulateMany[safe] = emitRowAccumulate(kRowGroup, safe);
    rowAccumulateOne[safe] = emitRowAccumulate(1, safe);
  }
  rowSoftmaxMany = emitRowSoftmax(kRowGroup);
  rowSoftmaxOne = emitRowSoftmax(1);
  rowBegin = emitRowBegin();
  rowFinish = emitRowFinish();
  rowMerge = emitRowMerge();
  for (size_t s = 0; s < streams.size(); ++s) {
    streams[s].rowFullChunk = emitRowChunk(s, -1);
    for (size_t k = 0; k < streams[s].cases.size(); ++k) {
      size_t twin = twinOf(s, k);
      streams[s].rowMaskedChunk.push_back(
          twin != k ? streams[s].rowMaskedChunk[twin]
          : streams[s].cases[k].getMask().empty() ? func::FuncOp()
                                                  : emitRowChunk(s, k));
    }
  }
}
