//===- HopperKernel.h - one kernel as warp-specialised sm_90a code --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kernel as pseudo-code. Warpgroup 0 produces, the others consume 64 rows
// of queries each; S stages of K, S of V, one Q.
//
//   init barriers, sync                                     (HopperKernel.cpp)
//   few queries: slots -> smem
//   walker, loader of keys, of values, one thread each
//                                  (Walker.cpp, Loader.cpp, PageLoads.cpp)
//     q -> smem of each tile, K -> smem, V -> smem, with words that describe
//     the tile and the chunk [key, key + n)
//   consumer, each warpgroup:                               (Consumer.cpp)
//     P = O = 0, V of no chunk = 0; few queries: Q = 0, of which rows stay that
//       no head fills
//     until the end: for chunk 0 of a tile: wait kFull
//         wait vFull; O += P V of the tile before; commit
//         wait qFull; S = Q K_0^T; commit
//         wait for O; arrive vEmpty; the end of the tile before: l;
//           log-sum-exp; O / l -> smem -> memory; or, of a split: O, m, l ->
//           workspace, for a launch that merges       (Epilogue.cpp, Merge.cpp)
//         wait for S; arrive kEmpty; edge, mask, row maxima, P = exp2; O = 0
//       for chunk i > 0: wait kFull
//         S = Q K_i^T; commit
//         wait vFull; O += P V_(i-1); commit
//         wait for S; arrive kEmpty; edge, mask, row maxima, P_i = exp2
//         wait for O; arrive vEmpty; O *= alpha
//       arrive qEmpty: after the last S, and the end of the tile before
//     wait vFull; O += P V; wait; the end of the last tile
//
// So a tile ends while the next one begins (but with few queries), and the
// warpgroups are as far apart as before: their halves of Q have barriers of
// their own.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CUDA_HOPPERKERNEL_H
#define FILIGREE_CODEGEN_CUDA_HOPPERKERNEL_H

#include "codegen/cuda/CudaKernel.h"

namespace filigree::cuda {

class HopperKernel : public CudaKernel {
public:
  HopperKernel(tile::KernelOp kernel, const CudaTarget &target,
               llvm::StringRef prefix, mlir::ModuleOp module, LaunchRole role);

  mlir::LogicalResult verify() override;

private:
  // HopperKernel.cpp
  void layOutShared();
  int32_t threads() const override { return 128 * (1 + warpgroups); }
  llvm::SmallVector<fil_abi_tensor_map> tensorMaps() override;
  void emitBarrierInit() override;
  void emitRoles(Value thread, Value warpOfBlock) override;
  void emitPrologue(Value thread) override;
  Stage stageOf(Value number) { return CudaKernel::stageOf(number, stages); }

  // Loader.cpp
  void emitKeyLoader();
  void emitValueLoader();
  struct Entry {
    Value row, n, code, key;
    Value pages; ///< keys in pages: where those of its boxes are
    Value index; ///< of its place in the ring
  };
  /// A place in the ring of entries is not read any more.
  void give(Value entry);
  /// state = body(entry, state) for each until quit; the body gives them back.
  Values forEntries(Values state,
                    llvm::function_ref<Values(const Entry &, ValueRange)> body);
  /// Of the stream in a code, the map `first` + `step` times its number.
  Value mapOf(Value code, int first, int step);
  /// A word (i32) of those of a tile.
  Value wordOf(Value tile, int64_t number);
  /// Chunks of 64 columns lie `tileRows` rows apart.
  void emitLoad(Value barrierAt, Value at, int32_t tileRows, int32_t chunks,
                Value map, Value row, Value head, Value batch,
                Value policy = {});
  /// The rows of warpgroup `number`.
  void emitLoadQuery(int32_t number, llvm::function_ref<Value(int64_t)> word);

  // PageLoads.cpp
  mlir::func::FuncOp emitKeysInPages(size_t s) override;
  /// Maps of one row of values and of eight.
  struct ValueMaps {
    Value ones, eights;
  };
  /// K, or V with its maps: then nothing of a page behind the n keys.
  void emitLoadPages(Value barrierAt, Value at, int32_t chunks, Value map,
                     const ValueMaps *ofValues, Value head, const Entry &chunk);
  int32_t boxes() const { return keys / boxKeys; }

  // Consumer.cpp
  void emitConsumer();
  Value emitAlpha(Value before, Value shift);
  /// What a warpgroup carries from chunk to chunk.
  struct Fold {
    Values o;
    Values weights; ///< of the chunk before, not multiplied yet
    Values m, l;
    Value keys, values;     ///< stages used so far (i32)
    Value key, count, code; ///< words of the next chunk, maybe of another tile
    Value pass;             ///< tiles begun so far
    Value last;             ///< whether the tile has no more chunks (i1)
  };
  Values pack(const Fold &fold);
  Fold unpack(ValueRange all);
  Value isLast(Value code) { return p.lt(p.c(kLast - 1), code); }
  void fenceProducts(Fold &fold);
  Values beginChunk(Fold &fold);
  void enterChunk(const Fold &fold);
  void waitValues(const Fold &fold);
  void beginProduct(Fold &fold);
  void joinProduct(Fold &fold, int32_t pending = 0);
  void foldChunk(Fold &fold, bool masked);
  void emitTurn(Fold &fold);
  void emitTileEnd(const State &state);
  void finishTile(Fold &fold);
  void clearFirstValues();
  void clearQuery();
  void releaseQuery(Value cond);
  /// One lane gives a stage back for its warp.
  void release(int32_t ring, Value stage);
  void readChunk(Value number, Fold &fold);
  Values emitScores(Value stage);
  Values emitProduct(ValueRange o, ValueRange probabilities, Value stage);

  /// Of loads of keys and values; null: the usual.
  Value keyPolicy;

  int32_t warpgroups; ///< that compute
  int32_t stages;
  int32_t keyBytes, valueBytes; ///< of a stage
  int32_t boxKeys; ///< of a chunk's keys, those that are loaded at once
  int32_t offKeys, offValues, offPages, offChunk, offBarriers;
  // Barriers: 2 a warpgroup, then 4 a stage.
  int32_t barrier(int32_t index) const { return offBarriers + 8 * index; }
  int32_t queryFull() const { return barrier(0); }
  int32_t queryEmpty() const { return barrier(warpgroups); }
  int32_t ring(int32_t number) const {
    return barrier(2 * warpgroups + number * stages);
  }
  int32_t keyFull() const { return ring(0); }
  int32_t keyEmpty() const { return ring(1); }
  int32_t valueFull() const { return ring(2); }
  int32_t valueEmpty() const { return ring(3); }
};

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_HOPPERKERNEL_H
