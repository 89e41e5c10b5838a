//===- TileCopies.h - how often shared memory has the words of a tile -----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Those who walk are ahead of those who load, and these of those who compute:
// each tile under way has words of its own. pipeline-loads leaves them room.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CUDA_TILECOPIES_H
#define FILIGREE_CODEGEN_CUDA_TILECOPIES_H

#include <cstdint>

namespace filigree::cuda {

/// Where warps of their own walk and load: entries between them. Each may begin
/// a tile.
inline constexpr int32_t kEntries = 8;
/// Tiles at hand: while a warpgroup stores one another may be a tile ahead, and
/// the loads another.
inline constexpr int32_t kTiles = 4;
/// Where all warps do everything: tiles that the entries of a table begin; one
/// more is at hand.
inline constexpr int32_t kMostTiles = 4;

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_TILECOPIES_H
