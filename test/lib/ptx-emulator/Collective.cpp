//===- Collective.cpp - instructions of the lanes of one warp -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The scheduler runs these once every member of the mask has arrived. They
// exchange registers and, bar.warp.sync apart, order no memory.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Decode.h"
#include "test/lib/ptx-emulator/Lanes.h"

namespace filigree::ptx {

namespace {

enum Shuffle { Up, Down, Butterfly, Index };

Outcome shuffle(Warp &warp, const Inst &inst, uint32_t lanes) {
  const uint32_t *a = warp.at<uint32_t>(inst.src[0]),
                 *b = warp.at<uint32_t>(inst.src[1]),
                 *c = warp.at<uint32_t>(inst.src[2]);
  uint32_t result[32] = {}, found = 0;
  forLanes(lanes, [&](int lane) {
    uint32_t self = static_cast<uint32_t>(lane), by = b[lane] & 31;
    uint32_t segment = c[lane] >> 8 & 31, clamp = c[lane] & 31;
    uint32_t most = (self & segment) | (clamp & ~segment),
             least = self & segment;
    uint32_t from;
    bool inside;
    switch (inst.small) {
    case Up:
      from = self - by;
      inside = static_cast<int32_t>(from) >= static_cast<int32_t>(most);
      break;
    case Down:
      from = self + by;
      inside = from <= most;
      break;
    case Butterfly:
      from = self ^ by;
      inside = from <= most;
      break;
    default:
      from = least | (by & ~segment);
      inside = from <= most;
    }
    if (!inside)
      from = self;
    if (!(lanes >> from & 1))
      warp.cta.report(Kind::Divergence, warp.cta.pcOf(inst), warp.thread(lane),
                      0,
                      text("thread %d reads lane %u, which does not take part",
                           warp.thread(lane), from));
    result[lane] = a[from];
    found |= static_cast<uint32_t>(inside) << lane;
  });
  storeLanes(warp.at<uint32_t>(inst.dst), result, lanes);
  if (inst.src[3] != noSlot) {
    uint32_t &p = warp.pred(inst.src[3]);
    p = (p & ~lanes) | found;
  }
  return Outcome::Next;
}

enum Vote { Any, All, Uniform, Ballot };

Outcome vote(Warp &warp, const Inst &inst, uint32_t lanes) {
  uint32_t value = warp.pred(inst.src[0]) ^ (inst.flags ? ~0u : 0),
           yes = value & lanes;
  if (inst.small == Ballot) {
    forLanes(lanes, [&](int lane) { warp.at<uint32_t>(inst.dst)[lane] = yes; });
    return Outcome::Next;
  }
  bool result = inst.small == Any   ? yes != 0
                : inst.small == All ? yes == lanes
                                    : yes == lanes || yes == 0;
  uint32_t &into = warp.pred(inst.dst);
  into = result ? into | lanes : into & ~lanes;
  return Outcome::Next;
}

template <typename T>
Outcome match(Warp &warp, const Inst &inst, uint32_t lanes) {
  const T *a = warp.at<T>(inst.src[0]);
  uint32_t result[32] = {}, all = 0;
  forLanes(lanes, [&](int lane) {
    uint32_t same = 0;
    forLanes(lanes, [&](int other) {
      same |= static_cast<uint32_t>(a[other] == a[lane]) << other;
    });
    bool everybody = same == lanes;
    result[lane] = inst.small == All ? (everybody ? lanes : 0) : same;
    all |= static_cast<uint32_t>(everybody) << lane;
  });
  storeLanes(warp.at<uint32_t>(inst.dst), result, lanes);
  if (inst.src[3] != noSlot) {
    uint32_t &p = warp.pred(inst.src[3]);
    p = (p & ~lanes) | all;
  }
  return Outcome::Next;
}

Outcome reduce(Warp &warp, const Inst &inst, uint32_t lanes) {
  const uint32_t *a = warp.at<uint32_t>(inst.src[0]);
  bool first = true;
  uint32_t sum = 0;
  forLanes(lanes, [&](int lane) {
    uint32_t x = a[lane];
    auto less = [&](uint32_t p, uint32_t q) {
      return inst.flags ? static_cast<int32_t>(p) < static_cast<int32_t>(q)
                        : p < q;
    };
    if (first)
      sum = x;
    else
      switch (inst.small) {
      case 0:
        sum += x;
        break;
      case 1:
        sum = less(x, sum) ? x : sum;
        break;
      case 2:
        sum = less(sum, x) ? x : sum;
        break;
      case 3:
        sum &= x;
        break;
      case 4:
        sum |= x;
        break;
      default:
        sum ^= x;
      }
    first = false;
  });
  forLanes(lanes, [&](int lane) { warp.at<uint32_t>(inst.dst)[lane] = sum; });
  return Outcome::Next;
}

Outcome elect(Warp &warp, const Inst &inst, uint32_t lanes) {
  auto leader = static_cast<uint32_t>(__builtin_ctz(lanes));
  forLanes(lanes,
           [&](int lane) { warp.at<uint32_t>(inst.dst)[lane] = leader; });
  uint32_t &p = warp.pred(inst.src[3]);
  p = (p & ~lanes) | 1u << leader;
  return Outcome::Next;
}

Outcome activeMask(Warp &warp, const Inst &inst, uint32_t lanes) {
  forLanes(lanes, [&](int lane) { warp.at<uint32_t>(inst.dst)[lane] = lanes; });
  return Outcome::Next;
}

Outcome syncWarp(Warp &warp, const Inst &, uint32_t lanes) {
  if (!warp.cta.shadow)
    return Outcome::Next;
  Clocks all;
  warp.cta.release(warp, lanes, all);
  warp.cta.acquire(warp, lanes, all);
  return Outcome::Next;
}

} // namespace

bool decodeCollective(Decoder &d, Opcode &op, Inst &inst) {
  const std::string &name = op.name();
  auto pairOrOne = [&](unsigned bits, bool needsPair) {
    const Operand &to = d.operand(0);
    if (to.kind == Operand::Pair) {
      inst.dst = d.write(to.parts[0], bits);
      inst.src[3] = d.write(to.parts[1], 1);
    } else if (needsPair) {
      d.fail("expected two destinations");
    } else {
      inst.dst = d.write(to, bits);
    }
  };
  auto members = [&](size_t i) {
    op.take("sync");
    inst.converge = Converge::Mask;
    inst.members = d.read(d.operand(i), 32);
  };
  if (name == "shfl") {
    int mode = op.takeOneOf({"up", "down", "bfly", "idx"});
    if (bitsOf(op.takeType()) != 32 || mode < 0 || !d.operandCount(5, 5))
      return d.fail("unsupported form of shfl"), true;
    inst.small = static_cast<uint8_t>(mode);
    for (size_t i = 0; i < 3; ++i)
      inst.src[i] = d.read(d.operand(i + 1), 32);
    members(4);
    pairOrOne(32, false);
    inst.run = shuffle;
    return true;
  }
  if (name == "vote") {
    int mode = op.takeOneOf({"any", "all", "uni", "ballot"});
    op.takeType();
    if (mode < 0 || !d.operandCount(3, 3))
      return d.fail("unsupported form of vote"), true;
    inst.small = static_cast<uint8_t>(mode);
    Operand value = d.operand(1);
    inst.flags = value.negated;
    value.negated = false;
    inst.src[0] = d.readPred(value);
    members(2);
    inst.dst = d.write(d.operand(0), mode == Ballot ? 32 : 1);
    inst.run = vote;
    return true;
  }
  if (name == "match") {
    int mode = op.takeOneOf({"any", "all"});
    unsigned bits = bitsOf(op.takeType());
    if (mode < 0 || !d.operandCount(3, 3))
      return d.fail("unsupported form of match"), true;
    inst.small = static_cast<uint8_t>(mode);
    inst.src[0] = d.read(d.operand(1), bits);
    members(2);
    pairOrOne(32, false);
    inst.run = bits == 64 ? match<uint64_t> : match<uint32_t>;
    return true;
  }
  if (name == "redux") {
    int mode = op.takeOneOf({"add", "min", "max", "and", "or", "xor"});
    Type type = op.takeType();
    if (mode < 0 || bitsOf(type) != 32 || isFloat(type) ||
        !d.operandCount(3, 3))
      return d.fail("unsupported form of redux"), true;
    inst.small = static_cast<uint8_t>(mode);
    inst.flags = isSigned(type);
    inst.src[0] = d.read(d.operand(1), 32);
    members(2);
    inst.dst = d.write(d.operand(0), 32);
    inst.run = reduce;
    return true;
  }
  if (name == "elect") {
    if (!d.operandCount(2, 2))
      return true;
    members(1);
    pairOrOne(32, true);
    inst.run = elect;
    return true;
  }
  if (name == "activemask") {
    op.takeType();
    inst.dst = d.write(d.operand(0), 32);
    inst.run = activeMask;
    return true;
  }
  if (name == "bar") {
    Opcode ahead = op;
    if (!ahead.take("warp"))
      return false;
    op.take("warp");
    if (!d.operandCount(1, 1))
      return true;
    members(0);
    inst.run = syncWarp;
    return true;
  }
  return false;
}

} // namespace filigree::ptx
