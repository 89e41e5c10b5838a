//===- Frame.h - what one worker holds in its scratch memory --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generated functions pass one pointer around: the worker's scratch, laid out
// here at compile time. First the frame, i64 words that describe the tile at
// hand; then the words of each stream and the ranges of its proofs; then what a
// back end adds. pipeline-loads asks for the layout, too: on CUDA it is in
// shared memory, beside the stages.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_WALK_FRAME_H
#define FILIGREE_CODEGEN_WALK_FRAME_H

#include "dialect/Tile/Tile.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace filigree::walk {

/// Words of the frame.
enum FrameWord : int64_t {
  kSlots,     ///< the run's slot array
  kBatch,     ///< batch entry, or document
  kHead,      ///< query head
  kKvHead,    ///< its key/value head
  kRow0,      ///< first row of the tile, counted from the document's start
  kRows,      ///< rows of the tile
  kNq,        ///< queries of the document
  kQueryBase, ///< storage row of the document's first query
  kPanels,    ///< panels in use
  kSplit,     ///< this split of the keys ...
  kSplits,    ///< ... of so many
  kDocument,  ///< documents: index; kBatch is 0 for strides then
  kPack,      ///< few queries: query heads held at once, else 0; CUDA: else 1
  kHeld,      ///< few queries: rows held, kPack * kRows
  kPageRow,   ///< keys in pages: address of the sequence's row of the table
  kTile,      ///< number of the tile
  kWarps,     ///< CUDA, several splits: 16 rows each, of the highest tile
  kTileRow,   ///< documents: storage row of the tile's first row ...
  kTileEnd,   ///< ... and of the one behind its last
  kFrameWords
};

/// Words a stream, after the frame.
enum StreamWord : int64_t {
  kKeyAt,     ///< address of key 0 of the document, or of page 0
  kValueAt,   ///< address of value 0, or of page 0
  kKeyStride, ///< bytes
  kValueStride,
  kNk,       ///< keys of the document
  kPosition, ///< position of row kRow0 over these keys
  kKeyBase,  ///< storage index of key 0
  kClipLo,   ///< keys of this split
  kClipHi,
  kStreamWords
};

/// Words a list of a stream.
enum ListWord : int64_t {
  kNext,     ///< index into cols
  kEnd,      ///< one past the last
  kPrevious, ///< last accepted block id
  kBlockLo,  ///< first key of the current block, or a huge number
  kBlockHi,
  kListWords
};

inline constexpr int64_t kNever = int64_t(1) << 62;

/// Byte offsets into the scratch.
struct ScratchLayout {
  llvm::SmallVector<int64_t> stream;                  ///< [s] stream words
  llvm::SmallVector<llvm::SmallVector<int64_t>> list; ///< [s][l] list words
  /// [s][c] ranges of a case: count, lo0, hi0, ... for touched, then notFull.
  llvm::SmallVector<llvm::SmallVector<int64_t>> touched, notFull;
  /// [s][class] number of positions collected, then the positions.
  llvm::SmallVector<llvm::SmallVector<int64_t>> gathered;
  int64_t query, output, top, sum, alpha, scores, rowScores, rowSigns, keys,
      values;
  int64_t bytes = 0;

  int64_t take(int64_t count) {
    int64_t at = bytes;
    bytes = (bytes + count + 63) / 64 * 64;
    return at;
  }
  /// First the frame, then the streams in order, and behind each what a back
  /// end takes for it.
  void addFrame() { take(8 * kFrameWords); }
  void addStream(tile::StreamOp op);
  /// Of the words of a tile: the frame and those of the streams.
  int64_t tileBytes() const { return stream.back() + 8 * kStreamWords; }
};

} // namespace filigree::walk

#endif // FILIGREE_CODEGEN_WALK_FRAME_H
