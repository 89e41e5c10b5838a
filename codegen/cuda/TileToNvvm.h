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

/// Of a run, one launch has units, that of many queries or that of few, and so
/// have those behind them: for splits of the keys, for rows that need exact
/// sums.
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

/// What is added to a prefix in names of the launch for few queries.
inline constexpr llvm::StringLiteral kFewPrefix = "few_";
/// And of the launch for rows that need exact sums.
inline constexpr llvm::StringLiteral kExactPrefix = "exact_";
/// And, behind that for few queries, of the launch that merges splits.
inline constexpr llvm::StringLiteral kMergePrefix = "merge_";
/// Of a launch's function.
inline bool isExact(llvm::StringRef function) {
  return function.consume_back("kernel") && function.ends_with(kExactPrefix);
}
inline bool isMerge(llvm::StringRef function) {
  return function.consume_back("kernel") && function.ends_with(kMergePrefix);
}

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_TILETONVVM_H
