//===- CheckTest.cpp - the check of filigree run, and its twins -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Check.h"
#include "test/unit/reference/Harness.h"

using namespace filigree;
using namespace filigree::reference;

namespace {

/// Inputs and the outputs of a kernel that computes in double and rounds.
struct Finished {
  Problem problem;
  std::vector<Result> results;
  std::vector<float> o, lse;

  Finished() {
    problem.Nq = 40;
    problem.Nk = 50;
    problem.graph = where("g", kCausal);
    problem.fill();
    Parsed parsed(problem.text());
    results = llvm::cantFail(interpret(parsed.function(), problem.inputs));
    o.assign(results[0].values.begin(), results[0].values.end());
    lse.assign(results[1].values.begin(), results[1].values.end());
  }
  llvm::Expected<CheckReport> check() {
    return checkOutputs(
        problem.text(), problem.inputs,
        {{"o", Tensor::compact(DType::F32, results[0].shape, o.data())},
         {"lse", Tensor::compact(DType::F32, results[1].shape, lse.data())}});
  }
};

} // namespace

TEST(Check, ARightAnswerPasses) {
  Finished run;
  auto report = run.check();
  ASSERT_TRUE(bool(report)) << llvm::toString(report.takeError());
  EXPECT_TRUE(report->passed());
  EXPECT_EQ(report->rows, 2 * 4 * 40);
  EXPECT_EQ(report->allRows, report->rows);
  EXPECT_EQ(report->comparisons.size(), 2u);
}

TEST(Check, WrongAnswersFail) {
  Finished good;
  struct {
    const char *name;
    std::function<void(Finished &)> damage;
  } const twins[] = {
      {"one element", [](Finished &f) { f.o[777] += 1e-5f; }},
      {"never written", [](Finished &f) { f.o[777] = NAN; }},
      {"a row of another", [](Finished &f) { std::swap(f.o[0], f.o[4]); }},
      {"base 2", [](Finished &f) { f.lse[3] *= 1.442695f; }},
      {"no causality", [](Finished &f) { f.o.assign(f.o.size(), f.o.back()); }},
      {"zeros", [](Finished &f) { f.o.assign(f.o.size(), 0); }},
  };
  for (const auto &twin : twins) {
    Finished run = good;
    run.problem.bind(); // the inputs moved with the copy
    twin.damage(run);
    auto report = run.check();
    ASSERT_TRUE(bool(report));
    EXPECT_FALSE(report->passed()) << twin.name;
  }
}

TEST(Check, WhatCannotBeCheckedIsAnError) {
  Finished run;
  auto missing = checkOutputs(run.problem.text(), run.problem.inputs, {});
  EXPECT_EQ(textOf(missing.takeError()),
            "expected an output 'o' of the artifact");
  auto shape = checkOutputs(
      run.problem.text(), run.problem.inputs,
      {{"o", Tensor::compact(DType::F32, {2, 4, 39, 4}, run.o.data())}});
  EXPECT_EQ(textOf(shape.takeError()),
            "expected 'o' of the shape the reference has");
  EXPECT_FALSE(CheckReport().passed());
}
