//===- Float16.h - half precision and bfloat as bits ----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_FLOAT16_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_FLOAT16_H

#include <cmath>
#include <cstdint>
#include <cstring>

namespace filigree::ptx {

template <typename To, typename From> inline To bitsAs(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(to));
  return to;
}

/// How a conversion rounds.
enum class Rounding : uint8_t { Nearest, Zero, Down, Up, NearestAway };

inline float fromBFloat(uint16_t bits) {
  return bitsAs<float>(static_cast<uint32_t>(bits) << 16);
}

inline float fromHalf(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31)
    return bitsAs<float>(sign | 0x7f800000 | fraction << 13);
  if (exponent == 0)
    return bitsAs<float>(
        sign | bitsAs<uint32_t>(static_cast<float>(fraction) * 0x1p-24f));
  return bitsAs<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

/// Rounds a finite or infinite value to a format of `fractionBits` stored bits
/// whose smallest normal exponent is `minExponent` and largest `maxExponent`.
/// Returns the rounded value, which may exceed the largest finite one.
inline double roundTo(double value, int fractionBits, int minExponent,
                      Rounding rounding) {
  if (value == 0 || !std::isfinite(value))
    return value;
  int exponent = std::ilogb(value);
  if (exponent < minExponent)
    exponent = minExponent;
  double unit = std::ldexp(1.0, exponent - fractionBits), scaled = value / unit;
  switch (rounding) {
  case Rounding::Nearest:
    scaled = std::nearbyint(scaled);
    break;
  case Rounding::Zero:
    scaled = std::trunc(scaled);
    break;
  case Rounding::Down:
    scaled = std::floor(scaled);
    break;
  case Rounding::Up:
    scaled = std::ceil(scaled);
    break;
  case Rounding::NearestAway:
    scaled = std::round(scaled);
    break;
  }
  return std::copysign(scaled * unit, value);
}

inline uint16_t toHalf(double value, Rounding rounding = Rounding::Nearest) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value))
    return 0x7fff;
  double rounded = std::fabs(roundTo(value, 10, -14, rounding));
  if (rounded > 65504.0) {
    bool toInfinity = std::isinf(value) || rounding == Rounding::Nearest ||
                      rounding == Rounding::NearestAway ||
                      (rounding == Rounding::Up && !sign) ||
                      (rounding == Rounding::Down && sign);
    return static_cast<uint16_t>(sign | (toInfinity ? 0x7c00 : 0x7bff));
  }
  if (rounded < 0x1p-14)
    return static_cast<uint16_t>(sign |
                                 static_cast<uint16_t>(rounded * 0x1p24));
  int exponent = std::ilogb(rounded);
  auto fraction =
      static_cast<uint16_t>(std::ldexp(rounded, 10 - exponent) - 1024);
  return static_cast<uint16_t>(sign | (exponent + 15) << 10 | fraction);
}

inline uint16_t toBFloat(float value, Rounding rounding = Rounding::Nearest) {
  uint32_t bits = bitsAs<uint32_t>(value);
  if (value != value)
    return 0x7fff;
  uint32_t low = bits & 0xffff, high = bits >> 16;
  bool negative = bits >> 31;
  bool up = rounding == Rounding::Nearest
                ? low > 0x8000 || (low == 0x8000 && (high & 1))
            : rounding == Rounding::NearestAway ? low >= 0x8000
            : rounding == Rounding::Up          ? low && !negative
            : rounding == Rounding::Down        ? low && negative
                                                : false;
  return static_cast<uint16_t>(high + up);
}

/// bfloat results of exact or nearly exact double values: sums and products.
inline uint16_t toBFloat(double value, Rounding rounding = Rounding::Nearest) {
  if (std::isnan(value))
    return 0x7fff;
  double rounded = roundTo(value, 7, -126, rounding);
  return static_cast<uint16_t>(bitsAs<uint32_t>(static_cast<float>(rounded)) >>
                               16);
}

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_FLOAT16_H
