//===- TensorMap.h - descriptors of the tensor memory accelerator ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From an argument's slots to the 128 bytes that a kernel loads tiles through.
// What the hardware cannot do with a tensor is a fault of the argument and said
// so before the driver is asked: it only knows "invalid value".
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_CUDA_TENSORMAP_H
#define FILIGREE_RUNTIME_CUDA_TENSORMAP_H

#include "runtime/ArgumentCheck.h"
#include "runtime/cuda/Driver.h"

namespace filigree::runtime::cuda {

/// Address and strides of every argument whose flags ask for it: rows of 16
/// bytes, offsets of 32 bits.
fil_status checkLayouts(const fil_abi_kernel &kernel,
                        const BoundArguments &bound, fil_error *err);

/// Fills `out`; all zero if the argument is absent.
fil_status encodeTensorMap(const Driver &driver, const fil_abi_kernel &kernel,
                           const fil_abi_tensor_map &map,
                           const BoundArguments &bound, TensorMap &out,
                           fil_error *err);

} // namespace filigree::runtime::cuda

#endif // FILIGREE_RUNTIME_CUDA_TENSORMAP_H
