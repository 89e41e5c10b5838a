//===- ThreadPool.h - how many threads a run may use ----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pool's own interface is public: see fil_pool in filigree.h. Here stand
// the two numbers that runs need as well.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_THREADPOOL_H
#define FILIGREE_RUNTIME_THREADPOOL_H

#include "runtime/filigree.h"

namespace filigree::runtime {

/// Most threads of a pool and most workers of a run.
inline constexpr uint32_t kMaxWorkers = 4096;

/// Cpus that this process may be scheduled on; at least 1.
uint32_t usableCpus();

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_THREADPOOL_H
