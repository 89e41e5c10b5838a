//===- Plan.h - a pattern function bound to concrete inputs ---------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Everything about a run that does not depend on the row: arguments by name,
// checked against the types of the function, scalars computed, bodies compiled,
// documents validated. After `bind`, shapes agree and lookups are in range;
// only lists of blocks are checked later, row by row.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_PLAN_H
#define FILIGREE_CODEGEN_REFERENCE_PLAN_H

#include "codegen/reference/PairGraph.h"

namespace filigree::reference {

/// Where the keys of packed sequences lie: key c of sequence s in slot c %
/// slots of page table[s, c / slots].
struct Paging {
  Tensor table;                 ///< [S, most pages of a sequence]
  std::vector<int64_t> lengths; ///< [S], within what the table can hold
  int64_t slots = 1;            ///< of a page

  int64_t mostKeys() const { return table.shape[1] * slots; }
  int64_t pageOf(int64_t s, int64_t c) const {
    return table.integer(table.offset({s, c / slots}));
  }
};

/// One source of one attend. `Real`: see ScalarProgram.h.
template <typename Real> struct SourcePlan {
  Tensor key, value; ///< [B, Hkv, Nk, Dk], [B, Hkv, Nk, Dv]; or in pages
  PairGraph graph;
  std::optional<ScalarProgram<Real>> edge;
  double scale = 1;
  int64_t keys =
      0; ///< Nk; in pages, those of the longest sequence there can be

  int64_t kvHeads() const { return key.shape[1]; }
};

template <typename Real> struct AttendPlan {
  Tensor query; ///< [B, Hq, Nq, Dk]
  std::vector<SourcePlan<Real>> sources;
  std::vector<int64_t> cuQuery; ///< empty without documents and pages
  std::vector<int64_t> cuKey;   ///< empty without documents
  std::optional<Paging> paging;
  std::vector<int64_t> offsets; ///< [B] or empty
  bool topLeft = false;

  /// Where row r of (b, h) lies for a source with `keys` keys.
  RowPlace place(int64_t b, int64_t h, int64_t r, int64_t keys) const;
  /// One byte per key, 1 where the row sees it: the graph, but for keys of
  /// pages that do not exist. Valid until the next call with the state.
  llvm::ArrayRef<uint8_t> seenKeys(const SourcePlan<Real> &source,
                                   PairGraph::State &state,
                                   const RowPlace &place) const;
};

/// One finalize: the attends merged into it, whose edges fold together.
template <typename Real> struct FinalizePlan {
  std::vector<const AttendPlan<Real> *> attends;
  std::optional<Tensor> sink; ///< [Hq]
  int64_t valueDim = 0;
  /// Storage type of the output, and of the values (the latter rounds P).
  DType outputType = DType::F32, valueType = DType::F32;
  /// Positions among the results of the function, -1: not returned.
  int outputResult = -1, lseResult = -1;

  const Tensor &query() const { return attends.front()->query; }
};

template <typename Real> struct Plan {
  /// Attends in the order of the function; addresses are stable.
  std::vector<std::unique_ptr<AttendPlan<Real>>> attends;
  std::vector<FinalizePlan<Real>> finalizes;
  std::vector<std::string> resultNames;

  /// `needData`: q, k, v, sink and biases must have data, not only shapes.
  /// Without it edges are left out.
  static llvm::Expected<Plan> bind(mlir::func::FuncOp function,
                                   const Inputs &inputs, bool needData);
};

} // namespace filigree::reference

#endif // FILIGREE_CODEGEN_REFERENCE_PLAN_H
