//===- Document.h - an open .attn file, as an editor asks about it --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Parses and checks every pattern of a text once; then answers what stands at a
// place. Places are lines and columns from 0, columns in UTF-16 units, as the
// Language Server Protocol counts.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_LSP_DOCUMENT_H
#define FILIGREE_FRONTEND_LSP_DOCUMENT_H

#include "frontend/Ast.h"
#include "frontend/Builtins.h"

namespace filigree::frontend {

struct Place {
  unsigned line = 0;
  unsigned column = 0;
};
struct Span {
  Place start, end;
};

struct Finding {
  Span span;
  llvm::SourceMgr::DiagKind kind;
  std::string message;
};

struct HoverText {
  Span span;
  std::string markdown;
};

/// What may be written at a place; kinds are those of the protocol.
struct Completion {
  enum Kind { Function = 3, Variable = 6, Value = 12, Keyword = 14 };
  std::string label;
  Kind kind;
  std::string detail;
  std::string doc;
};

class Document {
public:
  explicit Document(llvm::StringRef text);

  llvm::ArrayRef<Finding> getFindings() const { return findings; }
  std::optional<HoverText> hover(Place place) const;
  /// Where the name at `place` is declared.
  std::optional<Span> findDefinition(Place place) const;
  std::vector<Completion> complete(Place place) const;

private:
  /// What a word of the text stands for.
  struct Mention {
    llvm::SMRange range;
    const Decl *decl = nullptr;
    const Builtin *builtin = nullptr;
    llvm::StringRef label;
  };
  /// A variable or inner let, visible within a body.
  struct Local {
    const Decl *decl;
    llvm::SMRange scope;
  };

  void collect(const Pattern &pattern);
  void collect(const Expr &expr);
  void collect(llvm::ArrayRef<Decl *> variables, const Block &body,
               llvm::SMRange scope);
  const Mention *find(Place place) const;
  const Pattern *findPattern(const char *at) const;

  const char *toPointer(Place place) const;
  Place toPlace(const char *at) const;
  Span toSpan(llvm::SMRange range) const;

  llvm::SourceMgr sources;
  llvm::StringRef text;
  std::vector<const char *> lines; ///< their first bytes
  std::unique_ptr<File> file;
  std::vector<Finding> findings;
  std::vector<Mention> mentions;
  std::vector<Local> locals;
};

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_LSP_DOCUMENT_H
