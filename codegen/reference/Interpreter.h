//===- Interpreter.h - the oracle: attn functions in plain loops ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Executes a pattern function (func.func of attn operations, canonicalised or
// not) on concrete inputs: for every row (b, h, r) it lists the edges, that is
// the logits and values of the pairs the graphs allow, and applies softmax by
// its definition. No tiling, no skipping, no code shared with a back end.
//
// Positions: query r sits at i = r + offset, key c at j = c. The offset is
// `offsets[b]`, else 0 for top_left, else Nk - Nq with the Nk of the source. In
// packed input r, c, Nq and Nk are those of the document, and `b` in a body is
// the number of the document. List blocks and the token axes of bias tensors
// are indexed by storage. dialect/SPEC.md is the law.
//
// Infinities: a row whose logits are all -inf is a row without keys (0, -inf),
// because a partial result with m = -inf is neutral in a merge. Otherwise IEEE
// arithmetic decides.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_INTERPRETER_H
#define FILIGREE_CODEGEN_REFERENCE_INTERPRETER_H

#include "codegen/reference/Tensor.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace filigree::reference {

/// A run-time parameter.
struct Scalar {
  bool isFloat = false;
  int64_t i = 0;
  double f = 0;
  static Scalar ofInt(int64_t value) { return {false, value, double(value)}; }
  static Scalar ofFloat(double value) { return {true, 0, value}; }
};

/// Arguments by name: `attn.name` of the argument, else "arg<number>". A tensor
/// may have one leading extent less than its argument; it then counts as 1.
/// Scalars left out take their `attn.preset`.
struct Inputs {
  llvm::StringMap<Tensor> tensors;
  llvm::StringMap<Scalar> scalars;
};

/// A row of the output: batch entry, query head, storage index of the query.
struct Row {
  int64_t b, h, r;
  bool operator==(const Row &o) const {
    return b == o.b && h == o.h && r == o.r;
  }
};

enum class Arithmetic : uint8_t {
  /// Everything in float64: what is right.
  Double,
  /// What straightforward code does: f32 logits, f32 softmax, P rounded to the
  /// storage type of the values, f32 sums, results rounded to their own type.
  Naive
};

/// Order of the sum of products that makes a logit. Straightforward code has no
/// single one: scalar loops go forward, or backward, vector loops keep partial
/// sums. With huge logits a near-tie of two keys turns the rounding error of
/// one order into the error of a row, so one order alone measures luck.
enum class SumOrder : uint8_t { Forward, Backward, EightLanes };

struct InterpretOptions {
  Arithmetic arithmetic = Arithmetic::Double;
  /// Of Naive only; Double has one order.
  SumOrder sumOrder = SumOrder::Forward;
  /// Compute these rows only; empty: all, in order b, h, r.
  std::vector<Row> rows;
  /// 0: one per cpu. Never changes a result.
  unsigned threads = 0;
};

/// One result of the function.
struct Result {
  /// `attn.name` of the result, else "o" and "lse" (numbered from the second
  /// on: "o1", "lse1").
  std::string name;
  bool isLse = false;
  /// The type the function declares; `values` are rounded to it in Naive only.
  DType dtype = DType::F32;
  /// [B, Hq, Nq, Dv], or [B, Hq, Nq] of a log-sum-exp.
  llvm::SmallVector<int64_t, 4> shape;
  /// Values per row: Dv or 1.
  int64_t width = 1;
  /// values[k * width + d] belongs to rows[k].
  std::vector<Row> rows;
  std::vector<double> values;
};

/// Runs the function. Errors are sentences about the inputs, or about an
/// operation that has no float64 meaning here.
llvm::Expected<std::vector<Result>>
interpret(mlir::func::FuncOp function, const Inputs &inputs,
          const InterpretOptions &options = {});

/// The shape of the score matrix of one source.
struct GraphShape {
  int64_t batches, heads, queries, keys;
};

/// Sources in the order of the function. Data is not read and may be null.
llvm::Expected<std::vector<GraphShape>> graphShapes(mlir::func::FuncOp function,
                                                    const Inputs &inputs);

/// Calls visit(source, row, mask) with mask[c] = 1 where the row's query sees
/// key c, for every source and the given rows. Data of q, k and v is not read.
llvm::Error visitGraph(mlir::func::FuncOp function, const Inputs &inputs,
                       llvm::ArrayRef<Row> rows,
                       llvm::function_ref<void(unsigned source, const Row &row,
                                               llvm::ArrayRef<uint8_t> mask)>
                           visit);

/// Name of an argument as Inputs knows it.
std::string argumentName(mlir::func::FuncOp function, unsigned number);

/// The pattern function of a module: the only one, or the one named. Error if
/// there is no such function.
llvm::Expected<mlir::func::FuncOp> findPattern(mlir::Operation *module,
                                               llvm::StringRef name = {});

} // namespace filigree::reference

#endif // FILIGREE_CODEGEN_REFERENCE_INTERPRETER_H
