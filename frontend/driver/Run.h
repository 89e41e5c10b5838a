//===- Run.h - filigree run: an artifact on arrays from files -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_RUN_H
#define FILIGREE_FRONTEND_DRIVER_RUN_H

#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <string>
#include <vector>

namespace filigree {

struct RunRequest {
  std::string artifact;
  /// Empty: the only one, or the one that fits the inputs.
  std::string kernel, variant;
  std::vector<std::string> inputs;   ///< items of --in
  std::vector<std::string> settings; ///< name=value
  std::string device = "cpu", isa = "auto";
  std::string output; ///< empty: none
  bool check = false, cast = false;
  bool allowJit = false; ///< cuda: let the driver compile PTX
  unsigned repeat = 1, threads = 0;
};

/// Opens, runs, times, checks and writes, and tells `os` about it. Nothing is
/// written if the check fails.
llvm::Error runArtifact(const RunRequest &request, llvm::raw_ostream &os);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_RUN_H
