//===- CudaRunTest.cpp - filigree run --device cuda without a GPU ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The whole subcommand on the driver of test/lib/fake-cuda. The artifact's cuda
// code is a name; what a launch does is the cpu code of the same kernel, on the
// slots that the launch was given. So the answer is right only if arrays went
// to the device and came back, and the check must say so.
//
//===----------------------------------------------------------------------===//
#include "codegen/Compiler.h"
#include "codegen/cpu/EmitObject.h"
#include "frontend/driver/LoadPattern.h"
#include "frontend/driver/Run.h"
#include "frontend/driver/TensorFile.h"
#include "test/lib/fake-cuda/FakeCuda.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "gtest/gtest.h"
#include <dlfcn.h>

using namespace filigree;
using fakecuda::FakeFunction;
using fakecuda::FakeLaunch;

namespace {

constexpr const char *kHost = R"(
define i64 @twin_units(ptr %slots, i64 %multiprocessors) {
  ret i64 3
}
define i64 @twin_bytes(ptr %slots, i64 %multiprocessors) {
  ret i64 1000
}
)";

ObjectBytes hostObject() {
  auto machine = cpu::targetMachineFor(getCpuTargets().front());
  llvm::LLVMContext context;
  llvm::SMDiagnostic error;
  auto module = llvm::parseAssemblyString(kHost, error, context);
  module->setTargetTriple(machine->getTargetTriple());
  module->setDataLayout(machine->createDataLayout());
  return cpu::emitObject(*module, *machine);
}

/// A kernel's cpu code, serially, on the slots of a launch.
int runOnCpu(const fil_abi_kernel &kernel, const FakeLaunch &launch) {
  const fil_abi_cpu &code = kernel.cpu[0];
  auto *slots = reinterpret_cast<const int64_t *>(launch.parameters[0].data());
  std::vector<int64_t> scratch(code.scratch_bytes(slots) / 8 + 16),
      shared(code.shared_bytes(slots) / 8 + 16);
  auto aligned = [](std::vector<int64_t> &memory) {
    auto address = reinterpret_cast<uintptr_t>(memory.data());
    return reinterpret_cast<void *>((address + 63) / 64 * 64);
  };
  for (uint32_t p = 0; p < code.phase_count; ++p)
    for (int64_t u = 0; u < code.phases[p].units(slots); ++u)
      code.phases[p].run(slots, u, aligned(scratch), aligned(shared));
  return 0;
}

class CudaRun : public ::testing::Test {
protected:
  CudaRun() {
    setenv("FILIGREE_LIBCUDA", FAKE_CUDA, 1);
    void *driver = dlopen(FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
    world = reinterpret_cast<fakecuda::World *(*)()>(
        dlsym(driver, "fake_cuda_world"))();
    world->reset();
    EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("filigree-run", folder));
    compile();
    writeInputs();
    request.artifact = (folder + "/twin.so").str();
    request.inputs = {(folder + "/in.safetensors").str()};
    request.settings = {"window=5"};
    request.device = "cuda";
    request.output = (folder + "/out.safetensors").str();
  }
  ~CudaRun() override {
    world->reset();
    unsetenv("FILIGREE_LIBCUDA");
    if (handle)
      dlclose(handle);
    llvm::sys::fs::remove_directories(folder);
  }

  void compile() {
    mlir::MLIRContext context;
    loadDialects(context);
    LoadRequest load;
    load.path = SOURCE_DIR "/examples/03-window-sink/window_sink.attn";
    load.pattern = "window_sink_run_time";
    load.headDim = 16;
    auto pattern = llvm::cantFail(loadPattern(load, context));
    auto compiled =
        compilePattern(*pattern.module, getCpuTargets().take_front(), {});
    ASSERT_TRUE(mlir::succeeded(compiled));
    ArtifactKernel &kernel = compiled->kernel;
    CudaCode code;
    code.arch = 90;
    code.archFlags = FIL_ABI_CUDA_EXACT;
    code.image = "twin";
    code.workspaceBytes = "twin_bytes";
    CudaLaunch launch;
    launch.function = "twin";
    launch.units = "twin_units";
    launch.threads = 64;
    code.launches.push_back(launch);
    kernel.cuda.push_back(code);
    size_t slotBytes = kernel.interface.slotCount * 8;
    compiled->objects.push_back(hostObject());
    compiled->objects.push_back(emitTable({kernel}, FIL_ABI_SYMBOL));
    auto bytes = llvm::cantFail(linkArtifact(compiled->objects));
    std::error_code error;
    std::string path = (folder + "/twin.so").str();
    llvm::raw_fd_ostream(path, error).write(bytes.data(), bytes.size());
    ASSERT_FALSE(error);

    handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_TRUE(handle) << dlerror();
    auto *table =
        static_cast<const fil_abi_table *>(dlsym(handle, FIL_ABI_SYMBOL));
    world->describe = [=](const void *, const std::string &name,
                          FakeFunction &function) {
      function.parameterBytes = {slotBytes, 8, 8};
      return name == "twin";
    };
    world->work = [=](const FakeLaunch &launch) {
      return runOnCpu(table->kernels[0], launch);
    };
  }

  void writeInputs() {
    std::vector<Array> arrays;
    std::vector<std::pair<std::string, reference::Tensor>> views;
    arrays.reserve(3);
    for (const char *name : {"q", "k", "v"}) {
      arrays.push_back(
          llvm::cantFail(Array::allocate(DType::F32, {2, 37, 16})));
      auto *values = reinterpret_cast<float *>(arrays.back().bytes.data());
      for (int i = 0; i < 2 * 37 * 16; ++i)
        values[i] = float((i * 7919 + *name * 31) % 251) / 125.5f - 1.0f;
      views.push_back({name, arrays.back().tensor()});
    }
    llvm::cantFail(writeTensorFile((folder + "/in.safetensors").str(), views));
  }

  /// The error's sentence, empty after success; the report in `said`.
  std::string go() {
    said.clear();
    llvm::raw_string_ostream os(said);
    llvm::Error error = runArtifact(request, os);
    return error ? llvm::toString(std::move(error)) : std::string();
  }

  fakecuda::World *world;
  llvm::SmallString<128> folder;
  void *handle = nullptr;
  RunRequest request;
  std::string said;
};

TEST_F(CudaRun, checksAndTimes) {
  request.check = true;
  request.repeat = 3;
  EXPECT_EQ(go(), "");
  EXPECT_NE(said.find("check: o"), std::string::npos) << said;
  EXPECT_NE(said.find("check: lse"), std::string::npos) << said;
  // Events of the fake are a quarter of a millisecond apart.
  EXPECT_NE(said.find("time: median 0.250 ms, min 0.250 ms, 3 runs, cuda:0 "
                      "Fake, code for sm_90a, workspace 1128 bytes\n"),
            std::string::npos)
      << said;
  EXPECT_EQ(world->launches.size(), 4u) << "one checked, three timed";
  EXPECT_EQ(world->countOf("cuStreamSynchronize"), 1u);
  EXPECT_TRUE(llvm::sys::fs::exists(request.output));
  // Nothing is left behind: inputs, outputs, workspace, code, context.
  EXPECT_EQ(world->countOf("cuMemAlloc_v2"), 6u);
  EXPECT_EQ(world->countOf("cuMemFree_v2"), 6u);
  EXPECT_EQ(world->countOf("cuLibraryUnload"), 1u);
  EXPECT_EQ(world->countOf("cuDevicePrimaryCtxRelease_v2"), 1u);
}

TEST_F(CudaRun, sameBytesAsOnTheCpu) {
  EXPECT_EQ(go(), "");
  auto onCuda = llvm::MemoryBuffer::getFile(request.output);
  std::string first = (*onCuda)->getBuffer().str();
  request.device = "cpu";
  request.isa = "baseline";
  EXPECT_EQ(go(), "");
  auto onCpu = llvm::MemoryBuffer::getFile(request.output);
  EXPECT_EQ(first, (*onCpu)->getBuffer().str());
}

TEST_F(CudaRun, wrongAnswersAreFound) {
  auto work = world->work;
  world->work = [=](const FakeLaunch &) { return 0; }; // outputs stay NaN
  request.check = true;
  EXPECT_EQ(go(), "the outputs differ from the reference by more than the rule "
                  "allows");
  EXPECT_FALSE(llvm::sys::fs::exists(request.output));
}

TEST_F(CudaRun, failures) {
  world->failures["cuMemAlloc_v2"] = 2;
  EXPECT_EQ(go(), "expected 4736 bytes on cuda:0 for 'q', but the cuda driver "
                  "says CUDA_ERROR_OUT_OF_MEMORY (2): out of memory");
  world->failures = {{"cuDevicePrimaryCtxRetain", 1}};
  EXPECT_EQ(go(), "expected a context on cuda:0, but the cuda driver says "
                  "CUDA_ERROR_INVALID_VALUE (1): what the fake was told");
  world->failures = {{"cuEventSynchronize", 700}};
  EXPECT_EQ(go(), "expected the work on cuda to finish, but the cuda driver "
                  "says CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory "
                  "access was encountered");
  world->failures.clear();
  world->devices[0].major = 8;
  EXPECT_EQ(go(), "expected code for sm_80, the chip of cuda:0, in kernel "
                  "`window_sink_run_time` variant `d16_f32`, but found "
                  "sm_90a");
  request.device = "tpu";
  EXPECT_EQ(go(), "expected --device cpu or cuda, but got 'tpu'");
  setenv("FILIGREE_LIBCUDA", "/nowhere", 1);
  request.device = "cuda";
  EXPECT_EQ(go(), "expected the cuda driver `/nowhere`, but: /nowhere: cannot "
                  "open shared object file: No such file or directory");
}

} // namespace
