//===- main.cpp - runs a compiled attention pattern on CUDA ---------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// embed-cuda ARTIFACT.so PATTERN [N]: captures a run of a pattern of q, k, v
// [H, N, D] (bf16) into a graph, launches it twice with different queries, and
// compares with the CPU.
//
//===----------------------------------------------------------------------===//
#include "Driver.h"
#include "runtime/filigree.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

static fil_error err = FIL_ERROR_INIT;
static void check(fil_status status) {
  if (status == FIL_UNSUPPORTED)
    throw Unsupported(err.message);
  if (status != FIL_OK)
    throw std::runtime_error(err.message);
}
static void cuda(int result, const char *what) {
  if (result != 0)
    throw std::runtime_error(std::string(what) + " fails with CUDA error " +
                             std::to_string(result));
}

//===----------------------------------------------------------------------===//
// The device: a context, a stream, memory
//===----------------------------------------------------------------------===//

class Device {
public:
  Device() {
    cuda(driver.cuDeviceGet(&device, 0), "cuDeviceGet");
    cuda(driver.cuPrimaryContextRetain(&context, device), "a context");
    cuda(driver.cuContextSetCurrent(context), "cuCtxSetCurrent");
    cuda(driver.cuStreamCreate(&stream, 0), "a stream");
  }
  ~Device() {
    for (Address address : allocated)
      driver.cuMemFree(address);
    driver.cuStreamDestroy(stream);
    driver.cuContextSetCurrent(nullptr);
    driver.cuPrimaryContextRelease(device);
  }
  Device(const Device &) = delete;

  void *allocate(size_t bytes) {
    Address address = 0;
    cuda(driver.cuMemAlloc(&address, bytes), "an allocation");
    allocated.push_back(address);
    return reinterpret_cast<void *>(address);
  }
  void upload(void *to, const void *from, size_t bytes) {
    cuda(driver.cuCopyToDevice(reinterpret_cast<Address>(to), from, bytes),
         "a copy to the device");
  }
  void download(void *to, const void *from, size_t bytes) {
    cuda(driver.cuCopyToHost(to, reinterpret_cast<Address>(from), bytes),
         "a copy from the device");
  }

  Driver driver;
  Stream stream = nullptr;

private:
  int device = 0;
  Context context = nullptr;
  std::vector<Address> allocated;
};

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

static uint16_t toBf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
static float fromBf16(uint16_t value) {
  uint32_t bits = uint32_t(value) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

/// A compact array as DLPack sees it, on the host or on the device.
struct Array {
  Array(std::vector<int64_t> extents, bool isBf16)
      : shape(std::move(extents)), isBf16(isBf16) {
    size_t count = size_t(std::accumulate(shape.begin(), shape.end(),
                                          int64_t(1), std::multiplies<>()));
    bytes.resize(count * (isBf16 ? 2 : 4));
    tensor.ndim = int32_t(shape.size());
    tensor.dtype = {uint8_t(isBf16 ? kDLBfloat : kDLFloat),
                    uint8_t(isBf16 ? 16 : 32), 1};
    tensor.shape = shape.data();
    useHost();
  }
  Array(const Array &) = delete;
  void useHost() {
    tensor.data = bytes.data();
    tensor.device = {kDLCPU, 0};
  }
  void useDevice(void *address) {
    tensor.data = address;
    tensor.device = {kDLCUDA, 0};
  }
  void fill(std::mt19937 &random) {
    std::normal_distribution<float> normal;
    for (size_t k = 0; k < bytes.size(); k += 2) {
      uint16_t value = toBf16(normal(random));
      std::memcpy(&bytes[k], &value, 2);
    }
  }
  std::vector<float> values() const {
    std::vector<float> result;
    for (size_t k = 0; k < bytes.size(); k += isBf16 ? 2 : 4) {
      uint16_t half;
      float whole;
      if (isBf16)
        std::memcpy(&half, &bytes[k], 2);
      else
        std::memcpy(&whole, &bytes[k], 4);
      result.push_back(isBf16 ? fromBf16(half) : whole);
    }
    return result;
  }

  std::vector<int64_t> shape;
  bool isBf16;
  std::vector<char> bytes;
  DLTensor tensor = {};
};

static float largestDifference(const std::vector<float> &a,
                               const std::vector<float> &b) {
  float largest = 0;
  for (size_t k = 0; k < a.size(); ++k) {
    float difference = std::fabs(a[k] - b[k]);
    if (!(difference <= largest)) // NaN is large
      largest = difference;
  }
  return largest;
}

//===----------------------------------------------------------------------===//
// The run
//===----------------------------------------------------------------------===//

struct Attention {
  Attention(int64_t heads, int64_t n, int64_t dim)
      : q({heads, n, dim}, true), k({heads, n, dim}, true),
        v({heads, n, dim}, true), o({heads, n, dim}, true),
        lse({heads, n}, false) {}
  std::vector<Array *> arrays() { return {&q, &k, &v, &o, &lse}; }
  std::vector<fil_arg> args() {
    return {fil_tensor_arg("q", &q.tensor), fil_tensor_arg("k", &k.tensor),
            fil_tensor_arg("v", &v.tensor), fil_tensor_arg("o", &o.tensor),
            fil_tensor_arg("lse", &lse.tensor)};
  }
  Array q, k, v, o, lse;
};

static void runOnCpu(const fil_kernel *kernel, Attention &attention) {
  std::vector<fil_arg> args = attention.args();
  fil_options options = FIL_OPTIONS_INIT;
  size_t bytes = 0;
  check(fil_workspace(kernel, args.data(), 5, &options, &bytes, &err));
  std::unique_ptr<void, decltype(&std::free)> workspace(
      std::aligned_alloc(64, bytes / 64 * 64 + 64), std::free);
  check(
      fil_run(kernel, args.data(), 5, &options, workspace.get(), bytes, &err));
}

/// The run as a graph that can be launched again and again.
static Executable capture(const fil_kernel *kernel, Attention &attention,
                          Device &device, const fil_options &options) {
  std::vector<fil_arg> args = attention.args();
  size_t bytes = 0;
  check(fil_workspace(kernel, args.data(), 5, &options, &bytes, &err));
  void *workspace = bytes ? device.allocate(bytes) : nullptr;
  check(fil_prepare(kernel, &options, &err)); // nothing may load in a capture
  Driver &driver = device.driver;
  Graph graph = nullptr;
  Executable executable = nullptr;
  cuda(driver.cuStreamBeginCapture(device.stream, kCaptureThreadLocal),
       "the capture");
  fil_status status =
      fil_run(kernel, args.data(), 5, &options, workspace, bytes, &err);
  cuda(driver.cuStreamEndCapture(device.stream, &graph), "the capture");
  check(status);
  cuda(driver.cuGraphInstantiate(&executable, graph, 0), "the graph");
  driver.cuGraphDestroy(graph);
  return executable;
}

/// True if both replays agree with the CPU.
static bool run(const char *path, const char *pattern, int64_t n) {
  Device device; // outlives what the library loads there
  fil_library *library = nullptr;
  check(fil_open(path, &library, &err));
  std::unique_ptr<fil_library, decltype(&fil_close)> closer(library, fil_close);
  const fil_kernel *kernel = nullptr;
  check(fil_find(library, pattern, nullptr, &kernel, &err));
  fil_options options = FIL_OPTIONS_INIT;
  options.stream = device.stream;
  fil_cuda_info code = FIL_CUDA_INFO_INIT;
  check(fil_cuda_code(kernel, 0, &options, &code, &err));
  std::printf("%s %s on %u multiprocessors, code for sm_%u%s\n",
              fil_kernel_name(kernel), fil_kernel_variant(kernel),
              code.multiprocessors, code.code_arch, code.exact ? "a" : "");

  fil_arg_info info = FIL_ARG_INFO_INIT; // of q [B, H, N, D], which comes first
  check(fil_kernel_arg(kernel, 0, &info, &err));
  Attention onCpu(2, n, info.extent[3]), onGpu(2, n, info.extent[3]);
  std::mt19937 random(1);
  for (Array *array : {&onCpu.k, &onCpu.v})
    array->fill(random);
  onGpu.k.bytes = onCpu.k.bytes;
  onGpu.v.bytes = onCpu.v.bytes;
  for (Array *array : onGpu.arrays()) {
    array->useDevice(device.allocate(array->bytes.size()));
    device.upload(array->tensor.data, array->bytes.data(), array->bytes.size());
  }

  Executable graph = capture(kernel, onGpu, device, options);
  bool agree = true;
  for (int replay = 1; replay <= 2; ++replay) {
    onCpu.q.fill(random);
    device.upload(onGpu.q.tensor.data, onCpu.q.bytes.data(),
                  onCpu.q.bytes.size());
    cuda(device.driver.cuGraphLaunch(graph, device.stream), "the launch");
    cuda(device.driver.cuStreamSynchronize(device.stream), "the graph");
    for (Array *array : {&onGpu.o, &onGpu.lse})
      device.download(array->bytes.data(), array->tensor.data,
                      array->bytes.size());
    runOnCpu(kernel, onCpu);
    float o = largestDifference(onCpu.o.values(), onGpu.o.values());
    float lse = largestDifference(onCpu.lse.values(), onGpu.lse.values());
    std::printf("replay %d: o differs by %.2g, lse by %.2g from the CPU's\n",
                replay, o, lse);
    agree = agree && o < 0.02f && lse < 0.005f; // a few roundings to bf16
  }
  device.driver.cuGraphExecDestroy(graph);
  return agree;
}

int main(int argc, char **argv) try {
  if (argc < 3)
    throw std::runtime_error("expected ARTIFACT.so PATTERN [N]");
  return run(argv[1], argv[2], argc > 3 ? std::stoll(argv[3]) : 256) ? 0 : 1;
} catch (const Unsupported &error) {
  std::printf("unsupported: %s\n", error.what());
  return 77;
} catch (const std::exception &error) {
  std::fprintf(stderr, "embed-cuda: %s\n", error.what());
  return 1;
}
