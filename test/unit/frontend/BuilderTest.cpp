//===- BuilderTest.cpp - C++ and text make the same IR --------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/Builder.h"
#include "Parsing.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace filigree;
using namespace filigree::test;
using namespace filigree::frontend;

static std::string print(OwningOpRef<ModuleOp> &module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (module)
    module->print(os);
  return text;
}

TEST(Builder, windowAsInText) {
  Parsed parsed("pattern window(q, k, v; w: int >= 1 <= 65536 = 4096) {\n"
                "  let near = where (i, j) { j <= i && i - j < w }\n"
                "  return attend(q, k, v, over: near)\n"
                "}\n");
  ASSERT_TRUE(bool(parsed.module)) << parsed.report;

  MLIRContext context;
  PatternBuilder p("window", {Float32Type::get(&context), 64, 64},
                   UnknownLoc::get(&context));
  Value q = p.addKeyLike("q"), k = p.addKeyLike("k"), v = p.addValues("v");
  Value w = p.addInt("w", {1, 65536, 4096});
  Value near =
      p.where([&](Body &x) { return x.j <= x.i && x.i - x.j < x.useInt(w); });
  auto module = p.finish(p.attend(q, p.source(k, v, near)));
  EXPECT_EQ(print(module), parsed.print());
}

TEST(Builder, everythingAsInText) {
  Parsed parsed(
      "pattern all_of_it(q, k, v; t: int[h], slopes: float[h], s: float[h],\n"
      "                  l: blocks(64, 32), gain: float = 0.5) {\n"
      "  let near = where (h, i, j) { abs(i - j) < t[h] && j % 3 == 0 }\n"
      "  let a = attend(q, k, v, over: l & causal - ~near, sink: s)\n"
      "  let b = attend(q, k, v, over: all, scale: 0.25, align: top_left,\n"
      "    edge: (x) -> softcap(x, 30.0) * gain + alibi(slopes))\n"
      "  return merge(a, b)\n"
      "}\n");
  ASSERT_TRUE(bool(parsed.module)) << parsed.report;

  MLIRContext context;
  Type f32 = Float32Type::get(&context);
  PatternBuilder p("all_of_it", {f32, 64, 64}, UnknownLoc::get(&context));
  Value q = p.addKeyLike("q"), k = p.addKeyLike("k"), v = p.addValues("v");
  Value t = p.addIntTable("t", 1);
  Value slopes = p.addFloatTable("slopes", 1, f32);
  Value s = p.addFloatTable("s", 1, f32);
  Value l = p.addBlocks("l", 64, 32);
  Value gain = p.addFloat("gain", 0.5);
  Value near = p.where([&](Body &x) {
    Int distance = abs(x.i - x.j);
    return distance < x.lookupInt(t, {x.h}) && mod(x.j, 3) == 0;
  });
  Value causal = p.causal();
  Value graph = p.intersect(l, p.subtract(causal, p.complement(near)));
  Attention a = p.attend(q, p.source(k, v, graph), {}, s);
  Value all = p.all();
  Value source = p.source(k, v, all, 0.25, [&](Body &x) {
    Float capped = softcap(x.s, 30.0) * x.useFloat(gain);
    Float slope = x.lookupFloat(slopes, {x.h});
    return capped + slope * Float(x.j - x.i);
  });
  Placement topLeft;
  topLeft.align = attn::Align::top_left;
  Attention b = p.attend(q, source, topLeft);
  auto module = p.finish(p.merge(a, b));
  EXPECT_EQ(print(module), parsed.print());
}

TEST(Builder, constantsFold) {
  Int seven = Int(3) + Int(4);
  EXPECT_EQ(seven.getConstant(), 7);
  EXPECT_EQ(floorDiv(-seven, 2).getConstant(), -4);
  EXPECT_EQ(mod(-seven, 4).getConstant(), 1);
  EXPECT_EQ(abs(Int(-3)).getConstant(), 3);
  EXPECT_EQ(min(Int(2), max(Int(5), Int(1))).getConstant(), 2);
  EXPECT_EQ((Int(2) < Int(3) && !(Int(1) == Int(2))).getConstant(), true);
  EXPECT_EQ((Float(1.5) * Float(Int(2))).getConstant(), 3.0);
}

TEST(Builder, failsWhereAGraphHasTooManyCases) {
  MLIRContext context;
  unsigned numErrors = 0;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &) { ++numErrors; });
  PatternBuilder p("p", {Float32Type::get(&context), 64, 64},
                   UnknownLoc::get(&context));
  Value q = p.addKeyLike("q"), k = p.addKeyLike("k"), v = p.addValues("v");
  Value graph = p.where([&](Body &x) {
    Int sum = 0;
    for (int64_t n = 0; n < 10; ++n)
      sum = sum + abs(x.i - n);
    return sum < 5;
  });
  EXPECT_FALSE(bool(p.finish(p.attend(q, p.source(k, v, graph)))));
  EXPECT_EQ(numErrors, 1u);
}
