//===- Gpu.h - a CUDA device by its driver alone --------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The driver is found as the runtime finds it: FILIGREE_LIBCUDA, else
// libcuda.so.1. Whatever fails throws a sentence.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_BENCH_REPLAY_GPU_H
#define FILIGREE_TEST_BENCH_REPLAY_GPU_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace filigree::replay {

class Gpu {
public:
  Gpu();
  /// Makes the device's context the calling thread's.
  void enter() const;
  std::string describe() const;

  void *allocate(size_t bytes) const;
  void free(void *memory) const;
  void upload(void *to, const void *from, size_t bytes) const;
  void download(void *to, const void *from, size_t bytes) const;
  void fill(void *memory, uint8_t byte, size_t bytes) const;

  void *createStream() const;
  void synchronize(void *stream) const;
  /// Milliseconds that the stream takes for what `queue` puts on it.
  double time(void *stream, const std::function<void()> &queue) const;

private:
  template <typename... T>
  void call(const char *function, T... arguments) const;

  void *library;
  int device = 0;
  void *context = nullptr;
};

/// Device memory of exactly as many bytes, so that what lies beyond is found.
class DeviceMemory {
public:
  DeviceMemory(const Gpu &gpu, size_t bytes)
      : gpu(gpu), data(bytes ? gpu.allocate(bytes) : nullptr), bytes(bytes) {}
  ~DeviceMemory() {
    if (data)
      gpu.free(data);
  }
  DeviceMemory(const DeviceMemory &) = delete;

  const Gpu &gpu;
  void *const data;
  const size_t bytes;
};

} // namespace filigree::replay

#endif // FILIGREE_TEST_BENCH_REPLAY_GPU_H
