//===- Lexer.cpp - cutting text into tokens -------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/Lexer.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace llvm;

namespace filigree::frontend {

/// Every fixed spelling, longest first among those with a common start.
static constexpr std::pair<StringLiteral, Tok> kPunctuation[] = {
    {"->", Tok::Arrow},   {"<=", Tok::LessEqual}, {">=", Tok::GreaterEqual},
    {"==", Tok::Equal},   {"!=", Tok::NotEqual},  {"&&", Tok::AndAnd},
    {"||", Tok::OrOr},    {"(", Tok::LParen},     {")", Tok::RParen},
    {"{", Tok::LBrace},   {"}", Tok::RBrace},     {"[", Tok::LBracket},
    {"]", Tok::RBracket}, {",", Tok::Comma},      {";", Tok::Semicolon},
    {":", Tok::Colon},    {"=", Tok::Assign},     {"+", Tok::Plus},
    {"-", Tok::Minus},    {"*", Tok::Star},       {"/", Tok::Slash},
    {"%", Tok::Percent},  {"<", Tok::Less},       {">", Tok::Greater},
    {"!", Tok::Bang},     {"&", Tok::Amp},        {"|", Tok::Pipe},
    {"~", Tok::Tilde},
};

static Tok classifyWord(StringRef word) {
  return StringSwitch<Tok>(word)
      .Case("pattern", Tok::KwPattern)
      .Case("let", Tok::KwLet)
      .Case("return", Tok::KwReturn)
      .Case("where", Tok::KwWhere)
      .Case("param", Tok::KwParam)
      .Case("true", Tok::KwTrue)
      .Case("false", Tok::KwFalse)
      .Default(Tok::Name);
}

bool isKeyword(StringRef word) { return classifyWord(word) != Tok::Name; }

StringRef describe(Tok kind) {
  switch (kind) {
  case Tok::Eof:
    return "end of file";
  case Tok::Name:
    return "a name";
  case Tok::Integer:
    return "an integer";
  case Tok::Float:
    return "a number";
  case Tok::KwPattern:
    return "`pattern`";
  case Tok::KwLet:
    return "`let`";
  case Tok::KwReturn:
    return "`return`";
  case Tok::KwWhere:
    return "`where`";
  case Tok::KwParam:
    return "`param`";
  case Tok::KwTrue:
    return "`true`";
  case Tok::KwFalse:
    return "`false`";
  case Tok::LBrace:
    return "`{`";
  case Tok::RBrace:
    return "`}`";
  case Tok::LParen:
    return "`(`";
  case Tok::RParen:
    return "`)`";
  case Tok::LBracket:
    return "`[`";
  case Tok::RBracket:
    return "`]`";
  case Tok::Comma:
    return "`,`";
  case Tok::Colon:
    return "`:`";
  case Tok::Assign:
    return "`=`";
  case Tok::Arrow:
    return "`->`";
  default:
    return "an operator";
  }
}

std::string describe(const Token &token) {
  if (token.is(Tok::Eof))
    return "end of file";
  return ("`" + token.text.take_front(60) +
          (token.text.size() > 60 ? "...`" : "`"))
      .str();
}

namespace {
class Lexer {
public:
  Lexer(StringRef buffer, Reporter &reporter)
      : rest(buffer), reporter(reporter) {}

  std::vector<Token> run() {
    // A byte order mark is no content.
    rest.consume_front("\xEF\xBB\xBF");
    while (true) {
      skipBlanks();
      if (rest.empty())
        break;
      lexToken();
    }
    tokens.push_back({Tok::Eof, true, rest});
    return std::move(tokens);
  }

private:
  void skipBlanks() {
    while (!rest.empty()) {
      if (rest.front() == '\n')
        atLineStart = true;
      if (isSpace(rest.front()))
        rest = rest.drop_front();
      else if (rest.starts_with("//"))
        rest = rest.drop_until([](char c) { return c == '\n'; });
      else
        return;
    }
  }

  void take(Tok kind, size_t size) {
    tokens.push_back({kind, atLineStart, rest.take_front(size)});
    rest = rest.drop_front(size);
    atLineStart = false;
  }

  void lexToken() {
    char c = rest.front();
    if (isAlpha(c) || c == '_') {
      StringRef word =
          rest.take_while([](char c) { return isAlnum(c) || c == '_'; });
      return take(classifyWord(word), word.size());
    }
    if (isDigit(c))
      return lexNumber();
    for (const auto &[spelling, kind] : kPunctuation)
      if (rest.starts_with(spelling))
        return take(kind, spelling.size());
    skipUnknown();
  }

  /// digits [ "." digits ] [ e [+-] digits ]; `_` may stand between digits.
  void lexNumber() {
    auto digits = [&](size_t at) {
      while (at < rest.size() && (isDigit(rest[at]) || rest[at] == '_'))
        ++at;
      return at;
    };
    Tok kind = Tok::Integer;
    size_t end = digits(0);
    if (end + 1 < rest.size() && rest[end] == '.' && isDigit(rest[end + 1])) {
      kind = Tok::Float;
      end = digits(end + 1);
    }
    if (end < rest.size() && (rest[end] == 'e' || rest[end] == 'E')) {
      size_t sign = end + 1;
      if (sign < rest.size() && (rest[sign] == '+' || rest[sign] == '-'))
        ++sign;
      if (sign < rest.size() && isDigit(rest[sign])) {
        kind = Tok::Float;
        end = digits(sign);
      }
    }
    size_t tail = end;
    while (tail < rest.size() && (isAlnum(rest[tail]) || rest[tail] == '_'))
      ++tail;
    if (tail != end) {
      reporter.error(SMLoc::getFromPointer(rest.data()),
                     "expected a decimal number, but got `" +
                         rest.take_front(std::min<size_t>(tail, 60)) + "`");
    }
    take(kind, end);
    rest = rest.drop_front(tail - end);
  }

  /// One report for a run of bytes that no token starts with.
  void skipUnknown() {
    auto startsToken = [](StringRef text) {
      if (isSpace(text.front()) || isAlnum(text.front()) || text.front() == '_')
        return true;
      return any_of(kPunctuation, [&](const auto &entry) {
        return text.starts_with(entry.first);
      });
    };
    const char *start = rest.data();
    size_t size = 0;
    while (!rest.empty() && !startsToken(rest)) {
      rest = rest.drop_front();
      ++size;
    }
    std::string shown;
    raw_string_ostream os(shown);
    bool isText = all_of(StringRef(start, size),
                         [](char c) { return isPrint(c) || (c & 0x80); });
    if (isText && size <= 40)
      os << "`" << StringRef(start, size) << "`";
    else
      os << size << " bytes that are no text, the first 0x"
         << utohexstr(static_cast<unsigned char>(*start), true, 2);
    reporter.error(SMLoc::getFromPointer(start),
                   "expected a token, but got " + shown);
  }

  StringRef rest;
  Reporter &reporter;
  bool atLineStart = true;
  std::vector<Token> tokens;
};
} // namespace

std::vector<Token> lex(StringRef buffer, Reporter &reporter) {
  return Lexer(buffer, reporter).run();
}

} // namespace filigree::frontend
