//===- AmpereKernel.h - one kernel as sm_80 code --------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For chips with mma.sync and cp.async, from the A100 on. Four warps compute
// one or two slabs of 16 rows of queries each. Registers cannot move between
// warps, and with eight warps a multiprocessor has as many as a thread can use:
// a warp that only walks or loads would cost the others a third of theirs. So
// all load, and thread 0 walks ahead of everybody, as many entries as there is
// room for: runs of keys, not chunks, so that most tiles are walked at once.
// What else waits is hidden by the other CTA of the multiprocessor.
//
//   lists -> second-level cache; slots -> smem             (AmpereEntries.cpp)
//   until the end, for each entry, all threads alike:         (AmpereLoop.cpp)
//     end:   wait for own copies; sync
//            thread 0: draw the next tile
//            l; log-sum-exp; O / l -> the second stage; or, of few queries, to
//              memory: of a split O, m, l -> workspace             (Merge.cpp)
//     more:  thread 0: walk                               (AmpereEntries.cpp)
//              the tile at hand again, up to what had no room, or a new one
//            sync
//     begin: sync; words of the tile, Q -> smem             (AmpereLoads.cpp)
//            where K and V begin; sync; K, V of the first chunk -> smem
//            O of the tile that ended -> memory
//            O = 0, m = -inf, l = 0
//     run:   K, V of its first chunk -> smem, unless that is begun
//            for chunk i of this run and those that follow:
//              where chunk i + 1 is
//              wait for own copies; sync
//              K, V of chunk i + 1 -> smem, the other stage
//              S = Q K_i^T; edge, mask                   (AmpereProducts.cpp)
//              if a maximum is far above m: m; O, l *= alpha
//              P = exp2; O += P V_i                       (AmpereSoftmax.cpp)
//
// The sync of chunk i says two things: everybody's copies of its tiles are
// there, and everybody has read the stage that is loaded next. Where there is
// room for one stage alone, a chunk is loaded and waited for in its turn, and O
// takes the place of Q.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CUDA_AMPEREKERNEL_H
#define FILIGREE_CODEGEN_CUDA_AMPEREKERNEL_H

#include "codegen/cuda/CudaKernel.h"
#include <functional>

namespace filigree::cuda {

class AmpereKernel : public CudaKernel {
public:
  AmpereKernel(tile::KernelOp kernel, const CudaTarget &target,
               llvm::StringRef prefix, mlir::ModuleOp module, LaunchRole role);

private:
  // AmpereKernel.cpp
  int32_t threads() const override { return 32 * kWarps; }
  bool foldsWholeRuns() const override { return true; }
  int64_t unitsAtOnce() const override;
  /// Tiles differ in length where keys are kept out, and else not.
  Value tilesOfSection() override;
  void layOutShared();
  void emitBarrierInit() override {}
  void emitRoles(Value thread, Value warpOfBlock) override;
  /// Sets `thread`, `lane` and `warp` anew: what depends on them need not be
  /// kept in registers from one use to the next.
  void askThread();

  // AmpereEntries.cpp
  mlir::func::FuncOp emitPost() override;
  mlir::func::FuncOp emitKeysInPages(size_t s) override;
  /// As entry number `count`.
  void emitAppend(Value count, Value key, Value n, Value code);
  /// What thread 0 does before all else, and when entries are used up.
  void emitWalkInit();
  void emitWalkMore();
  /// The first tile has the number of the CTA, the others are drawn.
  Value emitNextTile();
  /// Lists to the second-level cache, what the threads have a line of each.
  void emitPrefetchLists();
  /// Words of entry `index`: key or slot of the tile's words, keys, code.
  struct Entry {
    Value key, n, code;
  };
  Entry readEntry(Value index);

  // AmpereLoads.cpp
  /// A tile to be copied, as a thread sees it.
  struct Copy {
    Value to, source, stride; ///< of its first piece; bytes to the next one
    Value left;               ///< rows from that piece's on
    Value row, piece;
    Values pieceAt; ///< of each turn, if not `stride` after the one before
    int32_t tileRows, step, pieces;
    bool guarded; ///< some threads have no piece
  };
  /// The first `dim` columns of the first `count` rows of a tile of `tileRows`
  /// rows; zeros elsewhere, up to column `width`.
  Copy beginCopy(Value at, int32_t tileRows, int64_t dim, int64_t width,
                 Value from, Value rowBytes, Value count);
  void emitCopy(const Copy &copy);
  void emitLoadQuery(Value slot);
  Copy beginChunkCopy(Value stage, const Entry &chunk, bool isValue);
  /// Where the thread's pieces are of keys in pages: of `source` page 0, bytes
  /// of a row, of a page.
  void findPages(Copy &copy, ValueRange source, const Entry &chunk);
  void emitLoadChunk(Value stage, const Entry &chunk);

  // AmpereSoftmax.cpp
  /// What is emitted a little at a time, between other things.
  struct Steps {
    std::vector<std::function<void()>> all;
    size_t done = 0;
    /// The first `number` of `count` shares of them.
    void upTo(int64_t number, int64_t count);
    void finish() { upTo(1, 1); }
  };
  /// 16 rows of a warp: sums of values, references, sums of weights.
  struct Slab {
    Values o, top, total;
    Values scores; ///< of the part at hand
  };
  /// What becomes of a slab's scores.
  struct Weighed {
    Values weights; ///< packed
    Values top, shift, alpha, sum;
    Value moves; ///< whether a reference of the thread's rows does
  };
  /// Adds the steps to `steps`; `to` is complete when they are done.
  void addWeights(const Slab &slab, Weighed &to, Steps &steps);
  /// Sums to new references, where one moves.
  void emitRescale(llvm::MutableArrayRef<Slab> slab,
                   llvm::ArrayRef<Weighed> weighed);

  // AmpereProducts.cpp
  /// Scores of the warp's rows with keys of a part of the chunk, those of each
  /// slab apart; steps of `between` come between the products.
  llvm::SmallVector<Values> emitScores(Value stage, int32_t part,
                                       Steps &between);
  /// Sums += weights (packed) times a part of V, slab by slab.
  void emitProduct(llvm::MutableArrayRef<Slab> slab,
                   llvm::ArrayRef<Values> weights, Value stage, int32_t part,
                   Steps &between);

  // AmpereLoop.cpp
  /// Slab m of the warp: `rowInTile` and rowWarp().
  void selectSlab(int32_t m);
  Value rowWarp() override;
  /// Folds chunks from entry `state`.index on; see the loop for the state.
  Values emitRun(ValueRange state);
  Values emitInitialSums();
  /// Where a chunk of that entry's run is loaded to first.
  void emitLoadFirst(const Entry &run);
  /// The end of a tile, what is walked next, and the begin of a tile.
  Values emitBoundary(ValueRange state);
  void emitLoop();

  static constexpr int32_t kWarps = 4;
  static constexpr int32_t kMore = -4; ///< code of the entry after the last
  static constexpr int32_t kStageBit = 512; ///< above the index of an entry
  int32_t mostEntries;
  int32_t stages; ///< 1 or 2
  int32_t slabs;  ///< of 16 rows that a warp computes
  int32_t slabAtHand = 0;
  int32_t parts, partKeys;      ///< of a chunk, folded one after the other
  int32_t keyBytes, stageBytes; ///< of a stage: of its keys, and all
  bool ahead; ///< the next tile is loaded while the last is stored
  int32_t offKeys, offValues, offFill;
  /// Words (i32) of the walk between two fills.
  enum {
    kPosted,  ///< posts of the tile so far
    kFirst,   ///< of them, the first that is not yet an entry
    kCount,   ///< entries
    kBegun,   ///< entries that begin a tile
    kStopped, ///< no room since post kFirst
    kTile,    ///< number of the tile at hand, or of the next one
    kFillWords
  };
  Value fillWord(int32_t word) {
    return p.loadShared(e.i32(), address(offFill + 4 * word));
  }
  void setFillWord(int32_t word, Value value) {
    p.storeShared(value, address(offFill + 4 * word));
  }
  Value thread;     ///< i32
  Value sharedBase; ///< `shared`, which is asked for anew as `thread` is
};

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_AMPEREKERNEL_H
