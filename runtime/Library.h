//===- Library.h - an open artifact and its kernels -----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the opaque handles of filigree.h are. Everything but the pool and what
// cuda runs load is constant between open and close. Both are made once and
// then read without a lock.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_LIBRARY_H
#define FILIGREE_RUNTIME_LIBRARY_H

#include "runtime/ArtifactAbi.h"
#include "runtime/filigree.h"

#include <atomic>
#include <pthread.h>

namespace filigree::runtime::cuda {
struct Driver;
struct KernelModule;
} // namespace filigree::runtime::cuda

struct fil_kernel {
  const fil_abi_kernel *abi; ///< has passed validateTable
  fil_library *library;
  filigree::runtime::cuda::KernelModule *module; ///< null without cuda code
};

struct fil_library {
  const fil_abi_table *table;
  void *handle; ///< of the dynamic loader; null for static tables
  fil_kernel *kernels;
  filigree::runtime::cuda::KernelModule *modules; ///< of kernels that have one
  uint32_t kernelCount;
  uint32_t isa;  ///< FIL_ABI_CPU_* of this machine
  uint32_t cpus; ///< read once, so that a workspace stays large enough
  pthread_mutex_t poolLock;
  std::atomic<fil_pool *> pool; ///< started by the first run that needs it
  pthread_mutex_t cudaLock;     ///< of the driver and of all modules
  std::atomic<filigree::runtime::cuda::Driver *> driver; ///< opened likewise
};

namespace filigree::runtime {

/// The library's own pool, started if need be.
fil_status ownPool(fil_library &library, fil_pool *&pool, fil_error *err);

/// The cuda driver, opened if need be. A failure is tried again next time.
fil_status cudaDriver(fil_library &library, const cuda::Driver *&driver,
                      fil_error *err);

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_LIBRARY_H
