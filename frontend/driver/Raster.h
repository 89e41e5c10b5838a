//===- Raster.h - a graph as tiles: empty, partial, full ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts, per tile, the pairs the reference allows. Long sequences are sampled:
// a few rows of every row of tiles; counts are then estimates, and said to be.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_RASTER_H
#define FILIGREE_FRONTEND_DRIVER_RASTER_H

#include "codegen/reference/Interpreter.h"

namespace filigree {

enum class TileClass : uint8_t { Empty, Partial, Full };

struct Raster {
  int64_t queries = 0, keys = 0, tile = 1;
  int64_t rows = 0, cols = 0;   ///< in tiles
  std::vector<uint64_t> counts; ///< allowed pairs, [rows][cols]
  bool sampled = false;

  int64_t height(int64_t row) const {
    return std::min(tile, queries - row * tile);
  }
  int64_t width(int64_t col) const { return std::min(tile, keys - col * tile); }
  uint64_t count(int64_t row, int64_t col) const {
    return counts[row * cols + col];
  }
  TileClass at(int64_t row, int64_t col) const;
  uint64_t pairs() const;
  uint64_t tiles(TileClass cls) const;
  /// "4096 x 4096, tiles of 128: 3.1 % of the pairs; 928 tiles empty, ...".
  std::string caption() const;
};

/// One (b, h). A pair counts once, however many sources have it; sources whose
/// number of keys differs from the first one's are left out.
llvm::Expected<Raster> rasterize(mlir::func::FuncOp function,
                                 const reference::Inputs &inputs, int64_t b,
                                 int64_t h, int64_t tile);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_RASTER_H
