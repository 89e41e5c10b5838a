//===- AmpereSoftmax.cpp - weights of a part of a chunk -------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights are 2^(c (s - m)) for a reference m of the row. It is not the row's
// maximum but one that lies at most 8 / c below: sums are rescaled, 128 of them
// a thread, where a row's maximum exceeds it by more, which is rare after the
// first chunks. Weights are 2^8 at most, and their sum is 1 at least, as the
// score that m was taken from is in it.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/AmpereKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

void AmpereKernel::Steps::upTo(int64_t number, int64_t count) {
  for (size_t end = all.size() * number / count; done < end; ++done)
    all[done]();
}

void AmpereKernel::addWeights(const Slab &slab, Weighed &to, Steps &steps) {
  auto add = [&](auto step) { steps.all.push_back(step); };
  Values s = slab.scores, before = slab.top;
  to.top = to.shift = to.alpha = to.sum = Values(2, Value());
  Weighed *of = &to;
  // Two chains a row: one would wait for itself.
  auto chains = std::make_shared<std::array<std::array<Value, 2>, 2>>();
  for (size_t k = 0; k < s.size(); k += 4)
    add([=] {
      for (size_t x = k; x < k + 4; ++x) {
        Value &chain = (*chains)[rowOf(x)][x % 2];
        chain = chain ? p.fmax(chain, s[x]) : s[x];
      }
    });
  for (int row = 0; row < 2; ++row)
    add([=] {
      Value m = p.fmax((*chains)[row][0], (*chains)[row][1]);
      (*chains)[row][0] = p.fmax(m, p.shuffleXor(m, 1));
    });
  for (int row = 0; row < 2; ++row)
    add([=] {
      Value m = (*chains)[row][0];
      m = p.fmax(m, p.shuffleXor(m, 2));
      Value most = p.fadd(before[row], p.cf(kSlack / logitFactor));
      Value moves = arith::CmpFOp::create(builder, e.loc,
                                          arith::CmpFPredicate::OLT, most, m);
      of->moves = of->moves ? e.bor(of->moves, moves) : moves;
      of->top[row] = p.select(moves, m, before[row]);
      of->shift[row] = emitShift(of->top[row]);
      (*chains)[row] = {};
    });
  for (size_t k = 0; k < s.size(); k += 2)
    add([=] {
      int row = rowOf(k);
      Value pair[2];
      for (int x = 0; x < 2; ++x) {
        pair[x] = p.ex2(p.fma(s[k + x], p.cf(logitFactor), of->shift[row]));
        Value &chain = (*chains)[row][x];
        chain = chain ? p.fadd(chain, pair[x]) : pair[x];
      }
      of->weights.push_back(p.pack(keyType, pair[0], pair[1]));
    });
  for (int row = 0; row < 2; ++row)
    add([=] {
      of->alpha[row] =
          p.ex2(p.fma(before[row], p.cf(logitFactor), of->shift[row]));
      of->sum[row] = p.fadd((*chains)[row][0], (*chains)[row][1]);
    });
}

void AmpereKernel::emitRescale(MutableArrayRef<Slab> slab,
                               ArrayRef<Weighed> weighed) {
  size_t oCount = shape.valueDim / 2, each = oCount + 2;
  Value any;
  Values sums;
  for (auto [of, to] : llvm::zip_equal(slab, weighed)) {
    any = any ? e.bor(any, to.moves) : to.moves;
    llvm::append_range(sums, of.o);
    llvm::append_range(sums, of.total);
  }
  // Other rows of the thread have an alpha of 1.
  sums = ifChanged(any, sums, [&](Values values) {
    for (auto [x, value] : llvm::enumerate(values)) {
      size_t k = x % each;
      value = p.fmul(
          value, weighed[x / each].alpha[k < oCount ? rowOf(k) : k - oCount]);
    }
    return values;
  });
  for (auto [m, of] : llvm::enumerate(slab)) {
    ValueRange mine = ValueRange(sums).slice(m * each, each);
    of.o = Values(mine.take_front(oCount));
    of.top = weighed[m].top;
    for (int row = 0; row < 2; ++row)
      of.total[row] = p.fadd(mine[oCount + row], weighed[m].sum[row]);
  }
}
