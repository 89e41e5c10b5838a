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
#include "codegen/reference/OracleRow.h"
#include <cmath>
#include <limits>

using namespace filigree;
using namespace filigree::oracle;
using reference::Arithmetic;
using reference::SumOrder;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

//===----------------------------------------------------------------------===//
// Scratch
//===----------------------------------------------------------------------===//

Layout::Layout(const Fold &fold, Code &code, Bodies &bodies) {
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
// Rows
//===----------------------------------------------------------------------===//

Val RowEmitter::viaDouble(llvm::StringRef name, Val x) {
  Val wide = b.CreateFPCast(x, code.f64());
  return b.CreateFPCast(b.CreateCall(math.unary(name), {wide}), real);
}

Val RowEmitter::rowOf(mlir::Value tensor, Val batch, Val h, Val n) {
  Val at = b.CreateMul(batch, stride(tensor, 0));
  at = b.CreateAdd(at, b.CreateMul(h, stride(tensor, 1)));
  at = b.CreateAdd(at, b.CreateMul(n, stride(tensor, 2)));
  return code.bytesAt(code.pointer(bodies.slot(tensor, 0)),
                      b.CreateMul(at, code.c(bytesOf(elementOf(tensor)))));
}

Val RowEmitter::keyRowOf(attn::AttendOp attend, mlir::Value tensor,
                         const Place &place, Val h, Val c) {
  if (!attend.getPageTable())
    return rowOf(tensor, batch, h, c);
  Val slot = b.CreateSRem(c, code.c(int64_t(*attend.getPage())));
  return rowOf(tensor, pageOf(attend, place, c), h, slot);
}

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

/// Sum of products with the query. The interpreter's double has one order, the
/// lanes.
Val RowEmitter::dot(Val key, mlir::Type element, int64_t width) {
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
Val RowEmitter::dotInLanes(Val key, mlir::Type element, int64_t width) {
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
bool RowEmitter::emitLogits(unsigned number) {
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

void RowEmitter::emitWeights(unsigned number, Val most) {
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

Val RowEmitter::rounded(Val value, mlir::Type element) {
  if (element.isBF16())
    return b.CreateCall(math.roundToBfloat(), {value});
  if (element.isF16())
    return b.CreateCall(math.roundToHalf(), {value});
  return value;
}

void RowEmitter::emitSums(unsigned number, Val total) {
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

llvm::Function *RowEmitter::emit() {
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
  return RowEmitter(fold, module, math, report, name, arithmetic, order).emit();
}
