//===- NumericsTest.cpp - good answers pass, corrupted ones do not --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every way of being right has twins that are wrong by little.
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/Numerics.h"
#include "test/unit/reference/Harness.h"

using namespace filigree::reference;

namespace {

/// Oracle, naive and an answer that starts as the naive one.
struct Answer {
  std::vector<Result> oracle, naive;
  std::vector<float> o, lse;

  explicit Answer(Problem &p) {
    Parsed parsed(p.text());
    auto run = [&](Arithmetic arithmetic) {
      InterpretOptions options;
      options.arithmetic = arithmetic;
      return llvm::cantFail(interpret(parsed.function(), p.inputs, options));
    };
    oracle = run(Arithmetic::Double);
    naive = run(Arithmetic::Naive);
    o.assign(naive[0].values.begin(), naive[0].values.end());
    lse.assign(naive[1].values.begin(), naive[1].values.end());
  }
  Comparison compareO(DType precision = DType::F32) const {
    return compare(oracle[0], naive[0],
                   Tensor::compact(DType::F32, oracle[0].shape, o.data()),
                   precision);
  }
  Comparison compareLse() const {
    return compare(oracle[1], naive[1],
                   Tensor::compact(DType::F32, oracle[1].shape, lse.data()),
                   DType::F32);
  }
};

Problem causal() {
  Problem p;
  p.Nq = 65;
  p.Nk = 63;
  p.Dk = 64;
  p.Dv = 32;
  p.graph = where("g", kCausal);
  p.fill();
  return p;
}

} // namespace

TEST(Numerics, NaivePassesAndRoundedOraclePasses) {
  Problem p = causal();
  Answer answer(p);
  EXPECT_TRUE(answer.compareO().passed) << answer.compareO().str();
  EXPECT_TRUE(answer.compareLse().passed) << answer.compareLse().str();
  EXPECT_EQ(answer.compareO().compared, 2 * 4 * 65 * 32);
  EXPECT_GT(answer.compareO().maxNaiveError, 0);
  EXPECT_LT(answer.compareO().maxNaiveError, 1e-5);
  answer.o.assign(answer.oracle[0].values.begin(),
                  answer.oracle[0].values.end());
  EXPECT_TRUE(answer.compareO().passed);
  EXPECT_LT(answer.compareO().maxError, answer.compareO().maxNaiveError);
}

TEST(Numerics, AWrongElementIsFoundAndNamed) {
  Problem p = causal();
  Answer answer(p);
  size_t at = ((1 * 4 + 2) * 65 + 17) * 32 + 5;
  answer.o[at] += 1e-5f;
  Comparison c = answer.compareO();
  EXPECT_FALSE(c.passed);
  EXPECT_EQ(c.failed, 1);
  EXPECT_EQ(c.worst.row.b, 1);
  EXPECT_EQ(c.worst.row.h, 2);
  EXPECT_EQ(c.worst.row.r, 17);
  EXPECT_EQ(c.worst.d, 5);
  EXPECT_EQ(c.worst.got, answer.o[at]);
  EXPECT_NE(c.str().find("failed, 1 of 16640 elements"), std::string::npos)
      << c.str();
}

TEST(Numerics, OneHeadsErrorDoesNotExcuseAnother) {
  // Head 0 has values 1000 times as large: its floor must not serve head 2.
  Problem p = causal();
  for (int64_t n = 0; n < 63 * 32; ++n)
    p.v.values[n] *= 1000;
  p.bind();
  Answer answer(p);
  EXPECT_TRUE(answer.compareO().passed);
  answer.o[(2 * 65 + 40) * 32] += 2e-5f;
  EXPECT_FALSE(answer.compareO().passed);
  answer.o[(2 * 65 + 40) * 32] -= 2e-5f;
  answer.o[(0 * 65 + 40) * 32] += 2e-5f;
  EXPECT_TRUE(answer.compareO().passed) << answer.compareO().str();
}

TEST(Numerics, WrongInfinitiesAndNaN) {
  Problem p = causal(); // rows 0 and 1 see no key: 0 and -inf
  Answer answer(p);
  ASSERT_EQ(answer.lse[0], -INFINITY);
  struct {
    float value;
    bool passes;
  } const lses[] = {{-INFINITY, true},
                    {INFINITY, false},
                    {NAN, false},
                    {-1e30f, false},
                    {0, false}};
  for (auto [value, passes] : lses) {
    answer.lse[0] = value;
    EXPECT_EQ(answer.compareLse().passed, passes) << value;
    EXPECT_EQ(answer.compareLse().misplaced, !passes);
  }
  for (float value : {NAN, INFINITY, -INFINITY}) {
    answer.o[0] = value;
    EXPECT_FALSE(answer.compareO().passed) << value;
  }
  answer.o[0] = 0;
  EXPECT_TRUE(answer.compareO().passed);
}

TEST(Numerics, NaNMustStayNaN) {
  Problem p = causal();
  p.v.values[32 * 62] = NAN; // the last key, head 0: only the last row sees it
  p.bind();
  Answer answer(p);
  size_t at = 64 * 32;
  ASSERT_TRUE(std::isnan(answer.o[at]));
  EXPECT_TRUE(answer.compareO().passed) << answer.compareO().str();
  answer.o[at] = 0;
  EXPECT_FALSE(answer.compareO().passed);
}

TEST(Numerics, LogSumExpTolerance) {
  Problem p = causal();
  Answer answer(p);
  float want = answer.lse[64];
  answer.lse[64] = want + 0.5e-5f;
  EXPECT_TRUE(answer.compareLse().passed);
  answer.lse[64] = want + 3e-5f * (1 + std::fabs(want));
  EXPECT_FALSE(answer.compareLse().passed);
}

TEST(Numerics, BeyondTheRangeOfF32) {
  Problem p = causal();
  for (float &value : p.q.values)
    value *= 1e20f;
  for (float &value : p.k.values)
    value *= 1e20f;
  p.bind();
  Answer answer(p);
  Comparison c = answer.compareO();
  EXPECT_TRUE(c.passed) << c.str();
  EXPECT_GT(c.outOfRange, 0);
  // A finite answer there is still held to the limit.
  for (size_t k = 0; k < answer.o.size(); ++k)
    if (!std::isfinite(answer.naive[0].values[k])) {
      answer.o[k] = 17;
      break;
    }
  EXPECT_FALSE(answer.compareO().passed);
}

TEST(Numerics, TheNaiveErrorIsThatOfTheWorstOrder) {
  Problem p = causal();
  for (float &value : p.q.values)
    value *= 300; // near-ties of keys: the order of the sum shows in the output
  p.bind();
  Answer answer(p);
  Parsed parsed(p.text());
  std::vector<Result> orders;
  double worst = 0;
  for (SumOrder order :
       {SumOrder::Forward, SumOrder::Backward, SumOrder::EightLanes}) {
    InterpretOptions options;
    options.arithmetic = Arithmetic::Naive;
    options.sumOrder = order;
    auto results =
        llvm::cantFail(interpret(parsed.function(), p.inputs, options));
    for (const Result &other : orders)
      EXPECT_NE(other.values, results[0].values);
    orders.push_back(std::move(results[0]));
    answer.o.assign(orders.back().values.begin(), orders.back().values.end());
    worst = std::max(worst, compare(answer.oracle[0], orders.back(),
                                    Tensor::compact(DType::F32,
                                                    answer.oracle[0].shape,
                                                    answer.o.data()),
                                    DType::F32)
                                .maxNaiveError);
  }
  EXPECT_EQ(orders[0].values, answer.naive[0].values);

  auto judge = [&] {
    return compare(answer.oracle[0], orders,
                   Tensor::compact(DType::F32, answer.oracle[0].shape,
                                   answer.o.data()),
                   DType::F32);
  };
  EXPECT_EQ(judge().maxNaiveError, worst);
  EXPECT_TRUE(judge().passed);
  // A worse answer is one still, whatever the order.
  answer.o[64 * 32] += float(2.5 * worst);
  EXPECT_FALSE(judge().passed);
  EXPECT_EQ(judge().failed, 1);
}

TEST(Numerics, A16BitAnswerIsHeldToItsOwnPrecision) {
  Problem p = causal();
  Answer answer(p);
  for (float &value : answer.o)
    value = float(roundTo(DType::BF16, value));
  EXPECT_FALSE(answer.compareO(DType::F32).passed);
  EXPECT_TRUE(answer.compareO(DType::BF16).passed);
  for (float &value : answer.o)
    value += 0.05f;
  EXPECT_FALSE(answer.compareO(DType::BF16).passed);
}

TEST(Numerics, SampledRows) {
  auto all = sampleRows(2, 3, 100);
  EXPECT_EQ(all.size(), 600u);
  auto rows = sampleRows(1, 2, 100000);
  ASSERT_EQ(rows.size(), 512u);
  EXPECT_EQ(rows.front(), (Row{0, 0, 0}));
  EXPECT_EQ(rows[255], (Row{0, 0, 99999}));
  EXPECT_TRUE(rows == sampleRows(1, 2, 100000));
  EXPECT_FALSE(rows == sampleRows(1, 2, 100000, 256, 1));
  int edges = 0;
  for (const Row &row : rows)
    edges += row.r % 64 == 0 || row.r % 64 == 63;
  EXPECT_GT(edges, 100);
}
