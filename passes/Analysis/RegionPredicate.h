//===- RegionPredicate.h - from the body of a mask to a Predicate ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The bodies of attn.where and of tile cases are integer arithmetic in MLIR;
// the proofs speak Predicate. Everything outside (b, h, i, j) becomes a symbol:
// run-time parameters, table entries, and b and h themselves.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_PASSES_ANALYSIS_REGIONPREDICATE_H
#define FILIGREE_PASSES_ANALYSIS_REGIONPREDICATE_H

#include "dialect/Predicate.h"
#include "mlir/IR/Region.h"

namespace filigree {

struct RegionPredicate {
  /// A tree of more nodes is not made. Values that many operations use are
  /// shared in the body, not in the tree, which doubles with each.
  static constexpr unsigned kMostNodes = 4096;

  Predicate predicate;
  /// `predicate` and `symbols` say nothing: the body has to be evaluated.
  bool tooLarge = false;
  PairDomain domain;
  /// Value of symbol `firstParam + k`: a value from outside the body, a lookup
  /// inside it, or the body's argument b or h.
  llvm::SmallVector<mlir::Value> symbols;
};

/// How storage indices become positions.
enum class OffsetKind { BottomRight, TopLeft, Table };

/// `body` has arguments b, h, i, j and a terminator with one i1 operand.
/// With OffsetKind::Table the first symbol, null in `symbols`, is the offset of
/// the batch entry. Bounds of parameters come from `boundsOf`.
RegionPredicate
predicateOf(mlir::Block &body, OffsetKind offset,
            llvm::function_ref<SymbolInfo(mlir::Value)> boundsOf);

} // namespace filigree

#endif // FILIGREE_PASSES_ANALYSIS_REGIONPREDICATE_H
