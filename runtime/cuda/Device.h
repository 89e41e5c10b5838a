//===- Device.h - devices, contexts, streams and pointers of a run --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads what the caller has set up and says what is wrong with it. Nothing is
// made current, created or changed here.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_CUDA_DEVICE_H
#define FILIGREE_RUNTIME_CUDA_DEVICE_H

#include "runtime/cuda/Driver.h"

namespace filigree::runtime::cuda {

struct DeviceInfo {
  Device device;
  int ordinal;   ///< as in DLDevice
  uint32_t arch; ///< 10 x major + minor
  int multiprocessors;
};

/// A CUdevice is its ordinal.
fil_status describeDevice(const Driver &driver, int ordinal, DeviceInfo &info,
                          fil_error *err);

struct CurrentContext {
  Context handle;
  uint64_t id; ///< never used again in the process, unlike the handle
  Device device;
};

/// The caller's current context.
fil_status currentContext(const Driver &driver, CurrentContext &context,
                          fil_error *err);

/// The stream must be of the current context.
fil_status checkStream(const Driver &driver, const CurrentContext &context,
                       Stream stream, fil_error *err);

/// Whether the stream is being captured into a graph. A stream that cannot say
/// so, the legacy one during a capture, counts as captured.
bool isCapturing(const Driver &driver, Stream stream);

enum class Memory {
  Device, ///< memory of the device, or managed
  Mapped  ///< also pinned host memory that the device can reach
};

/// Checks that the device can use `address` as `wanted` and gives the address
/// by which it does. `what` is the thing's name in the sentence: "`q`".
fil_status checkPointer(const Driver &driver, const DeviceInfo &device,
                        int64_t address, Memory wanted, const char *what,
                        fil_code code, int64_t &onDevice, fil_error *err);

} // namespace filigree::runtime::cuda

#endif // FILIGREE_RUNTIME_CUDA_DEVICE_H
