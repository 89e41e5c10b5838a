//===- DocumentTest.cpp - what the language server answers ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/lsp/Document.h"
#include "frontend/lsp/LspServer.h"
#include "llvm/ADT/STLExtras.h"
#include <gtest/gtest.h>

using namespace filigree::frontend;

static const char *const kText =
    "// caf\xC3\xA9 \xF0\x9F\x8D\xB5\n"
    "pattern p(q, k, v; w: int >= 1 = 4, n = 3) {\n"
    "  let near = where (i, j) { i - j < w + n }\n"
    "  return attend(q, k, v, over: near & causal,"
    " edge: (s) -> softcap(s, 5))\n"
    "}\n";

static std::string hover(const Document &document, unsigned line,
                         unsigned column) {
  auto text = document.hover({line, column});
  return text ? text->markdown : "";
}

TEST(Document, hoverTellsTypesAndDocs) {
  Document document(kText);
  EXPECT_TRUE(document.getFindings().empty());
  EXPECT_EQ(hover(document, 1, 19),
            "```attn\nw: int >= 1 = 4\n```\nrun-time parameter: an argument of "
            "the function");
  EXPECT_EQ(hover(document, 2, 40),
            "```attn\nn: integer = 3\n```\ncompile-time parameter: --set "
            "name=value replaces its default");
  EXPECT_EQ(hover(document, 3, 32), "```attn\nnear: graph\n```");
  EXPECT_EQ(hover(document, 3, 40), "```attn\ncausal: graph\n```\nevery key at "
                                    "or before the query: j <= i");
  EXPECT_EQ(hover(document, 3, 27),
            "```attn\nover:\n```\nthe graph: which query sees which key");
  EXPECT_EQ(hover(document, 2, 28),
            "```attn\ni: integer\n```\nposition of the query");
  EXPECT_EQ(hover(document, 0, 4), "");
  EXPECT_EQ(hover(document, 99, 99), "");
}

TEST(Document, definitionOfNames) {
  Document document(kText);
  auto span = document.findDefinition({3, 33});
  ASSERT_TRUE(span);
  EXPECT_EQ(span->start.line, 2u);
  EXPECT_EQ(span->start.column, 6u);
  EXPECT_EQ(span->end.column, 10u);
  span = document.findDefinition({2, 32}); // j of the body
  ASSERT_TRUE(span);
  EXPECT_EQ(span->start.column, 23u);
  EXPECT_FALSE(document.findDefinition({3, 40})); // causal
}

TEST(Document, completionKnowsTheScope) {
  Document document(kText);
  auto labels = [&](Place place) {
    std::vector<std::string> all;
    for (const Completion &item : document.complete(place))
      all.push_back(item.label);
    return all;
  };
  auto inside = labels({2, 34}), outside = labels({3, 9}), top = labels({0, 0});
  for (const char *name : {"i", "j", "w", "n", "q", "attend", "let", "over:"})
    EXPECT_TRUE(llvm::is_contained(inside, name)) << name;
  EXPECT_FALSE(llvm::is_contained(inside, "near"));
  EXPECT_TRUE(llvm::is_contained(outside, "near"));
  EXPECT_FALSE(llvm::is_contained(outside, "i"));
  EXPECT_FALSE(llvm::is_contained(top, "q"));
}

TEST(Document, columnsAreUtf16) {
  Document errors("pattern p(q, k, v) { return attend(q, k, v, over: "
                  "\xF0\x9F\x8D\xB5 nothing) }");
  ASSERT_EQ(errors.getFindings().size(), 2u);
  EXPECT_EQ(errors.getFindings()[0].span.start.column, 50u);
  EXPECT_EQ(errors.getFindings()[1].span.start.column, 53u);
  EXPECT_EQ(errors.getFindings()[1].span.end.column, 60u);
}

TEST(Document, server) {
  const char *messages =
      R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}
// -----
{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"untitled:a","languageId":"attn","version":1,"text":"pattern p(q, k, v) { return attend(q, k, v, over: casual) }"}}}
// -----
{"jsonrpc":"2.0","method":"textDocument/didChange","params":{"textDocument":{"uri":"untitled:a","version":2},"contentChanges":[{"text":"pattern p(q, k, v) { return attend(q, k, v, over: causal) }"}]}}
// -----
{"jsonrpc":"2.0","id":1,"method":"textDocument/definition","params":{"textDocument":{"uri":"untitled:a"},"position":{"line":0,"character":35}}}
// -----
{"jsonrpc":"2.0","id":2,"method":"textDocument/completion","params":{"textDocument":{"uri":"untitled:b"},"position":3}}
// -----
{"jsonrpc":"2.0","id":3,"method":"shutdown"}
// -----
{"jsonrpc":"2.0","method":"exit"}
)";
  std::FILE *in = std::tmpfile();
  ASSERT_TRUE(in);
  std::fputs(messages, in);
  std::rewind(in);
  std::string text;
  llvm::raw_string_ostream out(text);
  EXPECT_TRUE(runLspServer(in, out, /*isTest=*/true));
  std::fclose(in);
  EXPECT_NE(text.find("did you mean `causal`?"), std::string::npos);
  EXPECT_NE(text.find("\"diagnostics\": []"), std::string::npos);
  EXPECT_NE(text.find("\"character\": 10"), std::string::npos);
  EXPECT_NE(text.find("\"isIncomplete\": false"), std::string::npos);
}

/// A text is half written most of the time.
TEST(Document, brokenDeclarationsAnswer) {
  Document document("pattern p(q, k, v; a: , t: int[, b = ) {\n"
                    "  let g = where (i, j) { i < a + t }\n"
                    "  return attend(q, k, v, over: g | b)\n}\n");
  EXPECT_FALSE(document.getFindings().empty());
  EXPECT_EQ(hover(document, 0, 19),
            "```attn\na: error\n```\nrun-time parameter: an argument of the "
            "function");
  EXPECT_GT(document.complete({2, 30}).size(), 20u);
}
