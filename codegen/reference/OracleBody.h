//===- OracleBody.h - bodies of graphs and edges as scalar code -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The code of one pair: every operation of a body once, on integers of their
// own width and on reals that are all double, or all float in naive code.
// Widths of floating point are a matter of storage, not of meaning.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_ORACLEBODY_H
#define FILIGREE_CODEGEN_REFERENCE_ORACLEBODY_H

#include "codegen/KernelInterface.h"
#include "codegen/reference/OracleMath.h"
#include "dialect/Attn/Attn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace filigree::oracle {

/// A pair: what bodies see (b, h, i, j), and where it is stored (r, c).
struct Pair {
  Val b, h, i, j, r, c;
};

/// The argument of the function that a tensor is; null if it is none.
mlir::BlockArgument argumentOf(mlir::Value tensor);

/// Evaluates operations into a function whose first argument are the slots.
class Bodies {
public:
  Bodies(Code &code, Math &math, const KernelInterface &interface)
      : code(code), math(math), interface(interface) {}

  /// Scalars of the function, and arithmetic on them, in double. Fails with a
  /// diagnostic.
  llvm::LogicalResult addOutside(mlir::func::FuncOp function);

  /// The value a body yields; null with a diagnostic. `logit` is null in a
  /// graph. Reals are of type `real`.
  Val evaluate(mlir::Block &body, const Pair &pair, Val logit,
               llvm::Type *real);

  /// A slot of a tensor argument: 0 the pointer, 1 + d extents, 5 + d strides.
  Val slot(mlir::Value tensor, int64_t index);
  Val slotAt(unsigned number) {
    return code.load(code.i64(), code.arg(0), code.c(number));
  }
  /// Element `index` of type `element` at `base`, as a real.
  Val loadReal(mlir::Type element, Val base, Val index, llvm::Type *real);
  /// An entry of an i32 tensor, `offset` in elements.
  Val loadInt(mlir::Value tensor, Val offset);

private:
  using Map = llvm::DenseMap<mlir::Value, Val>;

  Val operand(mlir::Value value, Map &map);
  Val emit(mlir::Operation &op, Map &map);
  Val emitInteger(mlir::Operation &op, llvm::ArrayRef<Val> in);
  Val emitReal(mlir::Operation &op, llvm::ArrayRef<Val> in);
  Val emitMath(mlir::Operation &op, llvm::ArrayRef<Val> in);
  Val emitLookup(attn::LookupOp op, Map &map);
  Val floorDiv(Val a, Val by);
  /// A function of a double on a real.
  Val apply(llvm::Function *f, llvm::ArrayRef<Val> in);
  Val toType(Val value, llvm::Type *type);
  llvm::Type *typeOf(mlir::Type type);

  Code &code;
  Math &math;
  const KernelInterface &interface;
  Map outside;
  llvm::Type *real = nullptr;
  const Pair *pair = nullptr;
};

} // namespace filigree::oracle

#endif // FILIGREE_CODEGEN_REFERENCE_ORACLEBODY_H
