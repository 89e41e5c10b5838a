//===- AmpereProducts.cpp - scores and sums of a warp's rows --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A warp multiplies slabs of 16 rows of queries: with two, each fragment of K
// and V that it reads from shared memory serves twice, and reading them takes
// less time than the products. Fragments of Q are read anew for every chunk:
// all of them would need more registers than there are.
//
// P in registers has the layout that mma.sync wants of A.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/AmpereKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

// A lane names row `lane % 8` of matrix `lane / 8` of the four that ldmatrix
// reads. Tiles start at multiples of 1024 bytes and matrices at multiples of 8
// rows, so the swizzle is the lane's own, and 16 columns on are 32 bytes away
// by exclusive or.

SmallVector<Values> AmpereKernel::emitScores(Value stage, int32_t part,
                                             Steps &between) {
  Value row = p.bitAnd(lane, 7), matrix = p.shr(lane, 3);
  Value low = p.bitAnd(matrix, 1), high = p.shr(matrix, 1);
  auto at = [&](Value tile, Value half, Value piece) {
    Value line = p.add(p.mul(half, 8), row);
    return p.add(p.add(tile, p.mul(line, kRowBytes)),
                 p.mul(p.bitXor(piece, row), 16));
  };
  // A: rows, then columns; B: columns of K, then keys.
  Value q = p.add(address(offQuery), p.mul(warp, 16 * slabs * kRowBytes));
  // Of each part anew: what follows from them takes no registers in between.
  q = p.here(at(q, low, high));
  Value k = p.here(at(address(offKeys, stage, stageBytes), high, low));
  SmallVector<Values> scores(slabs, Values(partKeys / 2, p.cf(0.0f)));
  // Columns of one turn after the other: few addresses live at once.
  int32_t steps = (shape.keyDim + 15) / 16, pairs = partKeys / 16;
  SmallVector<int32_t> order;
  for (int32_t turn = 0; turn < 4; ++turn)
    for (int32_t step = turn; step < steps; step += 4)
      order.push_back(step);
  int32_t number = 0;
  for (int32_t step : order) {
    Value turn = p.c(step % 4 * 32);
    SmallVector<Values> a;
    for (int32_t m = 0; m < slabs; ++m) {
      a.push_back(p.loadMatrices(p.bitXor(q, turn),
                                 (step / 4 * rows + 16 * m) * kRowBytes, 4,
                                 /*transposed=*/false));
      if (queryFactor < 0)
        for (Value &word : a.back())
          word = p.bitXor(word, p.c(int32_t(0x80008000)));
    }
    for (int32_t pair = 0; pair < pairs; ++pair) {
      int32_t line = step / 4 * keys + part * partKeys + 16 * pair;
      Values b = p.loadMatrices(p.bitXor(k, turn), line * kRowBytes, 4,
                                /*transposed=*/false);
      for (int32_t m = 0; m < slabs; ++m)
        for (int32_t half = 0; half < 2; ++half) {
          auto sums = MutableArrayRef(scores[m]).slice(8 * pair + 4 * half, 4);
          llvm::copy(p.multiply(keyType, ValueRange(sums), a[m],
                                ValueRange(ArrayRef(b).slice(2 * half, 2))),
                     sums.begin());
        }
      between.upTo(++number, steps * pairs);
    }
  }
  return scores;
}

void AmpereKernel::emitProduct(MutableArrayRef<Slab> slab,
                               ArrayRef<Values> weights, Value stage,
                               int32_t part, Steps &between) {
  Value row = p.bitAnd(lane, 7), matrix = p.shr(lane, 3);
  Value line = p.add(p.mul(p.bitAnd(matrix, 1), 8), row);
  Value v =
      p.add(address(offValues, stage, stageBytes), p.mul(line, kRowBytes));
  v = p.here(p.add(v, p.mul(p.bitXor(p.shr(matrix, 1), row), 16)));
  int32_t groups = shape.valueDim / 8; // of 8 columns
  int32_t steps = partKeys / 16, number = 0;
  for (int32_t step = 0; step < steps; ++step)
    for (int32_t g = 0; g < groups; g += 2) {
      int32_t width = std::min(2, groups - g);
      int32_t firstLine = g / 8 * keys + part * partKeys + 16 * step;
      Values b = p.loadMatrices(p.bitXor(v, p.c(g % 8 * 16)),
                                firstLine * kRowBytes, 2 * width,
                                /*transposed=*/true);
      for (int32_t m = 0; m < slabs; ++m)
        for (int32_t half = 0; half < width; ++half) {
          auto sums = MutableArrayRef(slab[m].o).slice(4 * (g + half), 4);
          llvm::copy(
              p.multiply(keyType, ValueRange(sums),
                         ValueRange(ArrayRef(weights[m]).slice(4 * step, 4)),
                         ValueRange(ArrayRef(b).slice(2 * half, 2))),
              sums.begin());
        }
      between.upTo(++number, steps * ((groups + 1) / 2));
    }
}
