//===- Producer.cpp - the threads that walk the streams and load tiles ----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Two threads of two warps, with a ring of R entries between them, so that the
// latency of the walk (words in shared memory, lists in global memory) is not
// that of the loads.
//
//   walker:  for tile drawn from the counter: for document of the tile:
//              post begin, with the words of the tile
//              walk the streams; each chunk: post (row, n, code, key)
//              post end
//            post quit
//   loader:  until quit, for each entry:
//              begin: wait qEmpty; Q -> smem; copy the tile's words; qFull
//              chunk: wait kEmpty; chunk words; K -> smem, kFull
//                     V of the chunk before: wait vEmpty; V -> smem, vFull
//              end:   wait kEmpty; chunk words = end; kFull; the last V
//
// A chunk's values follow the next chunk's keys: their stage is the later one
// to come free, and keys should not wait for it.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/HopperKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

/// Codes of entries and chunks that are no (stream, case).
enum : int32_t { kEnd = -1, kBegin = -2, kQuit = -3 };

HopperKernel::Stage HopperKernel::stageOf(Value number, int32_t count) {
  return {p.rem(number, count), p.bitAnd(p.div(number, count), 1)};
}

void HopperKernel::waitEmpty(int32_t ring, const Stage &stage) {
  p.barrierWait(address(ring, stage.index, 8), p.bitXor(stage.parity, p.c(1)));
}

//===----------------------------------------------------------------------===//
// Walker
//===----------------------------------------------------------------------===//

/// post(scratch, row, n, code, key): one more entry; with the words of the
/// tile, if it begins one.
func::FuncOp HopperKernel::emitPost() {
  return e.function(
      named("post"), {e.ptr(), e.i32(), e.i32(), e.i32(), e.i32()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        shared = emitShared();
        Value scratch = args[0];
        Value number = p.loadShared(e.i32(), address(offPosted));
        p.storeShared(p.add(number, 1), address(offPosted));
        Stage at = stageOf(number, kEntries);
        waitEmpty(entryEmpty(), at);
        for (int k = 0; k < 4; ++k)
          p.storeShared(args[1 + k],
                        p.add(address(offEntries, at.index, 16), 4 * k));
        e.ifThen(p.eq(args[3], p.c(kBegin)), [&] {
          Value words = address(offPending, at.index, tileBytes());
          for (int64_t k = 0; k < tileWords(); ++k)
            p.storeShared(e.loadI64(scratch, k), p.add(words, 8 * k));
        });
        p.barrierArrive(address(entryFull(), at.index, 8));
        return {};
      });
}

/// load(scratch, key, n): what `process` does with a chunk.
func::FuncOp HopperKernel::emitLoadChunk(size_t s, int caseIndex) {
  return e.function(named("load_" + Twine(s) + "_" + Twine(caseIndex + 1)),
                    {e.ptr(), e.i64(), e.i64()}, {},
                    [&](ArrayRef<Value> args) -> SmallVector<Value> {
                      Value row =
                          e.add(args[1], stream(args[0], s, cpu::kKeyBase));
                      e.call(post, {args[0], p.narrow(row), p.narrow(args[2]),
                                    p.c(int32_t(s) | (caseIndex + 1) << 8),
                                    p.narrow(args[1])});
                      return {};
                    });
}

/// pass(scratch): one tile, or the part of it that lies in one document.
func::FuncOp HopperKernel::emitPass() {
  return e.function(named("pass"), {e.ptr()}, {},
                    [&](ArrayRef<Value> args) -> SmallVector<Value> {
                      Value scratch = args[0], zero = p.c(0);
                      e.call(post, {scratch, zero, zero, p.c(kBegin), zero});
                      for (cpu::StreamCode &stream : streams)
                        e.call(stream.walk, {scratch});
                      e.call(post, {scratch, zero, zero, p.c(kEnd), zero});
                      return {};
                    });
}

void HopperKernel::emitWalker(func::FuncOp pass) {
  Value scratch = LLVM::AddrSpaceCastOp::create(
      builder, e.loc, e.ptr(),
      LLVM::IntToPtrOp::create(
          builder, e.loc, LLVM::LLVMPointerType::get(builder.getContext(), 3),
          address(offWalk)));
  p.storeShared(p.c(0), address(offPosted));
  // Of the words that go with a tile, not every pattern writes all.
  for (int64_t k = 0; k < tileWords(); ++k)
    e.storeI64(e.c(0), scratch, k);
  setFrame(scratch, cpu::kSplit, e.c(0));
  setFrame(scratch, cpu::kSplits, e.c(1));
  // A tile is drawn when the one before is walked, a ring of chunks before it
  // is computed: its latency is hidden, and no tile is kept for a busy CTA.
  auto draw = [&]() -> Value {
    return LLVM::AtomicRMWOp::create(builder, e.loc, LLVM::AtomicBinOp::add,
                                     workspace, e.c(1),
                                     LLVM::AtomicOrdering::monotonic);
  };
  e.whileLoop(
      {draw()}, [&](ValueRange tile) { return e.lt(tile[0], units); },
      [&](ValueRange tile) -> SmallVector<Value> {
        emitLocate(scratch, slots, tile[0], [&] { e.call(pass, {scratch}); });
        return {draw()};
      });
  Value zero = p.c(0);
  e.call(post, {scratch, zero, zero, p.c(kQuit), zero});
}

//===----------------------------------------------------------------------===//
// Loader
//===----------------------------------------------------------------------===//

void HopperKernel::emitLoad(Value barrierAt, Value at, int32_t boxRows,
                            int32_t chunks, Value map, Value row, Value head,
                            Value batch) {
  for (int32_t k = 0; k < chunks; ++k)
    p.loadTile(p.add(at, k * boxRows * 128), map,
               {p.c(64 * k), row, head, batch}, barrierAt);
}

void HopperKernel::emitLoader() {
  Type i32 = e.i32();
  Value zero = p.c(0);
  // The map of keys (0) or values (1) of the stream in a code.
  auto mapOf = [&](Value code, int which) {
    Value map = mapPointers[1 + which];
    for (size_t s = 1; s < streams.size(); ++s)
      map = p.select(p.eq(p.bitAnd(code, 255), p.c(s)),
                     mapPointers[1 + 2 * s + which], map);
    return map;
  };
  enum { kNumber, kPass, kKey, kValue, kRow, kCode, kHead, kBatch, kCounts };
  auto loop = scf::WhileOp::create(
      builder, e.loc, SmallVector<Type>(kCounts, i32),
      Values{zero, zero, zero, zero, p.c(-1), zero, zero, zero});
  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Type> types(kCounts, i32);
  SmallVector<Location> locs(kCounts, e.loc);
  Block *before = builder.createBlock(&loop.getBefore(), {}, types, locs);
  ValueRange state = before->getArguments();
  Stage entry = stageOf(state[kNumber], kEntries);
  p.barrierWait(address(entryFull(), entry.index, 8), entry.parity);
  Value words = address(offEntries, entry.index, 16);
  Value code = p.loadShared(i32, p.add(words, 8));
  Value more = arith::CmpIOp::create(builder, e.loc, arith::CmpIPredicate::ne,
                                     code, p.c(kQuit));
  scf::ConditionOp::create(builder, e.loc, more, state);

  Block *after = builder.createBlock(&loop.getAfter(), {}, types, locs);
  state = after->getArguments();
  entry = stageOf(state[kNumber], kEntries);
  words = address(offEntries, entry.index, 16);
  Value row = p.loadShared(i32, words);
  Value n = p.loadShared(i32, p.add(words, 4));
  code = p.loadShared(i32, p.add(words, 8));
  Value key = p.loadShared(i32, p.add(words, 12));
  auto taken = [&] { p.barrierArrive(address(entryEmpty(), entry.index, 8)); };

  auto kind =
      scf::IfOp::create(builder, e.loc, types, p.eq(code, p.c(kBegin)), true);
  builder.setInsertionPointToStart(kind.thenBlock());
  {
    Value tile = address(offPending, entry.index, tileBytes());
    auto tileWord = [&](int64_t word) {
      return p.narrow(p.loadShared(e.i64(), p.add(tile, 8 * word)));
    };
    Value full = address(barrier(kQueryFull));
    p.barrierWait(address(barrier(kQueryEmpty)),
                  p.bitXor(p.bitAnd(state[kPass], 1), p.c(1)));
    // Bytes are expected before they can arrive, and this thread arrives last.
    p.barrierExpectOnly(full, rows * 128 * keyChunks);
    Value batch = tileWord(cpu::kBatch);
    emitLoad(full, address(offQuery), rows, keyChunks, mapPointers[0],
             p.add(tileWord(cpu::kRow0), tileWord(cpu::kQueryBase)),
             tileWord(cpu::kHead), batch);
    for (int64_t k = 0; k < tileWords(); ++k)
      p.storeShared(p.loadShared(e.i64(), p.add(tile, 8 * k)),
                    address(offTile + 8 * k));
    p.barrierArrive(full);
    Value head = tileWord(cpu::kKvHead);
    taken();
    Values next(state);
    next[kNumber] = p.add(state[kNumber], 1);
    next[kPass] = p.add(state[kPass], 1);
    next[kHead] = head;
    next[kBatch] = batch;
    scf::YieldOp::create(builder, e.loc, next);
  }
  builder.setInsertionPointToStart(kind.elseBlock());
  {
    taken();
    Stage k = stageOf(state[kKey], stages);
    waitEmpty(keyEmpty(), k);
    Value chunk = address(offChunk, k.index, 16);
    p.storeShared(key, chunk);
    p.storeShared(n, p.add(chunk, 4));
    p.storeShared(code, p.add(chunk, 8));
    Value full = address(keyFull(0), k.index, 8);
    Value isEnd = p.eq(code, p.c(kEnd));
    e.ifThen(
        isEnd, [&] { p.barrierArrive(full); },
        [&] {
          p.barrierExpect(full, keyBytes);
          emitLoad(full, address(offKeys, k.index, keyBytes), keys, keyChunks,
                   mapOf(code, 0), row, state[kHead], state[kBatch]);
        });
    Value pending = p.lt(p.c(-1), state[kRow]);
    e.ifThen(pending, [&] {
      Stage v = stageOf(state[kValue], stages);
      waitEmpty(valueEmpty(), v);
      Value full = address(valueFull(), v.index, 8);
      p.barrierExpect(full, valueBytes);
      emitLoad(full, address(offValues, v.index, valueBytes), keys, valueChunks,
               mapOf(state[kCode], 1), state[kRow], state[kHead],
               state[kBatch]);
    });
    Values next(state);
    next[kNumber] = p.add(state[kNumber], 1);
    next[kKey] = p.add(state[kKey], 1);
    Value one = p.select(pending, p.c(1), zero);
    next[kValue] = arith::AddIOp::create(builder, e.loc, state[kValue], one);
    next[kRow] = p.select(isEnd, p.c(-1), row);
    next[kCode] = code;
    scf::YieldOp::create(builder, e.loc, next);
  }
  builder.setInsertionPointAfter(kind);
  scf::YieldOp::create(builder, e.loc, kind.getResults());

  builder.setInsertionPointAfter(loop);
  p.barrierWait(address(barrier(kQueryEmpty)),
                p.bitXor(p.bitAnd(loop.getResult(kPass), 1), p.c(1)));
  p.storeShared(e.c(-1), address(offTile));
  p.barrierArrive(address(barrier(kQueryFull)));
}
