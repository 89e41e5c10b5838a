//===- Npy.h - NumPy's .npy: one array ------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Versions 1.0 to 3.0, little-endian, C order; f2, f4, f8, i4, i8, and V2,
// which is how NumPy stores the bfloat16 of ml_dtypes.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_NPY_H
#define FILIGREE_FRONTEND_DRIVER_NPY_H

#include "frontend/driver/Array.h"
#include "llvm/Support/raw_ostream.h"

namespace filigree {

/// The bytes of a whole file, no more and no less.
llvm::Expected<Array> parseNpy(llvm::StringRef file);

void writeNpy(llvm::raw_ostream &os, const reference::Tensor &compact);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_NPY_H
