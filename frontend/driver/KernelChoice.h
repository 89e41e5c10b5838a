//===- KernelChoice.h - which kernel of an artifact is meant --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_KERNELCHOICE_H
#define FILIGREE_FRONTEND_DRIVER_KERNELCHOICE_H

#include "frontend/driver/Array.h"
#include "runtime/filigree.h"
#include "llvm/ADT/StringMap.h"

namespace filigree {

/// A kernel and what it says about its arguments.
struct Kernel {
  const fil_kernel *handle;
  std::vector<fil_arg_info> args;

  /// Name and variant.
  std::string label() const;
};

/// Those of this name and variant, where these are not empty; an error if there
/// are none.
llvm::Expected<std::vector<Kernel>> listKernels(fil_library *library,
                                                llvm::StringRef name,
                                                llvm::StringRef variant);

/// The only one, or the one that fits the inputs; with `cast`, one that would
/// after a conversion.
llvm::Expected<const Kernel *>
chooseKernel(llvm::ArrayRef<Kernel> kernels,
             const llvm::StringMap<Array> &inputs, bool cast);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_KERNELCHOICE_H
