//===- WalkEmitter.h - which keys a tile of queries folds, in what order --===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The part of a kernel that does not compute: scalar code, the same on every
// target. Each indented line is a generated function.
//
//   locate(tile): batch entry, head, rows; each document      (Tiles.cpp)
//     for each stream: walk                                   (Walk.cpp)
//       ranges of every case                                  (Ranges.cpp)
//       for each segment of equal list membership:
//         process(case, segment)
//           for each run of the case in the segment:
//             fold(case, keys)                              (Pages.cpp: of
//                                                           pages that exist)
//
// What folding some keys means is the back end's: arithmetic on the CPU, an
// entry for the threads that load and compute on CUDA.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_WALK_WALKEMITTER_H
#define FILIGREE_CODEGEN_WALK_WALKEMITTER_H

#include "codegen/walk/Bodies.h"
#include "codegen/walk/Frame.h"

namespace filigree::walk {

/// ln 2 and 1 / ln 2.
inline constexpr float kLn2 = 0.6931471805599453f;
inline constexpr float kLog2e = 1.4426950408889634f;

struct HeadDims {
  int64_t keyDim, valueDim;
};

/// One stream of the fold, with the functions generated for it.
struct StreamCode {
  tile::StreamOp op;
  llvm::SmallVector<tile::CaseOp> cases;
  tile::EdgeOp edge;
  /// fold(scratch, key, n) without a mask, and of each case with one.
  mlir::func::FuncOp fullChunk;
  llvm::SmallVector<mlir::func::FuncOp> maskedChunk, ranges, process;
  mlir::func::FuncOp walk;
  mlir::func::FuncOp keysInPages; ///< null where keys are not in pages
  /// On the CPU, where queries are few: the same for held rows, see Rows.cpp.
  mlir::func::FuncOp rowFullChunk;
  llvm::SmallVector<mlir::func::FuncOp> rowMaskedChunk;
  /// On the CPU, if the stream gathers: by class, see Gather.cpp; null where no
  /// mask is.
  llvm::SmallVector<mlir::func::FuncOp> append, flush;
};

class WalkEmitter {
public:
  WalkEmitter(tile::KernelOp kernel, const CpuTarget &target,
              llvm::StringRef prefix, mlir::ModuleOp module);
  virtual ~WalkEmitter() = default;

protected:
  // What a back end adds.
  /// Folds keys [key, key + n) of stream s into the tile. `caseIndex` -1: every
  /// pair is an edge.
  virtual void foldKeys(size_t s, int caseIndex, Value scratch, Value key,
                        Value n);
  /// Most keys of one fold, of at most `step`.
  virtual Value chunkWidth(size_t s, Value scratch, int64_t step) {
    return e.c(step);
  }
  /// Keys that are all edges are folded at once, however many.
  virtual bool foldsWholeRuns() const { return false; }
  /// Whether folds find keys by their addresses in the stream's words.
  virtual bool readsKeys() const { return true; }
  /// Whether a tile's keys may be those of a split.
  virtual bool splitsKeys() const { return true; }
  /// Room in the scratch, and what precedes and follows the lists.
  virtual void layOutStream(size_t s) {}
  virtual void beginLists(size_t s, Value scratch) {}
  virtual void endLists(size_t s, Value scratch) {}
  /// Most query heads whose rows share a tile; 0: a tile has rows of one head.
  virtual Value packFactor(Value slots) { return e.c(0); }
  /// How many tiles at least are counted from the longest on, whichever their
  /// heads; null: those of a head.
  virtual Value tilesOfSection() { return Value(); }

  // WalkEmitter.cpp
  void layOutWalk();
  std::string named(const llvm::Twine &suffix) {
    return (prefix + suffix).str();
  }
  mlir::BlockArgument argument(Value value) {
    return mlir::cast<mlir::BlockArgument>(value);
  }
  Value frame(Value scratch, int64_t word) { return e.loadI64(scratch, word); }
  void setFrame(Value scratch, int64_t word, Value value) {
    e.storeI64(value, scratch, word);
  }
  Value stream(Value scratch, size_t s, int64_t word) {
    return e.loadI64(e.at(scratch, layout.stream[s]), word);
  }
  Value slotsOf(Value scratch) { return e.asPtr(frame(scratch, kSlots)); }
  Value tensorSlot(Value slots, Value tensor, int64_t index) {
    return BodyEmitter(e, interface, slots).tensorSlot(argument(tensor), index);
  }
  /// Address of element (i0, i1, i2) of a tensor, by its strides.
  Value tensorAt(Value slots, Value tensor, llvm::ArrayRef<Value> indices);
  /// The first case with the same mask: its functions serve both.
  size_t twinOf(size_t s, size_t caseIndex);

  // Tiles.cpp
  bool masksUseHead();
  /// Query heads of a key head, if none of them has a graph of its own; else 1.
  Value sharingHeads(Value slots);
  struct RowTiles {
    Value rows, count; ///< rows of a tile, tiles of the rows of a head
  };
  virtual RowTiles rowTiles(Value slots);
  Value tileCount(Value slots);
  struct TilePlace {
    Value batch, head, kvHead, row0;
    Value pack; ///< heads of this tile, from `head` on; 0 as packFactor says
  };
  TilePlace placeOfTile(Value slots, Value pack, Value tile);
  /// Tiles over the heads of a group, and those of a batch entry.
  struct HeadTiles {
    Value group, ofGroup, ofBatch;
  };
  virtual HeadTiles headTiles(Value slots, Value pack);
  /// Keys of the source that has the fewest; in pages, of the longest sequence
  /// that the table can hold.
  Value leastKeys(Value slots);
  /// Keys of the source that has the most; in pages, as leastKeys.
  Value mostKeys(Value slots);
  /// Reports a length of keys in pages below 0 or beyond `most`.
  void reportLength(Value scratch, Value length, Value most);
  mlir::func::FuncOp emitCheckDocuments();
  /// Set by emitCheckDocuments: tiles need not report bounds.
  bool checksDocuments = false;
  /// Sets batch, heads, row0 and so on from the number of a tile; the frame has
  /// the slots already.
  void emitLocate(Value scratch, Value slots, Value tile,
                  llvm::function_ref<void()> body);

  // Pages.cpp
  bool isPaged() { return bool(fold.getPageTable()); }
  int64_t pageSlots() { return int64_t(*fold.getPage()); }
  /// Number of the page of a key of the sequence at hand.
  Value pageOf(Value scratch, Value key);
  /// keys_in_pages(scratch, key, n): of these n > 0 keys, how many come before
  /// one whose page does not exist. The next fold is of those.
  virtual mlir::func::FuncOp emitKeysInPages(size_t s);
  /// Calls body(key, n, exists) on [from, to) piece by piece: at most `width`
  /// keys that have a page, or the rest of a page that does not exist.
  void forKeysInPages(size_t s, Value scratch, Value from, Value to,
                      Value width,
                      llvm::function_ref<void(Value, Value, Value)> body);
  void reportPage(Value scratch, Value key);

  // Walk.cpp
  /// Of `keys` keys, those of a split: even, in whole masked chunks.
  Value shareOf(Value scratch, Value keys);
  struct Clip {
    Value lo, hi;
  };
  /// The keys of this split.
  Clip clipOf(size_t s, Value scratch);
  void emitKeyAddresses(size_t s, Value scratch);
  mlir::func::FuncOp emitWalk(size_t s);
  mlir::func::FuncOp emitSkip(size_t s, size_t list);
  mlir::func::FuncOp emitAdvance(size_t s, size_t list);
  void emitReport(Value scratch, int64_t code, Value col);
  /// Whether `col` is a block and comes after `previous`; reported if not.
  Value emitGoodEntry(Value scratch, Value col, Value previous, Value blocks);
  /// Whether nothing is seen outside the blocks of one list.
  bool walksBlocks(size_t s);
  void emitWalkBlocks(size_t s, Value scratch);

  // Ranges.cpp
  void emitRangeHelpers();
  mlir::func::FuncOp emitRanges(size_t s, int caseIndex);
  /// Clips a stream without lists to this split's share of what case 0 touches.
  void emitClip(size_t s, Value scratch);
  mlir::func::FuncOp emitProcess(size_t s, int caseIndex);
  Certainty certainty(size_t s, int caseIndex, Value scratch, Value iLo,
                      Value iHi, Value jLo, Value jHi);

  tile::KernelOp kernel;
  mlir::OpBuilder builder;
  Emitter e;
  KernelInterface interface;
  std::string prefix;
  mlir::ModuleOp module;

  tile::FoldOp fold;
  tile::StoreOp storeOp;
  tile::ScheduleAttr schedule;
  HeadDims shape;
  Type queryType, keyType, outputType;
  /// Scores are kept as plain dot products if every stream has the same scale
  /// and no edge, else as natural logits. Either way the base-2 logit is
  /// `logitFactor` > 0 times the score; the sign of a scale goes into q.
  bool plainScores;
  float queryFactor, logitFactor;
  /// The natural logit is this times the score.
  float naturalFactor;
  std::vector<StreamCode> streams;
  ScratchLayout layout;
  mlir::func::FuncOp normalize, seek, keyAfter;
};

} // namespace filigree::walk

#endif // FILIGREE_CODEGEN_WALK_WALKEMITTER_H
