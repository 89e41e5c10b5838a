//===- BoundArray.h - arrays as the arguments of a run --------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_BOUNDARRAY_H
#define FILIGREE_FRONTEND_DRIVER_BOUNDARRAY_H

#include "frontend/driver/Array.h"
#include "frontend/driver/CudaDevice.h"
#include "runtime/filigree.h"

namespace filigree {

/// None of a kind that no argument has.
std::optional<DType> dtypeOf(uint32_t filDtype);

/// An array bound to a tensor argument. Stays where it is: the run has pointers
/// to it.
struct BoundArray {
  BoundArray(const fil_arg_info &info, Array array);
  BoundArray(const BoundArray &) = delete;

  /// `tensor` is `array`.
  void useHost();

  fil_arg_info info;
  Array array;
  DLTensor tensor = {};
};
using BoundArrays = std::vector<std::unique_ptr<BoundArray>>;

/// Copies of arrays on a device, which their tensors are while this lives.
class DeviceCopies {
public:
  explicit DeviceCopies(CudaDevice &device) : device(device) {}
  ~DeviceCopies();
  llvm::Error upload(const BoundArrays &arrays);
  /// Outputs, back into their arrays.
  llvm::Error download();

private:
  CudaDevice &device;
  std::vector<std::pair<BoundArray *, CudaDevice::Memory>> copies;
};

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_BOUNDARRAY_H
