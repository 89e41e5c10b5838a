//===- Barrier.cpp - bar.sync, bar.arrive, bar.red ------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sixteen barriers a CTA. An aligned form counts a whole warp, the others the
// threads that execute it. Threads that have exited are still counted on, so a
// kernel that leaves early and then meets a barrier is reported as a deadlock.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Decode.h"
#include "test/lib/ptx-emulator/Machine.h"

namespace filigree::ptx {

namespace {

enum Mode : uint8_t { Sync, Arrive, RedPopc, RedAnd, RedOr };
constexpr uint32_t flagAligned = 1, flagNegated = 2;

/// Everybody who waits in this generation may go on, and knows what all know.
void complete(Cta &cta, uint32_t id) {
  NamedBarrier &barrier = cta.barriers[id];
  barrier.resultAll = barrier.votesAll;
  barrier.resultAny = barrier.votesAny;
  barrier.resultCount = barrier.votesCount;
  Clocks known = std::move(barrier.arriving);
  barrier.arriving = Clocks();
  barrier.arrived = 0;
  barrier.votesAll = ~0u;
  barrier.votesAny = barrier.votesCount = 0;
  for (Warp &warp : cta.warps)
    for (Split &split : warp.splits)
      if (split.wait.reason == Wait::Barrier && split.wait.address == id &&
          split.wait.phase == barrier.generation && !split.wait.released) {
        split.wait.released = true;
        cta.acquire(warp, split.lanes, known);
      }
  ++barrier.generation;
}

void storeResult(Warp &warp, const Inst &inst, uint32_t lanes,
                 const NamedBarrier &barrier) {
  if (inst.small == RedPopc) {
    forLanes(lanes, [&](int lane) {
      warp.at<uint32_t>(inst.dst)[lane] = barrier.resultCount;
    });
  } else if (inst.small == RedAnd || inst.small == RedOr) {
    bool value = inst.small == RedAnd ? barrier.resultAll : barrier.resultAny;
    uint32_t &into = warp.pred(inst.dst);
    into = value ? into | lanes : into & ~lanes;
  }
}

Outcome barrier(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  Split &split = *warp.current;
  int pc = cta.pcOf(inst), first = __builtin_ctz(lanes),
      thread = warp.thread(first);
  uint32_t id = warp.at<uint32_t>(inst.src[0])[first];
  if (split.wait.reason == Wait::Barrier) {
    if (!split.wait.released)
      return Outcome::Wait;
    split.wait = Wait();
    storeResult(warp, inst, lanes, cta.barriers[id]);
    return Outcome::Next;
  }
  auto everybody = static_cast<uint32_t>(cta.warps.size() * 32);
  bool aligned = inst.flags & flagAligned;
  uint32_t expected = aligned ? everybody : cta.threads;
  if (inst.src[1] != noSlot)
    expected = warp.at<uint32_t>(inst.src[1])[first];
  bool uniform = true;
  forLanes(lanes, [&](int lane) {
    uniform &= warp.at<uint32_t>(inst.src[0])[lane] == id &&
               (inst.src[1] == noSlot ||
                warp.at<uint32_t>(inst.src[1])[lane] == expected);
  });
  if (!uniform)
    return cta.stop(
        Kind::Barrier, pc, thread, 0,
        text("the threads of warp %d name different barriers or counts",
             warp.index));
  if (id >= 16)
    return cta.stop(Kind::Barrier, pc, thread, 0,
                    text("thread %d names barrier %u of 16", thread, id));
  if (expected == 0 || expected > everybody ||
      (inst.src[1] != noSlot && expected % 32))
    return cta.stop(
        Kind::Barrier, pc, thread, 0,
        text("expected a multiple of 32 threads up to %u, but got %u",
             everybody, expected));
  NamedBarrier &state = cta.barriers[id];
  if (state.arrived && state.expected != expected)
    return cta.stop(
        Kind::Barrier, pc, thread, 0,
        text(
            "thread %d brings %u threads to barrier %u, but line %d brought %u",
            thread, expected, id, cta.statement(state.pc).line,
            state.expected));
  state.expected = expected;
  state.pc = pc;
  state.arrived +=
      aligned ? 32 : static_cast<uint32_t>(__builtin_popcount(lanes));
  if (inst.src[2] != noSlot) {
    uint32_t votes =
        (warp.pred(inst.src[2]) ^ (inst.flags & flagNegated ? ~0u : 0)) & lanes;
    state.votesAll &= votes == lanes ? ~0u : 0;
    state.votesAny |= votes;
    state.votesCount += static_cast<uint32_t>(__builtin_popcount(votes));
  }
  cta.release(warp, lanes, state.arriving);
  if (state.arrived > expected)
    return cta.stop(Kind::Barrier, pc, thread, 0,
                    text("%u threads arrive at barrier %u, which expects %u",
                         state.arrived, id, expected));
  bool waits = inst.small != Arrive;
  if (waits) {
    ++cta.counters().barrierWaits;
    split.wait = {Wait::Barrier, id, state.generation, false};
  }
  if (state.arrived == expected)
    complete(cta, id);
  if (!waits)
    return Outcome::Next;
  if (!split.wait.released)
    return Outcome::Wait;
  split.wait = Wait();
  storeResult(warp, inst, lanes, state);
  return Outcome::Next;
}

} // namespace

bool decodeBarrier(Decoder &d, Opcode &op, Inst &inst) {
  const std::string &name = op.name();
  if (name != "bar" && name != "barrier")
    return false;
  if (op.take("cluster"))
    return d.fail("unsupported: barriers of a cluster"), true;
  op.take("cta");
  int mode = op.takeOneOf({"sync", "arrive", "red"});
  bool aligned = op.take("aligned") || name == "bar";
  if (mode < 0)
    return d.fail("unsupported form of barrier"), true;
  if (mode == 2) {
    int which = op.takeOneOf({"popc", "and", "or"});
    op.takeType();
    if (which < 0 || !d.operandCount(3, 4))
      return d.fail("unsupported form of barrier"), true;
    inst.small = static_cast<uint8_t>(RedPopc + which);
    inst.src[0] = d.read(d.operand(1), 32);
    if (d.operands() == 4)
      inst.src[1] = d.read(d.operand(2), 32);
    Operand vote = d.operand(d.operands() - 1);
    inst.flags = vote.negated ? flagNegated : 0;
    vote.negated = false;
    inst.src[2] = d.readPred(vote);
    inst.dst = d.write(d.operand(0), which == 0 ? 32 : 1);
  } else {
    if (!d.operandCount(mode == Arrive ? 2 : 1, 2))
      return true;
    inst.small = static_cast<uint8_t>(mode);
    inst.src[0] = d.read(d.operand(0), 32);
    if (d.operands() == 2)
      inst.src[1] = d.read(d.operand(1), 32);
  }
  if (aligned) {
    inst.flags |= flagAligned;
    inst.converge = Converge::Aligned;
  }
  inst.mayWait = true;
  inst.run = barrier;
  return true;
}

} // namespace filigree::ptx
