//===- ChooseSchedule.cpp - choose rows, chunk and proof granule ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Before: kernels without a schedule. After: kernels with one, and streams that
// say whether they gather.
//
// A tall tile re-reads keys less often, and costs a band nothing: within a
// partial tile each panel of queries is classified again, so its waste is that
// of a panel and a masked chunk, whatever the height. Only block lists bound
// it: a tile lies in one row of every list.
//
// A block of a list may be a few keys: a chunk of its own would be short, and
// the next one unknown to what asks ahead. Gathered keys fill chunks; the
// price, a copy of each row that has no neighbour, is a few hundredths of the
// products.
//
//===----------------------------------------------------------------------===//
#include "codegen/Target.h"
#include "passes/Analysis/CaseProof.h"
#include "passes/Passes.h"
#include <numeric>

namespace filigree {
#define GEN_PASS_DEF_CHOOSESCHEDULE
#include "passes/Passes.h.inc"
} // namespace filigree

using namespace mlir;
using namespace filigree;

namespace {

constexpr int64_t kMaxRows = 128; // 4 panels of 32: queries stay in the L2
constexpr int64_t kChunk = 128;   // scores of one panel stay in the L1
constexpr int64_t kMaskedChunk = 32;
constexpr int64_t kGranule = 16;
/// Lists of blocks narrower than this are gathered. Measured with and without:
/// 2.9 times the rate at 1 key a block, 1.02 to 1.08 from 16 to 256, 1.00 at
/// 512 (test/bench/NOTES.md).
constexpr int64_t kGatherBelow = 512;

class ChooseSchedule
    : public filigree::impl::ChooseScheduleBase<ChooseSchedule> {
public:
  using ChooseScheduleBase::ChooseScheduleBase;

private:
  void chooseForCuda(tile::KernelOp kernel, const CudaTarget &cuda) {
    int64_t commonRows = 0, commonKeys = 0, keyDim = 0, valueDim = 0;
    bool edges = false;
    kernel.walk([&](tile::EdgeOp) { edges = true; });
    kernel.walk([&](tile::StreamOp stream) {
      for (size_t list = 0; list < stream.getBlocks().size(); list += 2) {
        commonRows = std::gcd(commonRows, stream.getBlocks()[list]);
        commonKeys = std::gcd(commonKeys, stream.getBlocks()[list + 1]);
      }
      auto type = cast<RankedTensorType>(stream.getValue().getType());
      valueDim = std::max(valueDim, type.getDimSize(3));
      auto keyType = cast<RankedTensorType>(stream.getKey().getType());
      keyDim = std::max(keyDim, keyType.getDimSize(3));
    });
    // The most pairs at a time, of what lies in one block of every list. Blocks
    // that no wide product fits into are loaded one by one.
    int64_t rows = 0, chunk = 0, wide = 0;
    const CudaTile *chosen = nullptr;
    for (const CudaTile &tile : cuda.tiles) {
      if (keyDim > tile.keyDim || valueDim > tile.valueDim)
        continue;
      int64_t most = edges ? tile.edgeKeys : tile.keys;
      if (mostChunk != 0)
        most = std::min<int64_t>(most, mostChunk);
      bool low = few && std::max(keyDim, valueDim) <= cuda.lowTileDim;
      int64_t inBlocks =
          std::gcd(int64_t(low ? cuda.groupRows : tile.rows), commonRows);
      int64_t keys = commonKeys % 16 ? most : std::gcd(most, commonKeys);
      if (inBlocks * keys <= rows * chunk)
        continue;
      chosen = &tile;
      wide = most;
      rows = inBlocks;
      chunk = keys;
    }
    if (!chosen) {
      kernel.emitOpError("expected head sizes of at most ")
          << cuda.tiles.back().keyDim << " and " << cuda.tiles.back().valueDim
          << " on target `cuda:" << cuda.name << "`, but got " << keyDim
          << " and " << valueDim;
      return signalPassFailure();
    }
    std::string reason = "heads of " + std::to_string(keyDim) + " and " +
                         std::to_string(valueDim) +
                         " dimensions leave registers for " +
                         std::to_string(chosen->rows) + " rows and chunks of " +
                         std::to_string(chosen->keys);
    if (edges && chosen->edgeKeys < chosen->keys)
      reason += "; what edges compute, for " + std::to_string(chosen->edgeKeys);
    if (wide == mostChunk)
      reason += "; a wider one spilled, so " + std::to_string(wide);
    if (few && rows == cuda.groupRows)
      reason += "; few queries, for " + std::to_string(rows) + " rows";
    else if (rows < chosen->rows)
      reason += "; blocks of the lists, for " + std::to_string(rows) + " rows";
    if (chunk < wide)
      reason += "; blocks of the lists, for chunks of " + std::to_string(chunk);
    kernel.setScheduleAttr(
        tile::ScheduleAttr::get(&getContext(), rows, chunk, chunk, chunk,
                                StringAttr::get(&getContext(), reason)));
  }

  void runOnOperation() override {
    tile::KernelOp kernel = getOperation();
    if (const CudaTarget *cuda = lookupCudaTarget(target))
      return chooseForCuda(kernel, *cuda);
    if (target != "cpu") {
      kernel.emitOpError("expected target cpu or one of CUDA, but got `")
          << target << "`";
      return signalPassFailure();
    }
    int64_t rows = kMaxRows;
    std::string reason = "queries of " + std::to_string(kMaxRows) +
                         " rows re-read keys least often";
    // A tile must lie in one row of every list.
    int64_t common = 0;
    kernel.walk([&](tile::StreamOp stream) {
      for (size_t list = 0; list < stream.getBlocks().size(); list += 2)
        common = std::gcd(common, stream.getBlocks()[list]);
    });
    if (common % kMaxRows != 0) {
      rows = common < kMaxRows ? common : std::gcd(kMaxRows, common);
      reason = "a tile lies in one row of blocks of " + std::to_string(common) +
               " rows";
    }
    kernel.walk([&](tile::StreamOp stream) {
      int64_t narrowest = kGatherBelow;
      for (size_t list = 0; list < stream.getBlocks().size(); list += 2)
        narrowest = std::min(narrowest, stream.getBlocks()[list + 1]);
      if (narrowest == kGatherBelow)
        return;
      stream.setGather(true);
      std::string why = "; keys in blocks of " + std::to_string(narrowest) +
                        " are gathered into whole chunks";
      if (!StringRef(reason).contains(why))
        reason += why;
    });
    kernel.setScheduleAttr(tile::ScheduleAttr::get(
        &getContext(), rows, kChunk, kMaskedChunk, kGranule,
        StringAttr::get(&getContext(), reason)));
  }
};

} // namespace
