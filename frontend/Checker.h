//===- Checker.h - names, types and constants of a pattern ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Resolves names, gives every expression a type, folds compile-time constants,
// and bounds every integer. Fills the fields of Ast.h "found by the checker".
// After a clean run the pattern has a meaning in the attn dialect; what may
// still be refused is a graph whose `min`, `max` and `where` split into too
// many cases (Scalar.h).
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_CHECKER_H
#define FILIGREE_FRONTEND_CHECKER_H

#include "frontend/Ast.h"
#include "frontend/Builtins.h"
#include "llvm/ADT/StringMap.h"

namespace filigree::frontend {

/// Positions of queries and keys lie in [-kMaxPosition, kMaxPosition].
inline constexpr int64_t kMaxPosition = int64_t(1) << 32;

/// "an integer", "a graph": how messages call a type.
llvm::StringRef describe(Type type);

/// `int[b, h]`, `float[h, i, j]: bf16`: the declared type of a parameter.
std::string spellType(const Decl &decl);

/// The argument with this label, or null.
const Argument *findLabel(const CallExpr &call, llvm::StringRef label);

/// The argument number `index` among those without a label.
Expr *getPositional(const CallExpr &call, unsigned index);
unsigned getNumPositional(const CallExpr &call);

/// Checks one pattern. `options` gives head sizes and --set values.
void check(Pattern &pattern, File &file, const InstantiateOptions &options,
           Reporter &reporter);

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_CHECKER_H
