//===- Launch.h - a run on a CUDA device ----------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A Plan follows from shapes, scalars, device and options; fil_workspace and
// fil_run make the same one. Workspace, 128-byte aligned, on the device:
//
//   [ status word of a checked run | what the kernel asks for ]
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_CUDA_LAUNCH_H
#define FILIGREE_RUNTIME_CUDA_LAUNCH_H

#include "runtime/ArgumentCheck.h"
#include "runtime/Launch.h"
#include "runtime/Library.h"
#include "runtime/cuda/Module.h"

namespace filigree::runtime::cuda {

inline constexpr size_t kWorkspaceAlignment = 128;

struct Plan {
  Choice choice;
  int64_t units[kMaxLaunches]; ///< per launch
  size_t kernelOffset;         ///< of the kernel's part in the workspace
  size_t bytes;                ///< of the whole workspace
};

fil_status planRun(const fil_abi_kernel &kernel, const int64_t *slots,
                   const DeviceInfo &device, const RunOptions &options,
                   Plan &plan, fil_error *err);

/// fil_workspace for arguments on a CUDA device.
fil_status workspaceBytes(const fil_kernel &kernel, const BoundArguments &bound,
                          const RunOptions &options, size_t &bytes,
                          fil_error *err);

/// fil_run for arguments on a CUDA device.
fil_status run(const fil_kernel &kernel, BoundArguments &bound,
               const RunOptions &options, void *workspace,
               size_t workspaceBytes, fil_error *err);

/// fil_prepare: for the current context.
fil_status prepareCurrent(const fil_kernel &kernel, const RunOptions &options,
                          fil_error *err);

} // namespace filigree::runtime::cuda

#endif // FILIGREE_RUNTIME_CUDA_LAUNCH_H
