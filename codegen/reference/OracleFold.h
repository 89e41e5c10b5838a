//===- OracleFold.h - one row of an oracle in plain loops -----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_ORACLEFOLD_H
#define FILIGREE_CODEGEN_REFERENCE_ORACLEFOLD_H

#include "codegen/reference/Interpreter.h"
#include "codegen/reference/OracleBody.h"
#include "codegen/reference/OracleInterface.h"

namespace filigree::oracle {

/// Bytes of scratch that a worker needs, for the slots of `code`.
Val scratchBytes(const Fold &fold, Code &code, Bodies &bodies);

/// report(word, code, b, h, row, col), all i64: the first bad entry is kept.
llvm::Function *emitReport(llvm::Module &module);

/// fold(slots, b, h, r, scratch, o, lse): one row in one arithmetic and order
/// of summation, to consecutive doubles. o and lse may be null. Null with a
/// diagnostic on failure.
llvm::Function *emitFold(const Fold &fold, llvm::Module &module, Math &math,
                         llvm::Function *report, const llvm::Twine &name,
                         reference::Arithmetic arithmetic,
                         reference::SumOrder order);

} // namespace filigree::oracle

#endif // FILIGREE_CODEGEN_REFERENCE_ORACLEFOLD_H
