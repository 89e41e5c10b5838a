//===- CheckerImpl.h - the checker's state, private to Check*.cpp ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An expression in error keeps Type::Error; whoever uses it then stays silent.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_CHECKERIMPL_H
#define FILIGREE_FRONTEND_CHECKERIMPL_H

#include "frontend/Checker.h"

namespace filigree::frontend {

class Checker {
public:
  Checker(Pattern &pattern, File &file, const InstantiateOptions &options,
          Reporter &reporter)
      : pattern(pattern), file(file), options(options), reporter(reporter) {}
  void run();

private:
  /// What an expression stands in.
  enum class Place { Top, Predicate, Edge };

  // Declarations.
  void declare(Decl &decl);
  void checkSetNames();
  void checkCompileTime(Decl &decl);
  void checkRunTime(Decl &decl);
  void checkScalarParam(Decl &decl);
  void checkTableParam(Decl &decl);
  void checkBlocksParam(Decl &decl);
  void checkLet(Decl &decl);
  void checkResult();
  void warnUnused();
  std::optional<Constant> parseSet(const Decl &decl, llvm::StringRef text);
  std::optional<int64_t> checkConstantInt(Expr &expr, llvm::StringRef what);

  // Expressions.
  void checkExpr(Expr &expr);
  void checkKind(Expr &expr);
  void checkName(NameExpr &expr);
  void checkUnary(UnaryExpr &expr);
  void checkBinary(BinaryExpr &expr);
  void checkIntArithmetic(BinaryExpr &expr);
  void checkFloatArithmetic(BinaryExpr &expr);
  void checkCompare(CompareExpr &expr);
  void checkIndex(IndexExpr &expr);
  void checkWhere(WhereExpr &expr);
  void checkEdge(EdgeExpr &expr);
  void checkBody(llvm::ArrayRef<Decl *> variables, Block &body, Place inside);
  void checkFloatInGraph(Expr &expr);
  void badOperands(BinaryExpr &expr, llvm::StringRef wanted);

  // Calls.
  void checkCall(CallExpr &call);
  void checkMinMax(CallExpr &call);
  void checkAbs(CallExpr &call);
  void checkChoice(CallExpr &call);
  void checkFloatFunction(CallExpr &call);
  void checkAlibi(CallExpr &call);
  void checkSource(CallExpr &call);
  void checkAttend(CallExpr &call);
  void checkMerge(CallExpr &call);
  bool checkLabels(CallExpr &call, llvm::ArrayRef<llvm::StringRef> allowed);
  bool checkCount(CallExpr &call, unsigned min, unsigned max);
  bool checkTensor(Expr &expr, Role role);
  void checkSourceLabels(CallExpr &call);
  void checkPlacement(CallExpr &call);
  void checkDocuments(Expr &expr);
  void checkPages(CallExpr &call);
  Decl *checkTable(Expr &expr, Type type, llvm::ArrayRef<Axis> axes,
                   llvm::StringRef spelled);

  // Helpers.
  bool expectType(Expr &expr, Type type);
  bool expectNumber(Expr &expr);
  bool expectScalar(Expr &expr);
  bool setInt(Expr &expr, Range range);
  void setConstant(Expr &expr, Constant constant);
  void setFloat(Expr &expr, std::optional<double> value);
  Decl *lookUp(Ident ident);
  void unknown(Ident ident, llvm::StringRef what,
               llvm::ArrayRef<llvm::StringRef> candidates);
  void unknownName(Ident ident, bool asFunction);

  Pattern &pattern;
  File &file;
  const InstantiateOptions &options;
  Reporter &reporter;
  Place place = Place::Top;
  llvm::StringMap<Decl *> names;
};

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_CHECKERIMPL_H
