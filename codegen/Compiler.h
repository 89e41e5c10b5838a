//===- Compiler.h - from a pattern to the objects of an artifact ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_COMPILER_H
#define FILIGREE_CODEGEN_COMPILER_H

#include "codegen/Artifact.h"
#include "codegen/cuda/TileToNvvm.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace filigree {

/// A compiled pattern: one object a target, and what the table says of it.
struct CompiledPattern {
  ArtifactKernel kernel;
  llvm::SmallVector<ObjectBytes> objects;
  /// What users should know of it: sentences.
  llvm::SmallVector<std::string> warnings;
};

/// attn to tile, scheduled for `target` (cpu, or a CUDA target as --target has
/// it), with chunks of at most `mostChunk` keys if that is not 0, and
/// classified, in place; for few queries or many. Diagnostics on failure.
llvm::LogicalResult lowerToKernel(mlir::ModuleOp module,
                                  llvm::StringRef target = "cpu",
                                  int64_t mostChunk = 0, bool few = false);

/// A pattern, scheduled for CUDA: for many queries, and for few, or null.
struct CudaKernels {
  mlir::OwningOpRef<mlir::ModuleOp> many, few;
};
llvm::FailureOr<CudaKernels> lowerToCudaKernels(mlir::ModuleOp pattern,
                                                const CudaTarget &target);

/// PTX of the kernels. Diagnostics on failure.
llvm::FailureOr<std::string> emitPtx(const CudaKernels &kernels,
                                     const CudaTarget &target);

/// What the runtime asks the host part of the kernels for: launches, units,
/// workspace. Instead of machine code there is a word. Diagnostics on failure.
llvm::FailureOr<CompiledPattern> compileCudaSizes(const CudaKernels &kernels,
                                                  const CudaTarget &target);

/// The functions of `kernels` for one target, before (`llvmDialect` false) or
/// after the conversion to the llvm dialect. Null on failure.
mlir::OwningOpRef<mlir::ModuleOp> lowerForCpu(mlir::ModuleOp kernels,
                                              const CpuTarget &target,
                                              bool llvmDialect,
                                              cpu::EntryPoints *entries);

/// LLVM IR text or assembly of the module, optimised for `target`.
std::string emitText(mlir::ModuleOp llvmModule, const CpuTarget &target,
                     const cpu::EntryPoints &entries);

/// The whole way: `pattern` holds one attn function. Diagnostics on failure.
llvm::FailureOr<CompiledPattern>
compilePattern(mlir::ModuleOp pattern, llvm::ArrayRef<CpuTarget> targets,
               llvm::ArrayRef<CudaTarget> cudaTargets);

/// "d128_f32", or "d192x128_bf16" where the value head size differs.
std::string variantName(tile::KernelOp kernel);

} // namespace filigree

#endif // FILIGREE_CODEGEN_COMPILER_H
