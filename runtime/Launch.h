//===- Launch.h - what a run on the cpu will do, decided beforehand -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A Plan follows from shapes, scalars, instruction set and worker limit alone;
// fil_workspace and fil_run make the same one. Workspace, in this order, each
// part 64-byte aligned:
//
//   [ order of units | shared by the run | scratch of worker 0 | 1 | ... ]
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_LAUNCH_H
#define FILIGREE_RUNTIME_LAUNCH_H

#include "runtime/ArtifactTable.h"
#include "runtime/filigree.h"

namespace filigree::runtime {

struct Plan {
  const fil_abi_cpu *cpu;
  uint32_t workers;          ///< at least 1; no more than units of any phase
  int64_t units[kMaxPhases]; ///< per phase
  size_t sharedOffset, scratchOffset;
  size_t scratchStride; ///< bytes per worker
  size_t bytes;         ///< of the whole workspace
};

/// Options with defaults filled in.
struct RunOptions {
  uint32_t workerLimit;
  fil_parallel_for parallelFor; ///< null: the library's own pool
  void *context;
  uint32_t isa; ///< FIL_ABI_CPU_*: the lower of machine and caller
  bool checked;
  fil_status_word *status;
  void *stream;  ///< cuda runs
  bool allowJit; ///< cuda runs
};

fil_status planRun(const fil_abi_kernel &kernel, const int64_t *slots,
                   const RunOptions &options, Plan &plan, fil_error *err);

/// Runs all phases. `workspace` holds plan.bytes; `options.parallelFor` is set
/// if there is more than one worker.
void runPlan(const Plan &plan, const int64_t *slots, const RunOptions &options,
             void *workspace);

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_LAUNCH_H
