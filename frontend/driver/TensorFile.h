//===- TensorFile.h - arrays in files, whatever the format ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Formats by ending: .npy (one array), .npz (read only), .safetensors. Errors
// start with the path.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_TENSORFILE_H
#define FILIGREE_FRONTEND_DRIVER_TENSORFILE_H

#include "frontend/driver/Array.h"

namespace filigree {

/// Arrays of a file. The array of an .npy has no name. `wanted` non-empty: only
/// these are read from files that hold several; one that is missing is simply
/// not in the result.
llvm::Expected<NamedArrays>
readTensorFile(llvm::StringRef path, llvm::ArrayRef<std::string> wanted = {});

/// The same from memory; `path` gives the ending.
llvm::Expected<NamedArrays>
parseTensorFile(llvm::StringRef path, llvm::StringRef bytes,
                llvm::ArrayRef<std::string> wanted = {});

/// Writes .safetensors, or .npy if there is one array. Tensors are compact.
llvm::Error writeTensorFile(
    llvm::StringRef path,
    llvm::ArrayRef<std::pair<std::string, reference::Tensor>> arrays);

/// Error unless writeTensorFile knows the ending and takes so many arrays.
llvm::Error checkOutputName(llvm::StringRef path, size_t arrays);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_TENSORFILE_H
