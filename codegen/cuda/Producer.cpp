//===- Producer.cpp - the warp that walks the streams and loads tiles -----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One thread. Its words (those of the walk, and counters of its rings) lie in
// shared memory; consumers never read them, but a copy made with each Q.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/HopperKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

HopperKernel::Stage HopperKernel::stageOf(Value number) {
  if (stages == 1)
    return {p.c(0), p.bitAnd(number, 1)};
  return {p.rem(number, stages), p.bitAnd(p.div(number, stages), 1)};
}

void HopperKernel::emitLoad(Value barrierAt, Value at, int32_t boxRows,
                            int32_t chunks, Value map, Value row, Value head,
                            Value batch) {
  for (int32_t k = 0; k < chunks; ++k)
    p.loadTile(p.add(at, k * boxRows * 128), map,
               {p.c(64 * k), row, head, batch}, barrierAt);
}

/// load(scratch, key, n): announces a chunk and loads it.
func::FuncOp HopperKernel::emitLoadChunk(size_t s, int caseIndex) {
  return e.function(
      named("load_" + Twine(s) + "_" + Twine(caseIndex + 1)),
      {e.ptr(), e.i64(), e.i64()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], key = args[1], n = args[2];
        Value outer = shared;
        shared = p.narrow(e.loadI64(e.at(scratch, wordShared), 0));
        auto word = [&](int64_t at) { return e.at(scratch, at); };
        auto next = [&](int64_t at) -> Stage {
          Value number = e.loadI64(word(at), 0);
          e.storeI64(e.add(number, 1), word(at), 0);
          return stageOf(p.narrow(number));
        };
        Value row = p.narrow(e.add(key, stream(scratch, s, cpu::kKeyBase)));
        Value head = p.narrow(frame(scratch, cpu::kKvHead));
        Value batch = p.narrow(frame(scratch, cpu::kBatch));
        Value flip = p.c(1);
        Stage k = next(wordKeys);
        p.barrierWait(address(keyEmpty(), k.index, 8),
                      p.bitXor(k.parity, flip));
        Value words = address(offChunk, k.index, 16);
        p.storeShared(p.narrow(key), words);
        p.storeShared(p.narrow(n), p.add(words, 4));
        p.storeShared(p.c(int32_t(s) | (caseIndex + 1) << 8), p.add(words, 8));
        Value full = address(keyFull(0), k.index, 8);
        p.barrierExpect(full, keyBytes);
        emitLoad(full, address(offKeys, k.index, keyBytes), keys, keyChunks,
                 e.asPtr(e.loadI64(word(wordMaps), 1 + 2 * s)), row, head,
                 batch);
        Stage v = next(wordValues);
        p.barrierWait(address(valueEmpty(), v.index, 8),
                      p.bitXor(v.parity, flip));
        full = address(valueFull(), v.index, 8);
        p.barrierExpect(full, valueBytes);
        emitLoad(full, address(offValues, v.index, valueBytes), keys,
                 valueChunks, e.asPtr(e.loadI64(word(wordMaps), 2 + 2 * s)),
                 row, head, batch);
        shared = outer;
        return {};
      });
}

/// pass(scratch): one tile, or the part of it that lies in one document.
func::FuncOp HopperKernel::emitPass() {
  return e.function(
      named("pass"), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0];
        Value outer = shared;
        shared = p.narrow(e.loadI64(e.at(scratch, wordShared), 0));
        auto takeNumber = [&](int64_t at) -> Value {
          Value number = e.loadI64(e.at(scratch, at), 0);
          e.storeI64(e.add(number, 1), e.at(scratch, at), 0);
          return p.narrow(number);
        };
        Value queryFull = address(barrier(kQueryFull));
        Value number = takeNumber(wordPasses);
        p.barrierWait(address(barrier(kQueryEmpty)),
                      p.bitXor(p.bitAnd(number, 1), p.c(1)));
        for (int64_t k = 0; k < tileWords(); ++k)
          p.storeShared(e.loadI64(scratch, k), address(offTile + 8 * k));
        p.barrierExpect(queryFull, rows * 128 * keyChunks);
        Value row = p.narrow(
            e.add(frame(scratch, cpu::kRow0), frame(scratch, cpu::kQueryBase)));
        emitLoad(queryFull, address(offQuery), rows, keyChunks,
                 e.asPtr(e.loadI64(e.at(scratch, wordMaps), 0)), row,
                 p.narrow(frame(scratch, cpu::kHead)),
                 p.narrow(frame(scratch, cpu::kBatch)));
        for (cpu::StreamCode &stream : streams)
          e.call(stream.walk, {scratch});
        // The end of the pass takes a stage of keys.
        Stage k = stageOf(takeNumber(wordKeys));
        p.barrierWait(address(keyEmpty(), k.index, 8),
                      p.bitXor(k.parity, p.c(1)));
        p.storeShared(p.c(-1), p.add(address(offChunk, k.index, 16), 8));
        p.barrierArrive(address(keyFull(0), k.index, 8));
        shared = outer;
        return {};
      });
}

void HopperKernel::emitProducer(func::FuncOp pass) {
  Value scratch = LLVM::AddrSpaceCastOp::create(
      builder, e.loc, e.ptr(),
      LLVM::IntToPtrOp::create(
          builder, e.loc, LLVM::LLVMPointerType::get(builder.getContext(), 3),
          address(offWalk)));
  auto setWord = [&](int64_t at, Value value, int64_t index = 0) {
    e.storeI64(value, e.at(scratch, at), index);
  };
  setWord(wordShared, arith::ExtUIOp::create(builder, e.loc, e.i64(), shared));
  for (int64_t word : {wordPasses, wordKeys, wordValues})
    setWord(word, e.c(0));
  for (auto [k, map] : llvm::enumerate(mapPointers))
    setWord(wordMaps, e.asInt(map), k);
  setFrame(scratch, cpu::kSplit, e.c(0));
  setFrame(scratch, cpu::kSplits, e.c(1));
  e.loop(p.wide(p.special("ctaid.x")), units, p.wide(p.special("nctaid.x")),
         [&](Value tile) {
           emitLocate(scratch, slots, tile, [&] { e.call(pass, {scratch}); });
         });
  Value number = p.narrow(e.loadI64(e.at(scratch, wordPasses), 0));
  p.barrierWait(address(barrier(kQueryEmpty)),
                p.bitXor(p.bitAnd(number, 1), p.c(1)));
  p.storeShared(e.c(-1), address(offTile));
  p.barrierArrive(address(barrier(kQueryFull)));
}
