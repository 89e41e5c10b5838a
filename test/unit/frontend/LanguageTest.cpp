//===- LanguageTest.cpp - what each construct becomes ---------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Parsing.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace filigree;
using namespace filigree::test;

/// name: type of every argument of the function.
static std::string signature(Parsed &parsed) {
  std::string text;
  llvm::raw_string_ostream os(text);
  func::FuncOp func = parsed.getFunction();
  for (unsigned i = 0; i < func.getNumArguments(); ++i)
    os << func.getArgAttrOfType<StringAttr>(i, attn::kNameAttr).getValue()
       << ": " << func.getArgumentTypes()[i] << "\n";
  return text;
}

TEST(Language, everyPatternFileParsesWithoutAWord) {
  std::error_code error;
  unsigned count = 0;
  for (llvm::sys::fs::directory_iterator it(PATTERNS, error), end;
       it != end && !error; it.increment(error)) {
    SCOPED_TRACE(it->path());
    auto buffer = llvm::MemoryBuffer::getFile(it->path());
    ASSERT_TRUE(bool(buffer));
    Parsed parsed(std::move(*buffer));
    EXPECT_EQ(parsed.report, "");
    ASSERT_TRUE(bool(parsed.module));
    EXPECT_EQ(parsed.get<attn::FinalizeOp>().size(), 1u);
    ++count;
  }
  EXPECT_GE(count, 13u);
}

TEST(Language, argumentsKeepTheirOrderNamesAndTypes) {
  InstantiateOptions options;
  options.headDim = 128;
  options.valueDim = 96;
  Parsed parsed(
      "pattern p(q, k, v; w: int, c = 3, t: int[b, h], u: int[h],\n"
      "          bias: float[b, h, i, j]: bf16, m: float[h, j]: f16,\n"
      "          s: float[h], g: float, l: blocks(c * 32, 64)) {\n"
      "  param extra: int >= 0 <= 9 = 4\n"
      "  let a = where (b, h, i, j) { i - j < w + t[b, h] + u[h] + extra }\n"
      "  return attend(q, k, v, over: a & l, sink: s,\n"
      "    edge: (s0, b, h, i, j) -> g * s0 + bias[b, h, i, j] + m[h, j])\n"
      "}\n",
      options);
  EXPECT_EQ(parsed.report, "");
  ASSERT_TRUE(bool(parsed.module));
  EXPECT_EQ(signature(parsed), "q: tensor<?x?x?x128xf32>\n"
                               "k: tensor<?x?x?x128xf32>\n"
                               "v: tensor<?x?x?x96xf32>\n"
                               "w: i64\n"
                               "t: tensor<?x?xi32>\n"
                               "u: tensor<?xi32>\n"
                               "bias: tensor<?x?x?x?xbf16>\n"
                               "m: tensor<?x?xf16>\n"
                               "s: tensor<?xf32>\n"
                               "g: f32\n"
                               "l.start: tensor<?x?x?xi32>\n"
                               "l.count: tensor<?x?x?xi32>\n"
                               "l.cols: tensor<?xi32>\n"
                               "extra: i64\n");
  auto blocks = parsed.get<attn::BlocksOp>();
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_EQ(int64_t(blocks[0].getBlockRows()), 96);
  EXPECT_EQ(int64_t(blocks[0].getBlockCols()), 64);
  func::FuncOp func = parsed.getFunction();
  auto attr = [&](unsigned index, StringRef name) {
    return func.getArgAttrOfType<IntegerAttr>(index, name);
  };
  EXPECT_EQ(attr(13, attn::kMinAttr).getInt(), 0);
  EXPECT_EQ(attr(13, attn::kMaxAttr).getInt(), 9);
  EXPECT_EQ(attr(13, attn::kPresetAttr).getInt(), 4);
  EXPECT_EQ(attr(3, attn::kMinAttr).getInt(), INT32_MIN);
  EXPECT_EQ(attr(3, attn::kMaxAttr).getInt(), INT32_MAX);
  EXPECT_FALSE(attr(3, attn::kPresetAttr));
  EXPECT_EQ(func.getResultAttrOfType<StringAttr>(0, attn::kNameAttr), "o");
  EXPECT_EQ(func.getResultAttrOfType<StringAttr>(1, attn::kNameAttr), "lse");
  EXPECT_EQ(func.getName(), "p");
}

TEST(Language, elementTypeOfOperandsAndOutput) {
  InstantiateOptions options;
  MLIRContext types;
  Parsed parsed(graph("causal"));
  options.elementType = BFloat16Type::get(&parsed.context);
  auto module = parsePattern(parsed.sources, options, &parsed.context);
  ASSERT_TRUE(bool(module));
  auto finalize = *module->getOps<func::FuncOp>().begin();
  std::string text;
  llvm::raw_string_ostream(text) << finalize.getFunctionType();
  EXPECT_EQ(text, "(tensor<?x?x?x64xbf16>, tensor<?x?x?x64xbf16>, "
                  "tensor<?x?x?x64xbf16>) -> (tensor<?x?x?x64xbf16>, "
                  "tensor<?x?x?xf32>)");
}

TEST(Language, setsReplaceDefaults) {
  InstantiateOptions options;
  options.sets = {{"n", "5"}, {"n", "7"}, {"x", "2"}, {"f", "false"}};
  Parsed parsed(wrap("return attend(q, k, v, scale: x, over: where(f, all, "
                     "where (i, j) { j < m }))",
                     "n = 3, x = 0.5, f = true, m = n * 2"),
                options);
  EXPECT_EQ(parsed.report, "");
  ASSERT_TRUE(bool(parsed.module));
  EXPECT_EQ(parsed.get<attn::SourceOp>()[0].getScale()->convertToDouble(), 2.0);
  EXPECT_NE(parsed.print().find("constant 14 : i64"), std::string::npos);
}

TEST(Language, patternIsPickedByName) {
  InstantiateOptions options;
  options.pattern = "second";
  Parsed parsed("pattern first(q, k, v) { return attend(q, k, v, over: all) }\n"
                "pattern second(a, b) { return attend(a, b, b, over: causal) }",
                options);
  EXPECT_EQ(parsed.report, "");
  ASSERT_TRUE(bool(parsed.module));
  EXPECT_EQ(parsed.getFunction().getName(), "second");
}

TEST(Language, labelsOfAttend) {
  Parsed docs(wrap("return attend(q, k, v, over: causal, documents: (a, c))",
                   "a: int[doc], c: int[doc]"));
  ASSERT_TRUE(bool(docs.module)) << docs.report;
  auto attend = docs.get<attn::AttendOp>()[0];
  EXPECT_EQ(attend.getCuQuery(), docs.getFunction().getArgument(3));
  EXPECT_EQ(attend.getCuKey(), docs.getFunction().getArgument(4));
  EXPECT_EQ(attend.getAlign(), attn::Align::bottom_right);

  Parsed one(wrap("return attend(q, k, v, over: causal, documents: a, align: "
                  "top_left)",
                  "a: int[doc]"));
  ASSERT_TRUE(bool(one.module)) << one.report;
  attend = one.get<attn::AttendOp>()[0];
  EXPECT_EQ(attend.getCuQuery(), attend.getCuKey());
  EXPECT_EQ(attend.getAlign(), attn::Align::top_left);

  Parsed offsets(
      wrap("return attend(q, k, v, over: causal, offsets: t)", "t: int[b]"));
  ASSERT_TRUE(bool(offsets.module)) << offsets.report;
  EXPECT_EQ(offsets.get<attn::AttendOp>()[0].getOffsets(),
            offsets.getFunction().getArgument(3));
}

TEST(Language, pages) {
  std::string text =
      wrap("return attend(q, k, v, over: where (b, h, i, j) { j < n[b] },\n"
           "  paged: (cu, table, n), page: 2 * half)",
           "half = 8, cu: int[doc], table: int[b, page], n: int[b]");
  InstantiateOptions options;
  for (int64_t half : {8, 32}) {
    options.sets = {{"half", std::to_string(half)}};
    Parsed parsed(text, options);
    ASSERT_TRUE(bool(parsed.module)) << parsed.report;
    auto attend = parsed.get<attn::AttendOp>()[0];
    EXPECT_EQ(attend.getCuQuery(), parsed.getFunction().getArgument(3));
    EXPECT_FALSE(attend.getCuKey());
    EXPECT_EQ(attend.getPageTable(), parsed.getFunction().getArgument(4));
    EXPECT_EQ(attend.getLengths(), parsed.getFunction().getArgument(5));
    EXPECT_EQ(int64_t(*attend.getPage()), 2 * half);
  }
}

TEST(Language, sourcesTakeWhatAttendSays) {
  Parsed parsed(wrap("let near = source(k, v, over: causal, scale: 2.0)\n"
                     "return attend(q, near, source(k, v), over: all,\n"
                     "  scale: 0.5, edge: (s) -> s + 1)"));
  EXPECT_EQ(parsed.report, "");
  ASSERT_TRUE(bool(parsed.module));
  auto sources = parsed.get<attn::SourceOp>();
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_EQ(sources[0].getScale()->convertToDouble(), 2.0);
  EXPECT_EQ(sources[1].getScale()->convertToDouble(), 0.5);
  EXPECT_NE(sources[0].getGraph(), sources[1].getGraph());
  EXPECT_FALSE(sources[0].getEdge().empty());
  EXPECT_FALSE(sources[1].getEdge().empty());
}

TEST(Language, mergeKeepsTheSink) {
  Parsed parsed(wrap("let a = attend(q, k, v, over: causal)\n"
                     "let b = attend(q, k, v, over: all, sink: s)\n"
                     "return merge(a, b, a)",
                     "s: float[h]"));
  EXPECT_EQ(parsed.report, "");
  ASSERT_TRUE(bool(parsed.module));
  EXPECT_EQ(parsed.get<attn::MergeOp>().size(), 2u);
  EXPECT_EQ(parsed.get<attn::FinalizeOp>()[0].getSink(),
            parsed.getFunction().getArgument(3));
}

TEST(Language, setOperatorsBindAsDocumented) {
  Parsed parsed(graph("causal | all & ~causal - all"));
  ASSERT_TRUE(bool(parsed.module)) << parsed.report;
  auto unite = parsed.get<attn::UnionOp>();
  ASSERT_EQ(unite.size(), 1u);
  auto intersect = unite[0].getRhs().getDefiningOp<attn::IntersectOp>();
  ASSERT_TRUE(intersect);
  auto difference = intersect.getRhs().getDefiningOp<attn::DifferenceOp>();
  ASSERT_TRUE(difference);
  EXPECT_TRUE(difference.getLhs().getDefiningOp<attn::ComplementOp>());
}

TEST(Language, edgesConvertIntegersAndReadTables) {
  Parsed parsed(edge("(s, h, i, j) -> where(i > j, max(s, -1), "
                     "softcap(s, cap)) * f[h] + i * j / 2 % 7 + alibi(f)",
                     "cap: float = 20, f: float[h]"));
  // A product of two positions does not fit.
  EXPECT_NE(parsed.report.find("integer overflow"), std::string::npos);
  Parsed fits(
      edge("(s, h, i, j) -> { let d = float(i) * j\n"
           "where(i > j, max(s, -1), softcap(s, cap)) * f[h] + d / 2 "
           "+ alibi(f) + exp(s) - log(2) + abs(i - j) + sqrt(tanh(s)) }",
           "cap: float = 20, f: float[h]"));
  EXPECT_EQ(fits.report, "");
  ASSERT_TRUE(bool(fits.module));
  EXPECT_EQ(fits.get<attn::LookupOp>().size(), 2u);
  EXPECT_EQ(fits.get<math::TanhOp>().size(), 2u);
  EXPECT_EQ(fits.get<arith::SelectOp>().size(), 1u);
  EXPECT_EQ(fits.get<math::AbsIOp>().size(), 1u);
  EXPECT_EQ(fits.getFunction()
                .getArgAttrOfType<FloatAttr>(3, attn::kPresetAttr)
                .getValueAsDouble(),
            20.0);
}

TEST(Language, operationsKnowTheirPlace) {
  Parsed parsed("pattern p(q, k, v) {\n"
                "  let g = where (i, j) {\n"
                "    j <= i\n"
                "  }\n"
                "  return attend(q, k, v, over: g)\n"
                "}\n");
  ASSERT_TRUE(bool(parsed.module)) << parsed.report;
  auto place = [](Operation *op) {
    auto loc = cast<FileLineColLoc>(op->getLoc());
    EXPECT_EQ(loc.getFilename(), "t.attn");
    return std::pair(loc.getLine(), loc.getColumn());
  };
  EXPECT_EQ(place(parsed.get<attn::WhereOp>()[0]), std::pair(2u, 11u));
  EXPECT_EQ(place(parsed.get<arith::CmpIOp>()[0]), std::pair(3u, 7u));
  EXPECT_EQ(place(parsed.get<attn::AttendOp>()[0]), std::pair(5u, 10u));
  parsed.module->walk(
      [&](Operation *op) { EXPECT_TRUE(isa<FileLineColLoc>(op->getLoc())); });
}

TEST(Language, unusedLetsLeaveNothingBehind) {
  Parsed parsed(wrap("let unused = causal\nlet n = w + 1\n"
                     "return attend(q, k, v, over: where (i, j) {\n"
                     "  let d = i - j; let e = d * 3\n  i < 4 })",
                     "w: int"));
  EXPECT_EQ(parsed.report, "2:5: warning: `unused` is never used\n"
                           "3:5: warning: `n` is never used\n");
  ASSERT_TRUE(bool(parsed.module));
  EXPECT_EQ(parsed.get<attn::WhereOp>().size(), 1u);
  EXPECT_TRUE(parsed.get<arith::SubIOp>().empty());
  EXPECT_TRUE(parsed.get<arith::MulIOp>().empty());
}

TEST(Language, listPatterns) {
  Parsed parsed("pattern a(q, k, v; n = 2 + 3, w: int, x = 0.5) {\n"
                "  return attend(q, k, v, over: all) }\n"
                "pattern b(q, k, v) { return attend(q, k, v, over: all) }");
  auto patterns = listPatterns(parsed.sources);
  ASSERT_EQ(patterns.size(), 2u);
  EXPECT_EQ(patterns[0].name, "a");
  ASSERT_EQ(patterns[0].params.size(), 2u);
  EXPECT_EQ(patterns[0].params[0].name, "n");
  EXPECT_EQ(patterns[0].params[0].preset, "2 + 3");
  EXPECT_EQ(patterns[0].params[1].name, "x");
}
