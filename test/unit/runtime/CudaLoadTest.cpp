//===- CudaLoadTest.cpp - the driver, the choice of code, loading ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "CudaSupport.h"

#include <atomic>
#include <thread>

using namespace filigree::runtime;
using namespace filigree::runtime::test;

namespace {

class CudaLoad : public Cuda {
protected:
  fil_status prepare(fil_error *err) {
    return fil_prepare(kernel(), &options, err);
  }
  /// A library that has loaded nothing yet.
  void reopen() {
    fil_close(library);
    library = nullptr;
  }
};

//===----------------------------------------------------------------------===//
// The driver
//===----------------------------------------------------------------------===//

TEST_F(CudaLoad, noDriver) {
  setenv("FILIGREE_LIBCUDA", "/nowhere/libcuda.so.1", 1);
  EXPECT_FAILS(prepare(&err), FIL_UNSUPPORTED,
               "expected the cuda driver `/nowhere/libcuda.so.1`, but: "
               "/nowhere/libcuda.so.1: cannot open shared object file: No such "
               "file or directory");
  setenv("FILIGREE_LIBCUDA", "libm.so.6", 1);
  EXPECT_FAILS(prepare(&err), FIL_UNSUPPORTED,
               "expected `libm.so.6` to be a cuda driver, but it has no "
               "cuInit");
  setenv("FILIGREE_LIBCUDA", FAKE_CUDA, 1);
  EXPECT_OK(prepare(&err)); // a failure is not remembered
}

TEST_F(CudaLoad, theDriversName) {
  // Without the variable it is libcuda.so.1, which this process has already,
  // as a library of that name.
  for (const char *value : {"", static_cast<const char *>(nullptr)}) {
    value ? setenv("FILIGREE_LIBCUDA", value, 1) : unsetenv("FILIGREE_LIBCUDA");
    world.calls.clear();
    EXPECT_OK(prepare(&err));
    EXPECT_EQ(world.countOf("cuInit"), 1u);
    reopen();
  }
}

TEST_F(CudaLoad, oldDriver) {
  world.version = 11080;
  EXPECT_FAILS(prepare(&err), FIL_UNSUPPORTED,
               "expected a cuda driver of version 12.0 or later, but "
               "`" FAKE_CUDA "` is of 11.8");
  world.version = 12000;
  EXPECT_OK(prepare(&err));
}

TEST_F(CudaLoad, noDevice) {
  world.devices.clear();
  EXPECT_FAILS(prepare(&err), FIL_UNSUPPORTED,
               "expected a cuda device, but the driver finds none");
  world.devices.resize(1);
  world.failures["cuInit"] = 2;
  EXPECT_FAILS(prepare(&err), FIL_NO_MEMORY,
               "expected the cuda driver to start, but the cuda driver says "
               "CUDA_ERROR_OUT_OF_MEMORY (2): out of memory");
  world.failures.clear();
  DeviceTensor x(world, {1, 1, 5, 8}, 0), o(world, {1, 1, 5, 8}, 0);
  x.dl.device.device_id = o.dl.device.device_id = 3;
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  size_t bytes;
  EXPECT_FAILS(fil_workspace(kernel(), args.data(), 3, &options, &bytes, &err),
               FIL_UNSUPPORTED,
               "expected a device below cuda:1, but got cuda:3");
  world.failures["cuDeviceGetAttribute"] = 1;
  EXPECT_FAILS(prepare(&err), FIL_SYSTEM,
               "expected to examine the cuda device, but the cuda driver says "
               "CUDA_ERROR_INVALID_VALUE (1): what the fake was told");
}

//===----------------------------------------------------------------------===//
// Choice
//===----------------------------------------------------------------------===//

TEST_F(CudaLoad, choiceOfCode) {
  auto code = [&](int major, int minor, bool jit, fil_error *err) {
    world.devices[0].major = major;
    world.devices[0].minor = minor;
    options.allow_jit = jit;
    fil_cuda_info info = FIL_CUDA_INFO_INIT;
    fil_status status = fil_cuda_code(kernel(), 0, &options, &info, err);
    if (status == FIL_OK) {
      EXPECT_EQ(info.device_arch, static_cast<uint32_t>(10 * major + minor));
      EXPECT_EQ(info.multiprocessors, 4u);
    }
    return status == FIL_OK
               ? std::make_tuple(info.code_arch, info.exact, info.jit)
               : std::make_tuple(0u, 0u, 0u);
  };
  fil_error err = FIL_ERROR_INIT;
  auto is = [](uint32_t arch, uint32_t exact, uint32_t jit) {
    return std::make_tuple(arch, exact, jit);
  };
  EXPECT_EQ(code(9, 0, false, &err), is(90, 1, 0));
  EXPECT_EQ(code(9, 0, true, &err), is(90, 1, 0)) << "an image before ptx";
  EXPECT_EQ(code(8, 0, false, &err), is(80, 0, 0));
  EXPECT_EQ(code(8, 9, true, &err), is(80, 0, 0)) << "of the same major";
  EXPECT_EQ(code(10, 0, true, &err), is(80, 0, 1));
  EXPECT_EQ(code(10, 0, false, &err), is(0, 0, 0));
  EXPECT_STREQ(err.message,
               "expected code for sm_100, the chip of cuda:0, in kernel "
               "`blend` variant `d8_f32`, but found sm_80, ptx for sm_80, "
               "sm_90a, which option allow_jit has the driver compile");
  EXPECT_EQ(code(9, 5, true, &err), is(80, 0, 1)) << "sm_90a is for 9.0 alone";
  EXPECT_EQ(code(7, 5, true, &err), is(0, 0, 0));
  EXPECT_EQ(err.code, FIL_UNSUPPORTED);
  EXPECT_STREQ(err.message,
               "expected code for sm_75, the chip of cuda:0, in kernel `blend` "
               "variant `d8_f32`, but found sm_80, ptx for sm_80, sm_90a");
  t.cudas[1].arch_flags = 0; // any 9.x from 9.0
  EXPECT_EQ(code(9, 5, false, &err), is(90, 0, 0));
  t.cudas[1].arch = 86; // the latest that fits
  EXPECT_EQ(code(8, 9, false, &err), is(86, 0, 0));
  EXPECT_EQ(code(8, 0, false, &err), is(80, 0, 0));
  fil_cuda_info small = FIL_CUDA_INFO_INIT;
  small.size = 8;
  EXPECT_FAILS(fil_cuda_code(kernel(), 0, &options, &small, &err), FIL_BAD_CALL,
               "expected fil_cuda_info of size 24, but got 8");
  EXPECT_FAILS(fil_cuda_code(kernel(), 0, &options, nullptr, &err),
               FIL_BAD_CALL,
               "expected a kernel and a place for the answer, but got null");
}

TEST_F(CudaLoad, compilesOnlyIfAllowed) {
  world.devices[0].major = 10;
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  const char *refused =
      "expected code for sm_100, the chip of cuda:0, in kernel `blend` variant "
      "`d8_f32`, but found sm_80, ptx for sm_80, sm_90a, which option "
      "allow_jit has the driver compile";
  EXPECT_FAILS(go(args, &err), FIL_UNSUPPORTED, refused);
  options.allow_jit = 1;
  world.failures["cuLibraryLoadData"] = 218;
  world.compilerLog = "ptxas fatal:\nno such thing";
  EXPECT_FAILS(go(args, &err), FIL_SYSTEM,
               "expected to load the ptx sm_80 code of kernel `blend`, whose "
               "compiler says ptxas fatal: no such thing, but the cuda driver "
               "says CUDA_ERROR_INVALID_PTX (218): what the fake was told");
  world.failures.clear();
  EXPECT_OK(go(args, &err));
  EXPECT_STREQ(static_cast<const char *>(world.launches[0].image), "ptx sm_80");
  EXPECT_EQ(o.data()[1], 5.0f);
  options.allow_jit = 0; // also for what is loaded by now
  EXPECT_FAILS(go(args, &err), FIL_UNSUPPORTED, refused);
  EXPECT_FAILS(prepare(&err), FIL_UNSUPPORTED, refused);
}

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

TEST_F(CudaLoad, oncePerKernel) {
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  EXPECT_OK(prepare(&err));
  EXPECT_OK(prepare(&err));
  EXPECT_OK(go(args, &err));
  EXPECT_EQ(world.countOf("cuLibraryLoadData"), 1u);
  EXPECT_EQ(world.countOf("cuLibraryGetKernel"), 2u);
  EXPECT_EQ(world.countOf("cuKernelSetAttribute"), 2u);

  // A second context of the device and one of another device need no image,
  // but their own functions.
  for (int device : {0, 1}) {
    cuda::Context other = world.makeContext(device);
    world.setCurrent(other);
    options.stream = nullptr;
    EXPECT_OK(prepare(&err));
    DeviceTensor x(world, {1, 1, 5, 8}, device), o(world, {1, 1, 5, 8}, device);
    workspace = world.allocate(1 << 16, MemoryKind::Device, device);
    EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
    EXPECT_EQ(o.data()[2], 7.0f);
  }
  EXPECT_EQ(world.countOf("cuLibraryLoadData"), 1u);
  EXPECT_EQ(world.countOf("cuFuncLoad"), 6u);
  EXPECT_EQ(world.countOf("cuLibraryUnload"), 0u);
  reopen();
  EXPECT_EQ(world.countOf("cuLibraryUnload"), 1u);
}

TEST_F(CudaLoad, anotherChipAnotherImage) {
  world.devices[1].major = 8;
  EXPECT_OK(prepare(&err));
  world.setCurrent(world.makeContext(1));
  options.stream = nullptr;
  DeviceTensor x(world, {1, 1, 5, 8}, 1), o(world, {1, 1, 5, 8}, 1);
  workspace = world.allocate(1 << 16, MemoryKind::Device, 1);
  EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
  EXPECT_STREQ(static_cast<const char *>(world.launches[0].image),
               "image sm_80");
  EXPECT_EQ(world.countOf("cuLibraryLoadData"), 2u);
  reopen();
  EXPECT_EQ(world.countOf("cuLibraryUnload"), 2u);
}

TEST_F(CudaLoad, launchesWithImagesOfTheirOwn) {
  t.launches[1].image = "image of second";
  t.launches[1].image_bytes = 16;
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
  auto imageOf = [&](size_t launch) {
    return std::string(static_cast<const char *>(world.launches[launch].image));
  };
  EXPECT_EQ(imageOf(0), "image sm_90a");
  EXPECT_EQ(imageOf(1), "image of second");
  EXPECT_EQ(world.countOf("cuLibraryLoadData"), 2u);
  reopen();
  EXPECT_EQ(world.countOf("cuLibraryUnload"), 2u);

  // PTX has all functions.
  world.devices[0].major = 10;
  options.allow_jit = 1;
  world.launches.clear();
  EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
  EXPECT_EQ(imageOf(1), "ptx sm_80");
  EXPECT_EQ(world.countOf("cuLibraryLoadData"), 3u);
  reopen();
  EXPECT_EQ(world.countOf("cuLibraryUnload"), 3u);

  // One that lacks its function: both are given back.
  world.devices[0].major = 9;
  t.launches[1].function = "third";
  EXPECT_FAILS(prepare(&err), FIL_BAD_ARTIFACT,
               "expected cuda function `third` in the sm_90a code of kernel "
               "`blend`, but found none");
  EXPECT_EQ(world.countOf("cuLibraryLoadData"), 5u);
  EXPECT_EQ(world.countOf("cuLibraryUnload"), 5u);
}

TEST_F(CudaLoad, anOldContextIsNotANewOne) {
  // A context's address may come again, its id does not.
  EXPECT_OK(prepare(&err));
  size_t loads = world.countOf("cuFuncLoad");
  world.failures["cuCtxGetId"] = 1;
  EXPECT_FAILS(prepare(&err), FIL_SYSTEM,
               "expected a usable cuda context, but the cuda driver says "
               "CUDA_ERROR_INVALID_VALUE (1): what the fake was told");
  world.failures.clear();
  world.setCurrent(world.makeContext(0));
  options.stream = nullptr;
  EXPECT_OK(prepare(&err));
  EXPECT_EQ(world.countOf("cuFuncLoad"), 2 * loads);
}

TEST_F(CudaLoad, manyThreadsAtOnce) {
  const fil_kernel *blend = kernel();
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<DeviceTensor>> tensors;
  for (int i = 0; i < 16; ++i)
    tensors.push_back(std::make_unique<DeviceTensor>(
        world, std::vector<int64_t>{1, 1, 5, 8}));
  std::atomic<bool> start{false};
  for (int i = 0; i < 8; ++i) {
    void *memory = world.allocate(1 << 16, MemoryKind::Device, 0);
    threads.emplace_back([&, i, memory] {
      world.setCurrent(context);
      while (!start)
        std::this_thread::yield();
      auto at = static_cast<size_t>(2 * i);
      std::vector<fil_arg> args =
          argsOf(tensors[at]->dl, tensors[at + 1]->dl, i);
      EXPECT_OK(
          fil_run(blend, args.data(), 3, &options, memory, 1 << 16, &err));
    });
  }
  start = true;
  for (std::thread &thread : threads)
    thread.join();
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(tensors[static_cast<size_t>(2 * i + 1)]->data()[3],
              static_cast<float>(6 + i));
  EXPECT_EQ(world.countOf("cuLibraryLoadData"), 1u);
  EXPECT_EQ(world.countOf("cuInit"), 1u);
}

TEST_F(CudaLoad, whatImagesLack) {
  world.failures["cuLibraryLoadData"] = 200;
  EXPECT_FAILS(prepare(&err), FIL_SYSTEM,
               "expected to load the sm_90a code of kernel `blend`, but the "
               "cuda driver says CUDA_ERROR_INVALID_IMAGE (200): what the fake "
               "was told");
  world.failures.clear();
  t.launches[1].function = "third";
  EXPECT_FAILS(prepare(&err), FIL_BAD_ARTIFACT,
               "expected cuda function `third` in the sm_90a code of kernel "
               "`blend`, but found none");
  EXPECT_EQ(world.countOf("cuLibraryUnload"), 1u);
  t.launches[1].function = "second";
  world.failures["cuLibraryGetKernel"] = 2;
  EXPECT_FAILS(prepare(&err), FIL_NO_MEMORY,
               "expected cuda function `first`, but the cuda driver says "
               "CUDA_ERROR_OUT_OF_MEMORY (2): out of memory");
  world.failures.clear();

  auto describe = world.describe;
  auto withParameters = [&](std::vector<size_t> sizes, int threads) {
    world.describe = [=](const void *image, const std::string &name,
                         FakeFunction &function) {
      if (!describe(image, name, function))
        return false;
      if (name == "second")
        function.parameterBytes = sizes;
      function.maxThreads = threads;
      return true;
    };
  };
  size_t slots = blend::Slots * 8;
  withParameters({slots - 8, 8, 8}, 1024);
  EXPECT_FAILS(prepare(&err), FIL_BAD_ARTIFACT,
               "expected parameter 0 of cuda function `second` of kernel "
               "`blend` to have 264 bytes, but found 256");
  withParameters({slots, 8}, 1024);
  EXPECT_FAILS(prepare(&err), FIL_BAD_ARTIFACT,
               "expected parameter 2 of cuda function `second` of kernel "
               "`blend` to have 8 bytes, but found 0");
  withParameters({slots, 8, 8, 4}, 1024);
  EXPECT_FAILS(prepare(&err), FIL_BAD_ARTIFACT,
               "expected 3 parameters of cuda function `second` of kernel "
               "`blend`, but found more");
  withParameters({slots, 8, 8}, 96);
  EXPECT_FAILS(prepare(&err), FIL_BAD_ARTIFACT,
               "expected cuda function `first` to run 128 threads, but it is "
               "limited to 96");
  reopen();
  world.describe = describe;
  world.devices[0].sharedBytes = 65536;
  EXPECT_FAILS(prepare(&err), FIL_SYSTEM,
               "expected cuda function `first` to get 100000 bytes of shared "
               "memory on cuda:0, but the cuda driver says "
               "CUDA_ERROR_INVALID_VALUE (1): what the fake was told");
  world.devices[0].sharedBytes = 232448;
  world.failures["cuFuncLoad"] = 2;
  EXPECT_FAILS(prepare(&err), FIL_NO_MEMORY,
               "expected cuda function `first` to load, but the cuda driver "
               "says CUDA_ERROR_OUT_OF_MEMORY (2): out of memory");
  world.failures.clear();
  EXPECT_OK(prepare(&err)); // nothing of a failure stays
}

TEST_F(CudaLoad, prepareNeedsItsArguments) {
  EXPECT_FAILS(fil_prepare(nullptr, &options, &err), FIL_BAD_CALL,
               "expected a kernel, but got null");
  world.setCurrent(nullptr);
  EXPECT_FAILS(prepare(&err), FIL_BAD_CALL,
               "expected a current cuda context on the calling thread, but "
               "found none");
  EXPECT_EQ(world.countOf("cuLibraryLoadData"), 0u);
}

//===----------------------------------------------------------------------===//
// Capture
//===----------------------------------------------------------------------===//

TEST_F(CudaLoad, capture) {
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  const char *unloaded =
      "expected kernel `blend` to be loaded before its stream is captured, but "
      "it is not: call fil_prepare first";
  world.beginCapture(stream);
  EXPECT_FAILS(go(args, &err), FIL_BAD_CALL, unloaded);
  EXPECT_FAILS(prepare(&err), FIL_BAD_CALL, unloaded);
  options.stream = nullptr; // would join the capture
  EXPECT_FAILS(go(args, &err), FIL_BAD_CALL, unloaded);
  EXPECT_TRUE(world.endCapture(stream).empty());

  options.stream = stream;
  EXPECT_OK(prepare(&err));
  world.calls.clear();
  world.beginCapture(stream);
  EXPECT_OK(go(args, &err));
  EXPECT_EQ(world.countOf("cuStreamIsCapturing"), 0u) << "it is not asked";
  options.checked = 1;
  EXPECT_FAILS(go(args, &err), FIL_BAD_CALL,
               "expected option checked 0 while the stream is captured, but "
               "got 1: a checked run waits for its end");
  std::vector<FakeLaunch> graph = world.endCapture(stream);
  ASSERT_EQ(graph.size(), 2u);
  EXPECT_EQ(world.launches.size(), 0u);

  // Nothing on the host is needed any more to launch the graph, again and
  // again, with what is then in the tensors.
  for (float start : {1.0f, 5.0f}) {
    for (size_t i = 0; i < x.count; ++i)
      x.data()[i] = start;
    for (const FakeLaunch &launch : graph)
      blendWork(launch);
    EXPECT_EQ(o.data()[39], 2 * start + 3);
  }
}

} // namespace
