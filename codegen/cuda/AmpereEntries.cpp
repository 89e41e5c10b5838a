//===- AmpereEntries.cpp - what is to be computed, walked ahead -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Thread 0 walks a tile while the others wait, and writes down what is posted:
// where tiles begin and end, and runs of keys. What has no room is left out;
// when the entries are used up the same tile is walked once more, from its
// first post on, and what was written down before is passed over. The next tile
// is drawn before the end of the last one is stored.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/AmpereKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

AmpereKernel::Entry AmpereKernel::readEntry(Value index) {
  Value words = p.loadShared(VectorType::get({4}, e.i32()),
                             address(offEntries, index, 16));
  auto word = [&](int64_t k) -> Value {
    return vector::ExtractOp::create(builder, e.loc, words,
                                     ArrayRef<int64_t>{k});
  };
  return {word(0), word(1), word(2)};
}

void AmpereKernel::emitAppend(Value count, Value key, Value n, Value code) {
  setFillWord(kCount, p.add(count, 1));
  Value at = address(offEntries, count, 16);
  p.storeShared(key, at);
  p.storeShared(n, p.add(at, 4));
  p.storeShared(code, p.add(at, 8));
}

/// post(scratch, row, n, code, key): one more entry or more of the last one, if
/// there is room and it is not there yet.
func::FuncOp AmpereKernel::emitPost() {
  return e.function(
      named("post"), {e.ptr(), e.i32(), e.i32(), e.i32(), e.i32()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        shared = emitShared();
        Value scratch = args[0], n = args[2], code = args[3], key = args[4];
        Value number = fillWord(kPosted), count = fillWord(kCount);
        setFillWord(kPosted, p.add(number, 1));
        Value isNew = e.band(e.bnot(p.lt(number, fillWord(kFirst))),
                             p.eq(fillWord(kStopped), p.c(0)));
        e.ifThen(isNew, [&] {
          // Whole chunks that go on where the last ones end: one run.
          Value none = p.eq(count, p.c(0));
          Value index = p.select(none, p.c(0), p.add(count, -1));
          Value lastAt = address(offEntries, index, 16);
          Entry last = readEntry(index);
          Value goesOn = e.band(p.eq(last.code, code), p.lt(p.c(-1), code));
          goesOn = e.band(goesOn, p.eq(p.rem(last.n, keys), p.c(0)));
          Value after = arith::AddIOp::create(builder, e.loc, last.key, last.n);
          goesOn = e.band(e.band(goesOn, p.eq(after, key)), e.bnot(none));
          auto append = [&] {
            Value begins = p.eq(code, p.c(kBegin)), begun = fillWord(kBegun);
            // One is for what follows the last.
            Value room = p.lt(count, p.c(mostEntries - 1));
            room = e.band(room,
                          e.bnot(e.band(begins, p.eq(begun, p.c(kMostTiles)))));
            e.ifThen(
                room,
                [&] {
                  emitAppend(count, p.select(begins, begun, key), n, code);
                  e.ifThen(begins, [&] {
                    setFillWord(kBegun, p.add(begun, 1));
                    Value words = address(offPending, begun, tileBytes());
                    // Some at once: one would wait for the other's latency.
                    const int64_t group = 8;
                    for (int64_t k = 0; k < tileWords(); k += group) {
                      Values some;
                      for (int64_t x = k; x < std::min(k + group, tileWords());
                           ++x)
                        some.push_back(e.loadI64(scratch, x));
                      for (auto [x, word] : llvm::enumerate(some))
                        p.storeShared(word, p.add(words, int32_t(8 * (k + x))));
                    }
                  });
                },
                [&] {
                  setFillWord(kStopped, p.c(1));
                  setFillWord(kFirst, number);
                });
          };
          e.ifThen(
              goesOn,
              [&] {
                Value sum = arith::AddIOp::create(builder, e.loc, last.n, n);
                p.storeShared(sum, p.add(lastAt, 4));
              },
              append);
        });
        return {};
      });
}

/// keys_in_pages(scratch, key, n), see Pages.cpp: all others wait, so entries
/// of the table are asked for some at a time.
func::FuncOp AmpereKernel::emitKeysInPages(size_t s) {
  const int32_t page = int32_t(pageSlots()), width = 16;
  return e.function(
      named("keys_in_pages_" + Twine(s)), {e.ptr(), e.i64(), e.i64()},
      {e.i64()}, [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], slots = slotsOf(scratch);
        Value key = p.narrow(args[1]), n = p.narrow(args[2]);
        Value row = e.asPtr(frame(scratch, walk::kPageRow));
        Value stride = e.mul(tensorSlot(slots, fold.getPageTable(), 6), e.c(4));
        Value pages = p.narrow(tensorSlot(slots, streams[s].op.getKey(), 1));
        auto least = [&](Value a, Value x) -> Value {
          return arith::MinSIOp::create(builder, e.loc, a, x);
        };
        Value first = p.div(key, page);
        Value last = p.div(p.add(p.add(key, n), -1), page);
        Value missing = e.loop(
            p.wide(first), e.add(p.wide(last), 1), width, {p.add(last, 1)},
            [&](Value number, ValueRange carried) -> SmallVector<Value> {
              Values entries;
              for (int32_t k = 0; k < width; ++k) {
                Value place = p.wide(least(p.add(p.narrow(number), k), last));
                entries.push_back(
                    e.load(e.i32(), e.at(row, e.mul(place, stride)), 4));
              }
              Value missing = carried[0];
              for (auto [k, entry] : llvm::enumerate(entries)) {
                Value exists = arith::CmpIOp::create(
                    builder, e.loc, arith::CmpIPredicate::ult, entry, pages);
                Value here = p.add(p.narrow(number), int32_t(k));
                missing = p.select(exists, missing, least(missing, here));
              }
              return {missing};
            })[0];
        // Keys before that page; the first one may begin before `key`.
        Value before = e.sub(e.mul(p.wide(missing), e.c(page)), args[1]);
        return {e.max(e.min(before, args[2]), e.c(0))};
      });
}

Value AmpereKernel::emitNextTile() {
  auto draw = [&]() -> Values {
    Value drawn = p.narrow(emitDraw());
    return {p.add(drawn, p.special("nctaid.x"))};
  };
  if (!few)
    return draw()[0];
  // Nothing is cleared to draw from where all units have a CTA.
  return ifElse(e.lt(p.wide(p.special("nctaid.x")), units), draw,
                [&]() -> Values { return {p.narrow(units)}; })[0];
}

void AmpereKernel::emitPrefetchLists() {
  const int64_t line = 128;
  Value number =
      p.add(arith::MulIOp::create(builder, e.loc, p.special("ctaid.x"),
                                  p.c(threads())),
            thread);
  Value offset = e.mul(p.wide(number), line);
  auto prefetch = [&](Value tensor, int64_t axes) {
    Value last = e.c(0); // element
    for (int64_t axis = 0; axis < axes; ++axis)
      last = e.add(last, e.mul(e.add(tensorSlot(slots, tensor, 1 + axis), -1),
                               tensorSlot(slots, tensor, 5 + axis)));
    Value at = e.at(e.asPtr(tensorSlot(slots, tensor, 0)), offset);
    e.ifThen(e.le(offset, e.mul(last, 4)), [&] { p.prefetchLine(at); });
  };
  for (walk::StreamCode &stream : streams)
    for (size_t list = 0; list < stream.op.getStarts().size(); ++list) {
      prefetch(stream.op.getStarts()[list], 3);
      prefetch(stream.op.getCounts()[list], 3);
      prefetch(stream.op.getCols()[list], 1);
    }
}

void AmpereKernel::emitWalkInit() {
  Value scratch = emitPointer(offWalk);
  emitFrameInit(scratch);
  setFrame(scratch, walk::kSlots, e.asInt(emitPointer(offSlots)));
  if (few) {
    // Every tile has as many splits.
    setFrame(scratch, walk::kSplits, planned(kPlanSplits));
    setFrame(scratch, walk::kWarps, planned(kPlanWarps));
  }
  setFillWord(kStopped, p.c(0));
  setFillWord(kTile, p.special("ctaid.x"));
  emitAppend(p.c(0), p.c(0), p.c(0), p.c(kMore));
}

void AmpereKernel::emitWalkMore() {
  Value scratch = emitPointer(offWalk);
  e.ifThen(p.eq(fillWord(kStopped), p.c(0)),
           [&] { setFillWord(kFirst, p.c(0)); });
  for (int32_t word : {kPosted, kCount, kBegun, kStopped})
    setFillWord(word, p.c(0));
  Value tile = arith::ExtUIOp::create(builder, e.loc, e.i64(), fillWord(kTile));
  e.ifThen(
      e.lt(tile, units),
      [&] {
        if (few) {
          Value count = frame(scratch, walk::kSplits);
          setFrame(scratch, walk::kSplit, e.urem(tile, count));
          tile = e.udiv(tile, count);
        }
        emitLocate(scratch, slots, tile, [&] { e.call(pass, {scratch}); });
        emitAppend(fillWord(kCount), p.c(0), p.c(0), p.c(kMore));
      },
      [&] { emitAppend(p.c(0), p.c(0), p.c(0), p.c(kQuit)); });
}
