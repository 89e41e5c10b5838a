//===- PairGraph.h - is this pair in the graph? ---------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A graph value and all it is made of, as a list of nodes in the order of
// definition. For one row every node gets a byte per key: where-bodies are
// evaluated, lists are expanded, set operations are bytewise. A bad list or
// entry is dropped, as kernels do (SPEC.md, `blocks`, R2 and R3).
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_PAIRGRAPH_H
#define FILIGREE_CODEGEN_REFERENCE_PAIRGRAPH_H

#include "codegen/reference/ScalarProgram.h"
#include "dialect/Attn/Attn.h"

namespace filigree::reference {

class PairGraph {
public:
  /// What one thread needs to evaluate rows.
  struct State {
    std::vector<ScalarProgram<double>::Frame> frames;
    std::vector<std::vector<uint8_t>> masks;
  };

  /// Of lists, not of tables: `batches` of storage, and `kvHeads`, which says
  /// which lists are shared by a group of query heads.
  static llvm::Expected<PairGraph> compile(mlir::Value graph,
                                           const Environment &outside,
                                           const BodyExtents &extents,
                                           int64_t batches, int64_t kvHeads);

  State makeState() const;
  /// One byte per key of storage: 1 where the row sees it. Keys outside of
  /// [place.lo, place.hi) are 0. Valid until the next call with the state.
  llvm::MutableArrayRef<uint8_t> row(State &state, const RowPlace &place) const;

private:
  enum class Kind { Where, Blocks, Union, Intersect, Difference, Complement };
  struct Node {
    Kind kind;
    unsigned lhs = 0, rhs = 0; ///< earlier nodes; of Where: number of program
    // Of Blocks.
    Tensor start, count, cols;
    int64_t blockRows = 0, blockCols = 0;
  };

  llvm::Expected<unsigned> add(mlir::Value graph, const Environment &outside);
  llvm::Error addBlocks(attn::BlocksOp op, const Environment &outside,
                        Node &node);
  void expandBlocks(const Node &node, const RowPlace &place,
                    std::vector<uint8_t> &mask) const;

  BodyExtents extents;
  int64_t batches = 1, kvHeads = 1;
  std::vector<Node> nodes;
  std::vector<ScalarProgram<double>> programs;
  llvm::DenseMap<mlir::Value, unsigned> numbers;
};

} // namespace filigree::reference

#endif // FILIGREE_CODEGEN_REFERENCE_PAIRGRAPH_H
