//===- Chunk.cpp - fold some keys into every panel of a tile --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   chunk(scratch, key, n):
//     K, V rows of [key, key + n), or of n gathered keys: in place if dense
//     f32, else widened copies; of keys in pages, a copy page by page
//     for each panel p:
//       masked: skip if no pair of the panel is an edge
//       scores; edge; mask unless every pair is an edge; softmax; accumulate
//       some value not finite: weights of what is no edge are marked first,
//       and left out
//
//===----------------------------------------------------------------------===//
#include "codegen/cpu/KernelEmitter.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cpu;

PairPlace KernelEmitter::placeOf(size_t s, Value scratch, Value panel,
                                 int64_t vector, Value position) {
  Value first = e.add(e.mul(panel, panelRows), vector * e.lanes());
  // Lanes beyond the last row stay inside bias tensors; nobody reads them.
  Value lane = arith::AddIOp::create(e.b, e.loc, e.splat(first), e.iota());
  Value last = e.splat(e.add(frame(scratch, kRows), -1));
  Value inside = arith::MinSIOp::create(e.b, e.loc, lane, last);
  Value row0 = e.add(frame(scratch, kRow0), frame(scratch, kQueryBase));
  PairPlace place;
  place.b = frame(scratch, kDocument);
  place.h = frame(scratch, kHead);
  place.i = e.add(lane, e.splat(stream(scratch, s, kPosition)));
  place.j = position;
  place.row = e.add(inside, e.splat(row0));
  place.col = e.add(position, stream(scratch, s, kKeyBase));
  return place;
}

std::string KernelEmitter::suffixOf(size_t s, int caseIndex) {
  return std::to_string(s) + "_" +
         (caseIndex >= 0 ? std::to_string(caseIndex) : "full");
}

Value KernelEmitter::emitLogit(size_t s, Value scratch, const PairPlace &place,
                               Value product) {
  float scale = streams[s].op.getScale().convertToDouble();
  Value logit = e.fmul(product, e.splat(scale));
  if (!streams[s].edge)
    return logit;
  BodyEmitter bodies(e, interface, slotsOf(scratch));
  logit = bodies.evaluate(streams[s].edge.getBody().front(), place, logit);
  return isa<VectorType>(logit.getType()) ? logit : e.splat(logit);
}

void KernelEmitter::emitEdge(size_t s, int caseIndex, Value scratch,
                             Value panel, Value key, Value n) {
  int64_t rowBytes = 4 * panelRows;
  e.loop(e.c(0), n, 1, [&](Value j) {
    Value row = e.at(e.at(scratch, layout.scores), e.mul(j, rowBytes));
    for (int64_t v = 0; v < kPanelVectors; ++v) {
      Value at = e.at(row, 4 * v * e.lanes());
      PairPlace place;
      if (streams[s].edge)
        place = placeOf(s, scratch, panel, v,
                        positionOf(s, caseIndex, scratch, e.add(key, j)));
      e.store(emitLogit(s, scratch, place, e.loadVec(at)), at, 4);
    }
  });
}

func::FuncOp KernelEmitter::emitMask(size_t s, int caseIndex) {
  Block &body = streams[s].cases[caseIndex].getMask().front();
  int64_t rowBytes = 4 * panelRows;
  return e.function(
      named("mask_" + Twine(s) + "_" + Twine(caseIndex)),
      {e.ptr(), e.i64(), e.i64(), e.i64(), e.f32()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], panel = args[1], key = args[2], n = args[3];
        Value none = e.splat(args[4]);
        e.loop(e.c(0), n, 1, [&](Value j) {
          Value row = e.at(e.at(scratch, layout.scores), e.mul(j, rowBytes));
          Value position = positionOf(s, caseIndex, scratch, e.add(key, j));
          for (int64_t v = 0; v < kPanelVectors; ++v) {
            Value at = e.at(row, 4 * v * e.lanes());
            BodyEmitter bodies(e, interface, slotsOf(scratch));
            Value edge =
                bodies.evaluate(body, placeOf(s, scratch, panel, v, position));
            e.store(e.select(edge, e.loadVec(at), none), at, 4);
          }
        });
        return {};
      });
}

Value KernelEmitter::keyAt(size_t s, Value scratch, Value key, bool values) {
  Value base = e.asPtr(stream(scratch, s, values ? kValueAt : kKeyAt));
  Value stride = stream(scratch, s, values ? kValueStride : kKeyStride);
  if (!isPaged())
    return e.at(base, e.mul(key, stride));
  Value tensor = values ? streams[s].op.getValue() : streams[s].op.getKey();
  Value pageStride =
      e.mul(tensorSlot(slotsOf(scratch), tensor, 5), Emitter::bytesOf(keyType));
  Value slot = e.urem(key, e.c(pageSlots()));
  return e.at(e.at(base, e.mul(pageOf(scratch, key), pageStride)),
              e.mul(slot, stride));
}

Value KernelEmitter::nextKeyAt(size_t s, Value scratch, Value key,
                               bool values) {
  if (isPaged()) {
    Value last = e.add(stream(scratch, s, kNk), -1);
    key = e.min(key, last);
  }
  return keyAt(s, scratch, key, values);
}

void KernelEmitter::forPages(
    Value key, Value n, llvm::function_ref<void(Value, Value, Value)> body) {
  Value slots = e.c(pageSlots());
  e.whileLoop(
      {e.c(0)}, [&](ValueRange done) { return e.lt(done[0], n); },
      [&](ValueRange done) -> SmallVector<Value> {
        Value from = e.add(key, done[0]);
        Value rest = e.sub(slots, e.urem(from, slots));
        Value count = e.min(rest, e.sub(n, done[0]));
        body(done[0], from, count);
        return {e.add(done[0], count)};
      });
}

/// K or V rows of keys whose pages exist: in place if they are dense f32 of one
/// page, else widened copies.
Value KernelEmitter::copyPages(size_t s, Value scratch, Value key, Value n,
                               bool values) {
  int64_t dim = values ? shape.valueDim : shape.keyDim;
  func::FuncOp widen = values ? widenValues : widenKeys;
  Value stride = stream(scratch, s, values ? kValueStride : kKeyStride);
  Value copy = e.at(scratch, values ? layout.values : layout.keys);
  Value slots = e.c(pageSlots());
  auto copyAll = [&] {
    forPages(key, n, [&](Value done, Value from, Value count) {
      e.call(widen, {keyAt(s, scratch, from, values), stride, count,
                     e.at(copy, e.mul(done, 4 * dim))});
    });
  };
  if (!keyType.isF32()) {
    copyAll();
    return copy;
  }
  Value onePage = e.le(e.add(e.urem(key, slots), n), slots);
  Value inPlace = e.band(onePage, e.eq(stride, e.c(4 * dim)));
  e.ifThen(e.bnot(inPlace), copyAll);
  return e.select(inPlace, keyAt(s, scratch, key, values), copy);
}

std::pair<Value, Value> KernelEmitter::emitKeyRows(size_t s, int caseIndex,
                                                   Value scratch, Value key,
                                                   Value n) {
  auto rowsOf = [&](bool values) -> Value {
    if (streams[s].op.getGather())
      return gatherRows(s, caseIndex, scratch, n, /*stored=*/false, values)
          .first;
    if (isPaged())
      return copyPages(s, scratch, key, n, values);
    int64_t dim = values ? shape.valueDim : shape.keyDim;
    func::FuncOp widen = values ? widenValues : widenKeys;
    Value stride = stream(scratch, s, values ? kValueStride : kKeyStride);
    Value from = keyAt(s, scratch, key, values);
    Value copy = e.at(scratch, values ? layout.values : layout.keys);
    if (!keyType.isF32()) {
      e.call(widen, {from, stride, n, copy});
      return copy;
    }
    Value dense = e.eq(stride, e.c(4 * dim));
    e.ifThen(e.bnot(dense), [&] { e.call(widen, {from, stride, n, copy}); });
    return e.select(dense, from, copy);
  };
  Value k = rowsOf(/*values=*/false);
  return {k, rowsOf(/*values=*/true)};
}

void KernelEmitter::foldKeys(size_t s, int caseIndex, Value scratch, Value key,
                             Value n) {
  StreamCode &code = streams[s];
  bool masked = caseIndex >= 0;
  auto panels = [&] {
    e.call(masked ? code.maskedChunk[caseIndex] : code.fullChunk,
           {scratch, key, n});
  };
  e.ifThen(e.eq(frame(scratch, kPack), e.c(0)), panels, [&] {
    e.call(masked ? code.rowMaskedChunk[caseIndex] : code.rowFullChunk,
           {scratch, key, n});
  });
}

Value KernelEmitter::chunkWidth(size_t s, Value scratch, int64_t step) {
  // Few queries have chunks of their own.
  return e.select(e.eq(frame(scratch, kPack), e.c(0)), e.c(step),
                  e.c(rowChunk()));
}

func::FuncOp KernelEmitter::emitChunk(size_t s, int caseIndex) {
  bool masked = caseIndex >= 0;
  func::FuncOp mask = masked ? emitMask(s, caseIndex) : func::FuncOp();
  return arithmetic(
      e, named("chunk_" + suffixOf(s, caseIndex)), {e.ptr(), e.i64(), e.i64()},
      {}, [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], key = args[1], n = args[2];
        auto rows = emitKeyRows(s, caseIndex, scratch, key, n);
        Value k = rows.first, v = rows.second;
        Value jLo = positionOf(s, caseIndex, scratch, key);
        Value jHi = positionOf(s, caseIndex, scratch, e.add(e.add(key, n), -1));
        bool gathers = streams[s].op.getGather();
        // Keys that a row does not see must not reach it, inf and NaN included.
        Value clean = masked ? e.call(finite, {v, n})[0] : Value();
        e.loop(e.c(0), frame(scratch, kPanels), 1, [&](Value panel) {
          Value row = e.mul(panel, panelRows);
          Value s0 = e.at(scratch, layout.scores);
          auto fold = [&](Value needsMask) {
            Value width = e.mul(panel, 4 * panelRows);
            Value alpha = e.at(scratch, layout.alpha);
            // This panel's share of what the next chunk will read.
            Value kStride = stream(scratch, s, kKeyStride);
            Value vStride = stream(scratch, s, kValueStride);
            Value kNextAt = e.asPtr(stream(scratch, s, kKeyAt));
            Value vNextAt = e.asPtr(stream(scratch, s, kValueAt));
            SmallVector<Value> scoreOperands = {
                panelAt(scratch, layout.query, panel, shape.keyDim), k, n, s0};
            if (gathers) {
              Value share =
                  e.mul(e.urem(panel, e.c(askingPanels())), gatheredAhead());
              Value next = e.at(positionsAt(s, caseIndex, scratch),
                                e.mul(e.add(n, share), 8));
              scoreOperands.append({kNextAt, kStride, vNextAt, vStride, next});
              // Accumulate has nothing left to ask for.
              vNextAt = v;
              vStride = e.c(0);
            } else {
              Value nextKey = e.add(key, n);
              Value share = e.mul(e.urem(panel, e.c(4)), kAheadRows);
              kNextAt = nextKeyAt(s, scratch, e.add(nextKey, share), false);
              Value other = e.add(nextKey, e.urem(panel, e.c(2)));
              vNextAt = nextKeyAt(s, scratch, other, true);
              scoreOperands.append({kNextAt, kStride});
            }
            e.call(gathers ? scoresOfGathered : scores, scoreOperands);
            if (!plainScores)
              emitEdge(s, caseIndex, scratch, panel, key, n);
            auto applyMask = [&](float none) {
              e.ifThen(needsMask, [&] {
                e.call(mask, {scratch, panel, key, n, e.cf(none)});
              });
            };
            if (needsMask)
              applyMask(kNoScore);
            e.call(softmax, {s0, n, e.at(e.at(scratch, layout.top), width),
                             e.at(e.at(scratch, layout.sum), width), alpha});
            SmallVector<Value> operands = {
                s0,     v,
                n,      panelAt(scratch, layout.output, panel, shape.valueDim),
                alpha,  vNextAt,
                vStride};
            if (!needsMask) {
              e.call(accumulate, operands);
              return;
            }
            e.ifThen(
                clean, [&] { e.call(accumulate, operands); },
                [&] {
                  applyMask(kNoEdge);
                  e.call(accumulateSafe, operands);
                });
          };
          if (!masked)
            return fold(Value());
          Value position = stream(scratch, s, kPosition);
          Value lastRow = e.min(e.add(row, panelRows), frame(scratch, kRows));
          Certainty sure =
              certainty(s, caseIndex, scratch, e.add(position, row),
                        e.add(e.add(position, lastRow), -1), jLo, jHi);
          e.ifThen(sure.any, [&] { fold(e.bnot(sure.all)); });
        });
        return {};
      });
}
