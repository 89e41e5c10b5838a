//===- Gpu.cpp - a CUDA device by its driver alone ------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/bench/replay/Gpu.h"

#include <cstdlib>
#include <dlfcn.h>
#include <stdexcept>

using namespace filigree::replay;

template <typename... T>
void Gpu::call(const char *function, T... arguments) const {
  auto pointer = reinterpret_cast<int (*)(T...)>(dlsym(library, function));
  if (!pointer)
    throw std::runtime_error(std::string("expected function ") + function +
                             " in the cuda driver, but found none");
  if (int status = pointer(arguments...))
    throw std::runtime_error(std::string(function) + " failed with status " +
                             std::to_string(status));
}

static uint64_t address(const void *memory) {
  return reinterpret_cast<uint64_t>(memory);
}

Gpu::Gpu() {
  const char *named = getenv("FILIGREE_LIBCUDA");
  library = dlopen(named ? named : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw std::runtime_error(std::string("expected a cuda driver, but got ") +
                             dlerror());
  call("cuInit", 0u);
  call("cuDeviceGet", &device, 0);
  call("cuDevicePrimaryCtxRetain", &context, device);
  enter();
}

void Gpu::enter() const { call("cuCtxSetCurrent", context); }

std::string Gpu::describe() const {
  char name[128] = {};
  int version = 0;
  call("cuDeviceGetName", &name[0], int(sizeof(name) - 1), device);
  call("cuDriverGetVersion", &version);
  return std::string(name) + ", driver for CUDA " +
         std::to_string(version / 1000) + "." +
         std::to_string(version % 1000 / 10);
}

void *Gpu::allocate(size_t bytes) const {
  uint64_t memory = 0;
  call("cuMemAlloc_v2", &memory, bytes);
  return reinterpret_cast<void *>(memory);
}

void Gpu::free(void *memory) const {
  // Errors of an end are of no use.
  if (auto pointer =
          reinterpret_cast<int (*)(uint64_t)>(dlsym(library, "cuMemFree_v2")))
    pointer(address(memory));
}

void Gpu::upload(void *to, const void *from, size_t bytes) const {
  if (bytes)
    call("cuMemcpyHtoD_v2", address(to), from, bytes);
}

void Gpu::download(void *to, const void *from, size_t bytes) const {
  if (bytes)
    call("cuMemcpyDtoH_v2", to, address(from), bytes);
}

void Gpu::fill(void *memory, uint8_t byte, size_t bytes) const {
  if (bytes)
    call("cuMemsetD8_v2", address(memory), byte, bytes);
}

void *Gpu::createStream() const {
  void *stream = nullptr;
  // A default stream: copies go through the legacy stream, which it waits for.
  call("cuStreamCreate", &stream, 0u);
  return stream;
}

void Gpu::synchronize(void *stream) const {
  call("cuStreamSynchronize", stream);
}

double Gpu::time(void *stream, const std::function<void()> &queue) const {
  void *begin = nullptr, *end = nullptr;
  float milliseconds = 0;
  call("cuEventCreate", &begin, 0u);
  call("cuEventCreate", &end, 0u);
  call("cuEventRecord", begin, stream);
  queue();
  call("cuEventRecord", end, stream);
  call("cuEventSynchronize", end);
  call("cuEventElapsedTime", &milliseconds, begin, end);
  call("cuEventDestroy_v2", begin);
  call("cuEventDestroy_v2", end);
  return milliseconds;
}
