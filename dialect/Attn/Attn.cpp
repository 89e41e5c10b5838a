//===- Attn.cpp - registration of the attn dialect ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "dialect/Attn/Attn.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace filigree::attn;

//===----------------------------------------------------------------------===//
// Syntax that attn.attend and tile.fold share
//===----------------------------------------------------------------------===//

OptionalParseResult filigree::parsePacking(
    OpAsmParser &parser, std::optional<OpAsmParser::UnresolvedOperand> &cuQuery,
    Type &cuQueryType, std::optional<OpAsmParser::UnresolvedOperand> &cuKey,
    Type &cuKeyType, std::optional<OpAsmParser::UnresolvedOperand> &pageTable,
    Type &pageTableType, std::optional<OpAsmParser::UnresolvedOperand> &lengths,
    Type &lengthsType, IntegerAttr &page) {
  auto operand = [&](std::optional<OpAsmParser::UnresolvedOperand> &into) {
    return parser.parseOperand(into.emplace());
  };
  if (succeeded(parser.parseOptionalKeyword("documents")))
    return ParseResult(
        failure(parser.parseLParen() || operand(cuQuery) ||
                parser.parseComma() || operand(cuKey) ||
                parser.parseColonType(cuQueryType) || parser.parseComma() ||
                parser.parseType(cuKeyType) || parser.parseRParen()));
  if (failed(parser.parseOptionalKeyword("paged")))
    return std::nullopt;
  int64_t slots;
  if (parser.parseLParen() || operand(cuQuery) || parser.parseComma() ||
      operand(pageTable) || parser.parseComma() || operand(lengths) ||
      parser.parseKeyword("page") || parser.parseInteger(slots) ||
      parser.parseColonType(cuQueryType) || parser.parseComma() ||
      parser.parseType(pageTableType) || parser.parseComma() ||
      parser.parseType(lengthsType) || parser.parseRParen())
    return ParseResult(failure());
  page = parser.getBuilder().getI64IntegerAttr(slots);
  return ParseResult(success());
}

void filigree::printPacking(OpAsmPrinter &printer, Operation *, Value cuQuery,
                            Type cuQueryType, Value cuKey, Type cuKeyType,
                            Value pageTable, Type pageTableType, Value lengths,
                            Type lengthsType, IntegerAttr page) {
  if (pageTable)
    printer << "paged(" << cuQuery << ", " << pageTable << ", " << lengths
            << " page " << page.getInt() << " : " << cuQueryType << ", "
            << pageTableType << ", " << lengthsType << ")";
  else if (cuQuery)
    printer << "documents(" << cuQuery << ", " << cuKey << " : " << cuQueryType
            << ", " << cuKeyType << ")";
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

#include "dialect/Attn/AttnDialect.cpp.inc"
#include "dialect/Attn/AttnEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/Attn/AttnTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialect/Attn/AttnOps.cpp.inc"

void AttnDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/Attn/AttnTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/Attn/AttnOps.cpp.inc"
      >();
}

Operation *AttnDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}
