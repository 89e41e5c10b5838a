//===- ScalarCompiler.cpp - a meaning for every scalar operation ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One case per scalar operation, each a loop over a strip. An operation without
// a case is an error that names it, never a guess.
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/ScalarCompiler.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace filigree;
using namespace filigree::reference;

static uint64_t zeroExtended(int64_t value, unsigned width) {
  return width >= 64 ? uint64_t(value)
                     : uint64_t(value) & ((uint64_t(1) << width) - 1);
}

/// Quotient rounded to minus infinity; b != 0.
static int64_t floorDivide(int64_t a, int64_t b) {
  if (b == -1)
    return int64_t(0 - uint64_t(a));
  int64_t quotient = a / b;
  return quotient - (a % b != 0 && ((a < 0) != (b < 0)));
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

template <typename Real>
llvm::Error ScalarCompiler<Real>::compileOp(Operation &op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    Attribute value = constant.getValue();
    if (auto integer = dyn_cast<IntegerAttr>(value)) {
      bool isBool = integer.getType().isInteger(1);
      addConstant(constant, Scalar::ofInt(isBool ? integer.getValue().isOne()
                                                 : integer.getInt()));
      return llvm::Error::success();
    }
    if (auto real = dyn_cast<FloatAttr>(value)) {
      addConstant(constant, Scalar::ofFloat(real.getValueAsDouble()));
      return llvm::Error::success();
    }
    return unknown(op);
  }
  if (auto lookup = dyn_cast<attn::LookupOp>(op))
    return compileLookup(lookup);
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return compileCompare(compare);
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    return compileCompare(compare);
  if (isa<arith::SelectOp>(op)) {
    if (isa<FloatType>(op.getResult(0).getType()))
      return map<Real, int64_t, Real, Real>(
          op, [](int64_t c, Real a, Real b) { return c ? a : b; });
    return map<int64_t, int64_t, int64_t, int64_t>(
        op, [](int64_t c, int64_t a, int64_t b) { return c ? a : b; });
  }
  if (isa<math::MathDialect>(op.getDialect()))
    return compileMath(op);
  if (op.getNumResults() == 1 && isa<FloatType>(op.getResult(0).getType()))
    return compileReal(op);
  return compileInteger(op);
}

template <typename Real>
llvm::Error ScalarCompiler<Real>::compileInteger(Operation &op) {
  using I = int64_t;
  using U = uint64_t;
  return llvm::TypeSwitch<Operation *, llvm::Error>(&op)
      .Case<arith::AddIOp>([&](auto) {
        return integers(op, [](I a, I b) { return U(a) + U(b); });
      })
      .template Case<arith::SubIOp>([&](auto) {
        return integers(op, [](I a, I b) { return U(a) - U(b); });
      })
      .template Case<arith::MulIOp>([&](auto) {
        return integers(op, [](I a, I b) { return U(a) * U(b); });
      })
      .template Case<arith::AndIOp>(
          [&](auto) { return integers(op, [](I a, I b) { return a & b; }); })
      .template Case<arith::OrIOp>(
          [&](auto) { return integers(op, [](I a, I b) { return a | b; }); })
      .template Case<arith::XOrIOp>(
          [&](auto) { return integers(op, [](I a, I b) { return a ^ b; }); })
      .template Case<arith::MinSIOp>([&](auto) {
        return integers(op, [](I a, I b) { return std::min(a, b); });
      })
      .template Case<arith::MaxSIOp>([&](auto) {
        return integers(op, [](I a, I b) { return std::max(a, b); });
      })
      // A divisor of 0 gives 0: the verifier has excluded it where it matters.
      .template Case<arith::FloorDivSIOp>([&](auto) {
        return integers(op, [](I a, I b) { return b ? floorDivide(a, b) : 0; });
      })
      .template Case<attn::ModOp>([&](auto) {
        return integers(op, [](I a, I b) {
          return b ? U(a) - U(floorDivide(a, b)) * U(b) : 0;
        });
      })
      .template Case<arith::CeilDivSIOp>([&](auto) {
        return integers(op, [](I a, I b) {
          return b ? floorDivide(a, b) + (b != -1 && a % b != 0) : 0;
        });
      })
      .template Case<arith::DivSIOp>([&](auto) {
        return integers(op, [](I a, I b) {
          return b == 0 ? 0 : b == -1 ? I(0 - U(a)) : a / b;
        });
      })
      .template Case<arith::RemSIOp>([&](auto) {
        return integers(op,
                        [](I a, I b) { return b == 0 || b == -1 ? 0 : a % b; });
      })
      .template Case<arith::ExtSIOp, arith::IndexCastOp>([&](auto cast) {
        bool isBool = cast.getIn().getType().isInteger(1);
        return map<I, I>(op, [=](I a) { return isBool ? -a : a; });
      })
      .template Case<arith::ExtUIOp>([&](auto cast) {
        unsigned width = widthOf(cast.getIn().getType());
        return map<I, I>(op, [=](I a) { return I(zeroExtended(a, width)); });
      })
      .template Case<arith::TruncIOp>([&](auto cast) {
        unsigned width = widthOf(cast.getType());
        return map<I, I>(op, [=](I a) { return wrap(U(a), width); });
      })
      .template Case<arith::FPToSIOp>([&](auto cast) {
        unsigned width = widthOf(cast.getType());
        return map<I, Real>(op, [=](Real a) {
          return std::fabs(a) < Real(0x1p63) ? wrap(U(I(a)), width) : 0;
        });
      })
      .Default([&](Operation *) { return unknown(op); });
}

template <typename Real>
llvm::Error ScalarCompiler<Real>::compileReal(Operation &op) {
  using R = Real;
  // maximumf and minimumf propagate NaN, maxnumf and minnumf drop it.
  auto maximum = [](R a, R b) { return a > b || a != a ? a : b; };
  auto minimum = [](R a, R b) { return a < b || a != a ? a : b; };
  return llvm::TypeSwitch<Operation *, llvm::Error>(&op)
      .Case<arith::AddFOp>(
          [&](auto) { return real2(op, [](R a, R b) { return a + b; }); })
      .template Case<arith::SubFOp>(
          [&](auto) { return real2(op, [](R a, R b) { return a - b; }); })
      .template Case<arith::MulFOp>(
          [&](auto) { return real2(op, [](R a, R b) { return a * b; }); })
      .template Case<arith::DivFOp>(
          [&](auto) { return real2(op, [](R a, R b) { return a / b; }); })
      .template Case<arith::RemFOp>([&](auto) {
        return real2(op, [](R a, R b) { return std::fmod(a, b); });
      })
      .template Case<arith::MaximumFOp>(
          [&](auto) { return real2(op, maximum); })
      .template Case<arith::MinimumFOp>(
          [&](auto) { return real2(op, minimum); })
      .template Case<arith::MaxNumFOp>([&](auto) {
        return real2(op, [](R a, R b) { return std::fmax(a, b); });
      })
      .template Case<arith::MinNumFOp>([&](auto) {
        return real2(op, [](R a, R b) { return std::fmin(a, b); });
      })
      .template Case<arith::NegFOp>(
          [&](auto) { return real1(op, [](R a) { return -a; }); })
      // Widths of floating point are a matter of storage, not of meaning.
      .template Case<arith::ExtFOp, arith::TruncFOp>(
          [&](auto) { return real1(op, [](R a) { return a; }); })
      .template Case<arith::SIToFPOp>([&](auto cast) {
        bool isBool = cast.getIn().getType().isInteger(1);
        return map<R, int64_t>(op,
                               [=](int64_t a) { return R(isBool ? -a : a); });
      })
      .template Case<arith::UIToFPOp>([&](auto cast) {
        unsigned width = widthOf(cast.getIn().getType());
        return map<R, int64_t>(
            op, [=](int64_t a) { return R(zeroExtended(a, width)); });
      })
      .Default([&](Operation *) { return unknown(op); });
}

template <typename Real>
llvm::Error ScalarCompiler<Real>::compileMath(Operation &op) {
  using R = Real;
#define FILIGREE_MATH1(Op, expression)                                         \
  if (isa<math::Op>(op))                                                       \
    return real1(op, [](R x) -> R { return expression; });
#define FILIGREE_MATH2(Op, expression)                                         \
  if (isa<math::Op>(op))                                                       \
    return real2(op, [](R x, R y) -> R { return expression; });
  FILIGREE_MATH1(AbsFOp, std::fabs(x))
  FILIGREE_MATH1(ExpOp, std::exp(x))
  FILIGREE_MATH1(Exp2Op, std::exp2(x))
  FILIGREE_MATH1(ExpM1Op, std::expm1(x))
  FILIGREE_MATH1(LogOp, std::log(x))
  FILIGREE_MATH1(Log2Op, std::log2(x))
  FILIGREE_MATH1(Log10Op, std::log10(x))
  FILIGREE_MATH1(Log1pOp, std::log1p(x))
  FILIGREE_MATH1(SqrtOp, std::sqrt(x))
  FILIGREE_MATH1(RsqrtOp, R(1) / std::sqrt(x))
  FILIGREE_MATH1(CbrtOp, std::cbrt(x))
  FILIGREE_MATH1(SinOp, std::sin(x))
  FILIGREE_MATH1(CosOp, std::cos(x))
  FILIGREE_MATH1(TanOp, std::tan(x))
  FILIGREE_MATH1(AtanOp, std::atan(x))
  FILIGREE_MATH1(SinhOp, std::sinh(x))
  FILIGREE_MATH1(CoshOp, std::cosh(x))
  FILIGREE_MATH1(TanhOp, std::tanh(x))
  FILIGREE_MATH1(ErfOp, std::erf(x))
  FILIGREE_MATH1(ErfcOp, std::erfc(x))
  FILIGREE_MATH1(FloorOp, std::floor(x))
  FILIGREE_MATH1(CeilOp, std::ceil(x))
  FILIGREE_MATH1(TruncOp, std::trunc(x))
  FILIGREE_MATH1(RoundOp, std::round(x))
  FILIGREE_MATH1(RoundEvenOp, std::nearbyint(x))
  FILIGREE_MATH2(PowFOp, std::pow(x, y))
  FILIGREE_MATH2(Atan2Op, std::atan2(x, y))
  FILIGREE_MATH2(CopySignOp, std::copysign(x, y))
#undef FILIGREE_MATH1
#undef FILIGREE_MATH2
  if (isa<math::AbsIOp>(op)) {
    unsigned width = widthOf(op.getResult(0).getType());
    return map<int64_t, int64_t>(op, [=](int64_t a) {
      return wrap(a < 0 ? 0 - uint64_t(a) : uint64_t(a), width);
    });
  }
  if (isa<math::FmaOp>(op))
    return map<R, R, R, R>(op, [](R a, R b, R c) { return std::fma(a, b, c); });
  if (isa<math::FPowIOp>(op))
    return map<R, R, int64_t>(op,
                              [](R a, int64_t b) { return std::pow(a, R(b)); });
  return unknown(op);
}

template <typename Real>
llvm::Error ScalarCompiler<Real>::compileCompare(arith::CmpIOp op) {
  unsigned width = widthOf(op.getLhs().getType());
  // i1 is kept as 0 or 1, but its signed reading is 0 or -1.
  auto sign = [width](int64_t a) { return width == 1 ? -a : a; };
  auto both = [&](auto compare) {
    return map<int64_t, int64_t, int64_t>(*op, [=](int64_t a, int64_t b) {
      return int64_t(compare(sign(a), sign(b)));
    });
  };
  auto natural = [&](auto compare) {
    return map<int64_t, int64_t, int64_t>(*op, [=](int64_t a, int64_t b) {
      return int64_t(compare(zeroExtended(a, width), zeroExtended(b, width)));
    });
  };
  switch (op.getPredicate()) {
  case arith::CmpIPredicate::eq:
    return both(std::equal_to<int64_t>());
  case arith::CmpIPredicate::ne:
    return both(std::not_equal_to<int64_t>());
  case arith::CmpIPredicate::slt:
    return both(std::less<int64_t>());
  case arith::CmpIPredicate::sle:
    return both(std::less_equal<int64_t>());
  case arith::CmpIPredicate::sgt:
    return both(std::greater<int64_t>());
  case arith::CmpIPredicate::sge:
    return both(std::greater_equal<int64_t>());
  case arith::CmpIPredicate::ult:
    return natural(std::less<uint64_t>());
  case arith::CmpIPredicate::ule:
    return natural(std::less_equal<uint64_t>());
  case arith::CmpIPredicate::ugt:
    return natural(std::greater<uint64_t>());
  case arith::CmpIPredicate::uge:
    return natural(std::greater_equal<uint64_t>());
  }
  return unknown(*op);
}

template <typename Real>
llvm::Error ScalarCompiler<Real>::compileCompare(arith::CmpFOp op) {
  // Which of equal (1), greater (2), less (4), unordered (8) satisfy each
  // predicate, in the order of the enumeration.
  static const uint8_t accepted[] = {0, 1,  2,  3,  4,  5,  6, 7,
                                     9, 10, 11, 12, 13, 14, 8, 15};
  unsigned bits = accepted[unsigned(op.getPredicate())];
  return map<int64_t, Real, Real>(*op, [=](Real a, Real b) {
    unsigned relation = a == b ? 1 : a > b ? 2 : a < b ? 4 : 8;
    return int64_t((bits & relation) != 0);
  });
}

template <typename Real>
llvm::Error ScalarCompiler<Real>::compileLookup(attn::LookupOp op) {
  auto found = outside.tensors.find(op.getTable());
  if (found == outside.tensors.end())
    return llvm::createStringError(
        "expected a table that is an argument of the function");
  const Tensor &table = found->second;
  auto name = outside.names.lookup(op.getTable());
  if (!table.data && table.numElements() > 0)
    return llvm::createStringError("expected data for '" + name + "'");
  bool isBias = isa<FloatType>(op.getValue().getType());
  Block *body = op->getBlock();
  unsigned first = body->getNumArguments() - 4;

  struct Axis {
    unsigned slot;
    int64_t stride;
  };
  llvm::SmallVector<Axis, 4> axes;
  Level level = OfRow;
  const int64_t extent[] = {extents.batches, extents.heads, extents.queries,
                            extents.keys};
  static const char *const letter[] = {"b", "h", "i", "j"};
  for (auto [axis, index] : llvm::enumerate(op.getIndices())) {
    unsigned which = cast<BlockArgument>(index).getArgNumber() - first;
    int64_t have = table.shape[axis];
    if (have != 1 && have != extent[which])
      return llvm::createStringError(
          "expected extent " + llvm::Twine(axis) + " of '" + name +
          "', indexed by " + letter[which] + ", to be 1 or " +
          llvm::Twine(extent[which]) + ", but got " + llvm::Twine(have));
    // Bias tensors are indexed by storage, not by position.
    static const unsigned storage[] = {SlotB, SlotH, SlotR, SlotC};
    axes.push_back({storage[which], have == 1 ? 0 : table.strides[axis]});
    if (storage[which] == SlotC)
      level = OfKey;
  }
  unsigned out =
      (isBias ? makeReal(op.getValue(), level) : makeInt(op.getValue(), level))
          .index;
  program.steps[level].push_back([=](Frame &frame, unsigned n) {
    for (unsigned t = 0; t < n; ++t) {
      int64_t offset = 0;
      for (const Axis &axis : axes)
        offset += frame.ints[axis.slot][t] * axis.stride;
      if (isBias)
        frame.reals[out][t] = Real(table.real(offset));
      else
        frame.ints[out][t] = table.integer(offset);
    }
  });
  return llvm::Error::success();
}

template class filigree::reference::ScalarCompiler<double>;
template class filigree::reference::ScalarCompiler<float>;
