//===- CpuFeatures.cpp - cpuid and the choice of a cpu code ---------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// On other architectures the machine is "baseline", which artifacts for x86-64
// never reach because their ELF header is refused first.
//
//===----------------------------------------------------------------------===//
#include "runtime/CpuFeatures.h"

#include "runtime/ArtifactTable.h"
#include "runtime/filigree.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace filigree::runtime {

CpuidBits readCpuid() {
  CpuidBits bits;
#if defined(__x86_64__)
  uint32_t eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx))
    return bits;
  bits.leaf1Ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
    bits.leaf7Ebx = ebx;
  if (bits.leaf1Ecx & bit_OSXSAVE) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    bits.xcr0 = static_cast<uint64_t>(high) << 32 | low;
  }
#endif
  return bits;
}

uint32_t isaOf(const CpuidBits &bits) {
  // Written as numbers, since the names exist on x86 only.
  constexpr uint32_t fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28,
                     f16c = 1u << 29;
  constexpr uint32_t avx2 = 1u << 5, avx512f = 1u << 16, avx512dq = 1u << 17,
                     avx512bw = 1u << 30, avx512vl = 1u << 31;
  constexpr uint64_t ymmState = 0x6, zmmState = 0xe6; // SSE, AVX; opmask, ZMM

  constexpr uint32_t leaf1 = fma | osxsave | avx | f16c;
  if ((bits.leaf1Ecx & leaf1) != leaf1 || !(bits.leaf7Ebx & avx2) ||
      (bits.xcr0 & ymmState) != ymmState)
    return FIL_ABI_CPU_BASELINE;
  constexpr uint32_t leaf7 = avx512f | avx512dq | avx512bw | avx512vl;
  if ((bits.leaf7Ebx & leaf7) != leaf7 || (bits.xcr0 & zmmState) != zmmState)
    return FIL_ABI_CPU_AVX2;
  return FIL_ABI_CPU_AVX512;
}

uint32_t machineIsa() { return isaOf(readCpuid()); }

const char *isaName(uint32_t isa) {
  switch (isa) {
  case FIL_ABI_CPU_BASELINE:
    return "baseline";
  case FIL_ABI_CPU_AVX2:
    return "avx2";
  case FIL_ABI_CPU_AVX512:
    return "avx512";
  }
  return "unknown";
}

const fil_abi_cpu *selectCpu(const fil_abi_kernel &kernel, uint32_t isa) {
  const fil_abi_cpu *best = nullptr;
  for (uint32_t i = 0; i < kernel.cpu_count; ++i) {
    const fil_abi_cpu &cpu = element(kernel.cpu, i);
    if (cpu.isa <= isa)
      best = &cpu; // ascending, as the table's check made sure
  }
  return best;
}

} // namespace filigree::runtime

extern "C" fil_isa fil_machine_isa(void) {
  return static_cast<fil_isa>(filigree::runtime::machineIsa() +
                              FIL_ISA_BASELINE);
}
