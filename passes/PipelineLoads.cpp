//===- PipelineLoads.cpp - choose the stages of the rings of loads --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Before: kernels with warps and classified cases. After: kernels that say how
// many chunks of keys, and as many of values, loads may run ahead.
//
// One stage is multiplied while the others are loaded: two hide the loads of
// long chunks, four those of short ones, whose products are over sooner. More
// gain nothing. A power of two, so that stage and phase of a running number are
// bits of it. Few queries wait for memory, and what is in flight counts: as
// many stages as fit.
//
//===----------------------------------------------------------------------===//
#include "codegen/Target.h"
#include "codegen/cuda/TileCopies.h"
#include "codegen/walk/Frame.h"
#include "passes/Passes.h"
#include "llvm/Support/MathExtras.h"

namespace filigree {
#define GEN_PASS_DEF_PIPELINELOADS
#include "passes/Passes.h.inc"
} // namespace filigree

using namespace mlir;
using namespace filigree;

/// Bytes of a row of a tile in shared memory: blocks of 64 elements of 16 bits.
static int64_t rowBytes(int64_t dim) { return 128 * llvm::divideCeil(dim, 64); }

/// A bound of the slots of a run: of a tensor as many as FIL_ABI_TENSOR_SLOTS,
/// and what its extents are named by.
static int64_t slotBytes(tile::KernelOp kernel) {
  int64_t slots = 2;
  for (Type type : kernel.getBody().front().getArgumentTypes()) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    slots += tensor ? 9 + tensor.getRank() : 1;
  }
  return 8 * slots;
}

/// A bound of what is no tile: the words of the walk, copies of the words of a
/// tile, a ring and its barriers or a table, and a copy of the slots, if the
/// walk reads that.
static int64_t walkBytes(tile::KernelOp kernel, bool ring, bool copiesSlots) {
  const int64_t copies =
      ring ? cuda::kTiles + cuda::kEntries : 1 + cuda::kMostTiles;
  constexpr int64_t rest = 368;
  int64_t pages = 0;
  kernel.walk([&](tile::FoldOp fold) {
    if (fold.getPageTable())
      pages = 512; // of the boxes of the ring's chunks
  });
  walk::ScratchLayout layout;
  layout.addFrame();
  kernel.walk([&](tile::StreamOp stream) { layout.addStream(stream); });
  return layout.bytes + copies * layout.tileBytes() + pages + rest +
         (copiesSlots ? slotBytes(kernel) : 0);
}

namespace {

class PipelineLoads : public filigree::impl::PipelineLoadsBase<PipelineLoads> {
public:
  using PipelineLoadsBase::PipelineLoadsBase;

private:
  void runOnOperation() override {
    tile::KernelOp kernel = getOperation();
    const CudaTarget *cuda = lookupCudaTarget(target);
    if (!cuda || !kernel.getWarps()) {
      kernel.emitOpError("expected warps and a CUDA target, but got `")
          << target << "`";
      return signalPassFailure();
    }
    int64_t keyDim = 0, valueDim = 0;
    kernel.walk([&](tile::StreamOp stream) {
      auto dimOf = [](Value tensor) {
        return cast<RankedTensorType>(tensor.getType()).getDimSize(3);
      };
      keyDim = std::max(keyDim, dimOf(stream.getKey()));
      valueDim = std::max(valueDim, dimOf(stream.getValue()));
    });
    bool ring = cuda->loadWarps > 0;
    int64_t rows =
        llvm::alignTo(kernel.getSchedule()->getRows(), cuda->groupRows);
    // Outputs have a place of 8 rows of 64 columns a warp, or that of queries.
    int64_t queries =
        ring ? rows * rowBytes(keyDim) + rows / 16 * 1024
             : rows * std::max(rowBytes(keyDim), rowBytes(valueDim));
    int64_t chunk = kernel.getSchedule()->getChunk();
    int64_t stage = chunk * (rowBytes(keyDim) + rowBytes(valueDim));
    const int64_t words = ring ? 48 : 0; // of a chunk, and its barriers
    int64_t shared = cuda->sharedOf(kernel.getWarps()->getCtas());
    int64_t room = shared - queries - walkBytes(kernel, ring, few || !ring);
    int64_t most = few ? cuda->mostStagesOfFew : cuda->mostStages;
    int64_t stages = std::min(most, room / (stage + words));
    if (!few)
      stages = int64_t(llvm::bit_floor(uint64_t(std::max<int64_t>(stages, 1))));
    stages = std::max<int64_t>(stages, 1);
    std::string reason = "stages of " + std::to_string(stage) +
                         " bytes, beside " + std::to_string(queries) +
                         " of queries and outputs, in " +
                         std::to_string(shared);
    kernel.setPipelineAttr(tile::PipelineAttr::get(
        &getContext(), stages, StringAttr::get(&getContext(), reason)));
  }
};

} // namespace
