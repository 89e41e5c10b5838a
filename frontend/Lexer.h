//===- Lexer.h - the tokens of .attn --------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Cuts a whole buffer into tokens. Never reads past the end of the buffer and
// needs no zero byte there. The last token is always `Eof`. Characters outside
// the language are reported and skipped.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_LEXER_H
#define FILIGREE_FRONTEND_LEXER_H

#include "frontend/Reporter.h"
#include <vector>

namespace filigree::frontend {

enum class Tok {
  // clang-format off
  Eof, Name, Integer, Float,
  KwPattern, KwLet, KwReturn, KwWhere, KwParam, KwTrue, KwFalse,
  LParen, RParen, LBrace, RBrace, LBracket, RBracket,
  Comma, Semicolon, Colon, Assign, Arrow,
  Plus, Minus, Star, Slash, Percent,
  Less, LessEqual, Greater, GreaterEqual, Equal, NotEqual,
  AndAnd, OrOr, Bang, Amp, Pipe, Tilde,
  // clang-format on
};

struct Token {
  Tok kind;
  /// True if it is the first token of its line.
  bool startsLine;
  llvm::StringRef text;

  bool is(Tok other) const { return kind == other; }
  llvm::SMLoc getLoc() const {
    return llvm::SMLoc::getFromPointer(text.data());
  }
  llvm::SMRange getRange() const {
    return {getLoc(), llvm::SMLoc::getFromPointer(text.data() + text.size())};
  }
};

/// How an error message calls a kind of token: "`,`", "a name".
llvm::StringRef describe(Tok kind);

/// How an error message calls a token at hand: "`window`", "end of file".
std::string describe(const Token &token);

/// True if `word` is reserved.
bool isKeyword(llvm::StringRef word);

std::vector<Token> lex(llvm::StringRef buffer, Reporter &reporter);

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_LEXER_H
