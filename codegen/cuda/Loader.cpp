//===- Loader.cpp - the threads that load tiles ---------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the walker posts (Walker.cpp), as copies of the tensor memory
// accelerator. One thread loads queries and keys, one values: neither waits for
// a stage of the other's, and between a stage that comes free and its next copy
// is no more than the wait. What can follow the copy does.
//
//   keys:    until quit, for each entry:
//              begin: Q -> L2
//              chunk: wait kEmpty; K -> smem; chunk words; kFull
//                     no chunk before: Q
//   Q:       for each warpgroup: wait qEmpty; its rows of Q -> smem, row by row
//            if heads share the tile; once, words of the tile; qFull
//   values:  until quit, for each chunk: wait vEmpty; V -> smem, vFull
//
// Q has one place, free when the tile before has its last scores; the first
// keys of a tile need not wait for that. A tile without keys has a chunk of
// rows that lie behind all, zeros. The tile's words are copied meanwhile, from
// the ring of entries to where those who compute read them. Copies of keys in
// pages: PageLoads.cpp. Few queries read keys once: they leave the second-level
// cache first.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/HopperKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

void HopperKernel::emitLoad(Value barrierAt, Value at, int32_t tileRows,
                            int32_t chunks, Value map, Value row, Value head,
                            Value batch, Value policy) {
  for (int32_t k = 0; k < chunks; ++k)
    p.loadTile(p.add(at, k * tileRows * 128), map,
               {p.c(64 * k), row, head, batch}, barrierAt, policy);
}

void HopperKernel::emitLoadQuery(int32_t number,
                                 llvm::function_ref<Value(int64_t)> word) {
  Value batch = word(walk::kBatch), head = word(walk::kHead);
  Value token0 = p.add(word(walk::kRow0), word(walk::kQueryBase));
  Value barrierAt = address(queryFull() + 8 * number);
  const int32_t first = 64 * number, bytes = kRowBytes * keyChunks;
  // Bytes are expected before they can arrive, and this thread arrives last.
  auto whole = [&] {
    p.barrierExpectOnly(barrierAt, p.c(64 * bytes));
    emitLoad(barrierAt, address(offQuery + first * kRowBytes), rows, keyChunks,
             mapPointers[0], p.add(token0, first), head, batch);
  };
  if (!mayPack())
    return whole();
  Value pack = word(walk::kPack), tokens = word(walk::kRows);
  e.ifThen(p.eq(pack, p.c(1)), whole, [&] {
    auto bound = [&](Value a, int32_t most) -> Value {
      return arith::MinSIOp::create(builder, e.loc, a, p.c(most));
    };
    Value used = arith::MulIOp::create(builder, e.loc, pack, tokens);
    used = bound(used, first + 64);
    used = arith::MaxSIOp::create(builder, e.loc, used, p.c(first));
    p.barrierExpectOnly(barrierAt, p.mul(p.add(used, -first), bytes));
    e.loop(e.c(first), p.wide(used), 1, [&](Value at) {
      Value row = p.narrow(at);
      Value token = arith::DivUIOp::create(builder, e.loc, row, pack);
      Value of = arith::RemUIOp::create(builder, e.loc, row, pack);
      emitLoad(barrierAt, p.add(address(offQuery), p.mul(row, kRowBytes)), rows,
               keyChunks, mapPointers.back(), p.add(token0, token),
               p.add(head, of), batch);
    });
  });
}

Value HopperKernel::mapOf(Value code, int first, int step) {
  Value map = mapPointers[first];
  for (size_t s = 1; s < streams.size(); ++s)
    map = p.select(p.eq(p.bitAnd(code, 255), p.c(s)),
                   mapPointers[first + step * s], map);
  return map;
}

Value HopperKernel::wordOf(Value tile, int64_t number) {
  return p.narrow(p.loadShared(e.i64(), p.add(tile, int32_t(8 * number))));
}

Values HopperKernel::forEntries(
    Values state, llvm::function_ref<Values(const Entry &, ValueRange)> body) {
  state.insert(state.begin(), p.c(0)); // the number of the entry
  SmallVector<Type> types(state.size(), e.i32());
  SmallVector<Location> locs(state.size() + 4, e.loc);
  OpBuilder::InsertionGuard guard(builder);
  auto loop = scf::WhileOp::create(
      builder, e.loc, SmallVector<Type>(state.size() + 4, e.i32()), state);
  Block *before = builder.createBlock(&loop.getBefore(), {}, types,
                                      ArrayRef(locs).take_front(state.size()));
  Value number = before->getArgument(0);
  Stage at = CudaKernel::stageOf(number, kEntries);
  p.barrierWait(address(offEntryFull, at.index, 8), at.parity);
  Values forward(before->getArguments());
  Value words = p.loadShared(VectorType::get({4}, e.i32()),
                             address(offEntries, at.index, 16));
  llvm::append_range(forward, p.split(words));
  Value more = arith::CmpIOp::create(builder, e.loc, arith::CmpIPredicate::ne,
                                     forward[state.size() + 2], p.c(kQuit));
  scf::ConditionOp::create(builder, e.loc, more, forward);

  Block *after = builder.createBlock(
      &loop.getAfter(), {}, SmallVector<Type>(forward.size(), e.i32()), locs);
  ValueRange args = after->getArguments(), entry = args.take_back(4);
  at = CudaKernel::stageOf(args[0], kEntries);
  Value pages;
  if (isPaged())
    pages = address(offPages, at.index, 4 * boxes());
  Values next = body({entry[0], entry[1], entry[2], entry[3], pages, at.index},
                     args.drop_front().drop_back(4));
  next.insert(next.begin(), p.add(args[0], 1));
  scf::YieldOp::create(builder, e.loc, next);
  return Values(loop.getResults().drop_front().drop_back(4));
}

void HopperKernel::give(Value entry) {
  p.barrierArrive(address(offEntryEmpty, entry, 8));
}

void HopperKernel::emitKeyLoader() {
  enum {
    kPass,  // tiles whose Q is loaded
    kChunk, // and ends
    kHead,
    kBatch,
    kBegun, // the entry that began a tile whose Q is not loaded, or -1
    kCounts
  };
  Value zero = p.c(0);
  keyPolicy = few ? p.evictFirst() : Value();
  auto begin = [&](const Entry &entry, ValueRange state) -> Values {
    Value tile = pendingWordsAt(entry.index);
    Values next(state);
    next[kHead] = wordOf(tile, walk::kKvHead);
    next[kBatch] = wordOf(tile, walk::kBatch);
    next[kBegun] = entry.index;
    Value row =
        p.add(wordOf(tile, walk::kRow0), wordOf(tile, walk::kQueryBase));
    for (int32_t g = 0; g < warpgroups; ++g)
      for (int32_t k = 0; k < keyChunks; ++k)
        p.prefetchTile(mapPointers[0],
                       {p.c(64 * k), p.add(row, 64 * g),
                        wordOf(tile, walk::kHead), next[kBatch]});
    return next;
  };
  auto chunk = [&](const Entry &entry, ValueRange state) -> Values {
    if (!isPaged())
      give(entry.index);
    Stage k = stageOf(state[kChunk]);
    waitEmpty(keyEmpty(), k);
    Value full = address(keyFull(), k.index, 8);
    // Bytes are expected before they can arrive, and this thread arrives last.
    p.barrierExpectOnly(full, p.c(keyBytes));
    Value at = address(offKeys, k.index, keyBytes);
    Value map = mapOf(entry.code, 1, 2);
    if (isPaged())
      emitLoadPages(full, at, keyChunks, map, nullptr, state[kHead], entry);
    else
      emitLoad(full, at, keys, keyChunks, map, entry.row, state[kHead],
               state[kBatch], keyPolicy);
    p.storeShared(p.join({entry.key, entry.n, entry.code, zero}),
                  address(offChunk, k.index, kChunkBytes));
    p.barrierArrive(full);
    if (isPaged())
      give(entry.index);
    Value begun = p.lt(p.c(-1), state[kBegun]);
    e.ifThen(begun, [&] {
      Value tile = pendingWordsAt(state[kBegun]);
      // A warpgroup need not wait for another to be as far.
      for (int32_t g = 0; g < warpgroups; ++g) {
        // Free at first, or when it is cleared.
        Value parity = p.bitAnd(state[kPass], 1);
        if (!mayPack())
          parity = p.bitXor(parity, p.c(1));
        p.barrierWait(address(queryEmpty() + 8 * g), parity);
        emitLoadQuery(g, [&](int64_t number) { return wordOf(tile, number); });
        Value words = tileWordsAt(state[kPass]);
        for (int64_t k = 0; g == 0 && k < tileWords(); ++k)
          p.storeShared(p.loadShared(e.i64(), p.add(tile, int32_t(8 * k))),
                        p.add(words, int32_t(8 * k)));
        p.barrierArrive(address(queryFull() + 8 * g));
      }
      give(state[kBegun]);
    });
    Values next(state);
    next[kPass] = arith::AddIOp::create(builder, e.loc, state[kPass],
                                        p.select(begun, p.c(1), zero));
    next[kChunk] = p.add(state[kChunk], 1);
    next[kBegun] = p.c(-1);
    return next;
  };
  Values init(kCounts, zero);
  init[kBegun] = p.c(-1);
  Values last = forEntries(init, [&](const Entry &entry, ValueRange state) {
    return ifElse(
        p.eq(entry.code, p.c(kBegin)), [&] { return begin(entry, state); },
        [&] { return chunk(entry, state); });
  });
  Stage quit = stageOf(last[kChunk]);
  waitEmpty(keyEmpty(), quit);
  p.storeShared(p.join({zero, zero, p.c(kQuit), zero}),
                address(offChunk, quit.index, kChunkBytes));
  p.barrierArrive(address(keyFull(), quit.index, 8));
}

void HopperKernel::emitValueLoader() {
  enum { kChunk, kHead, kBatch, kCounts };
  keyPolicy = few ? p.evictFirst() : Value();
  auto begin = [&](const Entry &entry, ValueRange state) -> Values {
    Value tile = pendingWordsAt(entry.index);
    Values next = {state[kChunk], wordOf(tile, walk::kKvHead),
                   wordOf(tile, walk::kBatch)};
    give(entry.index);
    return next;
  };
  auto chunk = [&](const Entry &entry, ValueRange state) -> Values {
    if (!isPaged())
      give(entry.index);
    Stage v = stageOf(state[kChunk]);
    waitEmpty(valueEmpty(), v);
    Value full = address(valueFull(), v.index, 8);
    p.barrierExpect(full, valueBytes);
    Value at = address(offValues, v.index, valueBytes);
    Value map = mapOf(entry.code, 2, 2);
    if (isPaged()) {
      int count = int(streams.size()), first = 1 + 2 * count;
      ValueMaps maps = {mapOf(entry.code, first, 1),
                        mapOf(entry.code, first + count, 1)};
      emitLoadPages(full, at, valueChunks, map, &maps, state[kHead], entry);
    } else {
      emitLoad(full, at, keys, valueChunks, map, entry.row, state[kHead],
               state[kBatch], keyPolicy);
    }
    if (isPaged())
      give(entry.index);
    Values next(state);
    next[kChunk] = p.add(state[kChunk], 1);
    return next;
  };
  Values init(kCounts, p.c(0));
  if (!few) { // those who compute clear the values before the first
    p.barrierArrive(address(valueFull()));
    init[kChunk] = p.c(1);
  }
  forEntries(init, [&](const Entry &entry, ValueRange state) {
    return ifElse(
        p.eq(entry.code, p.c(kBegin)), [&] { return begin(entry, state); },
        [&] { return chunk(entry, state); });
  });
}
