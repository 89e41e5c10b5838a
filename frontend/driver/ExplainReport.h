//===- ExplainReport.h - what filigree explain has to say -----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All that is printed, found before anything is: the text and the JSON say the
// same.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_EXPLAINREPORT_H
#define FILIGREE_FRONTEND_DRIVER_EXPLAINREPORT_H

#include "frontend/driver/Explanation.h"
#include "frontend/driver/Roofline.h"
#include "frontend/driver/RunSizes.h"

namespace filigree {

struct ExplainReport {
  std::string target; ///< as --target has it
  std::string variant;
  RunShape shape;
  KernelFacts facts;
  Roofline roofline;
  /// Least that is read and written.
  double bytes = 0;
  /// CPU: workers and bytes; or why not known.
  std::vector<std::pair<unsigned, uint64_t>> workspace;
  std::string workspaceReason;
  std::optional<CudaSizes> cuda;

  double flopOf(uint64_t pairs) const {
    return double(pairs) * 2 * double(facts.keyDim + facts.valueDim) *
           double(shape.batch);
  }
  /// Pairs that tiles compute which are computed whole; none where a run
  /// decides, or where tiles are not.
  std::optional<uint64_t> computedPairs() const;
  /// None where a run decides the pairs.
  std::optional<Bound> bound() const;
};

/// One report as text, or as JSON.
void printText(const ExplainReport &report, llvm::raw_ostream &os);
void printJson(const ExplainReport &report, llvm::raw_ostream &os);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_EXPLAINREPORT_H
