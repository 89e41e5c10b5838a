//===- GlobalMemory.h - the buffers that a kernel may touch ---------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Global memory is the host's, behind a list of buffers. A buffer knows which
// bytes have a value, and, once written by the kernel, who wrote each byte, so
// that two CTAs, or two threads without a barrier, do not meet unnoticed.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_GLOBALMEMORY_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_GLOBALMEMORY_H

#include "test/lib/ptx-emulator/PtxEmulator.h"

#include <cstdint>
#include <string>
#include <vector>

namespace filigree::ptx {

struct Cta;
struct Accessor;

struct Buffer {
  uint64_t base = 0, bytes = 0;
  std::string name;
  Access access = Access::ReadWrite;
  std::vector<uint8_t> initialised; ///< by byte; empty: all of them
  struct Mark {
    uint32_t cta; ///< number of the CTA, 0: nobody in this launch
    uint16_t agent;
    uint16_t atomic;
    uint32_t clock;
    int32_t pc;
  };
  std::vector<Mark> marks; ///< by byte; empty until written
};

class GlobalMemory {
public:
  void add(Buffer buffer);
  void clear() { buffers.clear(); }
  void forgetMarks();

  /// The buffer that holds all the bytes, or null.
  Buffer *find(uint64_t address, uint64_t bytes);
  /// "12 bytes beyond buffer `k`", or "in no buffer".
  std::string whereIs(uint64_t address, uint64_t bytes) const;

  /// Checks and marks an access; false after a finding that leaves no bytes to
  /// read or write.
  bool read(Cta &cta, uint64_t address, uint32_t bytes, const Accessor &by);
  bool write(Cta &cta, uint64_t address, uint32_t bytes, const Accessor &by);

private:
  std::vector<Buffer> buffers; ///< by base
  size_t last = 0;
};

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_GLOBALMEMORY_H
