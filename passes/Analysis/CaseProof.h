//===- CaseProof.h - the predicate of a tile.case, with its symbols -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_PASSES_ANALYSIS_CASEPROOF_H
#define FILIGREE_PASSES_ANALYSIS_CASEPROOF_H

#include "dialect/BlockSet.h"
#include "dialect/Tile/Tile.h"
#include "passes/Analysis/RegionPredicate.h"

namespace filigree {

/// The mask of `op` as a Predicate over the positions its kernel gives; bounds
/// of parameters come from the kernel's argument table.
RegionPredicate predicateOfCase(tile::CaseOp op);

/// computeBlockSet of it, conservative where the predicate is too large.
BlockSet blocksOfCase(const RegionPredicate &region, const Tiling &tiling,
                      mlir::MLIRContext *context);

} // namespace filigree

#endif // FILIGREE_PASSES_ANALYSIS_CASEPROOF_H
