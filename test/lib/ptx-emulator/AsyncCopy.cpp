//===- AsyncCopy.cpp - cp.async of single threads -------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Copies write through the generic proxy, at some time before their thread
// waits for their group. Until then the bytes belong to nobody: any access to
// them, by their own thread too, is a race.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Memory.h"

#include <algorithm>
#include <cstring>

namespace filigree::ptx {

namespace {

constexpr uint32_t flagNoIncrement = 1;

void perform(Cta &cta, AsyncCopy &copy) {
  if (copy.done)
    return;
  copy.done = true;
  uint8_t *into = cta.shared.data() + (copy.shared - sharedStart);
  if (copy.sourceBytes)
    memcpy(into, reinterpret_cast<const void *>(copy.global), copy.sourceBytes);
  memset(into + copy.sourceBytes, 0, copy.bytes - copy.sourceBytes);
}

void finish(Cta &cta, AsyncGroup &group, int thread, uint32_t clock) {
  for (auto &copy : group) {
    perform(cta, *copy);
    if (cta.shadow)
      cta.shadow->settle(copy->shared, copy->bytes,
                         static_cast<unsigned>(thread), clock);
  }
}

Outcome copy(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst);
  const Slot *offsets = cta.program.lists.data() + inst.list;
  forLanes(lanes, [&](int lane) {
    int thread = warp.thread(lane);
    AsyncCopy copy;
    copy.shared = sharedAddress(baseOf(warp, inst, lane, 0) +
                                *warp.at<uint64_t>(offsets[0]));
    copy.global = baseOf(warp, inst, lane, 1) + *warp.at<uint64_t>(offsets[1]);
    copy.bytes = inst.bytes;
    copy.sourceBytes = inst.src[2] != noSlot
                           ? warp.at<uint32_t>(inst.src[2])[lane]
                           : copy.bytes;
    copy.pc = pc;
    if (copy.sourceBytes > copy.bytes) {
      cta.report(Kind::OutOfBounds, pc, thread, copy.global,
                 text("thread %d copies %u bytes, but has %u", thread,
                      copy.bytes, copy.sourceBytes));
      copy.sourceBytes = copy.bytes;
    }
    if (!sharedInBounds(cta, pc, thread, copy.shared, copy.bytes, copy.bytes))
      return;
    Accessor by = cta.accessor(warp, lane, pc);
    if (copy.sourceBytes) {
      if (copy.global % copy.bytes)
        cta.report(
            Kind::Misaligned, pc, thread, copy.global,
            text("thread %d copies from 0x%llx, expected a multiple of %u",
                 thread, (unsigned long long)copy.global, copy.bytes));
      if (!cta.launch.memory->read(cta, copy.global, copy.sourceBytes, by))
        return;
    }
    ++cta.counters().asyncCopies;
    cta.counters().sharedBytesWritten += copy.bytes;
    if (cta.shadow) {
      by.pending = true;
      cta.shadow->write(copy.shared, copy.bytes, by);
    }
    auto shared = std::make_shared<AsyncCopy>(copy);
    if (cta.launch.options.timing == Timing::Eager)
      perform(cta, *shared);
    cta.asyncCopies[thread].open.push_back(std::move(shared));
  });
  return Outcome::Next;
}

Outcome commit(Warp &warp, const Inst &, uint32_t lanes) {
  forLanes(lanes, [&](int lane) {
    AsyncCopies &copies = warp.cta.asyncCopies[warp.thread(lane)];
    copies.groups.push_back(std::move(copies.open));
    copies.open.clear();
  });
  return Outcome::Next;
}

/// inst.imm: groups that may stay in flight; -1: not even those not committed.
Outcome waitGroup(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  forLanes(lanes, [&](int lane) {
    int thread = warp.thread(lane);
    AsyncCopies &copies = cta.asyncCopies[thread];
    auto keep = static_cast<size_t>(std::max<int64_t>(inst.imm, 0));
    while (copies.groups.size() > keep) {
      finish(cta, copies.groups.front(), thread, warp.clock);
      copies.groups.pop_front();
    }
    if (inst.imm < 0) {
      finish(cta, copies.open, thread, warp.clock);
      copies.open.clear();
    }
  });
  return Outcome::Next;
}

void arriveNow(Cta &cta, AsyncArrival arrival) {
  finish(cta, arrival.copies, arrival.thread, arrival.clock);
  arriveAsync(cta, arrival);
}

Outcome arrive(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst);
  forLanes(lanes, [&](int lane) {
    AsyncArrival arrival;
    arrival.thread = warp.thread(lane);
    arrival.mbarrier = sharedAddress(baseOf(warp, inst, lane) +
                                     static_cast<uint64_t>(inst.imm));
    arrival.pc = pc;
    arrival.clock = warp.clock;
    cta.release(warp, 1u << lane, arrival.clocks);
    AsyncCopies &copies = cta.asyncCopies[arrival.thread];
    for (AsyncGroup &group : copies.groups)
      arrival.copies.insert(arrival.copies.end(), group.begin(), group.end());
    arrival.copies.insert(arrival.copies.end(), copies.open.begin(),
                          copies.open.end());
    // The mbarrier now keeps account of them: no wait_group is owed.
    copies.groups.clear();
    copies.open.clear();
    auto barrier = cta.mbarriers.find(arrival.mbarrier);
    if (!(inst.flags & flagNoIncrement) && barrier != cta.mbarriers.end())
      ++barrier->second.pending;
    if (cta.launch.options.timing == Timing::Eager)
      arriveNow(cta, std::move(arrival));
    else
      cta.asyncArrivals.push_back(std::move(arrival));
  });
  return cta.launch.stop ? Outcome::Stop : Outcome::Next;
}

} // namespace

bool retireAsyncCopy(Cta &cta) {
  if (!cta.asyncArrivals.empty()) {
    size_t i = cta.random() % cta.asyncArrivals.size();
    AsyncArrival arrival = std::move(cta.asyncArrivals[i]);
    cta.asyncArrivals.erase(cta.asyncArrivals.begin() + static_cast<long>(i));
    arriveNow(cta, std::move(arrival));
    return true;
  }
  for (auto &[thread, copies] : cta.asyncCopies)
    for (AsyncGroup &group : copies.groups)
      for (auto &copy : group)
        if (!copy->done && cta.random() % 2) {
          perform(cta, *copy);
          return true;
        }
  return false;
}

void reportAsyncCopyLeaks(Cta &cta) {
  for (auto &[thread, copies] : cta.asyncCopies) {
    const AsyncGroup *left = copies.open.empty() ? nullptr : &copies.open;
    for (const AsyncGroup &group : copies.groups)
      if (!group.empty())
        left = &group;
    if (left)
      cta.report(
          Kind::Leak, left->front()->pc, thread, left->front()->shared,
          text("thread %d ends without waiting for its cp.async", thread));
  }
}

bool decodeAsyncCopy(Decoder &d, Opcode &op, Inst &inst) {
  if (op.name() != "cp")
    return false;
  Opcode ahead = op;
  if (!ahead.take("async") || ahead.take("bulk") || ahead.take("reduce"))
    return false;
  op.take("async");
  if (op.take("commit_group")) {
    inst.run = commit;
    return true;
  }
  if (op.take("wait_all")) {
    inst.imm = -1;
    inst.run = waitGroup;
    return true;
  }
  if (op.take("wait_group")) {
    if (d.operandCount(1, 1))
      d.constant(d.operand(0), inst.imm);
    inst.run = waitGroup;
    return true;
  }
  if (op.take("mbarrier")) {
    op.take("arrive");
    op.takeSpace();
    op.takeType();
    if (d.operandCount(1, 1))
      d.address(inst, d.operand(0));
    inst.flags |= op.take("noinc") ? flagNoIncrement : 0;
    inst.run = arrive;
    return true;
  }
  int cache = op.takeOneOf({"ca", "cg"});
  op.takeSpace();
  op.takeSpace();
  takeCacheHints(op);
  bool hint = op.take("L2::cache_hint");
  int64_t bytes;
  if (cache < 0 || !d.operandCount(3, 4u + hint) ||
      !d.constant(d.operand(2), bytes))
    return d.fail("unsupported form of cp.async"), true;
  if (bytes != 16 && (cache == 1 || (bytes != 4 && bytes != 8)))
    return d.fail("expected 4, 8 or 16 bytes (.cg: 16)"), true;
  inst.bytes = static_cast<uint8_t>(bytes);
  for (int i = 0; i < 2; ++i) {
    if (!d.address(inst, d.operand(static_cast<size_t>(i)), i))
      return true;
    d.append(inst, d.constantSlot(static_cast<uint64_t>(inst.imm), 64));
    inst.imm = 0;
  }
  if (d.operands() - hint == 4) {
    if (d.operand(3).kind == Operand::Reg &&
        d.function.registers[d.operand(3).reg].bits == 1)
      return d.fail("unsupported: ignore-src of cp.async"), true;
    inst.src[2] = d.read(d.operand(3), 32);
  }
  inst.run = copy;
  return true;
}

} // namespace filigree::ptx
