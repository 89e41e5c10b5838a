//===- Judge.h - answers by the numerics rule of the project --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// codegen/reference/Numerics.h is the law; this follows it without a compiler,
// on what an oracle library (--emit oracle) says.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_BENCH_REPLAY_JUDGE_H
#define FILIGREE_TEST_BENCH_REPLAY_JUDGE_H

#include "test/bench/replay/Cases.h"

namespace filigree::replay {

/// What an oracle gives for the rows it was asked for, by name: o and lse, and
/// of naive code o.naive, o.naive_backward, o.naive_lanes and lse.naive.
using Verdicts = std::map<std::string, Array>;

/// The largest error over its limit; throws where a row is beyond it. `o` and
/// `lse` hold all rows, `rows` are those of the verdicts.
double judge(const Verdicts &verdicts, const std::vector<int32_t> &rows,
             const Array &o, const Array &lse);

} // namespace filigree::replay

#endif // FILIGREE_TEST_BENCH_REPLAY_JUDGE_H
