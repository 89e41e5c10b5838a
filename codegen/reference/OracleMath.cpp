//===- OracleMath.cpp - exp, log and their kin as code of the library -----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   exp x = 2^n exp r       n = round(x / ln 2), r = x - n ln 2 in two parts
//           (Cody and Waite), Taylor to r^13: |r| <= 0.347, rest 4e-18
//   log x = k ln 2 + log m  m in [sqrt 1/2, sqrt 2), f = m - 1, s = f / (2 +
//   f),
//           log m = 2 atanh s to s^23: |s| <= 0.172, rest 1e-18; summed as
//           f - (f^2/2 - s (f^2/2 + R)), so that nothing cancels near 1
//
// The rest follows from these two.
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/OracleMath.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>
#include <limits>

using namespace filigree::oracle;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLn2 = 0x1.62e42fefa39efp-1;
// Their sum is ln 2 to 2^-87; n kLn2High is exact for |n| < 2^20.
constexpr double kLn2High = 0x1.62e42feep-1;
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;

/// A double under construction, with operators.
struct Real {
  Code *code;
  Val v;

  Real lit(double value) const {
    return {code, Code::real(code->f64(), value)};
  }
  Real fabs() const {
    return {code, code->b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, v)};
  }
  Real copysign(Real sign) const {
    return {code, code->b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, v,
                                                sign.v)};
  }
  Real pick(Val condition, Real a) const { // condition ? a : this
    return {code, code->select(condition, a.v, v)};
  }
  Val isNaN() const { return code->b.CreateFCmpUNO(v, v); }
};

Real operator+(Real a, Real b) {
  return {a.code, a.code->b.CreateFAdd(a.v, b.v)};
}
Real operator-(Real a, Real b) {
  return {a.code, a.code->b.CreateFSub(a.v, b.v)};
}
Real operator*(Real a, Real b) {
  return {a.code, a.code->b.CreateFMul(a.v, b.v)};
}
Real operator/(Real a, Real b) {
  return {a.code, a.code->b.CreateFDiv(a.v, b.v)};
}
Real operator+(Real a, double b) { return a + a.lit(b); }
Real operator-(Real a, double b) { return a - a.lit(b); }
Real operator*(Real a, double b) { return a * a.lit(b); }
Val operator<(Real a, Real b) { return a.code->b.CreateFCmpOLT(a.v, b.v); }
Val operator>(Real a, Real b) { return a.code->b.CreateFCmpOGT(a.v, b.v); }
Val operator<(Real a, double b) { return a < a.lit(b); }
Val operator>(Real a, double b) { return a > a.lit(b); }
Val operator==(Real a, double b) {
  return a.code->b.CreateFCmpOEQ(a.v, a.lit(b).v);
}

Real call(llvm::Function *f, Real x) {
  return {x.code, x.code->b.CreateCall(f, {x.v})};
}

/// To a whole number; |x| must be below 2^63.
Val toInt(Real x) { return x.code->b.CreateFPToSI(x.v, x.code->i64()); }
Real toReal(Code &code, Val i) {
  return {&code, code.b.CreateSIToFP(i, code.f64())};
}

/// Towards zero, for |x| < 2^52.
Real chop(Real x) { return toReal(*x.code, toInt(x)); }

/// 2^n for n in [-1022, 1023].
Real powerOfTwo(Code &code, Val n) {
  Val bits = code.b.CreateShl(code.b.CreateAdd(n, code.c(1023)), code.c(52));
  return {&code, code.b.CreateBitCast(bits, code.f64())};
}

/// x 2^n in two steps, so that the result is rounded once where it is subnormal
/// and infinite where it is too large.
Real scaled(Real x, Val n) {
  Code &code = *x.code;
  Val half = code.b.CreateAShr(n, code.c(1));
  return x * powerOfTwo(code, half) *
         powerOfTwo(code, code.b.CreateSub(n, half));
}

/// Where exp is 0 or infinite for certain, and NaN as 0: what toInt can take.
Real bounded(Real x, double limit) {
  Real y = x.pick(x > limit, x.lit(limit)).pick(x < -limit, x.lit(-limit));
  return y.pick(x.isNaN(), x.lit(0));
}

Val nearest(Real x) { return toInt(x + x.lit(0.5).copysign(x)); }

/// exp r - 1 for |r| <= 0.35.
Real expm1Near0(Real r) {
  double factorial = 6227020800.0; // 13!
  Real sum = r.lit(1 / factorial);
  for (int k = 13; k > 2; --k) {
    factorial /= k;
    sum = sum * r + 1 / factorial;
  }
  return r + r * r * sum;
}

/// x = n ln 2 + r.
Real reduceExp(Real x, Val &n) {
  n = nearest(x * (1 / kLn2));
  Real whole = toReal(*x.code, n);
  return (x - whole * kLn2High) - whole * kLn2Low;
}

Real emitExp(Real x) {
  Val n;
  Real r = reduceExp(bounded(x, 800), n);
  return scaled(expm1Near0(r) + 1, n).pick(x.isNaN(), x);
}

Real emitExp2(Real x) {
  Real y = bounded(x, 1200);
  Val n = nearest(y);
  Real r = (y - toReal(*x.code, n)) * kLn2;
  return scaled(expm1Near0(r) + 1, n).pick(x.isNaN(), x);
}

/// 2^n (exp r - 1) + (2^n - 1), which is exp r - 1 itself near 0.
Real emitExpm1(Real x, llvm::Function *exp) {
  Val n;
  Real r = reduceExp(bounded(x, 40), n);
  Real power = powerOfTwo(*x.code, n);
  Real y = power * expm1Near0(r) + (power - 1);
  y = y.pick(x == 0, x).pick(x > 40, call(exp, x)).pick(x < -40, x.lit(-1));
  return y.pick(x.isNaN(), x);
}

/// x = 2^k m for x > 0, m in [sqrt 1/2, sqrt 2).
Real reduceLog(Real x, Real &k) {
  Code &code = *x.code;
  Val tiny = x < 0x1p-1022;
  Real normal = x.pick(tiny, x * 0x1p54);
  Val bits = code.b.CreateBitCast(normal.v, code.i64());
  Val exponent = code.b.CreateSub(
      code.b.CreateAnd(code.b.CreateLShr(bits, code.c(52)), code.c(0x7ff)),
      code.c(1023));
  Val fraction = code.b.CreateAnd(bits, code.c(0xfffffffffffff));
  Real m = {&code,
            code.b.CreateBitCast(
                code.b.CreateOr(fraction, code.c(0x3ffll << 52)), code.f64())};
  Val large = m > 0x1.6a09e667f3bcdp0;
  m = m.pick(large, m * 0.5);
  k = toReal(code, exponent);
  k = k.pick(large, k + 1);
  k = k.pick(tiny, k - 54);
  return m;
}

/// log m + k ln 2.
Real logNear1(Real m, Real k) {
  Real f = m - 1, s = f / (f + 2), z = s * s;
  Real sum = m.lit(2.0 / 23);
  for (int odd = 21; odd >= 3; odd -= 2)
    sum = sum * z + 2.0 / odd;
  Real half = f * f * 0.5;
  return k * kLn2High - ((half - (s * (half + sum * z) + k * kLn2Low)) - f);
}

/// The values that are no matter of arithmetic.
Real finishLog(Real x, Real y) {
  return y.pick(x == 0, x.lit(-kInfinity))
      .pick(x < 0, x.lit(std::numeric_limits<double>::quiet_NaN()))
      .pick(x == kInfinity, x)
      .pick(x.isNaN(), x);
}

Real emitLog(Real x) {
  Real k = x, m = reduceLog(x, k);
  return finishLog(x, logNear1(m, k));
}

/// Logarithm whose base has `ofTwo` = log 2 and `ofE` = log e.
Real emitLogOfBase(Real x, double ofTwo, double ofE) {
  Real k = x, m = reduceLog(x, k);
  return finishLog(x, k * ofTwo + logNear1(m, x.lit(0)) * ofE);
}

/// log(1 + x), and what rounding has taken from 1 + x.
Real emitLog1p(Real x, llvm::Function *log) {
  Real u = x + 1;
  Real y = call(log, u) + (x - (u - 1)) / u;
  return y.pick(x == kInfinity, x)
      .pick(x == -1, x.lit(-kInfinity))
      .pick(x == 0, x);
}

Real emitTanh(Real x, llvm::Function *expm1) {
  Real a = x.fabs();
  Real t = call(expm1, a * 2);
  return (t / (t + 2)).pick(a > 20, x.lit(1)).copysign(x);
}

/// Beyond 700 the square of exp(a / 2), half of which stays in range longer.
Real farHyperbolic(Real a, llvm::Function *exp) {
  Real half = call(exp, a * 0.5);
  return half * 0.5 * half;
}

Real emitSinh(Real x, llvm::Function *exp, llvm::Function *expm1) {
  Real a = x.fabs();
  Real t = call(expm1, a);
  Real y = (t + t / (t + 1)) * 0.5;
  return y.pick(a > 700, farHyperbolic(a, exp)).copysign(x);
}

Real emitCosh(Real x, llvm::Function *exp) {
  Real a = x.fabs();
  Real e = call(exp, a);
  return ((e + e.lit(1) / e) * 0.5).pick(a > 700, farHyperbolic(a, exp));
}

/// Numbers of 2^52 and more are whole, and NaN stays.
Real emitRounding(Real x, llvm::StringRef name) {
  Val small = x.fabs() < 0x1p52;
  Real y = x.lit(0).pick(small, x);
  Real t = chop(y), result = t;
  if (name == "floor")
    result = t.pick(t > y, t - 1);
  else if (name == "ceil")
    result = t.pick(t < y, t + 1);
  else if (name == "round") {
    Val away = x.code->b.CreateNot((y - t).fabs() < 0.5);
    result = t.pick(away, t + x.lit(1).copysign(y));
  } else if (name == "roundeven")
    result = (y.fabs() + 0x1p52) - 0x1p52;
  // -0.3 rounds to -0; other signs are right already, or lost above.
  Val adopt = name == "roundeven" ? x.code->b.getTrue() : result == 0;
  result = result.pick(adopt, result.copysign(x));
  return x.pick(small, result);
}

/// a = high + low, each of 26 bits (Dekker).
Real splitHigh(Real a) {
  Real t = a * 134217729.0;
  return t - (t - a);
}

} // namespace

llvm::Function *Math::unary(llvm::StringRef name) {
  if (llvm::Function *known = made.lookup(name))
    return known;
  llvm::Function *exp = nullptr, *expm1 = nullptr, *log = nullptr;
  bool isKnown = true;
  if (name == "tanh" || name == "sinh")
    expm1 = unary("expm1");
  if (name == "expm1" || name == "sinh" || name == "cosh")
    exp = unary("exp");
  if (name == "log1p")
    log = unary("log");
  static const char *const names[] = {
      "exp",  "exp2", "expm1", "log",  "log2",  "log10", "log1p",    "sinh",
      "cosh", "tanh", "floor", "ceil", "trunc", "round", "roundeven"};
  isKnown = llvm::is_contained(names, name);
  if (!isKnown)
    return nullptr;
  llvm::Type *f64 = llvm::Type::getDoubleTy(module.getContext());
  Code code(module, "oracle_" + name, f64, {f64}, /*isEntry=*/false);
  Real x = {&code, code.arg(0)};
  Real y = name == "exp"     ? emitExp(x)
           : name == "exp2"  ? emitExp2(x)
           : name == "expm1" ? emitExpm1(x, exp)
           : name == "log"   ? emitLog(x)
           : name == "log2"  ? emitLogOfBase(x, 1, 1 / kLn2)
           : name == "log10"
               ? emitLogOfBase(x, std::log10(2.0), 1 / std::log(10.0))
           : name == "log1p" ? emitLog1p(x, log)
           : name == "sinh"  ? emitSinh(x, exp, expm1)
           : name == "cosh"  ? emitCosh(x, exp)
           : name == "tanh"  ? emitTanh(x, expm1)
                             : emitRounding(x, name);
  code.ret(y.v);
  return made[name] = code.function;
}

llvm::Function *Math::fma() {
  if (llvm::Function *known = made.lookup("fma"))
    return known;
  llvm::Type *f64 = llvm::Type::getDoubleTy(module.getContext());
  Code code(module, "oracle_fma", f64, {f64, f64, f64}, /*isEntry=*/false);
  Real a = {&code, code.arg(0)}, b = {&code, code.arg(1)},
       c = {&code, code.arg(2)};
  // Product and sum, each with what rounding took from it.
  Real product = a * b;
  Real ah = splitHigh(a), al = a - ah, bh = splitHigh(b), bl = b - bh;
  Real lost = (((ah * bh - product) + ah * bl) + al * bh) + al * bl;
  Real sum = product + c, back = sum - product;
  Real lostOfSum = (product - (sum - back)) + (c - back);
  Real y = sum + (lostOfSum + lost);
  // Splitting overflows where the numbers come near to infinity.
  code.ret(sum.pick(y.fabs() < kInfinity, y).v);
  return made["fma"] = code.function;
}

//===----------------------------------------------------------------------===//
// 16 bits
//===----------------------------------------------------------------------===//

static Val bitsOf(Code &code, Val x) {
  return code.b.CreateBitCast(x, code.b.getInt32Ty());
}
static Val floatOf(Code &code, Val bits) {
  return code.b.CreateBitCast(bits, code.f32());
}

Val Math::bfloatToFloat(Code &code, Val bits) {
  return floatOf(
      code, code.b.CreateShl(code.b.CreateZExt(bits, code.b.getInt32Ty()), 16));
}

llvm::Function *Math::halfToFloat() {
  if (llvm::Function *known = made.lookup("halfToFloat"))
    return known;
  llvm::LLVMContext &context = module.getContext();
  Code code(module, "oracle_half_to_float", llvm::Type::getFloatTy(context),
            {llvm::Type::getInt16Ty(context)}, /*isEntry=*/false);
  llvm::IRBuilder<> &b = code.b;
  Val h = b.CreateZExt(code.arg(0), b.getInt32Ty());
  Val sign = b.CreateShl(b.CreateAnd(h, 0x8000), 16);
  Val rest = b.CreateAnd(h, 0x7fff);
  Val shifted = b.CreateShl(rest, 13);
  // The exponents differ by 112; the product is exact, subnormal or not.
  Val finite = bitsOf(code, b.CreateFMul(floatOf(code, shifted),
                                         Code::real(code.f32(), 0x1p112)));
  Val special = b.CreateOr(shifted, 0x7f800000);
  Val isSpecial = b.CreateICmpUGE(rest, b.getInt32(0x7c00));
  Val magnitude = code.select(isSpecial, special, finite);
  code.ret(floatOf(code, b.CreateOr(magnitude, sign)));
  return made["halfToFloat"] = code.function;
}

/// Round to nearest, ties to even, to the bits above the lowest `drop`.
static Val roundBits(Code &code, Val bits, unsigned drop) {
  llvm::IRBuilder<> &b = code.b;
  Val odd = b.CreateAnd(b.CreateLShr(bits, drop), 1);
  Val up =
      b.CreateAdd(b.CreateAdd(bits, b.getInt32((1u << (drop - 1)) - 1)), odd);
  return b.CreateAnd(up, b.getInt32(~((1u << drop) - 1)));
}

llvm::Function *Math::roundToBfloat() {
  if (llvm::Function *known = made.lookup("roundToBfloat"))
    return known;
  llvm::Type *f32 = llvm::Type::getFloatTy(module.getContext());
  Code code(module, "oracle_round_to_bfloat", f32, {f32}, /*isEntry=*/false);
  Val x = code.arg(0);
  Val rounded = floatOf(code, roundBits(code, bitsOf(code, x), 16));
  code.ret(code.select(code.b.CreateFCmpUNO(x, x), x, rounded));
  return made["roundToBfloat"] = code.function;
}

llvm::Function *Math::roundToHalf() {
  if (llvm::Function *known = made.lookup("roundToHalf"))
    return known;
  llvm::Type *f32 = llvm::Type::getFloatTy(module.getContext());
  Code code(module, "oracle_round_to_half", f32, {f32}, /*isEntry=*/false);
  llvm::IRBuilder<> &b = code.b;
  Val x = code.arg(0);
  Val a = b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x);
  auto lit = [&](double value) { return Code::real(f32, value); };
  // Below 2^-14 the steps are 2^-24, which is the last bit of a float in
  // [1/2, 1).
  Val subnormal = b.CreateFSub(b.CreateFAdd(a, lit(0.5)), lit(0.5));
  Val normal = floatOf(code, roundBits(code, bitsOf(code, a), 13));
  normal =
      code.select(b.CreateFCmpOGE(normal, lit(65536)), lit(kInfinity), normal);
  Val rounded =
      code.select(b.CreateFCmpOLT(a, lit(0x1p-14)), subnormal, normal);
  rounded = b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, rounded, x);
  code.ret(code.select(b.CreateFCmpUNO(x, x), x, rounded));
  return made["roundToHalf"] = code.function;
}
