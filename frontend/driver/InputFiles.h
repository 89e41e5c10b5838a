//===- InputFiles.h - --in: arrays by name, out of files ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `qkv.npz` and `all.safetensors` give every array that is wanted, `q.npy` the
// one of its own name, `q=other.npy` one under a name of choice; of an archive,
// `q=FILE.npz` takes the array `q`, or the only one. Items stand apart by
// commas.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_INPUTFILES_H
#define FILIGREE_FRONTEND_DRIVER_INPUTFILES_H

#include "frontend/driver/Array.h"
#include "llvm/ADT/StringMap.h"

namespace filigree {

/// Error if a name is given twice, is not wanted, or if a file gives nothing.
llvm::Expected<llvm::StringMap<Array>>
readInputs(llvm::ArrayRef<std::string> items,
           llvm::ArrayRef<std::string> wanted);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_INPUTFILES_H
