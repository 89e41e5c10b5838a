//===- Module.h - the device code of a kernel, chosen and loaded ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A code's images are loaded once per kernel and belong to no context; what a
// context needs besides (functions loaded there, shared memory allowed) is done
// once per context and kept in a list that runs read without a lock:
//
//   fil_kernel -> Prepared (context 7) -> Prepared (context 3)
//                    |                       |
//                    +----> Image <----------+      (one per code in use)
//
// Only preparing takes the library's lock, allocates and may be slow. Nothing
// is taken back before fil_close.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_CUDA_MODULE_H
#define FILIGREE_RUNTIME_CUDA_MODULE_H

#include "runtime/ArtifactTable.h"
#include "runtime/cuda/Device.h"

#include <atomic>

namespace filigree::runtime::cuda {

/// A code of the kernel, and whether it is its PTX that fits.
struct Choice {
  const fil_abi_cuda *code;
  bool jit;
};

/// Before the driver is looked for.
fil_status checkHasCode(const fil_abi_kernel &kernel, fil_error *err);

/// An image made for the device itself, else the latest one of the same major
/// that the device runs, else PTX if the caller allows that.
fil_status chooseCode(const fil_abi_kernel &kernel, const DeviceInfo &device,
                      bool allowJit, Choice &choice, fil_error *err);

/// "sm_90a".
struct ArchName {
  char chars[16];
};
ArchName archName(const fil_abi_cuda &code);

struct Image {
  Choice choice;
  Library library;
  Library own[kMaxLaunches]; ///< of launches with images of their own, or null
  Image *next;
  Kernel functions[kMaxLaunches]; ///< by launch
};

struct Prepared {
  uint64_t context; ///< CurrentContext::id
  DeviceInfo device;
  const Image *image;
  Prepared *next;
};

/// The part of a fil_kernel that device code needs.
struct KernelModule {
  std::atomic<Prepared *> prepared{nullptr};
  Image *images = nullptr; ///< under the library's lock
};

/// What is ready in this context, or null.
const Prepared *findPrepared(const KernelModule &module,
                             const CurrentContext &context);

/// Makes the kernel ready in this context; the library's lock is held.
/// `stream` is where the run will be: nothing is loaded while it is captured.
fil_status prepare(const Driver &driver, const fil_abi_kernel &kernel,
                   KernelModule &module, const CurrentContext &context,
                   const DeviceInfo &device, bool allowJit, Stream stream,
                   const Prepared *&prepared, fil_error *err);

/// Unloads everything.
void unload(const Driver &driver, KernelModule &module);

} // namespace filigree::runtime::cuda

#endif // FILIGREE_RUNTIME_CUDA_MODULE_H
