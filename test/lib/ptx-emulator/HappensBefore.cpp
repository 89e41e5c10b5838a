//===- HappensBefore.cpp - vector clocks and marks on shared memory -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/HappensBefore.h"

#include "test/lib/ptx-emulator/Machine.h"

#include <algorithm>

namespace filigree::ptx {

//===----------------------------------------------------------------------===//
// Clocks
//===----------------------------------------------------------------------===//

static void joinInto(std::vector<uint32_t> &into,
                     const std::vector<uint32_t> &from) {
  if (into.size() < from.size())
    into.resize(from.size());
  for (size_t i = 0; i < from.size(); ++i)
    into[i] = std::max(into[i], from[i]);
}

static void meetInto(std::vector<uint32_t> &into,
                     const std::vector<uint32_t> &from) {
  if (into.size() > from.size())
    into.resize(from.size());
  for (size_t i = 0; i < into.size(); ++i)
    into[i] = std::min(into[i], from[i]);
}

static bool covers(const std::vector<uint32_t> &all,
                   const std::vector<uint32_t> &some) {
  size_t common = std::min(all.size(), some.size());
  for (size_t i = 0; i < common; ++i)
    if (all[i] < some[i])
      return false;
  for (size_t i = common; i < some.size(); ++i)
    if (some[i])
      return false;
  return true;
}

void Clocks::join(const Clocks &other) {
  joinInto(seen, other.seen);
  joinInto(fenced, other.fenced);
}

void Clocks::meet(const Clocks &other) {
  meetInto(seen, other.seen);
  meetInto(fenced, other.fenced);
}

bool Clocks::contains(const Clocks &other) const {
  return covers(seen, other.seen) && covers(fenced, other.fenced);
}

void Clocks::raise(unsigned agent, uint32_t clock, uint32_t fence) {
  if (seen.size() <= agent)
    seen.resize(agent + 1);
  if (fenced.size() <= agent)
    fenced.resize(agent + 1);
  seen[agent] = std::max(seen[agent], clock);
  fenced[agent] = std::max(fenced[agent], fence);
}

Accessor Cta::accessor(Warp &warp, int lane, int pc) const {
  Accessor by{};
  by.clocks = warp.clocks[lane].get();
  by.self = warp.thread(lane);
  by.selfFence = warp.ownFence[lane];
  by.agent = static_cast<unsigned>(by.self);
  by.clock = warp.clock;
  by.pc = pc;
  return by;
}

void Cta::release(Warp &warp, uint32_t lanes, Clocks &into) {
  if (launch.options.lanesReleaseTogether && warp.current)
    lanes |= warp.current->lanes;
  const Clocks *last = nullptr;
  forLanes(lanes, [&](int lane) {
    if (warp.clocks[lane].get() != last) {
      last = warp.clocks[lane].get();
      into.join(*last);
    }
  });
  forLanes(lanes, [&](int lane) {
    into.raise(warp.thread(lane), warp.clock, warp.ownFence[lane]);
  });
  ++warp.clock;
}

void Cta::acquire(Warp &warp, uint32_t lanes, const Clocks &from) {
  const Clocks *before = nullptr;
  ClockRef after;
  forLanes(lanes, [&](int lane) {
    if (warp.clocks[lane].get() != before) {
      before = warp.clocks[lane].get();
      if (before->contains(from)) {
        after = warp.clocks[lane];
      } else {
        auto joined = std::make_shared<Clocks>(*before);
        joined->join(from);
        after = std::move(joined);
      }
    }
    warp.clocks[lane] = after;
  });
}

unsigned Cta::newAgent(AgentName name) {
  agents.push_back(name);
  return static_cast<unsigned>(warps.size() * 32 + agents.size() - 1);
}

std::string Cta::nameOfAgent(unsigned agent) const {
  unsigned first = static_cast<unsigned>(warps.size() * 32);
  if (agent < first)
    return text("thread %u", agent);
  const AgentName &name = agents[agent - first];
  switch (name.kind) {
  case AgentName::BulkLoad:
    return text("the bulk copy that signals the mbarrier at 0x%x", name.of);
  case AgentName::BulkStore:
    return text("the bulk store of thread %u", name.of);
  case AgentName::Wgmma:
    return text("the wgmma of warpgroup %u", name.of);
  }
  return "?";
}

//===----------------------------------------------------------------------===//
// Shadow
//===----------------------------------------------------------------------===//

Shadow::Shadow(Cta &cta, uint32_t base, uint32_t bytes)
    : cta(cta), base(base), cells((bytes + 15) / 16) {}

void Shadow::forgetReads(Cell &cell) {
  if (cell.more && !(cell.flags & Fine)) {
    furtherReads[cell.more - 1].clear();
    freeFurther.push_back(cell.more);
    cell.more = 0;
  }
  cell.reads = 0;
}

void Shadow::refine(Cell &cell) {
  uint32_t index;
  if (freeFine.empty()) {
    fine.emplace_back();
    index = static_cast<uint32_t>(fine.size());
  } else {
    index = freeFine.back();
    freeFine.pop_back();
  }
  std::vector<ReadMark> further;
  if (cell.more)
    further = furtherReads[cell.more - 1];
  uint32_t more = cell.more;
  cell.more = 0;
  std::vector<Cell> &bytes = fine[index - 1];
  bytes.assign(16, cell);
  if (more) {
    for (Cell &byte : bytes) {
      furtherReads.push_back(further);
      byte.more = static_cast<uint32_t>(furtherReads.size());
    }
    furtherReads[more - 1].clear();
    freeFurther.push_back(more);
  }
  cell.flags = Fine;
  cell.more = index;
}

void Shadow::coarsen(Cell &cell) {
  for (Cell &byte : fine[cell.more - 1])
    forgetReads(byte);
  freeFine.push_back(cell.more);
  cell = Cell();
}

/// Calls visit for whole coarse cells and for single bytes.
template <typename F>
void Shadow::forEach(uint32_t address, uint32_t count, bool isWrite, F visit) {
  uint32_t end = address + count;
  while (address < end) {
    uint32_t offset = address - base;
    Cell &cell = cells[offset / 16];
    uint32_t within = offset % 16, piece = std::min(16 - within, end - address);
    if (piece == 16 && !(cell.flags & Fine)) {
      visit(cell, address);
    } else {
      if (!(cell.flags & Fine))
        refine(cell);
      uint32_t index = cell.more - 1;
      for (uint32_t i = 0; i < piece; ++i)
        visit(fine[index][within + i], address + i);
      if (isWrite && piece == 16) { // sixteen equal bytes
        Cell whole = fine[index][0];
        whole.reads = 0;
        whole.more = 0;
        coarsen(cell);
        cell = whole;
      }
    }
    address += piece;
  }
}

void Shadow::read(uint32_t address, uint32_t count, const Accessor &by) {
  forEach(address, count, false,
          [&](Cell &cell, uint32_t at) { readCell(cell, at, by); });
}

void Shadow::write(uint32_t address, uint32_t count, const Accessor &by) {
  forEach(address, count, true,
          [&](Cell &cell, uint32_t at) { writeCell(cell, at, by); });
}

void Shadow::settle(uint32_t address, uint32_t count, unsigned agent,
                    uint32_t clock) {
  forEach(address, count, false, [&](Cell &cell, uint32_t) {
    if ((cell.flags & Pending) && cell.writer == agent) {
      cell.flags &= ~Pending;
      cell.writeClock = clock;
    }
  });
}

void Shadow::setMbarrier(uint32_t address, bool live) {
  forEach(address, 8, false, [&](Cell &cell, uint32_t) {
    cell.flags = live ? (cell.flags | Mbarrier) : (cell.flags & ~Mbarrier);
  });
}

/// "who reads or writes what", the start of every sentence.
static std::string subject(Cta &cta, const Accessor &by, uint32_t address,
                           bool isWrite) {
  if (by.self >= 0 && !by.async)
    return text("thread %d %s shared 0x%x", by.self,
                isWrite ? "writes" : "reads", address);
  return text("%s %s shared 0x%x", cta.nameOfAgent(by.agent).c_str(),
              isWrite ? "writes" : "reads", address);
}

/// Why an asynchronous access is not ordered, in words.
static std::string remedy(Cta &cta, unsigned agent) {
  unsigned first = static_cast<unsigned>(cta.warps.size() * 32);
  if (agent < first)
    return "no barrier orders the two";
  switch (cta.agents[agent - first].kind) {
  case AgentName::BulkLoad:
    return "the phase of the mbarrier that it completes is not waited for";
  case AgentName::BulkStore:
    return "no cp.async.bulk.wait_group orders the two";
  case AgentName::Wgmma:
    return "no wgmma.wait_group orders the two";
  }
  return "";
}

/// False after a finding: one is enough for a cell.
bool Shadow::checkWriter(const Cell &cell, uint32_t address, const Accessor &by,
                         bool isWrite) {
  int thread = by.self;
  if (cell.flags & Mbarrier) {
    cta.report(Kind::Mbarrier, by.pc, thread, address,
               subject(cta, by, address, isWrite) +
                   ", which holds a live mbarrier");
    return false;
  }
  if (!(cell.flags & Written))
    return true;
  int line = cta.statement(cell.writePc).line;
  if (cell.flags & Pending) {
    if (by.pending && isWrite && int(cell.writer) == by.self &&
        by.pc == cell.writePc)
      return true;
    cta.report(Kind::Race, by.pc, thread, address,
               subject(cta, by, address, isWrite) +
                   text(", which the cp.async of thread %u at line %d is still "
                        "writing: it is not waited for",
                        cell.writer, line));
    return false;
  }
  bool own = int(cell.writer) == by.self;
  if (!own && by.clocks->seenOf(cell.writer) < cell.writeClock) {
    if (by.atomic && (cell.flags & Atomic))
      return true;
    if (isWrite && by.sameValue && cell.writePc == by.pc &&
        cell.writer / 32 == by.agent / 32)
      return true; // lanes of one store that agree
    cta.report(Kind::Race, by.pc, thread, address,
               subject(cta, by, address, isWrite) +
                   text(", which %s writes at line %d: %s",
                        cta.nameOfAgent(cell.writer).c_str(), line,
                        remedy(cta, cell.writer).c_str()));
    return false;
  }
  if (by.async && !(cell.flags & Async)) {
    uint32_t fenced = own ? by.selfFence : by.clocks->fencedOf(cell.writer);
    if (fenced < cell.writeClock) {
      cta.report(
          Kind::ProxyFence, by.pc, thread, address,
          subject(cta, by, address, isWrite) +
              text(" through the async proxy, after thread %u wrote it at line "
                   "%d without a fence.proxy.async",
                   cell.writer, line));
      return false;
    }
  }
  return true;
}

bool Shadow::checkReads(const ReadMark *marks, size_t count, uint32_t address,
                        const Accessor &by) {
  for (size_t i = 0; i < count; ++i) {
    const ReadMark &mark = marks[i];
    for (uint32_t lanes = mark.lanes; lanes; lanes &= lanes - 1) {
      unsigned agent = mark.group * 32 + __builtin_ctz(lanes);
      if (int(agent) == by.self || by.clocks->seenOf(agent) >= mark.clock)
        continue;
      cta.report(Kind::Race, by.pc, by.self, address,
                 subject(cta, by, address, true) +
                     text(", which %s reads at line %d: %s",
                          cta.nameOfAgent(agent).c_str(),
                          cta.statement(mark.pc).line,
                          remedy(cta, agent).c_str()));
      return false;
    }
  }
  return true;
}

void Shadow::addRead(Cell &cell, const Accessor &by) {
  ReadMark mark{by.clock, 1u << (by.agent % 32), by.pc, by.agent / 32};
  auto merge = [&](ReadMark &old) {
    if (old.group != mark.group)
      return false;
    if (old.clock == mark.clock) {
      old.lanes |= mark.lanes;
      return true;
    }
    if (old.lanes & ~mark.lanes)
      return false;
    old = mark;
    return true;
  };
  for (unsigned i = 0; i < cell.reads; ++i)
    if (merge(cell.read[i]))
      return;
  if (cell.reads < 2) {
    cell.read[cell.reads++] = mark;
    return;
  }
  if (!cell.more) {
    if (freeFurther.empty()) {
      furtherReads.emplace_back();
      cell.more = static_cast<uint32_t>(furtherReads.size());
    } else {
      cell.more = freeFurther.back();
      freeFurther.pop_back();
    }
  }
  for (ReadMark &old : furtherReads[cell.more - 1])
    if (merge(old))
      return;
  furtherReads[cell.more - 1].push_back(mark);
}

void Shadow::readCell(Cell &cell, uint32_t address, const Accessor &by) {
  if (!(cell.flags & (Written | Mbarrier)) && !by.mayBeUnwritten) {
    cta.report(Kind::Uninitialised, by.pc, by.self, address,
               subject(cta, by, address, false) + ", which nobody wrote");
    cell.flags |= Written; // once is enough
    cell.writeClock = 0;
    cell.writer = static_cast<uint16_t>(by.agent);
    cell.writePc = by.pc;
  }
  checkWriter(cell, address, by, false);
  if (!by.atomic)
    addRead(cell, by);
}

void Shadow::writeCell(Cell &cell, uint32_t address, const Accessor &by) {
  if (checkWriter(cell, address, by, true) && (cell.reads || cell.more) &&
      checkReads(cell.read, cell.reads, address, by) && cell.more)
    checkReads(furtherReads[cell.more - 1].data(),
               furtherReads[cell.more - 1].size(), address, by);
  forgetReads(cell);
  cell.writeClock = by.clock;
  cell.writePc = by.pc;
  cell.writer = static_cast<uint16_t>(by.agent);
  cell.flags = static_cast<uint8_t>(
      (cell.flags & Mbarrier) | Written | (by.async ? Async : 0) |
      (by.atomic ? Atomic : 0) | (by.pending ? Pending : 0));
}

} // namespace filigree::ptx
