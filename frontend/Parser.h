//===- Parser.h - from tokens to a tree -----------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Recursive descent over the grammar of LANGUAGE.md. After an error it goes on
// at the next parameter, statement or pattern, so one run reports several; a
// construct with an error in it is left out of the tree.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_PARSER_H
#define FILIGREE_FRONTEND_PARSER_H

#include "frontend/Ast.h"

namespace filigree::frontend {

/// Brackets and prefix operators inside one another.
inline constexpr unsigned kMaxNesting = 256;
/// Height of an expression's tree: a chain a | b | c is one deeper per
/// operator.
inline constexpr unsigned kMaxDepth = 1024;
/// Size of a file in bytes.
inline constexpr size_t kMaxFileSize = size_t(16) << 20;

/// Parses the main buffer of the reporter's sources. Never null; whether it is
/// whole is told by `reporter.hasErrors()`.
std::unique_ptr<File> parse(Reporter &reporter);

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_PARSER_H
