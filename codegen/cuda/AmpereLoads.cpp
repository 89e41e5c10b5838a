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

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

void AmpereKernel::emitCopy(Value at, int32_t tileRows, int64_t dim,
                            int64_t width, Value from, Value rowBytes,
                            Value count) {
  // A power of two of threads a row, one a piece; `step` rows a turn.
  int32_t pieces = width / 8, across = llvm::PowerOf2Ceil(pieces);
  int32_t step = threads() / across;
  Value piece = p.bitAnd(thread, across - 1), row = p.div(thread, across);
  auto copy = [&] {
    Value swizzled = p.bitXor(p.bitAnd(piece, 7), p.bitAnd(row, 7));
    Value block = p.mul(p.div(piece, 8), tileRows * kRowBytes);
    Value to = p.add(p.add(at, block),
                     p.add(p.mul(row, kRowBytes), p.mul(swizzled, 16)));
    Value source = e.add(
        from, e.add(e.mul(p.wide(row), rowBytes), p.wide(p.mul(piece, 16))));
    // Rows from this thread's first on; none of columns that are not there.
    Value left = p.sub(count, row);
    if (dim < width)
      left = p.select(p.lt(piece, p.c(dim / 8)), left, p.c(0));
    Value stride = e.mul(rowBytes, step);
    for (int32_t turn = 0; turn < tileRows; turn += step) {
      // Only rows of the tile: `step` may be more than it has.
      auto one = [&] {
        Value inside = p.lt(p.c(turn), left);
        p.copyPiece(p.bitXor(to, p.c(turn % 8 * 16)), turn * kRowBytes, source,
                    p.select(inside, p.c(16), p.c(0)));
      };
      if (step > tileRows)
        e.ifThen(p.lt(row, p.c(tileRows)), one);
      else
        one();
      source = e.add(source, stride);
    }
  };
  if (across == pieces)
    copy();
  else
    e.ifThen(p.lt(piece, p.c(pieces)), copy);
}

void AmpereKernel::emitLoadQuery(Value slot) {
  askThread();
  Value words = address(offPending, slot, tileBytes());
  e.ifThen(p.lt(thread, p.c(tileWords())), [&] {
    Value word = p.mul(thread, 8);
    p.storeShared(p.loadShared(e.i64(), p.add(words, word)),
                  p.add(address(offTile), word));
  });
  auto wordOf = [&](int64_t word) {
    return p.loadShared(e.i64(), p.add(words, 8 * word));
  };
  Value query = fold.getQuery();
  Value row0 = e.add(wordOf(walk::kRow0), wordOf(walk::kQueryBase));
  Value from =
      tensorAt(slots, query, {wordOf(walk::kBatch), wordOf(walk::kHead), row0});
  emitCopy(address(offQuery), rows, shape.keyDim,
           llvm::alignTo(shape.keyDim, 16), e.asInt(from),
           e.mul(tensorSlot(slots, query, 7), e.c(2)),
           p.narrow(wordOf(walk::kRows)));
}

void AmpereKernel::emitLoadChunk(Value stage, const Entry &chunk) {
  askThread();
  Value batch = tileWord(walk::kBatch), head = tileWord(walk::kKvHead);
  auto load = [&](Value at, bool isValue) {
    // Of the chunk's stream.
    auto of = [&](size_t s) {
      tile::StreamOp op = streams[s].op;
      Value tensor = isValue ? op.getValue() : op.getKey();
      Value row = e.add(p.wide(chunk.key),
                        tileWord(layout.stream[s] / 8 + walk::kKeyBase));
      return std::pair<Value, Value>(
          e.asInt(tensorAt(slots, tensor, {batch, head, row})),
          e.mul(tensorSlot(slots, tensor, 7), e.c(2)));
    };
    auto [from, rowBytes] = of(0);
    for (size_t s = 1; s < streams.size(); ++s) {
      Value is = p.eq(p.bitAnd(chunk.code, 255), p.c(s));
      auto [at, bytes] = of(s);
      from = e.select(is, at, from);
      rowBytes = e.select(is, bytes, rowBytes);
    }
    int64_t dim = isValue ? shape.valueDim : shape.keyDim;
    emitCopy(at, keys, dim, isValue ? dim : llvm::alignTo(dim, 16), from,
             rowBytes, chunk.n);
  };
  load(address(offKeys, stage, keyBytes), false);
  load(address(offValues, stage, valueBytes), true);
}
