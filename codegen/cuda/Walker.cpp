//===- Walker.cpp - the thread that walks the streams ---------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One thread walks, others load; between them is a ring of entries, so that
// the latency of the walk (words in shared memory, lists in global memory) is
// not that of the loads.
//
//   for unit drawn from the counter: for document of its tile:
//     post begin, with the words of the tile
//     walk the streams; each chunk: post (row, n, code, key)
//     post end
//   post quit
//
// A chunk is handed over when the next is posted or the end, since the last of
// a tile says so; a tile without chunks has one of no keys.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/CudaKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

/// post(scratch, row, n, code, key): one more entry; with the words of the
/// tile, if it begins one.
func::FuncOp CudaKernel::emitPost() {
  return e.function(
      named("post"), {e.ptr(), e.i32(), e.i32(), e.i32(), e.i32()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        shared = emitShared();
        Value scratch = args[0], code = args[3];
        Value number = p.loadShared(e.i32(), address(offPosted));
        Value kept = p.loadShared(e.i32(), address(offKept));
        Stage at = stageOf(number, kEntries);
        auto codeAt = [&](Value index) {
          return p.add(address(offEntries, index, 16), 8);
        };
        auto handOver = [&](Value index) {
          p.barrierArrive(address(offEntryFull, index, 8));
        };
        Value isEnd = p.eq(code, p.c(kEnd));
        Value isKept = p.lt(p.c(-1), kept);
        e.ifThen(isKept, [&] {
          Value place = p.rem(p.add(number, kEntries - 1), kEntries);
          e.ifThen(isEnd,
                   [&] { p.storeShared(p.add(kept, kLast), codeAt(place)); });
          handOver(place);
          p.storeShared(p.c(-1), address(offKept));
        });
        e.ifThen(e.bnot(e.band(isEnd, isKept)), [&] {
          waitEmpty(offEntryEmpty, at);
          // Rows behind all are loaded as zeros.
          Value words[] = {p.select(isEnd, p.c(1 << 30), args[1]), args[2],
                           p.select(isEnd, p.c(kLast), code), args[4]};
          for (auto [k, word] : llvm::enumerate(words))
            p.storeShared(
                word, p.add(address(offEntries, at.index, 16), int32_t(4 * k)));
          p.storeShared(p.add(number, 1), address(offPosted));
          e.ifThen(p.eq(code, p.c(kBegin)), [&] {
            Value words = pendingWordsAt(at.index);
            for (int64_t k = 0; k < tileWords(); ++k)
              p.storeShared(e.loadI64(scratch, k), p.add(words, 8 * k));
          });
          e.ifThen(
              p.lt(p.c(-1), code),
              [&] { p.storeShared(code, address(offKept)); },
              [&] { handOver(at.index); });
        });
        return {};
      });
}

/// chunk(scratch, key, n): what `process` does with a chunk.
func::FuncOp CudaKernel::emitChunk(size_t s, int caseIndex) {
  return e.function(named("chunk_" + Twine(s) + "_" + Twine(caseIndex + 1)),
                    {e.ptr(), e.i64(), e.i64()}, {},
                    [&](ArrayRef<Value> args) -> SmallVector<Value> {
                      Value row =
                          e.add(args[1], stream(args[0], s, walk::kKeyBase));
                      e.call(post, {args[0], p.narrow(row), p.narrow(args[2]),
                                    p.c(int32_t(s) | (caseIndex + 1) << 8),
                                    p.narrow(args[1])});
                      return {};
                    });
}

/// pass(scratch): one tile, or the part of it that lies in one document.
func::FuncOp CudaKernel::emitWalkPass() {
  return e.function(named("pass"), {e.ptr()}, {},
                    [&](ArrayRef<Value> args) -> SmallVector<Value> {
                      Value scratch = args[0], zero = p.c(0);
                      e.call(post, {scratch, zero, zero, p.c(kBegin), zero});
                      for (walk::StreamCode &stream : streams)
                        e.call(stream.walk, {scratch});
                      e.call(post, {scratch, zero, zero, p.c(kEnd), zero});
                      return {};
                    });
}

void CudaKernel::emitFrameInit(Value scratch) {
  // Of the words that go with a tile, not every pattern writes all.
  for (int64_t k = 0; k < tileWords(); ++k)
    e.storeI64(e.c(0), scratch, k);
  setFrame(scratch, walk::kSlots, e.asInt(slots));
  setFrame(scratch, walk::kSplit, e.c(0));
  setFrame(scratch, walk::kSplits, e.c(1));
}

Value CudaKernel::emitPointer(int32_t offset) {
  return LLVM::AddrSpaceCastOp::create(
      builder, e.loc, e.ptr(),
      LLVM::IntToPtrOp::create(
          builder, e.loc, LLVM::LLVMPointerType::get(builder.getContext(), 3),
          address(offset)));
}

void CudaKernel::emitCopySlots(Value thread) {
  int32_t count = interface.slotCount;
  for (int32_t first = 0; first < count; first += threads()) {
    Value number = p.add(thread, first);
    e.ifThen(p.lt(number, p.c(count)), [&] {
      Value word =
          e.load(e.i64(), e.at(slots, e.mul(p.wide(number), 8)), /*align=*/8);
      p.storeShared(word, p.add(address(offSlots), p.mul(number, 8)));
    });
  }
}

Value CudaKernel::emitDraw() {
  return LLVM::AtomicRMWOp::create(builder, e.loc, LLVM::AtomicBinOp::add,
                                   workspace, e.c(1),
                                   LLVM::AtomicOrdering::monotonic);
}

void CudaKernel::emitWalker() {
  Value scratch = emitPointer(offWalk);
  p.storeShared(p.c(0), address(offPosted));
  p.storeShared(p.c(-1), address(offKept));
  emitFrameInit(scratch);
  if (few) {
    setFrame(scratch, walk::kSlots, e.asInt(emitPointer(offSlots)));
    // Every tile has as many splits.
    setFrame(scratch, walk::kSplits, planned(kPlanSplits));
    setFrame(scratch, walk::kWarps, planned(kPlanWarps));
  }
  // A unit is drawn when the one before is walked, a ring of chunks before it
  // is computed: its latency is hidden, and no unit is kept for a busy CTA.
  // With few queries the first has the number of the CTA, and need not be
  // waited for.
  auto wide = [&](StringRef name) { return p.wide(p.special(name)); };
  Value own = few ? wide("ctaid.x") : emitDraw();
  e.whileLoop(
      {own}, [&](ValueRange unit) { return e.lt(unit[0], units); },
      [&](ValueRange unit) -> SmallVector<Value> {
        Value tile = unit[0], from = slots;
        if (few) {
          Value count = frame(scratch, walk::kSplits);
          setFrame(scratch, walk::kSplit, e.urem(tile, count));
          tile = e.udiv(tile, count);
          // By an address from memory: what follows from the slots alone would
          // be computed before the loop and kept in registers through the walk.
          from = slotsOf(scratch);
        }
        emitLocate(scratch, from, tile, [&] { e.call(pass, {scratch}); });
        if (!few)
          return {emitDraw()};
        // Nothing is cleared to draw from where all units have a CTA.
        return ifElse(
            e.lt(wide("nctaid.x"), units),
            [&] { return Values{e.add(emitDraw(), wide("nctaid.x"))}; },
            [&] { return Values{units}; });
      });
  Value zero = p.c(0);
  e.call(post, {scratch, zero, zero, p.c(kQuit), zero});
}
