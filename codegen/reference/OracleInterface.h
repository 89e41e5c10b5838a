//===- OracleInterface.h - the arguments of an oracle's kernel ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads a pattern function: the one fold it returns, and how the extents of its
// arguments hang together (SPEC.md, Layouts; runtime/ArtifactAbi.h). Names and
// extents are those of the compiled kernel, so that one caller serves both.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_ORACLEINTERFACE_H
#define FILIGREE_CODEGEN_REFERENCE_ORACLEINTERFACE_H

#include "codegen/KernelInterface.h"
#include "dialect/Attn/Attn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace filigree::oracle {

/// One source, and the attend that it belongs to.
struct SourceOfFold {
  attn::AttendOp attend;
  attn::SourceOp source;
  mlir::Value query() const { return attn::AttendOp(attend).getQuery(); }
};

struct Fold {
  attn::FinalizeOp finalize;
  /// In the order in which their edges are folded.
  llvm::SmallVector<SourceOfFold> sources;
  KernelInterface interface;
  std::string variant; ///< "oracle_d128_f32"
  /// Arguments that the pattern has not, in interface.args.
  enum Added { Rows, O, Lse, ONaive, LseNaive, OBackward, OLanes };
  const InterfaceArg &added(Added which) const;
  unsigned patternArgs = 0;
};

/// Fails with a diagnostic.
llvm::FailureOr<Fold> readFold(mlir::func::FuncOp function);

} // namespace filigree::oracle

#endif // FILIGREE_CODEGEN_REFERENCE_ORACLEINTERFACE_H
