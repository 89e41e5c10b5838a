//===- Memory.h - from a thread's address to bytes ------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every access of a thread to any state space goes through `access`: bounds,
// alignment, races, initialisation.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_MEMORY_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_MEMORY_H

#include "test/lib/ptx-emulator/Decode.h"
#include "test/lib/ptx-emulator/Machine.h"

namespace filigree::ptx {

/// The address in operand `which` of a lane, before the offset.
inline uint64_t baseOf(Warp &warp, const Inst &inst, int lane, int which = 0) {
  return inst.flags & (wideAddress >> which)
             ? warp.at<uint64_t>(inst.src[which])[lane]
             : warp.at<uint32_t>(inst.src[which])[lane];
}

/// Shared offset of an address that an instruction takes as shared or generic.
inline uint32_t sharedAddress(uint64_t address) {
  return static_cast<uint32_t>(address & ~windowMask);
}

enum class Use {
  Read,
  Write,
  Both,
  ReadMatrix ///< of ldmatrix: every byte is used
};

/// The bytes at an address, or null after a finding.
uint8_t *access(Warp &warp, int lane, int pc, Space space, uint64_t address,
                uint32_t bytes, Use use, bool atomic,
                const uint8_t *newValue = nullptr);

/// Checks bounds and alignment of shared memory only.
bool sharedInBounds(Cta &cta, int pc, int thread, uint32_t address,
                    uint32_t bytes, uint32_t align);

/// How ld, st and atom order other accesses.
struct Ordering {
  bool atomic = false, acquire = false, release = false;
};
/// Takes .relaxed, .acquire, ..., and the scope.
Ordering takeOrdering(Opcode &opcode);
void takeCacheHints(Opcode &opcode);
/// Lets the lane see what releases at this address published, and publish.
void synchronise(Warp &warp, int lane, uint64_t key, bool acquire,
                 bool release);
inline uint64_t syncKey(Space space, uint64_t address) {
  return space == Space::Shared ? sharedWindow | sharedAddress(address)
                                : address;
}

constexpr uint32_t flagAtomic = 2, flagAcquire = 4, flagRelease = 8;

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_MEMORY_H
