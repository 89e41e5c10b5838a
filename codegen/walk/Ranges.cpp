//===- Ranges.cpp - closed forms of a case, evaluated for one tile --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   ranges(scratch):          touched, notFull <- the case's boxes, in keys,
//                             sorted and disjoint
//   process(scratch, lo, hi): cut [lo, hi) into full and partial runs; what
//                             no touched range holds is skipped; each
//                             goes to a chunk, or is gathered
//
// The semantics are BlockSet::runs.
//
//===----------------------------------------------------------------------===//
#include "codegen/walk/WalkEmitter.h"
#include "mlir/Dialect/Affine/Utils.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::walk;

/// Range k of an area: words 1 + 2k and 2 + 2k; word 0 is the count.
static Value rangeWord(Emitter &e, Value area, Value k, int64_t word) {
  return e.load(e.i64(), e.at(e.at(area, 8 * (1 + word)), e.mul(k, 16)));
}
static void setRangeWord(Emitter &e, Value area, Value k, int64_t word,
                         Value value) {
  e.store(value, e.at(e.at(area, 8 * (1 + word)), e.mul(k, 16)));
}

void WalkEmitter::emitRangeHelpers() {
  // normalize(area): sort by lo, join what overlaps or touches.
  normalize = e.function(
      named("normalize"), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value area = args[0], count = e.loadI64(area, 0);
        e.loop(e.c(0), count, 1, [&](Value a) {
          e.loop(e.add(a, 1), count, 1, [&](Value x) {
            Value aLo = rangeWord(e, area, a, 0),
                  aHi = rangeWord(e, area, a, 1);
            Value xLo = rangeWord(e, area, x, 0),
                  xHi = rangeWord(e, area, x, 1);
            e.ifThen(e.lt(xLo, aLo), [&] {
              setRangeWord(e, area, a, 0, xLo);
              setRangeWord(e, area, a, 1, xHi);
              setRangeWord(e, area, x, 0, aLo);
              setRangeWord(e, area, x, 1, aHi);
            });
          });
        });
        // `kept` ranges are final but for the end of the last.
        SmallVector<Value> kept =
            e.loop(e.c(0), count, 1, {e.c(0)},
                   [&](Value k, ValueRange carried) -> SmallVector<Value> {
                     Value kept = carried[0];
                     Value lo = rangeWord(e, area, k, 0),
                           hi = rangeWord(e, area, k, 1);
                     Value last = e.max(e.add(kept, -1), e.c(0));
                     Value lastHi = rangeWord(e, area, last, 1);
                     Value joins = e.band(e.lt(e.c(0), kept), e.le(lo, lastHi));
                     Value target = e.select(joins, last, kept);
                     e.ifThen(e.bnot(joins),
                              [&] { setRangeWord(e, area, target, 0, lo); });
                     setRangeWord(e, area, target, 1,
                                  e.select(joins, e.max(hi, lastHi), hi));
                     return {e.select(joins, kept, e.add(kept, 1))};
                   });
        e.storeI64(kept[0], area, 0);
        return {};
      });

  // seek(area, at) -> lo, hi of the first range that ends after `at`; kNever
  // both if there is none.
  seek = e.function(
      named("seek"), {e.ptr(), e.i64()}, {e.i64(), e.i64()},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value area = args[0], count = e.loadI64(area, 0);
        SmallVector<Value> found = e.whileLoop(
            {e.c(0)},
            [&](ValueRange state) {
              // The area holds one word more than it needs: no read beyond it.
              Value hi = rangeWord(e, area, state[0], 1);
              return e.band(e.lt(state[0], count), e.le(hi, args[1]));
            },
            [&](ValueRange state) -> SmallVector<Value> {
              return {e.add(state[0], 1)};
            });
        Value some = e.lt(found[0], count);
        return {e.select(some, rangeWord(e, area, found[0], 0), e.c(kNever)),
                e.select(some, rangeWord(e, area, found[0], 1), e.c(kNever))};
      });

  // keyAfter(area, number) -> the key that so many keys of the ranges precede;
  // kNever if there are no more.
  keyAfter = e.function(
      named("key_after"), {e.ptr(), e.i64()}, {e.i64()},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value area = args[0], count = e.loadI64(area, 0);
        auto width = [&](Value k) {
          return e.sub(rangeWord(e, area, k, 1), rangeWord(e, area, k, 0));
        };
        SmallVector<Value> found = e.whileLoop(
            {e.c(0), args[1]},
            [&](ValueRange state) {
              return e.band(e.lt(state[0], count),
                            e.le(width(state[0]), state[1]));
            },
            [&](ValueRange state) -> SmallVector<Value> {
              return {e.add(state[0], 1), e.sub(state[1], width(state[0]))};
            });
        Value key = e.add(rangeWord(e, area, found[0], 0), found[1]);
        return {e.select(e.lt(found[0], count), key, e.c(kNever))};
      });
}

void WalkEmitter::emitClip(size_t s, Value scratch) {
  Value touched = e.at(scratch, layout.touched[s][0]);
  Value total = e.loop(e.c(0), e.loadI64(touched, 0), 1, {e.c(0)},
                       [&](Value k, ValueRange sum) -> SmallVector<Value> {
                         Value width = e.sub(rangeWord(e, touched, k, 1),
                                             rangeWord(e, touched, k, 0));
                         return {e.add(sum[0], width)};
                       })[0];
  Value share = shareOf(scratch, total);
  Value first = e.mul(share, frame(scratch, kSplit));
  Value area = e.at(scratch, layout.stream[s]), nk = e.loadI64(area, kNk);
  auto store = [&](Value number, int64_t word) {
    Value key = e.call(keyAfter, {touched, number})[0];
    e.storeI64(e.min(key, nk), area, word);
  };
  store(first, kClipLo);
  store(e.add(first, share), kClipHi);
}

/// Value of an affine map's results, as i64.
static SmallVector<Value> expand(Emitter &e, AffineMap map,
                                 ValueRange operands) {
  SmallVector<Value> results;
  for (AffineExpr expr : map.getResults()) {
    Value index = affine::expandAffineExpr(
        e.b, e.loc, expr, operands.take_front(map.getNumDims()),
        operands.drop_front(map.getNumDims()));
    results.push_back(arith::IndexCastOp::create(e.b, e.loc, e.i64(), index));
  }
  return results;
}

func::FuncOp WalkEmitter::emitRanges(size_t s, int caseIndex) {
  tile::CaseOp op = streams[s].cases[caseIndex];
  tile::RunsAttr runs = *op.getRuns();
  return e.function(
      named("ranges_" + Twine(s) + "_" + Twine(caseIndex)), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], slots = slotsOf(scratch);
        BodyEmitter bodies(e, interface, slots);
        // X counts tiles, or is the first row where documents start anywhere.
        Value x = frame(scratch, kRow0);
        if (!fold.getCuQuery())
          x = e.udiv(x, e.c(schedule.getRows()));
        SmallVector<Value> operands = {x, frame(scratch, kNq),
                                       stream(scratch, s, kNk)};
        llvm::append_range(operands, bodies.symbols(op.getSymbols().front(),
                                                    frame(scratch, kDocument),
                                                    frame(scratch, kHead)));
        for (Value &value : operands)
          value =
              arith::IndexCastOp::create(e.b, e.loc, e.b.getIndexType(), value);
        auto emitSide = [&](tile::SideAttr side, int64_t offset) {
          Value area = e.at(scratch, offset);
          Value count = e.c(0);
          for (Attribute entry : side.getClusters()) {
            Value lo = e.c(kNever), hi = e.c(-kNever);
            for (Attribute member : cast<ArrayAttr>(entry)) {
              auto box = cast<tile::BoxAttr>(member);
              SmallVector<Value> los =
                  expand(e, box.getLo().getValue(), operands);
              SmallVector<Value> his =
                  expand(e, box.getHi().getValue(), operands);
              Value boxLo = los[0], boxHi = his[0];
              for (Value next : ArrayRef(los).drop_front())
                boxLo = e.max(boxLo, next);
              for (Value next : ArrayRef(his).drop_front())
                boxHi = e.min(boxHi, next);
              Value holds = e.lt(boxLo, boxHi);
              IntegerSet guard = box.getGuard().getValue();
              for (unsigned k = 0; k < guard.getNumConstraints(); ++k) {
                Value value = expand(e,
                                     AffineMap::get(guard.getNumDims(),
                                                    guard.getNumSymbols(),
                                                    guard.getConstraint(k)),
                                     operands)[0];
                holds = e.band(holds, guard.isEq(k) ? e.eq(value, e.c(0))
                                                    : e.le(e.c(0), value));
              }
              lo = e.select(holds, e.min(lo, boxLo), lo);
              hi = e.select(holds, e.max(hi, boxHi), hi);
            }
            // Tiles to keys, inside the key axis.
            Value nk = stream(scratch, s, kNk);
            Value tiles = e.ceilDiv(nk, runs.getGranule());
            lo = e.mul(e.min(e.max(lo, e.c(0)), tiles), runs.getGranule());
            hi = e.min(
                e.mul(e.min(e.max(hi, e.c(0)), tiles), runs.getGranule()), nk);
            setRangeWord(e, area, count, 0, lo);
            setRangeWord(e, area, count, 1, hi);
            count = e.select(e.lt(lo, hi), e.add(count, 1), count);
          }
          e.storeI64(count, area, 0);
          if (side.getClusters().size() > 1)
            e.call(normalize, {area});
        };
        emitSide(runs.getTouched(), layout.touched[s][caseIndex]);
        emitSide(runs.getNotFull(), layout.notFull[s][caseIndex]);
        return {};
      });
}

Certainty WalkEmitter::certainty(size_t s, int caseIndex, Value scratch,
                                 Value iLo, Value iHi, Value jLo, Value jHi) {
  BodyEmitter bodies(e, interface, slotsOf(scratch));
  return bodies.certainty(streams[s].cases[caseIndex].getMask().front(),
                          frame(scratch, kDocument), frame(scratch, kHead), iLo,
                          iHi, jLo, jHi);
}

func::FuncOp WalkEmitter::emitProcess(size_t s, int caseIndex) {
  tile::CaseOp op = streams[s].cases[caseIndex];
  int64_t fullStep = schedule.getChunk();
  int64_t maskedStep = schedule.getMaskedChunk();
  if (isPaged() && !streams[s].keysInPages)
    streams[s].keysInPages = emitKeysInPages(s);
  return e.function(
      named("process_" + Twine(s) + "_" + Twine(caseIndex)),
      {e.ptr(), e.i64(), e.i64()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0];
        Value lo = args[1], hi = args[2];
        if (splitsKeys()) {
          lo = e.max(lo, stream(scratch, s, kClipLo));
          hi = e.min(hi, stream(scratch, s, kClipHi));
        }
        bool gathers = streams[s].op.getGather();
        // `exists` is null where keys are not in pages.
        auto chunks = [&](Value from, Value to, int64_t step,
                          llvm::function_ref<void(Value, Value, Value)> body) {
          Value width = chunkWidth(s, scratch, step);
          if (isPaged())
            return forKeysInPages(s, scratch, from, to, width, body);
          e.loop(from, to, width, [&](Value key) {
            body(key, e.min(e.sub(to, key), width), Value());
          });
        };
        auto fold = [&](int foldedCase, Value key, Value n, Value exists) {
          if (!exists)
            return foldKeys(s, foldedCase, scratch, key, n);
          e.ifThen(
              exists, [&] { foldKeys(s, foldedCase, scratch, key, n); },
              [&] { reportPage(scratch, key); });
        };
        auto fullRun = [&](Value from, Value to) {
          if (gathers) {
            e.call(streams[s].append[0], {scratch, from, to});
            return;
          }
          auto foldFull = [&](Value key, Value n, Value exists) {
            fold(-1, key, n, exists);
          };
          if (!foldsWholeRuns())
            return chunks(from, to, fullStep, foldFull);
          if (isPaged())
            return forKeysInPages(s, scratch, from, to, e.sub(to, from),
                                  foldFull);
          e.ifThen(e.lt(from, to),
                   [&] { foldKeys(s, -1, scratch, from, e.sub(to, from)); });
        };
        if (op.getMask().empty()) {
          fullRun(lo, hi);
          return {};
        }
        auto maskedRun = [&](Value from, Value to) {
          chunks(from, to, maskedStep, [&](Value key, Value n, Value exists) {
            Value position = stream(scratch, s, kPosition);
            Value last = e.add(e.add(position, frame(scratch, kRows)), -1);
            Value end = e.add(key, n);
            Certainty sure = certainty(s, caseIndex, scratch, position, last,
                                       key, e.add(end, -1));
            e.ifThen(sure.any, [&] {
              if (!gathers)
                return fold(caseIndex, key, n, exists);
              e.ifThen(
                  sure.all,
                  [&] {
                    e.call(streams[s].append[0], {scratch, key, end});
                  },
                  [&] {
                    e.call(streams[s].append[1 + caseIndex],
                           {scratch, key, end});
                  });
            });
          });
        };
        Value touched = e.at(scratch, layout.touched[s][caseIndex]);
        Value notFull = e.at(scratch, layout.notFull[s][caseIndex]);
        e.whileLoop(
            {lo}, [&](ValueRange state) { return e.lt(state[0], hi); },
            [&](ValueRange state) -> SmallVector<Value> {
              ValueRange range = e.call(seek, {touched, state[0]});
              Value from = e.max(state[0], range[0]);
              Value to = e.min(hi, range[1]);
              Value next = e.max(to, from);
              auto result = scf::IfOp::create(e.b, e.loc, TypeRange{e.i64()},
                                              e.lt(from, to), true);
              OpBuilder::InsertionGuard guard(e.b);
              e.b.setInsertionPointToStart(result.elseBlock());
              scf::YieldOp::create(e.b, e.loc, next);
              e.b.setInsertionPointToStart(result.thenBlock());
              ValueRange gap = e.call(seek, {notFull, from});
              Value masked = e.le(gap[0], from);
              Value end = e.min(to, e.select(masked, gap[1], gap[0]));
              e.ifThen(
                  masked, [&] { maskedRun(from, end); },
                  [&] { fullRun(from, end); });
              scf::YieldOp::create(e.b, e.loc, end);
              return {result.getResult(0)};
            });
        return {};
      });
}
