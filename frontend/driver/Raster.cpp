//===- Raster.cpp - a graph as tiles: empty, partial, full ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Raster.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace filigree;

TileClass Raster::at(int64_t row, int64_t col) const {
  uint64_t have = count(row, col);
  if (have == 0)
    return TileClass::Empty;
  return have == uint64_t(height(row) * width(col)) ? TileClass::Full
                                                    : TileClass::Partial;
}

uint64_t Raster::pairs() const {
  uint64_t sum = 0;
  for (uint64_t count : counts)
    sum += count;
  return sum;
}

uint64_t Raster::tiles(TileClass cls) const {
  uint64_t sum = 0;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t col = 0; col < cols; ++col)
      sum += at(row, col) == cls;
  return sum;
}

std::string Raster::caption() const {
  double all = double(queries) * double(keys);
  return llvm::formatv(
             "{0} x {1}, tiles of {2}: {3}{4:f2} % of the pairs; {5} tiles "
             "empty, {6} partial, {7} full{8}",
             queries, keys, tile, sampled ? "about " : "",
             all > 0 ? 100 * double(pairs()) / all : 0.0,
             tiles(TileClass::Empty), tiles(TileClass::Partial),
             tiles(TileClass::Full), sampled ? " (rows sampled)" : "")
      .str();
}

llvm::Expected<Raster> filigree::rasterize(mlir::func::FuncOp function,
                                           const reference::Inputs &inputs,
                                           int64_t b, int64_t h, int64_t tile) {
  auto shapes = reference::graphShapes(function, inputs);
  if (!shapes)
    return shapes.takeError();
  if (shapes->empty())
    return llvm::createStringError("expected a pattern with a source");
  const reference::GraphShape &shape = shapes->front();
  Raster raster;
  raster.queries = shape.queries;
  raster.keys = shape.keys;
  raster.tile = tile;
  raster.rows = llvm::divideCeil(shape.queries, tile);
  raster.cols = llvm::divideCeil(shape.keys, tile);
  raster.counts.assign(raster.rows * raster.cols, 0);

  // About a second of work; first and last rows of tiles are always among them.
  constexpr double most = 3e8;
  double all = double(shape.queries) * double(shape.keys);
  int64_t perTile = tile;
  if (all > most)
    perTile = std::clamp<int64_t>(int64_t(double(tile) * most / all), 2, tile);
  raster.sampled = perTile < tile;

  std::vector<uint8_t> seen;
  for (int64_t row = 0; row < raster.rows; ++row) {
    int64_t height = raster.height(row), taken = std::min(height, perTile);
    std::vector<reference::Row> rows;
    for (int64_t k = 0; k < taken; ++k)
      rows.push_back(
          {b, h,
           row * tile + (taken > 1 ? k * (height - 1) / (taken - 1) : 0)});
    seen.assign(taken * shape.keys, 0);
    int64_t number = 0;
    unsigned current = 0;
    llvm::Error error =
        reference::visitGraph(function, inputs, rows,
                              [&](unsigned source, const reference::Row &,
                                  llvm::ArrayRef<uint8_t> mask) {
                                if (source != current)
                                  number = 0;
                                current = source;
                                if (int64_t(mask.size()) == shape.keys)
                                  for (int64_t c = 0; c < shape.keys; ++c)
                                    seen[number * shape.keys + c] |= mask[c];
                                ++number;
                              });
    if (error)
      return std::move(error);
    for (int64_t col = 0; col < raster.cols; ++col) {
      uint64_t count = 0;
      for (int64_t k = 0; k < taken; ++k)
        for (int64_t c = 0; c < raster.width(col); ++c)
          count += seen[k * shape.keys + col * tile + c];
      // Scaled to the whole tile; neither empty nor full by rounding alone.
      uint64_t sampledAll = taken * raster.width(col);
      uint64_t whole = height * raster.width(col);
      if (count == sampledAll)
        count = whole;
      else if (count)
        count = std::clamp<uint64_t>(
            uint64_t(double(count) * double(height) / double(taken)), 1,
            whole - 1);
      raster.counts[row * raster.cols + col] = count;
    }
  }
  return raster;
}
