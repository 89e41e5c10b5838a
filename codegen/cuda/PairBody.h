//===- PairBody.h - masks and edges over the pairs that a thread holds ----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A thread holds some dozens of pairs (i0 + r, j0 + c) with r and c small and
// i0, j0 common to all. Integers of a body are 64 bits wide; computed so for
// every pair they would need more registers than there are. They are split
// instead:
//
//   value = whole + part     whole: i64, once a chunk; part: i32, |part| < 2^30
//
// Sums add both; a comparison becomes part - part' < clamp(whole' - whole), one
// instruction a pair; a quotient or remainder by a constant divides whole once
// and (remainder + part) in 32 bits. What cannot be split is computed in 64
// bits, so every value is exact but one: an integer that becomes f32 is the sum
// of its rounded halves, off by at most an ulp and a half beyond 2^24.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CUDA_PAIRBODY_H
#define FILIGREE_CODEGEN_CUDA_PAIRBODY_H

#include "codegen/cuda/Ptx.h"
#include "codegen/walk/Bodies.h"

namespace filigree::cuda {

struct Split {
  Value whole;            ///< i64, f32 or i1
  Value part = Value();   ///< i32; null: none
  int64_t lo = 0, hi = 0; ///< bounds of part
};

/// Where a pair lies; `row` and `col` are storage indices, for bias tensors.
struct PairPlace {
  Split b, h, i, j, row, col;
};

class PairBody {
public:
  PairBody(walk::Emitter &e, Ptx &p, walk::BodyEmitter &scalars)
      : e(e), p(p), scalars(scalars) {}

  /// Value of the body's one result. `logit` for edges.
  Value evaluate(mlir::Block &body, const PairPlace &place,
                 Value logit = Value());

private:
  using Map = llvm::DenseMap<Value, Split>;
  Split emitOp(mlir::Operation &op, Map &map, const PairPlace &place,
               mlir::Block &body);
  Split operand(Value value, Map &map);
  /// In 64 bits.
  Value joined(const Split &split);
  Split sum(const Split &a, const Split &x, bool subtract);
  Split scaled(const Split &a, int64_t factor);
  Split divided(const Split &a, int64_t divisor, bool remainder);
  Value compared(mlir::arith::CmpIPredicate predicate, const Split &a,
                 const Split &x);
  Split lookup(attn::LookupOp op, const PairPlace &place, mlir::Block &body);

  walk::Emitter &e;
  Ptx &p;
  walk::BodyEmitter &scalars;
};

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_PAIRBODY_H
