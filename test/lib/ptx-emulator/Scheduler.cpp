//===- Scheduler.cpp - who runs next --------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   until every thread of the resident CTAs has exited, for each CTA:
//     for each warp, in the order of the policy:
//       run it for a while, or until each of its splits waits
//     if none could run: let one piece of asynchronous work take effect;
//       if there is none: deadlock
//
// Within a warp the split at the lowest address runs, so that parted lanes meet
// again where a compiler lays out the join; an instruction that wants lanes
// together holds the early ones back.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Machine.h"

#include <algorithm>
#include <numeric>

namespace filigree::ptx {

namespace {

/// Index of the split to run, or -1.
int pick(Warp &warp) {
  if (warp.splits.size() == 1)
    return warp.splits[0].blocked ? -1 : 0;
  int lowest = -1, other = -1;
  for (size_t i = 0; i < warp.splits.size(); ++i) {
    if (warp.splits[i].blocked)
      continue;
    if (lowest < 0 ||
        warp.splits[i].pc < warp.splits[static_cast<size_t>(lowest)].pc) {
      other = lowest;
      lowest = static_cast<int>(i);
    } else {
      other = static_cast<int>(i);
    }
  }
  // A loop that waits for the other lanes must not keep them from running.
  if (other >= 0 && ++warp.runLength > 4096) {
    warp.runLength = 0;
    return other;
  }
  return lowest;
}

/// Joins splits that stand at the same instruction.
void merge(Warp &warp) {
  for (size_t i = 0; i < warp.splits.size(); ++i)
    for (size_t j = i + 1; j < warp.splits.size();) {
      Split &a = warp.splits[i], &b = warp.splits[j];
      bool free = a.wait.reason <= Wait::Convergence &&
                  b.wait.reason <= Wait::Convergence;
      if (a.pc != b.pc || !free) {
        ++j;
        continue;
      }
      a.lanes |= b.lanes;
      a.wait = Wait();
      a.blocked = false;
      warp.splits.erase(warp.splits.begin() + static_cast<long>(j));
      warp.runLength = 0;
    }
}

void part(Warp &warp, size_t index, uint32_t lanes, int pc) {
  warp.splits[index].lanes &= ~lanes;
  Split other;
  other.lanes = lanes;
  other.pc = pc;
  warp.splits.push_back(other);
}

/// Lanes that must stand here before the instruction runs.
uint32_t needed(Warp &warp, const Inst &inst, uint32_t lanes) {
  if (inst.converge == Converge::Aligned)
    return warp.live;
  uint32_t members = 0;
  forLanes(lanes,
           [&](int lane) { members |= warp.at<uint32_t>(inst.members)[lane]; });
  return members & warp.live;
}

void touch(Warp &warp, const Inst &inst, uint32_t lanes) {
  ++warp.stamp;
  if (warp.inFlight)
    checkInFlight(warp, inst, lanes);
  const int *uses = warp.cta.program.uses.data() + inst.uses;
  for (uint32_t i = 0; i < inst.readCount + inst.writeCount; ++i)
    warp.touched[static_cast<size_t>(uses[i])] = warp.stamp;
}

/// One instruction of one split; false if it could not advance.
bool step(Cta &cta, Warp &warp, size_t index) {
  const Inst &inst =
      cta.program.code[static_cast<size_t>(warp.splits[index].pc)];
  Split &split = warp.splits[index];
  warp.current = &split;
  uint32_t lanes = split.lanes;
  if (inst.guard != noSlot)
    lanes &= inst.guardNegated ? ~warp.pred(inst.guard) : warp.pred(inst.guard);
  ++cta.steps;
  ++cta.counters().warpInstructions;
  if (inst.flow == Flow::Simple) {
    if (!lanes) {
      ++split.pc;
      return true;
    }
    if (inst.converge != Converge::None || inst.mayWait) {
      if (lanes != split.lanes) { // the others go past
        part(warp, index, split.lanes & ~lanes, split.pc + 1);
        return true;
      }
      if (inst.converge != Converge::None) {
        uint32_t members = needed(warp, inst, lanes);
        if (inst.converge == Converge::Mask && lanes & ~members) {
          // Lanes beside the mask: those with another mask wait for their own.
          cta.stop(
              Kind::Divergence, split.pc,
              warp.thread(__builtin_ctz(lanes & ~members)), 0,
              text("lanes 0x%08x of warp %d execute it, the mask is 0x%08x",
                   lanes, warp.index, members));
          return false;
        }
        if (members & ~lanes) {
          split.wait.reason = Wait::Convergence;
          split.blocked = true;
          return false;
        }
        if (split.wait.reason == Wait::Convergence)
          split.wait = Wait();
      }
    }
    cta.counters().threadInstructions +=
        static_cast<uint64_t>(__builtin_popcount(lanes));
    if (cta.program.usesWgmma && !inst.ownsRegisters)
      touch(warp, inst, lanes);
    switch (inst.run(warp, inst, lanes)) {
    case Outcome::Next:
      ++split.pc;
      return true;
    case Outcome::Wait:
      split.blocked = true;
      return false;
    case Outcome::Stop:
      return false;
    }
  }
  cta.counters().threadInstructions +=
      static_cast<uint64_t>(__builtin_popcount(lanes));
  switch (inst.flow) {
  case Flow::Branch:
    if (lanes == split.lanes)
      split.pc = inst.target;
    else {
      ++split.pc;
      if (lanes)
        part(warp, index, lanes, inst.target);
    }
    return true;
  case Flow::BranchTable: {
    const std::vector<int> &table =
        cta.program.tables[static_cast<size_t>(inst.target)];
    int next = split.pc + 1;
    uint32_t left = lanes;
    while (left) {
      uint32_t entry = warp.at<uint32_t>(inst.src[0])[__builtin_ctz(left)],
               same = 0;
      forLanes(left, [&](int lane) {
        same |=
            static_cast<uint32_t>(warp.at<uint32_t>(inst.src[0])[lane] == entry)
            << lane;
      });
      left &= ~same;
      if (entry >= table.size()) {
        cta.stop(
            Kind::OutOfBounds, warp.splits[index].pc,
            warp.thread(__builtin_ctz(same)), 0,
            text("entry %u of a branch table of %zu", entry, table.size()));
        return false;
      }
      if (same == warp.splits[index].lanes)
        warp.splits[index].pc = table[entry];
      else
        part(warp, index, same, table[entry]);
    }
    if (!lanes)
      warp.splits[index].pc = next;
    return true;
  }
  default: // Exit
    warp.live &= ~lanes;
    split.lanes &= ~lanes;
    ++split.pc;
    if (!split.lanes)
      warp.splits.erase(warp.splits.begin() + static_cast<long>(index));
    for (Split &other : warp.splits)
      other.blocked = false; // it may have waited for the lanes that left
    return true;
  }
}

bool runWarp(Cta &cta, Warp &warp, int budget) {
  for (Split &split : warp.splits)
    split.blocked = false;
  bool progress = false;
  warp.yield = false;
  while (budget-- > 0 && !warp.splits.empty() && !cta.launch.stop &&
         !warp.yield) {
    int index = pick(warp);
    if (index < 0)
      break;
    progress |= step(cta, warp, static_cast<size_t>(index));
    if (warp.splits.size() > 1)
      merge(warp);
  }
  return progress;
}

bool retire(Cta &cta) { return retireBulk(cta) || retireAsyncCopy(cta); }

/// True if something took effect: who was polled before it may now go on.
bool retireAtRandom(Cta &cta) {
  switch (cta.random() % 12) {
  case 0:
    return retireBulk(cta);
  case 1:
    return retireAsyncCopy(cta);
  case 2:
    return retireWgmma(cta);
  default:
    return false;
  }
}

//===----------------------------------------------------------------------===//
// Dead ends
//===----------------------------------------------------------------------===//

std::string describeWait(Cta &cta, const Split &split) {
  switch (split.wait.reason) {
  case Wait::Barrier: {
    const NamedBarrier &barrier = cta.barriers[split.wait.address];
    return text(" (barrier %u has %u of %u threads)", split.wait.address,
                barrier.arrived, barrier.expected);
  }
  case Wait::Mbarrier: {
    auto found = cta.mbarriers.find(split.wait.address);
    if (found == cta.mbarriers.end())
      return "";
    const Mbarrier &barrier = found->second;
    return text(" (waits for %llu at the mbarrier at 0x%x, which is in phase "
                "%llu and lacks %lld of %u arrivals and %lld bytes)",
                (unsigned long long)split.wait.phase, split.wait.address,
                (unsigned long long)barrier.phase, (long long)barrier.pending,
                barrier.expected, (long long)barrier.bytes);
  }
  case Wait::Convergence:
    return " (waits for the other lanes of its warp)";
  case Wait::Warpgroup:
    return " (waits for the other warps of its warpgroup)";
  case Wait::Nothing:
    break;
  }
  return "";
}

/// One entry a place, with the threads that stand there.
std::string whereAllStand(Cta &cta) {
  std::vector<std::pair<std::string, std::string>> places;
  for (Warp &warp : cta.warps)
    for (const Split &split : warp.splits) {
      const Statement &statement = cta.statement(split.pc);
      std::string place =
          text("line %d `%s`", statement.line, statement.text.c_str()) +
          describeWait(cta, split);
      std::string who = text("warp %d", warp.index);
      if (split.lanes != warp.initial)
        who += text(" lanes 0x%08x", split.lanes);
      auto same = std::find_if(places.begin(), places.end(), [&](auto &entry) {
        return entry.first == place;
      });
      if (same == places.end())
        places.emplace_back(place, who);
      else
        same->second += ", " + who;
    }
  uint32_t exited = 0;
  for (Warp &warp : cta.warps)
    exited +=
        static_cast<uint32_t>(__builtin_popcount(warp.initial & ~warp.live));
  std::string all;
  for (auto &[place, who] : places)
    all += (all.empty() ? "" : "; ") + who + " at " + place;
  if (exited)
    all += text("; %u threads have exited", exited);
  return all;
}

void reportDeadlock(Cta &cta) {
  int pc = 0, thread = 0;
  for (Warp &warp : cta.warps)
    for (const Split &split : warp.splits) {
      pc = split.pc;
      thread = warp.thread(__builtin_ctz(split.lanes));
      if (split.wait.reason == Wait::Convergence)
        cta.report(Kind::Divergence, pc, thread, 0,
                   text("lanes 0x%08x of warp %d arrive, but the others of "
                        "0x%08x never do",
                        split.lanes, warp.index, warp.initial));
    }
  cta.stop(Kind::Deadlock, pc, thread, 0,
           "no thread can go on: " + whereAllStand(cta));
}

} // namespace

void reportLeaks(Cta &cta) {
  reportWgmmaLeaks(cta);
  reportAsyncCopyLeaks(cta);
  reportBulkLeaks(cta);
  reportMbarrierLeaks(cta);
}

/// One turn of every warp; false once all have exited, or the launch stops.
static bool runTurn(Cta &cta) {
  const Options &options = cta.launch.options;
  if (options.policy == Policy::Random)
    std::shuffle(cta.order.begin(), cta.order.end(), cta.random);
  bool progress = false, alive = false;
  for (size_t index : cta.order) {
    Warp &warp = cta.warps[index];
    if (!warp.live)
      continue;
    alive = true;
    int budget = options.policy == Policy::RoundRobin ? 100
                 : options.policy == Policy::LastFirst
                     ? 1 << 20
                     : 1 + static_cast<int>(cta.random() % 256);
    progress |= runWarp(cta, warp, budget);
    if (cta.launch.stop)
      return false;
    if (options.timing == Timing::Random)
      progress |= retireAtRandom(cta);
  }
  if (!alive) {
    reportLeaks(cta);
    return false;
  }
  if (!progress && !retire(cta)) {
    reportDeadlock(cta);
    return false;
  }
  if (cta.steps > options.maxSteps) {
    cta.stop(
        Kind::Hang, 0, -1, 0,
        text("more than %llu steps: ", (unsigned long long)options.maxSteps) +
            whereAllStand(cta));
    return false;
  }
  return true;
}

void runCtas(std::list<Cta> &resident) {
  for (Cta &cta : resident) {
    cta.order.resize(cta.warps.size());
    std::iota(cta.order.begin(), cta.order.end(), 0);
    if (cta.launch.options.policy == Policy::LastFirst)
      std::reverse(cta.order.begin(), cta.order.end());
  }
  std::vector<Cta *> running;
  for (Cta &cta : resident)
    running.push_back(&cta);
  while (!running.empty())
    for (size_t i = 0; i < running.size();)
      if (runTurn(*running[i]))
        ++i;
      else
        running.erase(running.begin() + static_cast<long>(i));
}

} // namespace filigree::ptx
