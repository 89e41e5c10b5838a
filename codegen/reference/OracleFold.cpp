//===- OracleFold.cpp - one row of an oracle in plain loops ---------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   m = sink or -inf
//   for each source: for each key c of the row's document:
//     seen[c] = is the pair in the graph?      bodies, lists, set operations
//               in pages: is there a page of that number, too
//     if seen: s[c] = edge(scale * dot(q, k[c])), m = max(m, s[c])
//   if m is -inf: o = 0, lse = -inf
//   l = exp(sink - m)
//   for each source, c: if seen: s[c] = exp(s[c] - m), l += s[c]
//   for each source, c: if seen: sum += s[c] v[c]
//                       naive: sum += round(s[c] / l) v[c], P as it is stored
//   o = sum / l, naive: round(sum); lse = m + log l
//
// No tiles, nothing skipped, no proof; scratch is linear in the keys. The order
// of every sum is the interpreter's.
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/OracleFold.h"
#include <cmath>
#include <limits>

using namespace filigree;
using namespace filigree::oracle;
using reference::Arithmetic;
using reference::SumOrder;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

mlir::Type elementOf(mlir::Value tensor) {
  return mlir::getElementTypeOrSelf(tensor.getType());
}
int64_t widthOf(mlir::Value tensor) {
  return mlir::cast<mlir::RankedTensorType>(tensor.getType()).getDimSize(3);
}
int64_t bytesOf(mlir::Type element) {
  return element.getIntOrFloatBitWidth() / 8;
}

/// Lists in a graph, each once.
void collectLists(mlir::Value graph, llvm::SmallVector<attn::BlocksOp> &lists) {
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
// Scratch
//===----------------------------------------------------------------------===//

/// Bytes from the start of a worker's scratch.
struct Layout {
  struct Source {
    Val seen, logits;             ///< a byte and 8 bytes for each key
    llvm::SmallVector<Val> lists; ///< a byte for each key
  };
  llvm::SmallVector<Source> sources;
  Val query, sum; ///< 8 bytes for each number
  Val total;

  Layout(const Fold &fold, Code &code, Bodies &bodies) {
    llvm::IRBuilder<> &b = code.b;
    total = code.c(0);
    auto take = [&](Val bytes) {
      Val start = total;
      Val rounded = b.CreateAnd(b.CreateAdd(bytes, code.c(63)), code.c(-64));
      total = b.CreateAdd(total, rounded);
      return start;
    };
    int64_t queryDim = 0;
    for (SourceOfFold each : fold.sources) {
      // Of a sequence in pages: what its row of the table can hold.
      Val keys = bodies.slot(each.source.getKey(), 1 + 2);
      if (mlir::Value table = each.attend.getPageTable())
        keys = b.CreateMul(keys, bodies.slot(table, 1 + 1));
      Source source = {take(keys), take(b.CreateMul(keys, code.c(8))), {}};
      llvm::SmallVector<attn::BlocksOp> lists;
      collectLists(each.source.getGraph(), lists);
      for (size_t k = 0; k < lists.size(); ++k)
        source.lists.push_back(take(keys));
      sources.push_back(source);
      queryDim = std::max(queryDim, widthOf(each.attend.getQuery()));
    }
    attn::FinalizeOp finalize = fold.finalize;
    query = take(code.c(8 * queryDim));
    sum = take(code.c(8 * widthOf(finalize.getOutput())));
  }
};

} // namespace

Val oracle::scratchBytes(const Fold &fold, Code &code, Bodies &bodies) {
  return Layout(fold, code, bodies).total;
}

llvm::Function *oracle::emitReport(llvm::Module &module) {
  llvm::LLVMContext &context = module.getContext();
  llvm::Type *i64 = llvm::Type::getInt64Ty(context);
  Code code(module, "oracle_report", llvm::Type::getVoidTy(context),
            {i64, i64, i64, i64, i64, i64}, /*isEntry=*/false);
  llvm::IRBuilder<> &b = code.b;
  code.when(b.CreateICmpNE(code.arg(0), code.c(0)), [&] {
    Val word = code.pointer(code.arg(0));
    auto narrow = [&](Val value) {
      return b.CreateTrunc(value, b.getInt32Ty());
    };
    Val swapped = b.CreateAtomicCmpXchg(
        word, b.getInt32(0), narrow(code.arg(1)), llvm::MaybeAlign(4),
        llvm::AtomicOrdering::AcquireRelease, llvm::AtomicOrdering::Monotonic);
    code.when(b.CreateExtractValue(swapped, 1), [&] {
      for (unsigned k = 1; k <= 4; ++k)
        code.store(narrow(code.arg(1 + k)), word, code.c(k));
    });
  });
  code.ret();
  return code.function;
}

//===----------------------------------------------------------------------===//
// One row
//===----------------------------------------------------------------------===//

namespace {

/// Where a row lies, as one source sees it.
struct Place {
  Val b;        ///< of bodies: batch entry, or number of the document
  Val i;        ///< position of the query
  Val lo, hi;   ///< storage range of the keys
  Val keyShift; ///< position of key c is c - keyShift
};

/// fold(slots, b, h, r, scratch, o, lse): one row in one arithmetic and order.
/// o and lse may be null.
class FoldEmitter {
public:
  FoldEmitter(const Fold &fold, llvm::Module &module, oracle::Math &math,
              llvm::Function *report, const llvm::Twine &name,
              Arithmetic arithmetic, SumOrder order)
      : fold(fold), finalize(fold.finalize), math(math), report(report),
        order(order), isNaive(arithmetic == Arithmetic::Naive),
        code(module, name, llvm::Type::getVoidTy(module.getContext()),
             argumentTypes(module.getContext()), /*isEntry=*/false),
        b(code.b), bodies(code, math, fold.interface),
        real(isNaive ? code.f32() : code.f64()), batch(code.arg(1)),
        head(code.arg(2)), row(code.arg(3)), scratch(code.arg(4)),
        output(code.arg(5)), lse(code.arg(6)) {}

  /// Null with a diagnostic.
  llvm::Function *emit();

  static llvm::SmallVector<llvm::Type *>
  argumentTypes(llvm::LLVMContext &context) {
    llvm::Type *i64 = llvm::Type::getInt64Ty(context);
    llvm::Type *ptr = llvm::PointerType::get(context, 0);
    return {ptr, i64, i64, i64, ptr, ptr, ptr};
  }

private:
  Val lit(double value) { return Code::real(real, value); }
  Val extent(mlir::Value tensor, unsigned axis) {
    return bodies.slot(tensor, 1 + axis);
  }
  Val stride(mlir::Value tensor, unsigned axis) {
    return bodies.slot(tensor, 5 + axis);
  }
  Val area(Val offset) { return code.bytesAt(scratch, offset); }
  /// Address of element 0 of a row of a [B, H, N, D] tensor.
  Val rowOf(mlir::Value tensor, Val b, Val h, Val n);
  /// The same of key c, wherever it is stored.
  Val keyRowOf(attn::AttendOp attend, mlir::Value tensor, const Place &place,
               Val h, Val c);
  Val pageOf(attn::AttendOp attend, const Place &place, Val c);
  Val pageExists(attn::AttendOp attend, mlir::Value key, const Place &place,
                 Val c, Val isSeen);
  void reportAt(int64_t what, Val b, Val row, Val column) {
    this->b.CreateCall(report, {bodies.slotAt(FIL_ABI_SLOT_STATUS),
                                code.c(what), b, head, row, column});
  }

  Place placeOf(attn::AttendOp attend, attn::SourceOp source);
  Place placeInDocument(attn::AttendOp attend, attn::SourceOp source);
  std::pair<Val, Val> keysInPages(attn::AttendOp attend, Val sequence);
  void expandList(attn::BlocksOp list, Val mask, mlir::Value key,
                  const Place &place);
  Val seen(mlir::Value graph, const Pair &pair, unsigned source);
  Val dot(Val key, mlir::Type element, int64_t width);
  Val dotInLanes(Val key, mlir::Type element, int64_t width);
  bool emitLogits(unsigned number);
  void emitWeights(unsigned number, Val m);
  void emitSums(unsigned number, Val l);
  Val rounded(Val value, mlir::Type element);
  Val exp(Val x) { return viaDouble("exp", x); }
  Val viaDouble(llvm::StringRef name, Val x);

  const Fold &fold;
  attn::FinalizeOp finalize;
  oracle::Math &math;
  llvm::Function *report;
  SumOrder order;
  bool isNaive;
  Code code;
  llvm::IRBuilder<> &b;
  Bodies bodies;
  llvm::Type *real;
  Val batch, head, row, scratch, output, lse;
  std::optional<Layout> layout;
  llvm::SmallVector<Place> places;
  llvm::DenseMap<mlir::Value, Val> graphs; ///< of the pair at hand
  llvm::AllocaInst *m = nullptr, *l = nullptr;
};

} // namespace

Val FoldEmitter::viaDouble(llvm::StringRef name, Val x) {
  Val wide = b.CreateFPCast(x, code.f64());
  return b.CreateFPCast(b.CreateCall(math.unary(name), {wide}), real);
}

Val FoldEmitter::rowOf(mlir::Value tensor, Val batch, Val h, Val n) {
  Val at = b.CreateMul(batch, stride(tensor, 0));
  at = b.CreateAdd(at, b.CreateMul(h, stride(tensor, 1)));
  at = b.CreateAdd(at, b.CreateMul(n, stride(tensor, 2)));
  return code.bytesAt(code.pointer(bodies.slot(tensor, 0)),
                      b.CreateMul(at, code.c(bytesOf(elementOf(tensor)))));
}

Val FoldEmitter::pageOf(attn::AttendOp attend, const Place &place, Val c) {
  mlir::Value table = attend.getPageTable();
  Val at = b.CreateMul(place.b, stride(table, 0));
  Val entry = b.CreateSDiv(c, code.c(int64_t(*attend.getPage())));
  return bodies.loadInt(table,
                        b.CreateAdd(at, b.CreateMul(entry, stride(table, 1))));
}

/// Whether key c has a page; one that is seen and has none is reported.
Val FoldEmitter::pageExists(attn::AttendOp attend, mlir::Value key,
                            const Place &place, Val c, Val isSeen) {
  Val page = pageOf(attend, place, c);
  Val exists = b.CreateAnd(b.CreateICmpSLE(code.c(0), page),
                           b.CreateICmpSLT(page, extent(key, 0)));
  code.when(b.CreateAnd(isSeen, b.CreateNot(exists)),
            [&] { reportAt(FIL_ABI_PAGE_OUT_OF_RANGE, place.b, row, page); });
  return exists;
}

Val FoldEmitter::keyRowOf(attn::AttendOp attend, mlir::Value tensor,
                          const Place &place, Val h, Val c) {
  if (!attend.getPageTable())
    return rowOf(tensor, batch, h, c);
  Val slot = b.CreateSRem(c, code.c(int64_t(*attend.getPage())));
  return rowOf(tensor, pageOf(attend, place, c), h, slot);
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

Place FoldEmitter::placeOf(attn::AttendOp attend, attn::SourceOp source) {
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
std::pair<Val, Val> FoldEmitter::keysInPages(attn::AttendOp attend,
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
Place FoldEmitter::placeInDocument(attn::AttendOp attend,
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
void FoldEmitter::expandList(attn::BlocksOp list, Val mask, mlir::Value key,
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
Val FoldEmitter::seen(mlir::Value graph, const Pair &pair, unsigned source) {
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

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

/// Sum of products with the query. The interpreter's double has one order, the
/// lanes.
Val FoldEmitter::dot(Val key, mlir::Type element, int64_t width) {
  if (!isNaive || order == SumOrder::EightLanes)
    return dotInLanes(key, element, width);
  Val query = area(layout->query);
  llvm::AllocaInst *sum = code.variable(lit(0));
  code.loop(code.c(0), code.c(width), [&](Val k) {
    Val d = order == SumOrder::Forward ? k : b.CreateSub(code.c(width - 1), k);
    Val product = b.CreateFMul(code.load(real, query, d),
                               bodies.loadReal(element, key, d, real));
    code.set(sum, b.CreateFAdd(code.get(sum), product));
  });
  return code.get(sum);
}

/// Eight interleaved partial sums; what is left over goes to the first.
Val FoldEmitter::dotInLanes(Val key, mlir::Type element, int64_t width) {
  Val query = area(layout->query);
  llvm::SmallVector<llvm::AllocaInst *, 8> lanes;
  for (unsigned k = 0; k < 8; ++k)
    lanes.push_back(code.variable(lit(0)));
  auto step = [&](llvm::AllocaInst *lane, Val d) {
    Val product = b.CreateFMul(code.load(real, query, d),
                               bodies.loadReal(element, key, d, real));
    code.set(lane, b.CreateFAdd(code.get(lane), product));
  };
  int64_t whole = width / 8 * 8;
  code.loop(
      code.c(0), code.c(whole),
      [&](Val d) {
        for (unsigned k = 0; k < 8; ++k)
          step(lanes[k], b.CreateAdd(d, code.c(k)));
      },
      8);
  code.loop(code.c(whole), code.c(width), [&](Val d) { step(lanes[0], d); });
  auto pair = [&](unsigned k) {
    return b.CreateFAdd(code.get(lanes[k]), code.get(lanes[k + 4]));
  };
  return b.CreateFAdd(b.CreateFAdd(pair(0), pair(1)),
                      b.CreateFAdd(pair(2), pair(3)));
}

/// seen and logits of one source; m grows.
bool FoldEmitter::emitLogits(unsigned number) {
  attn::AttendOp attend = fold.sources[number].attend;
  attn::SourceOp source = fold.sources[number].source;
  const Layout::Source &at = layout->sources[number];
  Place place = placeOf(attend, source);
  places.push_back(place);

  mlir::Value query = attend.getQuery(), key = source.getKey();
  int64_t width = widthOf(query);
  Val stored = rowOf(query, batch, head, row);
  code.loop(code.c(0), code.c(width), [&](Val d) {
    code.store(bodies.loadReal(elementOf(query), stored, d, real),
               area(layout->query), d);
  });
  llvm::SmallVector<attn::BlocksOp> lists;
  collectLists(source.getGraph(), lists);
  for (auto [list, mask] : llvm::zip(lists, at.lists))
    expandList(list, area(mask), key, place);

  double scale = source.getScale() ? source.getScale()->convertToDouble()
                                   : 1 / std::sqrt(double(width));
  Val group = b.CreateSDiv(extent(query, 1), extent(key, 1));
  Val kvHead = b.CreateSDiv(head, group);
  bool good = true;
  code.loop(place.lo, place.hi, [&](Val c) {
    Pair pair = {place.b, head, place.i, b.CreateSub(c, place.keyShift),
                 row,     c};
    graphs.clear();
    Val visible = seen(source.getGraph(), pair, number);
    if (!visible) {
      good = false;
      return;
    }
    if (attend.getPageTable())
      visible =
          b.CreateAnd(visible, pageExists(attend, key, place, c, visible));
    code.store(b.CreateZExt(visible, b.getInt8Ty()), area(at.seen), c);
    code.when(visible, [&] {
      Val logit =
          b.CreateFMul(lit(scale), dot(keyRowOf(attend, key, place, kvHead, c),
                                       elementOf(key), width));
      if (!source.getEdge().empty())
        logit = bodies.evaluate(source.getEdge().front(), pair, logit, real);
      if (!logit) {
        good = false;
        return;
      }
      code.store(logit, area(at.logits), c);
      Val most = code.get(m); // NaN if either is
      Val keep =
          b.CreateOr(b.CreateFCmpOGT(most, logit), b.CreateFCmpUNO(most, most));
      code.set(m, code.select(keep, most, logit));
    });
  });
  return good;
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

void FoldEmitter::emitWeights(unsigned number, Val most) {
  const Layout::Source &at = layout->sources[number];
  code.loop(places[number].lo, places[number].hi, [&](Val c) {
    Val visible = code.load(b.getInt8Ty(), area(at.seen), c);
    code.when(b.CreateICmpNE(visible, b.getInt8(0)), [&] {
      Val logit = code.load(real, area(at.logits), c);
      Val weight = exp(b.CreateFSub(logit, most));
      code.store(weight, area(at.logits), c);
      code.set(l, b.CreateFAdd(code.get(l), weight));
    });
  });
}

Val FoldEmitter::rounded(Val value, mlir::Type element) {
  if (element.isBF16())
    return b.CreateCall(math.roundToBfloat(), {value});
  if (element.isF16())
    return b.CreateCall(math.roundToHalf(), {value});
  return value;
}

void FoldEmitter::emitSums(unsigned number, Val total) {
  const Layout::Source &at = layout->sources[number];
  attn::AttendOp attend = fold.sources[number].attend;
  attn::SourceOp source = fold.sources[number].source;
  attn::SourceOp first = fold.sources.front().source;
  mlir::Value value = source.getValue();
  int64_t width = widthOf(value);
  Val group = b.CreateSDiv(extent(attend.getQuery(), 1), extent(value, 1));
  Val kvHead = b.CreateSDiv(head, group);
  Val sum = area(layout->sum);
  code.loop(places[number].lo, places[number].hi, [&](Val c) {
    Val visible = code.load(b.getInt8Ty(), area(at.seen), c);
    code.when(b.CreateICmpNE(visible, b.getInt8(0)), [&] {
      Val weight = code.load(real, area(at.logits), c);
      if (isNaive) // P, as it is stored for the second product
        weight =
            rounded(b.CreateFDiv(weight, total), elementOf(first.getValue()));
      Val stored = keyRowOf(attend, value, places[number], kvHead, c);
      code.loop(code.c(0), code.c(width), [&](Val d) {
        Val v = bodies.loadReal(elementOf(value), stored, d, real);
        code.store(
            b.CreateFAdd(code.load(real, sum, d), b.CreateFMul(weight, v)), sum,
            d);
      });
    });
  });
}

llvm::Function *FoldEmitter::emit() {
  auto function = finalize->getParentOfType<mlir::func::FuncOp>();
  if (mlir::failed(bodies.addOutside(function)))
    return nullptr;
  layout.emplace(fold, code, bodies);
  Val sink = lit(-kInfinity);
  if (mlir::Value table = finalize.getSink())
    sink = bodies.loadReal(elementOf(table),
                           code.pointer(bodies.slot(table, 0)), head, real);
  m = code.variable(sink);
  for (unsigned k = 0; k < fold.sources.size(); ++k)
    if (!emitLogits(k))
      return nullptr;

  int64_t width = widthOf(finalize.getOutput());
  Val sum = area(layout->sum), most = code.get(m);
  code.loop(code.c(0), code.c(width),
            [&](Val d) { code.store(lit(0), sum, d); });
  l = code.variable(lit(1)); // divides the zeros of a row without edges
  llvm::AllocaInst *logSum = code.variable(lit(-kInfinity));
  Val isEmpty = b.CreateFCmpOEQ(most, lit(-kInfinity));
  code.when(b.CreateNot(isEmpty), [&] {
    code.set(l, exp(b.CreateFSub(sink, most)));
    for (unsigned k = 0; k < fold.sources.size(); ++k)
      emitWeights(k, most);
    Val total = code.get(l);
    for (unsigned k = 0; k < fold.sources.size(); ++k)
      emitSums(k, total);
    code.set(logSum, b.CreateFAdd(most, viaDouble("log", total)));
  });

  code.when(b.CreateNot(code.isNull(output)), [&] {
    Val total = code.get(l);
    code.loop(code.c(0), code.c(width), [&](Val d) {
      Val value = code.load(real, sum, d);
      value = isNaive ? rounded(value, elementOf(finalize.getOutput()))
                      : b.CreateFDiv(value, total);
      code.store(b.CreateFPCast(value, code.f64()), output, d);
    });
  });
  code.when(b.CreateNot(code.isNull(lse)), [&] {
    code.store(b.CreateFPCast(code.get(logSum), code.f64()), lse, code.c(0));
  });
  code.ret();
  return code.function;
}

llvm::Function *oracle::emitFold(const Fold &fold, llvm::Module &module,
                                 Math &math, llvm::Function *report,
                                 const llvm::Twine &name, Arithmetic arithmetic,
                                 SumOrder order) {
  return FoldEmitter(fold, module, math, report, name, arithmetic, order)
      .emit();
}
