//===- ScalarProgram.h - bodies of graphs and edges, ready to evaluate ----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A body is compiled once per run into a list of steps; a step computes one
// value for a whole strip of keys of one row. What depends on b, h and i alone
// is computed once per row. `Real` is double in the oracle and float in naive
// code; integers are int64, sign-extended from their width, i1 is 0 or 1.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_SCALARPROGRAM_H
#define FILIGREE_CODEGEN_REFERENCE_SCALARPROGRAM_H

#include "codegen/reference/Interpreter.h"
#include "llvm/ADT/DenseMap.h"
#include <functional>

namespace filigree::reference {

/// Keys a step handles at a time.
inline constexpr int64_t kStrip = 512;

/// What bodies can see from outside.
struct Environment {
  llvm::DenseMap<mlir::Value, Scalar> scalars;
  llvm::DenseMap<mlir::Value, Tensor> tensors;
  llvm::DenseMap<mlir::Value, std::string> names;
};

/// A row, as one source sees it.
struct RowPlace {
  int64_t b = 0, h = 0;
  int64_t i = 0;          ///< position of the query
  int64_t r = 0;          ///< its storage index
  int64_t lo = 0, hi = 0; ///< storage range of the keys of its document
  int64_t keyShift = 0;   ///< position of key c is c - keyShift
};

/// Extents that tables are checked against.
struct BodyExtents {
  int64_t batches, heads, queries, keys;
};

template <typename Real> class ScalarProgram {
public:
  /// Values of one thread.
  struct Frame {
    std::vector<std::vector<int64_t>> ints;
    std::vector<std::vector<Real>> reals;
  };

  /// Compiles the body of a graph (b, h, i, j) or of an edge (x, b, h, i, j).
  static llvm::Expected<ScalarProgram> compile(mlir::Block &body,
                                               const Environment &outside,
                                               const BodyExtents &extents);

  Frame makeFrame() const;
  void beginRow(Frame &frame, const RowPlace &place) const;
  /// Evaluates keys [first, first + n) of storage, n <= kStrip.
  void run(Frame &frame, const RowPlace &place, int64_t first,
           unsigned n) const;
  /// Evaluates the keys in `columns` (edges: logits in `values`, in place).
  void runEdge(Frame &frame, const RowPlace &place,
               llvm::ArrayRef<int64_t> columns,
               llvm::MutableArrayRef<Real> values) const;
  /// The i1 result of a graph body after `run`.
  const int64_t *condition(const Frame &frame) const {
    return frame.ints[result].data();
  }

private:
  template <typename> friend class ScalarCompiler;
  using Step = std::function<void(Frame &, unsigned n)>;

  unsigned numInts = 0, numReals = 0, result = 0;
  /// Steps by what they depend on: nothing, the row, the key.
  std::vector<Step> steps[3];
};

/// Evaluates scalar arithmetic that stands outside of bodies.
llvm::Error evaluateOutside(mlir::Operation &op, Environment &environment);

} // namespace filigree::reference

#endif // FILIGREE_CODEGEN_REFERENCE_SCALARPROGRAM_H
