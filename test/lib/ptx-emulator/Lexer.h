//===- Lexer.h - PTX text as words and punctuation ------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A word is a name, a directive, a number or a whole opcode with its dots and
// double colons; everything else is one character. Comments vanish.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_LEXER_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_LEXER_H

#include <string_view>
#include <vector>

namespace filigree::ptx {

struct Token {
  enum Kind { Word, Punctuation, String, End } kind = End;
  std::string_view text; ///< points into the source
  int line = 0;
  bool is(std::string_view other) const {
    return kind != String && text == other;
  }
};

/// Always ends with a token of kind End.
std::vector<Token> tokenize(std::string_view source);

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_LEXER_H
