//===- Bench.h - filigree bench: time a compiled pattern ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_BENCH_H
#define FILIGREE_FRONTEND_DRIVER_BENCH_H

#include "frontend/driver/LoadPattern.h"
#include "frontend/driver/RunShape.h"

namespace filigree {

struct BenchRequest {
  std::string artifact, kernel, variant;
  std::string device = "cpu", isa = "auto";
  std::string json, against; ///< empty: none
  std::vector<int64_t> lengths;
  int64_t queries = -1;
  RunShape shape; ///< lengths apart
  std::vector<std::string> inputs;
  std::vector<Setting> settings;
  unsigned threads = 0, repeat = 10;
  bool pin = false, check = false;
  bool allowJit = false; ///< cuda: let the driver compile PTX
};

/// Opens, times, checks and compares, and tells `os` about it.
llvm::Error benchArtifact(const BenchRequest &request, llvm::raw_ostream &os);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_BENCH_H
