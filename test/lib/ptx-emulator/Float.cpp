//===- Float.cpp - floating-point arithmetic ------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rounds to nearest even; .approx operations are computed to full precision
// and rounded once, so they are never worse than the machine's. Other rounding
// modes are refused, save for conversions.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Decode.h"
#include "test/lib/ptx-emulator/Float16.h"
#include "test/lib/ptx-emulator/Lanes.h"

#include <algorithm>

namespace filigree::ptx {

namespace {

template <bool Ftz> inline float flush(float x) {
  return Ftz && std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x;
}
template <bool> inline double flush(double x) { return x; }
template <bool Sat, typename T> inline T saturate(T x) {
  // NaN becomes 0
  return Sat ? (x > 0 ? (x < 1 ? x : T(1)) : T(0)) : x;
}

struct Add {
  template <typename T> static T run(T a, T b) { return a + b; }
};
struct Sub {
  template <typename T> static T run(T a, T b) { return a - b; }
};
struct Mul {
  template <typename T> static T run(T a, T b) { return a * b; }
};
struct Div {
  template <typename T> static T run(T a, T b) { return a / b; }
};
struct Rcp {
  template <typename T> static T run(T a) { return 1 / a; }
};
struct Sqrt {
  template <typename T> static T run(T a) { return std::sqrt(a); }
};
struct Rsqrt {
  template <typename T> static T run(T a) {
    return T(1 / std::sqrt(double(a)));
  }
};
struct Ex2 {
  static float run(float a) { return std::exp2(a); }
};
struct Lg2 {
  static float run(float a) { return std::log2(a); }
};
struct Sin {
  static float run(float a) { return std::sin(a); }
};
struct Cos {
  static float run(float a) { return std::cos(a); }
};
struct Tanh {
  static float run(float a) { return std::tanh(a); }
};
struct Neg {
  template <typename T> static T run(T a) { return -a; }
};
struct Abs {
  template <typename T> static T run(T a) { return std::fabs(a); }
};
struct CopySign {
  template <typename T> static T run(T sign, T value) {
    return std::copysign(value, sign);
  }
};

template <typename T> T quietNaN() {
  return bitsAs<T>(std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>(
      sizeof(T) == 4 ? 0x7fffffffull : 0x7fffffffffffffffull));
}
// A NaN loses against a number, unless NaN is asked for; -0 is below +0.
template <bool NaN> struct Min {
  template <typename T> static T run(T a, T b) {
    T lesser = a < b || (a == b && std::signbit(a)) ? a : b;
    T good = a != a ? b : b != b ? a : lesser;
    bool bad = NaN ? a != a || b != b : a != a && b != b;
    return bad ? quietNaN<T>() : good;
  }
};
template <bool NaN> struct Max {
  template <typename T> static T run(T a, T b) {
    T greater = a > b || (a == b && !std::signbit(a)) ? a : b;
    T good = a != a ? b : b != b ? a : greater;
    bool bad = NaN ? a != a || b != b : a != a && b != b;
    return bad ? quietNaN<T>() : good;
  }
};
template <typename Op> struct Three {
  template <typename T> static T run(T a, T b, T c) {
    return Op::run(Op::run(a, b), c);
  }
};

// The same on values that flush, saturate and round.
template <typename Op, bool Ftz, bool Sat> struct Shaped {
  template <typename T> static T run(T a) {
    return saturate<Sat>(flush<Ftz>(Op::run(flush<Ftz>(a))));
  }
  template <typename T> static T run(T a, T b) {
    return saturate<Sat>(flush<Ftz>(Op::run(flush<Ftz>(a), flush<Ftz>(b))));
  }
  template <typename T> static T run(T a, T b, T c) {
    return saturate<Sat>(
        flush<Ftz>(Op::run(flush<Ftz>(a), flush<Ftz>(b), flush<Ftz>(c))));
  }
};

struct Fma {
  template <typename T> static T run(T a, T b, T c) {
    return std::fma(a, b, c);
  }
};

// The hot one: with the instruction where the host has it.
__attribute__((target("avx2,fma"))) void
fmaVector(float *into, const float *a, const float *b, const float *c) {
  for (int lane = 0; lane < 32; ++lane)
    into[lane] = __builtin_fmaf(a[lane], b[lane], c[lane]);
}
void fmaScalar(float *into, const float *a, const float *b, const float *c) {
  for (int lane = 0; lane < 32; ++lane)
    into[lane] = std::fma(a[lane], b[lane], c[lane]);
}
Outcome fma32(Warp &warp, const Inst &inst, uint32_t lanes) {
  static const bool has =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  alignas(64) float result[32];
  (has ? fmaVector : fmaScalar)(result, warp.at<float>(inst.src[0]),
                                warp.at<float>(inst.src[1]),
                                warp.at<float>(inst.src[2]));
  storeLanes(warp.at<float>(inst.dst), result, lanes);
  return Outcome::Next;
}

// Half precision and bfloat: through double, rounded once. Sums and products
// of two are exact there; a fused product and sum nearly always is.
struct HalfFormat {
  static double from(uint16_t bits) { return fromHalf(bits); }
  static uint16_t to(double value) { return toHalf(value); }
};
struct BFloatFormat {
  static double from(uint16_t bits) { return fromBFloat(bits); }
  static uint16_t to(double value) { return toBFloat(value); }
};
template <typename Format, typename Op> struct Small {
  template <typename... T> static uint16_t run16(T... values) {
    return Format::to(Op::run(Format::from(values)...));
  }
  static uint16_t run(uint16_t a) { return run16(a); }
  static uint16_t run(uint16_t a, uint16_t b) { return run16(a, b); }
  static uint16_t run(uint16_t a, uint16_t b, uint16_t c) {
    return run16(a, b, c);
  }
  template <typename... T> static uint32_t run32(T... values) {
    return uint32_t(run16(uint16_t(values)...)) |
           uint32_t(run16(uint16_t(values >> 16)...)) << 16;
  }
  static uint32_t run(uint32_t a) { return run32(a); }
  static uint32_t run(uint32_t a, uint32_t b) { return run32(a, b); }
  static uint32_t run(uint32_t a, uint32_t b, uint32_t c) {
    return run32(a, b, c);
  }
};

template <typename Op, int Arity, typename T> constexpr Handler lanesOf() {
  if constexpr (Arity == 1)
    return unaryLanes<Op, T, T>;
  else if constexpr (Arity == 2)
    return binaryLanes<Op, T, T>;
  else
    return ternaryLanes<Op, T, T>;
}

/// The handler for a type and its modifiers, null where PTX has none.
template <typename Op, int Arity, bool Halves = true>
Handler choose(Type type, bool ftz, bool sat) {
  switch (type) {
  case Type::F32:
    return ftz ? (sat ? lanesOf<Shaped<Op, true, true>, Arity, float>()
                      : lanesOf<Shaped<Op, true, false>, Arity, float>())
               : (sat ? lanesOf<Shaped<Op, false, true>, Arity, float>()
                      : lanesOf<Op, Arity, float>());
  case Type::F64:
    return ftz || sat ? nullptr : lanesOf<Op, Arity, double>();
  case Type::F16:
    if constexpr (Halves)
      return sat ? nullptr : lanesOf<Small<HalfFormat, Op>, Arity, uint16_t>();
    return nullptr;
  case Type::F16x2:
    if constexpr (Halves)
      return sat ? nullptr : lanesOf<Small<HalfFormat, Op>, Arity, uint32_t>();
    return nullptr;
  case Type::BF16:
    if constexpr (Halves)
      return sat ? nullptr
                 : lanesOf<Small<BFloatFormat, Op>, Arity, uint16_t>();
    return nullptr;
  case Type::BF16x2:
    if constexpr (Halves)
      return sat ? nullptr
                 : lanesOf<Small<BFloatFormat, Op>, Arity, uint32_t>();
    return nullptr;
  default:
    return nullptr;
  }
}

template <typename Op> Handler approximate(Type type, bool ftz) {
  if (type == Type::F32)
    return ftz ? lanesOf<Shaped<Op, true, false>, 1, float>()
               : lanesOf<Op, 1, float>();
  if constexpr (std::is_same_v<Op, Ex2> || std::is_same_v<Op, Tanh>) {
    struct Wide {
      static double run(double a) {
        return std::is_same_v<Op, Ex2> ? std::exp2(a) : std::tanh(a);
      }
    };
    return choose<Wide, 1>(type, ftz, false);
  }
  return nullptr;
}

} // namespace

bool decodeFloat(Decoder &d, Opcode &op, Inst &inst) {
  static const char *const names[] = {"add", "sub",  "mul",   "fma",     "mad",
                                      "div", "min",  "max",   "abs",     "neg",
                                      "rcp", "sqrt", "rsqrt", "ex2",     "lg2",
                                      "sin", "cos",  "tanh",  "copysign"};
  const std::string &name = op.name();
  if (std::find(std::begin(names), std::end(names), name) == std::end(names))
    return false;
  Type type = op.takeType();
  if (!isFloat(type))
    return false;
  bool ftz = op.take("ftz"), sat = op.take("sat"), nan = op.take("NaN");
  bool approx = op.take("approx") || op.take("full");
  op.take("rn");
  size_t count = d.operands();
  unsigned bits = bitsOf(type);
  if (count < 2 || count > 4)
    return d.fail("unexpected number of operands"), true;
  size_t expected = 2;
  if (name == "add" || name == "sub" || name == "mul" || name == "div" ||
      name == "copysign")
    expected = 3;
  else if (name == "fma" || name == "mad")
    expected = 4;
  if (name == "min" || name == "max" ? count < 3 : count != expected)
    return d.fail("unexpected number of operands"), true;

  if (name == "add")
    inst.run = choose<Add, 2>(type, ftz, sat);
  else if (name == "sub")
    inst.run = choose<Sub, 2>(type, ftz, sat);
  else if (name == "mul")
    inst.run = choose<Mul, 2>(type, ftz, sat);
  else if (name == "fma" || name == "mad")
    inst.run = type == Type::F32 && !ftz && !sat
                   ? fma32
                   : choose<Fma, 3>(type, ftz, sat);
  else if (name == "div")
    inst.run = choose<Div, 2, false>(type, ftz, false);
  else if (name == "min" && count == 3)
    inst.run = nan ? choose<Min<true>, 2>(type, ftz, false)
                   : choose<Min<false>, 2>(type, ftz, false);
  else if (name == "max" && count == 3)
    inst.run = nan ? choose<Max<true>, 2>(type, ftz, false)
                   : choose<Max<false>, 2>(type, ftz, false);
  else if (name == "min")
    inst.run = nan ? choose<Three<Min<true>>, 3, false>(type, ftz, false)
                   : choose<Three<Min<false>>, 3, false>(type, ftz, false);
  else if (name == "max")
    inst.run = nan ? choose<Three<Max<true>>, 3, false>(type, ftz, false)
                   : choose<Three<Max<false>>, 3, false>(type, ftz, false);
  else if (name == "abs")
    inst.run = choose<Abs, 1>(type, ftz, false);
  else if (name == "neg")
    inst.run = choose<Neg, 1>(type, ftz, false);
  else if (name == "rcp")
    inst.run = choose<Rcp, 1, false>(type, ftz, false);
  else if (name == "sqrt")
    inst.run = choose<Sqrt, 1, false>(type, ftz, false);
  else if (name == "rsqrt")
    inst.run = choose<Rsqrt, 1, false>(type, ftz, false);
  else if (name == "copysign")
    inst.run = choose<CopySign, 2, false>(type, false, false);
  else if (name == "ex2")
    inst.run = approximate<Ex2>(type, ftz);
  else if (name == "lg2")
    inst.run = approximate<Lg2>(type, ftz);
  else if (name == "sin")
    inst.run = approximate<Sin>(type, ftz);
  else if (name == "cos")
    inst.run = approximate<Cos>(type, ftz);
  else if (name == "tanh")
    inst.run = approximate<Tanh>(type, ftz);
  (void)approx;
  if (!inst.run)
    return d.fail("unsupported type or form of `" + name + "`"), true;
  for (size_t i = 1; i < count; ++i)
    inst.src[i - 1] = d.read(d.operand(i), bits);
  inst.dst = d.write(d.operand(0), bits);
  return true;
}

} // namespace filigree::ptx
