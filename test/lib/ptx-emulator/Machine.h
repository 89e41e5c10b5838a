//===- Machine.h - the state of a launch, a CTA and its warps -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A warp is a set of splits: lanes that stand at the same instruction. Lanes
// part at a divergent branch and meet again where their addresses meet, or at
// an instruction that wants them together. Handlers (Exec*.cpp and one file per
// mechanism) change this state; Scheduler.cpp decides who runs.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_MACHINE_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_MACHINE_H

#include "test/lib/ptx-emulator/GlobalMemory.h"
#include "test/lib/ptx-emulator/HappensBefore.h"
#include "test/lib/ptx-emulator/Program.h"
#include "test/lib/ptx-emulator/PtxEmulator.h"
#include "test/lib/ptx-emulator/TensorMap.h"

#include <deque>
#include <list>
#include <random>
#include <set>

namespace filigree::ptx {

/// What a split waits for; the deadlock report prints it.
struct Wait {
  enum Reason : uint8_t { Nothing, Convergence, Barrier, Mbarrier, Warpgroup };
  Reason reason = Nothing;
  uint32_t address = 0; ///< of the mbarrier, or the barrier's number
  uint64_t phase = 0;   ///< parity or barrier generation
  bool released = false;
};

struct Split {
  uint32_t lanes = 0;
  int pc = 0;
  Wait wait;
  bool blocked = false; ///< polled without success in this turn
  int tries = 0;        ///< unsuccessful waits in a row at `triesPc`
  int triesPc = -1;
};

struct Warp {
  Cta &cta;
  int index;
  uint8_t *registers = nullptr;
  uint32_t initial = 0, live = 0; ///< lanes that started, that have not exited
  std::vector<Split> splits;
  Split *current = nullptr;
  bool yield = false; ///< end this turn after the instruction
  uint64_t runLength = 0;

  // Knowledge of the lanes; see HappensBefore.h.
  uint32_t clock = 1;
  ClockRef clocks[32];
  uint32_t ownFence[32] = {};  ///< own generic writes with a proxy fence
  uint32_t initFence[32] = {}; ///< own mbarrier.inits with a fence
  uint32_t memoryFence = 0;    ///< lanes that executed a memory fence

  // Registers of wgmma.
  uint64_t stamp = 0, fenceStamp = 0;
  // These are by slot / 64.
  std::vector<uint64_t> touched; ///< last generic access
  std::vector<uint8_t> accumulatorsInFlight, operandsInFlight;
  std::vector<uint32_t> lastShape; ///< N of the wgmma that wrote it
  int inFlight = 0;
  uint32_t wgmmaGroup = 0; ///< committed groups

  Warp(Cta &cta, int index) : cta(cta), index(index) {}
  template <typename T> T *at(Slot slot) {
    return reinterpret_cast<T *>(registers + slot);
  }
  uint32_t &pred(Slot slot) { return *at<uint32_t>(slot); }
  int thread(int lane) const { return index * 32 + lane; }
};

struct Mbarrier {
  uint32_t address = 0;
  uint32_t expected = 0;
  int64_t pending = 0, bytes = 0; ///< arrivals and bytes still to come
  uint64_t phase = 0;             ///< completed phases
  Clocks arriving;
  ClockRef completed; ///< what a waiter learns
  unsigned agent = 0; ///< the bulk loads that signal it
  int initThread = 0, initPc = 0;
  uint32_t initClock = 0;
  int lastArrivalPc = -1;
  uint64_t lastLoadPhase = 0; ///< phase of its last bulk load, + 1
  int lastLoadPc = 0;
};

struct NamedBarrier {
  uint32_t arrived = 0, expected = 0;
  uint64_t generation = 0;
  Clocks arriving;
  int pc = -1;
  uint32_t votesAll = ~0u, votesAny = 0, votesCount = 0; ///< of bar.red
  uint32_t resultAll = 0, resultAny = 0, resultCount = 0;
};

struct BulkCopy {
  bool load = false, tensor = false;
  TensorMap map;
  int64_t at[5] = {};
  uint64_t global = 0;
  uint32_t shared = 0, bytes = 0;
  uint32_t mbarrier = 0;
  uint64_t phase = 0; ///< of the mbarrier when issued
  int thread = 0, pc = 0;
  uint64_t group = 0;
};

/// Bulk stores of one thread.
struct BulkStores {
  uint64_t committed = 0; ///< groups
  uint64_t waited = 0;    ///< groups known to have been read
  uint64_t issuedIn = 0;  ///< last group with a copy, + 1
  int pc = 0;             ///< of that copy
  unsigned agent = 0;
};

struct WgmmaOp {
  int pc = 0;
  uint64_t descriptorA = 0, descriptorB = 0;
  bool fromRegisters = false, accumulate = false;
  uint32_t group[4] = {};
  uint64_t number = 0;
  bool done = false;
};

struct Warpgroup {
  std::deque<WgmmaOp> ops; ///< issued and not waited for by every warp
  uint64_t issued = 0;
  uint64_t waited[4] = {}; ///< by warp: ops known to be complete
  unsigned agent = 0;
  int arrived = 0; ///< warps at the wgmma that gathers
  WgmmaOp gathering;
};

/// cp.async of one thread.
struct AsyncCopy {
  uint32_t shared, bytes, sourceBytes;
  uint64_t global;
  int pc;
  bool done = false; ///< the bytes are there, though nobody may know
};
using AsyncGroup = std::vector<std::shared_ptr<AsyncCopy>>;
struct AsyncCopies {
  AsyncGroup open;
  std::deque<AsyncGroup> groups;
};
struct AsyncArrival {
  int thread;
  uint32_t mbarrier;
  int pc;
  Clocks clocks;
  uint32_t clock;
  AsyncGroup copies; ///< what must be complete first
};

struct AgentName {
  enum Kind : uint8_t { BulkLoad, BulkStore, Wgmma } kind;
  uint32_t of; ///< mbarrier, thread, warpgroup
};

struct Launch {
  const Program *program = nullptr;
  GlobalMemory *memory = nullptr;
  const std::vector<uint8_t> *parameters = nullptr;
  Dim3 grid, block;
  uint32_t dynamicShared = 0;
  Options options;
  LaunchResult result;
  bool stop = false;
  /// By global address: what was released there, by CTA.
  std::map<uint64_t, std::map<uint32_t, Clocks>> published;
  std::vector<uint8_t> registers, shared; ///< of the last CTA, to be used again
};

struct Cta {
  Launch &launch;
  const Program &program;
  Dim3 id;
  uint32_t number = 0; ///< linear, + 1: 0 is nobody
  uint32_t threads = 0;
  std::vector<bool> waited; ///< thread: for the launches before
  std::deque<Warp> warps;
  std::vector<uint8_t> registers, shared, local;
  std::unique_ptr<Shadow> shadow; ///< null without checks
  std::mt19937_64 random;
  uint64_t steps = 0;
  std::vector<size_t> order; ///< of warps, in a turn
  /// By number, what of other CTAs is ordered before what follows here; one for
  /// all threads, for barriers pass it on.
  std::map<uint32_t, Clocks> others;

  std::vector<AgentName> agents; ///< of async agents, from `threads` rounded up
  std::map<uint32_t, Mbarrier> mbarriers;
  NamedBarrier barriers[16];
  std::vector<BulkCopy> bulk;
  std::map<int, BulkStores> bulkStores;
  std::map<int, AsyncCopies> asyncCopies;
  std::vector<AsyncArrival> asyncArrivals;
  std::vector<Warpgroup> warpgroups;
  std::map<uint64_t, Clocks> released; ///< by address: st.release and atomics

  Cta(Launch &launch, Dim3 id, uint32_t number);
  Counters &counters() { return launch.result.counters; }
  unsigned newAgent(AgentName name);
  uint32_t sharedEnd() const {
    return sharedStart + static_cast<uint32_t>(shared.size());
  }
  const Statement &statement(int pc) const {
    return program.function->statements[pc];
  }
  int pcOf(const Inst &inst) const {
    return static_cast<int>(&inst - program.code.data());
  }
  /// Whether another CTA's write is ordered before what follows here.
  bool knows(const Buffer::Mark &mark) const {
    auto other = others.find(mark.cta);
    return other != others.end() &&
           other->second.seenOf(mark.agent) >= mark.clock;
  }

  /// Adds a finding, once per kind and line.
  void report(Kind kind, int pc, int thread, uint64_t address,
              const std::string &sentence);
  Outcome stop(Kind kind, int pc, int thread, uint64_t address,
               const std::string &sentence) {
    report(kind, pc, thread, address, sentence);
    launch.stop = true;
    return Outcome::Stop;
  }
  std::string nameOfAgent(unsigned agent) const;

  /// The accessor of one lane at the current instruction.
  Accessor accessor(Warp &warp, int lane, int pc) const;
  /// What the lanes know goes into `into`; their clock then advances.
  void release(Warp &warp, uint32_t lanes, Clocks &into);
  void acquire(Warp &warp, uint32_t lanes, const Clocks &from);
};

/// Calls f(lane) for each set bit.
template <typename F> inline void forLanes(uint32_t lanes, F f) {
  while (lanes) {
    f(__builtin_ctz(lanes));
    lanes &= lanes - 1;
  }
}

[[gnu::format(printf, 1, 2)]] std::string text(const char *format, ...);

//===--- Scheduler.cpp ------------------------------------------------------===
/// In turns, to their end.
void runCtas(std::list<Cta> &resident);

//===--- Mbarrier.cpp -------------------------------------------------------===
/// Bytes of a bulk copy have arrived.
void completeBytes(Cta &cta, const BulkCopy &copy);
void arriveAsync(Cta &cta, const AsyncArrival &arrival);

//===--- Bulk.cpp, AsyncCopy.cpp, Wgmma.cpp ---------------------------------===
/// Retire one piece of asynchronous work; false if there is none.
bool retireBulk(Cta &cta);
bool retireAsyncCopy(Cta &cta);
bool retireWgmma(Cta &cta);
void reportLeaks(Cta &cta);
void reportBulkLeaks(Cta &cta);
void reportAsyncCopyLeaks(Cta &cta);
void reportWgmmaLeaks(Cta &cta);
void reportMbarrierLeaks(Cta &cta);
/// A generic access to a register of a wgmma in flight.
void checkInFlight(Warp &warp, const Inst &inst, uint32_t lanes);

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_MACHINE_H
