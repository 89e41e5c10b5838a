//===- TensorCheck.h - what one tensor must be, whatever the others are ---===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tensor is looked at through a View: the canonical rank of the kernel's
// argument, explicit strides, byte address. Extents of different tensors are
// compared elsewhere (ArgumentCheck.h).
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_TENSORCHECK_H
#define FILIGREE_RUNTIME_TENSORCHECK_H

#include "runtime/ArtifactAbi.h"
#include "runtime/filigree.h"

namespace filigree::runtime {

/// Extents and strides in elements, at the argument's canonical rank. The
/// stride of an extent 1 is 0, whatever the caller wrote there, but for the
/// last dimension, whose stride is then 1.
struct View {
  int64_t extent[4];
  int64_t stride[4];
  int64_t address;   ///< of the first element; 0 for null
  int64_t spanBytes; ///< from the first byte to after the last; 0 if empty
  uint32_t elementBytes;
  bool leadingDropped; ///< given at rank - 1
};

uint32_t bytesOf(uint32_t dtype);
const char *dtypeName(uint32_t dtype); ///< "f32"

/// dtype, device, rank, extents, strides, span and, if `needData`, pointer and
/// alignment.
fil_status viewTensor(const fil_abi_arg &arg, const DLTensor &tensor,
                      bool needData, View &view, fil_error *err);

/// True unless a and b provably share no byte. Exact for compact tensors and
/// for slices of one interleaved array (the q, k, v of a fused projection).
bool mayOverlap(const View &a, uint32_t rankA, const View &b, uint32_t rankB);

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_TENSORCHECK_H
