//===- Program.h - a kernel as decoded instructions -----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A warp's registers are one block of bytes. Every register that a kernel uses,
// every constant and every special register has a slot in it: 32 lanes of 2, 4
// or 8 bytes; a predicate is one word, a bit a lane. So all operands of an
// instruction are offsets, and most instructions are one loop over 32 lanes.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_PROGRAM_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_PROGRAM_H

#include "test/lib/ptx-emulator/Parser.h"

#include <map>

namespace filigree::ptx {

struct Warp;
struct Inst;

using Slot = uint32_t;
constexpr Slot noSlot = ~0u;

/// What a handler says to the scheduler.
enum class Outcome : uint8_t {
  Next, ///< done
  Wait, ///< not yet: run me again
  Stop  ///< the CTA cannot go on; a finding says why
};
using Handler = Outcome (*)(Warp &, const Inst &, uint32_t lanes);

enum class Flow : uint8_t { Simple, Branch, BranchTable, Exit };

/// Which lanes must arrive together.
enum class Converge : uint8_t {
  None,
  Mask,   ///< the members of a mask
  Aligned ///< every lane of the warp
};

struct Inst {
  Handler run = nullptr;
  Flow flow = Flow::Simple;
  Converge converge = Converge::None;
  bool mayWait = false;
  bool guardNegated = false;
  bool ownsRegisters = false; ///< wgmma checks its registers itself
  uint8_t bytes = 0;          ///< of one element in memory
  uint8_t count = 1;          ///< elements
  uint8_t small = 0;          ///< per family
  Space space = Space::Generic;
  Slot guard = noSlot;
  Slot dst = noSlot;
  Slot src[4] = {noSlot, noSlot, noSlot, noSlot};
  Slot members = noSlot; ///< mask of Converge::Mask
  uint32_t flags = 0;    ///< per family
  int64_t imm = 0;
  int target = -1;                  ///< of a branch; index into Program::tables
  uint32_t list = 0, listCount = 0; ///< in Program::lists
  uint32_t uses = 0, readCount = 0, writeCount = 0; ///< in Program::uses
  int line = 0;
};

struct Program {
  const Function *function = nullptr;
  std::vector<Inst> code;
  std::vector<Slot> lists;
  std::vector<int> uses;       ///< slots / 64 of registers: reads, then writes
  std::vector<int> registerOf; ///< by slot / 64: the register, or -1
  std::vector<std::vector<int>> tables;
  uint32_t fileBytes = 0; ///< of one warp's registers
  bool usesWgmma = false;

  struct Constant {
    uint64_t value;
    unsigned bits;
    Slot slot;
  };
  std::vector<Constant> constants;
  std::map<std::string, Slot> specials; ///< filled when a warp starts

  uint32_t sharedBytes = 0;   ///< static, from the start of the window
  uint32_t dynamicShared = 0; ///< where the dynamic part starts
  uint32_t localBytes = 0;
};

/// Where the windows of the generic address space are. Global addresses are
/// host addresses, which have a zero in the upper bits.
constexpr uint64_t sharedWindow = 0x0100'0000'0000'0000;
constexpr uint64_t localWindow = 0x0200'0000'0000'0000;
constexpr uint64_t paramWindow = 0x0300'0000'0000'0000;
constexpr uint64_t windowMask = 0xff00'0000'0000'0000;
/// Shared memory starts here, as on sm_90, so that 0 is no valid address.
constexpr uint32_t sharedStart = 1024;

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_PROGRAM_H
