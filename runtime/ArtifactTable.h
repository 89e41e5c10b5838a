//===- ArtifactTable.h - validates the table that an artifact exports -----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// After `validateTable` the rest of the runtime indexes the table without
// further checks: counts are within the limits below, pointers that the counts
// make necessary are not null, slots are disjoint and in range, names are
// unique, outputs come last, every dimension can be learnt from an argument or
// a relation, relations name existing dimensions, cpu and cuda codes ascend,
// tensor maps fit the hardware.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_ARTIFACTTABLE_H
#define FILIGREE_RUNTIME_ARTIFACTTABLE_H

#include "runtime/ArtifactAbi.h"
#include "runtime/filigree.h"

namespace filigree::runtime {

// Bounds that let a run keep its bookkeeping on the stack; far above what a
// pattern can need.
inline constexpr uint32_t kMaxKernels = 4096;
inline constexpr uint32_t kMaxArgs = 64;
inline constexpr uint32_t kMaxDims = 64;
inline constexpr uint32_t kMaxRelations = 256;
inline constexpr uint32_t kMaxCpus = 16;
inline constexpr uint32_t kMaxPhases = 32;
inline constexpr uint32_t kMaxSlots = 1024;
inline constexpr uint32_t kMaxCudas = 16;
inline constexpr uint32_t kMaxLaunches = 32;
inline constexpr uint32_t kMaxTensorMaps = FIL_ABI_TENSOR_MAPS;
/// What one launch may be passed on any chip since sm_70.
inline constexpr uint32_t kMaxParameterBytes = 32764;
inline constexpr uint32_t kMaxStructBytes = 4096;

/// Element i of an array of sized structs: the array's stride is the size that
/// its own ABI minor gave the struct, not ours.
template <typename T> const T &element(const T *array, uint32_t i) {
  return *reinterpret_cast<const T *>(reinterpret_cast<const char *>(array) +
                                      static_cast<size_t>(i) * array->size);
}

/// Cuda codes came with ABI 1.2; earlier structs end before them.
inline uint32_t cudaCount(const fil_abi_kernel &kernel) {
  return kernel.size < sizeof(fil_abi_kernel) ? 0 : kernel.cuda_count;
}

/// Images of launches came with ABI 1.4.
inline const void *ownImage(const fil_abi_launch &launch) {
  return launch.size < offsetof(fil_abi_launch, plan) ? nullptr : launch.image;
}

/// Plans came with ABI 1.5.
inline uint32_t planCount(const fil_abi_launch &launch) {
  return launch.size < sizeof(fil_abi_launch) ? 0 : launch.plan_count;
}

inline bool isScalar(const fil_abi_arg &arg) {
  return arg.kind == FIL_ABI_SCALAR;
}

fil_status validateTable(const fil_abi_table *table, fil_error *err);

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_ARTIFACTTABLE_H
