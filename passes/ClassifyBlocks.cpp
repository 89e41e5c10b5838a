//===- ClassifyBlocks.cpp - prove which tiles are empty, full, partial ----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Before: cases with masks, a schedule on the kernel. After: each masked case
// has its runs in closed form, a `symbols` region that computes what they
// depend on, and `refine` where the proof was not exact. The mathematics is in
// dialect/BlockSet.h, the proof in passes/Analysis/Projection.cpp.
//
//===----------------------------------------------------------------------===//
#include "mlir/IR/IRMapping.h"
#include "passes/Analysis/CaseProof.h"
#include "passes/Passes.h"

namespace filigree {
#define GEN_PASS_DEF_CLASSIFYBLOCKS
#include "passes/Passes.h.inc"
} // namespace filigree

using namespace mlir;
using namespace filigree;

static tile::SideAttr sideAttr(const TileSide &side, MLIRContext *context) {
  SmallVector<Attribute> clusters;
  for (const Cluster &cluster : side.clusters) {
    SmallVector<Attribute> boxes;
    for (const Box &box : cluster.boxes)
      boxes.push_back(tile::BoxAttr::get(context, AffineMapAttr::get(box.lo),
                                         AffineMapAttr::get(box.hi),
                                         IntegerSetAttr::get(box.guard)));
    clusters.push_back(ArrayAttr::get(context, boxes));
  }
  return tile::SideAttr::get(context, ArrayAttr::get(context, clusters),
                             side.exact, side.sorted);
}

/// Fills the case's `symbols` region: the values of symbols 2, 3, ...
static void buildSymbols(tile::CaseOp op, const RegionPredicate &region,
                         Value offsets) {
  Block *block = new Block();
  op.getSymbols().push_back(block);
  OpBuilder builder = OpBuilder::atBlockEnd(block);
  Location loc = op.getLoc();
  Type i64 = builder.getI64Type();
  block->addArguments({i64, i64}, {loc, loc});
  Block &mask = op.getMask().front();
  IRMapping map;
  map.map(mask.getArgument(0), block->getArgument(0));
  map.map(mask.getArgument(1), block->getArgument(1));
  SmallVector<Value> values;
  for (Value symbol : region.symbols) {
    if (!symbol) {
      values.push_back(attn::LookupOp::create(builder, loc, i64, offsets,
                                              block->getArgument(0)));
    } else if (auto lookup = symbol.getDefiningOp<attn::LookupOp>()) {
      values.push_back(builder.clone(*lookup, map)->getResult(0));
    } else {
      values.push_back(map.lookupOrDefault(symbol));
    }
  }
  tile::YieldOp::create(builder, loc, values);
}

namespace {
class ClassifyBlocks
    : public filigree::impl::ClassifyBlocksBase<ClassifyBlocks> {
  void runOnOperation() override {
    tile::KernelOp kernel = getOperation();
    std::optional<tile::ScheduleAttr> schedule = kernel.getSchedule();
    if (!schedule) {
      kernel.emitOpError("expected a schedule before classify-blocks");
      return signalPassFailure();
    }
    tile::FoldOp fold = *kernel.getOps<tile::FoldOp>().begin();
    bool packed = bool(fold.getCuQuery());
    Tiling tiling =
        packed ? Tiling::rows(schedule->getRows(), schedule->getGranule())
               : Tiling::tiles(schedule->getRows(), schedule->getGranule());
    kernel.walk([&](tile::CaseOp op) {
      if (op.getMask().empty())
        return;
      RegionPredicate region = predicateOfCase(op);
      BlockSet blocks = computeBlockSet(region.predicate, region.domain, tiling,
                                        &getContext());
      if (op.getSymbols().empty())
        buildSymbols(op, region, fold.getOffsets());
      op.setRunsAttr(
          tile::RunsAttr::get(&getContext(), schedule->getGranule(),
                              sideAttr(blocks.touched, &getContext()),
                              sideAttr(blocks.notFull, &getContext())));
      op.setRefine(!blocks.touched.exact || !blocks.notFull.exact);
    });
  }
};
} // namespace
