//===- CaseProof.cpp - the predicate of a tile.case, with its symbols -----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Analysis/CaseProof.h"

using namespace mlir;
using namespace filigree;

RegionPredicate filigree::predicateOfCase(tile::CaseOp op) {
  auto kernel = op->getParentOfType<tile::KernelOp>();
  tile::FoldOp fold = *kernel.getOps<tile::FoldOp>().begin();
  OffsetKind offset = fold.getOffsets()   ? OffsetKind::Table
                      : fold.getTopLeft() ? OffsetKind::TopLeft
                                          : OffsetKind::BottomRight;
  Block &mask = op.getMask().front();
  auto boundsOf = [&](Value value) {
    SymbolInfo info;
    if (auto lookup = value.getDefiningOp<attn::LookupOp>())
      value = lookup.getTable();
    auto argument = cast<BlockArgument>(value);
    if (argument.getOwner() == &mask) { // b or h
      info.name = argument.getArgNumber() == 0 ? "b" : "h";
      info.lo = 0;
      return info;
    }
    auto attrs =
        cast<DictionaryAttr>(kernel.getArgs()[argument.getArgNumber()]);
    info.name = cast<StringAttr>(attrs.get("name")).str();
    if (!isa<RankedTensorType>(argument.getType())) {
      if (auto min = attrs.getAs<IntegerAttr>("min"))
        info.lo = min.getInt();
      if (auto max = attrs.getAs<IntegerAttr>("max"))
        info.hi = max.getInt();
    }
    return info;
  };
  return predicateOf(mask, offset, boundsOf);
}

BlockSet filigree::blocksOfCase(const RegionPredicate &region,
                                const Tiling &tiling, MLIRContext *context) {
  if (region.tooLarge)
    return BlockSet::conservative(
        region.domain, tiling,
        "the predicate has more than " +
            std::to_string(RegionPredicate::kMostNodes) + " operations",
        context);
  return computeBlockSet(region.predicate, region.domain, tiling, context);
}
