//===- ScalarFloat.cpp - floats of an edge, and the body itself -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/Scalar.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <cmath>

using namespace mlir;

namespace filigree::frontend {

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

Float::Float(const Int &integer) {
  if (auto value = integer.getConstant()) {
    constant = double(*value);
    return;
  }
  body = integer.body;
  value = arith::SIToFPOp::create(body->builder, body->loc,
                                  body->builder.getF32Type(),
                                  body->materialize(integer));
}

/// An operation of two floats, or its constant result.
template <typename Op, typename Fold>
static Float binary(const Float &a, const Float &b, Fold fold) {
  Body *body = a.body ? a.body : b.body;
  if (!body)
    return fold(a.constant, b.constant);
  return Float(*body, Op::create(body->builder, body->loc, body->materialize(a),
                                 body->materialize(b)));
}

template <typename Op, typename Fold>
static Float unary(const Float &a, Fold fold) {
  if (!a.body)
    return fold(a.constant);
  return Float(*a.body, Op::create(a.body->builder, a.body->loc, a.value));
}

Float operator+(const Float &a, const Float &b) {
  return binary<arith::AddFOp>(a, b, std::plus<double>());
}
Float operator-(const Float &a, const Float &b) {
  return binary<arith::SubFOp>(a, b, std::minus<double>());
}
Float operator-(const Float &a) {
  return unary<arith::NegFOp>(a, std::negate<double>());
}
Float operator*(const Float &a, const Float &b) {
  return binary<arith::MulFOp>(a, b, std::multiplies<double>());
}
Float operator/(const Float &a, const Float &b) {
  return binary<arith::DivFOp>(a, b, std::divides<double>());
}
Float min(const Float &a, const Float &b) {
  return binary<arith::MinimumFOp>(
      a, b, [](double x, double y) { return std::min(x, y); });
}
Float max(const Float &a, const Float &b) {
  return binary<arith::MaximumFOp>(
      a, b, [](double x, double y) { return std::max(x, y); });
}
Float abs(const Float &a) {
  return unary<math::AbsFOp>(a, [](double x) { return std::fabs(x); });
}
Float exp(const Float &a) {
  return unary<math::ExpOp>(a, [](double x) { return std::exp(x); });
}
Float log(const Float &a) {
  return unary<math::LogOp>(a, [](double x) { return std::log(x); });
}
Float sqrt(const Float &a) {
  return unary<math::SqrtOp>(a, [](double x) { return std::sqrt(x); });
}
Float tanh(const Float &a) {
  return unary<math::TanhOp>(a, [](double x) { return std::tanh(x); });
}

Float softcap(const Float &s, const Float &cap) { return cap * tanh(s / cap); }

Float choose(const Bool &condition, const Float &a, const Float &b) {
  if (auto constant = condition.getConstant())
    return *constant ? a : b;
  Body *body = condition.body;
  return Float(*body, arith::SelectOp::create(
                          body->builder, body->loc, condition.value,
                          body->materialize(a), body->materialize(b)));
}

Bool compare(arith::CmpFPredicate predicate, const Float &a, const Float &b) {
  Body *body = a.body ? a.body : b.body;
  if (!body)
    return arith::applyCmpPredicate(predicate, APFloat(a.constant),
                                    APFloat(b.constant));
  return Bool(*body, arith::CmpFOp::create(body->builder, body->loc, predicate,
                                           body->materialize(a),
                                           body->materialize(b)));
}

//===----------------------------------------------------------------------===//
// Body
//===----------------------------------------------------------------------===//

/// Adds the arguments (s,) b, h, i, j.
Body::Body(Block &block, bool isEdge, Location loc)
    : isEdge(isEdge), builder(loc.getContext()), loc(loc), block(block) {
  if (isEdge)
    s = Float(*this, block.addArgument(builder.getF32Type(), loc));
  for (Int *index : {&b, &h, &i, &j})
    *index = Int(*this, block.addArgument(builder.getI64Type(), loc));
  builder.setInsertionPointToEnd(&block);
}

Value Body::constant(TypedAttr attr) {
  Value &value = constants[attr];
  if (!value)
    value = arith::ConstantOp::create(builder, loc, attr);
  return value;
}

Value Body::materialize(const Int::Term &term) {
  return term.value ? term.value
                    : constant(builder.getI64IntegerAttr(term.constant));
}

/// In a predicate only plain values have a value of their own.
Value Body::materialize(const Int &value) {
  assert(value.cases.size() == 1 && value.cases.front().terms.size() == 1 &&
         "edges have no cases");
  return materialize(value.cases.front().terms.front());
}

Value Body::materialize(const Bool &value) {
  return value.value ? value.value
                     : constant(builder.getBoolAttr(value.constant));
}

Value Body::materialize(const Float &value) {
  return value.value ? value.value
                     : constant(builder.getF32FloatAttr(float(value.constant)));
}

Value Body::lookup(Value table, ArrayRef<Int> indices, mlir::Type type) {
  SmallVector<Value> values;
  for (const Int &index : indices)
    values.push_back(materialize(index));
  return attn::LookupOp::create(builder, loc, type, table, values);
}

Int Body::lookupInt(Value table, ArrayRef<Int> indices) {
  return Int(*this, lookup(table, indices, builder.getI64Type()));
}

Float Body::lookupFloat(Value table, ArrayRef<Int> indices) {
  return Float(*this, lookup(table, indices, builder.getF32Type()));
}

void Body::yield(const Bool &condition) {
  attn::YieldOp::create(builder, loc, materialize(condition));
  dropUnused();
}

void Body::yield(const Float &logit) {
  attn::YieldOp::create(builder, loc, materialize(logit));
  dropUnused();
}

/// A `let` that the result does not need leaves nothing behind.
void Body::dropUnused() {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

void Body::fail(const Twine &message) {
  if (!failed)
    emitError(loc) << message;
  failed = true;
}

} // namespace filigree::frontend
