//===- Loader.cpp - the thread that loads tiles ---------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the walker posts (Walker.cpp), as copies of the tensor memory
// accelerator.
//
//   loader:  until quit, for each entry:
//              begin: Q -> L2
//              chunk: wait kEmpty; chunk words; K -> smem, kFull
//                     first: Q
//                     V of the chunk before: wait vEmpty; V -> smem, vFull
//              end:   wait kEmpty; chunk words = end; kFull; the last V
//                     no chunk before: Q
//   Q:       wait qEmpty; Q -> smem, row by row if heads share the tile; copy
//            the tile's words; qFull
//
// Q has one place, free when the tile before is stored; the first keys of a
// tile need not wait for that. A chunk's values follow the next chunk's keys:
// their stage is the later one to come free, and keys should not wait for it.
//
// Of keys in pages, a copy takes those of a chunk that lie in one page. Pages
// are looked up here again: the walker has seen that those of the n keys of a
// chunk exist, and what is behind them is loaded as zeros. Of the last page of
// a sequence, values are copied row by row: a slot that holds none may hold
// NaN, which a weight of 0 does not keep out.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/HopperKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

void HopperKernel::emitLoad(Value barrierAt, Value at, int32_t tileRows,
                            int32_t chunks, Value map, Value row, Value head,
                            Value batch) {
  for (int32_t k = 0; k < chunks; ++k)
    p.loadTile(p.add(at, k * tileRows * 128), map,
               {p.c(64 * k), row, head, batch}, barrierAt);
}

void HopperKernel::emitLoadKeys(Value barrierAt, Value at, int32_t chunks,
                                Value map, Value mapOfRows,
                                const Chunk &chunk) {
  if (!isPaged())
    return emitLoad(barrierAt, at, keys, chunks, map, chunk.row, chunk.head,
                    chunk.batch);
  int32_t page = int32_t(pageSlots());
  auto entryOf = [&](Value key) -> Value {
    return e.load(e.i32(),
                  tensorAt(slots, fold.getPageTable(),
                           {p.wide(chunk.document), p.wide(p.div(key, page))}),
                  4);
  };
  auto load = [&](Value row, Value map, Value slot, Value entry) {
    for (int32_t k = 0; k < chunks; ++k)
      p.loadTile(p.add(p.add(at, k * keys * kRowBytes), p.mul(row, kRowBytes)),
                 map, {p.c(64 * k), slot, chunk.head, entry}, barrierAt);
  };
  // All entries are asked for before the first is needed.
  Values slotOf, entries;
  for (int32_t first = 0; first < keys; first += boxKeys) {
    Value key = p.add(chunk.row, first);
    Value exists = p.lt(p.c(first), chunk.n);
    Value entry = entryOf(p.select(exists, key, chunk.row));
    entries.push_back(p.select(exists, entry, p.c(0)));
    slotOf.push_back(p.select(exists, p.rem(key, page), p.c(page)));
  }
  for (size_t box = 0; box < slotOf.size(); ++box) {
    int32_t first = int32_t(box) * boxKeys;
    auto whole = [&] { load(p.c(first), map, slotOf[box], entries[box]); };
    if (!mapOfRows) {
      whole();
      continue;
    }
    Value cut =
        e.band(p.lt(p.c(first), chunk.n), p.lt(chunk.n, p.c(first + boxKeys)));
    e.ifThen(e.bnot(cut), whole);
  }
  if (!mapOfRows)
    return;
  Value rest = p.rem(chunk.n, boxKeys);
  e.ifThen(p.lt(p.c(0), rest), [&] {
    Value first = p.sub(chunk.n, rest), key = p.add(chunk.row, first);
    Value entry = entryOf(key), slot = p.rem(key, page);
    e.loop(e.c(0), e.c(boxKeys), 1, [&](Value number) {
      Value row = p.narrow(number);
      load(p.add(first, row), mapOfRows,
           p.select(p.lt(row, rest), p.add(slot, row), p.c(page)), entry);
    });
  });
}

void HopperKernel::emitLoadQuery(Value barrierAt,
                                 llvm::function_ref<Value(int64_t)> word) {
  Value batch = word(walk::kBatch), head = word(walk::kHead);
  Value row = p.add(word(walk::kRow0), word(walk::kQueryBase));
  Value at = address(offQuery);
  // Bytes are expected before they can arrive, and this thread arrives last.
  auto whole = [&] {
    p.barrierExpectOnly(barrierAt, p.c(rows * kRowBytes * keyChunks));
    emitLoad(barrierAt, at, rows, keyChunks, mapPointers[0], row, head, batch);
  };
  if (!mayPack())
    return whole();
  Value pack = word(walk::kPack), tokens = word(walk::kRows);
  e.ifThen(p.eq(pack, p.c(1)), whole, [&] {
    Value used = arith::MulIOp::create(builder, e.loc, pack, tokens);
    p.barrierExpectOnly(barrierAt, p.mul(used, kRowBytes * keyChunks));
    e.loop(e.c(0), p.wide(tokens), 1, [&](Value token) {
      Value number = p.narrow(token);
      Value first = arith::MulIOp::create(builder, e.loc, number, pack);
      e.loop(e.c(0), p.wide(pack), 1, [&](Value k) {
        Value of = p.narrow(k);
        emitLoad(barrierAt, p.add(at, p.mul(p.add(first, of), kRowBytes)), rows,
                 keyChunks, mapPointers.back(), p.add(row, number),
                 p.add(head, of), batch);
      });
    });
  });
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
  // In pages, the map of single rows of values.
  auto mapOfRows = [&](Value code) -> Value {
    if (!isPaged())
      return {};
    auto maps = ArrayRef<Value>(mapPointers).drop_front(1 + 2 * streams.size());
    Value map = maps[0];
    for (size_t s = 1; s < streams.size(); ++s)
      map = p.select(p.eq(p.bitAnd(code, 255), p.c(s)), maps[s], map);
    return map;
  };
  enum {
    kNumber, // entries
    kPass,   // tiles
    kKey,    // chunks of K
    kValue,  // chunks of V
    kRow,    // of the chunk whose V is pending, else -1
    kCount,
    kCode,
    kHead,
    kBatch,
    kDocument,
    kBegun, // the entry that began a tile whose Q is not loaded, or -1
    kCounts
  };
  Values begin(kCounts, zero);
  begin[kRow] = begin[kBegun] = p.c(-1);
  auto loop = scf::WhileOp::create(builder, e.loc,
                                   SmallVector<Type>(kCounts, i32), begin);
  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Type> types(kCounts, i32);
  SmallVector<Location> locs(kCounts, e.loc);
  Block *before = builder.createBlock(&loop.getBefore(), {}, types, locs);
  ValueRange state = before->getArguments();
  Stage entry = CudaKernel::stageOf(state[kNumber], kEntries);
  p.barrierWait(address(offEntryFull, entry.index, 8), entry.parity);
  Value words = address(offEntries, entry.index, 16);
  Value code = p.loadShared(i32, p.add(words, 8));
  Value more = arith::CmpIOp::create(builder, e.loc, arith::CmpIPredicate::ne,
                                     code, p.c(kQuit));
  scf::ConditionOp::create(builder, e.loc, more, state);

  Block *after = builder.createBlock(&loop.getAfter(), {}, types, locs);
  state = after->getArguments();
  entry = CudaKernel::stageOf(state[kNumber], kEntries);
  words = address(offEntries, entry.index, 16);
  Value row = p.loadShared(i32, words);
  Value n = p.loadShared(i32, p.add(words, 4));
  code = p.loadShared(i32, p.add(words, 8));
  Value key = p.loadShared(i32, p.add(words, 12));
  auto taken = [&](Value index) {
    p.barrierArrive(address(offEntryEmpty, index, 8));
  };
  struct Place {
    Value row, head, batch;
  };
  auto placeOf = [&](Value tile) -> Place {
    auto word = [&](int64_t number) {
      return p.narrow(p.loadShared(e.i64(), p.add(tile, 8 * number)));
    };
    return {p.add(word(walk::kRow0), word(walk::kQueryBase)), word(walk::kHead),
            word(walk::kBatch)};
  };
  auto loadQuery = [&](Value index) {
    Value tile = address(offPending, index, tileBytes());
    auto word = [&](int64_t number) {
      return p.narrow(p.loadShared(e.i64(), p.add(tile, 8 * number)));
    };
    Value full = address(barrier(kQueryFull));
    p.barrierWait(address(barrier(kQueryEmpty)),
                  p.bitXor(p.bitAnd(state[kPass], 1), p.c(1)));
    emitLoadQuery(full, word);
    Value words = tileWordsAt(state[kPass]);
    for (int64_t k = 0; k < tileWords(); ++k)
      p.storeShared(p.loadShared(e.i64(), p.add(tile, 8 * k)),
                    p.add(words, 8 * k));
    p.barrierArrive(full);
    taken(index);
  };

  auto kind =
      scf::IfOp::create(builder, e.loc, types, p.eq(code, p.c(kBegin)), true);
  builder.setInsertionPointToStart(kind.thenBlock());
  {
    Value tile = address(offPending, entry.index, tileBytes());
    Place at = placeOf(tile);
    for (int32_t k = 0; k < keyChunks; ++k)
      p.prefetchTile(mapPointers[0], {p.c(64 * k), at.row, at.head, at.batch});
    Values next(state);
    next[kNumber] = p.add(state[kNumber], 1);
    next[kHead] =
        p.narrow(p.loadShared(e.i64(), p.add(tile, 8 * walk::kKvHead)));
    next[kBatch] = at.batch;
    next[kDocument] =
        p.narrow(p.loadShared(e.i64(), p.add(tile, 8 * walk::kDocument)));
    next[kBegun] = entry.index;
    scf::YieldOp::create(builder, e.loc, next);
  }
  builder.setInsertionPointToStart(kind.elseBlock());
  {
    taken(entry.index);
    Stage k = stageOf(state[kKey]);
    waitEmpty(keyEmpty(), k);
    Value chunk = address(offChunk, k.index, 16);
    p.storeShared(key, chunk);
    p.storeShared(n, p.add(chunk, 4));
    p.storeShared(code, p.add(chunk, 8));
    Value full = address(keyFull(), k.index, 8);
    Value isEnd = p.eq(code, p.c(kEnd));
    e.ifThen(
        isEnd, [&] { p.barrierArrive(full); },
        [&] {
          p.barrierExpect(full, keyBytes);
          emitLoadKeys(full, address(offKeys, k.index, keyBytes), keyChunks,
                       mapOf(code, 0), Value(),
                       {row, n, state[kHead], state[kBatch], state[kDocument]});
        });
    Value begun = p.lt(p.c(-1), state[kBegun]);
    e.ifThen(begun, [&] { loadQuery(state[kBegun]); });
    Value pending = p.lt(p.c(-1), state[kRow]);
    e.ifThen(pending, [&] {
      Stage v = stageOf(state[kValue]);
      waitEmpty(valueEmpty(), v);
      Value full = address(valueFull(), v.index, 8);
      p.barrierExpect(full, valueBytes);
      emitLoadKeys(full, address(offValues, v.index, valueBytes), valueChunks,
                   mapOf(state[kCode], 1), mapOfRows(state[kCode]),
                   {state[kRow], state[kCount], state[kHead], state[kBatch],
                    state[kDocument]});
    });
    Values next(state);
    next[kNumber] = p.add(state[kNumber], 1);
    next[kKey] = p.add(state[kKey], 1);
    Value one = p.select(pending, p.c(1), zero);
    next[kValue] = arith::AddIOp::create(builder, e.loc, state[kValue], one);
    next[kPass] = arith::AddIOp::create(builder, e.loc, state[kPass],
                                        p.select(begun, p.c(1), zero));
    next[kBegun] = p.c(-1);
    next[kRow] = p.select(isEnd, p.c(-1), row);
    next[kCount] = n;
    next[kCode] = code;
    scf::YieldOp::create(builder, e.loc, next);
  }
  builder.setInsertionPointAfter(kind);
  scf::YieldOp::create(builder, e.loc, kind.getResults());

  builder.setInsertionPointAfter(loop);
  p.barrierWait(address(barrier(kQueryEmpty)),
                p.bitXor(p.bitAnd(loop.getResult(kPass), 1), p.c(1)));
  p.storeShared(e.c(-1), tileWordsAt(loop.getResult(kPass)));
  p.barrierArrive(address(barrier(kQueryFull)));
}
