//===- CheckName.cpp - what a name stands for, and what was meant ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Declared names come first, then built-in ones. Of an unknown name the error
// offers the nearest known one, or says that it is a noun of a later release.
//
//===----------------------------------------------------------------------===//
#include "frontend/CheckerImpl.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace llvm;

namespace filigree::frontend {

void Checker::unknown(Ident ident, StringRef what,
                      ArrayRef<StringRef> candidates) {
  StringRef best;
  unsigned bestDistance = unsigned(ident.name.size()) / 3 + 1;
  if (ident.name.size() <= 64)
    for (StringRef candidate : candidates) {
      unsigned distance =
          ident.name.edit_distance(candidate, true, bestDistance);
      if (distance < bestDistance || (distance == bestDistance && best.empty()))
        best = candidate, bestDistance = distance;
    }
  std::string shown = ident.name.take_front(60).str();
  reporter.error(ident.range,
                 what + " `" + shown + "`" +
                     (best.empty() ? "" : "; did you mean `" + best + "`?"));
}

void Checker::unknownName(Ident ident, bool asFunction) {
  for (const Decl *decl : pattern.lets)
    if (decl->name == ident.name) {
      reporter.error(ident.range,
                     "expected a name declared above, but `" + ident.name +
                         (decl->isChecked ? "` has an error"
                                          : "` is declared here or below"));
      reporter.note(decl->nameRange, "it is declared here");
      return;
    }
  if (isReservedNoun(ident.name)) {
    reporter.error(ident.range, "`" + ident.name + "` is not in this release");
    return;
  }
  SmallVector<StringRef> candidates;
  for (const auto &entry : names)
    candidates.push_back(entry.getKey());
  llvm::sort(candidates);
  for (const Builtin &builtin : getBuiltins())
    if (builtin.isFunction() == asFunction)
      candidates.push_back(builtin.name);
  bool isVariable = is_contained({"b", "h", "i", "j", "s"}, ident.name);
  unknown(ident, asFunction ? "unknown function" : "unknown name",
          isVariable ? ArrayRef<StringRef>() : candidates);
  if (isVariable)
    reporter.note(ident.range, "variables are named by `where (b, h, i, j)` "
                               "and `(s, b, h, i, j) ->`");
}

/// The declaration of a name, marked as used; null if there is none.
Decl *Checker::lookUp(Ident ident) {
  auto found = names.find(ident.name);
  if (found == names.end())
    return nullptr;
  found->second->isUsed = true;
  return found->second;
}

void Checker::checkName(NameExpr &expr) {
  Ident ident{expr.name, expr.range};
  if ((expr.decl = lookUp(ident))) {
    expr.type = expr.decl->type;
    expr.bounds = expr.decl->bounds;
    if (expr.decl->kind != DeclKind::RunTime)
      expr.constant = expr.decl->constant;
    if (expr.decl->kind == DeclKind::Let && !expr.decl->isBroken) {
      expr.sink = expr.decl->init->sink;
      expr.usesFloat = expr.decl->init->usesFloat;
    }
    return checkFloatInGraph(expr);
  }
  expr.builtin = findBuiltin(expr.name);
  if (!expr.builtin)
    return unknownName(ident, /*asFunction=*/false);
  switch (expr.builtin->kind) {
  case BuiltinKind::Causal:
  case BuiltinKind::All:
    expr.type = Type::Graph;
    return;
  case BuiltinKind::Inf:
    return setConstant(expr, Constant::ofFloat(INFINITY));
  case BuiltinKind::HeadDim:
    return setConstant(expr, Constant::ofInt(options.headDim));
  case BuiltinKind::ValueDim:
    return setConstant(expr, Constant::ofInt(options.valueDim));
  default:
    reporter.error(expr.range, "expected `(` after the function `" + expr.name +
                                   "`: " + expr.builtin->signature);
  }
}

} // namespace filigree::frontend
