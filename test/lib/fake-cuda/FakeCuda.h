//===- FakeCuda.h - a CUDA driver for tests without a GPU -----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A shared library that has the functions of libcuda.so.1 which Filigree calls.
// It is found as a driver is, by FILIGREE_LIBCUDA or LD_LIBRARY_PATH, and keeps
// the driver's rules: contexts, streams, what a pointer is, what a capture
// forbids, limits of tensor maps and launches. Device memory is host memory and
// a launch is a call of a function that the test gives, so answers can be
// right.
//
// A test steers it through the World that `fake_cuda_world` returns, and reads
// there what was called. A program that is not a test gets its World filled by
// a plugin: the library named by the environment variable FAKE_CUDA_PLUGIN,
// whose function `fake_cuda_plugin` is called once with the World.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_FAKE_CUDA_FAKECUDA_H
#define FILIGREE_TEST_LIB_FAKE_CUDA_FAKECUDA_H

#include "runtime/cuda/Driver.h"

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace filigree::fakecuda {

namespace cuda = filigree::runtime::cuda;

struct FakeDevice {
  int major = 9, minor = 0, multiprocessors = 4;
  int sharedBytes = 232448; ///< most dynamic shared memory of a CTA
};

struct FakeFunction {
  std::vector<size_t> parameterBytes;
  int maxThreads = 1024;
};

/// One cuLaunchKernelEx, with its parameters copied.
struct FakeLaunch {
  const void *image;
  std::string function;
  unsigned grid, threads, sharedBytes;
  bool follows; ///< may begin while the one before ends
  cuda::Stream stream;
  std::vector<std::vector<char>> parameters;
};

/// What cuTensorMapEncodeTiled leaves in the 128 bytes.
struct FakeTensorMap {
  uint64_t magic; ///< kMapMagic
  uint64_t address, extents[4], strides[3];
  uint32_t box[4];
  uint8_t type, rank, swizzle, l2Promotion;
};
static_assert(sizeof(FakeTensorMap) <= sizeof(cuda::TensorMap));
inline constexpr uint64_t kMapMagic = 0x70616d2d656b6166;

enum class MemoryKind { Pinned, Device, Managed };

class __attribute__((visibility("default"))) World {
public:
  virtual ~World() = default;

  // What there is. Reset by `reset`.
  int version = 13000;
  std::vector<FakeDevice> devices{1};
  /// The function of an image, or false. Images are whatever bytes the artifact
  /// has; tests use text.
  std::function<bool(const void *image, const std::string &name,
                     FakeFunction &function)>
      describe;
  /// What a launch does; null: nothing. Not 0: the error of the launch.
  std::function<int(const FakeLaunch &)> work;
  /// Error that a function returns until it is taken away, by name.
  std::map<std::string, int> failures;
  std::string compilerLog; ///< what the compiler of PTX complains about

  // What happened.
  std::vector<std::string> calls; ///< names of all functions called
  std::vector<FakeLaunch> launches;
  size_t countOf(const std::string &function) const {
    return static_cast<size_t>(
        std::count(calls.begin(), calls.end(), function));
  }

  // What a program would do through functions that Filigree does not call.
  virtual cuda::Context makeContext(int device) = 0;
  virtual void setCurrent(cuda::Context context) = 0; ///< of this thread
  virtual cuda::Stream makeStream(cuda::Context context) = 0;
  virtual void *allocate(size_t bytes, MemoryKind kind, int device) = 0;
  /// All memory that is allocated, with its size.
  virtual std::vector<std::pair<void *, size_t>> allocated() const = 0;
  virtual void beginCapture(cuda::Stream stream) = 0;
  /// Ends the capture; the launches in it.
  virtual std::vector<FakeLaunch> endCapture(cuda::Stream stream) = 0;
  /// Forgets everything, frees all memory, makes no context current.
  virtual void reset() = 0;

  std::recursive_mutex lock;
};

} // namespace filigree::fakecuda

extern "C" filigree::fakecuda::World *fake_cuda_world();

#endif // FILIGREE_TEST_LIB_FAKE_CUDA_FAKECUDA_H
