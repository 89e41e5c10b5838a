//===- Mbarrier.cpp - arrivals, bytes and phases --------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A phase completes when no arrival and no byte is outstanding. The object
// itself is kept outside shared memory; its eight bytes there are marked, so
// that an ordinary access to them is a finding.
//
// A wait answers false the first time, unless the thread knows by other ways
// that the phase is complete: it might have asked earlier. So a kernel that
// does not look at the answer goes wrong. Asked again, it blocks until the
// phase completes, which is what makes a deadlock visible.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Memory.h"

#include <algorithm>

namespace filigree::ptx {

namespace {

enum Form : uint8_t { Plain, ExpectTx, NoComplete };
constexpr uint32_t flagDrop = 1, flagParity = 2, flagRelaxed = 4, flagTest = 8;
constexpr int64_t mostBytes = (1 << 20) - 1;

uint32_t addressOf(Warp &warp, const Inst &inst, int lane) {
  return sharedAddress(baseOf(warp, inst, lane) +
                       static_cast<uint64_t>(inst.imm));
}

Mbarrier *find(Warp &warp, const Inst &inst, int lane, uint32_t address) {
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst), thread = warp.thread(lane);
  if (!sharedInBounds(cta, pc, thread, address, 8, 8)) {
    cta.launch.stop = true; // nothing that waits for it can go on
    return nullptr;
  }
  auto found = cta.mbarriers.find(address);
  if (found == cta.mbarriers.end()) {
    cta.stop(
        Kind::Mbarrier, pc, thread, address,
        text("thread %d uses 0x%x, which holds no mbarrier", thread, address));
    return nullptr;
  }
  Mbarrier &barrier = found->second;
  if (cta.shadow && barrier.initThread != thread &&
      warp.clocks[lane]->seenOf(static_cast<unsigned>(barrier.initThread)) <
          barrier.initClock) {
    cta.report(Kind::Mbarrier, pc, thread, address,
               text("thread %d uses the mbarrier at 0x%x, which thread %d "
                    "initialises at line %d: no barrier orders the two",
                    thread, address, barrier.initThread,
                    cta.statement(barrier.initPc).line));
    barrier.initClock = 0;
  }
  return &barrier;
}

void completePhase(Cta &cta, Mbarrier &barrier) {
  if (barrier.pending || barrier.bytes)
    return;
  for (const BulkCopy &copy : cta.bulk)
    if (copy.load && copy.mbarrier == barrier.address &&
        copy.phase == barrier.phase)
      cta.report(Kind::Mbarrier, copy.pc, copy.thread, barrier.address,
                 text("phase %llu of the mbarrier at 0x%x completes before the "
                      "%u bytes of this copy have arrived",
                      (unsigned long long)barrier.phase, barrier.address,
                      copy.bytes));
  ++barrier.phase;
  barrier.pending = barrier.expected;
  barrier.arriving.raise(barrier.agent, static_cast<uint32_t>(barrier.phase),
                         static_cast<uint32_t>(barrier.phase));
  barrier.completed = std::make_shared<Clocks>(barrier.arriving);
}

Outcome init(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst);
  forLanes(lanes, [&](int lane) {
    uint32_t address = addressOf(warp, inst, lane),
             count = warp.at<uint32_t>(inst.src[1])[lane];
    int thread = warp.thread(lane);
    if (!sharedInBounds(cta, pc, thread, address, 8, 8))
      return;
    if (count < 1 || count > mostBytes)
      cta.report(Kind::Mbarrier, pc, thread, address,
                 text("expected a count from 1 to %lld, but got %u",
                      (long long)mostBytes, count));
    if (cta.mbarriers.count(address)) {
      cta.report(Kind::Mbarrier, pc, thread, address,
                 text("thread %d initialises 0x%x, which holds a live mbarrier",
                      thread, address));
      return;
    }
    Mbarrier &barrier = cta.mbarriers[address];
    barrier.address = address;
    barrier.expected = count;
    barrier.pending = count;
    barrier.agent = cta.newAgent({AgentName::BulkLoad, address});
    barrier.initThread = thread;
    barrier.initClock = warp.clock;
    barrier.initPc = pc;
    if (cta.shadow) {
      cta.shadow->write(address, 8, cta.accessor(warp, lane, pc));
      cta.shadow->setMbarrier(address, true);
    }
  });
  return Outcome::Next;
}

Outcome invalidate(Warp &warp, const Inst &inst, uint32_t lanes) {
  forLanes(lanes, [&](int lane) {
    uint32_t address = addressOf(warp, inst, lane);
    Mbarrier *barrier = find(warp, inst, lane, address);
    if (!barrier)
      return;
    if (warp.cta.shadow)
      warp.cta.shadow->setMbarrier(address, false);
    warp.cta.mbarriers.erase(address);
  });
  return Outcome::Next;
}

void addBytes(Warp &warp, const Inst &inst, int lane, Mbarrier &barrier,
              int64_t bytes) {
  barrier.bytes += bytes;
  if (bytes < 0 || bytes > mostBytes || barrier.bytes > mostBytes)
    warp.cta.report(
        Kind::Mbarrier, warp.cta.pcOf(inst), warp.thread(lane), barrier.address,
        text("the mbarrier at 0x%x expects %lld bytes, more than %lld",
             barrier.address, (long long)barrier.bytes, (long long)mostBytes));
}

Outcome arrive(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst);
  bool stopped = false;
  forLanes(lanes, [&](int lane) {
    if (stopped)
      return;
    uint32_t address = addressOf(warp, inst, lane);
    Mbarrier *barrier = find(warp, inst, lane, address);
    if (!barrier) {
      stopped = cta.launch.stop;
      return;
    }
    uint32_t operand =
        inst.src[1] != noSlot ? warp.at<uint32_t>(inst.src[1])[lane] : 1;
    int64_t count = inst.small == ExpectTx ? 1 : operand;
    if (inst.small == ExpectTx)
      addBytes(warp, inst, lane, *barrier, operand);
    if (inst.dst != noSlot)
      warp.at<uint64_t>(inst.dst)[lane] = barrier->phase;
    if (cta.shadow && !(inst.flags & flagRelaxed))
      cta.release(warp, 1u << lane, barrier->arriving);
    barrier->lastArrivalPc = pc;
    if (inst.flags & flagDrop)
      barrier->expected -= static_cast<uint32_t>(count);
    barrier->pending -= count;
    if (barrier->pending < 0 || count < 1) {
      stopped = true;
      cta.stop(Kind::Mbarrier, pc, warp.thread(lane), address,
               text("thread %d arrives at the mbarrier at 0x%x, whose phase "
                    "%llu has all its %u arrivals",
                    warp.thread(lane), address,
                    (unsigned long long)barrier->phase, barrier->expected));
      return;
    }
    if (inst.small == NoComplete && barrier->pending == 0 &&
        barrier->bytes == 0)
      cta.report(Kind::Mbarrier, pc, warp.thread(lane), address,
                 "an arrival with .noComplete completes the phase");
    completePhase(cta, *barrier);
  });
  return stopped ? Outcome::Stop : Outcome::Next;
}

/// expect_tx and complete_tx without an arrival.
Outcome countBytes(Warp &warp, const Inst &inst, uint32_t lanes) {
  forLanes(lanes, [&](int lane) {
    Mbarrier *barrier = find(warp, inst, lane, addressOf(warp, inst, lane));
    if (!barrier)
      return;
    int64_t bytes = warp.at<uint32_t>(inst.src[1])[lane];
    if (inst.small == ExpectTx) {
      addBytes(warp, inst, lane, *barrier, bytes);
    } else {
      barrier->bytes -= bytes;
      completePhase(warp.cta, *barrier);
    }
  });
  return warp.cta.launch.stop ? Outcome::Stop : Outcome::Next;
}

Outcome wait(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  Split &split = *warp.current;
  uint32_t done = 0, firstAddress = 0;
  uint64_t firstPhase = 0;
  bool uniform = true, first = true;
  uint32_t pendingLanes = lanes;
  // Lanes that ask the same are answered together.
  while (pendingLanes) {
    int leader = __builtin_ctz(pendingLanes);
    uint32_t address = addressOf(warp, inst, leader);
    auto phaseOf = [&](int lane) -> uint64_t {
      return inst.flags & flagParity ? warp.at<uint32_t>(inst.src[1])[lane]
                                     : warp.at<uint64_t>(inst.src[1])[lane];
    };
    uint64_t phase = phaseOf(leader);
    uint32_t group = 0;
    forLanes(pendingLanes, [&](int lane) {
      if (addressOf(warp, inst, lane) == address && phaseOf(lane) == phase)
        group |= 1u << lane;
    });
    pendingLanes &= ~group;
    Mbarrier *barrier = find(warp, inst, leader, address);
    if (!barrier)
      return cta.launch.stop ? Outcome::Stop : Outcome::Next;
    if (inst.flags & flagParity && phase > 1)
      cta.report(Kind::Mbarrier, cta.pcOf(inst), warp.thread(leader), address,
                 text("expected a parity of 0 or 1, but got %llu",
                      (unsigned long long)phase));
    bool complete = inst.flags & flagParity
                        ? (barrier->phase & 1) != (phase & 1)
                        : barrier->phase != phase;
    if (complete && cta.shadow && barrier->completed &&
        split.triesPc != cta.pcOf(inst) &&
        !warp.clocks[leader]->contains(*barrier->completed))
      complete = false;
    if (complete) {
      done |= group;
      if (barrier->completed && cta.shadow && !(inst.flags & flagRelaxed))
        cta.acquire(warp, group, *barrier->completed);
    }
    if (first) {
      firstAddress = address;
      firstPhase = phase;
    }
    uniform &= first;
    first = false;
  }
  if (done == 0 && uniform) {
    int pc = cta.pcOf(inst);
    if (split.wait.reason == Wait::Mbarrier)
      return Outcome::Wait;
    if (split.triesPc != pc) {
      split.triesPc = pc;
      split.tries = 0;
    }
    if (++split.tries > (inst.flags & flagTest ? 64 : 1)) {
      ++cta.counters().mbarrierWaits;
      split.wait = {Wait::Mbarrier, firstAddress, firstPhase, false};
      return Outcome::Wait;
    }
  } else if (done == lanes) {
    split.tries = 0;
    split.triesPc = -1;
  }
  split.wait = Wait();
  uint32_t &into = warp.pred(inst.dst);
  into = (into & ~lanes) | done;
  warp.yield = done != lanes;
  return Outcome::Next;
}

} // namespace

void completeBytes(Cta &cta, const BulkCopy &copy) {
  auto found = cta.mbarriers.find(copy.mbarrier);
  if (found == cta.mbarriers.end()) {
    cta.report(Kind::Mbarrier, copy.pc, copy.thread, copy.mbarrier,
               text("the bulk copy of thread %d completes at 0x%x, which no "
                    "longer holds an mbarrier",
                    copy.thread, copy.mbarrier));
    return;
  }
  Mbarrier &barrier = found->second;
  if (barrier.phase != copy.phase)
    cta.report(Kind::Mbarrier, copy.pc, copy.thread, copy.mbarrier,
               text("the %u bytes of the bulk copy of thread %d arrive in "
                    "phase %llu of the mbarrier at 0x%x, but it was issued in "
                    "phase %llu: the bytes expected then were too few",
                    copy.bytes, copy.thread, (unsigned long long)barrier.phase,
                    copy.mbarrier, (unsigned long long)copy.phase));
  barrier.bytes -= copy.bytes;
  completePhase(cta, barrier);
}

void arriveAsync(Cta &cta, const AsyncArrival &arrival) {
  auto found = cta.mbarriers.find(arrival.mbarrier);
  if (found == cta.mbarriers.end()) {
    cta.report(
        Kind::Mbarrier, arrival.pc, arrival.thread, arrival.mbarrier,
        text("cp.async of thread %d arrives at 0x%x, which holds no mbarrier",
             arrival.thread, arrival.mbarrier));
    return;
  }
  Mbarrier &barrier = found->second;
  barrier.arriving.join(arrival.clocks);
  barrier.arriving.raise(static_cast<unsigned>(arrival.thread), arrival.clock,
                         0);
  barrier.lastArrivalPc = arrival.pc;
  if (--barrier.pending < 0) {
    cta.stop(Kind::Mbarrier, arrival.pc, arrival.thread, arrival.mbarrier,
             text("cp.async of thread %d arrives at the mbarrier at 0x%x, "
                  "whose phase %llu has all its %u arrivals",
                  arrival.thread, arrival.mbarrier,
                  (unsigned long long)barrier.phase, barrier.expected));
    return;
  }
  completePhase(cta, barrier);
}

void reportMbarrierLeaks(Cta &cta) {
  for (auto &[address, barrier] : cta.mbarriers)
    if (barrier.bytes)
      cta.report(Kind::Mbarrier,
                 barrier.lastArrivalPc >= 0 ? barrier.lastArrivalPc
                                            : barrier.initPc,
                 -1, address,
                 text("at the end, the mbarrier at 0x%x still expects %lld "
                      "bytes in phase %llu",
                      address, (long long)barrier.bytes,
                      (unsigned long long)barrier.phase));
}

bool decodeMbarrier(Decoder &d, Opcode &op, Inst &inst) {
  if (op.name() != "mbarrier")
    return false;
  int what =
      op.takeOneOf({"init", "inval", "arrive", "arrive_drop", "expect_tx",
                    "complete_tx", "test_wait", "try_wait"});
  if (what < 0)
    return d.fail("unsupported form of mbarrier"), true;
  op.takeSpace();
  op.takeType();
  int ordering = op.takeOneOf({"release", "acquire", "relaxed"});
  op.takeOneOf({"cta", "cluster"});
  if (ordering == 2)
    inst.flags |= flagRelaxed;
  switch (what) {
  case 0:
    if (!d.operandCount(2, 2) || !d.address(inst, d.operand(0)))
      return true;
    inst.src[1] = d.read(d.operand(1), 32);
    inst.run = init;
    return true;
  case 1:
    if (d.operandCount(1, 1))
      d.address(inst, d.operand(0));
    inst.run = invalidate;
    return true;
  case 2:
  case 3: {
    inst.flags |= what == 3 ? flagDrop : 0;
    inst.small = op.take("expect_tx")    ? ExpectTx
                 : op.take("noComplete") ? NoComplete
                                         : Plain;
    size_t at = d.operands() && d.operand(0).kind == Operand::Memory ? 0 : 1;
    if (!d.operandCount(at + 1 + (inst.small == ExpectTx), at + 2) ||
        !d.address(inst, d.operand(at)))
      return true;
    if (d.operands() > at + 1)
      inst.src[1] = d.read(d.operand(at + 1), 32);
    if (at && d.operand(0).kind != Operand::Sink)
      inst.dst = d.write(d.operand(0), 64);
    inst.run = arrive;
    return true;
  }
  case 4:
  case 5:
    if (!d.operandCount(2, 2) || !d.address(inst, d.operand(0)))
      return true;
    inst.small = what == 4 ? ExpectTx : Plain;
    inst.src[1] = d.read(d.operand(1), 32);
    inst.run = countBytes;
    return true;
  default: {
    bool parity = op.take("parity");
    if (!d.operandCount(3, what == 7 ? 4 : 3) || !d.address(inst, d.operand(1)))
      return true;
    inst.flags |= (parity ? flagParity : 0) | (what == 6 ? flagTest : 0);
    inst.src[1] = d.read(d.operand(2), parity ? 32 : 64);
    inst.dst = d.write(d.operand(0), 1);
    inst.mayWait = true;
    inst.run = wait;
    return true;
  }
  }
}

} // namespace filigree::ptx
