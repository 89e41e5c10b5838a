//===- CudaDevice.h - a GPU as the tools use it ---------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a program that uses the runtime on CUDA brings along itself: a context,
// a stream, memory, copies, time. Through the driver that the runtime finds, so
// that no tool needs more than it does.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_CUDADEVICE_H
#define FILIGREE_FRONTEND_DRIVER_CUDADEVICE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace filigree {

/// The primary context of one device, current on this thread while the object
/// lives, with one stream. Memory must be gone before it.
class CudaDevice {
public:
  static llvm::Expected<std::unique_ptr<CudaDevice>> open(int ordinal);
  ~CudaDevice();
  CudaDevice(const CudaDevice &) = delete;
  CudaDevice &operator=(const CudaDevice &) = delete;

  int ordinal() const;
  std::string name() const; ///< "NVIDIA H200"
  void *stream() const;     ///< for fil_options
  llvm::Error synchronize();

  /// Device memory, 256-byte aligned. `what` names it in an error.
  class Memory {
  public:
    Memory() = default;
    Memory(Memory &&other) { *this = std::move(other); }
    Memory &operator=(Memory &&other);
    ~Memory();
    void *data() const { return address; } ///< null if it has no bytes
    size_t size() const { return bytes; }

  private:
    friend class CudaDevice;
    CudaDevice *device = nullptr;
    void *address = nullptr;
    size_t bytes = 0;
  };
  llvm::Expected<Memory> allocate(size_t bytes, llvm::StringRef what);
  llvm::Error upload(const Memory &to, const void *from);
  llvm::Error download(void *to, const Memory &from);

  /// Milliseconds on the device between two places in the stream.
  llvm::Error startClock();
  llvm::Expected<double> stopClock();

private:
  struct State;
  explicit CudaDevice(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_CUDADEVICE_H
