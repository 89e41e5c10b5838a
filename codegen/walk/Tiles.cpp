//===- Tiles.cpp - which rows a tile has ----------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tiles count (batch entry, head, rows), rows fastest; the last tile of the
// rows comes first, so that under a causal mask the longest does. In sections,
// heads are counted side by side, as many as make a section long: what ends a
// run is short tiles of all heads that are left then, and not the last head
// from its longest tile on. Few queries share a tile with those of other heads
// of their group, as many as `packFactor` says; the last tile of a group may
// have fewer. A packed tile covers token rows [u * rows, (u + 1) * rows), or
// fewer where documents have few, and is visited once a document it meets; the
// first is found by binary search in cu_q. Entries are
// clamped to the tokens where they are used; emitCheckDocuments looks at all of
// them and reports a bad one.
//
//===----------------------------------------------------------------------===//
#include "codegen/walk/WalkEmitter.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::walk;

bool WalkEmitter::masksUseHead() {
  return llvm::any_of(streams, [](StreamCode &stream) {
    return llvm::any_of(stream.cases, [](tile::CaseOp op) {
      return !op.getMask().empty() &&
             !op.getMask().front().getArgument(1).use_empty();
    });
  });
}

Value WalkEmitter::sharingHeads(Value slots) {
  Value heads = tensorSlot(slots, fold.getQuery(), 2);
  Value kvHeads = tensorSlot(slots, streams[0].op.getKey(), 2);
  Value group = e.udiv(heads, e.max(kvHeads, e.c(1)));
  Value shared = e.truth(!masksUseHead());
  for (StreamCode &stream : streams)
    for (Value start : stream.op.getStarts())
      shared = e.band(shared, e.le(tensorSlot(slots, start, 2), kvHeads));
  return e.select(shared, group, e.c(1));
}

WalkEmitter::RowTiles WalkEmitter::rowTiles(Value slots) {
  Value nq = tensorSlot(slots, fold.getQuery(), 3);
  RowTiles tiles = {e.c(schedule.getRows()), e.ceilDiv(nq, schedule.getRows())};
  if (!fold.getCuQuery())
    return tiles;
  // Documents of a tile are visited one after the other: where each has few
  // rows, tiles that have no more than those run side by side.
  Value documents = e.add(tensorSlot(slots, fold.getCuQuery(), 1), -1);
  for (int64_t few : {4, 1}) {
    Value isFew = e.le(nq, e.mul(documents, few));
    tiles.rows = e.select(isFew, e.c(few), tiles.rows);
    tiles.count = e.select(isFew, e.ceilDiv(nq, few), tiles.count);
  }
  return tiles;
}

WalkEmitter::HeadTiles WalkEmitter::headTiles(Value slots, Value pack) {
  Value heads = tensorSlot(slots, fold.getQuery(), 2);
  Value kvHeads = tensorSlot(slots, streams[0].op.getKey(), 2);
  Value group = e.udiv(heads, e.max(kvHeads, e.c(1)));
  Value held = e.max(pack, e.c(1));
  Value ofGroup = e.udiv(e.add(e.add(group, held), -1), held);
  return {group, ofGroup, e.mul(kvHeads, ofGroup)};
}

Value WalkEmitter::tileCount(Value slots) {
  Value query = fold.getQuery();
  Value tiles = rowTiles(slots).count;
  Value heads = headTiles(slots, packFactor(slots)).ofBatch;
  return e.mul(e.mul(tensorSlot(slots, query, 1), heads), tiles);
}

WalkEmitter::TilePlace WalkEmitter::placeOfTile(Value slots, Value pack,
                                                Value tile) {
  HeadTiles heads = headTiles(slots, pack);
  RowTiles tiles = rowTiles(slots);
  Value outer, rowTile, least = tilesOfSection();
  // Numbers of tiles have 32 bits where there are sections.
  auto div = [&](Value a, Value x) -> Value {
    if (!least)
      return e.udiv(a, x);
    auto low = [&](Value value) -> Value {
      return arith::TruncIOp::create(e.b, e.loc, e.i32(), value);
    };
    return arith::ExtUIOp::create(e.b, e.loc, e.i64(), e.udiv(low(a), low(x)));
  };
  auto rem = [&](Value a, Value x, Value quotient) -> Value {
    return e.sub(a, e.mul(quotient, x));
  };
  if (least) {
    // Counted from the end: what is left over of the heads comes first.
    Value batch = tensorSlot(slots, fold.getQuery(), 1);
    Value all = e.mul(batch, heads.ofBatch);
    Value side = div(e.add(e.add(least, tiles.count), -1), tiles.count);
    Value back = e.sub(e.add(e.mul(all, tiles.count), -1), tile);
    Value beside = e.mul(side, tiles.count), section = div(back, beside);
    Value first = e.mul(section, side);
    Value within = rem(back, beside, section);
    side = e.min(side, e.sub(all, first));
    rowTile = div(within, side);
    outer = e.add(first, rem(within, side, rowTile));
  } else {
    outer = e.udiv(tile, tiles.count);
    rowTile = e.sub(e.add(tiles.count, -1), e.urem(tile, tiles.count));
  }
  Value batch = div(outer, heads.ofBatch);
  Value inBatch = rem(outer, heads.ofBatch, batch);
  Value kvHead = div(inBatch, heads.ofGroup);
  Value first = e.mul(rem(inBatch, heads.ofGroup, kvHead), e.max(pack, e.c(1)));
  return {batch, e.add(e.mul(kvHead, heads.group), first), kvHead,
          e.mul(rowTile, tiles.rows), e.min(pack, e.sub(heads.group, first))};
}

void WalkEmitter::emitLocate(Value scratch, Value slots, Value tile,
                             llvm::function_ref<void()> body) {
  Value query = fold.getQuery();
  Value nq = tensorSlot(slots, query, 3);
  TilePlace at = placeOfTile(slots, packFactor(slots), tile);
  Value batch = at.batch, head = at.head, row0 = at.row0;
  setFrame(scratch, kBatch, batch);
  setFrame(scratch, kHead, head);
  setFrame(scratch, kKvHead, at.kvHead);
  setFrame(scratch, kPack, at.pack);
  setFrame(scratch, kHeld, e.mul(at.pack, nq));
  setFrame(scratch, kTile, tile);
  Value rowEnd = e.min(nq, e.add(row0, rowTiles(slots).rows));

  // Called once: the body is the whole walk, and inlined.
  auto place = [&](Value document, Value first, Value rows, Value docQ,
                   Value queryBase, Value keyBase,
                   llvm::function_ref<Value(size_t)> keys) {
    setFrame(scratch, kDocument, document);
    setFrame(scratch, kRow0, first);
    setFrame(scratch, kRows, rows);
    setFrame(scratch, kNq, docQ);
    setFrame(scratch, kQueryBase, queryBase);
    if (isPaged())
      setFrame(scratch, kPageRow,
               e.asInt(tensorAt(slots, fold.getPageTable(), {document})));
    for (size_t s = 0; s < streams.size(); ++s) {
      Value area = e.at(scratch, layout.stream[s]);
      e.storeI64(keyBase, area, kKeyBase);
      e.storeI64(keys(s), area, kNk);
      Value offset = e.sub(keys(s), docQ);
      if (fold.getOffsets())
        offset = BodyEmitter(e, interface, slots)
                     .tableEntry(argument(fold.getOffsets()), {document});
      else if (fold.getTopLeft())
        offset = e.c(0);
      e.storeI64(e.add(first, offset), area, kPosition);
    }
    body();
  };

  if (!fold.getCuQuery()) {
    place(batch, row0, e.sub(rowEnd, row0), nq, e.c(0), e.c(0),
          [&](size_t s) -> Value {
            return tensorSlot(slots, streams[s].op.getKey(), 3);
          });
    return;
  }

  // Documents: the last d with cu_q[d] <= row0, then on until rowEnd; rows
  // before, between and behind them see no key. What is needed after a pass is
  // read again after it, by an address from the frame: no register holds it
  // through the walk.
  setFrame(scratch, kTileRow, row0);
  setFrame(scratch, kTileEnd, rowEnd);
  Value cuQ = fold.getCuQuery(), cuK = fold.getCuKey();
  auto queries = [&] { return tensorSlot(slotsOf(scratch), query, 3); };
  auto documentsIn = [&](Value slots) {
    return e.add(tensorSlot(slots, cuQ, 1), -1);
  };
  auto raw = [&](Value table, Value d) {
    return BodyEmitter(e, interface, slotsOf(scratch))
        .tableEntry(argument(table), {d});
  };
  auto startOf = [&](Value table, Value d, Value limit) {
    return e.min(e.max(raw(table, d), e.c(0)), limit);
  };
  auto ifElse = [&](Value cond, llvm::function_ref<SmallVector<Value>()> then,
                    llvm::function_ref<SmallVector<Value>()> otherwise) {
    auto branch = [&](llvm::function_ref<SmallVector<Value>()> values) {
      return [values](OpBuilder &builder, Location loc) {
        scf::YieldOp::create(builder, loc, values());
      };
    };
    return scf::IfOp::create(e.b, e.loc, cond, branch(then), branch(otherwise));
  };
  Value documents = documentsIn(slots);
  SmallVector<Value> found = e.whileLoop(
      {e.c(0), documents},
      [&](ValueRange range) { return e.lt(e.add(range[0], 1), range[1]); },
      [&](ValueRange range) -> SmallVector<Value> {
        Value middle = e.udiv(e.add(range[0], range[1]), e.c(2));
        Value below = e.le(startOf(cuQ, middle, nq), row0);
        return {e.select(below, middle, range[0]),
                e.select(below, range[1], middle)};
      });
  // Next document, and the first row not yet written.
  e.whileLoop(
      {found[0], row0},
      [&](ValueRange state) {
        Value end = frame(scratch, kTileEnd);
        auto start = ifElse(
            e.lt(state[0], documentsIn(slotsOf(scratch))),
            [&] {
              return SmallVector<Value>{startOf(cuQ, state[0], queries())};
            },
            [&] { return SmallVector<Value>{end}; });
        return e.bor(e.lt(start.getResult(0), end), e.lt(state[1], end));
      },
      [&](ValueRange state) -> SmallVector<Value> {
        Value row0 = frame(scratch, kTileRow),
              rowEnd = frame(scratch, kTileEnd);
        Value nq = queries(), nk = leastKeys(slotsOf(scratch));
        Value d = state[0], next = e.add(d, 1), written = state[1];
        auto bounds = ifElse(
            e.lt(d, documentsIn(slotsOf(scratch))),
            [&] {
              Value kLo = cuK ? startOf(cuK, d, nk) : e.c(0);
              Value kHi = cuK ? startOf(cuK, next, nk)
                              : startOf(fold.getLengths(), d, nk);
              return SmallVector<Value>{startOf(cuQ, d, nq),
                                        startOf(cuQ, next, nq), kLo, kHi};
            },
            [&] {
              return SmallVector<Value>{rowEnd, rowEnd, e.c(0), e.c(0)};
            });
        Value qLo = bounds.getResult(0), qHi = bounds.getResult(1);
        Value kLo = bounds.getResult(2), kHi = bounds.getResult(3);
        Value from = e.max(qLo, row0), to = e.min(qHi, rowEnd);
        // Rows before the document, then it: there is one while rows are left.
        Value until = e.min(from, rowEnd), blank = e.lt(written, until);
        // Where no unit looks at all bounds, each tile does at those it uses.
        auto check = [&] {
          setFrame(scratch, kDocument, d);
          setFrame(scratch, kRow0, row0);
          if (isPaged())
            reportLength(scratch, raw(fold.getLengths(), d), nk);
          SmallVector<std::pair<Value, Value>> tables = {{cuQ, nq}};
          if (cuK)
            tables.push_back({cuK, nk});
          for (auto [table, limit] : tables) {
            Value lo = raw(table, d), hi = raw(table, next);
            Value leaves =
                e.bor(e.lt(lo, e.c(0)), e.bor(e.lt(hi, lo), e.lt(limit, hi)));
            e.ifThen(leaves, [&, hi = hi] {
              emitReport(scratch, FIL_ABI_DOCUMENT_BOUNDS, hi);
            });
          }
        };
        if (!checksDocuments)
          e.ifThen(e.bnot(blank), check);
        auto choose = [&](Value ofBlank, Value ofDocument) {
          return e.select(blank, ofBlank, ofDocument);
        };
        Value rows = choose(e.sub(until, written), e.sub(to, from));
        SmallVector<Value> after = {
            choose(d, next), choose(until, e.max(written, e.max(from, to)))};
        e.ifThen(e.lt(e.c(0), rows), [&] {
          Value keys = choose(e.c(0), e.max(e.sub(kHi, kLo), e.c(0)));
          place(choose(e.c(0), d), choose(written, e.sub(from, qLo)), rows,
                choose(until, e.sub(qHi, qLo)), choose(e.c(0), qLo),
                choose(e.c(0), kLo), [&](size_t) { return keys; });
        });
        return after;
      });
}

void WalkEmitter::reportLength(Value scratch, Value length, Value most) {
  e.ifThen(e.bor(e.lt(length, e.c(0)), e.lt(most, length)),
           [&] { emitReport(scratch, FIL_ABI_LENGTH_OUT_OF_RANGE, length); });
}

Value WalkEmitter::leastKeys(Value slots) {
  if (isPaged())
    return e.mul(tensorSlot(slots, fold.getPageTable(), 2), pageSlots());
  Value nk = tensorSlot(slots, streams[0].op.getKey(), 3);
  for (StreamCode &stream : streams)
    nk = e.min(nk, tensorSlot(slots, stream.op.getKey(), 3));
  return nk;
}

Value WalkEmitter::mostKeys(Value slots) {
  if (isPaged())
    return leastKeys(slots);
  Value nk = e.c(0);
  for (StreamCode &stream : streams)
    nk = e.max(nk, tensorSlot(slots, stream.op.getKey(), 3));
  return nk;
}

/// check_documents(slots, scratch): reports the first entry of cu_q, else of
/// cu_k, that is below the one before (below 0) or beyond the tokens, or else
/// the first length that its pages cannot hold; b is its number, col its value.
func::FuncOp WalkEmitter::emitCheckDocuments() {
  checksDocuments = true;
  return e.function(
      named("check_documents"), {e.ptr(), e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value slots = args[0], scratch = args[1];
        setFrame(scratch, kSlots, e.asInt(slots));
        setFrame(scratch, kHead, e.c(0));
        setFrame(scratch, kRow0, e.c(0));
        BodyEmitter bodies(e, interface, slots);
        SmallVector<std::pair<Value, Value>> tables = {
            {fold.getCuQuery(), tensorSlot(slots, fold.getQuery(), 3)}};
        if (fold.getCuKey())
          tables.push_back({fold.getCuKey(), leastKeys(slots)});
        for (auto [table, limit] : tables)
          e.loop(
              e.c(0), tensorSlot(slots, table, 1), e.c(1), {e.c(0)},
              [&, table = table,
               limit = limit](Value d, ValueRange least) -> SmallVector<Value> {
                Value entry = bodies.tableEntry(argument(table), {d});
                e.ifThen(e.bor(e.lt(entry, least[0]), e.lt(limit, entry)), [&] {
                  setFrame(scratch, kDocument, d);
                  emitReport(scratch, FIL_ABI_DOCUMENT_BOUNDS, entry);
                });
                return {entry};
              });
        if (isPaged()) {
          Value lengths = fold.getLengths(), most = leastKeys(slots);
          e.loop(e.c(0), tensorSlot(slots, lengths, 1), 1, [&](Value d) {
            setFrame(scratch, kDocument, d);
            reportLength(scratch, bodies.tableEntry(argument(lengths), {d}),
                         most);
          });
        }
        return {};
      });
}
