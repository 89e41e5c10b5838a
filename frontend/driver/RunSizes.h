//===- RunSizes.h - what a run takes, before anything is compiled ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generated code knows its own sizes, so it is asked: an artifact is built
// whose kernels say sizes and compute nothing, and the runtime plans a run of
// it.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_RUNSIZES_H
#define FILIGREE_FRONTEND_DRIVER_RUNSIZES_H

#include "codegen/Compiler.h"
#include "codegen/reference/Interpreter.h"
#include "frontend/driver/RunShape.h"

namespace filigree {

/// Workspace on the CPU, for each number of workers. The machine must have the
/// target.
llvm::Expected<std::vector<uint64_t>>
workspaceBytes(mlir::ModuleOp kernels, const CpuTarget &target,
               const RunShape &shape,
               const llvm::StringMap<reference::Scalar> &scalars,
               llvm::ArrayRef<unsigned> workers);

/// One launch on CUDA.
struct LaunchSizes {
  LaunchRole role = LaunchRole::Many;
  uint32_t threads = 0, sharedBytes = 0, ctasPerMultiprocessor = 1;
  bool persistent = false;
  int64_t units = 0; ///< tiles, or what else CTAs take one by one
};

struct CudaSizes {
  std::vector<LaunchSizes> launches;
  uint64_t workspace = 0, checkedWorkspace = 0; ///< of a run, a checked run
};

/// On the target's chip, which need not be there.
llvm::Expected<CudaSizes>
cudaSizes(const CudaKernels &kernels, const CudaTarget &target,
          const RunShape &shape,
          const llvm::StringMap<reference::Scalar> &scalars);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_RUNSIZES_H
