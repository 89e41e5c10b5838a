//===- CudaSupport.h - a kernel with cuda code and a driver to run it -----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The driver is the one of test/lib/fake-cuda. The kernel `blend` has two
// launches, one for each kind of grid:
//
//   first   workspace[row] := 2 x[row]           persistent, a tensor map of x
//   second  o[row] := workspace[row] + w         a CTA per unit
//
// and reports a bad column if w is 7. Its optional `y` is only mapped.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_UNIT_RUNTIME_CUDASUPPORT_H
#define FILIGREE_TEST_UNIT_RUNTIME_CUDASUPPORT_H

#include "TestSupport.h"
#include "test/lib/fake-cuda/FakeCuda.h"

#include <cstring>
#include <dlfcn.h>

namespace filigree::runtime::test {

using fakecuda::FakeFunction;
using fakecuda::FakeLaunch;
using fakecuda::FakeTensorMap;
using fakecuda::MemoryKind;

namespace blend {
enum { B, H, N, M, Dims };
enum { X = 1 + Dims, Y = X + 9, W = Y + 9, O = W + 1, Slots = O + 9 };
constexpr int64_t width = 8;

inline int64_t rows(const int64_t *slots) {
  return slots[1 + B] * slots[1 + H] * slots[1 + N];
}
inline int64_t bytes(const int64_t *slots, int64_t multiprocessors) {
  return rows(slots) * width * 4 + 256 * multiprocessors;
}
inline int64_t units(const int64_t *slots, int64_t) { return rows(slots); }
inline void plan(const int64_t *slots, int64_t multiprocessors, int64_t *plan) {
  plan[0] = rows(slots);
  plan[1] = multiprocessors;
}
inline int64_t noBytes(const int64_t *, int64_t) { return 0; }
} // namespace blend

/// The table, whose members a test may change before it is opened.
struct BlendTable {
  const char *dims[4] = {"B", "H", "N", "M"};
  fil_abi_arg args[4] = {};
  fil_abi_tensor_map maps[2] = {
      {sizeof(fil_abi_tensor_map), 0, {1, 1, 2, 8}, 32, 0},
      {sizeof(fil_abi_tensor_map), 1, {1, 1, 4, 8}, 0, 0}};
  fil_abi_launch launches[2] = {
      {sizeof(fil_abi_launch), 128, 100000, 2, FIL_ABI_LAUNCH_PERSISTENT, 2,
       "first", maps, blend::units, nullptr, 0, nullptr, 0, 0},
      {sizeof(fil_abi_launch), 64, 0, 1, 0, 0, "second", nullptr, blend::units,
       nullptr, 0, nullptr, 0, 0}};
  fil_abi_cuda cudas[2] = {{sizeof(fil_abi_cuda), 80, 0, 2, "image sm_80", 12,
                            "ptx sm_80", 9, blend::bytes, launches},
                           {sizeof(fil_abi_cuda), 90, FIL_ABI_CUDA_EXACT, 2,
                            "image sm_90a", 13, nullptr, 0, blend::bytes,
                            launches}};
  fil_abi_kernel kernel = {};
  fil_abi_table table = {FIL_ABI_MAGIC,
                         sizeof(fil_abi_table),
                         FIL_ABI_MAJOR,
                         FIL_ABI_MINOR,
                         1,
                         "test",
                         &kernel};

  BlendTable() {
    using namespace blend;
    auto tensor = [](const char *name, uint32_t kind, uint32_t flags,
                     uint32_t slot, int32_t tokens) {
      fil_abi_arg arg = {};
      arg.size = sizeof(arg);
      arg.kind = kind;
      arg.name = name;
      arg.dtype = FIL_ABI_F32;
      arg.flags = flags;
      arg.rank = 4;
      arg.slot = slot;
      arg.dim[0] = {B, 0};
      arg.dim[1] = {H, 0};
      arg.dim[2] = {tokens, 0};
      arg.dim[3] = {-1, width};
      return arg;
    };
    args[0] = tensor("x", FIL_ABI_INPUT,
                     FIL_ABI_LEADING_OPTIONAL | FIL_ABI_MAY_BROADCAST, X, N);
    args[1] = tensor("y", FIL_ABI_INPUT, FIL_ABI_ARG_OPTIONAL, Y, M);
    args[2].size = sizeof(fil_abi_arg);
    args[2].kind = FIL_ABI_SCALAR;
    args[2].name = "w";
    args[2].dtype = FIL_ABI_I64;
    args[2].slot = W;
    args[2].max = 100;
    args[2].has_preset = 1;
    args[3] = tensor("o", FIL_ABI_OUTPUT,
                     FIL_ABI_LEADING_OPTIONAL | FIL_ABI_CUDA_OFFSETS_32 |
                         FIL_ABI_CUDA_ROWS_16,
                     O, N);
    kernel.size = sizeof(kernel);
    kernel.slot_count = Slots;
    kernel.name = "blend";
    kernel.variant = "d8_f32";
    kernel.dim_count = Dims;
    kernel.arg_count = 4;
    kernel.dims = dims;
    kernel.args = args;
    kernel.cuda_count = 2;
    kernel.cuda = cudas;
  }
  BlendTable(const BlendTable &) = delete;
  BlendTable &operator=(const BlendTable &) = delete;
};

template <typename T> T valueOf(const std::vector<char> &bytes) {
  T value;
  EXPECT_EQ(bytes.size(), sizeof(T));
  memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

inline std::vector<int64_t> slotsOf(const FakeLaunch &launch) {
  const std::vector<char> &bytes =
      launch.parameters[launch.parameters.size() - 3];
  std::vector<int64_t> slots(bytes.size() / 8);
  memcpy(slots.data(), bytes.data(), bytes.size());
  return slots;
}
inline int64_t unitsOf(const FakeLaunch &launch) {
  return valueOf<int64_t>(launch.parameters.back());
}

/// What the two functions do on a GPU.
inline int blendWork(const FakeLaunch &launch) {
  using namespace blend;
  std::vector<int64_t> slots = slotsOf(launch);
  auto *workspace = reinterpret_cast<float *>(
      valueOf<uint64_t>(launch.parameters[launch.parameters.size() - 2]));
  bool first = launch.function == "first";
  const int64_t *at = slots.data() + (first ? X : O);
  for (int64_t row = 0; row < unitsOf(launch); ++row) {
    int64_t n = row % slots[1 + N], bh = row / slots[1 + N];
    auto *data = reinterpret_cast<float *>(at[0]) + bh / slots[1 + H] * at[5] +
                 bh % slots[1 + H] * at[6] + n * at[7];
    for (int64_t d = 0; d < width; ++d)
      if (first)
        workspace[row * width + d] = 2 * data[d];
      else
        data[d] = workspace[row * width + d] + static_cast<float>(slots[W]);
  }
  if (first && slots[W] == 7 && slots[0]) {
    auto *word = reinterpret_cast<fil_status_word *>(slots[0]);
    if (word->code == 0)
      *word = {FIL_ABI_COLUMN_OUT_OF_RANGE, 0, 1, 2, 99};
  }
  return 0;
}

/// Device memory with a shape; the fields of `dl` may be bent by a test.
class DeviceTensor {
public:
  DeviceTensor(fakecuda::World &world, std::vector<int64_t> extents,
               int device = 0, MemoryKind kind = MemoryKind::Device)
      : shape(std::move(extents)) {
    count = 1;
    for (int64_t extent : shape)
      count *= static_cast<size_t>(extent);
    dl.data = world.allocate(count * 4 + 64, kind, device);
    for (size_t i = 0; i < count; ++i)
      data()[i] = static_cast<float>(i);
    dl.device = {kDLCUDA, device};
    dl.ndim = static_cast<int32_t>(shape.size());
    dl.dtype = {kDLFloat, 32, 1};
    dl.shape = shape.data();
    dl.strides = nullptr;
    dl.byte_offset = 0;
  }
  DeviceTensor(const DeviceTensor &) = delete;
  DeviceTensor &operator=(const DeviceTensor &) = delete;

  float *data() { return static_cast<float *>(dl.data); }
  int64_t address() const { return reinterpret_cast<int64_t>(dl.data); }
  DeviceTensor &setStrides(std::vector<int64_t> values) {
    strides = std::move(values);
    dl.strides = strides.data();
    return *this;
  }

  std::vector<int64_t> shape, strides;
  size_t count;
  DLTensor dl;
};

/// The fake driver, two devices, a context and a stream on the first, and the
/// library of a BlendTable, opened by the first use of `kernel`.
class Cuda : public ::testing::Test {
protected:
  Cuda() : world(theWorld()) {
    setenv("FILIGREE_LIBCUDA", FAKE_CUDA, 1);
    world.reset();
    world.devices.resize(2);
    world.describe = [](const void *image, const std::string &name,
                        FakeFunction &function) {
      size_t slots = blend::Slots * 8;
      if (name == "first")
        function.parameterBytes = {128, 128, slots, 8, 8};
      else if (name == "second")
        function.parameterBytes = {slots, 8, 8};
      else
        return false;
      return true;
    };
    world.work = blendWork;
    context = world.makeContext(0);
    stream = world.makeStream(context);
    world.setCurrent(context);
    options.stream = stream;
  }
  ~Cuda() override {
    fil_close(library);
    world.reset();
    unsetenv("FILIGREE_LIBCUDA");
  }

  static fakecuda::World &theWorld() {
    void *handle = dlopen(FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
    auto *get = reinterpret_cast<fakecuda::World *(*)()>(
        dlsym(handle, "fake_cuda_world"));
    return *get();
  }

  const fil_kernel *kernel() {
    if (!library)
      EXPECT_OK(fil_open_static(&t.table, &library, &err));
    return fil_kernel_at(library, 0);
  }

  static std::vector<fil_arg> argsOf(const DLTensor &x, const DLTensor &o,
                                     int64_t w = 3,
                                     const DLTensor *y = nullptr) {
    std::vector<fil_arg> args = {fil_tensor_arg("x", &x), fil_int_arg("w", w),
                                 fil_tensor_arg("o", &o)};
    if (y)
      args.push_back(fil_tensor_arg("y", y));
    return args;
  }

  size_t bytesFor(const std::vector<fil_arg> &args) {
    size_t bytes = 0;
    auto count = static_cast<uint32_t>(args.size());
    EXPECT_OK(
        fil_workspace(kernel(), args.data(), count, &options, &bytes, &err));
    return bytes;
  }

  /// With a workspace of its own.
  fil_status go(const std::vector<fil_arg> &args, fil_error *err) {
    if (!workspace)
      workspace = world.allocate(1 << 16, MemoryKind::Device, 0);
    return fil_run(kernel(), args.data(), static_cast<uint32_t>(args.size()),
                   &options, workspace, 1 << 16, err);
  }

  fakecuda::World &world;
  BlendTable t;
  fil_library *library = nullptr;
  fil_options options = FIL_OPTIONS_INIT;
  cuda::Context context;
  cuda::Stream stream;
  void *workspace = nullptr;
};

} // namespace filigree::runtime::test

#endif // FILIGREE_TEST_UNIT_RUNTIME_CUDASUPPORT_H
