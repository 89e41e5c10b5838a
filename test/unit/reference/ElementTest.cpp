//===- ElementTest.cpp - every 16-bit number there is ---------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/Tensor.h"
#include "llvm/ADT/APFloat.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>

using namespace filigree::reference;
using llvm::APFloat;
using llvm::APInt;

static float viaAPFloat(const llvm::fltSemantics &semantics, uint16_t bits) {
  APFloat value(semantics, APInt(16, bits));
  bool lost;
  value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &lost);
  return value.convertToFloat();
}

static uint16_t viaAPFloat(const llvm::fltSemantics &semantics, float from) {
  APFloat value(from);
  bool lost;
  value.convert(semantics, APFloat::rmNearestTiesToEven, &lost);
  return uint16_t(value.bitcastToAPInt().getZExtValue());
}

TEST(Element, AllBitsBothFormats) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    float half = halfToFloat(uint16_t(bits));
    float bfloat = bfloatToFloat(uint16_t(bits));
    if (std::isnan(half)) {
      EXPECT_TRUE(std::isnan(halfToFloat(floatToHalf(half))));
    } else {
      ASSERT_EQ(half, viaAPFloat(APFloat::IEEEhalf(), uint16_t(bits)));
      ASSERT_EQ(floatToHalf(half), bits);
    }
    if (std::isnan(bfloat)) {
      EXPECT_TRUE(std::isnan(bfloatToFloat(floatToBfloat(bfloat))));
    } else {
      ASSERT_EQ(floatToBfloat(bfloat), bits);
    }
  }
}

TEST(Element, RoundingOfRandomAndBorderlineFloats) {
  std::mt19937 engine(1);
  auto check = [](float value) {
    if (std::isnan(value))
      return;
    ASSERT_EQ(floatToHalf(value), viaAPFloat(APFloat::IEEEhalf(), value))
        << value;
    ASSERT_EQ(floatToBfloat(value), viaAPFloat(APFloat::BFloat(), value))
        << value;
  };
  for (int n = 0; n < 200000; ++n) {
    check(llvm::APInt(32, engine()).bitsToFloat());
    // Halfway between two halves, and one ulp to either side.
    uint16_t low = uint16_t(engine() % 0x7bff);
    float middle = (halfToFloat(low) + halfToFloat(uint16_t(low + 1))) / 2;
    for (float x : {middle, std::nextafter(middle, 0.f),
                    std::nextafter(middle, 1e6f), -middle})
      check(x);
  }
  for (float x : {65504.f, 65519.99f, 65520.f, 65536.f, 0x1p-24f, 0x1p-25f,
                  0x1.000002p-25f, 0.f, -0.f, INFINITY, -INFINITY, 3.4e38f})
    check(x);
}
