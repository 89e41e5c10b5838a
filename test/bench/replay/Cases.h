//===- Cases.h - what is replayed -----------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A file of cases is text, written where the compiler is (make_cases.py):
//
//   case NAME [huge] [pairs=N]            the arguments of a run, by name:
//   normal q 4 1 2 63 *                   random-normal; * is the kernel's own
//   i32 keep.count 3 1 2 2 = 1 0 2 1      extent; tables with their values
//   f32 slopes 1 2 = 0.5 -0.25
//   kernel ARTIFACT ORACLE PATTERN VARIANT NAME...     who runs these cases
//
// huge: logits far beyond what exp can take, with sums that are exact in f32.
// pairs: allowed ones, of all heads; such a case is one to be timed.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_BENCH_REPLAY_CASES_H
#define FILIGREE_TEST_BENCH_REPLAY_CASES_H

#include "runtime/filigree.h"

#include <map>
#include <string>
#include <vector>

namespace filigree::replay {

/// A host array in the type of an argument.
struct Array {
  uint32_t dtype = 0; ///< fil_dtype
  std::vector<int64_t> shape;
  std::vector<char> bytes;

  int64_t count() const;
  /// Of a floating-point array.
  double at(int64_t index) const;
};

size_t widthOf(uint32_t dtype);
Array makeArray(uint32_t dtype, std::vector<int64_t> shape);
/// Rounded to nearest even, as `dtype` stores it; may be infinite.
double stored(double value, uint32_t dtype);

struct Argument {
  enum Kind { Normal, Ints, Floats } kind;
  std::vector<int64_t> shape; ///< -1: the kernel's own extent
  std::vector<double> values;
};

struct Case {
  std::string name;
  bool huge = false;
  int64_t pairs = 0;
  std::map<std::string, Argument> arguments;

  /// The array that a kernel with this argument gets; the same in every run.
  Array arrayOf(const fil_arg_info &info) const;
};

struct KernelCases {
  std::string artifact, oracle, pattern, variant;
  std::vector<const Case *> cases;
};

struct CaseFile {
  std::map<std::string, Case> cases;
  std::vector<KernelCases> kernels;
};

/// Files of kernels are relative to the folder of `path`.
CaseFile readCases(const std::string &path);

} // namespace filigree::replay

#endif // FILIGREE_TEST_BENCH_REPLAY_CASES_H
