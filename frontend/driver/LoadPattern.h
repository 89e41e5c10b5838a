//===- LoadPattern.h - a pattern from a file, as attn IR ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Files that end in .mlir hold attn IR, all others the language. `--set` values
// go where the name is declared: compile-time parameters into the pattern,
// those of the run are left over as values. Other names are errors.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_LOADPATTERN_H
#define FILIGREE_FRONTEND_DRIVER_LOADPATTERN_H

#include "codegen/reference/Interpreter.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace filigree {

/// name=text.
using Setting = std::pair<std::string, std::string>;

struct LoadRequest {
  std::string path;
  /// May be empty if the file has one pattern.
  std::string pattern;
  std::vector<Setting> settings;
  reference::DType dtype = reference::DType::F32;
  int64_t headDim = 64;
  /// 0: as headDim.
  int64_t valueDim = 0;
};

struct LoadedPattern {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
  /// Settings that are not compile-time parameters.
  llvm::StringMap<reference::Scalar> scalars;
};

/// Dialects that attn IR needs.
void loadDialects(mlir::MLIRContext &context);

/// Diagnostics of the file go to standard error as they are met; the error then
/// only says that there were some.
llvm::Expected<LoadedPattern> loadPattern(const LoadRequest &request,
                                          mlir::MLIRContext &context);

/// "window=128" in two; error if there is no name or no value.
llvm::Expected<std::vector<Setting>>
parseSettings(llvm::ArrayRef<std::string> texts);

/// An integer, or else a floating-point number.
llvm::Expected<reference::Scalar> parseScalar(llvm::StringRef name,
                                              llvm::StringRef text);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_LOADPATTERN_H
