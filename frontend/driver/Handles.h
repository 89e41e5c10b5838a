//===- Handles.h - objects of filigree.h, owned, and its errors -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_HANDLES_H
#define FILIGREE_FRONTEND_DRIVER_HANDLES_H

#include "runtime/filigree.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <memory>

namespace filigree {

struct CloseLibrary {
  void operator()(fil_library *library) const { fil_close(library); }
};
using OwnedLibrary = std::unique_ptr<fil_library, CloseLibrary>;

struct DestroyPool {
  void operator()(fil_pool *pool) const { fil_pool_destroy(pool); }
};
using OwnedPool = std::unique_ptr<fil_pool, DestroyPool>;

/// Turns a status and its sentence into an Error.
struct Status {
  fil_error error = FIL_ERROR_INIT;
  llvm::Error operator()(fil_status status) const {
    if (status == FIL_OK)
      return llvm::Error::success();
    return llvm::createStringError(llvm::StringRef(error.message));
  }
};

/// "auto", "avx2", ... as options->isa; error if the word is none or the
/// machine lacks it.
llvm::Expected<uint32_t> parseIsa(llvm::StringRef word);

/// Error if `device` is no word of --device, or if the kernel has code for the
/// other device only, in which case it names the flag.
llvm::Error checkDevice(const fil_kernel *kernel, llvm::StringRef device);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_HANDLES_H
