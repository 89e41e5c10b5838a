//===- Panel.h - the arithmetic of one panel of queries -------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Queries lie in the lanes: a PANEL is 2 vectors of queries. Its operands are
// stored transposed, the query index fastest:
//
//   q panel  [Dk][panel]      scores  [keys][panel]      o panel [Dv][panel]
//
// so both products broadcast one element of K or V and multiply it with two
// vectors: K and V are read as they lie in memory, row by row, never
// transposed and (where they are f32 and dense) never copied, and row maxima
// and sums need no shuffles. A micro kernel holds R x 2 accumulators, R keys
// for the scores and R value dimensions for the output.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CPU_PANEL_H
#define FILIGREE_CODEGEN_CPU_PANEL_H

#include "codegen/walk/WalkEmitter.h"
#include <limits>

namespace filigree::cpu {

using namespace walk;

/// Vectors a panel is wide.
inline constexpr int64_t kPanelVectors = 2;
inline int64_t panelWidth(const CpuTarget &target) {
  return kPanelVectors * target.lanes;
}

/// As Emitter::function, but it stays a function: arithmetic is compiled once,
/// and what controls it is not in its way.
mlir::func::FuncOp arithmetic(
    Emitter &e, llvm::StringRef name, llvm::ArrayRef<Type> inputs,
    llvm::ArrayRef<Type> results,
    llvm::function_ref<llvm::SmallVector<Value>(llvm::ArrayRef<Value>)> body);

/// -inf, the largest of no scores.
inline constexpr float kNoScore = -std::numeric_limits<float>::infinity();
/// What is subtracted from scores of which `top` is the largest: 0 where there
/// is none yet. Scalars and vectors.
Value shiftOf(Emitter &e, Value top);

/// Of a and b the lanes without bit `width` of their number, those of b beside
/// them; and the lanes with it. Rounds over all bits transpose.
std::pair<Value, Value> exchangeLanes(Emitter &e, Value a, Value b,
                                      int64_t width);

/// Rows of the next chunk, of every 12, that the scores of one panel bring
/// near.
inline constexpr int64_t kAheadRows = 3;

/// scores(q: ptr, k: ptr, n: i64, s: ptr, next: ptr, stride: i64): s[j][:] =
/// sum_d k[j][d] q[d][:] for j < n; rows of k are keyDim floats apart. `next`
/// is where the following keys will be read, rows `stride` bytes apart.
mlir::func::FuncOp emitScores(Emitter &e, llvm::StringRef name,
                              const HeadDims &shape);

/// scores(q, k, n, s, next, stride, next_v: ptr, stride_v: i64, positions:
/// ptr): as scores, where the following keys and values lie apart: row
/// positions[j] of `next` and of `next_v`, for `ahead` rows of every group of
/// scoreGroup(), elements of `bytes`.
mlir::func::FuncOp emitScoresOfGathered(Emitter &e, llvm::StringRef name,
                                        const HeadDims &shape, int64_t ahead,
                                        int64_t bytes);
/// Keys of a whole group of the scores.
int64_t scoreGroup(const CpuTarget &target);

/// softmax(s: ptr, n: i64, m: ptr, l: ptr, alpha: ptr): online softmax of one
/// panel: s becomes exp2(c (s - m')), m, l are updated, alpha = exp2(c (m -
/// m')) is what the output must be multiplied with. `c` > 0 turns scores into
/// base-2 logits inside a fused multiply-add, so it costs no rounding.
mlir::func::FuncOp emitSoftmax(Emitter &e, llvm::StringRef name, float c);

/// accumulate(s: ptr, v: ptr, n: i64, o: ptr, alpha: ptr, next: ptr,
/// stride: i64):
/// o[d][:] = alpha[:] o[d][:] + sum_j v[j][d] s[j][:].
mlir::func::FuncOp emitAccumulate(Emitter &e, llvm::StringRef name,
                                  const HeadDims &shape);

/// The weight of a pair that is no edge, where values may be inf or NaN: what
/// such a pair sees must not reach its row, while 0 of an edge times NaN is
/// NaN. Weights of edges are at least +0, or NaN.
inline constexpr float kNoEdge = -0.0f;
/// weight is kNoEdge, bit for bit; scalars and vectors.
Value isNoEdge(Emitter &e, Value weight);

/// As accumulate, slowly, but pairs of weight kNoEdge are left out.
mlir::func::FuncOp emitAccumulateSafe(Emitter &e, llvm::StringRef name,
                                      const HeadDims &shape);

/// finite(v: ptr, n: i64) -> i1: no inf or NaN in n rows of values.
mlir::func::FuncOp emitFinite(Emitter &e, llvm::StringRef name,
                              const HeadDims &shape);

/// pack(src: ptr, row_stride: i64, last: i64, dst: ptr, scale: f32): dst[d][r]
/// = scale * src[min(r, last)][d] for r in the panel; strides in bytes.
mlir::func::FuncOp emitPackQueries(Emitter &e, llvm::StringRef name,
                                   Type element, int64_t dim);

/// unpack(src: ptr, inv: ptr, dst: ptr, row_stride: i64, rows: i64):
/// dst[r][d] = inv[r] * src[d][r] for r < rows; 0 where inv[r] is kNoEdge.
mlir::func::FuncOp emitUnpackOutput(Emitter &e, llvm::StringRef name,
                                    Type element, int64_t dim);

/// widen(src: ptr, row_stride: i64, n: i64, dst: ptr): dst[j][d] = src[j][d] as
/// f32, rows of dst `dim` floats apart.
mlir::func::FuncOp emitWiden(Emitter &e, llvm::StringRef name, Type element,
                             int64_t dim);

} // namespace filigree::cpu

#endif // FILIGREE_CODEGEN_CPU_PANEL_H
