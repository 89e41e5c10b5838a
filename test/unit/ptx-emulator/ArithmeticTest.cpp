//===- ArithmeticTest.cpp - values computed by hand -----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Harness.h"

#include <cmath>
#include <limits>

using namespace filigree::ptx;
using namespace filigree::ptx::test;

namespace {

constexpr Widths w32{32, 32, 32, 32}, w64{64, 64, 64, 64}, w16{16, 16, 16, 16};

TEST(Arithmetic, integersWrap) {
  EXPECT_EQ(evaluate(w32, "add.s32 %d, %a, %b;", 0xffffffff, 2), 1u);
  EXPECT_EQ(evaluate(w32, "sub.s32 %d, %a, %b;", 1, 2), 0xffffffffu);
  EXPECT_EQ(evaluate(w32, "add.sat.s32 %d, %a, %b;", 0x7fffffff, 2),
            0x7fffffffu);
  EXPECT_EQ(evaluate(w64, "add.s64 %d, %a, 5;", ~0ull), 4u);
  EXPECT_EQ(evaluate(w16, "add.s16 %d, %a, %b;", 0xffff, 2), 1u);
  EXPECT_EQ(evaluate(w32, "mul.lo.s32 %d, %a, %b;", 0x10001, 0x10001),
            0x20001u);
  EXPECT_EQ(evaluate(w32, "mul.hi.u32 %d, %a, %b;", 0x80000000, 6), 3u);
  EXPECT_EQ(evaluate(w32, "mul.hi.s32 %d, %a, %b;", 0x80000000, 6),
            uint32_t(-3));
  EXPECT_EQ(evaluate(w64, "mul.hi.u64 %d, %a, %b;", 1ull << 63, 6), 3u);
  EXPECT_EQ(
      evaluate({32, 32, 32, 64}, "mul.wide.u32 %d, %a, %b;", 0xffffffff, 2),
      0x1fffffffeull);
  EXPECT_EQ(
      evaluate({32, 32, 32, 64}, "mul.wide.s32 %d, %a, %b;", 0xffffffff, 2),
      ~1ull);
  EXPECT_EQ(evaluate(w32, "mad.lo.s32 %d, %a, %b, %c;", 3, 4, 5), 17u);
  EXPECT_EQ(evaluate({32, 32, 64, 64}, "mad.wide.u32 %d, %a, %b, %c;",
                     0xffffffff, 2, 2),
            0x200000000ull);
  EXPECT_EQ(evaluate(w32, "add.cc.u32 %x1, %a, %b; addc.u32 %d, 0, 0;",
                     0xffffffff, 1),
            1u);
}

TEST(Arithmetic, division) {
  EXPECT_EQ(evaluate(w32, "div.s32 %d, %a, %b;", uint32_t(-7), 2),
            uint32_t(-3));
  EXPECT_EQ(evaluate(w32, "rem.s32 %d, %a, %b;", uint32_t(-7), 2),
            uint32_t(-1));
  EXPECT_EQ(evaluate(w32, "div.u32 %d, %a, %b;", 7, 2), 3u);
  EXPECT_EQ(evaluate(w32, "div.s32 %d, %a, %b;", 0x80000000, ~0u), 0x80000000u);
  EXPECT_EQ(evaluate(w64, "rem.u64 %d, %a, %b;", 1ull << 40, 1000), 776u);
  EXPECT_EQ(evaluate(w32, "div.u32 %d, %a, %b;", 7, 0), 0xffffffffu);
}

TEST(Arithmetic, orderAndSign) {
  EXPECT_EQ(evaluate(w32, "min.s32 %d, %a, %b;", uint32_t(-1), 1),
            uint32_t(-1));
  EXPECT_EQ(evaluate(w32, "min.u32 %d, %a, %b;", uint32_t(-1), 1), 1u);
  EXPECT_EQ(evaluate(w32, "max.s32 %d, %a, %b;", uint32_t(-1), 1), 1u);
  EXPECT_EQ(evaluate(w32, "abs.s32 %d, %a;", uint32_t(-9)), 9u);
  EXPECT_EQ(evaluate(w32, "neg.s32 %d, %a;", 9), uint32_t(-9));
  EXPECT_EQ(evaluate(w32, "sad.u32 %d, %a, %b, %c;", 3, 9, 100), 106u);
}

TEST(Arithmetic, shiftsClamp) {
  EXPECT_EQ(evaluate(w32, "shl.b32 %d, %a, %b;", 1, 31), 0x80000000u);
  EXPECT_EQ(evaluate(w32, "shl.b32 %d, %a, %b;", 1, 32), 0u);
  EXPECT_EQ(evaluate(w32, "shr.u32 %d, %a, %b;", 0x80000000, 40), 0u);
  EXPECT_EQ(evaluate(w32, "shr.s32 %d, %a, %b;", 0x80000000, 40), 0xffffffffu);
  EXPECT_EQ(evaluate({64, 32, 32, 64}, "shr.u64 %d, %a, %b;", 1ull << 40, 39),
            2u);
  EXPECT_EQ(evaluate(w16, "shl.b16 %d, %a, 4;", 0xabcd), 0xbcd0u);
  EXPECT_EQ(evaluate(w32, "shf.l.wrap.b32 %d, %a, %b, %c;", 0x80000000, 1, 1),
            3u);
  EXPECT_EQ(evaluate(w32, "shf.r.clamp.b32 %d, %a, %b, %c;", 1, 7, 32), 7u);
}

TEST(Arithmetic, bitFields) {
  EXPECT_EQ(evaluate(w32, "bfe.u32 %d, %a, 4, 8;", 0x12345678), 0x67u);
  EXPECT_EQ(evaluate(w32, "bfe.s32 %d, %a, 4, 8;", 0x00000f80), 0xfffffff8u);
  EXPECT_EQ(evaluate(w32, "bfi.b32 %d, %a, %b, 8, 8;", 0xab, 0x11111111),
            0x1111ab11u);
  EXPECT_EQ(evaluate(w32, "popc.b32 %d, %a;", 0xf0f0), 8u);
  EXPECT_EQ(evaluate({64, 32, 32, 32}, "popc.b64 %d, %a;", ~0ull), 64u);
  EXPECT_EQ(evaluate(w32, "clz.b32 %d, %a;", 0x00010000), 15u);
  EXPECT_EQ(evaluate(w32, "clz.b32 %d, %a;", 0), 32u);
  EXPECT_EQ(evaluate(w32, "brev.b32 %d, %a;", 1), 0x80000000u);
  EXPECT_EQ(evaluate(w32, "bfind.u32 %d, %a;", 0x00010000), 16u);
  EXPECT_EQ(evaluate(w32, "bfind.shiftamt.u32 %d, %a;", 0x00010000), 15u);
  EXPECT_EQ(evaluate(w32, "bfind.s32 %d, %a;", uint32_t(-1)), 0xffffffffu);
  EXPECT_EQ(
      evaluate(w32, "prmt.b32 %d, %a, %b, 0x7531;", 0x33221100, 0x77665544),
      0x77553311u);
  EXPECT_EQ(evaluate(w32, "prmt.b32 %d, %a, %b, 0x8;", 0x80, 0), 0x808080ffu);
  EXPECT_EQ(
      evaluate(w32, "lop3.b32 %d, %a, %b, %c, 0xe8;", 0b1100, 0b1010, 0b0110),
      0b1110u);
  EXPECT_EQ(evaluate(w32, "not.b32 %d, %a;", 0xff), 0xffffff00u);
  EXPECT_EQ(evaluate(w64, "xor.b64 %d, %a, %b;", 0xff00, 0x0ff0), 0xf0f0u);
}

TEST(Arithmetic, floats) {
  EXPECT_EQ(evaluate(w32, "add.f32 %d, %a, %b;", bits(1.5f), bits(2.25f)),
            bits(3.75f));
  EXPECT_EQ(evaluate(w32, "fma.rn.f32 %d, %a, %b, %c;", bits(1 + 0x1p-12f),
                     bits(1 + 0x1p-12f), bits(-1.0f)),
            bits(0x1p-11f + 0x1p-24f))
      << "one rounding";
  EXPECT_EQ(evaluate(w32, "mul.rn.f32 %d, %a, 0f40000000;", bits(3.0f)),
            bits(6.0f));
  EXPECT_EQ(
      evaluate(w32, "mul.ftz.f32 %d, %a, %b;", bits(0x1p-100f), bits(0x1p-30f)),
      bits(0.0f));
  EXPECT_EQ(evaluate(w32, "add.sat.f32 %d, %a, %b;", bits(0.75f), bits(0.5f)),
            bits(1.0f));
  EXPECT_EQ(evaluate(w32, "div.rn.f32 %d, %a, %b;", bits(1.0f), bits(3.0f)),
            bits(1.0f / 3.0f));
  EXPECT_EQ(evaluate(w32, "rcp.approx.ftz.f32 %d, %a;", bits(8.0f)),
            bits(0.125f));
  EXPECT_EQ(evaluate(w32, "sqrt.rn.f32 %d, %a;", bits(2.0f)),
            bits(std::sqrt(2.0f)));
  EXPECT_EQ(evaluate(w32, "rsqrt.approx.f32 %d, %a;", bits(4.0f)), bits(0.5f));
  EXPECT_EQ(evaluate(w32, "ex2.approx.ftz.f32 %d, %a;", bits(-3.0f)),
            bits(0.125f));
  EXPECT_EQ(evaluate(w32, "ex2.approx.ftz.f32 %d, %a;", bits(-INFINITY)),
            bits(0.0f));
  EXPECT_EQ(evaluate(w32, "ex2.approx.ftz.f32 %d, %a;", bits(-130.0f)),
            bits(0.0f))
      << "subnormal";
  EXPECT_EQ(evaluate(w32, "lg2.approx.f32 %d, %a;", bits(0.25f)), bits(-2.0f));
  EXPECT_EQ(evaluate(w32, "neg.f32 %d, %a;", bits(0.25f)), bits(-0.25f));
  EXPECT_EQ(evaluate(w64, "fma.rn.f64 %d, %a, %b, %c;", bits(2.0), bits(3.0),
                     bits(0.5)),
            bits(6.5));
}

TEST(Arithmetic, maximumAndNaN) {
  uint32_t nan = 0x7fc00000;
  EXPECT_EQ(evaluate(w32, "max.f32 %d, %a, %b;", nan, bits(-1.0f)),
            bits(-1.0f));
  EXPECT_EQ(evaluate(w32, "max.NaN.f32 %d, %a, %b;", nan, bits(-1.0f)),
            0x7fffffffu);
  EXPECT_EQ(evaluate(w32, "max.f32 %d, %a, %b;", bits(-0.0f), bits(0.0f)),
            bits(0.0f));
  EXPECT_EQ(evaluate(w32, "min.f32 %d, %a, %b;", bits(-0.0f), bits(0.0f)),
            bits(-0.0f));
  EXPECT_EQ(evaluate(w32, "max.f32 %d, %a, %b, %c;", bits(1.0f), bits(4.0f),
                     bits(2.0f), "sm_100a"),
            bits(4.0f));
  EXPECT_EQ(evaluate(w32, "min.NaN.f32 %d, %a, %b, %c;", bits(1.0f), bits(4.0f),
                     nan, "sm_100a"),
            0x7fffffffu);
}

TEST(Arithmetic, halves) {
  // 1.5 and 2.5 in half and bfloat
  EXPECT_EQ(evaluate(w16, "add.f16 %d, %a, %b;", 0x3e00, 0x4100), 0x4400u);
  EXPECT_EQ(evaluate(w16, "mul.bf16 %d, %a, %b;", 0x3fc0, 0x4020), 0x4070u);
  EXPECT_EQ(evaluate(w32, "fma.rn.bf16x2 %d, %a, %b, %c;", 0x3fc03f80,
                     0x40204000, 0x3f803f80),
            0x40984040u);
  EXPECT_EQ(evaluate(w32, "max.f16x2 %d, %a, %b;", 0x3e004100, 0x41003e00),
            0x41004100u);
}

TEST(Arithmetic, comparisons) {
  auto compare = [](const char *op, uint32_t a, uint32_t b) {
    return evaluate(
        w32, std::string("setp.") + op + " %p, %a, %b; selp.b32 %d, 1, 0, %p;",
        a, b);
  };
  EXPECT_EQ(compare("lt.s32", uint32_t(-1), 1), 1u);
  EXPECT_EQ(compare("lt.u32", uint32_t(-1), 1), 0u);
  EXPECT_EQ(compare("ge.s32", 4, 4), 1u);
  EXPECT_EQ(compare("hi.u32", 5, 4), 1u);
  uint32_t nan = 0x7fc00000;
  EXPECT_EQ(compare("ne.f32", nan, bits(1.0f)), 0u);
  EXPECT_EQ(compare("neu.f32", nan, bits(1.0f)), 1u);
  EXPECT_EQ(compare("ltu.f32", nan, bits(1.0f)), 1u);
  EXPECT_EQ(compare("nan.f32", nan, bits(1.0f)), 1u);
  EXPECT_EQ(compare("num.f32", bits(2.0f), bits(1.0f)), 1u);
  EXPECT_EQ(evaluate(w32,
                     "setp.gt.u32 %q, %c, 0; setp.lt.and.s32 %p, %a, %b, !%q; "
                     "selp.b32 %d, 1, 0, %p;",
                     1, 2, 1),
            0u);
  EXPECT_EQ(
      evaluate(w32, "setp.eq.s32 %p|%q, %a, %b; selp.b32 %d, 1, 0, %q;", 1, 2),
      1u);
  EXPECT_EQ(evaluate(w32,
                     "setp.eq.s32 %p, %a, %b; not.pred %q, %p; and.pred %p, "
                     "%p, %q; selp.b32 %d, 1, 0, %p;",
                     1, 1),
            0u);
}

TEST(Arithmetic, conversions) {
  EXPECT_EQ(evaluate({32, 32, 32, 64}, "cvt.s64.s32 %d, %a;", uint32_t(-5)),
            uint64_t(-5));
  EXPECT_EQ(evaluate({32, 32, 32, 64}, "cvt.u64.u32 %d, %a;", uint32_t(-5)),
            0xfffffffbull);
  EXPECT_EQ(evaluate({64, 32, 32, 32}, "cvt.u32.u64 %d, %a;", 0x123456789ull),
            0x23456789u);
  EXPECT_EQ(evaluate({16, 32, 32, 32}, "cvt.s32.s8 %d, %a;", 0x1ff),
            uint32_t(-1));
  EXPECT_EQ(evaluate(w32, "cvt.sat.u32.s32 %d, %a;", uint32_t(-5)), 0u);
  EXPECT_EQ(evaluate(w32, "cvt.rn.f32.s32 %d, %a;", uint32_t(-5)), bits(-5.0f));
  EXPECT_EQ(evaluate(w32, "cvt.rn.f32.u32 %d, %a;", 0xffffffff),
            bits(4294967296.0f));
  EXPECT_EQ(evaluate(w32, "cvt.rzi.s32.f32 %d, %a;", bits(-2.75f)),
            uint32_t(-2));
  EXPECT_EQ(evaluate(w32, "cvt.rni.s32.f32 %d, %a;", bits(2.5f)), 2u);
  EXPECT_EQ(evaluate(w32, "cvt.rmi.f32.f32 %d, %a;", bits(-2.25f)),
            bits(-3.0f));
  EXPECT_EQ(evaluate(w32, "cvt.rpi.f32.f32 %d, %a;", bits(-2.25f)),
            bits(-2.0f));
  EXPECT_EQ(evaluate(w32, "cvt.rzi.s32.f32 %d, %a;", bits(1e20f)), 0x7fffffffu);
  EXPECT_EQ(evaluate(w32, "cvt.rzi.u32.f32 %d, %a;", 0x7fc00000), 0u);
  EXPECT_EQ(evaluate({32, 32, 32, 64}, "cvt.f64.f32 %d, %a;", bits(0.1f)),
            bits(double(0.1f)));
  EXPECT_EQ(evaluate({64, 32, 32, 32}, "cvt.rn.f32.f64 %d, %a;", bits(0.1)),
            bits(0.1f));
  EXPECT_EQ(evaluate({64, 32, 32, 32}, "cvt.rz.f32.f64 %d, %a;",
                     bits(1.0 + 0x1.8p-24)),
            bits(1.0f));
  EXPECT_EQ(
      evaluate({64, 32, 32, 32}, "cvt.rp.f32.f64 %d, %a;", bits(1.0 + 0x1p-30)),
      bits(1 + 0x1p-23f));
}

TEST(Arithmetic, conversionsToHalves) {
  // 1 + 2^-8 is halfway between two bfloats: to even, and the others.
  float halfway = 1 + 0x1p-8f;
  EXPECT_EQ(
      evaluate({32, 32, 32, 16}, "cvt.rn.bf16.f32 %d, %a;", bits(halfway)),
      0x3f80u);
  EXPECT_EQ(
      evaluate({32, 32, 32, 16}, "cvt.rn.bf16.f32 %d, %a;", bits(1 + 0x3p-8f)),
      0x3f82u);
  EXPECT_EQ(
      evaluate({32, 32, 32, 16}, "cvt.rz.bf16.f32 %d, %a;", bits(1 + 0x3p-8f)),
      0x3f81u);
  EXPECT_EQ(
      evaluate(w32, "cvt.rn.bf16x2.f32 %d, %a, %b;", bits(2.0f), bits(1.0f)),
      0x40003f80u)
      << "first is high";
  EXPECT_EQ(
      evaluate(w32, "cvt.rn.f16x2.f32 %d, %a, %b;", bits(2.0f), bits(1.0f)),
      0x40003c00u);
  EXPECT_EQ(evaluate(w32, "cvt.rn.relu.bf16x2.f32 %d, %a, %b;", bits(-2.0f),
                     bits(1.0f)),
            0x00003f80u);
  EXPECT_EQ(evaluate(w32, "cvt.rn.bf16x2.f32 %d, %a, %b;", 0x7fc00001,
                     bits(-INFINITY)),
            0x7fffff80u);
  EXPECT_EQ(
      evaluate({32, 32, 32, 16}, "cvt.rn.f16.f32 %d, %a;", bits(65520.0f)),
      0x7c00u);
  EXPECT_EQ(evaluate({32, 32, 32, 16}, "cvt.rn.satfinite.f16.f32 %d, %a;",
                     bits(1e9f)),
            0x7bffu);
  EXPECT_EQ(
      evaluate({32, 32, 32, 16}, "cvt.rn.f16.f32 %d, %a;", bits(0x1p-24f)),
      0x0001u);
  EXPECT_EQ(evaluate({16, 32, 32, 32}, "cvt.f32.f16 %d, %a;", 0x0001),
            bits(0x1p-24f));
  EXPECT_EQ(evaluate({16, 32, 32, 32}, "cvt.f32.bf16 %d, %a;", 0xc0a0),
            bits(-5.0f));
  EXPECT_EQ(evaluate(w32, "cvt.rna.tf32.f32 %d, %a;", bits(1 + 0x1p-11f)),
            bits(1 + 0x1p-10f));
}

TEST(Arithmetic, halvesRoundTrip) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    float value = fromHalf(uint16_t(h));
    if (value == value)
      ASSERT_EQ(toHalf(value), h);
    float b = fromBFloat(uint16_t(h));
    if (b == b)
      ASSERT_EQ(toBFloat(b), h);
    if (b == b)
      ASSERT_EQ(toBFloat(double(b)), h);
  }
}

TEST(Arithmetic, moves) {
  EXPECT_EQ(evaluate({64, 32, 32, 32},
                     "mov.b64 {%x1, %x2}, %a; sub.s32 %d, %x2, %x1;",
                     0x500000002ull),
            3u);
  EXPECT_EQ(evaluate({32, 32, 32, 64}, "mov.b64 %d, {%a, %b};", 2, 5),
            0x500000002ull);
  EXPECT_EQ(evaluate(w32, "mov.b32 {%h1, %h2}, %a; mov.b32 %d, {%h2, %h1};",
                     0x12345678),
            0x56781234u);
  EXPECT_EQ(evaluate(w32, "mov.u32 %d, %ntid.x;", 0), 1u);
  EXPECT_EQ(evaluate(w32, "mov.b32 %d, 0fBF800000;", 0), bits(-1.0f));
  EXPECT_EQ(evaluate(w32, "slct.b32.s32 %d, %a, %b, %c;", 4, 5, uint32_t(-1)),
            5u);
}

} // namespace
