//===- Attn.h - the attn dialect, for C++ ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Includes everything generated from the .td files beside this one.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_DIALECT_ATTN_ATTN_H
#define FILIGREE_DIALECT_ATTN_ATTN_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace filigree {

/// `documents(%cu_q, %cu_k : types)`, `paged(%cu_q, %table, %lengths page 16 :
/// types)` or nothing: how the token axes of a fold are packed.
mlir::OptionalParseResult
parsePacking(mlir::OpAsmParser &parser,
             std::optional<mlir::OpAsmParser::UnresolvedOperand> &cuQuery,
             mlir::Type &cuQueryType,
             std::optional<mlir::OpAsmParser::UnresolvedOperand> &cuKey,
             mlir::Type &cuKeyType,
             std::optional<mlir::OpAsmParser::UnresolvedOperand> &pageTable,
             mlir::Type &pageTableType,
             std::optional<mlir::OpAsmParser::UnresolvedOperand> &lengths,
             mlir::Type &lengthsType, mlir::IntegerAttr &page);
void printPacking(mlir::OpAsmPrinter &printer, mlir::Operation *op,
                  mlir::Value cuQuery, mlir::Type cuQueryType,
                  mlir::Value cuKey, mlir::Type cuKeyType,
                  mlir::Value pageTable, mlir::Type pageTableType,
                  mlir::Value lengths, mlir::Type lengthsType,
                  mlir::IntegerAttr page);

} // namespace filigree

#include "dialect/Attn/AttnDialect.h.inc"
#include "dialect/Attn/AttnEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/Attn/AttnTypes.h.inc"
#define GET_OP_CLASSES
#include "dialect/Attn/AttnOps.h.inc"

namespace filigree::attn {

/// Attributes of the arguments and results of a pattern function.
///   attn.name   string: the user's name of the argument (all arguments)
///   attn.min, attn.max   i64: inclusive bounds of an i64 parameter
///   attn.preset i64 or f32: the value used when a run gives none
inline constexpr llvm::StringLiteral kNameAttr = "attn.name";
inline constexpr llvm::StringLiteral kMinAttr = "attn.min";
inline constexpr llvm::StringLiteral kMaxAttr = "attn.max";
inline constexpr llvm::StringLiteral kPresetAttr = "attn.preset";

} // namespace filigree::attn

#endif // FILIGREE_DIALECT_ATTN_ATTN_H
