//===- BenchPairs.h - the pairs of a run, from the artifact's pattern -----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_BENCHPAIRS_H
#define FILIGREE_FRONTEND_DRIVER_BENCHPAIRS_H

#include "codegen/reference/Interpreter.h"
#include "frontend/driver/RunShape.h"

namespace filigree {

struct PairTotal {
  bool known = false, exact = true;
  std::string reason; ///< why not known
  uint64_t pairs = 0; ///< of all batch entries and heads
  int64_t keyDim = 0, valueDim = 0;
};

/// Counts the pairs of the pattern in `ir` (attn IR as text) on `inputs`: by
/// closed forms where these suffice, of lists and documents from their data,
/// and else by evaluation, unless that takes too long.
llvm::Expected<PairTotal> pairsOfRun(llvm::StringRef ir, const RunShape &shape,
                                     const reference::Inputs &inputs);

/// The graph as test/bench/torch_peer.py takes it: "dense", "causal", or Python
/// over i, j, b and h. Error if one expression cannot say it.
llvm::Expected<std::string> torchMask(llvm::StringRef ir, const RunShape &shape,
                                      const reference::Inputs &inputs);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_BENCHPAIRS_H
