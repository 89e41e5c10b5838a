//===- Numerics.h - the rule by which an answer passes --------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Got is compared with float64, and its error with that of naive code in the
// same precision (Arithmetic::Naive). Per head (b, h), over the rows compared:
//
//   output   max |got - o64| <= 2 max |naive - o64| + 2 eps(dtype) max |o64|
//   lse      |got - lse64|   <= t (1 + |lse64|), t = 1e-5 if the output is
//            f32, 1e-3 if it has 16 bits
//
// max |naive - o64| is taken over the rows and over the orders of summation that
// straightforward code may have (SumOrder: forward, backward, eight lanes), all
// other steps being equal. Infinities and NaN stand in the same places, with the
// same sign. One exception: where naive code (forward) leaves the range of its
// numbers and float64 does not (huge logits), got may be either; such elements
// are counted and take no part in the maxima.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_NUMERICS_H
#define FILIGREE_CODEGEN_REFERENCE_NUMERICS_H

#include "codegen/reference/Interpreter.h"

namespace filigree::reference {

/// The element that comes nearest to its limit, or goes farthest beyond.
struct WorstElement {
  Row row = {0, 0, 0};
  int64_t d = 0;
  double got = 0, want = 0, naive = 0;
  /// |got - want|, and the most it may be. Infinite: a wrong inf or NaN.
  double error = 0, limit = 0;
};

/// The outcome for one tensor.
struct Comparison {
  std::string name;
  bool passed = true;
  int64_t compared = 0;   ///< elements
  int64_t failed = 0;     ///< elements over their limit
  int64_t misplaced = 0;  ///< of those: wrong inf or NaN
  int64_t outOfRange = 0; ///< elements that naive code cannot represent
  double maxError = 0;    ///< of got, over all heads
  double maxNaiveError = 0;
  WorstElement worst;

  /// One line: "o: passed, error 1.2e-07 ...", or what is wrong and where.
  std::string str() const;
};

/// Compares one result. `naive` holds this result in one or more orders of
/// summation, Forward first. More orders never lower a limit, so who passes with
/// one passes with all. `oracle` and `naive` list the same rows; `got` holds all
/// rows, as `oracle.shape` says. `precision` is the storage type of the output
/// (also for a log-sum-exp, which is stored as f32).
Comparison compare(const Result &oracle, llvm::ArrayRef<Result> naive,
                   const Tensor &got, DType precision);

/// Rows worth checking when all are too many: per head the first and last ones,
/// both sides of tile edges (64 and 128), and others chosen by a hash of
/// `seed`; all rows if there are no more than `perHead`.
std::vector<Row> sampleRows(int64_t batches, int64_t heads, int64_t queries,
                            int64_t perHead = 256, uint64_t seed = 0);

} // namespace filigree::reference

#endif // FILIGREE_CODEGEN_REFERENCE_NUMERICS_H
