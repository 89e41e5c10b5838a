//===- Safetensors.h - named arrays behind a JSON header ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_SAFETENSORS_H
#define FILIGREE_FRONTEND_DRIVER_SAFETENSORS_H

#include "frontend/driver/Array.h"
#include "llvm/Support/raw_ostream.h"

namespace filigree {

/// The bytes of a whole file: every byte of data belongs to one tensor. Tensors
/// of types that Filigree does not know are an error only if `wanted` names
/// them, or names nothing.
llvm::Expected<NamedArrays>
parseSafetensors(llvm::StringRef file, llvm::ArrayRef<std::string> wanted = {});

void writeSafetensors(
    llvm::raw_ostream &os,
    llvm::ArrayRef<std::pair<std::string, reference::Tensor>> compact);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_SAFETENSORS_H
