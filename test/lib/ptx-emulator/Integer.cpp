//===- Integer.cpp - integer arithmetic, logic and shifts -----------------===//
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

// Sums and products wrap: done unsigned, and no narrower than int.
template <typename T>
using Wrap = std::common_type_t<std::make_unsigned_t<T>, unsigned>;
template <typename T>
using Double = std::conditional_t<
    sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
    std::conditional_t<
        sizeof(T) == 4,
        std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
        std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;

struct Add {
  template <typename T> static T run(T a, T b) {
    return T(Wrap<T>(a) + Wrap<T>(b));
  }
};
struct Sub {
  template <typename T> static T run(T a, T b) {
    return T(Wrap<T>(a) - Wrap<T>(b));
  }
};
struct Mul {
  template <typename T> static T run(T a, T b) {
    return T(Wrap<T>(a) * Wrap<T>(b));
  }
};
struct MulHi {
  template <typename T> static T run(T a, T b) {
    return T((Double<T>(a) * Double<T>(b)) >> (8 * sizeof(T)));
  }
};
struct MulWide {
  template <typename T> static Double<T> run(T a, T b) {
    return Double<T>(a) * Double<T>(b);
  }
};
struct Mad {
  template <typename T> static T run(T a, T b, T c) {
    return T(Wrap<T>(a) * Wrap<T>(b) + Wrap<T>(c));
  }
};
struct MadHi {
  template <typename T> static T run(T a, T b, T c) {
    return T(Wrap<T>(MulHi::run(a, b)) + Wrap<T>(c));
  }
};
struct MadWide {
  template <typename T> static Double<T> run(T a, T b, Double<T> c) {
    return Add::run(Double<T>(Double<T>(a) * Double<T>(b)), c);
  }
};
struct Min {
  template <typename T> static T run(T a, T b) { return std::min(a, b); }
};
struct Max {
  template <typename T> static T run(T a, T b) { return std::max(a, b); }
};
struct Abs {
  template <typename T> static T run(T a) {
    return a < 0 ? T(0 - Wrap<T>(a)) : a;
  }
};
struct Neg {
  template <typename T> static T run(T a) { return T(0 - Wrap<T>(a)); }
};
// By zero: all bits set, as the machine leaves it; min / -1 wraps.
struct Div {
  template <typename T> static T run(T a, T b) {
    if (b == 0)
      return T(~T(0));
    if (std::is_signed_v<T> && b == T(-1))
      return T(0 - Wrap<T>(a));
    return T(a / b);
  }
};
struct Rem {
  template <typename T> static T run(T a, T b) {
    if (b == 0)
      return a;
    if (std::is_signed_v<T> && b == T(-1))
      return 0;
    return T(a % b);
  }
};
struct AddSat {
  static int32_t run(int32_t a, int32_t b) {
    return int32_t(std::clamp<int64_t>(int64_t(a) + b, INT32_MIN, INT32_MAX));
  }
};
struct SubSat {
  static int32_t run(int32_t a, int32_t b) {
    return int32_t(std::clamp<int64_t>(int64_t(a) - b, INT32_MIN, INT32_MAX));
  }
};
struct Sad {
  template <typename T> static T run(T a, T b, T c) {
    return T(Wrap<T>(c) +
             (a < b ? Wrap<T>(b) - Wrap<T>(a) : Wrap<T>(a) - Wrap<T>(b)));
  }
};

struct Dp4a {
  static int32_t run(int32_t a, int32_t b, int32_t c) {
    for (int i = 0; i < 4; ++i)
      c += int8_t(a >> (8 * i)) * int8_t(b >> (8 * i));
    return c;
  }
};

struct And {
  template <typename T> static T run(T a, T b) { return a & b; }
};
struct Or {
  template <typename T> static T run(T a, T b) { return a | b; }
};
struct Xor {
  template <typename T> static T run(T a, T b) { return a ^ b; }
};
struct Not {
  template <typename T> static T run(T a) { return T(~a); }
};
struct CNot {
  template <typename T> static T run(T a) { return a == 0; }
};
struct Shl {
  template <typename T> static T run(T a, uint32_t n) {
    return n >= 8 * sizeof(T) ? T(0) : T(a << n);
  }
};
struct Shr {
  template <typename T> static T run(T a, uint32_t n) {
    return T(a >> std::min<uint32_t>(n, 8 * sizeof(T) - 1)) *
           T(std::is_signed_v<T> || n < 8 * sizeof(T));
  }
};

enum Carry { UsesCarry = 1, SetsCarry = 2, Subtracts = 4 };

/// add/sub with the carry flag in a hidden predicate, src[3].
template <typename T>
Outcome carried(Warp &warp, const Inst &inst, uint32_t lanes) {
  uint32_t &carry = warp.pred(inst.src[3]);
  forLanes(lanes, [&](int lane) {
    uint64_t a = warp.at<T>(inst.src[0])[lane],
             b = warp.at<T>(inst.src[1])[lane];
    unsigned __int128 in = inst.flags & UsesCarry ? carry >> lane & 1 : 0, sum;
    if (inst.flags & Subtracts)
      sum = static_cast<unsigned __int128>(a) - b - in;
    else
      sum = static_cast<unsigned __int128>(a) + b + in;
    warp.at<T>(inst.dst)[lane] = static_cast<T>(sum);
    if (inst.flags & SetsCarry)
      carry = (carry & ~(1u << lane)) | uint32_t(sum >> (8 * sizeof(T)) & 1)
                                            << lane;
  });
  return Outcome::Next;
}

template <typename Op>
Outcome predicates(Warp &warp, const Inst &inst, uint32_t lanes) {
  uint32_t value = Op::run(warp.pred(inst.src[0]), warp.pred(inst.src[1]));
  uint32_t &into = warp.pred(inst.dst);
  into = (into & ~lanes) | (value & lanes);
  return Outcome::Next;
}
struct AndNot {
  static uint32_t run(uint32_t a, uint32_t) { return ~a; }
};

template <typename Op> Handler unaryFor(Type type) {
  switch (type) {
  case Type::B16:
  case Type::U16:
    return unaryLanes<Op, uint16_t, uint16_t>;
  case Type::B32:
  case Type::U32:
    return unaryLanes<Op, uint32_t, uint32_t>;
  case Type::B64:
  case Type::U64:
    return unaryLanes<Op, uint64_t, uint64_t>;
  case Type::S16:
    return unaryLanes<Op, int16_t, int16_t>;
  case Type::S32:
    return unaryLanes<Op, int32_t, int32_t>;
  case Type::S64:
    return unaryLanes<Op, int64_t, int64_t>;
  default:
    return nullptr;
  }
}
template <typename Op> Handler binaryFor(Type type) {
  switch (type) {
  case Type::B16:
  case Type::U16:
    return binaryLanes<Op, uint16_t, uint16_t>;
  case Type::B32:
  case Type::U32:
    return binaryLanes<Op, uint32_t, uint32_t>;
  case Type::B64:
  case Type::U64:
    return binaryLanes<Op, uint64_t, uint64_t>;
  case Type::S16:
    return binaryLanes<Op, int16_t, int16_t>;
  case Type::S32:
    return binaryLanes<Op, int32_t, int32_t>;
  case Type::S64:
    return binaryLanes<Op, int64_t, int64_t>;
  default:
    return nullptr;
  }
}
template <typename Op> Handler ternaryFor(Type type) {
  switch (type) {
  case Type::U16:
    return ternaryLanes<Op, uint16_t, uint16_t>;
  case Type::U32:
    return ternaryLanes<Op, uint32_t, uint32_t>;
  case Type::U64:
    return ternaryLanes<Op, uint64_t, uint64_t>;
  case Type::S16:
    return ternaryLanes<Op, int16_t, int16_t>;
  case Type::S32:
    return ternaryLanes<Op, int32_t, int32_t>;
  case Type::S64:
    return ternaryLanes<Op, int64_t, int64_t>;
  default:
    return nullptr;
  }
}
Handler wideFor(Type type) {
  switch (type) {
  case Type::U16:
    return binaryLanes<MulWide, uint32_t, uint16_t>;
  case Type::U32:
    return binaryLanes<MulWide, uint64_t, uint32_t>;
  case Type::S16:
    return binaryLanes<MulWide, int32_t, int16_t>;
  case Type::S32:
    return binaryLanes<MulWide, int64_t, int32_t>;
  default:
    return nullptr;
  }
}
Handler madWideFor(Type type) {
  switch (type) {
  case Type::U16:
    return ternaryLanes<MadWide, uint32_t, uint16_t, uint16_t, uint32_t>;
  case Type::U32:
    return ternaryLanes<MadWide, uint64_t, uint32_t, uint32_t, uint64_t>;
  case Type::S16:
    return ternaryLanes<MadWide, int32_t, int16_t, int16_t, int32_t>;
  case Type::S32:
    return ternaryLanes<MadWide, int64_t, int32_t, int32_t, int64_t>;
  default:
    return nullptr;
  }
}
template <typename Op> Handler shiftFor(Type type) {
  switch (type) {
  case Type::B16:
  case Type::U16:
    return binaryLanes<Op, uint16_t, uint16_t, uint32_t>;
  case Type::B32:
  case Type::U32:
    return binaryLanes<Op, uint32_t, uint32_t, uint32_t>;
  case Type::B64:
  case Type::U64:
    return binaryLanes<Op, uint64_t, uint64_t, uint32_t>;
  case Type::S16:
    return binaryLanes<Op, int16_t, int16_t, uint32_t>;
  case Type::S32:
    return binaryLanes<Op, int32_t, int32_t, uint32_t>;
  case Type::S64:
    return binaryLanes<Op, int64_t, int64_t, uint32_t>;
  default:
    return nullptr;
  }
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

static bool decodeArithmetic(Decoder &d, Opcode &op, Inst &inst);
static bool decodeLogic(Decoder &d, Opcode &op, Inst &inst);

bool decodeInteger(Decoder &d, Opcode &op, Inst &inst) {
  return decodeArithmetic(d, op, inst) || decodeLogic(d, op, inst);
}

static bool decodeArithmetic(Decoder &d, Opcode &op, Inst &inst) {
  static const char *const names[] = {
      "add", "sub", "addc", "subc", "mul", "mad", "mul24", "mad24",
      "div", "rem", "min",  "max",  "abs", "neg", "sad",   "dp4a"};
  if (std::find(std::begin(names), std::end(names), op.name()) ==
      std::end(names))
    return false;
  Opcode ahead = op;
  Type type = ahead.takeType();
  if (type == Type::None || isFloat(type))
    return false; // Float.cpp
  op.takeType();
  unsigned bits = bitsOf(type);
  const std::string &name = op.name();
  size_t count =
      name == "abs" || name == "neg"                                        ? 2
      : name == "mad" || name == "sad" || name == "mad24" || name == "dp4a" ? 4
                                                                            : 3;
  if (!d.operandCount(count, count))
    return true;
  bool carryOut = op.take("cc"), carryIn = name == "addc" || name == "subc";
  if (carryOut || carryIn) {
    inst.run = bits == 64 ? carried<uint64_t> : carried<uint32_t>;
    inst.flags = (carryIn ? UsesCarry : 0) | (carryOut ? SetsCarry : 0) |
                 (name[0] == 's' ? Subtracts : 0);
    sources(d, inst, {bits, bits});
    inst.src[3] = d.carrySlot();
    inst.dst = d.write(d.operand(0), bits);
    return true;
  }
  int part = op.takeOneOf({"lo", "hi", "wide"});
  unsigned resultBits = part == 2 ? 2 * bits : bits;
  if (name == "add")
    inst.run = op.take("sat") ? binaryLanes<AddSat, int32_t, int32_t>
                              : binaryFor<Add>(type);
  else if (name == "sub")
    inst.run = op.take("sat") ? binaryLanes<SubSat, int32_t, int32_t>
                              : binaryFor<Sub>(type);
  else if (name == "mul" || name == "mul24")
    inst.run = part == 2   ? wideFor(type)
               : part == 1 ? binaryFor<MulHi>(type)
                           : binaryFor<Mul>(type);
  else if (name == "mad" || name == "mad24")
    inst.run = part == 2   ? madWideFor(type)
               : part == 1 ? ternaryFor<MadHi>(type)
                           : ternaryFor<Mad>(type);
  else if (name == "div")
    inst.run = binaryFor<Div>(type);
  else if (name == "rem")
    inst.run = binaryFor<Rem>(type);
  else if (name == "min")
    inst.run = binaryFor<Min>(type);
  else if (name == "max")
    inst.run = binaryFor<Max>(type);
  else if (name == "abs" && isSigned(type))
    inst.run = type == Type::S16   ? unaryLanes<Abs, int16_t, int16_t>
               : type == Type::S32 ? unaryLanes<Abs, int32_t, int32_t>
                                   : unaryLanes<Abs, int64_t, int64_t>;
  else if (name == "neg")
    inst.run = unaryFor<Neg>(type);
  else if (name == "sad")
    inst.run = ternaryFor<Sad>(type);
  else if (name == "dp4a" && type == Type::S32 && op.takeType() == Type::S32)
    inst.run = ternaryLanes<Dp4a, int32_t, int32_t>;
  if (!inst.run || (name.size() == 5 && part == 1))
    return d.fail("unsupported type or form of `" + name + "`"), true;
  if (count == 2)
    sources(d, inst, {bits});
  else if (count == 3)
    sources(d, inst, {bits, bits});
  else
    sources(d, inst, {bits, bits, name == "sad" ? bits : resultBits});
  inst.dst = d.write(d.operand(0), resultBits);
  return true;
}

static bool decodeLogic(Decoder &d, Opcode &op, Inst &inst) {
  const std::string &name = op.name();
  if (name != "and" && name != "or" && name != "xor" && name != "not" &&
      name != "cnot" && name != "shl" && name != "shr")
    return false;
  Type type = op.takeType();
  unsigned bits = bitsOf(type);
  bool unary = name == "not" || name == "cnot";
  if (!d.operandCount(unary ? 2 : 3, unary ? 2 : 3))
    return true;
  if (type == Type::Pred) {
    inst.run = name == "and"   ? predicates<And>
               : name == "or"  ? predicates<Or>
               : name == "xor" ? predicates<Xor>
               : name == "not" ? predicates<AndNot>
                               : nullptr;
  } else if (name == "and") {
    inst.run = binaryFor<And>(type);
  } else if (name == "or") {
    inst.run = binaryFor<Or>(type);
  } else if (name == "xor") {
    inst.run = binaryFor<Xor>(type);
  } else if (name == "not") {
    inst.run = unaryFor<Not>(type);
  } else if (name == "cnot") {
    inst.run = unaryFor<CNot>(type);
  } else if (name == "shl") {
    inst.run = shiftFor<Shl>(type);
  } else {
    inst.run = shiftFor<Shr>(type);
  }
  if (!inst.run)
    return d.fail("unsupported type of `" + name + "`"), true;
  inst.src[0] = d.read(d.operand(1), bits);
  if (!unary)
    inst.src[1] = d.read(d.operand(2), name[0] == 's' ? 32 : bits);
  else
    inst.src[1] = inst.src[0];
  inst.dst = d.write(d.operand(0), bits);
  return true;
}

} // namespace filigree::ptx
