//===- EmitOracle.h - a pattern as naive loops in a library of its own ----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `--emit oracle`: what the interpreter does, as machine code, so that a
// machine without MLIR can judge answers of any pattern. A kernel takes the
// arguments of the compiled pattern and, last of its inputs,
//
//   rows            i32 [R]             storage indices of queries to compute
//
// and gives, for these rows of every head, in float64,
//
//   o, lse          [B, Hq, R, Dv], [B, Hq, R]    everything in double
//   o.naive, lse.naive, o.naive_backward, o.naive_lanes     may be left out
//
// The latter are the answers of naive code (Interpreter.h, Arithmetic::Naive)
// in the orders of summation of the numerics rule (Numerics.h). A row outside
// of the queries gives NaN and is reported in the status word. Its variants
// are named "oracle_d128_f32". Shares no code with the passes or codegen/cpu
// but the writing of objects.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_EMITORACLE_H
#define FILIGREE_CODEGEN_REFERENCE_EMITORACLE_H

#include "codegen/Compiler.h"

namespace filigree {

/// What the variants of oracles start with.
inline constexpr llvm::StringLiteral kOraclePrefix = "oracle_";
inline bool isOracle(llvm::StringRef variant) {
  return variant.starts_with(kOraclePrefix);
}

/// `pattern` holds one attn function. Diagnostics on failure.
llvm::FailureOr<CompiledPattern> compileOracle(mlir::ModuleOp pattern);

} // namespace filigree

#endif // FILIGREE_CODEGEN_REFERENCE_EMITORACLE_H
