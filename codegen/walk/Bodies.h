//===- Bodies.h - masks, edges and symbols as vector and scalar code ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The bodies of tile cases and edges are scalar code over one pair. Here they
// are emitted three ways: for a vector of queries against one key, for the
// values of symbols, and over intervals of positions (three-valued: can the
// condition hold, must it hold). What does not depend on the query stays
// scalar.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_WALK_BODIES_H
#define FILIGREE_CODEGEN_WALK_BODIES_H

#include "codegen/KernelInterface.h"
#include "codegen/walk/Emitter.h"
#include <cmath>

namespace filigree::walk {

/// Where the pairs lie: each member is an i64, or a vector of i64 over queries.
struct PairPlace {
  Value b, h;     ///< batch entry (or document) and query head
  Value i, j;     ///< positions
  Value row, col; ///< storage indices, for bias tensors
};

/// A condition over a rectangle: `any` is false only if no pair satisfies it,
/// `all` is true only if every pair does.
struct Certainty {
  Value any, all;
};

class BodyEmitter {
public:
  BodyEmitter(Emitter &e, const KernelInterface &interface, Value slots)
      : e(e), interface(interface), slots(slots) {}

  /// Value of the body's one result, scalar or vector. `logit` for edges.
  Value evaluate(mlir::Block &body, const PairPlace &place,
                 Value logit = Value());
  /// Results of a `symbols` body.
  llvm::SmallVector<Value> symbols(mlir::Block &body, Value b, Value h);
  /// The condition over i in [iLo, iHi] and j in [jLo, jHi].
  Certainty certainty(mlir::Block &body, Value b, Value h, Value iLo, Value iHi,
                      Value jLo, Value jHi);

  /// Scalar argument or slot of a tensor argument of the kernel.
  Value scalarArgument(mlir::BlockArgument argument);
  Value tensorSlot(mlir::BlockArgument argument, int64_t index);
  /// Entry of an i32 table, indices in table order.
  Value tableEntry(mlir::BlockArgument table, ValueRange indices);
  /// What the body takes from the kernel: an argument or a constant.
  Value outside(Value value);
  /// Exact for every x. `magnitude` is known of a vector x: what it cannot
  /// exceed.
  Value floorDiv(Value x, int64_t divisor, double magnitude = HUGE_VAL);
  Value floorMod(Value x, int64_t divisor, double magnitude = HUGE_VAL);
  /// An operation of a body that is neither a lookup nor a division, on
  /// operands of its own types or vectors of them.
  Value apply(mlir::Operation &op, llvm::SmallVector<Value> operands);

private:
  using Map = llvm::DenseMap<Value, Value>;
  using Magnitudes = llvm::DenseMap<Value, double>;
  struct Interval {
    Value lo, hi;
  };

  Value lift(Value value);
  Value emitOp(mlir::Operation &op, Map &map, Magnitudes &known,
               const PairPlace &place, mlir::Block &body);
  Value emitLookup(attn::LookupOp op, Map &map, const PairPlace &place,
                   mlir::Block &body);
  /// No i64 of the body is further from 0, by the bounds of what it is made of.
  double magnitudeOf(Value value, Magnitudes &known, mlir::Block &body) const;

  Emitter &e;
  const KernelInterface &interface;
  Value slots;
};

} // namespace filigree::walk

#endif // FILIGREE_CODEGEN_WALK_BODIES_H
