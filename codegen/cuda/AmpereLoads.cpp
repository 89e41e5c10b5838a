//===- AmpereLoads.cpp - tiles to shared memory, by all threads -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each thread copies pieces of 16 bytes (cp.async). Rows that a tile does not
// have are zeros and not read: nothing outside a tensor is, and no key beyond a
// chunk, whatever it holds, meets a weight of zero.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/AmpereKernel.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

AmpereKernel::Copy AmpereKernel::beginCopy(Value at, int32_t tileRows,
                                           int64_t dim, int64_t width,
                                           Value from, Value rowBytes,
                                           Value count) {
  // A power of two of threads a row, one a piece; `step` rows a turn.
  Copy copy;
  copy.tileRows = tileRows;
  copy.pieces = width / 8;
  int32_t across = llvm::PowerOf2Ceil(copy.pieces);
  copy.step = threads() / across;
  copy.piece = p.bitAnd(thread, across - 1);
  copy.row = p.div(thread, across);
  copy.guarded = across != copy.pieces;
  Value swizzled = p.bitXor(p.bitAnd(copy.piece, 7), p.bitAnd(copy.row, 7));
  Value block = p.mul(p.div(copy.piece, 8), tileRows * kRowBytes);
  copy.to = p.add(p.add(at, block),
                  p.add(p.mul(copy.row, kRowBytes), p.mul(swizzled, 16)));
  copy.source = e.add(from, e.add(e.mul(p.wide(copy.row), rowBytes),
                                  p.wide(p.mul(copy.piece, 16))));
  // Rows from this thread's first on; none of columns that are not there.
  copy.left = p.sub(count, copy.row);
  if (dim < width)
    copy.left = p.select(p.lt(copy.piece, p.c(dim / 8)), copy.left, p.c(0));
  copy.stride = e.mul(rowBytes, copy.step);
  return copy;
}

void AmpereKernel::emitCopy(const Copy &copy) {
  auto all = [&] {
    Value source = copy.source;
    for (int32_t turn = 0; turn < copy.tileRows; turn += copy.step) {
      if (!copy.pieceAt.empty())
        source = copy.pieceAt[turn / copy.step];
      // Only rows of the tile: `step` may be more than it has.
      auto one = [&] {
        Value inside = p.lt(p.c(turn), copy.left);
        p.copyPiece(p.bitXor(copy.to, p.c(turn % 8 * 16)), turn * kRowBytes,
                    source, p.select(inside, p.c(16), p.c(0)));
      };
      if (copy.step > copy.tileRows)
        e.ifThen(p.lt(copy.row, p.c(copy.tileRows)), one);
      else
        one();
      source = e.add(source, copy.stride);
    }
  };
  if (copy.guarded)
    e.ifThen(p.lt(copy.piece, p.c(copy.pieces)), all);
  else
    all();
}

void AmpereKernel::emitLoadQuery(Value slot) {
  askThread();
  Value words = address(offPending, slot, tileBytes());
  auto wordOf = [&](int64_t word) {
    return p.loadShared(e.i64(), p.add(words, 8 * word));
  };
  // Where keys and values begin is computed once a tile.
  Value batch = wordOf(walk::kBatch), kvHead = wordOf(walk::kKvHead);
  // Patterns of many sources have more words than there are threads.
  for (int32_t turn = 0; turn < tileWords(); turn += threads()) {
    Value number = p.add(thread, turn);
    e.ifThen(p.lt(number, p.c(tileWords())), [&] {
      Value word = p.mul(number, 8);
      Value value = p.loadShared(e.i64(), p.add(words, word));
      for (size_t s = 0; s < streams.size(); ++s) {
        int64_t first = layout.stream[s] / 8;
        Value keyBase = wordOf(first + walk::kKeyBase);
        for (auto [tensor, at] :
             {std::pair<Value, int64_t>{streams[s].op.getKey(), walk::kKeyAt},
              {streams[s].op.getValue(), walk::kValueAt}})
          if (turn <= first + at && first + at < turn + threads())
            value = e.select(
                p.eq(number, p.c(int32_t(first + at))),
                e.asInt(tensorAt(slots, tensor, {batch, kvHead, keyBase})),
                value);
      }
      p.storeShared(value, p.add(address(offTile), word));
    });
  }
  llvm::SaveAndRestore<Value> restore(tileAt, words);
  Value query = fold.getQuery();
  Value row0 = e.add(wordOf(walk::kRow0), wordOf(walk::kQueryBase));
  Value from =
      e.asInt(tensorAt(slots, query, {batch, wordOf(walk::kHead), row0}));
  Value rowBytes = e.mul(tensorSlot(slots, query, 7), e.c(2));
  Copy copy =
      beginCopy(address(offQuery), rows, shape.keyDim,
                llvm::alignTo(shape.keyDim, 16), from, rowBytes, usedRows());
  if (!mayPack())
    return emitCopy(copy);
  // Heads of a group side by side.
  Value headBytes = e.mul(tensorSlot(slots, query, 6), e.c(2));
  Value column = p.wide(p.mul(copy.piece, 16));
  for (int32_t turn = 0; turn < rows; turn += copy.step) {
    RowPlace place = placeOfRow(p.add(copy.row, turn));
    Value at =
        e.add(e.mul(place.token, rowBytes), e.mul(place.head, headBytes));
    copy.pieceAt.push_back(e.add(from, e.add(at, column)));
  }
  emitCopy(copy);
}

AmpereKernel::Copy AmpereKernel::beginChunkCopy(Value stage, const Entry &chunk,
                                                bool isValue) {
  // Of the chunk's stream: its first key, or page 0; bytes of a row, of a page.
  auto of = [&](size_t s) -> Values {
    tile::StreamOp op = streams[s].op;
    Value tensor = isValue ? op.getValue() : op.getKey();
    Value rowBytes = e.mul(tensorSlot(slots, tensor, 7), e.c(2));
    Value from = tileWord(layout.stream[s] / 8 +
                          (isValue ? walk::kValueAt : walk::kKeyAt));
    if (isPaged())
      return {from, rowBytes, e.mul(tensorSlot(slots, tensor, 5), e.c(2))};
    return {e.add(from, e.mul(p.wide(chunk.key), rowBytes)), rowBytes};
  };
  Values source = of(0);
  for (size_t s = 1; s < streams.size(); ++s) {
    Value is = p.eq(p.bitAnd(chunk.code, 255), p.c(s));
    for (auto [value, other] : llvm::zip(source, of(s)))
      value = e.select(is, other, value);
  }
  int64_t dim = isValue ? shape.valueDim : shape.keyDim;
  Value at = address(isValue ? offValues : offKeys, stage, stageBytes);
  Copy copy = beginCopy(at, keys, dim, isValue ? dim : llvm::alignTo(dim, 16),
                        source[0], source[1], chunk.n);
  if (isPaged())
    findPages(copy, source, chunk);
  return copy;
}

void AmpereKernel::findPages(Copy &copy, ValueRange source,
                             const Entry &chunk) {
  // Entries of all turns are in flight at once; what is no run has none.
  int32_t turns = llvm::divideCeil(copy.tileRows, copy.step);
  auto least = [&](Value a, Value x) -> Value {
    return arith::MinSIOp::create(builder, e.loc, a, x);
  };
  Value last = p.add(p.add(chunk.key, chunk.n), -1);
  Values keysOf(turns), none(turns, p.c(0));
  for (int32_t turn = 0; turn < turns; ++turn)
    keysOf[turn] =
        least(p.add(p.add(chunk.key, copy.row), turn * copy.step), last);
  Values pages = ifChanged(p.lt(p.c(0), chunk.n), none, [&](Values) {
    Value row = e.asPtr(tileWord(walk::kPageRow));
    Value stride = e.mul(tensorSlot(slots, fold.getPageTable(), 6), e.c(4));
    Values found;
    for (Value key : keysOf)
      found.push_back(e.load(
          e.i32(),
          e.at(row, e.mul(p.wide(p.div(key, int32_t(pageSlots()))), stride)),
          4));
    return found;
  });
  Value column = e.add(source[0], p.wide(p.mul(copy.piece, 16)));
  for (int32_t turn = 0; turn < turns; ++turn) {
    Value slot = p.rem(keysOf[turn], int32_t(pageSlots()));
    Value at = e.add(e.mul(p.wide(pages[turn]), source[2]),
                     e.mul(p.wide(slot), source[1]));
    copy.pieceAt.push_back(e.add(column, at));
  }
}

void AmpereKernel::emitLoadChunk(Value stage, const Entry &chunk) {
  askThread();
  for (bool isValue : {false, true})
    emitCopy(beginChunkCopy(stage, chunk, isValue));
}
