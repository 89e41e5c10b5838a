//===- Cursor.h - a place in the words of PTX text ------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a parser does with words whatever they mean: look ahead, take, skip,
// read integers, and say in which line something else was expected.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_CURSOR_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_CURSOR_H

#include "test/lib/ptx-emulator/Lexer.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace filigree::ptx {

class Cursor {
protected:
  /// *error, unless null, is the sentence of what fails.
  Cursor(std::string_view source, std::string *error)
      : tokens(tokenize(source)), error(error) {}

  const Token &at(size_t ahead = 0) const {
    return tokens[std::min(position + ahead, tokens.size() - 1)];
  }
  Token next() { return tokens[std::min(position++, tokens.size() - 1)]; }
  bool take(std::string_view text) {
    if (!at().is(text) || at().kind == Token::End)
      return false;
    ++position;
    return true;
  }
  bool fail(const std::string &sentence, int line = 0) {
    if (error)
      *error =
          "line " + std::to_string(line ? line : at().line) + ": " + sentence;
    return false;
  }
  bool expect(std::string_view text) {
    return take(text) || fail("expected '" + std::string(text) +
                              "', but got '" + std::string(at().text) + "'");
  }
  void skipLine() {
    for (int line = at().line; at().kind != Token::End && at().line == line;)
      ++position;
  }
  /// Past the brace that closes the one at the cursor.
  void skipBraces() {
    int depth = 0;
    do {
      depth += at().is("{") ? 1 : at().is("}") ? -1 : 0;
      ++position;
    } while (depth && at().kind != Token::End);
  }
  void skipStatement() {
    while (at().kind != Token::End && !take(";"))
      ++position;
  }

  bool integer(int64_t &value) {
    bool negative = take("-");
    std::string word(at().text);
    if (word.empty() || !isdigit(static_cast<unsigned char>(word[0])))
      return fail("expected a number, but got '" + word + "'");
    char *end;
    value = static_cast<int64_t>(strtoull(word.c_str(), &end, 0));
    if (*end == 'U')
      ++end;
    if (*end)
      return fail("expected an integer, but got '" + word + "'");
    ++position;
    if (negative)
      value = -value;
    return true;
  }
  bool integers(std::vector<uint32_t> &values) {
    do {
      int64_t value;
      if (!integer(value))
        return false;
      values.push_back(static_cast<uint32_t>(value));
    } while (take(","));
    return true;
  }

  std::vector<Token> tokens;
  size_t position = 0;

private:
  std::string *error;
};

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_CURSOR_H
