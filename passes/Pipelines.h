//===- Pipelines.h - dialects, passes and the order they run in -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_PASSES_PIPELINES_H
#define FILIGREE_PASSES_PIPELINES_H

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"

namespace filigree {

/// Every dialect that any stage reads or writes.
void registerDialects(mlir::DialectRegistry &registry);

/// attn to tile. After it every kernel has a schedule for `target` (cpu, or a
/// CUDA target as --target has it), with chunks of at most `mostChunk` keys if
/// that is not 0, and runs; for CUDA also warps and pipeline, for few queries
/// or many.
void buildTilePipeline(mlir::OpPassManager &pm, llvm::StringRef target = "cpu",
                       int64_t mostChunk = 0, bool few = false);

/// Every pass and pipeline, under its command-line name.
void registerPasses();

} // namespace filigree

#endif // FILIGREE_PASSES_PIPELINES_H
