//===- Library.h - an open artifact and its kernels -----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the opaque handles of filigree.h are. Everything but the pool is
// constant between open and close, so runs take no lock.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_LIBRARY_H
#define FILIGREE_RUNTIME_LIBRARY_H

#include "runtime/ArtifactAbi.h"
#include "runtime/filigree.h"

#include <atomic>
#include <pthread.h>

struct fil_kernel {
  const fil_abi_kernel *abi; ///< has passed validateTable
  fil_library *library;
};

struct fil_library {
  const fil_abi_table *table;
  void *handle; ///< of the dynamic loader; null for static tables
  fil_kernel *kernels;
  uint32_t kernelCount;
  uint32_t isa;  ///< FIL_ABI_CPU_* of this machine
  uint32_t cpus; ///< read once, so that a workspace stays large enough
  pthread_mutex_t poolLock;
  std::atomic<fil_pool *> pool; ///< started by the first run that needs it
};

namespace filigree::runtime {

/// The library's own pool, started if need be.
fil_status ownPool(fil_library &library, fil_pool *&pool, fil_error *err);

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_LIBRARY_H
