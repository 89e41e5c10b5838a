//===- Passes.h - the passes, for C++ ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_PASSES_PASSES_H
#define FILIGREE_PASSES_PASSES_H

#include "dialect/Tile/Tile.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace filigree {
#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"
} // namespace filigree

#endif // FILIGREE_PASSES_PASSES_H
