//===- ScalarProgram.cpp - bodies of graphs and edges, ready to evaluate --===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One case per scalar operation, each a loop over a strip. An operation without
// a case is an error that names it, never a guess.
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/ScalarProgram.h"
#include "dialect/Attn/Attn.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace filigree::reference;

//===----------------------------------------------------------------------===//
// Integers of any width, kept sign-extended; i1 is 0 or 1
//===----------------------------------------------------------------------===//

static unsigned widthOf(Type type) {
  return type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
}

static int64_t wrap(uint64_t value, unsigned width) {
  if (width >= 64)
    return int64_t(value);
  if (width == 1)
    return int64_t(value & 1);
  return int64_t(value << (64 - width)) >> (64 - width);
}

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
// The compiler
//===----------------------------------------------------------------------===//

namespace filigree::reference {

template <typename Real> class ScalarCompiler {
public:
  using Program = ScalarProgram<Real>;
  using Frame = typename Program::Frame;
  enum Level : unsigned { Once, OfRow, OfKey };
  /// Where a value lies in a frame.
  struct Slot {
    bool isReal;
    unsigned index;
    Level level;
  };
  /// Integer slots 0..5 hold b, h, i, j, r, c; real slot 0 the logit.
  enum { SlotB, SlotH, SlotI, SlotJ, SlotR, SlotC, FirstInt };

  ScalarCompiler(const Environment &outside, const BodyExtents &extents)
      : outside(outside), extents(extents) {
    program.numInts = FirstInt;
    program.numReals = 1;
  }

  llvm::Error compileBody(Block &body) {
    unsigned first = body.getNumArguments() - 4;
    if (first)
      slots[body.getArgument(0)] = {true, 0, OfKey};
    for (unsigned k = 0; k < 4; ++k)
      slots[body.getArgument(first + k)] = {false, k,
                                            k == SlotJ ? OfKey : OfRow};
    for (Operation &op : body.without_terminator())
      if (llvm::Error error = compileOp(op))
        return error;
    auto slot = slotOf(body.getTerminator()->getOperand(0));
    if (!slot)
      return slot.takeError();
    program.result = slot->index;
    return llvm::Error::success();
  }

  llvm::Error compileOp(Operation &op);

  llvm::Expected<Slot> slotOf(Value value) {
    auto found = slots.find(value);
    if (found != slots.end())
      return found->second;
    auto scalar = outside.scalars.find(value);
    if (scalar == outside.scalars.end()) {
      std::string text;
      llvm::raw_string_ostream(text) << value;
      return llvm::createStringError("expected a scalar known before the run, "
                                     "but got " +
                                     text);
    }
    return addConstant(value, scalar->second);
  }

  Slot addConstant(Value value, const Scalar &scalar) {
    Slot slot = scalar.isFloat ? makeReal(value, Once) : makeInt(value, Once);
    unsigned k = slot.index;
    if (scalar.isFloat)
      program.steps[Once].push_back(
          [k, v = Real(scalar.f)](Frame &f, unsigned) {
            std::fill(f.reals[k].begin(), f.reals[k].end(), v);
          });
    else
      program.steps[Once].push_back([k, v = scalar.i](Frame &f, unsigned) {
        std::fill(f.ints[k].begin(), f.ints[k].end(), v);
      });
    return slot;
  }

  Program program;

private:
  Slot makeInt(Value value, Level level) {
    return slots[value] = {false, program.numInts++, level};
  }
  Slot makeReal(Value value, Level level) {
    return slots[value] = {true, program.numReals++, level};
  }
  template <typename T> static T *data(Frame &frame, unsigned index) {
    if constexpr (std::is_same_v<T, int64_t>)
      return frame.ints[index].data();
    else
      return frame.reals[index].data();
  }

  /// result = f(operands...), element by element; To and From... are int64_t or
  /// Real and decide which half of the frame is meant.
  template <typename To, typename... From, typename F>
  llvm::Error map(Operation &op, F f) {
    return mapIndexed<To, From...>(op, f,
                                   std::make_index_sequence<sizeof...(From)>());
  }
  template <typename To, typename... From, typename F, size_t... K>
  llvm::Error mapIndexed(Operation &op, F f, std::index_sequence<K...>) {
    assert(op.getNumOperands() == sizeof...(From));
    unsigned in[sizeof...(From)];
    Level level = Once;
    for (auto [k, operand] : llvm::enumerate(op.getOperands())) {
      auto slot = slotOf(operand);
      if (!slot)
        return slot.takeError();
      in[k] = slot->index;
      level = std::max(level, slot->level);
    }
    constexpr bool toInt = std::is_same_v<To, int64_t>;
    unsigned out = (toInt ? makeInt(op.getResult(0), level)
                          : makeReal(op.getResult(0), level))
                       .index;
    std::array<unsigned, sizeof...(From)> from = {in[K]...};
    program.steps[level].push_back([=](Frame &frame, unsigned n) {
      To *to = data<To>(frame, out);
      std::tuple<const From *...> source = {data<From>(frame, from[K])...};
      for (unsigned t = 0; t < n; ++t)
        to[t] = f(std::get<K>(source)[t]...);
    });
    return llvm::Error::success();
  }

  /// Integer operations whose result wraps to the width of the type.
  template <typename F> llvm::Error integers(Operation &op, F f) {
    unsigned width = widthOf(op.getResult(0).getType());
    return map<int64_t, int64_t, int64_t>(op, [=](int64_t a, int64_t b) {
      return wrap(uint64_t(f(a, b)), width);
    });
  }
  template <typename F> llvm::Error real1(Operation &op, F f) {
    return map<Real, Real>(op, f);
  }
  template <typename F> llvm::Error real2(Operation &op, F f) {
    return map<Real, Real, Real>(op, f);
  }

  llvm::Error compileInteger(Operation &op);
  llvm::Error compileReal(Operation &op);
  llvm::Error compileMath(Operation &op);
  llvm::Error compileCompare(arith::CmpIOp op);
  llvm::Error compileCompare(arith::CmpFOp op);
  llvm::Error compileLookup(attn::LookupOp op);
  llvm::Error unknown(Operation &op) {
    return llvm::createStringError("operation '" + op.getName().getStringRef() +
                                   "' has no meaning in the reference");
  }

  const Environment &outside;
  const BodyExtents &extents;
  llvm::DenseMap<Value, Slot> slots;
};

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

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

template <typename Real>
llvm::Expected<ScalarProgram<Real>>
ScalarProgram<Real>::compile(Block &body, const Environment &outside,
                             const BodyExtents &extents) {
  ScalarCompiler<Real> compiler(outside, extents);
  if (llvm::Error error = compiler.compileBody(body))
    return std::move(error);
  return std::move(compiler.program);
}

template <typename Real>
typename ScalarProgram<Real>::Frame ScalarProgram<Real>::makeFrame() const {
  Frame frame;
  frame.ints.assign(numInts, std::vector<int64_t>(kStrip));
  frame.reals.assign(numReals, std::vector<Real>(kStrip));
  for (const Step &step : steps[0])
    step(frame, kStrip);
  return frame;
}

template <typename Real>
void ScalarProgram<Real>::beginRow(Frame &frame, const RowPlace &place) const {
  using Compiler = ScalarCompiler<Real>;
  auto fill = [&](unsigned slot, int64_t value) {
    std::fill(frame.ints[slot].begin(), frame.ints[slot].end(), value);
  };
  fill(Compiler::SlotB, place.b);
  fill(Compiler::SlotH, place.h);
  fill(Compiler::SlotI, place.i);
  fill(Compiler::SlotR, place.r);
  for (const Step &step : steps[1])
    step(frame, kStrip);
}

template <typename Real>
void ScalarProgram<Real>::run(Frame &frame, const RowPlace &place,
                              int64_t first, unsigned n) const {
  using Compiler = ScalarCompiler<Real>;
  for (unsigned t = 0; t < n; ++t) {
    frame.ints[Compiler::SlotC][t] = first + t;
    frame.ints[Compiler::SlotJ][t] = first + t - place.keyShift;
  }
  for (const Step &step : steps[2])
    step(frame, n);
}

template <typename Real>
void ScalarProgram<Real>::runEdge(Frame &frame, const RowPlace &place,
                                  llvm::ArrayRef<int64_t> columns,
                                  llvm::MutableArrayRef<Real> values) const {
  using Compiler = ScalarCompiler<Real>;
  for (size_t base = 0; base < columns.size(); base += kStrip) {
    size_t n = std::min<size_t>(kStrip, columns.size() - base);
    for (size_t t = 0; t < n; ++t) {
      frame.ints[Compiler::SlotC][t] = columns[base + t];
      frame.ints[Compiler::SlotJ][t] = columns[base + t] - place.keyShift;
      frame.reals[0][t] = values[base + t];
    }
    for (const Step &step : steps[2])
      step(frame, n);
    std::copy_n(frame.reals[result].begin(), n, values.begin() + base);
  }
}

template class ScalarProgram<double>;
template class ScalarProgram<float>;

llvm::Error evaluateOutside(Operation &op, Environment &environment) {
  BodyExtents none = {0, 0, 0, 0};
  ScalarCompiler<double> compiler(environment, none);
  if (llvm::Error error = compiler.compileOp(op))
    return error;
  auto slot = compiler.slotOf(op.getResult(0));
  if (!slot)
    return slot.takeError();
  auto frame = compiler.program.makeFrame();
  environment.scalars[op.getResult(0)] =
      slot->isReal ? Scalar::ofFloat(frame.reals[slot->index][0])
                   : Scalar::ofInt(frame.ints[slot->index][0]);
  return llvm::Error::success();
}

} // namespace filigree::reference
