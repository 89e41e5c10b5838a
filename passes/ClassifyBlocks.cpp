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

/// More operations than this in the masks and edges of a kernel are refused:
/// code for each takes milliseconds to make, and more than in proportion.
static constexpr int64_t kMostOperations = 2048;

static int64_t countOperations(tile::KernelOp kernel) {
  int64_t count = 0;
  auto add = [&](Region &region) {
    region.walk([&](Operation *) { ++count; });
  };
  kernel.walk([&](tile::CaseOp op) {
    if (tile::firstWithMaskOf(op) == op)
      add(op.getMask());
  });
  kernel.walk([&](tile::EdgeOp op) { add(op.getBody()); });
  return count;
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
    if (int64_t count = countOperations(kernel); count > kMostOperations) {
      kernel.emitOpError("expected at most ")
          << kMostOperations
          << " operations in the predicates and edges of a pattern, but got "
          << count;
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
      // Cases that differ in their member sets alone share the proof.
      if (tile::CaseOp first = tile::firstWithMaskOf(op);
          first != op && first.getRuns()) {
        IRMapping map;
        if (op.getSymbols().empty())
          first.getSymbols().cloneInto(&op.getSymbols(), map);
        op.setRunsAttr(*first.getRuns());
        op.setRefine(first.getRefine());
        return;
      }
      RegionPredicate region = predicateOfCase(op);
      BlockSet blocks = blocksOfCase(region, tiling, &getContext());
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
