//===- HopperKernel.h - one kernel as warp-specialised sm_90a code --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kernel as pseudo-code. Warpgroup 0 produces, the others consume 64 rows
// of queries each; S stages of K, S of V, one Q.
//
//   init barriers, sync                                     (HopperKernel.cpp)
//   walker and loader, one thread each                      (Producer.cpp)
//     q -> smem of each tile, K -> smem, V -> smem, with words that describe
//     the tile and the chunk [key, key + n)
//   consumer, each warpgroup:                               (Consumer.cpp)
//     until the end: wait qFull
//       for chunk i until the end: wait kFull
//         S = Q K_i^T; commit
//         wait vFull; O += P V_(i-1); commit                (not for i = 0)
//         wait for S; arrive kEmpty; edge, mask, row maxima, P_i = exp2
//         wait for O; arrive vEmpty; O *= alpha
//       wait vFull; O += P V_last; wait; arrive vEmpty
//       l; log-sum-exp; O / l -> smem of Q -> memory; arrive qEmpty
//
// The walk over the keys (documents, ranges of the proofs, lists) is the one of
// the CPU: scalar code over words in shared memory. A chunk's words say which
// keys it has and which mask they need.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CUDA_HOPPERKERNEL_H
#define FILIGREE_CODEGEN_CUDA_HOPPERKERNEL_H

#include "codegen/cpu/KernelEmitter.h"
#include "codegen/cuda/Ptx.h"
#include "codegen/cuda/TileToNvvm.h"

namespace filigree::cuda {

class HopperKernel : public cpu::KernelEmitter {
public:
  HopperKernel(tile::KernelOp kernel, const CudaTarget &target,
               llvm::StringRef prefix, mlir::ModuleOp module);

  /// What of the pattern this generator cannot do, as a diagnostic.
  mlir::LogicalResult verify();
  /// The kernel and its helpers, for the device.
  CudaEntryPoints emitDevice();
  /// The functions that the runtime calls, for the host.
  void emitHost(const CudaEntryPoints &entries);

private:
  // HopperKernel.cpp
  void layOutShared();
  mlir::LLVM::LLVMFuncOp declareKernel(llvm::StringRef name);
  void emitBarrierInit();
  /// Address of dynamic shared memory, in any function.
  Value emitShared();
  Value packFactor(Value slots) override { return e.c(0); }
  int32_t barrier(int32_t index) const { return offBarriers + 8 * index; }
  Value address(int32_t offset) { return p.add(shared, offset); }
  Value address(int32_t offset, Value stage, int32_t stride) {
    return p.add(address(offset), p.mul(stage, stride));
  }

  // Producer.cpp
  mlir::func::FuncOp emitPost();
  mlir::func::FuncOp emitLoadChunk(size_t s, int caseIndex);
  mlir::func::FuncOp emitPass();
  void emitWalker(mlir::func::FuncOp pass);
  void emitLoader();
  struct Stage {
    Value index, parity;
  };
  /// Stage of a running number (i32) in a ring of `count`, a power of two.
  Stage stageOf(Value number, int32_t count);
  Stage stageOf(Value number) { return stageOf(number, stages); }
  void waitEmpty(int32_t ring, const Stage &stage);
  void emitLoad(Value barrierAt, Value at, int32_t rows, int32_t chunks,
                Value map, Value row, Value head, Value batch);

  // Consumer.cpp
  void emitConsumer();
  struct State {
    Values o, m, l;
  };
  Values emitScores(Value stage);
  Values emitProduct(ValueRange o, ValueRange probabilities, Value stage);
  /// Edge of the chunk at hand, and its mask if it may need one.
  Values emitLogits(Values s, bool masked);
  Values emitOn(Values s, size_t stream, int caseIndex, bool edge);
  std::pair<Values, Values> emitSoftmax(ValueRange s, ValueRange top,
                                        Values &weights);
  Values packWeights(ValueRange weights);
  void emitEpilogue(const State &state);

  const CudaTarget &cuda;
  Ptx p;

  // Shape.
  int32_t rows, keys; ///< of a tile, of a chunk
  int32_t warpgroups; ///< that consume
  int32_t stages;
  int32_t keyChunks, valueChunks; ///< of 64 elements
  int32_t keyBytes, valueBytes;   ///< of a stage

  // Bytes into dynamic shared memory.
  int32_t offQuery = 0, offKeys, offValues, offWalk, offTile, offChunk,
          offPending, offEntries, offPosted, offBarriers, sharedBytes;
  enum { kQueryFull, kQueryEmpty, kRings }; ///< barriers; then 4 per stage
  int32_t keyFull(int32_t s) const { return barrier(kRings + s); }
  int32_t keyEmpty() const { return barrier(kRings + stages); }
  int32_t valueFull() const { return barrier(kRings + 2 * stages); }
  int32_t valueEmpty() const { return barrier(kRings + 3 * stages); }

  /// Entries between the walker and the loader.
  static constexpr int32_t kEntries = 8;
  int32_t entryFull() const { return barrier(kRings + 4 * stages); }
  int32_t entryEmpty() const { return entryFull() + 8 * kEntries; }
  /// Words of a tile that others see: the frame and the streams'.
  int64_t tileWords() const {
    return layout.stream.back() / 8 + cpu::kStreamWords;
  }
  int32_t tileBytes() const { return 8 * tileWords(); }
  llvm::SmallVector<fil_abi_tensor_map> maps;
  mlir::func::FuncOp post;

  // Values of the kernel.
  Value shared; ///< i32: start of dynamic shared memory
  Value slots;  ///< generic pointer
  Values mapPointers;
  Value workspace; ///< word 0 counts the tiles drawn
  Value units;     ///< i64
  // Of a consumer.
  Value lane, warp, group;     ///< i32; warp in the warpgroup, consumer group
  Value rowInTile, columnPair; ///< of accumulator element 0
  Value chunkKey, chunkCount, chunkCode; ///< the chunk at hand
};

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_HOPPERKERNEL_H
