//===- Scalar.h - integers, conditions and floats of a body ---------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Values with operators, that append arithmetic to the body of an `attn.where`
// or of an edge. Constants fold on the way.
//
// A predicate has no `min`, `max`, `abs` or choice between integers: the proofs
// want comparisons of linear terms. So in a predicate an Int is a list of cases
// (guard, the greatest or the least of some terms), and only a comparison turns
// it into IR:   max(a, b) <= c   is   a <= c && b <= c,
//               min(a, b) <= c   is   a <= c || b <= c.
// A case list that grows beyond `kMaxTerms` fails the body.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_SCALAR_H
#define FILIGREE_FRONTEND_SCALAR_H

#include "dialect/Attn/Attn.h"
#include <optional>

namespace filigree::frontend {

class Body;

/// An integer of 64 bits.
class Int {
public:
  static constexpr unsigned kMaxTerms = 64;

  /// An SSA value, or a constant where the value is null.
  struct Term {
    mlir::Value value;
    int64_t constant = 0;
  };
  /// The greatest or least of `terms`, where `guard` holds (null: always).
  struct Case {
    mlir::Value guard;
    bool isMax = true;
    llvm::SmallVector<Term, 1> terms;
  };

  Int(int64_t constant = 0) : cases{{nullptr, true, {{nullptr, constant}}}} {}
  Int(Body &body, mlir::Value value)
      : body(&body), cases{{nullptr, true, {{value, 0}}}} {}

  /// Its value if it is a constant.
  std::optional<int64_t> getConstant() const;

  Body *body = nullptr; ///< null for constants
  llvm::SmallVector<Case, 1> cases;
};

/// A condition.
class Bool {
public:
  Bool(bool constant = false) : constant(constant) {}
  Bool(Body &body, mlir::Value value) : body(&body), value(value) {}

  std::optional<bool> getConstant() const {
    return value ? std::nullopt : std::optional(constant);
  }

  Body *body = nullptr;
  mlir::Value value; ///< null for constants
  bool constant = false;
};

/// An f32.
class Float {
public:
  Float(double constant = 0) : constant(constant) {}
  Float(Body &body, mlir::Value value) : body(&body), value(value) {}
  /// Converts.
  Float(const Int &integer);

  std::optional<double> getConstant() const {
    return value ? std::nullopt : std::optional(constant);
  }

  Body *body = nullptr;
  mlir::Value value; ///< null for constants
  double constant = 0;
};

// Integers. Divisors are positive; `floorDiv` and `mod` round down. A product
// needs a constant on one side in a predicate.
Int operator+(const Int &a, const Int &b);
Int operator-(const Int &a, const Int &b);
Int operator-(const Int &a);
Int operator*(const Int &a, const Int &b);
Int floorDiv(const Int &a, int64_t divisor);
Int mod(const Int &a, int64_t divisor);
Int min(const Int &a, const Int &b);
Int max(const Int &a, const Int &b);
Int abs(const Int &a);
Int choose(const Bool &condition, const Int &a, const Int &b);

Bool operator<(const Int &a, const Int &b);
Bool operator<=(const Int &a, const Int &b);
Bool operator>(const Int &a, const Int &b);
Bool operator>=(const Int &a, const Int &b);
Bool operator==(const Int &a, const Int &b);
Bool operator!=(const Int &a, const Int &b);

// Conditions; both sides are always evaluated.
Bool operator&&(const Bool &a, const Bool &b);
Bool operator||(const Bool &a, const Bool &b);
Bool operator!(const Bool &a);
Bool choose(const Bool &condition, const Bool &a, const Bool &b);

// Floats, in edges only.
Float operator+(const Float &a, const Float &b);
Float operator-(const Float &a, const Float &b);
Float operator-(const Float &a);
Float operator*(const Float &a, const Float &b);
Float operator/(const Float &a, const Float &b);
Float min(const Float &a, const Float &b);
Float max(const Float &a, const Float &b);
Float abs(const Float &a);
Float exp(const Float &a);
Float log(const Float &a);
Float sqrt(const Float &a);
Float tanh(const Float &a);
Float choose(const Bool &condition, const Float &a, const Float &b);
/// `predicate` is one of the ordered comparisons, or UNE.
Bool compare(mlir::arith::CmpFPredicate predicate, const Float &a,
             const Float &b);

/// cap * tanh(s / cap)
Float softcap(const Float &s, const Float &cap);

/// The body of a graph or an edge while it is being written.
class Body {
public:
  Body(mlir::Block &block, bool isEdge, mlir::Location loc);

  Int b, h, i, j;
  Float s; ///< the logit; of an edge only

  /// A value from outside: a run-time parameter.
  Int useInt(mlir::Value value) { return Int(*this, value); }
  Float useFloat(mlir::Value value) { return Float(*this, value); }

  /// An entry of an integer table; `indices` are arguments of this body.
  Int lookupInt(mlir::Value table, llvm::ArrayRef<Int> indices);
  /// An entry of a float table.
  Float lookupFloat(mlir::Value table, llvm::ArrayRef<Int> indices);

  /// Ends the body.
  void yield(const Bool &condition);
  void yield(const Float &logit);

  /// Reports once that the body cannot be written, and why.
  void fail(const llvm::Twine &message);
  bool hasFailed() const { return failed; }

  mlir::Value materialize(const Int::Term &term);
  mlir::Value materialize(const Int &value);
  mlir::Value materialize(const Bool &value);
  mlir::Value materialize(const Float &value);

  const bool isEdge;
  mlir::OpBuilder builder;
  mlir::Location loc; ///< of the operations made next

private:
  mlir::Value constant(mlir::TypedAttr attr);
  mlir::Value lookup(mlir::Value table, llvm::ArrayRef<Int> indices,
                     mlir::Type type);
  void dropUnused();

  mlir::Block &block;
  llvm::DenseMap<mlir::Attribute, mlir::Value> constants;
  bool failed = false;
};

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_SCALAR_H
