//===- Document.cpp - what stands at a place of a text --------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/lsp/Document.h"
#include "frontend/Checker.h"
#include "frontend/Parser.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;

namespace filigree::frontend {

Document::Document(StringRef content) {
  unsigned id = sources.AddNewSourceBuffer(
      MemoryBuffer::getMemBufferCopy(content), SMLoc());
  text = sources.getMemoryBuffer(id)->getBuffer();
  lines.push_back(text.begin());
  for (const char &c : text)
    if (c == '\n')
      lines.push_back(&c + 1);

  auto add = [&](const SMDiagnostic &diag) {
    const char *start = diag.getLoc().getPointer();
    Place from = toPlace(start);
    // The highlighted bytes of the line, or one.
    unsigned bytes = 1;
    for (auto [first, last] : diag.getRanges())
      if (last > first)
        bytes = std::max(bytes, last - first);
    const char *end = std::min(start + bytes, text.end());
    if (diag.getKind() == SourceMgr::DK_Note) {
      if (!findings.empty())
        findings.back().message +=
            ("\nline " + Twine(from.line + 1) + ": " + diag.getMessage()).str();
      return;
    }
    findings.push_back(
        {{from, toPlace(end)}, diag.getKind(), diag.getMessage().str()});
  };
  Reporter parsing(sources, add);
  file = parse(parsing);
  InstantiateOptions options;
  options.valueDim = options.headDim;
  for (Pattern *pattern : file->patterns) {
    Reporter checking(sources, add);
    check(*pattern, *file, options, checking);
    collect(*pattern);
  }
}

//===----------------------------------------------------------------------===//
// Words that mean something
//===----------------------------------------------------------------------===//

void Document::collect(const Pattern &pattern) {
  for (ArrayRef<Decl *> decls : {pattern.inputs, pattern.params, pattern.lets})
    for (const Decl *decl : decls) {
      mentions.push_back({decl->nameRange, decl, nullptr, {}});
      if (decl->init)
        collect(*decl->init);
      if (decl->spec)
        for (const Expr *expr : {decl->spec->min, decl->spec->max,
                                 decl->spec->rows, decl->spec->cols})
          if (expr)
            collect(*expr);
    }
  if (pattern.result)
    collect(*pattern.result);
}

void Document::collect(const Expr &expr) {
  if (auto *name = dyn_cast<NameExpr>(&expr)) {
    mentions.push_back({name->range, name->decl, name->builtin, {}});
  } else if (auto *index = dyn_cast<IndexExpr>(&expr)) {
    mentions.push_back({index->table.range, index->decl, nullptr, {}});
  } else if (auto *call = dyn_cast<CallExpr>(&expr)) {
    mentions.push_back({call->callee.range, nullptr, call->builtin, {}});
    for (const Argument &arg : call->args)
      if (!arg.label.name.empty())
        mentions.push_back({arg.label.range, nullptr, nullptr, arg.label.name});
  } else if (auto *where = dyn_cast<WhereExpr>(&expr)) {
    collect(where->variables, where->body, where->range);
  } else if (auto *edge = dyn_cast<EdgeExpr>(&expr)) {
    collect(edge->variables, edge->body, edge->range);
  }
  forEachChild(expr, [&](const Expr &child) { collect(child); });
}

void Document::collect(ArrayRef<Decl *> variables, const Block &body,
                       SMRange scope) {
  for (ArrayRef<Decl *> decls : {variables, body.lets})
    for (const Decl *decl : decls) {
      mentions.push_back({decl->nameRange, decl, nullptr, {}});
      locals.push_back({decl, scope});
      if (decl->init)
        collect(*decl->init);
    }
  collect(*body.value);
}

static bool contains(SMRange range, const char *at) {
  return range.Start.getPointer() <= at && at <= range.End.getPointer();
}

const Document::Mention *Document::find(Place place) const {
  const char *at = toPointer(place);
  for (const Mention &mention : mentions)
    if (contains(mention.range, at))
      return &mention;
  return nullptr;
}

const Pattern *Document::findPattern(const char *at) const {
  const Pattern *last = nullptr;
  for (const Pattern *pattern : file->patterns)
    if (pattern->range.Start.getPointer() <= at)
      last = pattern;
  return last;
}

//===----------------------------------------------------------------------===//
// Answers
//===----------------------------------------------------------------------===//

static std::string printConstant(const Constant &constant) {
  std::string shown;
  raw_string_ostream os(shown);
  if (constant.type == Type::Int)
    os << constant.integer;
  else if (constant.type == Type::Float)
    os << format("%g", constant.real);
  else
    os << (constant.truth ? "true" : "false");
  return shown;
}

/// One line of code that says what a name is.
static std::string spellDecl(const Decl &decl) {
  std::string head = decl.name.str() + ": " + spellType(decl);
  if (decl.constant)
    head += " = " + printConstant(*decl.constant);
  return head;
}

static StringRef explainDecl(const Decl &decl) {
  static constexpr StringLiteral variables[] = {
      "batch entry, or document", "query head", "position of the query",
      "position of the key", "scaled product of query and key"};
  switch (decl.kind) {
  case DeclKind::Input:
    return decl.role == Role::Value
               ? "input with the head size of values"
               : "input with the head size of queries and keys";
  case DeclKind::CompileTime:
    return "compile-time parameter: --set name=value replaces its default";
  case DeclKind::RunTime:
    return "run-time parameter: an argument of the function";
  case DeclKind::Let:
    return "";
  case DeclKind::Variable:
    return variables[decl.position];
  }
  llvm_unreachable("all declarations are explained");
}

std::optional<HoverText> Document::hover(Place place) const {
  const Mention *mention = find(place);
  if (!mention)
    return std::nullopt;
  std::string head, doc;
  if (mention->decl) {
    head = spellDecl(*mention->decl);
    doc = explainDecl(*mention->decl);
  } else if (mention->builtin) {
    head = mention->builtin->signature;
    doc = mention->builtin->doc;
  } else {
    auto label = find_if(getLabels(), [&](const Word &word) {
      return word.name == mention->label;
    });
    if (label == getLabels().end())
      return std::nullopt;
    head = (label->name + ":").str();
    doc = label->doc;
  }
  std::string markdown = "```attn\n" + head + "\n```";
  if (!doc.empty())
    markdown += "\n" + doc;
  return HoverText{toSpan(mention->range), markdown};
}

std::optional<Span> Document::findDefinition(Place place) const {
  const Mention *mention = find(place);
  if (!mention || !mention->decl)
    return std::nullopt;
  return toSpan(mention->decl->nameRange);
}

std::vector<Completion> Document::complete(Place place) const {
  std::vector<Completion> items;
  StringSet<> seen;
  auto add = [&](StringRef label, Completion::Kind kind, StringRef detail,
                 StringRef doc) {
    if (seen.insert(label).second)
      items.push_back({label.str(), kind, detail.str(), doc.str()});
  };
  const char *at = toPointer(place);
  auto addDecl = [&](const Decl &decl) {
    if (decl.range.End.getPointer() < at)
      add(decl.name, Completion::Variable, spellDecl(decl), explainDecl(decl));
  };
  for (const Local &local : locals)
    if (contains(local.scope, at))
      addDecl(*local.decl);
  if (const Pattern *pattern = findPattern(at))
    for (ArrayRef<Decl *> decls :
         {pattern->inputs, pattern->params, pattern->lets})
      for (const Decl *decl : decls)
        addDecl(*decl);
  for (const Builtin &builtin : getBuiltins())
    add(builtin.name,
        builtin.isFunction() ? Completion::Function : Completion::Value,
        builtin.signature, builtin.doc);
  for (const Word &word : getKeywords())
    add(word.name, Completion::Keyword, "", word.doc);
  for (const Word &word : getLabels())
    add((word.name + ":").str(), Completion::Keyword, "", word.doc);
  return items;
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

/// Bytes of the character that starts with `lead`; 1 for a stray byte.
static unsigned getUtf8Size(unsigned char lead) {
  return lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
}

const char *Document::toPointer(Place place) const {
  if (place.line >= lines.size())
    return text.end();
  const char *at = lines[place.line];
  for (unsigned column = 0;
       column < place.column && at < text.end() && *at != '\n';) {
    unsigned size = getUtf8Size(static_cast<unsigned char>(*at));
    column += size == 4 ? 2 : 1;
    at += std::min<size_t>(size, text.end() - at);
  }
  return at;
}

Place Document::toPlace(const char *at) const {
  auto next = std::upper_bound(lines.begin(), lines.end(), at);
  unsigned line = unsigned(next - lines.begin()) - 1;
  unsigned column = 0;
  for (const char *c = lines[line]; c < at;) {
    unsigned size = getUtf8Size(static_cast<unsigned char>(*c));
    column += size == 4 ? 2 : 1;
    c += size;
  }
  return {line, column};
}

Span Document::toSpan(SMRange range) const {
  return {toPlace(range.Start.getPointer()), toPlace(range.End.getPointer())};
}

} // namespace filigree::frontend
