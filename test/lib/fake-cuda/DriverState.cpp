//===- DriverState.cpp - what the fake driver holds -----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/lib/fake-cuda/DriverState.h"

#include <dlfcn.h>

namespace filigree::fakecuda {

thread_local Context DriverState::current = nullptr;

DriverState::DriverState() {
  if (const char *path = getenv("FAKE_CUDA_PLUGIN")) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    auto *fill = handle ? reinterpret_cast<void (*)(World *)>(
                              dlsym(handle, "fake_cuda_plugin"))
                        : nullptr;
    if (fill)
      fill(this);
  }
}

void DriverState::reset() {
  Held held(lock);
  for (auto &entry : allocations)
    free(entry.second.memory);
  allocations.clear();
  contexts.clear();
  streams.clear();
  libraries.clear();
  kernels.clear();
  functions.clear();
  primary.clear();
  failures.clear();
  calls.clear();
  launches.clear();
  compilerLog.clear();
  describe = nullptr;
  work = nullptr;
  version = 13000;
  devices.assign(1, FakeDevice());
  current = nullptr;
}

DriverState &world() {
  static auto *state = new DriverState;
  return *state;
}

} // namespace filigree::fakecuda

extern "C" __attribute__((visibility("default"))) filigree::fakecuda::World *
fake_cuda_world() {
  return &filigree::fakecuda::world();
}
