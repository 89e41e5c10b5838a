//===- KernelEmitter.h - the functions of one kernel on one target --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kernel as pseudo-code; each indented line is a generated function.
//
//   run(unit):                                          (Outer.cpp)
//     tile of queries, split of the keys <- unit
//     pack q; o, l, m = 0, 0, -inf
//     for each stream: walk                             (Walk.cpp)
//       ranges of every case                            (Ranges.cpp)
//       for each segment of equal list membership:
//         process(case, segment)
//           for each run of the case in the segment:
//             gathering: append the keys; full: chunk   (Gather.cpp)
//             else chunk(keys, masked)                  (Chunk.cpp)
//               for each panel of queries: scores, edge, mask, softmax,
//               accumulate                              (Panel.cpp)
//     one split: finish; several: store the partial
//   merge(unit): fold the partials of a tile, finish    (Outer.cpp)
//
// Where the queries are few (decoding), pack, chunk and finish have twins that
// hold the rows of all heads of a group at once            (Rows.cpp)
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CPU_KERNELEMITTER_H
#define FILIGREE_CODEGEN_CPU_KERNELEMITTER_H

#include "codegen/cpu/Panel.h"
#include "codegen/cpu/TileToVector.h"

namespace filigree::cpu {

/// Most rows held at once where queries are few, those of them in registers,
/// and bytes of an element of the keys times the keys of their chunks.
inline constexpr int64_t kMaxHeld = 32;
inline constexpr int64_t kRowGroup = 4;
inline constexpr int64_t kRowChunkBytes = 256;

class KernelEmitter : public WalkEmitter {
public:
  KernelEmitter(tile::KernelOp kernel, const CpuTarget &target,
                llvm::StringRef prefix, mlir::ModuleOp module);
  EntryPoints emit();

protected:
  // TileToVector.cpp
  void layOut();
  Value panelAt(Value scratch, int64_t offset, Value panel, int64_t rows);

  // Chunk.cpp
  // In these, `caseIndex` < 0 is the case of no mask, and `key` is the first
  // key, or its place among the gathered ones.
  /// K and V rows of [key, key + n) as dense f32.
  std::pair<Value, Value> emitKeyRows(size_t s, int caseIndex, Value scratch,
                                      Value key, Value n);
  /// Address of the K or V row of a key that is not gathered; of one that may
  /// be beyond the last, to ask for it.
  Value keyAt(size_t s, Value scratch, Value key, bool values);
  Value nextKeyAt(size_t s, Value scratch, Value key, bool values);
  /// Calls body(done, from, count) for the keys [from, from + count) of each
  /// page that [key, key + n) has a share in, `done` keys behind `key`.
  void forPages(Value key, Value n,
                llvm::function_ref<void(Value, Value, Value)> body);
  Value copyPages(size_t s, Value scratch, Value key, Value n, bool values);
  mlir::func::FuncOp emitChunk(size_t s, int caseIndex);
  /// Of a stream's functions, by case or "full".
  static std::string suffixOf(size_t s, int caseIndex);
  /// The natural logit of products of q and k, and the edge body of it.
  Value emitLogit(size_t s, Value scratch, const PairPlace &place,
                  Value product);
  void emitEdge(size_t s, int caseIndex, Value scratch, Value panel, Value key,
                Value n);
  /// mask(scratch, panel, key, n, none: f32): `none` into the scores of pairs
  /// that are no edges.
  mlir::func::FuncOp emitMask(size_t s, int caseIndex);
  void foldKeys(size_t s, int caseIndex, Value scratch, Value key,
                Value n) override;
  PairPlace placeOf(size_t s, Value scratch, Value panel, int64_t vector,
                    Value position);

  // Gather.cpp
  void layOutStream(size_t s) override;
  void emitGatherFunctions();
  mlir::func::FuncOp emitGatherRows(llvm::StringRef name, int64_t dim,
                                    bool widens);
  /// The functions append and flush of every class of a stream that gathers.
  void emitCollect(size_t s);
  void beginLists(size_t s, Value scratch) override;
  void endLists(size_t s, Value scratch) override;
  Value positionsAt(size_t s, int caseIndex, Value scratch);
  /// Position of a `key` as chunks count them; of a vector of them.
  Value positionOf(size_t s, int caseIndex, Value scratch, Value key);
  Value positionsOf(size_t s, int caseIndex, Value scratch, Value key);
  /// Panels that share in asking for the next chunk, and the part of one: rows
  /// of every group of scores.
  int64_t askingPanels() const { return std::min<int64_t>(maxPanels, 4); }
  int64_t gatheredAhead() const {
    return (scoreGroup(e.target) + askingPanels() - 1) / askingPanels();
  }
  /// Whether the gathered positions are a range.
  Value followEachOther(size_t s, int caseIndex, Value scratch, Value n);
  /// Address and stride of the gathered rows of K or V: in place where they
  /// can be used there, else copies. As they are stored, or as dense f32.
  std::pair<Value, Value> gatherRows(size_t s, int caseIndex, Value scratch,
                                     Value n, bool stored, bool values);

  // RowKernels.cpp
  mlir::func::FuncOp emitRowScores(int64_t rows);
  mlir::func::FuncOp emitRowAccumulate(int64_t rows, bool safe);
  mlir::func::FuncOp emitRowSoftmax(int64_t rows);
  bool inPairs(int64_t dim) const;
  Value placeInRow(Value d, int64_t dim);
  llvm::SmallVector<Value> loadRow(Value at, int64_t count, int64_t dim);

  // Rows.cpp
  void emitRowBodies(size_t s, int caseIndex, Value scratch, Value row,
                     Value scoreRow, Value signs, Value key, Value n);
  void markUnseen(Value weights, Value signs, Value n);
  /// Storage row of a held row.
  Value storageRow(Value scratch, Value row);
  /// Rows of K or V that are `stride` bytes apart, `first` keys into a chunk;
  /// those of the next chunk are `ahead` bytes on.
  struct StoredRows {
    Value first, count, at, stride, ahead;
  };
  StoredRows storedRows(size_t s, int caseIndex, Value scratch, Value key,
                        Value n, bool values);
  /// Calls body for the part of a chunk that each page holds.
  void forRowsOfPages(size_t s, Value scratch, Value key, Value n, bool values,
                      llvm::function_ref<void(StoredRows)> body);
  mlir::func::FuncOp emitRowChunk(size_t s, int caseIndex);
  mlir::func::FuncOp emitRowBegin();
  mlir::func::FuncOp emitRowFinish();
  mlir::func::FuncOp emitRowMerge();
  void emitRowFunctions();
  /// Keys of a chunk, and floats between the scores of two held rows.
  int64_t rowChunk() const {
    return kRowChunkBytes / Emitter::bytesOf(keyType);
  }
  Value chunkWidth(size_t s, Value scratch, int64_t step) override;

  // Outer.cpp
  /// Heads held at once if the queries are few, else 0.
  Value packFactor(Value slots) override;
  /// 1 / l, kNoEdge for an empty row, and the log-sum-exp, as vectors, from m
  /// (a score) and l; the sink included.
  std::pair<Value, Value> emitLastStep(Value slots, Value head, Value m,
                                       Value l);
  void emitTile();
  void emitFinish();
  void emitEntries(EntryPoints &entries);
  Value splitCount(Value slots);
  Value partialBytes();
  /// Rows of the tile at hand to panels, or with those of other heads held.
  void arrangeRows(Value scratch) {
    Value rows = frame(scratch, kRows);
    setFrame(scratch, kPanels, e.ceilDiv(rows, panelRows));
    setFrame(scratch, kHeld, e.mul(frame(scratch, kPack), rows));
  }

  int64_t panelRows, maxPanels;
  int64_t spanRows; ///< rows the o, m, l arrays hold

  mlir::func::FuncOp scores, softmax, accumulate, accumulateSafe, finite,
      packQueries, unpackOutput, widenKeys, widenValues, scoresOfGathered,
      gatherKeys, gatherValues, gatherStoredKeys, gatherStoredValues, tileFunc,
      finish, rowScoresMany, rowScoresOne, rowSoftmaxMany, rowSoftmaxOne,
      rowBegin, rowFinish, rowMerge;
  /// [1]: where a mask is.
  mlir::func::FuncOp rowAccumulateMany[2], rowAccumulateOne[2];
};

} // namespace filigree::cpu

#endif // FILIGREE_CODEGEN_CPU_KERNELEMITTER_H
