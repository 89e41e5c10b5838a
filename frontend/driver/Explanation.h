//===- Explanation.h - what was proved about a kernel, and its work -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From a scheduled and classified kernel and a shape to facts; `explain` prints
// them, `bench` takes the pairs.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_EXPLANATION_H
#define FILIGREE_FRONTEND_DRIVER_EXPLANATION_H

#include "codegen/reference/Interpreter.h"
#include "dialect/Tile/Tile.h"
#include "frontend/driver/PairCount.h"
#include "passes/Analysis/RegionPredicate.h"

namespace filigree {

/// Pairs of segments with one member set.
struct CaseFacts {
  /// Bit t: list t of the source has the block.
  uint64_t members = 0;
  /// False: every pair is an edge, and the next four are empty.
  bool masked = false;
  RegionPredicate region;
  std::string predicate;
  BlockSet blocks;
  double milliseconds = 0; ///< of the proof
  bool refine = false;
  /// Symbols whose value only a run has.
  llvm::SmallVector<std::string> unknown;
  /// Summed over heads, as if every segment had this member set; none if there
  /// are unknown symbols, or the predicate is too large.
  std::optional<PairCount> count;
};

struct SourceFacts {
  std::string key, value;
  llvm::SmallVector<std::string> lists;
  llvm::SmallVector<int64_t> blocks; ///< rows, columns of each list
  bool edge = false;
  std::vector<CaseFacts> cases;
};

struct KernelFacts {
  std::string name, reason;
  tile::WarpsAttr warps;       ///< on CUDA
  tile::PipelineAttr pipeline; ///< likewise
  int64_t rows = 0, chunk = 0, maskedChunk = 0, granule = 0;
  int64_t keyDim = 0, valueDim = 0;
  unsigned elementBytes = 0, outputBytes = 0;
  bool packed = false, offsets = false, topLeft = false, sink = false;
  int64_t page = 0; ///< keys of a page; 0: keys lie one after the other
  std::vector<SourceFacts> sources;
  /// name = value of scalars of the run, in the order of the kernel.
  std::vector<std::pair<std::string, std::string>> scalars;

  /// The pairs of all sources and heads; none where a run decides.
  std::optional<PairCount> total() const;
};

struct FactsRequest {
  int64_t queries = 0, keys = 0, heads = 1;
  llvm::StringMap<reference::Scalar> scalars;
};

/// Error if a scalar has no value, a value is out of bounds, or is not a
/// parameter. In packed input, counts are those of one document.
llvm::Expected<KernelFacts> factsOf(tile::KernelOp kernel,
                                    const FactsRequest &request);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_EXPLANATION_H
