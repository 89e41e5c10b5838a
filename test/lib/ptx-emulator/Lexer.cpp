//===- Lexer.cpp - PTX text as words and punctuation ----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Lexer.h"

#include <cctype>

namespace filigree::ptx {

static bool isWordChar(char c) {
  return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' ||
         c == '%' || c == '.';
}

std::vector<Token> tokenize(std::string_view s) {
  std::vector<Token> tokens;
  int line = 1;
  size_t i = 0, n = s.size();
  while (i < n) {
    char c = s[i];
    if (c == '\n') {
      ++line;
      ++i;
    } else if (isspace(static_cast<unsigned char>(c)) || c == '\0') {
      ++i;
    } else if (c == '/' && i + 1 < n && s[i + 1] == '/') {
      while (i < n && s[i] != '\n')
        ++i;
    } else if (c == '/' && i + 1 < n && s[i + 1] == '*') {
      for (i += 2; i + 1 < n && !(s[i] == '*' && s[i + 1] == '/'); ++i)
        line += s[i] == '\n';
      i += 2;
    } else if (c == '"') {
      size_t end = s.find('"', i + 1);
      end = end == std::string_view::npos ? n : end + 1;
      tokens.push_back({Token::String, s.substr(i, end - i), line});
      i = end;
    } else if (isWordChar(c)) {
      size_t start = i;
      while (i < n) {
        if (isWordChar(s[i]))
          ++i;
        else if (s[i] == ':' && i + 1 < n && s[i + 1] == ':')
          i += 2;
        else
          break;
      }
      tokens.push_back({Token::Word, s.substr(start, i - start), line});
    } else {
      tokens.push_back({Token::Punctuation, s.substr(i++, 1), line});
    }
  }
  tokens.push_back({Token::End, {}, line});
  return tokens;
}

} // namespace filigree::ptx
