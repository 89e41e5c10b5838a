//===- Convert.cpp - cvt
//---------------------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Between all integer and floating types, with every rounding, and two floats
// into a pair of halves. Registers may be wider than the types: sources give
// their low bits, destinations are extended.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Decode.h"
#include "test/lib/ptx-emulator/Float16.h"
#include "test/lib/ptx-emulator/Lanes.h"

#include <limits>

namespace filigree::ptx {

namespace {

enum Flags : uint32_t {
  Saturate = 1,
  FlushToZero = 2,
  Relu = 4,
  ToInteger = 8, ///< .rni, .rzi, .rmi, .rpi
  SatFinite = 16,
  RoundingShift = 8
};
Rounding roundingOf(const Inst &inst) {
  return static_cast<Rounding>(inst.flags >> RoundingShift & 7);
}

template <typename T>
T loadLane(const uint8_t *base, unsigned stride, int lane) {
  T value;
  memcpy(&value, base + lane * stride, sizeof(T));
  return value;
}

template <typename T>
void storeLane(uint8_t *base, unsigned stride, int lane, T value) {
  if (stride == sizeof(T)) {
    memcpy(base + lane * stride, &value, sizeof(T));
    return;
  }
  auto wide = static_cast<int64_t>(value); // extends by the sign of T
  memcpy(base + lane * stride, &wide, stride);
}

template <typename D, typename S>
Outcome intToInt(Warp &warp, const Inst &inst, uint32_t lanes) {
  const uint8_t *from = warp.registers + inst.src[0];
  uint8_t *to = warp.registers + inst.dst;
  if (inst.bytes == sizeof(D) && inst.small == sizeof(S) &&
      !(inst.flags & Saturate)) {
    const S *source = warp.at<S>(inst.src[0]);
    alignas(64) D result[32];
    for (int lane = 0; lane < 32; ++lane)
      result[lane] = static_cast<D>(source[lane]);
    storeLanes(warp.at<D>(inst.dst), result, lanes);
    return Outcome::Next;
  }
  forLanes(lanes, [&](int lane) {
    S value = loadLane<S>(from, inst.small, lane);
    if (inst.flags & Saturate) {
      __int128 wide = value, least = std::numeric_limits<D>::min(),
               most = std::numeric_limits<D>::max();
      value = 0;
      wide = wide < least ? least : wide > most ? most : wide;
      storeLane<D>(to, inst.bytes, lane, static_cast<D>(wide));
    } else {
      storeLane<D>(to, inst.bytes, lane, static_cast<D>(value));
    }
  });
  return Outcome::Next;
}

template <typename D> Handler intToIntFrom(Type source) {
  switch (source) {
  case Type::U8:
  case Type::B8:
    return intToInt<D, uint8_t>;
  case Type::U16:
  case Type::B16:
    return intToInt<D, uint16_t>;
  case Type::U32:
  case Type::B32:
    return intToInt<D, uint32_t>;
  case Type::U64:
  case Type::B64:
    return intToInt<D, uint64_t>;
  case Type::S8:
    return intToInt<D, int8_t>;
  case Type::S16:
    return intToInt<D, int16_t>;
  case Type::S32:
    return intToInt<D, int32_t>;
  case Type::S64:
    return intToInt<D, int64_t>;
  default:
    return nullptr;
  }
}

Handler intToIntFor(Type result, Type source) {
  switch (result) {
  case Type::U8:
  case Type::B8:
    return intToIntFrom<uint8_t>(source);
  case Type::U16:
  case Type::B16:
    return intToIntFrom<uint16_t>(source);
  case Type::U32:
  case Type::B32:
    return intToIntFrom<uint32_t>(source);
  case Type::U64:
  case Type::B64:
    return intToIntFrom<uint64_t>(source);
  case Type::S8:
    return intToIntFrom<int8_t>(source);
  case Type::S16:
    return intToIntFrom<int16_t>(source);
  case Type::S32:
    return intToIntFrom<int32_t>(source);
  case Type::S64:
    return intToIntFrom<int64_t>(source);
  default:
    return nullptr;
  }
}

// How floats sit in registers.
struct F16 {
  using Bits = uint16_t;
  static double from(uint16_t b) { return fromHalf(b); }
  static uint16_t to(double v, Rounding r) { return toHalf(v, r); }
  static constexpr double most = 65504.0;
};
struct BF16 {
  using Bits = uint16_t;
  static double from(uint16_t b) { return fromBFloat(b); }
  static uint16_t to(double v, Rounding r) {
    return std::fabs(v) > 3.4e38 && std::isfinite(v) ? toBFloat(float(v), r)
                                                     : toBFloat(v, r);
  }
  static constexpr double most = 0x1.FEp127;
};
struct TF32 {
  using Bits = uint32_t;
  static double from(uint32_t b) { return bitsAs<float>(b); }
  static uint32_t to(double v, Rounding r) {
    return bitsAs<uint32_t>(float(roundTo(v, 10, -126, r)));
  }
  static constexpr double most = 0x1.FFCp127;
};
struct F32 {
  using Bits = uint32_t;
  static double from(uint32_t b) { return bitsAs<float>(b); }
  static uint32_t to(double v, Rounding r) {
    if (r == Rounding::Nearest)
      return bitsAs<uint32_t>(float(v));
    return bitsAs<uint32_t>(float(roundTo(v, 23, -126, r)));
  }
  static constexpr double most = std::numeric_limits<float>::max();
};
struct F64 {
  using Bits = uint64_t;
  static double from(uint64_t b) { return bitsAs<double>(b); }
  static uint64_t to(double v, Rounding) { return bitsAs<uint64_t>(v); }
  static constexpr double most = std::numeric_limits<double>::max();
};

double shape(const Inst &inst, double value, double most) {
  if (inst.flags & FlushToZero && std::fabs(value) < 0x1p-126)
    value = std::copysign(0.0, value);
  if (inst.flags & ToInteger)
    value = roundTo(value, 0, 0, roundingOf(inst)) == value ? value
            : roundingOf(inst) == Rounding::Nearest ? std::nearbyint(value)
            : roundingOf(inst) == Rounding::Zero    ? std::trunc(value)
            : roundingOf(inst) == Rounding::Down    ? std::floor(value)
                                                    : std::ceil(value);
  if (inst.flags & Saturate)
    value = value > 0 ? (value < 1 ? value : 1) : 0;
  if (inst.flags & Relu && !(value > 0))
    value = value != value ? value : 0;
  if (inst.flags & SatFinite && std::fabs(value) > most)
    value = std::copysign(most, value);
  return value;
}

template <typename D, typename S>
Outcome floatToFloat(Warp &warp, const Inst &inst, uint32_t lanes) {
  auto *from = warp.at<typename S::Bits>(inst.src[0]);
  auto *to = warp.at<typename D::Bits>(inst.dst);
  forLanes(lanes, [&](int lane) {
    to[lane] =
        D::to(shape(inst, S::from(from[lane]), D::most), roundingOf(inst));
  });
  return Outcome::Next;
}
template <typename D> Handler floatToFloatFrom(Type source) {
  switch (source) {
  case Type::F16:
    return floatToFloat<D, F16>;
  case Type::BF16:
    return floatToFloat<D, BF16>;
  case Type::F32:
    return floatToFloat<D, F32>;
  case Type::F64:
    return floatToFloat<D, F64>;
  default:
    return nullptr;
  }
}

template <typename F, typename I>
Outcome intToFloat(Warp &warp, const Inst &inst, uint32_t lanes) {
  const uint8_t *from = warp.registers + inst.src[0];
  auto *to = warp.at<typename F::Bits>(inst.dst);
  forLanes(lanes, [&](int lane) {
    I value = loadLane<I>(from, inst.small, lane);
    if (std::is_same_v<F, F32> && roundingOf(inst) == Rounding::Nearest) {
      // straight to float: through double it would round twice
      to[lane] = static_cast<typename F::Bits>(
          bitsAs<uint32_t>(static_cast<float>(value)));
    } else {
      to[lane] = F::to(static_cast<double>(value), roundingOf(inst));
    }
  });
  return Outcome::Next;
}
template <typename F> Handler intToFloatFrom(Type source) {
  switch (source) {
  case Type::U8:
    return intToFloat<F, uint8_t>;
  case Type::U16:
    return intToFloat<F, uint16_t>;
  case Type::U32:
    return intToFloat<F, uint32_t>;
  case Type::U64:
    return intToFloat<F, uint64_t>;
  case Type::S8:
    return intToFloat<F, int8_t>;
  case Type::S16:
    return intToFloat<F, int16_t>;
  case Type::S32:
    return intToFloat<F, int32_t>;
  case Type::S64:
    return intToFloat<F, int64_t>;
  default:
    return nullptr;
  }
}

/// Out of range clamps; NaN gives 0.
template <typename I, typename F>
Outcome floatToInt(Warp &warp, const Inst &inst, uint32_t lanes) {
  auto *from = warp.at<typename F::Bits>(inst.src[0]);
  uint8_t *to = warp.registers + inst.dst;
  forLanes(lanes, [&](int lane) {
    double value = shape(inst, F::from(from[lane]), HUGE_VAL);
    I result = 0;
    if (value >= std::ldexp(1.0, std::numeric_limits<I>::digits))
      result = std::numeric_limits<I>::max();
    else if (value <= static_cast<double>(std::numeric_limits<I>::min()))
      result = std::numeric_limits<I>::min();
    else if (value == value)
      result = static_cast<I>(value);
    storeLane<I>(to, inst.bytes, lane, result);
  });
  return Outcome::Next;
}
template <typename I> Handler floatToIntFrom(Type source) {
  switch (source) {
  case Type::F16:
    return floatToInt<I, F16>;
  case Type::BF16:
    return floatToInt<I, BF16>;
  case Type::F32:
    return floatToInt<I, F32>;
  case Type::F64:
    return floatToInt<I, F64>;
  default:
    return nullptr;
  }
}

Handler toIntFor(Type result, Type source) {
  switch (result) {
  case Type::U8:
    return floatToIntFrom<uint8_t>(source);
  case Type::U16:
    return floatToIntFrom<uint16_t>(source);
  case Type::U32:
    return floatToIntFrom<uint32_t>(source);
  case Type::U64:
    return floatToIntFrom<uint64_t>(source);
  case Type::S8:
    return floatToIntFrom<int8_t>(source);
  case Type::S16:
    return floatToIntFrom<int16_t>(source);
  case Type::S32:
    return floatToIntFrom<int32_t>(source);
  case Type::S64:
    return floatToIntFrom<int64_t>(source);
  default:
    return nullptr;
  }
}
template <typename F> Handler toFloatFrom(Type source) {
  return isFloat(source) ? floatToFloatFrom<F>(source)
                         : intToFloatFrom<F>(source);
}
Handler toFloatFor(Type result, Type source) {
  switch (result) {
  case Type::F16:
    return toFloatFrom<F16>(source);
  case Type::BF16:
    return toFloatFrom<BF16>(source);
  case Type::TF32:
    return toFloatFrom<TF32>(source);
  case Type::F32:
    return toFloatFrom<F32>(source);
  case Type::F64:
    return toFloatFrom<F64>(source);
  default:
    return nullptr;
  }
}

/// d = {b in the low half, a in the high half}
template <typename F>
Outcome pack(Warp &warp, const Inst &inst, uint32_t lanes) {
  auto *high = warp.at<uint32_t>(inst.src[0]),
       *low = warp.at<uint32_t>(inst.src[1]);
  auto *to = warp.at<uint32_t>(inst.dst);
  if (std::is_same_v<F, BF16> && inst.flags == 0) { // the hot one
    alignas(64) uint32_t result[32];
    auto round = [](uint32_t x) {
      uint32_t up = (x + 0x7fff + (x >> 16 & 1)) >> 16;
      return (x & 0x7fffffff) > 0x7f800000 ? 0x7fffu : up;
    };
    for (int lane = 0; lane < 32; ++lane)
      result[lane] = round(high[lane]) << 16 | round(low[lane]);
    storeLanes(to, result, lanes);
    return Outcome::Next;
  }
  auto one = [&](uint32_t bits) {
    return static_cast<uint32_t>(
        F::to(shape(inst, bitsAs<float>(bits), F::most), roundingOf(inst)));
  };
  forLanes(lanes, [&](int lane) {
    to[lane] = one(high[lane]) << 16 | one(low[lane]);
  });
  return Outcome::Next;
}

} // namespace

bool decodeConvert(Decoder &d, Opcode &op, Inst &inst) {
  if (op.name() != "cvt")
    return false;
  int rounding = op.takeOneOf({"rn", "rz", "rm", "rp", "rna"});
  int integral = op.takeOneOf({"rni", "rzi", "rmi", "rpi"});
  inst.flags =
      (op.take("sat") ? Saturate : 0) | (op.take("ftz") ? FlushToZero : 0) |
      (op.take("relu") ? Relu : 0) | (op.take("satfinite") ? SatFinite : 0) |
      (integral >= 0 ? ToInteger : 0);
  int mode = rounding >= 0 ? rounding : integral >= 0 ? integral : 0;
  inst.flags |= static_cast<uint32_t>(mode) << RoundingShift;
  Type result = op.takeType(), source = op.takeType();
  if (result == Type::F16x2 || result == Type::BF16x2) {
    if (source != Type::F32 || !d.operandCount(3, 3))
      return d.fail("unsupported type of cvt"), true;
    inst.run = result == Type::F16x2 ? pack<F16> : pack<BF16>;
    inst.src[0] = d.read(d.operand(1), 32);
    inst.src[1] = d.read(d.operand(2), 32);
    inst.dst = d.write(d.operand(0), 32);
    return true;
  }
  if (!d.operandCount(2, 2))
    return true;
  inst.run = isFloat(result)   ? toFloatFor(result, source)
             : isFloat(source) ? toIntFor(result, source)
                               : intToIntFor(result, source);
  if (!inst.run || result == Type::Pred)
    return d.fail("unsupported type of cvt"), true;
  unsigned from, to;
  inst.src[0] = d.readWide(d.operand(1), bitsOf(source), from);
  inst.dst = d.writeWide(d.operand(0), bitsOf(result), to);
  bool floats = (isFloat(source) && from != bitsOf(source)) ||
                (isFloat(result) && to != bitsOf(result));
  if (from < bitsOf(source) || to < bitsOf(result) || floats)
    return d.fail("a register does not fit the types of cvt"), true;
  inst.small = static_cast<uint8_t>(from / 8);
  inst.bytes = static_cast<uint8_t>(to / 8);
  return true;
}

} // namespace filigree::ptx
