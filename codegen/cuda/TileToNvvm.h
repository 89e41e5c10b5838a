//===- TileToNvvm.h - from a tile.kernel to CUDA code ---------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Before: a module of kernels scheduled and classified for the target. After:
// a module for each launch, its device functions in func, scf, arith and llvm
// with inline PTX, and the functions that the runtime calls on the host.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CUDA_TILETONVVM_H
#define FILIGREE_CODEGEN_CUDA_TILETONVVM_H

#include "codegen/Artifact.h"
#include "codegen/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace filigree::cuda {

/// The launches of a kernel, at most one of each role, and its host functions.
struct CudaEntryPoints {
  llvm::SmallVector<CudaLaunch> launches;
  std::string workspaceBytes; ///< on the host
};

/// The same pattern, scheduled for tiles of many queries and of few; `few`
/// null: they have no launch of their own.
struct KernelPair {
  tile::KernelOp many, few;
};

/// Device functions by launch.
using DeviceModules = llvm::SmallVector<mlir::OwningOpRef<mlir::ModuleOp>>;

/// Fills `devices`, appends host functions to `host`.
llvm::FailureOr<CudaEntryPoints>
emitKernel(KernelPair kernels, const CudaTarget &target, llvm::StringRef prefix,
           DeviceModules &devices, mlir::ModuleOp host);

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_TILETONVVM_H
