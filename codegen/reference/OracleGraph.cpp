//===- OracleGraph.cpp - which keys a row of an oracle sees ---------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Its document or its pages, the positions in them, the lists of blocks that it
// names, and the set operations of a pair. Entries that are bad are dropped and
// reported.
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/OracleRow.h"

using namespace filigree;
using namespace filigree::oracle;

void oracle::collectLists(mlir::Value graph,
                          llvm::SmallVector<attn::BlocksOp> &lists) {
  mlir::Operation *op = graph.getDefiningOp();
  if (auto blocks = mlir::dyn_cast<attn::BlocksOp>(op)) {
    if (!llvm::is_contained(lists, blocks))
      lists.push_back(blocks);
  } else if (!mlir::isa<attn::WhereOp>(op)) {
    for (mlir::Value operand : op->getOperands())
      collectLists(operand, lists);
  }
}

//===----------------------------------------------------------------------===//
// Pages
//===----------------------------------------------------------------------===//

Val RowEmitter::pageOf(attn::AttendOp attend, const Place &place, Val c) {
  mlir::Value table = attend.getPageTable();
  Val at = b.CreateMul(place.b, stride(table, 0));
  Val entry = b.CreateSDiv(c, code.c(int64_t(*attend.getPage())));
  return bodies.loadInt(table,
                        b.CreateAdd(at, b.CreateMul(entry, stride(table, 1))));
}

/// Whether key c has a page; one that is seen and has none is reported.
Val RowEmitter::pageExists(attn::AttendOp attend, mlir::Value key,
                           const Place &place, Val c, Val isSeen) {
  Val page = pageOf(attend, place, c);
  Val exists = b.CreateAnd(b.CreateICmpSLE(code.c(0), page),
                           b.CreateICmpSLT(page, extent(key, 0)));
  code.when(b.CreateAnd(isSeen, b.CreateNot(exists)),
            [&] { reportAt(FIL_ABI_PAGE_OUT_OF_RANGE, place.b, row, page); });
  return exists;
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

Place RowEmitter::placeOf(attn::AttendOp attend, attn::SourceOp source) {
  if (attend.getCuQuery())
    return placeInDocument(attend, source);
  Val keys = extent(source.getKey(), 2);
  Val offset = b.CreateSub(keys, extent(attend.getQuery(), 2));
  if (attend.getAlign() == attn::Align::top_left)
    offset = code.c(0);
  if (mlir::Value table = attend.getOffsets())
    offset = bodies.loadInt(table, b.CreateMul(batch, stride(table, 0)));
  return {batch, b.CreateAdd(row, offset), code.c(0), keys, code.c(0)};
}

/// Keys of a sequence: 0 and its length, cut to what the table can hold.
std::pair<Val, Val> RowEmitter::keysInPages(attn::AttendOp attend,
                                            Val sequence) {
  mlir::Value lengths = attend.getLengths();
  Val length =
      bodies.loadInt(lengths, b.CreateMul(sequence, stride(lengths, 0)));
  Val most = b.CreateMul(extent(attend.getPageTable(), 1),
                         code.c(int64_t(*attend.getPage())));
  Val low = b.CreateICmpSLT(length, code.c(0));
  Val high = b.CreateICmpSLT(most, length);
  code.when(b.CreateOr(low, high), [&] {
    reportAt(FIL_ABI_LENGTH_OUT_OF_RANGE, sequence, row, length);
  });
  return {code.c(0),
          code.select(low, code.c(0), code.select(high, most, length))};
}

/// The document that holds the row, found one by one; no keys without one, and
/// none where its bounds are bad.
Place RowEmitter::placeInDocument(attn::AttendOp attend,
                                  attn::SourceOp source) {
  mlir::Value cuQuery = attend.getCuQuery(), cuKey = attend.getCuKey();
  llvm::AllocaInst *document = code.variable(code.c(0));
  llvm::AllocaInst *i = code.variable(code.c(0));
  llvm::AllocaInst *lo = code.variable(code.c(0));
  llvm::AllocaInst *hi = code.variable(code.c(0));
  Val documents = b.CreateSub(extent(cuQuery, 0), code.c(1));
  code.loop(code.c(0), documents, [&](Val d) {
    Val next = b.CreateAdd(d, code.c(1));
    Val queryLo = bodies.loadInt(cuQuery, d);
    Val queryHi = bodies.loadInt(cuQuery, next);
    Val holds = b.CreateAnd(b.CreateICmpSLE(queryLo, row),
                            b.CreateICmpSLT(row, queryHi));
    code.when(holds, [&] {
      std::pair<Val, Val> keys =
          cuKey ? std::pair<Val, Val>{bodies.loadInt(cuKey, d),
                                      bodies.loadInt(cuKey, next)}
                : keysInPages(attend, d);
      Val keyLo = keys.first, keyHi = keys.second;
      auto leaves = [&](Val from, Val to, Val limit) {
        return b.CreateOr(
            b.CreateICmpSLT(from, code.c(0)),
            b.CreateOr(b.CreateICmpSLT(to, from), b.CreateICmpSLT(limit, to)));
      };
      Val badQueries = leaves(queryLo, queryHi, extent(attend.getQuery(), 2));
      Val badKeys = b.getFalse();
      if (cuKey)
        badKeys = leaves(keyLo, keyHi, extent(source.getKey(), 2));
      code.when(
          b.CreateOr(badQueries, badKeys),
          [&] {
            reportAt(FIL_ABI_DOCUMENT_BOUNDS, d, row,
                     code.select(badQueries, queryHi, keyHi));
            code.set(hi, code.get(lo));
          },
          [&] {
            Val offset = code.c(0);
            if (attend.getAlign() != attn::Align::top_left)
              offset = b.CreateSub(b.CreateSub(keyHi, keyLo),
                                   b.CreateSub(queryHi, queryLo));
            code.set(document, d);
            code.set(i, b.CreateAdd(b.CreateSub(row, queryLo), offset));
            code.set(lo, keyLo);
            code.set(hi, keyHi);
          });
    });
  });
  return {code.get(document), code.get(i), code.get(lo), code.get(hi),
          code.get(lo)};
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

/// mask[c] = 1 for the keys of the row's blocks; bad entries are dropped.
void RowEmitter::expandList(attn::BlocksOp list, Val mask, mlir::Value key,
                            const Place &place) {
  Val keys = extent(key, 2), one = b.getInt8(1);
  code.loop(code.c(0), keys, [&](Val c) { code.store(b.getInt8(0), mask, c); });
  Val block = b.CreateSDiv(row, code.c(list.getBlockRows()));
  auto entry = [&](mlir::Value table) {
    Val heads = extent(fold.sources.front().query(), 1);
    Val shared = b.CreateSDiv(heads, extent(table, 1));
    Val at = b.CreateMul(batch, stride(table, 0));
    at = b.CreateAdd(at,
                     b.CreateMul(b.CreateSDiv(head, shared), stride(table, 1)));
    return bodies.loadInt(
        table, b.CreateAdd(at, b.CreateMul(block, stride(table, 2))));
  };
  Val start = entry(list.getStart()), count = entry(list.getCount());
  Val bad = b.CreateOr(b.CreateICmpSLT(start, code.c(0)),
                       b.CreateICmpSLT(count, code.c(0)));
  bad = b.CreateOr(bad, b.CreateICmpSGT(b.CreateAdd(start, count),
                                        extent(list.getCols(), 0)));
  auto read = [&] {
    Val width = code.c(list.getBlockCols());
    Val blocks =
        b.CreateSDiv(b.CreateAdd(keys, code.c(list.getBlockCols() - 1)), width);
    llvm::AllocaInst *previous = code.variable(code.c(-1));
    code.loop(code.c(0), count, [&](Val t) {
      Val column = bodies.loadInt(list.getCols(), b.CreateAdd(start, t));
      Val outside = b.CreateOr(b.CreateICmpSLT(column, code.c(0)),
                               b.CreateICmpSGE(column, blocks));
      Val descends = b.CreateICmpSLE(column, code.get(previous));
      code.when(
          b.CreateOr(outside, descends),
          [&] {
            Val what = code.select(outside, code.c(FIL_ABI_COLUMN_OUT_OF_RANGE),
                                   code.c(FIL_ABI_COLUMN_NOT_ASCENDING));
            b.CreateCall(report, {bodies.slotAt(FIL_ABI_SLOT_STATUS), what,
                                  place.b, head, row, column});
          },
          [&] {
            code.set(previous, column);
            Val from = b.CreateMul(column, width),
                to = b.CreateAdd(from, width);
            to = code.select(b.CreateICmpSLT(to, keys), to, keys);
            code.loop(from, to, [&](Val c) { code.store(one, mask, c); });
          });
    });
  };
  code.when(
      bad, [&] { reportAt(FIL_ABI_LIST_OUT_OF_ARRAY, place.b, row, count); },
      read);
}

/// Is the pair in the graph? Null with a diagnostic.
Val RowEmitter::seen(mlir::Value graph, const Pair &pair, unsigned source) {
  if (Val known = graphs.lookup(graph))
    return known;
  mlir::Operation *op = graph.getDefiningOp();
  Val value = nullptr;
  if (auto where = mlir::dyn_cast<attn::WhereOp>(op)) {
    value = bodies.evaluate(where.getBody().front(), pair, nullptr, real);
  } else if (auto blocks = mlir::dyn_cast<attn::BlocksOp>(op)) {
    llvm::SmallVector<attn::BlocksOp> lists;
    attn::SourceOp whole = fold.sources[source].source;
    collectLists(whole.getGraph(), lists);
    size_t number = llvm::find(lists, blocks) - lists.begin();
    Val mask = area(layout->sources[source].lists[number]);
    value =
        b.CreateICmpNE(code.load(b.getInt8Ty(), mask, pair.c), b.getInt8(0));
  } else {
    Val lhs = seen(op->getOperand(0), pair, source);
    Val rhs = lhs ? seen(op->getOperands().back(), pair, source) : nullptr;
    if (!rhs)
      return nullptr;
    if (mlir::isa<attn::UnionOp>(op))
      value = b.CreateOr(lhs, rhs);
    else if (mlir::isa<attn::IntersectOp>(op))
      value = b.CreateAnd(lhs, rhs);
    else if (mlir::isa<attn::DifferenceOp>(op))
      value = b.CreateAnd(lhs, b.CreateNot(rhs));
    else if (mlir::isa<attn::ComplementOp>(op))
      value = b.CreateNot(lhs);
    else
      op->emitOpError("is not in the oracle of this release");
  }
  return graphs[graph] = value;
}
