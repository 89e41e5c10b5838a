//===- InterpreterTest.cpp - the oracle against double loops --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/unit/reference/Harness.h"

using namespace filigree::reference;

//===----------------------------------------------------------------------===//
// Edges
//===----------------------------------------------------------------------===//

TEST(Interpreter, SoftCapAndScale) {
  Problem p;
  p.graph = where("g", kCausal);
  p.scale = "scale 0.75";
  p.edge = edge("%c = arith.constant 2.5 : f32\n"
                "%a = arith.divf %x, %c : f32\n"
                "%t = math.tanh %a : f32\n"
                "%y = arith.mulf %t, %c : f32");
  p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
    return c <= r + p.Nk - p.Nq;
  };
  p.worth = [](double x, int64_t, int64_t, int64_t, int64_t) {
    return 2.5 * std::tanh(x / 2.5);
  };
  p.fill();
  p.check(0.75);
}

TEST(Interpreter, BiasIsIndexedByStorage) {
  Problem p;
  Numbers bias({1, 4, 9, 13}, 7);
  p.arguments = ", %bias: tensor<1x?x?x?xf32> {attn.name = \"bias\"}";
  p.graph = where("g", kTrue);
  p.edge = edge("%t = attn.lookup %bias[%b, %h, %i, %j] : "
                "tensor<1x?x?x?xf32> -> f32\n"
                "%y = arith.addf %x, %t : f32");
  p.inputs.tensors["bias"] = bias.tensor();
  p.worth = [&](double x, int64_t, int64_t h, int64_t r, int64_t c) {
    return x + bias.at(0, h, r, c);
  };
  p.fill();
  p.check();
}

TEST(Interpreter, AlibiOnPositions) {
  Problem p;
  Numbers slopes({4}, 8);
  p.arguments = ", %m: tensor<?xf32> {attn.name = \"m\"}, %w: f32 {attn.name = "
                "\"w\", attn.preset = 0.5 : f32}";
  p.graph = where("g", kCausal);
  p.edge = edge("%t = attn.lookup %m[%h] : tensor<?xf32> -> f32\n"
                "%d = arith.subi %j, %i : i64\n"
                "%f = arith.sitofp %d : i64 to f32\n"
                "%a = arith.mulf %t, %f : f32\n"
                "%z = arith.mulf %a, %w : f32\n"
                "%y = arith.addf %x, %z : f32");
  p.inputs.tensors["m"] = slopes.tensor();
  p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
    return c <= r + p.Nk - p.Nq;
  };
  p.worth = [&](double x, int64_t, int64_t h, int64_t r, int64_t c) {
    return x + 0.5 * slopes.values[h] * double(c - (r + p.Nk - p.Nq));
  };
  p.fill();
  p.check();
}

TEST(Interpreter, FloatComparisonsTreatNaN) {
  // The logit is replaced by bits of comparisons with NaN: only unordered
  // predicates hold.
  Problem p;
  p.graph = where("g", kTrue);
  p.edge = edge("%n = arith.constant 0x7fc00000 : f32\n"
                "%one = arith.constant 1.0 : f32\n"
                "%zero = arith.constant 0.0 : f32\n"
                "%a = arith.cmpf olt, %x, %n : f32\n"
                "%b0 = arith.cmpf ult, %x, %n : f32\n"
                "%c = arith.xori %a, %b0 : i1\n"
                "%e = arith.cmpf one, %x, %n : f32\n"
                "%u = arith.cmpf uno, %x, %n : f32\n"
                "%f = arith.xori %e, %u : i1\n"
                "%k0 = arith.andi %c, %f : i1\n"
                "%y = arith.select %k0, %one, %zero : f32");
  p.worth = [](double, int64_t, int64_t, int64_t, int64_t) { return 1.0; };
  p.fill();
  p.check();
}

//===----------------------------------------------------------------------===//
// Folds
//===----------------------------------------------------------------------===//

TEST(Interpreter, Sink) {
  Problem p;
  p.Nq = 11;
  p.Nk = 4; // rows without keys: the sink alone
  Numbers sink({4}, 9);
  p.arguments = ", %sk: tensor<?xf32> {attn.name = \"sink\"}";
  p.graph = where("g", kCausal);
  p.sink = "sink(%sk : tensor<?xf32>)";
  p.inputs.tensors["sink"] = sink.tensor();
  p.sinkOf = [&](int64_t h) { return double(sink.values[h]); };
  p.allowed = [](int64_t, int64_t, int64_t r, int64_t c) { return c <= r - 7; };
  p.fill();
  p.check();
}

TEST(Interpreter, SourcesAddAndMergesAreOneSoftmax) {
  // The pairs of %a twice, those of %c once: as sources, and as a merge.
  const char *head =
      "func.func @p(%q: tensor<?x?x?x8xf32> {attn.name = \"q\"}, %k: "
      "tensor<?x?x?x8xf32> {attn.name = \"k\"}, %v: tensor<?x?x?x4xf32> "
      "{attn.name = \"v\"}) -> (tensor<?x?x?x4xf32>, tensor<?x?x?xf32>) {\n";
  const char *types = " : tensor<?x?x?x8xf32>, tensor<?x?x?x4xf32>\n";
  const char *attendType = " : tensor<?x?x?x8xf32> -> !attn.partial<4>\n";
  std::string body = head + where("a", kCausal) + where("c", kTrue) +
                     "%s = attn.source %k, %v over %a" + types +
                     "%t = attn.source %k, %v over %c" + types;
  std::string tail = "%o, %lse = attn.finalize %p : !attn.partial<4> -> "
                     "tensor<?x?x?x4xf32>, tensor<?x?x?xf32>\n"
                     "return %o, %lse : tensor<?x?x?x4xf32>, "
                     "tensor<?x?x?xf32>\n}\n";
  std::string added = body + "%p = attn.attend %q, %s, %t" + attendType + tail;
  std::string merged = body + "%p0 = attn.attend %q, %s" + attendType +
                       "%p1 = attn.attend %q, %t" + attendType +
                       "%p = attn.merge %p0, %p1 : !attn.partial<4>\n" + tail;
  Problem p;
  p.fill();
  std::vector<double> first;
  for (const std::string &text : {added, merged}) {
    Parsed parsed(text);
    ASSERT_TRUE(parsed.module) << text;
    auto results = interpret(parsed.function(), p.inputs);
    ASSERT_TRUE(bool(results));
    // One row by hand: b = 1, h = 3, r = 2, position 6.
    double sum = 0, out[4] = {};
    for (int64_t c = 0; c < p.Nk; ++c) {
      double x = 0;
      for (int64_t d = 0; d < 8; ++d)
        x += p.q.at(1, 3, 2, d) * p.k.at(1, 1, c, d);
      double e = std::exp(x / std::sqrt(8.0)) * (c <= 6 ? 2 : 1);
      sum += e;
      for (int64_t d = 0; d < 4; ++d)
        out[d] += e * p.v.at(1, 1, c, d);
    }
    size_t row = (1 * 4 + 3) * 9 + 2;
    EXPECT_NEAR((*results)[1].values[row], std::log(sum), 1e-12);
    for (int64_t d = 0; d < 4; ++d)
      EXPECT_NEAR((*results)[0].values[row * 4 + d], out[d] / sum, 1e-12);
    if (first.empty())
      first = (*results)[0].values;
    else
      EXPECT_EQ(first, (*results)[0].values);
  }
}

TEST(Interpreter, NoBatchNoQueryNoKey) {
  for (auto [B, Nq, Nk] :
       {std::array<int64_t, 3>{0, 9, 13}, {2, 0, 13}, {2, 9, 0}, {0, 0, 0}}) {
    Problem p;
    p.B = B;
    p.Nq = Nq;
    p.Nk = Nk;
    p.graph = where("g", kTrue);
    p.fill();
    p.check();
  }
}

TEST(Interpreter, InfinitiesAndNaN) {
  Problem p;
  p.B = p.Hq = p.Hkv = 1;
  p.Nq = 4;
  p.Nk = 3;
  p.Dk = 2;
  p.Dv = 1;
  p.scale = "scale 1.0";
  p.graph = where("g", "%one = arith.constant 1 : i64\n"
                       "%i1 = arith.addi %i, %one : i64\n"
                       "%two = arith.constant 2 : i64\n"
                       "%i2 = arith.addi %i, %two : i64\n"
                       "%y = arith.cmpi slt, %j, %i2 : i64");
  p.attend = "align top_left"; // row r sees keys 0 .. r + 1
  p.fill();
  p.k.values = {1, 0, 1, 0, 0, 1};
  p.v.values = {1, 2, NAN};
  // Row 0: the NaN value is masked. Row 1: all keys, NaN enters. Row 2: all
  // logits -inf. Row 3: +inf among the logits.
  p.q.values = {0, 0, 1, 1, -INFINITY, -INFINITY, INFINITY, 1};
  // 0 * inf is NaN: keys must not hold zeros where queries are infinite.
  p.k.values = {1, 1, 1, 1, 1, 1};
  p.bind();
  Parsed parsed(p.text());
  auto results = interpret(parsed.function(), p.inputs);
  ASSERT_TRUE(bool(results));
  const auto &o = (*results)[0].values, &lse = (*results)[1].values;
  EXPECT_DOUBLE_EQ(o[0], 1.5);
  EXPECT_DOUBLE_EQ(lse[0], std::log(2.0));
  EXPECT_TRUE(std::isnan(o[1]));
  EXPECT_DOUBLE_EQ(lse[1], 2 + std::log(3.0));
  EXPECT_EQ(o[2], 0);
  EXPECT_EQ(lse[2], -INFINITY);
  EXPECT_TRUE(std::isnan(o[3]));
  EXPECT_TRUE(std::isnan(lse[3]));
}

//===----------------------------------------------------------------------===//
// Options and inputs
//===----------------------------------------------------------------------===//

TEST(Interpreter, SomeRowsEqualTheSameRowsOfAll) {
  Problem p;
  p.Nq = 70;
  p.Nk = 1100; // more than one strip of keys
  p.graph = where("g", kCausal);
  p.fill();
  Parsed parsed(p.text());
  InterpretOptions some, one;
  one.threads = 1;
  some.rows = {{1, 3, 69}, {0, 0, 0}, {0, 2, 33}};
  auto all = interpret(parsed.function(), p.inputs, one);
  auto few = interpret(parsed.function(), p.inputs, some);
  ASSERT_TRUE(all && few);
  for (size_t k = 0; k < 3; ++k) {
    Row row = some.rows[k];
    size_t at = (row.b * 4 + row.h) * 70 + row.r;
    EXPECT_EQ((*few)[1].values[k], (*all)[1].values[at]);
    for (int64_t d = 0; d < 4; ++d)
      EXPECT_EQ((*few)[0].values[k * 4 + d], (*all)[0].values[at * 4 + d]);
  }
  some.rows = {{0, 0, 70}};
  auto bad = interpret(parsed.function(), p.inputs, some);
  EXPECT_EQ(textOf(bad.takeError()),
            "expected a row inside [2, 4, 70], but got (0, 0, 70)");
}

TEST(Interpreter, StridesAndMissingBatch) {
  // q as [N, H, D] storage, seen as [H, N, D].
  Problem p;
  p.B = 1;
  p.graph = where("g", kTrue);
  p.fill();
  std::vector<float> moved(p.q.values.size());
  for (int64_t h = 0; h < 4; ++h)
    for (int64_t r = 0; r < 9; ++r)
      for (int64_t d = 0; d < 8; ++d)
        moved[(r * 4 + h) * 8 + d] = float(p.q.at(0, h, r, d));
  Tensor view = Tensor::compact(DType::F32, {4, 9, 8}, moved.data());
  view.strides = {8, 32, 1};
  p.inputs.tensors["q"] = view;
  p.check();
}

TEST(Interpreter, InputErrors) {
  Problem p;
  p.graph = where("g", kCausal);
  p.arguments = ", %w: i64 {attn.name = \"w\", attn.min = 1 : i64}";
  p.fill();
  EXPECT_EQ(p.error(), "expected a value for 'w'");
  p.inputs.scalars["w"] = Scalar::ofInt(0);
  EXPECT_EQ(p.error(), "expected 'w' to be at least 1, but got 0");
  p.inputs.scalars["w"] = Scalar::ofFloat(1);
  EXPECT_EQ(p.error().substr(0, 29), "expected an integer for 'w', ");
  p.inputs.scalars["w"] = Scalar::ofInt(1);
  p.inputs.scalars["u"] = Scalar::ofInt(1);
  EXPECT_EQ(p.error(), "expected no parameter 'u': the pattern has none of "
                       "this name");
  p.inputs.scalars.erase("u");
  EXPECT_EQ(p.error(), "");

  Tensor k = p.inputs.tensors["k"];
  p.inputs.tensors["k"].dtype = DType::BF16;
  EXPECT_EQ(p.error(), "expected 'k' of type f32, but got bf16");
  p.inputs.tensors["k"] = k;
  p.inputs.tensors["k"].shape[3] = 7;
  EXPECT_EQ(p.error(), "expected extent 3 of 'k' to be 8, but got 7");
  p.inputs.tensors["k"] = k;
  p.inputs.tensors["k"].shape[1] = 1;
  EXPECT_EQ(p.error(),
            "expected extent 1 of 'v' to be 1, as in 'k', but got 2");
  p.inputs.tensors["k"] = k;
  p.inputs.tensors["k"].data = nullptr;
  EXPECT_EQ(p.error(), "expected data for 'k'");
  p.inputs.tensors.erase("k");
  EXPECT_EQ(p.error(), "expected an input 'k'");
}

TEST(Interpreter, VisitGraphNeedsNoData) {
  Problem p;
  p.graph = where("g", kCausal);
  p.fill();
  for (const char *name : {"q", "k", "v"})
    p.inputs.tensors[name].data = nullptr;
  Parsed parsed(p.text());
  auto shapes = graphShapes(parsed.function(), p.inputs);
  ASSERT_TRUE(bool(shapes));
  ASSERT_EQ(shapes->size(), 1u);
  EXPECT_EQ(shapes->front().keys, 13);
  int visits = 0;
  auto error = visitGraph(
      parsed.function(), p.inputs, {{0, 0, 0}, {0, 0, 8}},
      [&](unsigned source, const Row &row, llvm::ArrayRef<uint8_t> mask) {
        EXPECT_EQ(source, 0u);
        for (int64_t c = 0; c < 13; ++c)
          EXPECT_EQ(mask[c], c <= row.r + 4);
        ++visits;
      });
  EXPECT_FALSE(bool(error));
  EXPECT_EQ(visits, 2);
}
