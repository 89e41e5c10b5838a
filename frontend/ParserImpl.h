//===- ParserImpl.h - the parser's state, private to Parse*.cpp -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A function that returns null or false has reported; its caller passes that
// on until one that knows where to go on.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_PARSERIMPL_H
#define FILIGREE_FRONTEND_PARSERIMPL_H

#include "frontend/Parser.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

namespace filigree::frontend {

class Parser {
public:
  Parser(std::vector<Token> tokens, File &file, Reporter &reporter)
      : tokens(std::move(tokens)), file(file), reporter(reporter) {}
  void parseFile();

private:
  // Tokens.
  const Token &peek(size_t ahead = 0) const {
    return tokens[std::min(at + ahead, tokens.size() - 1)];
  }
  Token take();
  bool consume(Tok kind);
  bool expect(Tok kind);
  std::optional<Ident> expectName(const llvm::Twine &what);
  std::nullptr_t fail(const llvm::Twine &wanted);
  std::nullptr_t fail(const Token &token, const llvm::Twine &wanted);
  void skipTo(llvm::ArrayRef<Tok> stops, size_t from);

  // Patterns.
  void parsePattern();
  bool parseInputs(llvm::SmallVectorImpl<Decl *> &inputs);
  bool parseParams(llvm::SmallVectorImpl<Decl *> &params);
  bool parseParam(Decl *&decl);
  bool parseParamType(Decl &decl);
  bool parseBlocksType(ParamType &spec);
  bool parseTableType(ParamType &spec);
  void parseBody(Pattern &pattern, llvm::SmallVectorImpl<Decl *> &params,
                 llvm::SmallVectorImpl<Decl *> &lets);
  void checkOrder(const Decl &param, llvm::ArrayRef<Decl *> lets);
  bool parseLet(Decl *&decl);
  Decl *makeDecl(DeclKind kind, Ident name);

  // Expressions, loosest first.
  Expr *parseExpr();
  Expr *parseBinary(unsigned level);
  Expr *parseCompare();
  Expr *parseSum();
  Expr *parseUnary();
  Expr *parsePrimary();
  Expr *parseNumber();
  Expr *parseParenthesised();
  Expr *parseNameOrCall();
  Expr *parseCall(Ident callee, llvm::SMLoc start);
  Expr *parseIndex(Ident table);
  Expr *parseWhere();
  Expr *parseEdge(llvm::SMLoc start);
  bool parseVariables(llvm::SmallVectorImpl<Decl *> &variables);
  bool parseBlock(Block &block);
  bool startsVariables(size_t ahead, Tok follow) const;

  /// Sets range, depth and the place of errors; null if it became too deep.
  template <typename T> T *finish(T *expr, llvm::ArrayRef<Expr *> children);
  unsigned blockDepth(const Block &block) const;

  const std::vector<Token> tokens;
  size_t at = 0;
  llvm::SMLoc lastEnd;
  unsigned nesting = 0;
  File &file;
  Reporter &reporter;
};

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_PARSERIMPL_H
