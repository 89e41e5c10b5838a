//===- Bits.cpp - bit fields, counts, bytes and truth tables --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Decode.h"
#include "test/lib/ptx-emulator/Lanes.h"

#include <algorithm>
#include <type_traits>

namespace filigree::ptx {

namespace {

struct Popc {
  template <typename T> static uint32_t run(T a) {
    return uint32_t(__builtin_popcountll(a));
  }
};
struct Clz {
  template <typename T> static uint32_t run(T a) {
    return a ? uint32_t(__builtin_clzll(a)) - (64 - 8 * sizeof(T))
             : 8 * sizeof(T);
  }
};
struct Brev {
  template <typename T> static T run(T a) {
    return sizeof(T) == 4 ? T(__builtin_bitreverse32(uint32_t(a)))
                          : T(__builtin_bitreverse64(a));
  }
};
struct Bfind {
  template <typename T> static uint32_t run(T a) {
    if (std::is_signed_v<T> && a < 0)
      a = T(~a);
    return a ? 63 - uint32_t(__builtin_clzll(uint64_t(a))) : ~0u;
  }
};
struct BfindShift {
  template <typename T> static uint32_t run(T a) {
    uint32_t bit = Bfind::run(a);
    return bit == ~0u ? bit : uint32_t(8 * sizeof(T) - 1) - bit;
  }
};

struct Bfe {
  template <typename T> static T run(T a, uint32_t at, uint32_t length) {
    using U = std::make_unsigned_t<T>;
    const uint32_t bits = 8 * sizeof(T);
    at &= 255;
    length &= 255;
    if (length == 0)
      return 0;
    U field = at >= bits ? 0 : U(U(a) >> at);
    if (std::is_signed_v<T>) {
      uint32_t top = std::min(at + length - 1, bits - 1);
      U sign = U(a) >> top & 1;
      uint32_t have = at >= bits ? 0 : std::min(length, bits - at);
      U mask = have >= bits ? U(~U(0)) : U((U(1) << have) - 1);
      return T((field & mask) | (sign ? U(~mask) : U(0)));
    }
    return T(length >= bits ? field : field & ((U(1) << length) - 1));
  }
};
struct Szext {
  template <typename T> static T run(T a, uint32_t n) {
    return n >= 32 ? a : n == 0 ? 0 : Bfe::run(a, 0, n);
  }
};
struct Bmsk {
  static uint32_t run(uint32_t a, uint32_t b) {
    a &= 31;
    b &= 31; // wrap mode is told apart by the handler
    return ((b >= 32 ? 0 : (1u << b)) - 1) << a;
  }
};
struct BmskClamp {
  static uint32_t run(uint32_t a, uint32_t b) {
    uint64_t mask = b >= 32 ? 0xffffffffull : (1ull << b) - 1;
    return a >= 32 ? 0 : uint32_t(mask << a);
  }
};

struct ShfLeft {
  static uint32_t run(uint32_t lo, uint32_t hi, uint32_t n) {
    return n == 0 ? hi : n >= 32 ? lo : hi << n | lo >> (32 - n);
  }
};
struct ShfRight {
  static uint32_t run(uint32_t lo, uint32_t hi, uint32_t n) {
    return n == 0 ? lo : n >= 32 ? hi : hi << (32 - n) | lo >> n;
  }
};
struct ShfLeftWrap {
  static uint32_t run(uint32_t lo, uint32_t hi, uint32_t n) {
    return ShfLeft::run(lo, hi, n & 31);
  }
};
struct ShfRightWrap {
  static uint32_t run(uint32_t lo, uint32_t hi, uint32_t n) {
    return ShfRight::run(lo, hi, n & 31);
  }
};

struct Prmt {
  static uint32_t run(uint32_t a, uint32_t b, uint32_t selector) {
    uint64_t all = uint64_t(b) << 32 | a;
    uint32_t result = 0;
    for (int i = 0; i < 4; ++i) {
      uint32_t pick = selector >> (4 * i) & 15,
               byte = uint32_t(all >> (8 * (pick & 7))) & 255;
      if (pick & 8)
        byte = byte & 128 ? 255 : 0;
      result |= byte << (8 * i);
    }
    return result;
  }
};

Outcome lop3(Warp &warp, const Inst &inst, uint32_t lanes) {
  const uint32_t *a = warp.at<uint32_t>(inst.src[0]),
                 *b = warp.at<uint32_t>(inst.src[1]),
                 *c = warp.at<uint32_t>(inst.src[2]);
  alignas(64) uint32_t result[32] = {};
  for (int i = 0; i < 8; ++i)
    if (inst.imm >> i & 1)
      for (int lane = 0; lane < 32; ++lane)
        result[lane] |= (i & 4 ? a[lane] : ~a[lane]) &
                        (i & 2 ? b[lane] : ~b[lane]) &
                        (i & 1 ? c[lane] : ~c[lane]);
  storeLanes(warp.at<uint32_t>(inst.dst), result, lanes);
  return Outcome::Next;
}

template <typename T>
Outcome bfi(Warp &warp, const Inst &inst, uint32_t lanes) {
  const T *a = warp.at<T>(inst.src[0]), *b = warp.at<T>(inst.src[1]);
  const uint32_t *at = warp.at<uint32_t>(inst.src[2]),
                 *length = warp.at<uint32_t>(inst.src[3]);
  forLanes(lanes, [&](int lane) {
    const uint32_t bits = 8 * sizeof(T);
    uint32_t from = at[lane] & 255, count = length[lane] & 255;
    T mask = count >= bits ? T(~T(0)) : T((T(1) << count) - 1);
    mask = from >= bits ? T(0) : T(mask << from);
    T field = from >= bits ? T(0) : T(a[lane] << from);
    warp.at<T>(inst.dst)[lane] = T((b[lane] & ~mask) | (field & mask));
  });
  return Outcome::Next;
}

/// Operands 1... of one width each.
void sources(Decoder &d, Inst &inst, std::initializer_list<unsigned> bits) {
  size_t i = 0;
  for (unsigned width : bits) {
    inst.src[i] = d.read(d.operand(i + 1), width);
    ++i;
  }
}

} // namespace

bool decodeBits(Decoder &d, Opcode &op, Inst &inst) {
  const std::string &name = op.name();
  bool wide;
  if (name == "popc" || name == "clz" || name == "brev" || name == "bfind") {
    bool shiftAmount = op.take("shiftamt");
    Type type = op.takeType();
    wide = bitsOf(type) == 64;
    if (!d.operandCount(2, 2))
      return true;
    if (name == "popc")
      inst.run = wide ? unaryLanes<Popc, uint32_t, uint64_t>
                      : unaryLanes<Popc, uint32_t, uint32_t>;
    else if (name == "clz")
      inst.run = wide ? unaryLanes<Clz, uint32_t, uint64_t>
                      : unaryLanes<Clz, uint32_t, uint32_t>;
    else if (name == "brev")
      inst.run = wide ? unaryLanes<Brev, uint64_t, uint64_t>
                      : unaryLanes<Brev, uint32_t, uint32_t>;
    else if (shiftAmount)
      inst.run = isSigned(type)
                     ? (wide ? unaryLanes<BfindShift, uint32_t, int64_t>
                             : unaryLanes<BfindShift, uint32_t, int32_t>)
                     : (wide ? unaryLanes<BfindShift, uint32_t, uint64_t>
                             : unaryLanes<BfindShift, uint32_t, uint32_t>);
    else
      inst.run = isSigned(type)
                     ? (wide ? unaryLanes<Bfind, uint32_t, int64_t>
                             : unaryLanes<Bfind, uint32_t, int32_t>)
                     : (wide ? unaryLanes<Bfind, uint32_t, uint64_t>
                             : unaryLanes<Bfind, uint32_t, uint32_t>);
    inst.src[0] = d.read(d.operand(1), bitsOf(type));
    inst.dst = d.write(d.operand(0), name == "brev" ? bitsOf(type) : 32);
    return true;
  }
  if (name == "bfe") {
    Type type = op.takeType();
    wide = bitsOf(type) == 64;
    if (!d.operandCount(4, 4))
      return true;
    inst.run =
        isSigned(type)
            ? (wide ? ternaryLanes<Bfe, int64_t, int64_t, uint32_t, uint32_t>
                    : ternaryLanes<Bfe, int32_t, int32_t, uint32_t, uint32_t>)
            : (wide
                   ? ternaryLanes<Bfe, uint64_t, uint64_t, uint32_t, uint32_t>
                   : ternaryLanes<Bfe, uint32_t, uint32_t, uint32_t, uint32_t>);
    sources(d, inst, {bitsOf(type), 32, 32});
    inst.dst = d.write(d.operand(0), bitsOf(type));
    return true;
  }
  if (name == "bfi") {
    unsigned bits = bitsOf(op.takeType());
    if (!d.operandCount(5, 5))
      return true;
    inst.run = bits == 64 ? bfi<uint64_t> : bfi<uint32_t>;
    sources(d, inst, {bits, bits, 32, 32});
    inst.dst = d.write(d.operand(0), bits);
    return true;
  }
  if (name == "szext" || name == "bmsk") {
    bool wrap = op.takeOneOf({"clamp", "wrap"}) == 1;
    Type type = op.takeType();
    if (!d.operandCount(3, 3) || (wrap && name == "szext"))
      return d.fail("unsupported form of `" + name + "`"), true;
    if (name == "bmsk")
      inst.run = wrap ? binaryLanes<Bmsk, uint32_t, uint32_t>
                      : binaryLanes<BmskClamp, uint32_t, uint32_t>;
    else
      inst.run = isSigned(type)
                     ? binaryLanes<Szext, int32_t, int32_t, uint32_t>
                     : binaryLanes<Szext, uint32_t, uint32_t, uint32_t>;
    sources(d, inst, {32, 32});
    inst.dst = d.write(d.operand(0), 32);
    return true;
  }
  if (name == "shf") {
    bool left = op.takeOneOf({"l", "r"}) == 0,
         wrap = op.takeOneOf({"clamp", "wrap"}) == 1;
    op.takeType();
    if (!d.operandCount(4, 4))
      return true;
    inst.run = left ? (wrap ? ternaryLanes<ShfLeftWrap, uint32_t, uint32_t>
                            : ternaryLanes<ShfLeft, uint32_t, uint32_t>)
                    : (wrap ? ternaryLanes<ShfRightWrap, uint32_t, uint32_t>
                            : ternaryLanes<ShfRight, uint32_t, uint32_t>);
    sources(d, inst, {32, 32, 32});
    inst.dst = d.write(d.operand(0), 32);
    return true;
  }
  if (name == "prmt") {
    op.takeType();
    if (!d.operandCount(4, 4))
      return true;
    inst.run = ternaryLanes<Prmt, uint32_t, uint32_t>;
    sources(d, inst, {32, 32, 32});
    inst.dst = d.write(d.operand(0), 32);
    return true;
  }
  if (name == "lop3") {
    op.takeType();
    if (!d.operandCount(5, 5) || !d.constant(d.operand(4), inst.imm))
      return true;
    inst.run = lop3;
    sources(d, inst, {32, 32, 32});
    inst.dst = d.write(d.operand(0), 32);
    return true;
  }
  return false;
}

} // namespace filigree::ptx
