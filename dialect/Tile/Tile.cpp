//===- Tile.cpp - registration and verifiers of the tile dialect ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialect/Tile/Tile.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace filigree::tile;

#include "dialect/Tile/TileDialect.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialect/Tile/TileAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/Tile/TileTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialect/Tile/TileOps.cpp.inc"

void TileDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialect/Tile/TileAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/Tile/TileTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/Tile/TileOps.cpp.inc"
      >();
}

CaseOp filigree::tile::firstWithMaskOf(CaseOp op) {
  auto stream = op->getParentOfType<StreamOp>();
  for (auto other : stream.getBody().front().getOps<CaseOp>())
    if (other == op || OperationEquivalence::isRegionEquivalentTo(
                           &op.getMask(), &other.getMask(),
                           OperationEquivalence::IgnoreLocations))
      return other;
  return op;
}

LogicalResult StreamOp::verify() {
  size_t lists = getStarts().size();
  if (getCounts().size() != lists || getCols().size() != lists ||
      getBlocks().size() != 2 * lists)
    return emitOpError("expected as many counts, cols and block shapes as "
                       "starts (")
           << lists << "), but got " << getCounts().size() << ", "
           << getCols().size() << " and " << getBlocks().size() / 2;
  if (getGather() && lists == 0)
    return emitOpError("expected a list to gather keys by, but got none");
  SmallVector<int64_t> seen;
  unsigned edges = 0;
  for (Operation &op : getBody().front()) {
    if (auto caseOp = dyn_cast<CaseOp>(op)) {
      int64_t members = caseOp.getMembers();
      if (members < 0 || members >= (int64_t(1) << lists))
        return caseOp.emitOpError("expected a member set below ")
               << (int64_t(1) << lists) << ", but got " << members;
      if (llvm::is_contained(seen, members))
        return caseOp.emitOpError("expected one case per member set, but ")
               << members << " is repeated";
      seen.push_back(members);
    } else if (isa<EdgeOp>(op)) {
      if (++edges > 1)
        return op.emitOpError("expected at most one edge in a stream");
    } else {
      return op.emitOpError("expected only cases and an edge in a stream");
    }
  }
  return success();
}
