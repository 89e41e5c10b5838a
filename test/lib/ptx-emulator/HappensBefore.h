//===- HappensBefore.h - vector clocks and marks on shared memory ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An agent is a thread, or a stream of asynchronous work that completes in
// order: the bulk loads of one mbarrier (its clock is the phase), the bulk
// stores of one thread (the group), the wgmmas of one warpgroup (a running
// number). Every agent has a clock; a thread knows, per agent, up to which
// clock that agent's accesses are ordered before its own (`seen`), and up to
// which its generic writes also have a proxy fence on the way (`fenced`).
//
// Barriers carry this knowledge: who signals joins it in, who waits joins it
// out. Every 16 bytes of shared memory remember the last write and the reads
// since; an access that does not know of them is a race, on this schedule and
// on every other, though the schedule at hand may have computed the right
// answer. Lanes of a warp that went the same way share one immutable Clocks, so
// a warp's wait costs one join and not 32.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_HAPPENSBEFORE_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_HAPPENSBEFORE_H

#include <cstdint>
#include <memory>
#include <vector>

namespace filigree::ptx {

struct Cta;

struct Clocks {
  std::vector<uint32_t> seen, fenced; ///< by agent; what is beyond is 0

  uint32_t seenOf(unsigned agent) const {
    return agent < seen.size() ? seen[agent] : 0;
  }
  uint32_t fencedOf(unsigned agent) const {
    return agent < fenced.size() ? fenced[agent] : 0;
  }
  void join(const Clocks &other);
  /// Keeps what both know.
  void meet(const Clocks &other);
  bool contains(const Clocks &other) const;
  void raise(unsigned agent, uint32_t clock, uint32_t fence);
};
using ClockRef = std::shared_ptr<const Clocks>;

/// Who accesses, and under which name the access is remembered.
struct Accessor {
  const Clocks *clocks; ///< what the access may build on
  int self;             ///< thread whose own accesses need no order, or -1
  uint32_t selfFence;   ///< own writes up to this clock have a proxy fence
  unsigned agent;       ///< remembered as this agent ...
  uint32_t clock;       ///< ... at this clock
  int pc;
  bool async = false;     ///< through the asynchronous proxy
  bool atomic = false;    ///< atomics do not race with each other
  bool pending = false;   ///< a cp.async: ordered for nobody until waited for
  bool sameValue = false; ///< a write that changes nothing
  bool mayBeUnwritten = false; ///< a load whose value may not matter
};

/// Marks on shared memory. Coarse cells cover 16 bytes; one that smaller
/// accesses touch is replaced by 16 cells of one byte until the next whole
/// write.
class Shadow {
public:
  Shadow(Cta &cta, uint32_t base, uint32_t bytes);

  void read(uint32_t address, uint32_t bytes, const Accessor &by);
  void write(uint32_t address, uint32_t bytes, const Accessor &by);
  /// The pending writes of `agent` at `pc` in this range are complete: plain
  /// writes of that thread at `clock`.
  void settle(uint32_t address, uint32_t bytes, unsigned agent, uint32_t clock);
  /// Marks bytes that hold a live mbarrier; plain accesses to them are
  /// findings.
  void setMbarrier(uint32_t address, bool live);

private:
  struct ReadMark {
    uint32_t clock, lanes;
    int32_t pc;
    uint32_t group; ///< agents group * 32 + lane
  };
  struct Cell {
    uint32_t writeClock;
    int32_t writePc;
    uint16_t writer;
    uint8_t flags;
    uint8_t reads;
    uint32_t more; ///< index + 1 of further reads, or of the fine cells
    ReadMark read[2];
  };
  enum Flags : uint8_t {
    Written = 1,
    Async = 2,
    Atomic = 4,
    Pending = 8,
    Fine = 16,
    Mbarrier = 32
  };

  Cta &cta;
  uint32_t base;
  std::vector<Cell> cells;
  std::vector<std::vector<ReadMark>> furtherReads;
  std::vector<uint32_t> freeFurther;
  std::vector<std::vector<Cell>> fine;
  std::vector<uint32_t> freeFine;

  template <typename F>
  void forEach(uint32_t address, uint32_t bytes, bool isWrite, F visit);
  void refine(Cell &cell);
  void coarsen(Cell &cell);
  void forgetReads(Cell &cell);
  void readCell(Cell &cell, uint32_t address, const Accessor &by);
  void writeCell(Cell &cell, uint32_t address, const Accessor &by);
  void addRead(Cell &cell, const Accessor &by);
  bool checkReads(const ReadMark *marks, size_t count, uint32_t address,
                  const Accessor &by);
  bool checkWriter(const Cell &cell, uint32_t address, const Accessor &by,
                   bool isWrite);
};

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_HAPPENSBEFORE_H
