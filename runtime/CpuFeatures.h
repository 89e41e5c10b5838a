//===- CpuFeatures.h - what this machine's cpu can execute ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Levels are those of fil_abi_cpu.isa. A level counts only if the cpu has all
// its features AND the operating system saves the registers they need, which
// cpuid alone does not tell.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_CPUFEATURES_H
#define FILIGREE_RUNTIME_CPUFEATURES_H

#include "runtime/ArtifactAbi.h"

#include <cstdint>

namespace filigree::runtime {

/// The raw registers that decide, apart from their reading so that a test can
/// describe other machines.
struct CpuidBits {
  uint32_t leaf1Ecx = 0;
  uint32_t leaf7Ebx = 0;
  uint64_t xcr0 = 0; ///< 0 unless leaf 1 says OSXSAVE
};

CpuidBits readCpuid();

/// FIL_ABI_CPU_*: the highest level that these bits allow.
uint32_t isaOf(const CpuidBits &bits);

/// isaOf(readCpuid()).
uint32_t machineIsa();

/// "baseline", "avx2", "avx512".
const char *isaName(uint32_t isa);

/// The best of the kernel's cpu codes that needs at most `isa`, or null.
const fil_abi_cpu *selectCpu(const fil_abi_kernel &kernel, uint32_t isa);

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_CPUFEATURES_H
