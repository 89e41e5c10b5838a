//===- CudaKernel.h - what the kernels of all CUDA chips share ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A CTA has a thread that walks (Walker.cpp), threads that load, and warps that
// compute 16 rows of queries at a time. Between the walk and the loads are
// entries, between the loads and the sums stages; a chunk of keys has words
// (first key, number, case) beside its tile, so the warps that compute know
// nothing of patterns but masks and edges (Softmax.cpp) and the end of a row
// (Epilogue.cpp, Merge.cpp). How tiles are loaded and multiplied is the chip's:
// HopperKernel.h, AmpereKernel.h.
//
// Few queries have a launch of their own, and runs with many do not pay for it:
// row r of a tile is that of token r / pack and of its head r % pack, so that
// the heads of a group share the keys that are loaded; keys are split
// (Merge.cpp).
//
// Tiles in shared memory are blocks of 64 columns: a row of a block is 128
// bytes, its pieces of 16 bytes swizzled by the row (piece ^ row % 8).
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CUDA_CUDAKERNEL_H
#define FILIGREE_CODEGEN_CUDA_CUDAKERNEL_H

#include "codegen/cuda/Ptx.h"
#include "codegen/cuda/TileCopies.h"
#include "codegen/cuda/TileToNvvm.h"
#include "codegen/walk/WalkEmitter.h"

namespace filigree::cuda {

/// Codes of entries and chunks that are no (stream, case).
enum : int32_t { kEnd = -1, kBegin = -2, kQuit = -3 };
/// Added to the code of a tile's last chunk.
inline constexpr int32_t kLast = 1 << 16;

/// Bytes of a row of a tile in shared memory: 64 elements, swizzled.
inline constexpr int32_t kRowBytes = 128;
/// Bytes of the words of a chunk: key, n, code.
inline constexpr int32_t kChunkBytes = 16;

/// Bytes of 8 rows of 64 columns.
inline constexpr int32_t kPieceBytes = 8 * kRowBytes;

/// Where in the workspace: whether a row waits for the exact launch.
inline constexpr int64_t kMarkAt = 64;

/// Binary digits by which a weight may exceed 1: 16-bit weights and f32 sums
/// are as precise then.
inline constexpr float kSlack = 8.0f;

/// Which of its two rows element k of an accumulator is in.
inline int rowOf(size_t k) { return k / 2 % 2; }

class CudaKernel : public walk::WalkEmitter {
public:
  CudaKernel(tile::KernelOp kernel, const CudaTarget &target,
             llvm::StringRef prefix, mlir::ModuleOp module, LaunchRole role);

  /// What of the pattern this generator cannot do, as a diagnostic.
  virtual mlir::LogicalResult verify();
  /// Whether a chunk may hold keys that some of its rows do not see, so that
  /// what is no number may reach a row that it should not: ExactKernel.h.
  bool hasExactLaunch();
  /// The kernel and its helpers, for the device.
  CudaLaunch emitDevice();
  /// Behind it, where keys are split: what joins the results.
  CudaLaunch emitMergeDevice();
  // The functions that the runtime calls, for the host.
  /// Units of this launch: none where `others`, null or a function of the same
  /// arguments, has some.
  mlir::func::FuncOp emitUnits(llvm::StringRef name, mlir::func::FuncOp others);
  /// The plan of the launch for few queries.
  void emitPlan(llvm::StringRef name);
  void emitMergeUnits(llvm::StringRef name);
  /// Bytes of a run, whichever launch it takes; the name of the function.
  std::string emitWorkspaceBytes();

protected:
  // What a chip adds.
  virtual int32_t threads() const = 0;
  virtual llvm::SmallVector<fil_abi_tensor_map> tensorMaps() { return {}; }
  virtual void emitBarrierInit() = 0;
  /// Who does what; `thread` (i32) of the block, `warpOfBlock` uniform.
  virtual void emitRoles(Value thread, Value warpOfBlock) = 0;
  /// What a run of keys [key, key + n) becomes, and a tile.
  virtual mlir::func::FuncOp emitChunk(size_t s, int caseIndex);
  virtual mlir::func::FuncOp emitWalkPass();
  bool splitsKeys() const override { return few; }
  bool readsKeys() const override { return false; }
  /// Of few queries, that a multiprocessor has room for.
  virtual int64_t unitsAtOnce() const { return 1; }
  /// Whether units are drawn from a counter in the workspace.
  virtual bool drawsUnits() const { return true; }
  /// What all threads do before the roles begin.
  virtual void emitPrologue(Value thread) {}
  // Found by the host and planned, or by the code at hand.
  RowTiles rowTiles(Value slots) override;
  HeadTiles headTiles(Value slots, Value pack) override;

  // CudaKernel.cpp
  /// That share a multiprocessor, and so its registers.
  virtual int32_t ctasPerMultiprocessor() {
    return kernel.getWarps()->getCtas();
  }
  mlir::LogicalResult refuse(const llvm::Twine &expected,
                             const llvm::Twine &got);
  /// With `ctas` that share a multiprocessor's registers.
  mlir::LLVM::LLVMFuncOp declareKernel(llvm::StringRef name, int32_t threads,
                                       int32_t ctas, int32_t planCount = 0);
  /// Address of dynamic shared memory, in any function.
  Value emitShared();
  Value address(int32_t offset) { return p.add(shared, offset); }
  Value address(int32_t offset, Value stage, int32_t stride) {
    return p.add(address(offset), p.mul(stage, stride));
  }
  Value tileWord(int64_t word) {
    return p.loadShared(e.i64(), p.add(tileAt, int32_t(8 * word)));
  }
  /// Rows of the tile at hand (i32).
  Value usedRows();
  struct RowPlace {
    Value token, head; ///< i64, from the tile's first
  };
  RowPlace placeOfRow(Value number);
  struct Stage {
    Value index, parity;
  };
  /// Stage of a running number (i32) in a ring of `count`.
  Stage stageOf(Value number, int32_t count);
  void waitEmpty(int32_t ring, const Stage &stage);
  /// if (cond) values = then(values).
  Values ifChanged(Value cond, Values values,
                   llvm::function_ref<Values(Values)> then);
  Values ifElse(Value cond, llvm::function_ref<Values()> then,
                llvm::function_ref<Values()> otherwise);
  /// Lays out what the walker needs from byte `at`, barriers apart; returns
  /// where it ends.
  int32_t layOutWalker(int32_t at);
  /// Of the walker's ring.
  void emitEntryBarrierInit(int32_t readers);

  // Walker.cpp
  /// One more entry for those who load.
  virtual mlir::func::FuncOp emitPost();
  /// The whole life of the thread that walks.
  void emitWalker();
  void emitFrameInit(Value scratch);
  /// The walk finds slots by an address, and those of parameters are in global
  /// memory.
  void emitCopySlots(Value thread);
  /// Generic, to a byte of shared memory.
  Value emitPointer(int32_t offset);
  /// The number (i64) of the next tile, one more for every call.
  Value emitDraw();

  // Softmax.cpp
  /// Edge of the chunk at hand, and its mask if it may need one.
  Values emitLogits(Values s, bool masked);
  Values emitOn(Values s, size_t stream, int caseIndex, bool edge);
  Value emitShift(Value m);
  struct Weights {
    Values weights;
    Values top, shift; ///< of each row
    Values sums;       ///< of this thread's weights
    Value moves;       ///< whether `top` is another than before, in any row
  };
  Values emitThreadTop(ValueRange s);
  Values emitRowTop(ValueRange own, ValueRange top);
  Weights emitWeights(ValueRange s, ValueRange top);
  /// Weights by the largest score of each row, and of `top` if there is one.
  Weights emitSoftmax(ValueRange s, ValueRange top);
  /// Weights by `top` until a score of the warp exceeds it far: sums need to be
  /// scaled then alone.
  Weights emitLazySoftmax(ValueRange s, ValueRange top);
  Values packWeights(ValueRange weights);

  // Epilogue.cpp
  struct State {
    Values o, m, l;
  };
  void emitEpilogue(const State &state);
  /// Its two halves: log-sum-exp, rows of O in shared memory; rows to memory.
  struct Staged {
    Value base, count; ///< pointer to the tile's first row; rows
  };
  Staged emitStage(const State &state);
  void emitStore(const Staged &staged);
  Values emitLse(const State &state);
  Staged placeOfOutput();
  int groupsOf(int piece);
  Value warpRow();
  Value pieceAt(int number);
  void emitStagePieces(ValueRange o, ValueRange inverse, int from, int end);
  void emitStorePieces(const Staged &staged, int from, int end);
  /// Of a row's maximum and this thread's share of its sum: what the row of O
  /// is multiplied by, and the log-sum-exp.
  std::pair<Value, Value> emitLastStep(Value m, Value l, Value head);
  /// `l`, or NaN where an element of `o` in `row` of the two is no number.
  Value emitCheckedSum(ValueRange o, Value l, int row);
  /// `l`, or NaN where weights may be off: 2^24 and beyond, what is left of a
  /// logit in f32 has no digits behind the point.
  Value emitCheckedTop(Value m, Value l);
  /// Where it is NaN, the row waits for the exact launch.
  void emitStoreLse(Value lse, llvm::ArrayRef<Value> place);

  // Merge.cpp
  Value packFactor(Value slots) override;
  /// Tokens of a tile, at most; not packed: of all tiles of a head.
  Value tileTokens(Value slots);
  /// Whether heads may share a tile, which is decided by the run.
  bool mayPack() { return few && !masksUseHead(); }
  Value splitCount(Value slots, Value multiprocessors);
  /// Whether a run is one for the launch for few queries.
  Value takesFew(Value slots, Value multiprocessors);
  Value workspaceBytes(Value slots, Value multiprocessors);
  /// Warps of 16 rows of the highest tile, and bytes of one in the workspace.
  Value tileWarps(Value slots);
  int64_t warpBytes() const;
  /// In the workspace, of so many tiles: words of a tile, results of its units.
  int64_t wordsBytes() const { return llvm::alignTo(tileBytes(), 64); }
  Value wordsOf(Value tile);
  Value resultsOf(Value tile, Value tiles);
  /// Number of the 16 rows at hand among those of the tile.
  virtual Value rowWarp() { return p.add(p.mul(group, 4), warp); }
  /// The end of a unit, of 16 rows.
  void emitResult(const State &state);
  void emitPartial(const State &state);
  /// kMergePieces pieces from `block` times as many on, of the rows of a warp.
  void emitMerge(Value results, Value rowWarp, Value block);

  /// Words of the plan.
  enum PlanWord : int64_t {
    kPlanSplits,
    kPlanWarps, ///< of the highest tile
    kPlanPack,
    kPlanRows, ///< as RowTiles
    kPlanRowTiles,
    kPlanGroup, ///< as HeadTiles
    kPlanOfGroup,
    kPlanOfBatch,
    kPlanWords
  };
  Value planned(PlanWord word) {
    return e.load(e.i64(), e.at(plan, 8 * word), 8);
  }

  const CudaTarget &cuda;
  const LaunchRole role;
  const bool few; ///< role Few, whose kernel emits the merge, too
  Ptx p;

  // Shape.
  int32_t rows, keys;             ///< of a tile, of a chunk
  int32_t keyChunks, valueChunks; ///< of 64 elements

  // Bytes into dynamic shared memory.
  int32_t offQuery = 0;
  int32_t offOutput = 0, outputPieces; ///< of each warp
  int32_t offWalk, offTile, offPending, offEntries, offPosted, offKept;
  int32_t offSlots;
  int32_t sharedBytes;
  /// Words of a tile that entry `index` begins, and of tiles at hand.
  Value pendingWordsAt(Value index) {
    return address(offPending, index, tileBytes());
  }
  Value tileWordsAt(Value pass) {
    return address(offTile, p.bitAnd(pass, kTiles - 1), tileBytes());
  }
  int32_t offEntryFull, offEntryEmpty;
  /// Words of a tile that others see.
  int64_t tileWords() const { return layout.tileBytes() / 8; }
  int32_t tileBytes() const { return layout.tileBytes(); }
  llvm::SmallVector<fil_abi_tensor_map> maps;
  mlir::func::FuncOp post, pass;

  // Values of the kernel.
  Value shared; ///< i32: start of dynamic shared memory
  Value slots;  ///< generic pointer
  Values mapPointers;
  Value workspace; ///< word 0 counts the units drawn
  Value units;     ///< i64
  Value plan;      ///< pointer to words of this run, if the host found them
  Value lane;      ///< i32
  // Of a warp that computes.
  Value tileAt;                ///< i32: words of the tile at hand
  Value warp, group;           ///< i32; warp of its four, and which four
  Value rowInTile, columnPair; ///< of accumulator element 0
  Value chunkKey, chunkCount, chunkCode; ///< the chunk at hand
};

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_CUDAKERNEL_H
