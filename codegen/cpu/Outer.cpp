//===- Outer.cpp - splits of the keys, and the end of a softmax -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   units()   = tiles * splits
//   run(unit) = locate the tile; pack q; walk every stream; then
//               one split: finish, several: copy o, m, l to `shared`
//   merge(tile) = fold the splits' o, m, l in order; finish
//   finish    = sink, o / l, log-sum-exp, transpose, round, store
//
// Unit 0 looks at all bounds of documents and reports a bad one.
//
//===----------------------------------------------------------------------===//
#include "codegen/cpu/KernelEmitter.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cpu;

/// Fewer tiles than this and the keys are split. A constant, so that results
/// do not depend on the number of threads.
static constexpr int64_t kEnoughTiles = 64;
/// Keys below which a split is not worth its merge.
static constexpr int64_t kLeastSplit = 1024;

Value KernelEmitter::packFactor(Value slots) {
  // Of a head; of documents, those of a tile.
  Value rows = fold.getCuQuery() ? rowTiles(slots).rows
                                 : tensorSlot(slots, fold.getQuery(), 3);
  Value group = sharingHeads(slots);
  Value fits = e.le(e.mul(group, rows), e.c(kMaxHeld));
  Value pack = e.select(fits, group, e.c(1));
  // Above half of the held rows a panel is as good.
  Value few = e.band(e.le(e.mul(pack, rows), e.c(kMaxHeld)),
                     e.band(e.le(rows, e.c(kMaxHeld / 2)),
                            e.le(rows, e.c(schedule.getRows()))));
  return e.select(few, pack, e.c(0));
}

Value KernelEmitter::splitCount(Value slots) {
  if (fold.getCuQuery())
    return e.c(1);
  Value tiles = e.max(tileCount(slots), e.c(1));
  Value wanted = e.udiv(e.c(kEnoughTiles), tiles);
  Value useful = e.udiv(mostKeys(slots), e.c(kLeastSplit));
  return e.max(e.c(1), e.min(wanted, useful));
}

/// o panels, then m, then l.
Value KernelEmitter::partialBytes() {
  return e.c(spanRows * 4 * (shape.valueDim + 2));
}

//===----------------------------------------------------------------------===//
// One tile
//===----------------------------------------------------------------------===//

void KernelEmitter::emitTile() {
  // tile(scratch): pack, clear, walk.
  tileFunc = e.function(
      named("tile"), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], slots = slotsOf(scratch);
        auto beginPanels = [&] {
          Value query = fold.getQuery();
          Value row0 = e.add(frame(scratch, kRow0), frame(scratch, kQueryBase));
          Value stride =
              e.mul(tensorSlot(slots, query, 7), Emitter::bytesOf(queryType));
          Value last = e.add(frame(scratch, kRows), -1);
          e.loop(e.c(0), frame(scratch, kPanels), 1, [&](Value panel) {
            Value first = e.mul(panel, panelRows);
            Value src = tensorAt(slots, query,
                                 {frame(scratch, kBatch), frame(scratch, kHead),
                                  e.add(row0, first)});
            e.call(packQueries,
                   {src, stride, e.sub(last, first),
                    panelAt(scratch, layout.query, panel, shape.keyDim),
                    e.cf(queryFactor)});
          });
          Value width = e.mul(frame(scratch, kPanels), panelRows);
          auto fill = [&](int64_t offset, Value count, float value) {
            e.loop(e.c(0), count, e.lanes(), [&](Value k) {
              e.store(e.splat(value), e.at(e.at(scratch, offset), e.mul(k, 4)),
                      4);
            });
          };
          fill(layout.top, width, kNoScore);
          fill(layout.sum, width, 0.0f);
          fill(layout.output, e.mul(width, shape.valueDim), 0.0f);
        };
        e.ifThen(e.eq(frame(scratch, kPack), e.c(0)), beginPanels,
                 [&] { e.call(rowBegin, {scratch}); });
        for (StreamCode &stream : streams)
          e.call(stream.walk, {scratch});
        return {};
      });
}

std::pair<Value, Value> KernelEmitter::emitLastStep(Value slots, Value head,
                                                    Value m, Value l) {
  Value scale = e.splat(1.0f);
  m = e.fmul(m, e.splat(naturalFactor));
  if (Value sink = storeOp.getSink()) {
    // One more logit, with value zero.
    Value entry = e.load(e.f32(), tensorAt(slots, sink, {head}), 4);
    Value logit = e.splat(entry);
    Value top = e.fmaxRaw(logit, m);
    Value shift = shiftOf(e, top);
    scale = e.exp2(e.fsub(m, shift), kLog2e);
    l = e.fma(l, scale, e.exp2(e.fsub(logit, shift), kLog2e));
    m = top;
  }
  Value empty = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ, l,
                                      e.splat(0.0f));
  Value inverse = e.select(empty, e.splat(kNoEdge), e.fdiv(scale, l));
  Value finite = e.fma(e.log2(l), e.splat(kLn2), m);
  Value lse = e.select(empty, e.splat(kNoScore), finite);
  // log2 works on the bits: give back NaN.
  Value odd =
      arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::UNO, l, l);
  return {inverse, e.select(odd, l, lse)};
}

void KernelEmitter::emitFinish() {
  finish = e.function(
      named("finish"), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], slots = slotsOf(scratch);
        Value row0 = e.add(frame(scratch, kRow0), frame(scratch, kQueryBase));
        Value output = storeOp.getOutput(), lse = storeOp.getLse();
        Value batch = frame(scratch, kBatch), head = frame(scratch, kHead);
        Value stride =
            e.mul(tensorSlot(slots, output, 7), Emitter::bytesOf(outputType));
        Value lseStride = e.mul(tensorSlot(slots, lse, 7), 4);
        e.loop(e.c(0), frame(scratch, kPanels), 1, [&](Value panel) {
          Value first = e.mul(panel, panelRows);
          Value inv = e.at(scratch, layout.alpha);
          Value lseAt = e.at(scratch, layout.scores);
          for (int64_t v = 0; v < kPanelVectors; ++v) {
            Value at = e.add(e.mul(first, 4), 4 * v * e.lanes());
            Value m = e.loadVec(e.at(e.at(scratch, layout.top), at));
            Value l = e.loadVec(e.at(e.at(scratch, layout.sum), at));
            auto [inverse, value] = emitLastStep(slots, head, m, l);
            e.store(inverse, e.at(inv, 4 * v * e.lanes()), 4);
            e.store(value, e.at(lseAt, 4 * v * e.lanes()), 4);
          }
          Value rows =
              e.min(e.sub(frame(scratch, kRows), first), e.c(panelRows));
          e.call(unpackOutput,
                 {panelAt(scratch, layout.output, panel, shape.valueDim), inv,
                  tensorAt(slots, output, {batch, head, e.add(row0, first)}),
                  stride, rows});
          Value to = tensorAt(slots, lse, {batch, head, e.add(row0, first)});
          e.loop(e.c(0), rows, 1, [&](Value row) {
            e.store(e.load(e.f32(), e.at(lseAt, e.mul(row, 4)), 4),
                    e.at(to, e.mul(row, lseStride)), 4);
          });
        });
        return {};
      });
}

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

void KernelEmitter::emitEntries(EntryPoints &entries) {
  auto entry =
      [&](StringRef suffix, ArrayRef<Type> inputs, ArrayRef<Type> results,
          llvm::function_ref<SmallVector<Value>(ArrayRef<Value>)> body) {
        std::string name = named(suffix);
        e.function(name, inputs, results, body);
        return name;
      };
  bool packed = bool(fold.getCuQuery());
  func::FuncOp checkDocuments = packed ? emitCheckDocuments() : func::FuncOp();
  entries.scratchBytes = entry("scratch_bytes", {e.ptr()}, {e.i64()},
                               [&](ArrayRef<Value>) -> SmallVector<Value> {
                                 return {e.c(layout.bytes)};
                               });
  entries.sharedBytes =
      entry("shared_bytes", {e.ptr()}, {e.i64()},
            [&](ArrayRef<Value> args) -> SmallVector<Value> {
              Value splits = splitCount(args[0]);
              Value units = e.mul(splits, tileCount(args[0]));
              return {e.select(e.lt(e.c(1), splits),
                               e.mul(units, partialBytes()), e.c(0))};
            });

  EntryPoints::Phase main;
  main.units = entry("units", {e.ptr()}, {e.i64()},
                     [&](ArrayRef<Value> args) -> SmallVector<Value> {
                       return {e.mul(splitCount(args[0]), tileCount(args[0]))};
                     });
  main.run =
      entry("run", {e.ptr(), e.i64(), e.ptr(), e.ptr()}, {},
            [&](ArrayRef<Value> args) -> SmallVector<Value> {
              Value slots = args[0], unit = args[1], scratch = args[2];
              Value splits = splitCount(slots);
              // Once a run; tiles clamp what they read.
              if (packed)
                e.ifThen(e.eq(unit, e.c(0)), [&] {
                  e.call(checkDocuments, {slots, scratch});
                });
              setFrame(scratch, kSplit, e.urem(unit, splits));
              setFrame(scratch, kSplits, splits);
              setFrame(scratch, kSlots, e.asInt(slots));
              emitLocate(scratch, slots, e.udiv(unit, splits), [&] {
                arrangeRows(scratch);
                e.call(tileFunc, {scratch});
                Value isFew = e.bnot(e.eq(frame(scratch, kPack), e.c(0)));
                auto callFinish = [&] {
                  e.ifThen(
                      isFew, [&] { e.call(rowFinish, {scratch}); },
                      [&] { e.call(finish, {scratch}); });
                };
                if (packed)
                  return callFinish();
                e.ifThen(e.eq(splits, e.c(1)), callFinish, [&] {
                  Value to = e.at(args[3], e.mul(unit, partialBytes()));
                  // Held rows and panels fill the same arrays from the start.
                  Value held = frame(scratch, kHeld);
                  Value width = e.select(
                      isFew, e.mul(e.ceilDiv(held, e.lanes()), e.lanes()),
                      e.mul(frame(scratch, kPanels), panelRows));
                  auto copy = [&](int64_t from, int64_t at, Value count) {
                    e.loop(e.c(0), count, e.lanes(), [&](Value k) {
                      Value offset = e.mul(k, 4);
                      e.store(e.loadVec(e.at(e.at(scratch, from), offset)),
                              e.at(e.at(to, at), offset), 4);
                    });
                  };
                  int64_t rows = spanRows * 4;
                  copy(layout.output, 0, e.mul(width, shape.valueDim));
                  copy(layout.top, rows * shape.valueDim, width);
                  copy(layout.sum, rows * (shape.valueDim + 1), width);
                });
              });
              return {};
            });
  bool hasLists = llvm::any_of(streams, [](StreamCode &stream) {
    return !stream.op.getStarts().empty();
  });
  if (hasLists)
    main.cost = entry(
        "cost", {e.ptr(), e.i64()}, {e.i64()},
        [&](ArrayRef<Value> args) -> SmallVector<Value> {
          Value slots = args[0];
          Value heads = tensorSlot(slots, fold.getQuery(), 2);
          TilePlace at = placeOfTile(slots, packFactor(slots),
                                     e.udiv(args[1], splitCount(slots)));
          Value total = e.c(0);
          for (StreamCode &stream : streams)
            for (size_t l = 0; l < stream.op.getCounts().size(); ++l) {
              Value count = stream.op.getCounts()[l];
              Value head =
                  e.udiv(at.head, e.udiv(heads, tensorSlot(slots, count, 2)));
              Value batch =
                  e.min(at.batch, e.add(tensorSlot(slots, count, 1), -1));
              Value row = e.udiv(at.row0, e.c(stream.op.getBlocks()[2 * l]));
              Value number = arith::ExtSIOp::create(
                  e.b, e.loc, e.i64(),
                  e.load(e.i32(), tensorAt(slots, count, {batch, head, row})));
              total = e.add(total, e.mul(e.max(number, e.c(0)),
                                         stream.op.getBlocks()[2 * l + 1]));
            }
          return {total};
        });
  entries.phases.push_back(main);
  if (packed)
    return;

  EntryPoints::Phase merge;
  merge.units = entry("merge_units", {e.ptr()}, {e.i64()},
                      [&](ArrayRef<Value> args) -> SmallVector<Value> {
                        return {e.select(e.lt(e.c(1), splitCount(args[0])),
                                         tileCount(args[0]), e.c(0))};
                      });
  merge.run = entry(
      "merge_run", {e.ptr(), e.i64(), e.ptr(), e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value slots = args[0], tile = args[1], scratch = args[2];
        Value splits = splitCount(slots);
        int64_t rows = spanRows * 4;
        setFrame(scratch, kSlots, e.asInt(slots));
        emitLocate(scratch, slots, tile, [&] {
          arrangeRows(scratch);
          auto mergePanels = [&] {
            Value panels = frame(scratch, kPanels);
            e.loop(
                e.c(0), e.mul(panels, panelRows), e.lanes(), [&](Value lane) {
                  Value at = e.mul(lane, 4);
                  Value panel = e.udiv(lane, e.c(panelRows));
                  Value column =
                      e.add(e.mul(panel, 4 * panelRows * shape.valueDim),
                            e.mul(e.urem(lane, e.c(panelRows)), 4));
                  auto partial = [&](Value split) {
                    return e.at(args[3],
                                e.mul(e.add(e.mul(tile, splits), split),
                                      partialBytes()));
                  };
                  SmallVector<Value> top = e.loop(
                      e.c(0), splits, 1, {e.splat(kNoScore)},
                      [&](Value split, ValueRange m) -> SmallVector<Value> {
                        Value next = e.loadVec(e.at(
                            e.at(partial(split), rows * shape.valueDim), at));
                        return {e.fmaxRaw(next, m[0])};
                      });
                  Value shift = shiftOf(e, top[0]);
                  e.store(top[0], e.at(e.at(scratch, layout.top), at), 4);
                  Value sumAt = e.at(e.at(scratch, layout.sum), at);
                  e.store(e.splat(0.0f), sumAt, 4);
                  Value out = e.at(e.at(scratch, layout.output), column);
                  e.loop(e.c(0), e.c(shape.valueDim), 1, [&](Value d) {
                    e.store(e.splat(0.0f), e.at(out, e.mul(d, 4 * panelRows)),
                            4);
                  });
                  e.loop(e.c(0), splits, 1, [&](Value split) {
                    Value from = partial(split);
                    Value m =
                        e.loadVec(e.at(e.at(from, rows * shape.valueDim), at));
                    Value weight = e.exp2(e.fsub(m, shift), logitFactor);
                    Value l = e.loadVec(
                        e.at(e.at(from, rows * (shape.valueDim + 1)), at));
                    e.store(e.fma(l, weight, e.loadVec(sumAt)), sumAt, 4);
                    e.loop(e.c(0), e.c(shape.valueDim), 1, [&](Value d) {
                      Value offset = e.mul(d, 4 * panelRows);
                      Value slot = e.at(out, offset);
                      Value o = e.loadVec(e.at(e.at(from, column), offset));
                      e.store(e.fma(o, weight, e.loadVec(slot)), slot, 4);
                    });
                  });
                });
            e.call(finish, {scratch});
          };
          e.ifThen(e.eq(frame(scratch, kPack), e.c(0)), mergePanels, [&] {
            e.call(rowMerge,
                   {scratch,
                    e.at(args[3], e.mul(e.mul(tile, splits), partialBytes())),
                    splits});
            e.call(rowFinish, {scratch});
          });
        });
        return {};
      });
  entries.phases.push_back(merge);
}
