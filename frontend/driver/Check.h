//===- Check.h - compare the outputs of a run with the reference ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_CHECK_H
#define FILIGREE_FRONTEND_DRIVER_CHECK_H

#include "codegen/reference/Numerics.h"
#include "llvm/ADT/StringRef.h"

namespace filigree {

struct CheckReport {
  std::vector<reference::Comparison> comparisons;
  /// Rows compared, and rows there are.
  int64_t rows = 0, allRows = 0;
  bool passed() const;
};

/// Runs the pattern in `ir` (attn IR as text) in float64 and as naive code, and
/// judges `outputs` by the numerics rule. Above 1e11 FLOP, 256 rows a head.
llvm::Expected<CheckReport>
checkOutputs(llvm::StringRef ir, const reference::Inputs &inputs,
             llvm::ArrayRef<std::pair<std::string, reference::Tensor>> outputs,
             unsigned threads = 0);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_CHECK_H
