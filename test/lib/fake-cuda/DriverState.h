//===- DriverState.h - what the fake driver holds -------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contexts, streams, graphs, code and memory behind the handles of the API, and
// the World by which a test sets them up. FakeCuda.cpp has the functions.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_FAKE_CUDA_DRIVERSTATE_H
#define FILIGREE_TEST_LIB_FAKE_CUDA_DRIVERSTATE_H

#include "test/lib/fake-cuda/FakeCuda.h"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <set>
#include <utility>

namespace filigree::runtime::cuda {
struct ContextHandle {
  int device;
  unsigned long long id;
};
struct GraphHandle {
  std::vector<std::function<Result()>> work;  ///< in order
  std::vector<fakecuda::FakeLaunch> launches; ///< of it
};
struct StreamHandle {
  Context context;
  bool capturing = false;
  GraphHandle captured;
};
struct LibraryHandle {
  const void *image;
  bool loaded = true;
};
struct KernelHandle {
  Library library;
  std::string name;
  fakecuda::FakeFunction function;
  std::map<Device, int> sharedBytes;
  std::set<Context> loadedIn;
};
struct FunctionHandle {
  Kernel kernel;
  Context context;
};
} // namespace filigree::runtime::cuda

namespace filigree::fakecuda {

using namespace filigree::runtime::cuda;

struct Allocation {
  size_t bytes;
  MemoryKind kind;
  int device;
  void *memory;
};

using Held = std::lock_guard<std::recursive_mutex>;

class DriverState final : public World {
public:
  DriverState();

  Context makeContext(int device) override {
    Held held(lock);
    contexts.push_back({device, ++lastId});
    return &contexts.back();
  }
  void setCurrent(Context context) override { current = context; }
  Stream makeStream(Context context) override {
    Held held(lock);
    streams.push_back({});
    streams.back().context = context;
    return &streams.back();
  }
  void *allocate(size_t bytes, MemoryKind kind, int device) override {
    Held held(lock);
    void *memory = aligned_alloc(256, (bytes + 511) / 256 * 256);
    if (memory)
      allocations[reinterpret_cast<uintptr_t>(memory)] = {bytes, kind, device,
                                                          memory};
    return memory;
  }
  std::vector<std::pair<void *, size_t>> allocated() const override {
    std::vector<std::pair<void *, size_t>> all;
    for (const auto &entry : allocations)
      all.emplace_back(entry.second.memory, entry.second.bytes);
    return all;
  }
  void beginCapture(Stream stream) override {
    Held held(lock);
    stream->capturing = true;
  }
  std::vector<FakeLaunch> endCapture(Stream stream) override {
    Held held(lock);
    stream->capturing = false;
    return std::exchange(stream->captured, {}).launches;
  }
  void reset() override;

  const Allocation *find(uintptr_t address) {
    auto after = allocations.upper_bound(address);
    if (after == allocations.begin())
      return nullptr;
    --after;
    return address - after->first < after->second.bytes ? &after->second
                                                        : nullptr;
  }
  bool anyCapture() {
    return std::any_of(streams.begin(), streams.end(),
                       [](const StreamHandle &s) { return s.capturing; });
  }
  /// Does `work` now, or whenever the graph that `stream` captures is launched.
  static Result enqueue(Stream stream, std::function<Result()> work) {
    if (!isCapturing(stream))
      return work();
    stream->captured.work.push_back(std::move(work));
    return kSuccess;
  }
  /// The legacy streams are no handles.
  static bool isCapturing(Stream stream) {
    return reinterpret_cast<uintptr_t>(stream) > 2 && stream->capturing;
  }
  bool isStream(Stream stream) {
    return reinterpret_cast<uintptr_t>(stream) <= 2 ||
           std::any_of(streams.begin(), streams.end(),
                       [&](const StreamHandle &s) { return &s == stream; });
  }
  bool isOf(Stream stream, Context context) {
    return reinterpret_cast<uintptr_t>(stream) <= 2 ||
           stream->context == context;
  }
  bool isDevice(int device) {
    return device >= 0 && device < static_cast<int>(devices.size());
  }

  std::map<uintptr_t, Allocation> allocations;
  std::deque<ContextHandle> contexts; // addresses stay
  std::deque<StreamHandle> streams;
  std::deque<LibraryHandle> libraries;
  std::deque<KernelHandle> kernels;
  std::deque<FunctionHandle> functions;
  std::map<int, Context> primary;
  unsigned long long lastId = 0;
  double clock = 0;
  static thread_local Context current;
};

/// Of this process; outlives every user.
DriverState &world();

} // namespace filigree::fakecuda

#endif // FILIGREE_TEST_LIB_FAKE_CUDA_DRIVERSTATE_H
