//===- Move.cpp - mov, cvta and control flow ------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// mov also packs registers into a wider one and unpacks them.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Decode.h"
#include "test/lib/ptx-emulator/Lanes.h"

namespace filigree::ptx {

namespace {

struct Copy {
  template <typename T> static T run(T a) { return a; }
};

Outcome movePred(Warp &warp, const Inst &inst, uint32_t lanes) {
  uint32_t &into = warp.pred(inst.dst);
  into = (into & ~lanes) | (warp.pred(inst.src[0]) & lanes);
  return Outcome::Next;
}

/// Instructions so far stand for time.
template <typename T>
Outcome moveClock(Warp &warp, const Inst &inst, uint32_t lanes) {
  forLanes(lanes, [&](int lane) {
    warp.at<T>(inst.dst)[lane] = static_cast<T>(warp.cta.steps);
  });
  return Outcome::Next;
}

/// inst.bytes: of a part.
Outcome packParts(Warp &warp, const Inst &inst, uint32_t lanes) {
  unsigned part = inst.bytes, whole = part * inst.listCount;
  forLanes(lanes, [&](int lane) {
    uint8_t value[8];
    for (uint32_t i = 0; i < inst.listCount; ++i)
      memcpy(value + i * part,
             warp.registers + warp.cta.program.lists[inst.list + i] +
                 lane * part,
             part);
    memcpy(warp.registers + inst.dst + lane * whole, value, whole);
  });
  return Outcome::Next;
}

Outcome unpackParts(Warp &warp, const Inst &inst, uint32_t lanes) {
  unsigned part = inst.bytes, whole = part * inst.listCount;
  forLanes(lanes, [&](int lane) {
    uint8_t value[8];
    memcpy(value, warp.registers + inst.src[0] + lane * whole, whole);
    for (uint32_t i = 0; i < inst.listCount; ++i)
      memcpy(warp.registers + warp.cta.program.lists[inst.list + i] +
                 lane * part,
             value + i * part, part);
  });
  return Outcome::Next;
}

/// Adds or takes away the base of a window, inst.imm.
template <typename T>
Outcome moveWindow(Warp &warp, const Inst &inst, uint32_t lanes) {
  const T *from = warp.at<T>(inst.src[0]);
  alignas(64) T result[32];
  for (int lane = 0; lane < 32; ++lane)
    result[lane] = static_cast<T>(from[lane] + static_cast<T>(inst.imm));
  storeLanes(warp.at<T>(inst.dst), result, lanes);
  return Outcome::Next;
}

/// createpolicy: caches are not emulated, so any bits will do.
Outcome makePolicy(Warp &warp, const Inst &inst, uint32_t lanes) {
  alignas(64) uint64_t result[32] = {};
  storeLanes(warp.at<uint64_t>(inst.dst), result, lanes);
  return Outcome::Next;
}

/// isspacep: is a generic address in the window of inst.space?
Outcome isSpace(Warp &warp, const Inst &inst, uint32_t lanes) {
  uint32_t result = 0;
  forLanes(lanes, [&](int lane) {
    uint64_t window = warp.at<uint64_t>(inst.src[0])[lane] & windowMask;
    bool in = inst.space == Space::Shared  ? window == sharedWindow
              : inst.space == Space::Local ? window == localWindow
              : inst.space == Space::Param ? window == paramWindow
                                           : window == 0;
    result |= static_cast<uint32_t>(in) << lane;
  });
  uint32_t &into = warp.pred(inst.dst);
  into = (into & ~lanes) | result;
  return Outcome::Next;
}

Outcome trap(Warp &warp, const Inst &inst, uint32_t lanes) {
  int thread = warp.thread(__builtin_ctz(lanes));
  return warp.cta.stop(Kind::Trap, warp.cta.pcOf(inst), thread, 0,
                       text("thread %d traps", thread));
}

Outcome nothing(Warp &, const Inst &, uint32_t) { return Outcome::Next; }

Outcome waitForLaunches(Warp &warp, const Inst &, uint32_t lanes) {
  forLanes(lanes, [&](int lane) {
    warp.cta.waited[static_cast<size_t>(warp.thread(lane))] = true;
  });
  return Outcome::Next;
}

Outcome giveWay(Warp &warp, const Inst &, uint32_t) {
  warp.yield = true;
  return Outcome::Next;
}

} // namespace

bool decodeMove(Decoder &d, Opcode &op, Inst &inst) {
  const std::string &name = op.name();
  if (name == "mov") {
    unsigned bits = bitsOf(op.takeType());
    if (!d.operandCount(2, 2))
      return true;
    const Operand &from = d.operand(1), &to = d.operand(0);
    if (bits == 128)
      return d.fail("unsupported: registers of 128 bits"), true;
    if (from.kind == Operand::Vector || to.kind == Operand::Vector) {
      const Operand &parts = from.kind == Operand::Vector ? from : to;
      size_t count = parts.parts.size();
      if (count < 2 || count > 4 || bits % (8 * count))
        return d.fail("expected 2 or 4 parts"), true;
      unsigned part = bits / static_cast<unsigned>(count);
      if (part < 16)
        return d.fail("unsupported: parts of 8 bits"), true;
      inst.bytes = static_cast<uint8_t>(part / 8);
      if (&parts == &from) {
        inst.run = packParts;
        d.readList(inst, from, part);
        inst.dst = d.write(to, bits);
      } else {
        inst.run = unpackParts;
        inst.src[0] = d.read(from, bits);
        d.writeList(inst, to, part);
      }
      return true;
    }
    if (from.kind == Operand::Special &&
        (from.name == "%clock" || from.name == "%clock64" ||
         from.name == "%clock_hi" || from.name == "%globaltimer" ||
         from.name == "%globaltimer_lo")) {
      inst.run = bits == 64 ? moveClock<uint64_t> : moveClock<uint32_t>;
      inst.dst = d.write(to, bits);
      return true;
    }
    inst.run = bits == 1    ? movePred
               : bits == 16 ? unaryLanes<Copy, uint16_t, uint16_t>
               : bits == 32 ? unaryLanes<Copy, uint32_t, uint32_t>
               : bits == 64 ? unaryLanes<Copy, uint64_t, uint64_t>
                            : nullptr;
    if (!inst.run)
      return d.fail("unsupported type of mov"), true;
    inst.src[0] = d.read(from, bits);
    inst.dst = d.write(to, bits);
    return true;
  }
  if (name == "cvta") {
    bool to = op.take("to");
    Space space = op.takeSpace();
    unsigned bits = bitsOf(op.takeType());
    if (!d.operandCount(2, 2))
      return true;
    uint64_t window = space == Space::Shared  ? sharedWindow
                      : space == Space::Local ? localWindow
                      : space == Space::Param ? paramWindow
                                              : 0;
    if (bits == 32 && window)
      return d.fail("unsupported: generic addresses of 32 bits"), true;
    inst.run = bits == 64 ? moveWindow<uint64_t> : moveWindow<uint32_t>;
    inst.imm = static_cast<int64_t>(to ? 0 - window : window);
    inst.src[0] = d.read(d.operand(1), bits);
    inst.dst = d.write(d.operand(0), bits);
    return true;
  }
  if (name == "createpolicy") {
    if (!op.take("fractional"))
      return d.fail("unsupported form of createpolicy"), true;
    op.takeOneOf({"L2::evict_first", "L2::evict_last", "L2::evict_normal",
                  "L2::evict_unchanged"});
    op.takeType();
    if (!d.operandCount(1, 2))
      return true;
    inst.run = makePolicy;
    inst.dst = d.write(d.operand(0), 64);
    return true;
  }
  if (name == "isspacep") {
    inst.space = op.takeSpace();
    if (!d.operandCount(2, 2))
      return true;
    inst.run = isSpace;
    inst.src[0] = d.read(d.operand(1), 64);
    inst.dst = d.write(d.operand(0), 1);
    return true;
  }
  return false;
}

bool decodeControl(Decoder &d, Opcode &op, Inst &inst) {
  const std::string &name = op.name();
  if (name == "bra") {
    op.take("uni"); // a promise of the compiler: checked nowhere, used nowhere
    inst.flow = Flow::Branch;
    inst.target = static_cast<int>(d.operand(0).value);
    return true;
  }
  if (name == "brx") {
    op.take("uni");
    if (!op.take("idx") || !d.operandCount(2, 2))
      return true;
    auto table = d.function.branchTables.find(d.operand(1).name);
    if (table == d.function.branchTables.end())
      return d.fail("unknown branch table"), true;
    inst.flow = Flow::BranchTable;
    inst.src[0] = d.read(d.operand(0), 32);
    inst.target = static_cast<int>(d.program.tables.size());
    d.program.tables.push_back(table->second);
    return true;
  }
  if (name == "ret" || name == "exit") {
    op.take("uni");
    inst.flow = Flow::Exit;
    return true;
  }
  if (name == "trap") {
    inst.run = trap;
    return true;
  }
  if (name == "nanosleep") {
    op.takeType();
    inst.run = giveWay;
    return true;
  }
  if (name == "griddepcontrol") {
    int which = op.takeOneOf({"launch_dependents", "wait"});
    inst.run = which == 1 ? waitForLaunches : nothing;
    return true;
  }
  // What changes speed only.
  if (name == "setmaxnreg") {
    op.takeOneOf({"inc", "dec"});
    op.take("sync");
    op.take("aligned");
    op.takeType();
    int64_t count;
    if (!d.operandCount(1, 1) || !d.constant(d.operand(0), count))
      return true;
    if (count < 24 || count > 256 || count % 8)
      return d.fail("expected a multiple of 8 from 24 to 256"), true;
    inst.converge = Converge::Aligned;
    inst.run = nothing;
    return true;
  }
  if (name == "prefetch" || name == "prefetchu") {
    op.takeSpace();
    op.takeOneOf(
        {"L1", "L2", "L2::evict_last", "L2::evict_normal", "tensormap"});
    inst.run = nothing;
    return true;
  }
  if (name == "pmevent" || name == "discard" || name == "applypriority")
    return d.fail("unsupported instruction `" + name + "`"), true;
  return false;
}

} // namespace filigree::ptx
