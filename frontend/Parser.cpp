//===- Parser.cpp - files, patterns, parameters and statements ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The grammar above expressions; ParseExpr.cpp has those.
//
//===----------------------------------------------------------------------===//
#include "frontend/ParserImpl.h"

using namespace llvm;

namespace filigree::frontend {

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

Token Parser::take() {
  Token token = peek();
  if (!token.is(Tok::Eof))
    ++at;
  lastEnd = token.getRange().End;
  return token;
}

bool Parser::consume(Tok kind) {
  if (!peek().is(kind))
    return false;
  take();
  return true;
}

std::nullptr_t Parser::fail(const Twine &wanted) {
  return fail(peek(), wanted);
}

std::nullptr_t Parser::fail(const Token &token, const Twine &wanted) {
  // What other languages write.
  StringRef hint = StringSwitch<StringRef>(token.text)
                       .Case("and", "; and is spelled `&&`")
                       .Case("or", "; or is spelled `||`")
                       .Case("not", "; not is spelled `!`")
                       .Default("");
  // The end of the file is where its last token ends.
  SMRange range = token.getRange();
  if (token.is(Tok::Eof) && lastEnd.isValid())
    range = {lastEnd, lastEnd};
  reporter.error(range,
                 "expected " + wanted + ", but got " + describe(token) + hint);
  if (reporter.isFull())
    at = tokens.size() - 1;
  return nullptr;
}

bool Parser::expect(Tok kind) {
  if (consume(kind))
    return true;
  fail(describe(kind));
  return false;
}

std::optional<Ident> Parser::expectName(const Twine &what) {
  if (peek().is(Tok::Name)) {
    Token token = take();
    return Ident{token.text, token.getRange()};
  }
  if (isKeyword(peek().text))
    reporter.error(peek().getRange(), "expected " + what + ", but " +
                                          describe(peek()) + " is reserved");
  else
    fail(what);
  return std::nullopt;
}

/// Goes to the first token of `stops`, at or after the current one, that stands
/// outside the brackets opened since token `from`; stops in any case at the end
/// of the file, at `pattern`, and at a `}` that nothing opened.
void Parser::skipTo(ArrayRef<Tok> stops, size_t from) {
  SmallVector<Tok> open;
  size_t next = from;
  for (;; ++next) {
    Tok kind = tokens[next].kind;
    if (kind == Tok::Eof || kind == Tok::KwPattern)
      break;
    // What closes a bracket from before `from` closes all since.
    if ((kind == Tok::RBrace && !is_contained(open, Tok::LBrace)) ||
        (kind == Tok::RParen && !is_contained(open, Tok::LParen) &&
         !is_contained(open, Tok::LBrace)))
      open.clear();
    // No block, hence no inner statement, is open.
    bool isStatement = (kind == Tok::KwLet || kind == Tok::KwParam) &&
                       !is_contained(open, Tok::LBrace);
    if (next >= at && (open.empty() || kind == Tok::KwReturn || isStatement) &&
        is_contained(stops, kind))
      break;
    switch (kind) {
    case Tok::LParen:
    case Tok::LBrace:
    case Tok::LBracket:
      open.push_back(kind);
      break;
    case Tok::RBrace:
      while (!open.empty() && open.pop_back_val() != Tok::LBrace)
        ;
      break;
    case Tok::RParen:
    case Tok::RBracket:
      if (!open.empty() &&
          open.back() == (kind == Tok::RParen ? Tok::LParen : Tok::LBracket))
        open.pop_back();
      break;
    default:
      break;
    }
  }
  at = std::max(at, next);
}

//===----------------------------------------------------------------------===//
// Files and patterns
//===----------------------------------------------------------------------===//

void Parser::parseFile() {
  while (!peek().is(Tok::Eof)) {
    if (!peek().is(Tok::KwPattern)) {
      fail("`pattern`");
      skipTo({}, at);
      continue;
    }
    parsePattern();
  }
  if (file.patterns.empty() && !reporter.hasErrors())
    reporter.error(peek().getLoc(),
                   "expected `pattern`, but the file has none");
}

void Parser::parsePattern() {
  SMLoc start = take().getLoc();
  auto name = expectName("the name of the pattern");
  if (!name)
    return skipTo({}, at);
  auto *pattern = file.make<Pattern>();
  pattern->name = *name;
  SmallVector<Decl *> inputs, params, lets;
  if (!expect(Tok::LParen) || !parseInputs(inputs))
    return skipTo({}, at);
  if (consume(Tok::Semicolon) && !parseParams(params))
    return skipTo({}, at);
  if (!expect(Tok::RParen) || !expect(Tok::LBrace))
    return skipTo({}, at);
  parseBody(*pattern, params, lets);
  pattern->inputs = file.copy<Decl *>(inputs);
  pattern->params = file.copy<Decl *>(params);
  pattern->lets = file.copy<Decl *>(lets);
  pattern->range = {start, lastEnd};
  file.patterns.push_back(pattern);
}

bool Parser::parseInputs(SmallVectorImpl<Decl *> &inputs) {
  do {
    auto name = expectName("the name of an input");
    if (!name)
      return false;
    inputs.push_back(makeDecl(DeclKind::Input, *name));
  } while (consume(Tok::Comma));
  if (peek().is(Tok::Assign) || peek().is(Tok::Colon)) {
    fail("`,`, `;` or `)`");
    reporter.note(peek().getRange(), "parameters come after a `;`: q, k, v; "
                                     "window = 4096");
    return false;
  }
  return true;
}

/// The parameters after the semicolon. After an error in one, goes on with the
/// next.
bool Parser::parseParams(SmallVectorImpl<Decl *> &params) {
  if (peek().is(Tok::RParen))
    return true;
  do {
    size_t first = at;
    consume(Tok::KwParam);
    Decl *decl = nullptr;
    if (!parseParam(decl))
      skipTo({Tok::Comma, Tok::RParen, Tok::LBrace}, first);
    if (decl)
      params.push_back(decl);
  } while (consume(Tok::Comma));
  return true;
}

/// NAME "=" expr | NAME ":" type. Sets `decl` as soon as the name is known; it
/// is marked as broken if the rest is not right.
bool Parser::parseParam(Decl *&decl) {
  auto name = expectName("the name of a parameter");
  if (!name)
    return false;
  decl = makeDecl(DeclKind::CompileTime, *name);
  decl->isBroken = true;
  if (consume(Tok::Assign)) {
    if (!(decl->init = parseExpr()))
      return false;
  } else if (consume(Tok::Colon)) {
    decl->kind = DeclKind::RunTime;
    if (!parseParamType(*decl))
      return false;
  } else {
    fail("`=` and a default, or `:` and a type");
    return false;
  }
  decl->range.End = lastEnd;
  decl->isBroken = false;
  return true;
}

bool Parser::parseParamType(Decl &decl) {
  auto base = expectName("`int`, `float` or `blocks`");
  if (!base)
    return false;
  auto *spec = decl.spec = file.make<ParamType>();
  spec->base = *base;
  if (base->name == "blocks")
    return parseBlocksType(*spec);
  if (base->name != "int" && base->name != "float") {
    reporter.error(base->range,
                   "expected `int`, `float` or `blocks`, but got `" +
                       base->name + "`");
    return false;
  }
  if (consume(Tok::LBracket))
    return parseTableType(*spec);
  // Bounds stop before `=`, so they are sums, not comparisons.
  if (consume(Tok::GreaterEqual) && !(spec->min = parseSum()))
    return false;
  if (consume(Tok::LessEqual) && !(spec->max = parseSum()))
    return false;
  if (peek().is(Tok::Greater) || peek().is(Tok::Less) ||
      peek().is(Tok::GreaterEqual)) {
    fail("bounds in the form `>= 1 <= 65536`");
    return false;
  }
  return !consume(Tok::Assign) || (decl.init = parseExpr());
}

/// "blocks" "(" rows "," cols ")", after the first word.
bool Parser::parseBlocksType(ParamType &spec) {
  return expect(Tok::LParen) && (spec.rows = parseExpr()) &&
         expect(Tok::Comma) && (spec.cols = parseExpr()) && expect(Tok::RParen);
}

/// axis { "," axis } "]" [ ":" element ], after the bracket.
bool Parser::parseTableType(ParamType &spec) {
  SmallVector<Ident> axes;
  do {
    auto axis = expectName("an axis: b, h, i, j, doc or page");
    if (!axis)
      return false;
    axes.push_back(*axis);
  } while (consume(Tok::Comma));
  spec.axes = file.copy<Ident>(axes);
  if (!expect(Tok::RBracket))
    return false;
  if (consume(Tok::Colon)) {
    auto element = expectName("`f32`, `bf16` or `f16`");
    if (!element)
      return false;
    spec.elementType = *element;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

void Parser::parseBody(Pattern &pattern, SmallVectorImpl<Decl *> &params,
                       SmallVectorImpl<Decl *> &lets) {
  const Tok nextStatement[] = {Tok::KwLet, Tok::KwReturn, Tok::KwParam,
                               Tok::RBrace};
  bool sawReturn = false;
  while (!peek().is(Tok::RBrace)) {
    bool ok = true;
    size_t first = at;
    Tok kind = peek().kind;
    if (sawReturn) {
      fail("`}` after the returned value");
      ok = false;
    } else if (kind == Tok::KwLet) {
      Decl *decl = nullptr;
      ok = parseLet(decl);
      if (decl)
        lets.push_back(decl);
    } else if (consume(Tok::KwParam)) {
      Decl *decl = nullptr;
      ok = parseParam(decl);
      if (decl) {
        checkOrder(*decl, lets);
        params.push_back(decl);
      }
    } else if (consume(Tok::KwReturn)) {
      sawReturn = true;
      ok = (pattern.result = parseExpr());
    } else {
      fail("`let`, `param`, `return` or `}`");
      ok = false;
    }
    if (!ok) {
      if (at == first && !peek().is(Tok::KwPattern))
        take();
      skipTo(nextStatement, first);
    }
    while (consume(Tok::Semicolon))
      ;
    if (peek().is(Tok::Eof) || peek().is(Tok::KwPattern)) {
      if (ok)
        fail("`}`");
      return;
    }
  }
  Token brace = take();
  if (!sawReturn)
    reporter.error(brace.getRange(), "expected `return` before the end of "
                                     "pattern `" +
                                         pattern.name.name + "`");
}

/// Arguments of the function come before what is computed from them.
void Parser::checkOrder(const Decl &param, ArrayRef<Decl *> lets) {
  if (!lets.empty())
    reporter.error(param.nameRange, "expected `param " + param.name +
                                        "` before the first `let`");
}

/// "let" NAME "=" expr. Sets `decl` as parseParam does.
bool Parser::parseLet(Decl *&decl) {
  take();
  auto name = expectName("a name after `let`");
  if (!name)
    return false;
  decl = makeDecl(DeclKind::Let, *name);
  decl->isBroken = true;
  if (!expect(Tok::Assign) || !(decl->init = parseExpr()))
    return false;
  decl->range.End = lastEnd;
  decl->isBroken = false;
  return true;
}

Decl *Parser::makeDecl(DeclKind kind, Ident name) {
  auto *decl = file.make<Decl>();
  decl->kind = kind;
  decl->name = name.name;
  decl->nameRange = decl->range = name.range;
  return decl;
}

std::unique_ptr<File> parse(Reporter &reporter) {
  auto file = std::make_unique<File>();
  const SourceMgr &sources = reporter.getSources();
  StringRef buffer =
      sources.getMemoryBuffer(sources.getMainFileID())->getBuffer();
  if (buffer.size() > kMaxFileSize) {
    reporter.error(SMLoc::getFromPointer(buffer.data()),
                   "expected a file of at most " + Twine(kMaxFileSize) +
                       " bytes, but got " + Twine(buffer.size()));
    return file;
  }
  Parser(lex(buffer, reporter), *file, reporter).parseFile();
  return file;
}

} // namespace filigree::frontend
