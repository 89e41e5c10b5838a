//===- BodyGen.h - conditions and edges, private to the generator ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_BODYGEN_H
#define FILIGREE_FRONTEND_BODYGEN_H

#include "frontend/Ast.h"
#include "frontend/Scalar.h"
#include "llvm/ADT/DenseMap.h"
#include <variant>

namespace filigree::frontend {

/// Places of the text as locations of operations.
struct Locator {
  const llvm::SourceMgr &sources;
  mlir::MLIRContext *context;

  mlir::Location operator()(llvm::SMLoc loc) const;
};

/// Writes one body.
class BodyGen {
public:
  BodyGen(const Pattern &pattern, Body &body,
          const llvm::DenseMap<const Decl *, mlir::Value> &arguments,
          const Locator &locate)
      : pattern(pattern), body(body), arguments(arguments), locate(locate) {}

  Bool generateCondition(llvm::ArrayRef<Decl *> variables, const Block &block);
  Float generateEdge(llvm::ArrayRef<Decl *> variables, const Block &block);

private:
  using Scalar = std::variant<Int, Float, Bool>;

  void generateLets(llvm::ArrayRef<Decl *> variables, const Block &block);
  Int toInt(const Expr &expr);
  Float toFloat(const Expr &expr);
  Bool toBool(const Expr &expr);
  Scalar generate(const Expr &expr);
  Scalar generateName(const NameExpr &expr);
  Scalar generateUnary(const UnaryExpr &expr);
  Scalar generateBinary(const BinaryExpr &expr);
  Scalar generateCall(const CallExpr &call);
  Scalar generateIndex(const IndexExpr &expr);
  Bool generateCompare(const CompareExpr &expr);

  /// From here on operations are at `loc`.
  void at(llvm::SMLoc loc) { body.loc = locate(loc); }

  const Pattern &pattern;
  Body &body;
  const llvm::DenseMap<const Decl *, mlir::Value> &arguments;
  const Locator &locate;
  llvm::DenseMap<const Decl *, Scalar> scalars; ///< variables and lets
};

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_BODYGEN_H
