//===- AttnDialect.td - the attn dialect: what attends to what ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_ATTN_DIALECT
#define FILIGREE_ATTN_DIALECT

include "mlir/IR/OpBase.td"

def Attn_Dialect : Dialect {
  let name = "attn";
  let cppNamespace = "::filigree::attn";
  let summary = "attention as graphs, sources and one fold";
  let description = [{
    Says what attends to what and what an edge is worth, never how it is
    computed. SPEC.md holds the meaning of every operation; the verifiers cite
    its constraint numbers.
  }];
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect"];
}

#endif // FILIGREE_ATTN_DIALECT
