//===- AttnFold.cpp - set algebra and merges, simplified ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SPEC.md lists the rules under Fold of each op.
//
//===----------------------------------------------------------------------===//
#include "dialect/Attn/Attn.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace filigree::attn;

/// x | x = x & x = x.
template <typename Op> static OpFoldResult foldIdempotent(Op op) {
  return op.getLhs() == op.getRhs() ? OpFoldResult(op.getLhs())
                                    : OpFoldResult();
}

OpFoldResult UnionOp::fold(FoldAdaptor) { return foldIdempotent(*this); }
OpFoldResult IntersectOp::fold(FoldAdaptor) { return foldIdempotent(*this); }

/// x \ y \ y = x \ y.
OpFoldResult DifferenceOp::fold(FoldAdaptor) {
  if (auto inner = getLhs().getDefiningOp<DifferenceOp>())
    if (inner.getRhs() == getRhs())
      return getLhs();
  return {};
}

/// Complement twice is the graph itself.
OpFoldResult ComplementOp::fold(FoldAdaptor) {
  if (auto inner = getOperand().getDefiningOp<ComplementOp>())
    return inner.getOperand();
  return {};
}

OpFoldResult ModOp::fold(FoldAdaptor adaptor) {
  auto x = dyn_cast_or_null<IntegerAttr>(adaptor.getDividend());
  auto c = dyn_cast_or_null<IntegerAttr>(adaptor.getDivisor());
  if (!x || !c || c.getInt() <= 0)
    return {};
  int64_t remainder = x.getInt() % c.getInt();
  return IntegerAttr::get(x.getType(),
                          remainder < 0 ? remainder + c.getInt() : remainder);
}

/// Sources add, so two folds over the same queries are one fold.
LogicalResult MergeOp::canonicalize(MergeOp op, PatternRewriter &rewriter) {
  auto lhs = op.getLhs().getDefiningOp<AttendOp>();
  auto rhs = op.getRhs().getDefiningOp<AttendOp>();
  if (!lhs || !rhs || lhs.getQuery() != rhs.getQuery() ||
      lhs.getCuQuery() != rhs.getCuQuery() ||
      lhs.getCuKey() != rhs.getCuKey() ||
      lhs.getPageTable() != rhs.getPageTable() ||
      lhs.getLengths() != rhs.getLengths() ||
      lhs.getPageAttr() != rhs.getPageAttr() ||
      lhs.getOffsets() != rhs.getOffsets() || lhs.getAlign() != rhs.getAlign())
    return failure();
  // One fold takes one element type of keys and one of values.
  auto first = lhs.getSources().front().getDefiningOp<SourceOp>();
  auto other = rhs.getSources().front().getDefiningOp<SourceOp>();
  if (getElementTypeOrSelf(first.getKey()) !=
          getElementTypeOrSelf(other.getKey()) ||
      getElementTypeOrSelf(first.getValue()) !=
          getElementTypeOrSelf(other.getValue()))
    return failure();
  SmallVector<Value> sources(lhs.getSources());
  llvm::append_range(sources, rhs.getSources());
  rewriter.replaceOpWithNewOp<AttendOp>(
      op, op.getType(), lhs.getQuery(), sources, lhs.getCuQuery(),
      lhs.getCuKey(), lhs.getPageTable(), lhs.getLengths(), lhs.getOffsets(),
      lhs.getPageAttr(), lhs.getAlign());
  return success();
}
