//===- ParseExpr.cpp - expressions ----------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One grammar for graphs, conditions, numbers and edges: which operators fit
// which types is the checker's business. An operator at the start of a line
// continues the expression above it; `(` and `[` do not.
//
//===----------------------------------------------------------------------===//
#include "frontend/ParserImpl.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/ScopeExit.h"
#include <cmath>

using namespace llvm;

namespace filigree::frontend {

template <typename T> T *Parser::finish(T *expr, ArrayRef<Expr *> children) {
  for (const Expr *child : children)
    expr->depth = std::max(expr->depth, child->depth + 1);
  if (expr->depth <= kMaxDepth)
    return expr;
  reporter.error(expr->loc, "expected at most " + Twine(kMaxDepth) +
                                " operators in a row");
  return nullptr;
}

unsigned Parser::blockDepth(const Block &block) const {
  unsigned depth = block.value->depth;
  for (const Decl *decl : block.lets)
    depth = std::max(depth, decl->init->depth);
  return depth + 1;
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

/// Loosest first; level 2 is for comparisons, which chain instead of nesting.
static constexpr Tok kLevels[][3] = {
    {Tok::OrOr, Tok::OrOr, Tok::OrOr},
    {Tok::AndAnd, Tok::AndAnd, Tok::AndAnd},
    {},
    {Tok::Pipe, Tok::Pipe, Tok::Pipe},
    {Tok::Amp, Tok::Amp, Tok::Amp},
    {Tok::Plus, Tok::Minus, Tok::Minus},
    {Tok::Star, Tok::Slash, Tok::Percent},
};
static constexpr unsigned kCompareLevel = 2, kSumLevel = 5;

static bool isComparison(Tok kind) {
  return kind == Tok::Less || kind == Tok::LessEqual || kind == Tok::Greater ||
         kind == Tok::GreaterEqual || kind == Tok::Equal ||
         kind == Tok::NotEqual;
}

Expr *Parser::parseExpr() {
  scope_exit leave([this] { --nesting; });
  if (++nesting > kMaxNesting) {
    reporter.error(peek().getRange(), "expected at most " + Twine(kMaxNesting) +
                                          " expressions inside one another");
    return nullptr;
  }
  return parseBinary(0);
}

Expr *Parser::parseSum() { return parseBinary(kSumLevel); }

Expr *Parser::parseBinary(unsigned level) {
  if (level == std::size(kLevels))
    return parseUnary();
  if (level == kCompareLevel)
    return parseCompare();
  Expr *lhs = parseBinary(level + 1);
  while (lhs && is_contained(kLevels[level], peek().kind) &&
         !peek().is(Tok::Eof)) {
    Token op = take();
    Expr *rhs = parseBinary(level + 1);
    if (!rhs)
      return nullptr;
    auto *expr =
        file.make<BinaryExpr>(SMRange(lhs->range.Start, lastEnd), op.getLoc());
    expr->op = op.kind;
    expr->lhs = lhs;
    expr->rhs = rhs;
    lhs = finish(expr, {expr->lhs, expr->rhs});
  }
  return lhs;
}

Expr *Parser::parseCompare() {
  Expr *first = parseBinary(kCompareLevel + 1);
  if (!first || !isComparison(peek().kind))
    return first;
  SmallVector<Expr *> operands = {first};
  SmallVector<Tok> ops;
  SMLoc loc = peek().getLoc();
  // Chains go one way: a < b <= c, not a < b > c.
  auto direction = [](Tok kind) {
    return kind == Tok::Less || kind == Tok::LessEqual         ? 0
           : kind == Tok::Greater || kind == Tok::GreaterEqual ? 1
           : kind == Tok::Equal                                ? 2
                                                               : 3;
  };
  while (isComparison(peek().kind)) {
    Token op = take();
    if (!ops.empty() && (direction(op.kind) != direction(ops.front()) ||
                         op.is(Tok::NotEqual))) {
      reporter.error(op.getRange(),
                     "expected comparisons of one direction in a chain, but "
                     "got " +
                         describe(op) + "; join them with `&&`");
      return nullptr;
    }
    ops.push_back(op.kind);
    Expr *operand = parseBinary(kCompareLevel + 1);
    if (!operand)
      return nullptr;
    operands.push_back(operand);
  }
  auto *expr =
      file.make<CompareExpr>(SMRange(first->range.Start, lastEnd), loc);
  expr->operands = file.copy<Expr *>(operands);
  expr->ops = file.copy<Tok>(ops);
  return finish(expr, operands);
}

Expr *Parser::parseUnary() {
  if (!peek().is(Tok::Minus) && !peek().is(Tok::Bang) && !peek().is(Tok::Tilde))
    return parsePrimary();
  scope_exit leave([this] { --nesting; });
  if (++nesting > kMaxNesting) {
    reporter.error(peek().getRange(), "expected at most " + Twine(kMaxNesting) +
                                          " expressions inside one another");
    return nullptr;
  }
  Token op = take();
  Expr *operand = parseUnary();
  if (!operand)
    return nullptr;
  auto *expr = file.make<UnaryExpr>(SMRange(op.getLoc(), lastEnd), op.getLoc());
  expr->op = op.kind;
  expr->operand = operand;
  return finish(expr, {operand});
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

Expr *Parser::parsePrimary() {
  switch (peek().kind) {
  case Tok::Integer:
  case Tok::Float:
    return parseNumber();
  case Tok::KwTrue:
  case Tok::KwFalse: {
    Token token = take();
    auto *expr = file.make<LiteralExpr>(token.getRange(), token.getLoc());
    expr->constant = Constant::ofBool(token.is(Tok::KwTrue));
    return expr;
  }
  case Tok::Name:
    return parseNameOrCall();
  case Tok::KwWhere:
    return parseWhere();
  case Tok::LParen:
    return parseParenthesised();
  default:
    return fail("an expression");
  }
}

Expr *Parser::parseNumber() {
  Token token = take();
  std::string digits = token.text.str();
  llvm::erase(digits, '_');
  auto *expr = file.make<LiteralExpr>(token.getRange(), token.getLoc());
  if (token.is(Tok::Integer)) {
    int64_t value = 0;
    if (StringRef(digits).getAsInteger(10, value)) {
      reporter.error(token.getRange(),
                     "expected an integer of at most 64 bits, but got " +
                         describe(token));
      return nullptr;
    }
    expr->constant = Constant::ofInt(value);
    return expr;
  }
  double value = 0;
  if (StringRef(digits).getAsDouble(value) || !std::isfinite(value) ||
      std::fabs(value) > std::numeric_limits<float>::max()) {
    reporter.error(token.getRange(), "expected a number in the range of f32, "
                                     "but got " +
                                         describe(token));
    return nullptr;
  }
  expr->constant = Constant::ofFloat(value);
  return expr;
}

/// True if "(" NAME { "," NAME } ")" and `follow` stand here.
bool Parser::startsVariables(size_t ahead, Tok follow) const {
  if (!peek(ahead).is(Tok::LParen))
    return false;
  do {
    if (!peek(++ahead).is(Tok::Name))
      return false;
  } while (peek(++ahead).is(Tok::Comma));
  return peek(ahead).is(Tok::RParen) && peek(ahead + 1).is(follow);
}

Expr *Parser::parseParenthesised() {
  SMLoc start = peek().getLoc();
  if (startsVariables(0, Tok::Arrow))
    return parseEdge(start);
  take();
  Expr *expr = parseExpr();
  if (!expr)
    return nullptr;
  if (!peek().is(Tok::Comma)) {
    if (!consume(Tok::RParen))
      return fail("`)`");
    expr->range = {start, lastEnd};
    return expr;
  }
  SmallVector<Expr *> elements = {expr};
  while (consume(Tok::Comma)) {
    if (!(expr = parseExpr()))
      return nullptr;
    elements.push_back(expr);
  }
  if (!consume(Tok::RParen))
    return fail("`,` or `)`");
  auto *tuple = file.make<TupleExpr>(SMRange(start, lastEnd), start);
  tuple->elements = file.copy<Expr *>(elements);
  return finish(tuple, elements);
}

Expr *Parser::parseNameOrCall() {
  Token token = take();
  Ident name{token.text, token.getRange()};
  if (peek().is(Tok::LParen) && !peek().startsLine)
    return parseCall(name, token.getLoc());
  if (peek().is(Tok::LBracket) && !peek().startsLine)
    return parseIndex(name);
  auto *expr = file.make<NameExpr>(token.getRange(), token.getLoc());
  expr->name = token.text;
  return expr;
}

/// "(" [ argument { "," argument } ] ")"; a label is a name and a colon.
Expr *Parser::parseCall(Ident callee, SMLoc start) {
  take();
  SmallVector<Argument> args;
  SmallVector<Expr *> children;
  if (!peek().is(Tok::RParen)) {
    do {
      Argument arg{{StringRef(), SMRange()}, nullptr};
      if (peek().is(Tok::Name) && peek(1).is(Tok::Colon)) {
        Token label = take();
        arg.label = {label.text, label.getRange()};
        take();
      }
      if (!(arg.value = parseExpr()))
        return nullptr;
      args.push_back(arg);
      children.push_back(arg.value);
    } while (consume(Tok::Comma));
  }
  if (!consume(Tok::RParen))
    return fail("`,` or `)`");
  auto *expr = file.make<CallExpr>(SMRange(start, lastEnd), start);
  expr->callee = callee;
  expr->args = file.copy<Argument>(args);
  return finish(expr, children);
}

Expr *Parser::parseIndex(Ident table) {
  take();
  SmallVector<Expr *> indices;
  do {
    Expr *index = parseExpr();
    if (!index)
      return nullptr;
    indices.push_back(index);
  } while (consume(Tok::Comma));
  if (!consume(Tok::RBracket))
    return fail("`,` or `]`");
  auto *expr = file.make<IndexExpr>(SMRange(table.range.Start, lastEnd),
                                    table.range.Start);
  expr->table = table;
  expr->indices = file.copy<Expr *>(indices);
  return finish(expr, indices);
}

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

/// A graph, where (i, j) { ... }, or a choice, where(c, a, b).
Expr *Parser::parseWhere() {
  Token word = take();
  if (!peek().is(Tok::LParen))
    return fail("`(` after `where`");
  // A brace after the closing parenthesis makes it a graph.
  size_t close = at;
  for (unsigned open = 0; !tokens[close].is(Tok::Eof); ++close) {
    open += tokens[close].is(Tok::LParen);
    if (tokens[close].is(Tok::RParen) && --open == 0)
      break;
    if (tokens[close].is(Tok::LBrace) || tokens[close].is(Tok::KwLet))
      break;
  }
  if (!tokens[close].is(Tok::RParen) || !tokens[close + 1].is(Tok::LBrace))
    return parseCall({word.text, word.getRange()}, word.getLoc());

  SmallVector<Decl *> variables;
  auto *expr = file.make<WhereExpr>(word.getRange(), word.getLoc());
  if (!parseVariables(variables))
    return nullptr;
  if (variables.size() < 2 || variables.size() > 4) {
    reporter.error(SMRange(word.getLoc(), lastEnd),
                   "expected (i, j), (h, i, j) or (b, h, i, j), but got " +
                       Twine(variables.size()) + " variables");
    return nullptr;
  }
  for (auto [index, decl] : enumerate(variables))
    decl->position = index + 4 - variables.size();
  if (!parseBlock(expr->body))
    return nullptr;
  expr->variables = file.copy<Decl *>(variables);
  expr->range.End = lastEnd;
  expr->depth = blockDepth(expr->body);
  return finish(expr, {});
}

/// (s, h, i, j) -> value, or -> { let ... value }
Expr *Parser::parseEdge(SMLoc start) {
  SmallVector<Decl *> variables;
  auto *expr = file.make<EdgeExpr>(SMRange(start, start), start);
  if (!parseVariables(variables))
    return nullptr;
  if (variables.size() == 2 || variables.size() > 5) {
    reporter.error(SMRange(start, lastEnd),
                   "expected (s), (s, i, j), (s, h, i, j) or (s, b, h, i, j), "
                   "but got " +
                       Twine(variables.size()) + " variables");
    return nullptr;
  }
  for (auto [index, decl] : enumerate(variables))
    decl->position = index == 0 ? 4 : index + 4 - variables.size();
  take(); // the arrow
  if (peek().is(Tok::LBrace)) {
    if (!parseBlock(expr->body))
      return nullptr;
  } else if (!(expr->body.value = parseExpr())) {
    return nullptr;
  }
  expr->variables = file.copy<Decl *>(variables);
  expr->range.End = lastEnd;
  expr->depth = blockDepth(expr->body);
  return finish(expr, {});
}

bool Parser::parseVariables(SmallVectorImpl<Decl *> &variables) {
  take();
  do {
    auto name = expectName("the name of a variable");
    if (!name)
      return false;
    variables.push_back(makeDecl(DeclKind::Variable, *name));
  } while (consume(Tok::Comma));
  return expect(Tok::RParen);
}

bool Parser::parseBlock(Block &block) {
  if (!expect(Tok::LBrace))
    return false;
  SmallVector<Decl *> lets;
  while (peek().is(Tok::KwLet)) {
    Decl *decl = nullptr;
    if (!parseLet(decl))
      return false;
    lets.push_back(decl);
    while (consume(Tok::Semicolon))
      ;
  }
  if (peek().is(Tok::RBrace)) {
    fail(lets.empty() ? "an expression" : "an expression after the last `let`");
    return false;
  }
  block.lets = file.copy<Decl *>(lets);
  if (!(block.value = parseExpr()))
    return false;
  while (consume(Tok::Semicolon))
    ;
  return expect(Tok::RBrace);
}

} // namespace filigree::frontend
