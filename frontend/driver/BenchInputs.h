//===- BenchInputs.h - the arrays and scalars of a benchmark --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Random-normal tensors, the same in every run; tables and lists come from
// files.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_BENCHINPUTS_H
#define FILIGREE_FRONTEND_DRIVER_BENCHINPUTS_H

#include "frontend/driver/Bench.h"
#include "frontend/driver/BoundArray.h"

namespace filigree {

/// An array for each tensor argument; outputs are NaN.
llvm::Expected<BoundArrays> benchArrays(llvm::ArrayRef<fil_arg_info> infos,
                                        const RunShape &shape,
                                        llvm::ArrayRef<std::string> files);

/// The settings as arguments.
llvm::Expected<std::vector<fil_arg>>
benchScalars(llvm::ArrayRef<fil_arg_info> infos,
             llvm::ArrayRef<Setting> settings, llvm::StringRef kernelName);

/// The same as the reference takes them.
reference::Inputs valuesOf(const BoundArrays &arrays,
                           llvm::ArrayRef<fil_arg> scalars);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_BENCHINPUTS_H
