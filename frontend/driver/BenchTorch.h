//===- BenchTorch.h - filigree bench --against torch ----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Launches must alternate in one process, and that process is PyTorch's: a
// script loads the artifact beside it (test/bench/torch_peer.py).
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_BENCHTORCH_H
#define FILIGREE_FRONTEND_DRIVER_BENCHTORCH_H

#include "frontend/driver/LoadPattern.h"
#include "frontend/driver/RunShape.h"

namespace filigree {

struct TorchRequest {
  std::string artifact, kernel, variant, mask;
  std::string device = "cpu";
  RunShape shape;
  int64_t headDim = 0;
  unsigned threads = 1, repeat = 1;
  std::vector<Setting> settings;
  std::string json; ///< empty: none
};

/// Error if there is no Python with PyTorch that can use `device` (cpu or
/// cuda), or not the script.
llvm::Error requireTorch(llvm::StringRef device);

/// Prints what the script says. Error if the answers differ.
llvm::Error runTorchPeer(const TorchRequest &request);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_BENCHTORCH_H
