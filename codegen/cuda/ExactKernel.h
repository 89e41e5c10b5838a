//===- ExactKernel.h - rows of which the tiles made no number -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tile multiplies the weight 0 of a key that a row does not see with the
// key's value, and is NaN if that is no number; its weights are off where
// logits are so far from 0 that c s - c max has no digits left. Both are rare,
// so the loops over chunks do not look. The end of a tile does (Epilogue.cpp,
// Merge.cpp): such a row's log-sum-exp is NaN and the mark in the workspace
// set. The launch that follows computes those rows anew, each by a warp, from
// the keys that its mask keeps. Rows whose pattern says NaN become it again,
// which ends them early: what is slow is few.
//
//   no mark: done                                         (ExactKernel.cpp)
//   each warp, for each of its rows, if the log-sum-exp is NaN:
//     locate its tile, and keep the words of the pass that has it
//     walk the streams: each run of keys, 32 at a time, a key a lane:
//       s = q k; edge; mask; m = max                        (ExactKeys.cpp)
//       w = 2^(c (s - m)); o and l *= alpha
//       for each key that the mask keeps: o += w v, columns over the lanes
//     l; log-sum-exp; o / l -> memory
//
// The walk is that of the tiles, its scratch private to each thread: lanes walk
// alike, and what they compute apart meets in shuffles.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CUDA_EXACTKERNEL_H
#define FILIGREE_CODEGEN_CUDA_EXACTKERNEL_H

#include "codegen/cuda/CudaKernel.h"

namespace filigree::cuda {

class ExactKernel : public CudaKernel {
public:
  ExactKernel(tile::KernelOp kernel, const CudaTarget &target,
              llvm::StringRef prefix, mlir::ModuleOp module);

  /// CTAs that all rows could use.
  void emitRowUnits(llvm::StringRef name);

private:
  // ExactKernel.cpp
  int32_t threads() const override { return 32 * kWarps; }
  int32_t ctasPerMultiprocessor() override { return 2; }
  bool drawsUnits() const override { return false; }
  bool foldsWholeRuns() const override { return true; }
  bool readsKeys() const override { return true; }
  void emitBarrierInit() override {}
  mlir::func::FuncOp emitPost() override { return {}; }
  mlir::func::FuncOp emitWalkPass() override { return {}; }
  void emitRoles(Value thread, Value warpOfBlock) override;
  Value rowCount(Value slots);
  struct Row {
    Value batch, head, token; ///< token: storage row
  };
  /// `scratch` of the walk, `located` for the words of a pass.
  void emitRow(const Row &row, Value scratch, Value located);
  Value isNaN(Value a);

  // ExactKeys.cpp
  mlir::func::FuncOp emitChunk(size_t s, int caseIndex) override;
  /// Folds keys [key, key + left), at most 32 of them.
  void emitKeys(size_t s, int caseIndex, Value scratch, Value key, Value left);
  /// Address of a row of K or V.
  Value keyAt(size_t s, Value scratch, Value key, bool values);
  /// Two numbers of a word (i32).
  std::pair<Value, Value> widen(Value word);
  Value emitDot(Value query, Value key);
  /// `combine` over all lanes, in all lanes.
  Value acrossLanes(Value a, llvm::function_ref<Value(Value, Value)> combine);
  /// Column (i32) of this lane's pair t, and whether the values have it.
  Value columnOf(int64_t t) { return p.add(p.mul(lane, 2), int32_t(64 * t)); }
  Value hasColumn(int64_t t) {
    return p.lt(columnOf(t), p.c(int32_t(shape.valueDim)));
  }

  static constexpr int32_t kWarps = 4;
  /// Of the row at hand, bytes into the scratch from `stateAt` on.
  enum : int64_t {
    kNumber = 0,  ///< i64, of the rows of the pass
    kQueryAt = 8, ///< i64
    kTop = 16,    ///< f32, as scores are
    kSum = 20,    ///< f32
    kSums = 24    ///< f32, this lane's columns
  };
  Value stateAt(Value scratch, int64_t word) {
    return e.at(scratch, state + word);
  }
  int64_t state, pairs; ///< of columns a lane
};

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_EXACTKERNEL_H
