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

/// A tile of two consumer warpgroups, and what their registers hold of it: sums
/// of 64 rows of values and of a chunk of scores.
constexpr int64_t kCudaRows = 128;
constexpr int64_t kCudaChunk = 128;
constexpr int64_t kCudaTallRows = 192;
constexpr int64_t kCudaTallChunk = 96; // 152 registers a thread
constexpr int64_t kCudaNarrow = 64; // head sizes that leave registers for them
constexpr int64_t kCudaWideChunk = 64; // values of more than 128 dimensions
constexpr int64_t kCudaEdgeChunk = 64; // edges that compute

class ChooseSchedule
    : public filigree::impl::ChooseScheduleBase<ChooseSchedule> {
public:
  using ChooseScheduleBase::ChooseScheduleBase;

private:
  void chooseForCuda(tile::KernelOp kernel) {
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
    int64_t rows = std::gcd(kCudaRows, commonRows);
    int64_t chunk = valueDim > 128 ? kCudaWideChunk : kCudaChunk;
    std::string reason = "two warpgroups of 64 rows";
    if (std::max(keyDim, valueDim) <= kCudaNarrow && commonRows == 0 &&
        !edges) {
      // Little to multiply a pair: a third warpgroup hides exponentials.
      rows = kCudaTallRows;
      chunk = kCudaTallChunk;
      reason = "three warpgroups of 64 rows";
    }
    reason += "; values of " + std::to_string(valueDim) +
              " dimensions leave registers for chunks of " +
              std::to_string(chunk);
    if (edges && chunk > kCudaEdgeChunk) {
      chunk = kCudaEdgeChunk;
      reason += "; what edges compute, for " + std::to_string(chunk);
    }
    if (mostChunk != 0 && chunk > mostChunk) {
      chunk = mostChunk;
      reason += "; a wider one spilled, so " + std::to_string(chunk);
    }
    if (commonKeys % chunk != 0 && commonKeys % 16 == 0) {
      chunk = std::gcd(chunk, commonKeys);
      reason += "; blocks of the lists, for " + std::to_string(chunk);
    }
    kernel.setScheduleAttr(
        tile::ScheduleAttr::get(&getContext(), rows, chunk, chunk, chunk,
                                StringAttr::get(&getContext(), reason)));
  }

  void runOnOperation() override {
    tile::KernelOp kernel = getOperation();
    if (target == "cuda")
      return chooseForCuda(kernel);
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
