//===- Scalar.cpp - arithmetic that writes itself into a body -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/Scalar.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;

namespace filigree::frontend {

using Term = Int::Term;
using Case = Int::Case;

/// The body two operands share; null if both are constants.
template <typename A, typename B>
static Body *findBody(const A &a, const B &b) {
  return a.body ? a.body : b.body;
}

//===----------------------------------------------------------------------===//
// Terms: one SSA value or constant
//===----------------------------------------------------------------------===//

static Term overflow(Body *body) {
  if (body)
    body->fail("integer overflow: a constant leaves 64 bits");
  return {nullptr, 0};
}

static Term add(Body *body, const Term &a, const Term &b) {
  int64_t sum;
  if (!a.value && !b.value)
    return llvm::AddOverflow(a.constant, b.constant, sum) ? overflow(body)
                                                          : Term{nullptr, sum};
  if (!b.value && b.constant == 0)
    return a;
  if (!a.value && a.constant == 0)
    return b;
  return {arith::AddIOp::create(body->builder, body->loc, body->materialize(a),
                                body->materialize(b))};
}

static Term subtract(Body *body, const Term &a, const Term &b) {
  int64_t difference;
  if (!a.value && !b.value)
    return llvm::SubOverflow(a.constant, b.constant, difference)
               ? overflow(body)
               : Term{nullptr, difference};
  if (!b.value && b.constant == 0)
    return a;
  return {arith::SubIOp::create(body->builder, body->loc, body->materialize(a),
                                body->materialize(b))};
}

static Term multiply(Body *body, const Term &a, const Term &b) {
  int64_t product;
  if (!a.value && !b.value)
    return llvm::MulOverflow(a.constant, b.constant, product)
               ? overflow(body)
               : Term{nullptr, product};
  if ((!a.value && a.constant == 0) || (!b.value && b.constant == 0))
    return {nullptr, 0};
  if (!b.value && b.constant == 1)
    return a;
  if (!a.value && a.constant == 1)
    return b;
  return {arith::MulIOp::create(body->builder, body->loc, body->materialize(a),
                                body->materialize(b))};
}

static int64_t floorRemainder(int64_t a, int64_t divisor) {
  int64_t remainder = a % divisor;
  return remainder < 0 ? remainder + divisor : remainder;
}

//===----------------------------------------------------------------------===//
// Cases
//===----------------------------------------------------------------------===//

std::optional<int64_t> Int::getConstant() const {
  if (cases.size() != 1 || cases.front().guard ||
      cases.front().terms.size() != 1 || cases.front().terms.front().value)
    return std::nullopt;
  return cases.front().terms.front().constant;
}

static Value both(Body *body, Value a, Value b) {
  if (!a || !b)
    return a ? a : b;
  return arith::AndIOp::create(body->builder, body->loc, a, b);
}

static Value either(Body *body, Value a, Value b) {
  return arith::OrIOp::create(body->builder, body->loc, a, b);
}

static Int makeInt(Body *body, SmallVector<Case, 1> cases) {
  size_t size = 0;
  for (const Case &one : cases)
    size += one.terms.size();
  if (size > Int::kMaxTerms) {
    body->fail("expected `min`, `max`, `abs` and `where` to make at most " +
               Twine(Int::kMaxTerms) + " cases in a graph, but got " +
               Twine(size));
    return 0;
  }
  Int result;
  result.body = body;
  result.cases = std::move(cases);
  return result;
}

static Value compareTerms(Body *body, arith::CmpIPredicate predicate,
                          const Term &a, const Term &b) {
  return arith::CmpIOp::create(body->builder, body->loc, predicate,
                               body->materialize(a), body->materialize(b));
}

/// One case per term, each with a single term: where it is the greatest
/// (least).
static SmallVector<Case, 1> split(Body *body, const Case &from) {
  if (from.terms.size() == 1)
    return {from};
  SmallVector<Case, 1> cases;
  for (const Term &term : from.terms) {
    Value guard = from.guard;
    for (const Term &other : from.terms)
      if (&other != &term)
        guard = both(body, guard,
                     compareTerms(body,
                                  from.isMax ? arith::CmpIPredicate::sge
                                             : arith::CmpIPredicate::sle,
                                  term, other));
    cases.push_back({guard, true, {term}});
  }
  return cases;
}

/// Every pair of cases, joined by `join(a, b, guard)`, which returns cases.
template <typename Join>
static Int product(const Int &a, const Int &b, Join join) {
  Body *body = findBody(a, b);
  if (body && body->hasFailed())
    return 0;
  SmallVector<Case, 1> cases;
  for (const Case &x : a.cases)
    for (const Case &y : b.cases) {
      llvm::append_range(cases, join(x, y, both(body, x.guard, y.guard)));
      if (cases.size() > Int::kMaxTerms)
        return makeInt(body, std::move(cases));
    }
  return makeInt(body, std::move(cases));
}

Int operator+(const Int &a, const Int &b) {
  Body *body = findBody(a, b);
  return product(a, b, [&](const Case &x, const Case &y, Value guard) {
    // A sum of maxima is the maximum of sums; a mixture is split first.
    SmallVector<Case, 1> parts = {y};
    if (x.terms.size() > 1 && y.terms.size() > 1 && x.isMax != y.isMax)
      parts = split(body, y);
    for (Case &part : parts) {
      Case sum{guard, (x.terms.size() > 1 ? x : part).isMax, {}};
      if (part.guard != y.guard)
        sum.guard = both(body, guard, part.guard);
      for (const Term &s : x.terms)
        for (const Term &t : part.terms)
          sum.terms.push_back(add(body, s, t));
      part = std::move(sum);
    }
    return parts;
  });
}

/// Applies `map` to every term; `flips` if it is decreasing.
template <typename Map> static Int mapTerms(const Int &a, bool flips, Map map) {
  Int result = a;
  for (Case &one : result.cases) {
    one.isMax ^= flips;
    for (Term &term : one.terms)
      term = map(term);
  }
  return result;
}

Int operator-(const Int &a) {
  return mapTerms(a, /*flips=*/true, [&](const Term &term) {
    return subtract(a.body, {nullptr, 0}, term);
  });
}

Int operator-(const Int &a, const Int &b) {
  // One term on each side stays one subtraction.
  if (b.cases.size() == 1 && b.cases.front().terms.size() == 1) {
    const Term &right = b.cases.front().terms.front();
    Body *body = findBody(a, b);
    Int result = a;
    if (!b.cases.front().guard) {
      result.body = body;
      return mapTerms(result, /*flips=*/false, [&](const Term &term) {
        return subtract(body, term, right);
      });
    }
  }
  return a + -b;
}

Int operator*(const Int &a, const Int &b) {
  auto c = b.getConstant();
  if (!c && a.getConstant())
    return b * a;
  Body *body = findBody(a, b);
  if (c)
    return mapTerms(a, /*flips=*/*c < 0, [&](const Term &term) {
      return multiply(body, term, {nullptr, *c});
    });
  if (!body->isEdge) {
    body->fail("expected a constant factor in a graph");
    return 0;
  }
  return Int(*body,
             body->materialize(multiply(body, a.cases.front().terms.front(),
                                        b.cases.front().terms.front())));
}

Int floorDiv(const Int &a, int64_t divisor) {
  assert(divisor > 0 && "divisors are positive");
  return mapTerms(a, /*flips=*/false, [&](const Term &term) -> Term {
    if (!term.value)
      return {nullptr,
              (term.constant - floorRemainder(term.constant, divisor)) /
                  divisor};
    if (divisor == 1)
      return term;
    return {arith::FloorDivSIOp::create(
        a.body->builder, a.body->loc, term.value,
        a.body->materialize(Term{nullptr, divisor}))};
  });
}

Int mod(const Int &a, int64_t divisor) {
  assert(divisor > 0 && "divisors are positive");
  SmallVector<Case, 1> cases;
  for (const Case &one : a.cases)
    llvm::append_range(cases, split(a.body, one));
  Int parts = a;
  parts.cases = std::move(cases);
  return mapTerms(parts, /*flips=*/false, [&](const Term &term) -> Term {
    if (!term.value)
      return {nullptr, floorRemainder(term.constant, divisor)};
    return {attn::ModOp::create(a.body->builder, a.body->loc, term.value,
                                a.body->materialize(Term{nullptr, divisor}))};
  });
}

/// The greatest (least) of two.
static Int extremum(const Int &a, const Int &b, bool isMax) {
  Body *body = findBody(a, b);
  if (auto x = a.getConstant(), y = b.getConstant(); x && y)
    return isMax ? std::max(*x, *y) : std::min(*x, *y);
  if (body->isEdge) {
    Value x = body->materialize(a), y = body->materialize(b);
    if (isMax)
      return Int(*body, arith::MaxSIOp::create(body->builder, body->loc, x, y));
    return Int(*body, arith::MinSIOp::create(body->builder, body->loc, x, y));
  }
  // Terms of the other kind are split, so that the rest is one list.
  auto prepare = [&](const Int &from) {
    Int to = from;
    to.cases.clear();
    for (const Case &one : from.cases)
      if (one.isMax == isMax || one.terms.size() == 1)
        to.cases.push_back(one);
      else
        llvm::append_range(to.cases, split(body, one));
    return to;
  };
  return product(prepare(a), prepare(b),
                 [&](const Case &x, const Case &y, Value guard) {
                   Case one{guard, isMax, x.terms};
                   llvm::append_range(one.terms, y.terms);
                   return SmallVector<Case, 1>{one};
                 });
}

Int min(const Int &a, const Int &b) { return extremum(a, b, false); }
Int max(const Int &a, const Int &b) { return extremum(a, b, true); }

Int abs(const Int &a) {
  if (a.body && a.body->isEdge && !a.getConstant())
    return Int(*a.body, math::AbsIOp::create(a.body->builder, a.body->loc,
                                             a.body->materialize(a)));
  return max(a, -a);
}

Int choose(const Bool &condition, const Int &a, const Int &b) {
  if (auto constant = condition.getConstant())
    return *constant ? a : b;
  Body *body = condition.body;
  if (body->isEdge)
    return Int(*body, arith::SelectOp::create(
                          body->builder, body->loc, condition.value,
                          body->materialize(a), body->materialize(b)));
  SmallVector<Case, 1> cases;
  Value otherwise = body->materialize(!condition);
  for (const Case &one : a.cases)
    cases.push_back(
        {both(body, condition.value, one.guard), one.isMax, one.terms});
  for (const Case &one : b.cases)
    cases.push_back({both(body, otherwise, one.guard), one.isMax, one.terms});
  return makeInt(body, std::move(cases));
}

//===----------------------------------------------------------------------===//
// Comparisons
//===----------------------------------------------------------------------===//

/// a <= b or a < b of one case each: for all terms of a maximum on the left and
/// of a minimum on the right, for some term otherwise.
static Value compareCases(Body *body, arith::CmpIPredicate predicate,
                          const Case &a, const Case &b) {
  Value left;
  for (const Term &s : a.terms) {
    Value right;
    for (const Term &t : b.terms) {
      Value one = compareTerms(body, predicate, s, t);
      right = !right    ? one
              : b.isMax ? either(body, right, one)
                        : both(body, right, one);
    }
    left = !left     ? right
           : a.isMax ? both(body, left, right)
                     : either(body, left, right);
  }
  return left;
}

static Bool compareInts(arith::CmpIPredicate predicate, const Int &a,
                        const Int &b) {
  Body *body = findBody(a, b);
  if (body->hasFailed())
    return false;
  bool isEquality = predicate == arith::CmpIPredicate::eq;
  Value result;
  for (const Case &x : a.cases)
    for (const Case &y : b.cases) {
      Value one;
      if (isEquality && x.terms.size() * y.terms.size() > 1)
        one = both(body, compareCases(body, arith::CmpIPredicate::sle, x, y),
                   compareCases(body, arith::CmpIPredicate::sle, y, x));
      else
        one = compareCases(body, predicate, x, y);
      one = both(body, both(body, x.guard, y.guard), one);
      result = result ? either(body, result, one) : one;
    }
  return Bool(*body, result);
}

/// The constant result, or that of `predicate` on (a, b).
template <typename Fold>
static Bool compareOrFold(arith::CmpIPredicate predicate, const Int &a,
                          const Int &b, Fold fold) {
  auto x = a.getConstant(), y = b.getConstant();
  if (x && y)
    return bool(fold(*x, *y));
  return compareInts(predicate, a, b);
}

/// Greater-than keeps its spelling between single terms.
static bool isPlain(const Int &a) {
  return a.cases.size() == 1 && a.cases.front().terms.size() == 1;
}

Bool operator<(const Int &a, const Int &b) {
  return compareOrFold(arith::CmpIPredicate::slt, a, b, std::less<>());
}
Bool operator<=(const Int &a, const Int &b) {
  return compareOrFold(arith::CmpIPredicate::sle, a, b, std::less_equal<>());
}
Bool operator>(const Int &a, const Int &b) {
  if (isPlain(a) && isPlain(b))
    return compareOrFold(arith::CmpIPredicate::sgt, a, b, std::greater<>());
  return b < a;
}
Bool operator>=(const Int &a, const Int &b) {
  if (isPlain(a) && isPlain(b))
    return compareOrFold(arith::CmpIPredicate::sge, a, b,
                         std::greater_equal<>());
  return b <= a;
}
Bool operator==(const Int &a, const Int &b) {
  return compareOrFold(arith::CmpIPredicate::eq, a, b, std::equal_to<>());
}
Bool operator!=(const Int &a, const Int &b) {
  if (isPlain(a) && isPlain(b))
    return compareOrFold(arith::CmpIPredicate::ne, a, b, std::not_equal_to<>());
  return !(a == b);
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

Bool operator&&(const Bool &a, const Bool &b) {
  if (auto constant = a.getConstant())
    return *constant ? b : Bool(false);
  if (auto constant = b.getConstant())
    return *constant ? a : Bool(false);
  return Bool(*a.body, both(a.body, a.value, b.value));
}

Bool operator||(const Bool &a, const Bool &b) {
  if (auto constant = a.getConstant())
    return *constant ? Bool(true) : b;
  if (auto constant = b.getConstant())
    return *constant ? Bool(true) : a;
  return Bool(*a.body, either(a.body, a.value, b.value));
}

Bool operator!(const Bool &a) {
  if (auto constant = a.getConstant())
    return !*constant;
  return Bool(*a.body,
              arith::XOrIOp::create(a.body->builder, a.body->loc, a.value,
                                    a.body->materialize(Bool(true))));
}

Bool choose(const Bool &condition, const Bool &a, const Bool &b) {
  if (auto constant = condition.getConstant())
    return *constant ? a : b;
  return (condition && a) || (!condition && b);
}

} // namespace filigree::frontend
