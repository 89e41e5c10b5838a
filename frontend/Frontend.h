//===- Frontend.h - from .attn text to the attn dialect -------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one entry other code uses. `parsePattern` reads the main buffer of a
// SourceMgr, picks one pattern, fixes its compile-time parameters, element type
// and head sizes, and returns a verified module with one function; every
// operation has a file, line and column. On failure the result is null and the
// sink has seen at least one error. LANGUAGE.md defines the text.
//
// The function takes the pattern's inputs and run-time parameters in the order
// of their declaration; each argument carries attn.name, scalars also attn.min,
// attn.max and attn.preset. A block list `l` becomes three arguments,
// `l.start`, `l.count` and `l.cols`. The results are named "o" and "lse".
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_FRONTEND_H
#define FILIGREE_FRONTEND_FRONTEND_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/SourceMgr.h"
#include <string>
#include <utility>

namespace filigree {

/// What the text leaves open.
struct InstantiateOptions {
  /// Type of q, k, v and o: f32, bf16 or f16; f32 if null.
  mlir::Type elementType;
  /// Head size of queries and keys.
  int64_t headDim = 64;
  /// Head size of values and of the output; 0 means `headDim`.
  int64_t valueDim = 0;
  /// Compile-time parameters, as name and text; the last of a name counts.
  llvm::SmallVector<std::pair<std::string, std::string>> sets;
  /// The pattern to take; may be empty where the file has only one.
  std::string pattern;
};

/// Receives each error, warning and note as it is found.
using DiagnosticSink = llvm::function_ref<void(const llvm::SMDiagnostic &)>;

/// Reads the main buffer of `sources`.
mlir::OwningOpRef<mlir::ModuleOp>
parsePattern(const llvm::SourceMgr &sources, const InstantiateOptions &options,
             mlir::MLIRContext *context, DiagnosticSink sink);

/// As above; diagnostics go to standard error.
mlir::OwningOpRef<mlir::ModuleOp>
parsePattern(const llvm::SourceMgr &sources, const InstantiateOptions &options,
             mlir::MLIRContext *context);

/// A compile-time parameter: its name and the text of its default.
struct CompileTimeParam {
  std::string name;
  std::string preset;
};

/// A pattern of a file, without instantiating it.
struct PatternSummary {
  std::string name;
  llvm::SmallVector<CompileTimeParam> params;
};

/// The patterns of the main buffer in order; only those that parse.
llvm::SmallVector<PatternSummary> listPatterns(const llvm::SourceMgr &sources);

} // namespace filigree

#endif // FILIGREE_FRONTEND_FRONTEND_H
