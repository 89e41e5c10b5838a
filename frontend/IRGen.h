//===- IRGen.h - from a checked pattern to the attn dialect ---------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Takes a pattern that passed the checker; writes one function with the C++
// builder. Names bound by `let` make IR where they are first used: graphs and
// attentions once, numbers and conditions once in each body.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_IRGEN_H
#define FILIGREE_FRONTEND_IRGEN_H

#include "frontend/Ast.h"
#include "frontend/Builder.h"

namespace filigree::frontend {

/// Null after an error, which went to the context's diagnostic handler.
mlir::OwningOpRef<mlir::ModuleOp> generate(const Pattern &pattern,
                                           const llvm::SourceMgr &sources,
                                           HeadTypes types,
                                           mlir::MLIRContext *context);

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_IRGEN_H
