//===- Atomic.cpp - atom, red, fences of memory order ---------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Order: an atomic acquires always and releases if it says so, or if its thread
// has executed a memory fence before. That accepts every correct use of fences,
// and some wrong ones.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Float16.h"
#include "test/lib/ptx-emulator/Memory.h"

#include <algorithm>
#include <cstring>

namespace filigree::ptx {

namespace {

enum class AtomicOp : uint8_t {
  Add,
  Inc,
  Dec,
  Min,
  Max,
  And,
  Or,
  Xor,
  Exch,
  Cas
};

template <typename T> T integerResult(AtomicOp op, T old, T b, T c) {
  using U = std::make_unsigned_t<T>;
  switch (op) {
  case AtomicOp::Add:
    return static_cast<T>(static_cast<U>(old) + static_cast<U>(b));
  case AtomicOp::Inc:
    return static_cast<U>(old) >= static_cast<U>(b) ? 0
                                                    : static_cast<T>(old + 1);
  case AtomicOp::Dec:
    return old == 0 || static_cast<U>(old) > static_cast<U>(b)
               ? b
               : static_cast<T>(old - 1);
  case AtomicOp::Min:
    return std::min(old, b);
  case AtomicOp::Max:
    return std::max(old, b);
  case AtomicOp::And:
    return old & b;
  case AtomicOp::Or:
    return old | b;
  case AtomicOp::Xor:
    return old ^ b;
  case AtomicOp::Exch:
    return b;
  case AtomicOp::Cas:
    return old == b ? c : old;
  }
  return old;
}

template <typename F> F floatResult(AtomicOp op, F old, F b) {
  return op == AtomicOp::Add   ? old + b
         : op == AtomicOp::Min ? std::fmin(old, b)
         : op == AtomicOp::Max ? std::fmax(old, b)
                               : b;
}

uint64_t resultOf(AtomicOp op, Type type, uint64_t old, uint64_t b,
                  uint64_t c) {
  auto halves = [&](auto from, auto to) {
    uint64_t result = 0;
    for (unsigned i = 0; i < bitsOf(type) / 16; ++i)
      result |= static_cast<uint64_t>(to(floatResult<double>(
                    op, from(static_cast<uint16_t>(old >> (16 * i))),
                    from(static_cast<uint16_t>(b >> (16 * i))))))
                << (16 * i);
    return result;
  };
  switch (type) {
  case Type::S32:
    return static_cast<uint32_t>(
        integerResult<int32_t>(op, int32_t(old), int32_t(b), int32_t(c)));
  case Type::S64:
    return static_cast<uint64_t>(
        integerResult<int64_t>(op, int64_t(old), int64_t(b), int64_t(c)));
  case Type::B16:
    return static_cast<uint16_t>(
        integerResult<uint16_t>(op, uint16_t(old), uint16_t(b), uint16_t(c)));
  case Type::U64:
  case Type::B64:
    return integerResult<uint64_t>(op, old, b, c);
  case Type::F32:
    return bitsAs<uint32_t>(floatResult(op, bitsAs<float>(uint32_t(old)),
                                        bitsAs<float>(uint32_t(b))));
  case Type::F64:
    return bitsAs<uint64_t>(
        floatResult(op, bitsAs<double>(old), bitsAs<double>(b)));
  case Type::F16:
  case Type::F16x2:
    return halves([](uint16_t x) { return fromHalf(x); },
                  [](double x) { return toHalf(x); });
  case Type::BF16:
  case Type::BF16x2:
    return halves([](uint16_t x) { return fromBFloat(x); },
                  [](double x) { return toBFloat(x); });
  default:
    return integerResult<uint32_t>(op, uint32_t(old), uint32_t(b), uint32_t(c));
  }
}

Outcome atomic(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst);
  unsigned bytes = inst.bytes;
  auto type = static_cast<Type>(inst.small);
  auto op = static_cast<AtomicOp>(inst.count);
  forLanes(lanes, [&](int lane) {
    uint64_t address =
        baseOf(warp, inst, lane) + static_cast<uint64_t>(inst.imm);
    if (!(inst.flags & wideAddress))
      address = static_cast<uint32_t>(address);
    bool release = inst.flags & flagRelease || warp.memoryFence >> lane & 1;
    synchronise(warp, lane, syncKey(inst.space, address), true, release);
    uint8_t *memory =
        access(warp, lane, pc, inst.space, address, bytes, Use::Both, true);
    if (!memory)
      return;
    uint64_t old = 0, b = 0, c = 0;
    memcpy(&old, memory, bytes);
    memcpy(&b, warp.registers + inst.src[1] + lane * bytes, bytes);
    if (inst.src[2] != noSlot)
      memcpy(&c, warp.registers + inst.src[2] + lane * bytes, bytes);
    uint64_t value = resultOf(op, type, old, b, c);
    memcpy(memory, &value, bytes);
    if (inst.dst != noSlot)
      memcpy(warp.registers + inst.dst + lane * bytes, &old, bytes);
  });
  warp.yield = true;
  return Outcome::Next;
}

Outcome memoryFence(Warp &warp, const Inst &, uint32_t lanes) {
  warp.memoryFence |= lanes;
  return Outcome::Next;
}

Outcome proxyFence(Warp &warp, const Inst &, uint32_t lanes) {
  Cta &cta = warp.cta;
  const Clocks *before = nullptr;
  ClockRef after;
  forLanes(lanes, [&](int lane) {
    warp.ownFence[lane] = warp.initFence[lane] = warp.clock;
    if (cta.launch.options.proxyRule == ProxyRule::Writer)
      return;
    if (warp.clocks[lane].get() != before) {
      before = warp.clocks[lane].get();
      auto fenced = std::make_shared<Clocks>(*before);
      fenced->fenced = fenced->seen;
      after = fenced;
    }
    warp.clocks[lane] = after;
  });
  ++warp.clock;
  return Outcome::Next;
}

Outcome initFence(Warp &warp, const Inst &, uint32_t lanes) {
  forLanes(lanes, [&](int lane) { warp.initFence[lane] = warp.clock; });
  ++warp.clock;
  return Outcome::Next;
}

} // namespace

bool decodeAtomic(Decoder &d, Opcode &op, Inst &inst) {
  const std::string &name = op.name();
  if (name == "membar") {
    op.takeOneOf({"cta", "gl", "sys"});
    inst.run = memoryFence;
    return true;
  }
  if (name == "fence") {
    if (op.take("proxy")) {
      // Others are left to the complaint about suffixes; .global among them,
      // for it would do nothing for shared memory.
      op.take("async");
      op.takeOneOf({"shared::cta", "shared::cluster"});
      inst.run = proxyFence;
      return true;
    }
    if (op.take("mbarrier_init")) {
      op.take("release");
      op.take("cluster");
      inst.run = initFence;
      return true;
    }
    op.takeOneOf({"sc", "acq_rel", "acquire", "release"});
    op.takeOneOf({"cta", "cluster", "gpu", "sys"});
    inst.run = memoryFence;
    return true;
  }
  if (name != "atom" && name != "red")
    return false;
  Ordering ordering = takeOrdering(op);
  inst.space = op.takeSpace();
  op.take("noftz");
  bool hint = op.take("L2::cache_hint");
  int which = op.takeOneOf(
      {"add", "inc", "dec", "min", "max", "and", "or", "xor", "exch", "cas"});
  Type type = op.takeType();
  unsigned bits = bitsOf(type);
  if (which < 0 || bits < 16 || bits > 64 ||
      (isFloat(type) && which != 0 && which != 3 && which != 4 && which != 8))
    return d.fail("unsupported form of " + name), true;
  bool returns = name == "atom", compares = which == 9;
  size_t count = 2u + returns + compares;
  if (!d.operandCount(count, count + hint))
    return true;
  size_t at = returns ? 1 : 0;
  inst.bytes = static_cast<uint8_t>(bits / 8);
  inst.small = static_cast<uint8_t>(type);
  inst.count = static_cast<uint8_t>(which);
  inst.flags = ordering.release ? flagRelease : 0;
  if (!d.address(inst, d.operand(at)))
    return true;
  inst.src[1] = d.read(d.operand(at + 1), bits);
  if (compares)
    inst.src[2] = d.read(d.operand(at + 2), bits);
  if (returns)
    inst.dst = d.write(d.operand(0), bits);
  inst.run = atomic;
  return true;
}

} // namespace filigree::ptx
