//===- Builtins.h - the names that .attn knows by itself ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One table for the checker, the language server and LANGUAGE.md. A pattern may
// use any of these names for something of its own.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_BUILTINS_H
#define FILIGREE_FRONTEND_BUILTINS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace filigree::frontend {

enum class BuiltinKind {
  // Graphs.
  Causal,
  All,
  // Constants.
  Inf,
  HeadDim,
  ValueDim,
  // Functions of numbers.
  Abs,
  Min,
  Max,
  Where,
  ToFloat,
  Exp,
  Log,
  Sqrt,
  Tanh,
  Softcap,
  Alibi,
  // Attention.
  Source,
  Attend,
  Merge,
};

struct Builtin {
  llvm::StringLiteral name;
  BuiltinKind kind;
  llvm::StringLiteral signature;
  llvm::StringLiteral doc;

  bool isFunction() const { return kind >= BuiltinKind::Abs; }
};

llvm::ArrayRef<Builtin> getBuiltins();

/// Null if there is none of that name.
const Builtin *findBuiltin(llvm::StringRef name);

/// A word of the language outside expressions, for completion and hover.
struct Word {
  llvm::StringLiteral name;
  llvm::StringLiteral doc;
};
llvm::ArrayRef<Word> getKeywords();

/// The labels of `attend` and `source`.
llvm::ArrayRef<Word> getLabels();

/// True for a noun of attention that is planned but absent from this release.
bool isReservedNoun(llvm::StringRef name);

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_BUILTINS_H
