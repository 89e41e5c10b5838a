//===- Compare.cpp - setp, set, selp and slct -----------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Decode.h"
#include "test/lib/ptx-emulator/Float16.h"
#include "test/lib/ptx-emulator/Lanes.h"

namespace filigree::ptx {

namespace {

struct Eq {
  template <typename T> static bool run(T a, T b) { return a == b; }
};
struct Ne {
  template <typename T> static bool run(T a, T b) { return a < b || a > b; }
};
struct Lt {
  template <typename T> static bool run(T a, T b) { return a < b; }
};
struct Le {
  template <typename T> static bool run(T a, T b) { return a <= b; }
};
struct Gt {
  template <typename T> static bool run(T a, T b) { return a > b; }
};
struct Ge {
  template <typename T> static bool run(T a, T b) { return a >= b; }
};
// Unordered forms are true if an operand is NaN.
struct Equ {
  template <typename T> static bool run(T a, T b) { return !Ne::run(a, b); }
};
struct Neu {
  template <typename T> static bool run(T a, T b) { return !(a == b); }
};
struct Ltu {
  template <typename T> static bool run(T a, T b) { return !(a >= b); }
};
struct Leu {
  template <typename T> static bool run(T a, T b) { return !(a > b); }
};
struct Gtu {
  template <typename T> static bool run(T a, T b) { return !(a <= b); }
};
struct Geu {
  template <typename T> static bool run(T a, T b) { return !(a < b); }
};
struct Num {
  template <typename T> static bool run(T a, T b) { return a == a && b == b; }
};
struct Nan {
  template <typename T> static bool run(T a, T b) { return a != a || b != b; }
};

struct Plain {
  template <typename T> static T from(T x) { return x; }
};
struct Flushed {
  static float from(float x) { return std::fabs(x) < 0x1p-126f ? 0.0f : x; }
};
struct Half {
  static float from(uint16_t x) { return fromHalf(x); }
};
struct BFloat {
  static float from(uint16_t x) { return fromBFloat(x); }
};

enum Combine {
  CombineNone,
  CombineAnd,
  CombineOr,
  CombineXor,
  NegateCombined = 4,
  SetInteger = 8,
  SetFloat = 16
};

/// setp p[|q], a, b[, c]: p = (a op b) bool c, q = !(a op b) bool c.
template <typename Op, typename T, typename As>
Outcome compare(Warp &warp, const Inst &inst, uint32_t lanes) {
  const T *a = warp.at<T>(inst.src[0]), *b = warp.at<T>(inst.src[1]);
  uint32_t result = 0;
  for (int lane = 0; lane < 32; ++lane)
    result |=
        static_cast<uint32_t>(Op::run(As::from(a[lane]), As::from(b[lane])))
        << lane;
  uint32_t other = ~result;
  if (inst.flags & 3) {
    uint32_t with =
        warp.pred(inst.src[2]) ^ (inst.flags & NegateCombined ? ~0u : 0);
    auto combine = [&](uint32_t value) {
      return (inst.flags & 3) == CombineAnd  ? value & with
             : (inst.flags & 3) == CombineOr ? value | with
                                             : value ^ with;
    };
    result = combine(result);
    other = combine(other);
  }
  if (inst.flags & (SetInteger | SetFloat)) {
    uint32_t one = inst.flags & SetFloat ? 0x3f800000 : ~0u;
    forLanes(lanes, [&](int lane) {
      warp.at<uint32_t>(inst.dst)[lane] = result >> lane & 1 ? one : 0;
    });
    return Outcome::Next;
  }
  uint32_t &into = warp.pred(inst.dst);
  into = (into & ~lanes) | (result & lanes);
  if (inst.src[3] != noSlot) {
    uint32_t &second = warp.pred(inst.src[3]);
    second = (second & ~lanes) | (other & lanes);
  }
  return Outcome::Next;
}

template <typename Op> Handler typed(Type type, bool ftz) {
  switch (type) {
  case Type::B16:
  case Type::U16:
    return compare<Op, uint16_t, Plain>;
  case Type::B32:
  case Type::U32:
    return compare<Op, uint32_t, Plain>;
  case Type::B64:
  case Type::U64:
    return compare<Op, uint64_t, Plain>;
  case Type::S16:
    return compare<Op, int16_t, Plain>;
  case Type::S32:
    return compare<Op, int32_t, Plain>;
  case Type::S64:
    return compare<Op, int64_t, Plain>;
  case Type::F16:
    return compare<Op, uint16_t, Half>;
  case Type::BF16:
    return compare<Op, uint16_t, BFloat>;
  case Type::F32:
    return ftz ? compare<Op, float, Flushed> : compare<Op, float, Plain>;
  case Type::F64:
    return compare<Op, double, Plain>;
  default:
    return nullptr;
  }
}

Handler comparison(Opcode &op, Type type, bool ftz) {
  // lo, ls, hi and hs are the unsigned orders.
  switch (op.takeOneOf({"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu",
                        "leu", "gtu", "geu", "num", "nan", "lo", "ls", "hi",
                        "hs"})) {
  case 0:
    return typed<Eq>(type, ftz);
  case 1:
    return typed<Ne>(type, ftz);
  case 2:
  case 14:
    return typed<Lt>(type, ftz);
  case 3:
  case 15:
    return typed<Le>(type, ftz);
  case 4:
  case 16:
    return typed<Gt>(type, ftz);
  case 5:
  case 17:
    return typed<Ge>(type, ftz);
  case 6:
    return typed<Equ>(type, ftz);
  case 7:
    return typed<Neu>(type, ftz);
  case 8:
    return typed<Ltu>(type, ftz);
  case 9:
    return typed<Leu>(type, ftz);
  case 10:
    return typed<Gtu>(type, ftz);
  case 11:
    return typed<Geu>(type, ftz);
  case 12:
    return typed<Num>(type, ftz);
  case 13:
    return typed<Nan>(type, ftz);
  default:
    return nullptr;
  }
}

template <typename T>
Outcome select(Warp &warp, const Inst &inst, uint32_t lanes) {
  const T *a = warp.at<T>(inst.src[0]), *b = warp.at<T>(inst.src[1]);
  uint32_t which = warp.pred(inst.src[2]) ^ (inst.flags ? ~0u : 0);
  alignas(64) T result[32];
  for (int lane = 0; lane < 32; ++lane)
    result[lane] = which >> lane & 1 ? a[lane] : b[lane];
  storeLanes(warp.at<T>(inst.dst), result, lanes);
  return Outcome::Next;
}

Outcome selectPred(Warp &warp, const Inst &inst, uint32_t lanes) {
  uint32_t which = warp.pred(inst.src[2]);
  uint32_t result =
      (warp.pred(inst.src[0]) & which) | (warp.pred(inst.src[1]) & ~which);
  uint32_t &into = warp.pred(inst.dst);
  into = (into & ~lanes) | (result & lanes);
  return Outcome::Next;
}

template <typename T, typename C>
Outcome selectBySign(Warp &warp, const Inst &inst, uint32_t lanes) {
  forLanes(lanes, [&](int lane) {
    warp.at<T>(inst.dst)[lane] =
        warp.at<T>(inst.src[warp.at<C>(inst.src[2])[lane] >= 0 ? 0 : 1])[lane];
  });
  return Outcome::Next;
}

} // namespace

bool decodeCompare(Decoder &d, Opcode &op, Inst &inst) {
  const std::string &name = op.name();
  if (name == "selp") {
    Type type = op.takeType();
    unsigned bits = bitsOf(type);
    if (!d.operandCount(4, 4))
      return true;
    inst.run = bits == 16   ? select<uint16_t>
               : bits == 32 ? select<uint32_t>
               : bits == 64 ? select<uint64_t>
               : bits == 1  ? selectPred
                            : nullptr;
    if (!inst.run)
      return d.fail("unsupported type of selp"), true;
    Operand which = d.operand(3);
    inst.flags = which.negated;
    which.negated = false;
    inst.src[0] = d.read(d.operand(1), bits);
    inst.src[1] = d.read(d.operand(2), bits);
    inst.src[2] = d.readPred(which);
    inst.dst = d.write(d.operand(0), bits);
    return true;
  }
  if (name == "slct") {
    op.take("ftz");
    unsigned bits = bitsOf(op.takeType());
    Type by = op.takeType();
    if (!d.operandCount(4, 4))
      return true;
    if (by == Type::S32)
      inst.run = bits == 64   ? selectBySign<uint64_t, int32_t>
                 : bits == 32 ? selectBySign<uint32_t, int32_t>
                              : nullptr;
    else if (by == Type::F32)
      inst.run = bits == 64   ? selectBySign<uint64_t, float>
                 : bits == 32 ? selectBySign<uint32_t, float>
                              : nullptr;
    if (!inst.run)
      return d.fail("unsupported type of slct"), true;
    inst.src[0] = d.read(d.operand(1), bits);
    inst.src[1] = d.read(d.operand(2), bits);
    inst.src[2] = d.read(d.operand(3), 32);
    inst.dst = d.write(d.operand(0), bits);
    return true;
  }
  if (name != "setp" && name != "set")
    return false;
  Type result = name == "set" ? op.takeType() : Type::Pred;
  Type type = op.takeType();
  bool ftz = op.take("ftz");
  inst.run = comparison(op, type, ftz);
  if (!inst.run)
    return d.fail("unsupported comparison"), true;
  inst.flags = static_cast<uint32_t>(op.takeOneOf({"and", "or", "xor"}) + 1);
  size_t count = inst.flags ? 4 : 3;
  if (!d.operandCount(count, count))
    return true;
  inst.src[0] = d.read(d.operand(1), bitsOf(type));
  inst.src[1] = d.read(d.operand(2), bitsOf(type));
  if (inst.flags) {
    Operand with = d.operand(3);
    if (with.negated)
      inst.flags |= NegateCombined;
    with.negated = false;
    inst.src[2] = d.readPred(with);
  }
  if (name == "set") {
    if (bitsOf(result) != 32)
      return d.fail("unsupported type of set"), true;
    inst.flags |= result == Type::F32 ? SetFloat : SetInteger;
    inst.dst = d.write(d.operand(0), 32);
  } else if (d.operand(0).kind == Operand::Pair) {
    inst.dst = d.write(d.operand(0).parts[0], 1);
    inst.src[3] = d.write(d.operand(0).parts[1], 1);
  } else {
    inst.dst = d.write(d.operand(0), 1);
  }
  return true;
}

} // namespace filigree::ptx
