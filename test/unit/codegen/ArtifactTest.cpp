//===- ArtifactTest.cpp - tables as the artifact writer writes them -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A kernel described by hand, written, linked, opened by the runtime, and read
// back through the dynamic loader member by member.
//
//===----------------------------------------------------------------------===//
#include "codegen/Artifact.h"
#include "codegen/cpu/EmitObject.h"
#include "runtime/filigree.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace filigree;

namespace {

/// What `units`, `half` and `bytes` of a kernel may look like.
constexpr const char *kHost = R"(
define i64 @dummy_units(ptr %slots, i64 %multiprocessors) {
  %at = getelementptr i64, ptr %slots, i64 1
  %rows = load i64, ptr %at
  ret i64 %rows
}
define i64 @dummy_half(ptr %slots, i64 %multiprocessors) {
  %rows = call i64 @dummy_units(ptr %slots, i64 %multiprocessors)
  %half = lshr i64 %rows, 1
  ret i64 %half
}
define i64 @dummy_bytes(ptr %slots, i64 %multiprocessors) {
  %rows = call i64 @dummy_units(ptr %slots, i64 %multiprocessors)
  %bytes = mul i64 %rows, %multiprocessors
  ret i64 %bytes
}
)";

ObjectBytes hostObject() {
  const CpuTarget &baseline = getCpuTargets().front();
  auto machine = cpu::targetMachineFor(baseline);
  llvm::LLVMContext context;
  llvm::SMDiagnostic error;
  auto module = llvm::parseAssemblyString(kHost, error, context);
  EXPECT_TRUE(module) << error.getMessage().str();
  module->setTargetTriple(machine->getTargetTriple());
  module->setDataLayout(machine->createDataLayout());
  return cpu::emitObject(*module, *machine);
}

/// y[N, 64] = f(x[N, 64]), with two codes, of which one has only PTX.
ArtifactKernel dummy() {
  ArtifactKernel kernel;
  kernel.interface.name = "dummy";
  kernel.interface.dims = {"N"};
  auto tensor = [](const char *name, uint32_t kind, uint32_t slot) {
    InterfaceArg arg;
    arg.name = name;
    arg.kind = kind;
    arg.dtype = FIL_ABI_BF16;
    arg.flags = FIL_ABI_CUDA_ROWS_16;
    arg.rank = 2;
    arg.slot = slot;
    arg.alignment = 16;
    arg.dims = {{0, 0}, {-1, 64}};
    return arg;
  };
  kernel.interface.args.push_back(tensor("x", FIL_ABI_INPUT, 2));
  kernel.interface.args.push_back(tensor("y", FIL_ABI_OUTPUT, 11));
  kernel.interface.slotCount = 20;
  kernel.variant = "d64_bf16";
  kernel.ir = "attn";

  CudaCode ptx;
  ptx.arch = 80;
  ptx.ptx = ".version 8.0";
  ptx.workspaceBytes = "dummy_bytes";
  CudaLaunch launch;
  launch.function = "dummy_kernel";
  launch.units = "dummy_units";
  launch.threads = 128;
  ptx.launches.push_back(launch);

  CudaCode image;
  image.arch = 90;
  image.archFlags = FIL_ABI_CUDA_EXACT;
  image.image = std::string("\x7f"
                            "ELF\0cubin\0",
                            11); // zeros inside, at the end
  image.workspaceBytes = "dummy_bytes";
  launch.sharedBytes = 200000;
  launch.ctasPerSm = 2;
  launch.threads = 384;
  launch.persistent = true;
  launch.tensorMaps.push_back({0, 0, {1, 1, 128, 64}, 128, 0});
  launch.tensorMaps.push_back({0, 1, {1, 1, 64, 32}, 64, 0});
  image.launches.push_back(launch);
  launch = {};
  launch.function = "dummy_end";
  launch.image = std::string("\0its own", 8);
  launch.units = "dummy_half";
  launch.threads = 32;
  image.launches.push_back(launch);
  kernel.cuda = {ptx, image};
  return kernel;
}

class Artifact : public ::testing::Test {
protected:
  void write(llvm::ArrayRef<ArtifactKernel> kernels) {
    auto bytes =
        linkArtifact({hostObject(), emitTable(kernels, FIL_ABI_SYMBOL)});
    ASSERT_TRUE(bool(bytes)) << llvm::toString(bytes.takeError());
    int descriptor;
    ASSERT_FALSE(
        llvm::sys::fs::createTemporaryFile("artifact", "so", descriptor, path));
    llvm::raw_fd_ostream(descriptor, /*shouldClose=*/true)
        .write(bytes->data(), bytes->size());
    handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_TRUE(handle) << dlerror();
    table = static_cast<const fil_abi_table *>(dlsym(handle, FIL_ABI_SYMBOL));
    ASSERT_TRUE(table);
  }
  ~Artifact() override {
    if (handle)
      dlclose(handle);
    llvm::sys::fs::remove(path);
  }

  llvm::SmallString<128> path;
  void *handle = nullptr;
  const fil_abi_table *table = nullptr;
};

TEST_F(Artifact, cudaCodes) {
  ASSERT_NO_FATAL_FAILURE(write({dummy()}));
  const fil_abi_kernel &kernel = table->kernels[0];
  EXPECT_EQ(kernel.size, sizeof(fil_abi_kernel));
  EXPECT_EQ(kernel.cpu_count, 0u);
  EXPECT_EQ(kernel.cpu, nullptr);
  EXPECT_EQ(kernel.ir_bytes, 4u);
  EXPECT_EQ(kernel.args[1].flags, uint32_t(FIL_ABI_CUDA_ROWS_16));
  ASSERT_EQ(kernel.cuda_count, 2u);

  const fil_abi_cuda &ptx = kernel.cuda[0], &image = kernel.cuda[1];
  EXPECT_EQ(ptx.size, sizeof(fil_abi_cuda));
  EXPECT_EQ(ptx.arch, 80u);
  EXPECT_EQ(ptx.arch_flags, 0u);
  EXPECT_EQ(ptx.image, nullptr);
  EXPECT_EQ(ptx.image_bytes, 0u);
  EXPECT_STREQ(ptx.ptx, ".version 8.0");
  EXPECT_EQ(ptx.ptx_bytes, 12u);
  ASSERT_EQ(ptx.launch_count, 1u);
  EXPECT_EQ(ptx.launches[0].tensor_map_count, 0u);
  EXPECT_EQ(ptx.launches[0].tensor_maps, nullptr);
  EXPECT_EQ(ptx.launches[0].flags, 0u);
  EXPECT_EQ(ptx.launches[0].ctas_per_sm, 1u);

  EXPECT_EQ(image.arch, 90u);
  EXPECT_EQ(image.arch_flags, uint32_t(FIL_ABI_CUDA_EXACT));
  EXPECT_EQ(
      std::string(static_cast<const char *>(image.image), image.image_bytes),
      std::string("\x7f"
                  "ELF\0cubin\0",
                  11));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(image.image) % 64, 0u);
  EXPECT_EQ(image.ptx, nullptr);
  EXPECT_EQ(image.ptx_bytes, 0u);
  int64_t slots[20] = {0, 10};
  EXPECT_EQ(image.workspace_bytes(slots, 132), 1320);
  ASSERT_EQ(image.launch_count, 2u);
  const fil_abi_launch &first = image.launches[0], &last = image.launches[1];
  EXPECT_EQ(first.size, sizeof(fil_abi_launch));
  EXPECT_EQ(first.threads, 384u);
  EXPECT_EQ(first.shared_bytes, 200000u);
  EXPECT_EQ(first.ctas_per_sm, 2u);
  EXPECT_EQ(first.flags, uint32_t(FIL_ABI_LAUNCH_PERSISTENT));
  EXPECT_STREQ(first.function, "dummy_kernel");
  EXPECT_EQ(first.units(slots, 132), 10);
  EXPECT_EQ(first.image, nullptr);
  EXPECT_EQ(first.image_bytes, 0u);
  EXPECT_STREQ(last.function, "dummy_end");
  EXPECT_EQ(
      std::string(static_cast<const char *>(last.image), last.image_bytes),
      std::string("\0its own", 8));
  EXPECT_EQ(last.units(slots, 132), 5);
  ASSERT_EQ(first.tensor_map_count, 2u);
  const fil_abi_tensor_map &map = first.tensor_maps[1];
  EXPECT_EQ(map.size, sizeof(fil_abi_tensor_map));
  EXPECT_EQ(map.arg, 1u);
  EXPECT_EQ(std::vector<uint32_t>(map.box, map.box + 4),
            (std::vector<uint32_t>{1, 1, 64, 32}));
  EXPECT_EQ(map.swizzle, 64u);
  EXPECT_EQ(map.flags, 0u);
}

TEST_F(Artifact, opens) {
  ArtifactKernel plain = dummy();
  plain.interface.name = "plain"; // neither kind of code
  plain.cuda.clear();
  ASSERT_NO_FATAL_FAILURE(write({dummy(), plain}));
  EXPECT_EQ(table->kernels[1].cuda_count, 0u);
  EXPECT_EQ(table->kernels[1].cuda, nullptr);
  fil_library *library = nullptr;
  fil_error error = FIL_ERROR_INIT;
  ASSERT_EQ(fil_open(path.c_str(), &library, &error), FIL_OK) << error.message;
  EXPECT_EQ(fil_kernel_count(library), 2u);
  fil_close(library);
}

TEST_F(Artifact, whatTheRuntimeRefuses) {
  ArtifactKernel kernel = dummy();
  std::swap(kernel.cuda[0], kernel.cuda[1]);
  ASSERT_NO_FATAL_FAILURE(write({kernel}));
  fil_library *library = nullptr;
  fil_error error = FIL_ERROR_INIT;
  EXPECT_EQ(fil_open(path.c_str(), &library, &error), FIL_BAD_ARTIFACT);
  std::string expected =
      "expected cuda codes of kernel `dummy` variant `d64_bf16` with ascending "
      "arch, but found 80 after 90 (in `" +
      path.str().str() + "`)";
  EXPECT_EQ(error.message, expected);
}

} // namespace
