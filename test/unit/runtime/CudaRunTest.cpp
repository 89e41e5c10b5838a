//===- CudaRunTest.cpp - runs on a CUDA device, and what they refuse ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "CudaSupport.h"

#include <algorithm>
#include <set>

using namespace filigree::runtime;
using namespace filigree::runtime::test;

namespace {

class CudaRun : public Cuda {};

//===----------------------------------------------------------------------===//
// What is launched
//===----------------------------------------------------------------------===//

TEST_F(CudaRun, computes) {
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
  for (size_t i = 0; i < o.count; ++i)
    ASSERT_EQ(o.data()[i], 2.0f * static_cast<float>(i) + 3.0f);

  ASSERT_EQ(world.launches.size(), 2u);
  const FakeLaunch &first = world.launches[0], &second = world.launches[1];
  EXPECT_STREQ(static_cast<const char *>(first.image), "image sm_90a");
  EXPECT_EQ(first.function, "first");
  EXPECT_EQ(first.grid, 8u); // 30 units on 4 multiprocessors x 2
  EXPECT_EQ(first.threads, 128u);
  EXPECT_EQ(first.sharedBytes, 100000u);
  EXPECT_EQ(first.stream, stream);
  EXPECT_EQ(second.function, "second");
  EXPECT_EQ(second.grid, 30u);
  EXPECT_EQ(second.threads, 64u);
  for (const FakeLaunch &launch : {first, second}) {
    EXPECT_EQ(slotsOf(launch),
              (std::vector<int64_t>{
                  0,  2, 3,           5, 0, x.address(), 2, 3,   5,  8, 120,
                  40, 8, 1,           0, 1, 1,           1, 1,   0,  0, 0,
                  0,  3, o.address(), 2, 3, 5,           8, 120, 40, 8, 1}));
    EXPECT_EQ(unitsOf(launch), 30);
    EXPECT_EQ(valueOf<void *>(launch.parameters[launch.parameters.size() - 2]),
              workspace);
  }
}

TEST_F(CudaRun, unitsAndGrids) {
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
  EXPECT_EQ(world.launches[0].grid, 5u) << "no more CTAs than units";
  world.launches.clear();
  DeviceTensor none(world, {1, 0, 5, 8}), empty(world, {1, 0, 5, 8});
  none.dl.data = empty.dl.data = nullptr;
  EXPECT_OK(go(argsOf(none.dl, empty.dl), &err));
  EXPECT_EQ(world.launches.size(), 0u) << "a grid of 0 is not legal";
}

TEST_F(CudaRun, tooManyUnits) {
  t.launches[1].units = [](const int64_t *, int64_t) {
    return int64_t(1) << 31;
  };
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  EXPECT_FAILS(go(argsOf(x.dl, o.dl), &err), FIL_BAD_ARGUMENT,
               "expected launch 1 of kernel `blend` to have fewer than 2^31 "
               "units, but these shapes give 2147483648");
  t.launches[1].units = [](const int64_t *, int64_t) { return int64_t(-1); };
  EXPECT_FAILS(go(argsOf(x.dl, o.dl), &err), FIL_BAD_ARTIFACT,
               "expected launch 1 of kernel `blend` to have at least 0 units, "
               "but found -1");
}

TEST_F(CudaRun, unitsOfTheDevice) {
  t.launches[0].units = [](const int64_t *slots, int64_t multiprocessors) {
    return blend::rows(slots) - 2 * multiprocessors;
  };
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
  EXPECT_EQ(unitsOf(world.launches[0]), 30 - 2 * 4);
  EXPECT_EQ(unitsOf(world.launches[1]), 30);
}

TEST_F(CudaRun, clearsWhatALaunchAsksFor) {
  DeviceTensor x(world, {2, 3, 50, 8}), o(world, {2, 3, 50, 8});
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  auto clears = [&] {
    return std::count(world.calls.begin(), world.calls.end(),
                      "cuMemsetD8Async");
  };
  EXPECT_OK(go(args, &err));
  EXPECT_EQ(clears(), 0);
  t.launches[1].flags = FIL_ABI_LAUNCH_ZEROED;
  EXPECT_OK(go(args, &err));
  EXPECT_EQ(clears(), 1) << "for the launch that asks, not for the other";
  // Of what `first` left for `second`, 2048 numbers are gone.
  for (size_t i = 0; i < o.count; ++i)
    ASSERT_EQ(o.data()[i],
              (i < 2048 ? 0 : 2.0f * static_cast<float>(i)) + 3.0f);

  for (fil_abi_cuda &cuda : t.cudas)
    cuda.workspace_bytes = blend::noBytes;
  for (uint32_t flag : {FIL_ABI_LAUNCH_ZEROED, FIL_ABI_LAUNCH_ZEROED_DRAWN}) {
    t.launches[1].flags = flag;
    EXPECT_FAILS(
        go(args, &err), FIL_BAD_ARTIFACT,
        "expected kernel `blend` to need 8192 bytes or more, as launch 1 "
        "has some of them zeroed, but found 0");
  }
}

TEST_F(CudaRun, clearsWhatCtasDrawFrom) {
  for (fil_abi_cuda &cuda : t.cudas)
    cuda.workspace_bytes = [](const int64_t *, int64_t) {
      return int64_t(2 * FIL_ABI_ZEROED_BYTES);
    };
  // Eight CTAs at most.
  t.launches[0].flags = FIL_ABI_LAUNCH_PERSISTENT | FIL_ABI_LAUNCH_ZEROED_DRAWN;
  for (int64_t rows : {8, 9}) {
    DeviceTensor x(world, {1, 1, rows, 8}), o(world, {1, 1, rows, 8});
    world.calls.clear();
    EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
    EXPECT_EQ(
        std::count(world.calls.begin(), world.calls.end(), "cuMemsetD8Async"),
        rows == 9);
  }
}

TEST_F(CudaRun, launchesThatFollow) {
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  auto follows = [&] {
    world.launches.clear();
    EXPECT_OK(go(args, &err));
    std::vector<bool> result;
    for (const FakeLaunch &launch : world.launches)
      result.push_back(launch.follows);
    return result;
  };
  EXPECT_EQ(follows(), (std::vector<bool>{false, false}));
  t.launches[1].flags = FIL_ABI_LAUNCH_FOLLOWS;
  EXPECT_EQ(follows(), (std::vector<bool>{false, true}));
  // What goes before the first of a run is not ours.
  t.launches[0].units = [](const int64_t *, int64_t) { return int64_t(0); };
  EXPECT_EQ(follows(), (std::vector<bool>{false}));
}

TEST_F(CudaRun, plans) {
  t.launches[1].plan = blend::plan;
  t.launches[1].plan_count = 2;
  world.describe = [before = world.describe](const void *image,
                                             const std::string &name,
                                             FakeFunction &function) {
    bool found = before(image, name, function);
    if (name == "second")
      function.parameterBytes.push_back(16);
    return found;
  };
  std::vector<int64_t> plan(2);
  world.work = [&](FakeLaunch launch) {
    if (launch.function == "second") {
      memcpy(plan.data(), launch.parameters.back().data(), 16);
      launch.parameters.pop_back();
    }
    return blendWork(launch);
  };
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
  EXPECT_EQ(plan, (std::vector<int64_t>{30, 4}));
  EXPECT_EQ(o.data()[1], 5.0f);
}

TEST_F(CudaRun, planThatTheFunctionDoesNotTake) {
  t.launches[1].plan = blend::plan;
  t.launches[1].plan_count = 2;
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  EXPECT_FAILS(go(argsOf(x.dl, o.dl), &err), FIL_BAD_ARTIFACT,
               "expected parameter 3 of cuda function `second` of kernel "
               "`blend` to have 16 bytes, but found 0");
}

TEST_F(CudaRun, allocatesAndWaitsForNothing) {
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  EXPECT_OK(go(args, &err));
  world.calls.clear();
  EXPECT_OK(go(args, &err));
  std::set<std::string> called(world.calls.begin(), world.calls.end());
  EXPECT_EQ(called, (std::set<std::string>{
                        "cuCtxGetCurrent", "cuCtxGetDevice", "cuCtxGetId",
                        "cuStreamGetCtx", "cuPointerGetAttributes",
                        "cuTensorMapEncodeTiled", "cuLaunchKernelEx"}));
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

TEST_F(CudaRun, tensorsOfSeveralPlaces) {
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8}, 1);
  EXPECT_FAILS(go(argsOf(x.dl, o.dl), &err), FIL_BAD_ARGUMENT,
               "expected `o` on cuda:0 like `x`, but it is on cuda:1");
  Tensor<float> host{{1, 1, 5, 8}};
  EXPECT_FAILS(go(argsOf(x.dl, host.dl), &err), FIL_BAD_ARGUMENT,
               "expected `o` on cuda:0 like `x`, but it is in cpu memory");
  EXPECT_FAILS(go(argsOf(host.dl, o.dl), &err), FIL_BAD_ARGUMENT,
               "expected `o` in cpu memory like `x`, but it is on cuda:1");
}

TEST_F(CudaRun, codeForThePlace) {
  Tensor<float> x{{1, 1, 5, 8}}, o{{1, 1, 5, 8}};
  EXPECT_FAILS(go(argsOf(x.dl, o.dl), &err), FIL_UNSUPPORTED,
               "expected cpu code in kernel `blend` variant `d8_f32`, but "
               "found none");
  DeviceTensor dx(world, {1, 1, 5, 8}), d0(world, {1, 1, 5, 8});
  t.kernel.cuda_count = 0;
  fil_close(library);
  library = nullptr;
  unsetenv("FILIGREE_LIBCUDA"); // and no driver is looked for
  std::vector<fil_arg> args = argsOf(dx.dl, d0.dl);
  const char *none = "expected cuda code in kernel `blend` variant `d8_f32`, "
                     "but found none";
  EXPECT_FAILS(go(args, &err), FIL_UNSUPPORTED, none);
  size_t bytes;
  EXPECT_FAILS(fil_workspace(kernel(), args.data(), 3, &options, &bytes, &err),
               FIL_UNSUPPORTED, none);
  EXPECT_FAILS(fil_prepare(kernel(), &options, &err), FIL_UNSUPPORTED, none);
  fil_cuda_info info = FIL_CUDA_INFO_INIT;
  EXPECT_FAILS(fil_cuda_code(kernel(), 0, &options, &info, &err),
               FIL_UNSUPPORTED, none);
}

TEST_F(CudaRun, contexts) {
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  world.setCurrent(nullptr);
  EXPECT_FAILS(go(args, &err), FIL_BAD_CALL,
               "expected a current cuda context on the calling thread, but "
               "found none");
  cuda::Context other = world.makeContext(1);
  options.stream = world.makeStream(other);
  world.setCurrent(other);
  const char *wrong = "expected the current cuda context to be of cuda:0, "
                      "where the tensors are, but it is of cuda:1";
  EXPECT_FAILS(go(args, &err), FIL_BAD_CALL, wrong);
  EXPECT_OK(fil_prepare(kernel(), &options, &err));
  EXPECT_FAILS(go(args, &err), FIL_BAD_CALL, wrong);
  world.setCurrent(context);
  EXPECT_FAILS(go(args, &err), FIL_BAD_CALL,
               "expected option stream to be of the current cuda context, but "
               "it is of another");
  int unknown[4];
  options.stream = unknown;
  EXPECT_FAILS(go(args, &err), FIL_SYSTEM,
               "expected option stream to be a stream of the current context, "
               "but the cuda driver says CUDA_ERROR_INVALID_HANDLE (400): what "
               "the fake was told");
  for (uintptr_t special : {0, 1, 2}) {
    options.stream = reinterpret_cast<void *>(special);
    EXPECT_OK(go(args, &err));
    EXPECT_EQ(world.launches.back().stream, options.stream);
  }
  world.failures["cuCtxGetDevice"] = 700;
  EXPECT_FAILS(go(args, &err), FIL_SYSTEM,
               "expected a usable cuda context, but the cuda driver says "
               "CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access was "
               "encountered");
}

TEST_F(CudaRun, pointers) {
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  Tensor<float> host{{1, 1, 5, 8}};
  DLTensor bent = x.dl;
  bent.data = host.data();
  EXPECT_FAILS(go(argsOf(bent, o.dl), &err), FIL_BAD_ARGUMENT,
               "expected `x` in memory of cuda:0, but its address is unknown "
               "to the cuda driver");
  bent.data = world.allocate(4096, MemoryKind::Pinned, 0);
  EXPECT_FAILS(go(argsOf(bent, o.dl), &err), FIL_BAD_ARGUMENT,
               "expected `x` in memory of cuda:0, but its address is of pinned "
               "host memory");
  bent.data = world.allocate(4096, MemoryKind::Device, 1);
  EXPECT_FAILS(go(argsOf(x.dl, bent), &err), FIL_BAD_ARGUMENT,
               "expected `o` in memory of cuda:0, but its address is of "
               "cuda:1");
  EXPECT_EQ(world.launches.size(), 0u);
  DeviceTensor managed(world, {1, 1, 5, 8}, 1, MemoryKind::Managed);
  managed.dl.device = {kDLCUDA, 0};
  EXPECT_OK(go(argsOf(managed.dl, o.dl), &err));
}

TEST_F(CudaRun, workspace) {
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  world.setCurrent(nullptr); // not needed to ask
  x.dl.data = nullptr;
  EXPECT_EQ(bytesFor(args), 30u * 32 + 256 * 4);
  world.devices[0].multiprocessors = 132;
  EXPECT_EQ(bytesFor(args), 30u * 32 + 256 * 132);
  options.checked = 1;
  EXPECT_EQ(bytesFor(args), 128 + 30u * 32 + 256 * 132);
  world.devices[0].multiprocessors = 4;
  options.checked = 0;
  x.dl.data = world.allocate(4096, MemoryKind::Device, 0);
  world.setCurrent(context);

  auto with = [&](void *memory, size_t bytes, fil_error *err) {
    return fil_run(kernel(), args.data(), 3, &options, memory, bytes, err);
  };
  auto *memory =
      static_cast<char *>(world.allocate(4096, MemoryKind::Device, 0));
  EXPECT_FAILS(with(nullptr, 4096, &err), FIL_BAD_WORKSPACE,
               "expected a workspace of 1984 bytes for kernel `blend`, but got "
               "null");
  EXPECT_FAILS(with(memory, 1983, &err), FIL_BAD_WORKSPACE,
               "expected a workspace of 1984 bytes for kernel `blend`, but got "
               "1983");
  EXPECT_FAILS(with(memory + 64, 1984, &err), FIL_BAD_WORKSPACE,
               "expected a workspace aligned to 128 bytes, but its address is "
               "64 bytes past that");
  alignas(128) static char host[4096];
  EXPECT_FAILS(with(host, 4096, &err), FIL_BAD_WORKSPACE,
               "expected the workspace in memory of cuda:0, but its address is "
               "unknown to the cuda driver");
  EXPECT_EQ(world.launches.size(), 0u);
  EXPECT_OK(with(memory, 1984, &err));
  t.cudas[1].workspace_bytes = [](const int64_t *, int64_t) {
    return int64_t(-1);
  };
  EXPECT_FAILS(with(memory, 1984, &err), FIL_BAD_ARTIFACT,
               "expected kernel `blend` to need 0 to 2^62 bytes, but found -1");
}

TEST_F(CudaRun, noWorkspace) {
  t.cudas[1].workspace_bytes = blend::noBytes;
  world.work = nullptr;
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  EXPECT_EQ(bytesFor(args), 0u);
  EXPECT_OK(fil_run(kernel(), args.data(), 3, &options, nullptr, 0, &err));
  EXPECT_EQ(valueOf<uint64_t>(world.launches[1].parameters[1]), 0u);
}

//===----------------------------------------------------------------------===//
// Bad entries
//===----------------------------------------------------------------------===//

TEST_F(CudaRun, statusWord) {
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  for (MemoryKind kind :
       {MemoryKind::Pinned, MemoryKind::Device, MemoryKind::Managed}) {
    options.status = static_cast<fil_status_word *>(
        world.allocate(sizeof(fil_status_word), kind, 0));
    *options.status = {};
    EXPECT_OK(go(argsOf(x.dl, o.dl, 7), &err));
    EXPECT_EQ(slotsOf(world.launches.back())[0],
              reinterpret_cast<int64_t>(options.status));
    EXPECT_EQ(options.status->code, FIL_ABI_COLUMN_OUT_OF_RANGE);
    EXPECT_EQ(options.status->col, 99);
  }
  fil_status_word local = {};
  options.status = &local;
  EXPECT_FAILS(go(argsOf(x.dl, o.dl, 7), &err), FIL_BAD_CALL,
               "expected option status in memory of cuda:0 or pinned memory, "
               "but its address is unknown to the cuda driver");
  options.status =
      static_cast<fil_status_word *>(world.allocate(64, MemoryKind::Device, 1));
  EXPECT_FAILS(go(argsOf(x.dl, o.dl, 7), &err), FIL_BAD_CALL,
               "expected option status in memory of cuda:0 or pinned memory, "
               "but its address is of cuda:1");
  options.status = reinterpret_cast<fil_status_word *>(
      static_cast<char *>(world.allocate(64, MemoryKind::Device, 0)) + 2);
  EXPECT_FAILS(go(argsOf(x.dl, o.dl, 7), &err), FIL_BAD_CALL,
               "expected option status aligned to 4 bytes, but its address is "
               "2 bytes past that");
}

TEST_F(CudaRun, checked) {
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  options.checked = 1;
  workspace = world.allocate(1 << 16, MemoryKind::Device, 0);
  memset(workspace, 0xa5, 1 << 16);
  EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
  EXPECT_EQ(world.countOf("cuStreamSynchronize"), 1u);
  EXPECT_EQ(slotsOf(world.launches[0])[0], reinterpret_cast<int64_t>(workspace))
      << "the word is the first of the workspace";
  EXPECT_EQ(valueOf<char *>(world.launches[1].parameters[1]),
            static_cast<char *>(workspace) + 128);

  char text[256];
  fil_status_word word = {FIL_ABI_COLUMN_OUT_OF_RANGE, 0, 1, 2, 99};
  fil_status_text(&word, text, sizeof(text));
  std::string expected =
      std::string("kernel `blend` dropped a bad entry: ") + text;
  EXPECT_FAILS(go(argsOf(x.dl, o.dl, 7), &err), FIL_BAD_INDEX, expected);
  EXPECT_EQ(o.data()[0], 7.0f) << "the entry is dropped, the rest is there";

  // Every run reports its own entry; the caller's word keeps the first.
  options.status = static_cast<fil_status_word *>(
      world.allocate(sizeof(fil_status_word), MemoryKind::Device, 0));
  *options.status = {};
  EXPECT_FAILS(go(argsOf(x.dl, o.dl, 7), &err), FIL_BAD_INDEX, expected);
  EXPECT_EQ(options.status->col, 99);
  options.status->col = 5;
  EXPECT_FAILS(go(argsOf(x.dl, o.dl, 7), &err), FIL_BAD_INDEX, expected);
  EXPECT_EQ(options.status->col, 5);
  EXPECT_OK(go(argsOf(x.dl, o.dl, 1), &err));

  world.failures["cuStreamSynchronize"] = 700;
  EXPECT_FAILS(go(argsOf(x.dl, o.dl), &err), FIL_SYSTEM,
               "expected the checked run to finish, but the cuda driver says "
               "CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access was "
               "encountered");
}

//===----------------------------------------------------------------------===//
// What the driver refuses
//===----------------------------------------------------------------------===//

TEST_F(CudaRun, failuresOfTheDriver) {
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  EXPECT_OK(go(args, &err));
  auto failing = [&](const char *function, int error, fil_error *err) {
    world.failures = {{function, error}};
    fil_status status = go(args, err);
    world.failures.clear();
    return status;
  };
  EXPECT_FAILS(failing("cuLaunchKernelEx", 2, &err), FIL_NO_MEMORY,
               "expected cuda function `first` of kernel `blend` to launch, "
               "but the cuda driver says CUDA_ERROR_OUT_OF_MEMORY (2): out of "
               "memory");
  EXPECT_FAILS(failing("cuTensorMapEncodeTiled", 1, &err), FIL_SYSTEM,
               "expected a tensor map of `x`, but the cuda driver says "
               "CUDA_ERROR_INVALID_VALUE (1): what the fake was told");
  EXPECT_FAILS(failing("cuPointerGetAttributes", 4444, &err), FIL_SYSTEM,
               "expected `x` to be at an address that the cuda driver knows, "
               "but the cuda driver says an unknown error (4444): what the "
               "fake was told");
  options.checked = 1;
  EXPECT_FAILS(failing("cuMemsetD8Async", 1, &err), FIL_SYSTEM,
               "expected to clear the status word, but the cuda driver says "
               "CUDA_ERROR_INVALID_VALUE (1): what the fake was told");
}

TEST_F(CudaRun, optionsOfAnOlderHeader) {
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  options.size = 40; // before it had a stream
  options.stream = reinterpret_cast<void *>(uintptr_t(0xbad));
  EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
  EXPECT_EQ(world.launches[0].stream, nullptr);
}

} // namespace
