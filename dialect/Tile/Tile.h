//===- Tile.h - the tile dialect, for C++ ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_DIALECT_TILE_TILE_H
#define FILIGREE_DIALECT_TILE_TILE_H

#include "dialect/Attn/Attn.h"
#include "dialect/BlockSet.h"
#include "mlir/IR/SymbolTable.h"

#include "dialect/Tile/TileDialect.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialect/Tile/TileAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/Tile/TileTypes.h.inc"
#define GET_OP_CLASSES
#include "dialect/Tile/TileOps.h.inc"

namespace filigree::tile {

/// The first case of its stream that has the mask of `op`: `op` itself, or one
/// whose proof and code serve both.
CaseOp firstWithMaskOf(CaseOp op);

} // namespace filigree::tile

#endif // FILIGREE_DIALECT_TILE_TILE_H
