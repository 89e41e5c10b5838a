//===- TileToVector.h - from a tile.kernel to functions of vectors --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Before: a module of scheduled, classified kernels. After: the functions the
// runtime calls, for one CPU target, in func, scf, arith, vector and llvm.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CPU_TILETOVECTOR_H
#define FILIGREE_CODEGEN_CPU_TILETOVECTOR_H

#include "codegen/KernelInterface.h"
#include "codegen/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace filigree::cpu {

/// Names of the entry points of one kernel on one target. `cost` is empty
/// where units cost alike.
struct EntryPoints {
  struct Phase {
    std::string units, cost, run;
  };
  std::string scratchBytes, sharedBytes;
  llvm::SmallVector<Phase> phases;

  /// All of them.
  llvm::SmallVector<std::string> names() const;
};

/// Appends the functions of `kernel` to `module`; their names start with
/// `prefix`. Fails with a diagnostic on what the target cannot do.
llvm::FailureOr<EntryPoints> emitKernel(tile::KernelOp kernel,
                                        const CpuTarget &target,
                                        llvm::StringRef prefix,
                                        mlir::ModuleOp module);

} // namespace filigree::cpu

#endif // FILIGREE_CODEGEN_CPU_TILETOVECTOR_H
