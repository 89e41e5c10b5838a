//===- ErrorTest.cpp - every refusal, word by word ------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Parsing.h"
#include "frontend/Parser.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace filigree;
using namespace filigree::test;

/// The text must be refused with exactly this report.
static void expectReport(StringRef text, StringRef report,
                         const InstantiateOptions &options = {}) {
  SCOPED_TRACE(text.take_front(400).str());
  Parsed parsed(text, options);
  EXPECT_FALSE(bool(parsed.module));
  EXPECT_EQ(parsed.report, report.str());
}

/// `expr` as a graph of `params` (on line 1, column 20), refused on line 2.
static void expectGraphError(StringRef expr, StringRef report,
                             StringRef params = "") {
  expectReport(graph(expr, params), report);
}

TEST(Error, tokens) {
  expectReport("@ pattern p(q, k, v) { return attend(q, k, v, over: all) }",
               "1:1: error: expected a token, but got `@`\n");
  expectGraphError("where (i, j) { i < 3x }",
                   "2:49: error: expected a decimal number, but got `3x`\n");
  expectGraphError("where (i, j) { i < 9223372036854775808 }",
                   "2:49: error: expected an integer of at most 64 bits, but "
                   "got `9223372036854775808`\n");
  expectReport(edge("(s) -> s * 1e39"),
               "2:52: error: expected a number in the range of f32, but got "
               "`1e39`\n");
}

TEST(Error, syntax) {
  expectReport("", "1:1: error: expected `pattern`, but the file has none\n");
  expectReport("// nothing\n",
               "2:1: error: expected `pattern`, but the file has none\n");
  expectReport(
      "pattern p(q, k, v) { }",
      "1:22: error: expected `return` before the end of pattern `p`\n");
  expectReport("pattern p(q, k, v, w = 3) { return q }",
               "1:22: error: expected `,`, `;` or `)`, but got `=`\n"
               "1:22: note: parameters come after a `;`: q, k, v; window = "
               "4096\n");
  expectReport(wrap("let where = all\nreturn attend(q, k, v, over: all)"),
               "2:5: error: expected a name after `let`, but `where` is "
               "reserved\n");
  expectGraphError("where (i, j) { i < 3 and j < 3 }",
                   "2:51: error: expected `}`, but got `and`; and is spelled "
                   "`&&`\n");
  expectGraphError("where (i) { i < 3 }",
                   "2:30: error: expected (i, j), (h, i, j) or (b, h, i, j), "
                   "but got 1 variables\n");
  expectGraphError("where (i, j) { i < 3 > j }",
                   "2:51: error: expected comparisons of one direction in a "
                   "chain, but got `>`; join them with `&&`\n");
  expectGraphError("where (i, j) { let d = i - j }",
                   "2:59: error: expected an expression after the last `let`, "
                   "but got `}`\n");
  expectReport("pattern p(q, k, v) { return attend(q, k, v, over: all",
               "1:54: error: expected `,` or `)`, but got end of file\n");
}

TEST(Error, severalAtOnce) {
  expectReport("pattern p(q, k, v; a = , b: float >= 1, t: int[j]) {\n"
               "  let f = a + * 2\n"
               "  let g = where (i, j) { i < }\n"
               "  return attend(q, k v, over: f | g)\n"
               "}\n"
               "patern r(q, k, v) { return attend(q, k, v, over: all) }\n",
               "1:24: error: expected an expression, but got `,`\n"
               "2:15: error: expected an expression, but got `*`\n"
               "3:30: error: expected an expression, but got `}`\n"
               "4:22: error: expected `,` or `)`, but got `v`\n"
               "6:1: error: expected `pattern`, but got `patern`\n"
               "1:38: error: expected no bounds for a float parameter\n"
               "1:48: error: expected an integer table to be indexed by b and "
               "h only, but got `j`\n");
}

TEST(Error, floodsStop) {
  std::string text = "pattern p(q, k, v) {\n";
  for (int n = 0; n < 1000; ++n)
    text += "  let a" + std::to_string(n) + " = + 1\n";
  Parsed parsed(text + "}\n");
  EXPECT_FALSE(bool(parsed.module));
  EXPECT_EQ(StringRef(parsed.report).count("error"), 21u);
  EXPECT_TRUE(StringRef(parsed.report)
                  .ends_with("note: too many errors; the rest is not shown\n"));
}

TEST(Error, names) {
  expectGraphError("where (i, j) { i - j < windwo }",
                   "2:53: error: unknown name `windwo`; did you mean "
                   "`window`?\n",
                   "window = 4");
  expectGraphError("casual", "2:30: error: unknown name `casual`; did you mean "
                             "`causal`?\n");
  expectReport(wrap("return attned(q, k, v, over: all)"),
               "2:8: error: unknown function `attned`; did you mean "
               "`attend`?\n");
  expectReport(wrap("return attend(q, k, v, ovr: all)"),
               "2:24: error: `attend` has no argument called `ovr`; did you "
               "mean `over`?\n");
  expectGraphError("where (i, j) { t[h] < i }",
                   "2:47: error: unknown name `h`\n"
                   "2:47: note: variables are named by `where (b, h, i, j)` "
                   "and `(s, b, h, i, j) ->`\n",
                   "t: int[h]");
  expectReport(wrap("let g = g | all\nreturn attend(q, k, v, over: g)"),
               "2:9: error: expected a name declared above, but `g` is "
               "declared here or below\n2:5: note: it is declared here\n");
  expectReport(wrap("let q = all\nreturn attend(q, k, v, over: q)"),
               "2:5: error: expected a new name, but `q` already has a "
               "meaning\n1:11: note: it is declared here\n"
               "3:30: error: expected a graph, but got a tensor\n");
  expectReport("pattern p(q, o, v; lse: int) { return attend(q, o, v, over: "
               "where (i, j) { j < lse }) }",
               "1:14: error: expected another name for an argument, but got "
               "`o`, which an output has\n"
               "1:20: error: expected another name for an argument, but got "
               "`lse`, which an output has\n");
  expectReport("pattern p(q, k, v) { return attend(q, k, v, over: all) }\n"
               "pattern p(q, k, v) { return attend(q, k, v, over: all) }",
               "2:9: error: expected a new name, but pattern `p` is already "
               "declared\n1:9: note: it is declared here\n");
}

TEST(Error, nounsOfLaterReleases) {
  expectReport(wrap("let s = score(q, k)\nlet keep = select(s)\n"
                    "return attend(q, k, v, over: keep & causal)"),
               "2:9: error: `score` is not in this release\n"
               "3:12: error: `select` is not in this release\n");
  expectReport(wrap("return attend(q, near(k, v), far(k), over: causal)"),
               "2:18: error: `near` is not in this release\n"
               "2:30: error: `far` is not in this release\n");
  expectReport(wrap("let t = tree(k, v)\nlet p = permute(t)\n"
                    "return attend(q, k, v, over: all, mass: 0.9)"),
               "2:9: error: `tree` is not in this release\n"
               "3:9: error: `permute` is not in this release\n"
               "4:35: error: `mass` is not in this release\n");
  // Declared, they are names as any.
  EXPECT_TRUE(
      bool(Parsed(wrap("let near = causal\nreturn attend(q, k, v, over: near)"))
               .module));
}

TEST(Error, types) {
  expectGraphError("causal | 3",
                   "2:37: error: expected two graphs around `|`, but got a "
                   "graph and an integer\n");
  expectGraphError("causal && all",
                   "2:37: error: expected two conditions around `&&`, but got "
                   "a graph and a graph; graphs intersect with `&`\n");
  expectGraphError("where (i, j) { i < 3 | j < 3 }",
                   "2:51: error: expected two graphs around `|`, but got an "
                   "integer and an integer; conditions join with `||`\n");
  expectGraphError("where (i, j) { (i < 3) | (j < 3) }",
                   "2:53: error: expected two graphs around `|`, but got a "
                   "condition and a condition; conditions join with `||`\n");
  expectGraphError("where (i, j) { i - j }",
                   "2:45: error: expected a condition, but got an integer\n");
  expectGraphError("where (i, j) { 0.5 * i < j }",
                   "2:45: error: expected integer arithmetic in a graph, but "
                   "got a float\n");
  expectGraphError("where (i, j) { x < j }",
                   "2:45: error: expected integer arithmetic in a graph, but "
                   "got a float\n",
                   "x: float");
  expectReport(wrap("let b = x > 0.5\n"
                    "return attend(q, k, v, over: where (i, j) { b })",
                    "x: float"),
               "3:45: error: expected integer arithmetic in a graph, but got a "
               "float\n");
  expectGraphError("!causal",
                   "2:31: error: expected a condition after `!`, but "
                   "got a graph; the complement is spelled `~`\n");
  expectReport(wrap("return causal"),
               "2:8: error: expected an attention, but got a graph\n");
  expectReport(wrap("return attend(causal, k, v, over: all)"),
               "2:15: error: expected a tensor, but got a graph\n");
  expectReport(edge("causal"),
               "2:41: error: expected an edge, but got a graph\n");
  expectReport(edge("(s, h, i, j) -> t[i]", "t: int[h]"),
               "2:59: error: expected the variable of axis `h` as index of "
               "`t`, but got another expression\n");
  expectReport(wrap("return attend(q, k, v, over: all, sink: t)", "t: int[h]"),
               "2:41: error: expected a parameter of type float[h], but got "
               "int[h]\n");
  expectReport(wrap("return attend(q, k, v, over: all, scale: x)", "x: float"),
               "2:42: error: expected a constant as `scale`, but it is known "
               "at run time; multiply inside `edge`\n");
}

TEST(Error, arithmetic) {
  expectGraphError("where (i, j) { i / 0 < j % w }",
                   "2:49: error: expected a positive constant divisor, but got "
                   "0: division by zero\n"
                   "2:57: error: expected a positive constant divisor, but got "
                   "a value known at run time\n",
                   "w: int");
  expectGraphError("where (i, j) { i % -2 == 0 }",
                   "2:49: error: expected a positive constant divisor, but got "
                   "-2\n");
  expectGraphError("where (i, j) { i * j < 3 }",
                   "2:47: error: expected a constant factor, but neither side "
                   "of `*` is known when the pattern is compiled\n");
  expectGraphError("where (i, j) { i * 4000000000 < j }",
                   "2:47: error: integer overflow: expected a value within 64 "
                   "bits, but it can be 17179869184000000000\n");
  expectGraphError("where (i, j) { i < n * n }",
                   "2:51: error: integer overflow: expected a value within 64 "
                   "bits, but it can be 16000000000000000000\n",
                   "n = 4000000000");
  expectReport(edge("(s) -> s / 0"),
               "2:52: error: expected a divisor other than 0: division by "
               "zero\n");
  expectReport(edge("(s) -> s + sqrt(-1)"),
               "2:52: error: expected a number, but the result is undefined\n");
  expectGraphError(
      "where (i, j) { abs(i) + abs(j) + abs(i - 1) + abs(j - 1) + abs(i - 2) + "
      "abs(j - 2) + abs(i - 3) < 9 }",
      "2:113: error: expected `min`, `max`, `abs` and `where` to make at most "
      "64 "
      "cases in a graph, but got 128\n");
}

TEST(Error, parameters) {
  InstantiateOptions options;
  options.sets = {{"widnow", "3"}, {"w", "3"}, {"window", "0.5"}};
  expectReport(graph("where (i, j) { i < window + w }", "window = 4, w: int"),
               "1:20: error: expected an integer for `window`, but --set gives "
               "`0.5`\n"
               "1:9: error: pattern `p` has no parameter to set called "
               "`widnow`; did you mean `window`?\n"
               "1:32: error: expected a compile-time parameter to set, but `w` "
               "is given at run time\n",
               options);
  expectGraphError("all",
                   "1:40: error: expected a preset from 1 to 9, but got 10\n",
                   "_w: int >= 1 <= 9 = 10");
  expectGraphError("all",
                   "1:20: error: expected the least value of `_w` to be at "
                   "most its greatest, but got 5 and 3\n",
                   "_w: int >= 5 <= 3");
  // The proofs assume 32 bits.
  expectGraphError("causal",
                   "1:36: error: expected a bound within 32 bits, but got "
                   "3000000000\n",
                   "_w: int >= 1 <= 3000000000");
  expectGraphError("all",
                   "1:33: error: expected a constant as default of `_a`, but "
                   "got an integer\n",
                   "w: int, _a = w");
  expectGraphError("all",
                   "1:33: error: expected each axis once, in the order b, h, "
                   "i, j, but `h` follows `i`\n",
                   "_t: float[i, h]");
  expectGraphError("l",
                   "1:33: error: expected from 1 to 2147483647 as the columns "
                   "of a block, but got 0\n",
                   "l: blocks(4, 0)");
}

TEST(Error, options) {
  InstantiateOptions options;
  std::string two = "pattern a(q, k, v) { return attend(q, k, v, over: all) }\n"
                    "pattern b(q, k, v) { return attend(q, k, v, over: all) }";
  expectReport(two, "1:9: error: expected the name of one pattern of `a`, `b`, "
                    "as the file has several\n");
  options.pattern = "c";
  expectReport(two, "1:9: error: expected a pattern of `a`, `b`, but got `c`\n",
               options);
  options = {};
  options.headDim = 0;
  expectReport(graph("all"),
               "1:9: error: expected a positive head size, but got 0\n",
               options);
  options.headDim = 64;
  options.valueDim = 128;
  expectReport(wrap("return attend(q, k, k, over: all)"),
               "2:21: error: expected `k` to be used either with keys or as "
               "values, as their head sizes differ: 64 and 128\n",
               options);
}

TEST(Error, attention) {
  expectReport(wrap("return attend(q, k, v)"),
               "2:8: error: expected `over:` and a graph; dense attention is "
               "spelled `over: all`\n");
  expectReport(wrap("let a = attend(q, k, v, over: all, sink: s)\n"
                    "return merge(a, a)",
                    "s: float[h]"),
               "3:17: error: expected sink logits on one argument of `merge`, "
               "but got a second\n");
  expectReport(wrap("return attend(q, k, v, over: all, documents: (c, c), "
                    "offsets: t)",
                    "c: int[doc], t: int[b]"),
               "2:54: error: expected no `offsets` with `documents`: positions "
               "restart at 0 in each\n");
  expectReport(wrap("return attend(q, k, v, over: all, align: middle)"),
               "2:42: error: expected `top_left` or `bottom_right`\n");
}

TEST(Error, pages) {
  std::string params = "c: int[doc], t: int[b, page], n: int[b]";
  auto attend = [&](const std::string &labels) {
    return wrap("return attend(q, k, v, over: all, " + labels + ")", params);
  };
  expectReport(attend("paged: (c, t, n)"),
               "2:35: error: expected `paged` and `page` together: paged: "
               "(cu_q, table, lengths), page: 16\n");
  expectReport(attend("page: 16"),
               "2:35: error: expected `paged` and `page` together: paged: "
               "(cu_q, table, lengths), page: 16\n");
  expectReport(attend("paged: (c, t), page: 16"),
               "2:42: error: expected (cu_q, table, lengths), but got 2 "
               "tables\n");
  expectReport(attend("paged: t, page: 16"),
               "2:42: error: expected (cu_q, table, lengths), but got 1 "
               "table\n");
  expectReport(attend("paged: (c, n, t), page: 16"),
               "2:46: error: expected a parameter of type int[b, page], but "
               "got int[b]\n2:49: error: expected a parameter of type int[b], "
               "but got int[b, page]\n");
  expectReport(attend("paged: (c, t, n), page: 0"),
               "2:59: error: expected from 1 to 2147483647 as the keys of a "
               "page, but got 0\n");
  expectReport(attend("paged: (c, t, n), page: 16, documents: c"),
               "2:35: error: expected `documents` or `paged`, but got both\n");
  expectReport(attend("paged: (c, t, n), page: 16, offsets: n"),
               "2:63: error: expected no `offsets` with `paged`: positions "
               "restart at 0 in each\n");
  expectReport(wrap("return attend(q, k, v, over: where (b, h, i, j) { j < "
                    "t[b, h] })",
                    params),
               "2:55: error: expected `t` after `paged:` only, as it is a page "
               "table\n");
  expectReport(wrap("return attend(q, k, v, over: all)", "t: int[page]"),
               "1:27: error: expected `page` in a page table: int[b, page]\n");
}

TEST(Error, depthIsBounded) {
  auto repeat = [](StringRef text, unsigned count) {
    std::string all;
    for (unsigned n = 0; n < count; ++n)
      all += text;
    return all;
  };
  // Enough for the stack to end, were it not bounded.
  const unsigned deep = 200000;
  for (StringRef open : {"(", "-", "~", "abs(", "where(", "where (i, j) {",
                         "(s) -> ", "t[", "!", "{", "[", "min(1, "}) {
    SCOPED_TRACE(open.str());
    Parsed parsed(graph(repeat(open, deep)));
    EXPECT_FALSE(bool(parsed.module));
    EXPECT_NE(parsed.report, "");
  }
  Parsed chain(graph("causal" + repeat(" | causal", deep)));
  EXPECT_EQ(chain.report, "2:9244: error: expected at most 1024 operators in a "
                          "row\n");
  EXPECT_TRUE(bool(Parsed(graph("causal" + repeat(" | causal", 1000))).module));
  EXPECT_TRUE(bool(
      Parsed(graph(repeat("(", 250) + "causal" + repeat(")", 250))).module));
  // Names that lean on one another, far apart.
  std::string lets = "let n0 = w\n";
  for (unsigned n = 1; n < 20000; ++n)
    lets += "let n" + std::to_string(n) + " = where(n" + std::to_string(n - 1) +
            " > 0, 3, 4)\n";
  Parsed names(wrap(lets + "return attend(q, k, v, over: where (i, j) { i < "
                           "n19999 })",
                    "w: int"));
  EXPECT_TRUE(bool(names.module)) << names.report;
}

TEST(Error, hugeFilesAndStrangeBytes) {
  std::string huge(frontend::kMaxFileSize + 1, ' ');
  expectReport(huge, "1:1: error: expected a file of at most 16777216 bytes, "
                     "but got 16777217\n");
  std::string many = graph("all");
  many += std::string(8 << 20, '\n') + "// the end";
  EXPECT_TRUE(bool(Parsed(many).module));
  std::string zero = graph("all") + std::string("\0\0", 2);
  expectReport(zero,
               "4:1: error: expected a token, but got 2 bytes that are no "
               "text, the first 0x00\n");
  Parsed text("\xEF\xBB\xBF// caf\xC3\xA9\r\n" + graph("causal"));
  EXPECT_TRUE(bool(text.module)) << text.report;
}
