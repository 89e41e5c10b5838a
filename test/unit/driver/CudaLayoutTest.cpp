//===- CudaLayoutTest.cpp - what kernels for cuda ask of their arrays -----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Queries, keys, values and output are copied 16 bytes at a time on every chip;
// the runtime refuses rows elsewhere if the artifact says so
// (test/unit/runtime/CudaTensorMapTest.cpp).
//
//===----------------------------------------------------------------------===//
#include "codegen/Compiler.h"
#include "frontend/driver/LoadPattern.h"
#include "llvm/Support/FileSystem.h"
#include "gtest/gtest.h"

using namespace filigree;

namespace {

/// Names of the arguments whose rows are to lie at multiples of 16 bytes, of a
/// kernel compiled for `target` and perhaps for the cpu too.
std::vector<std::string> alignedRows(const CudaTarget &target, bool alsoCpu) {
  mlir::MLIRContext context;
  loadDialects(context);
  LoadRequest load;
  load.path = SOURCE_DIR "/test/numerics/Inputs/patterns.attn";
  load.pattern = "two_sources";
  load.dtype = reference::DType::BF16;
  auto pattern = llvm::cantFail(loadPattern(load, context));
  auto compiled = compilePattern(
      *pattern.module, getCpuTargets().take_front(alsoCpu ? 1 : 0), target);
  if (mlir::failed(compiled))
    return {"does not compile"};
  std::vector<std::string> names;
  for (const InterfaceArg &arg : compiled->kernel.interface.args)
    if (arg.flags & FIL_ABI_CUDA_ROWS_16)
      names.push_back(arg.name);
  return names;
}

TEST(CudaLayout, rowsOf16Bytes) {
  // No machine code is needed here, and so no ptxas.
  llvm::SmallString<128> ptx;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("layout", "ptx", ptx));
  setenv("FILIGREE_PTXAS", SOURCE_DIR "/test/lib/ptx-emulator/keep_ptx.sh", 1);
  setenv("FILIGREE_KEEP_PTX", ptx.c_str(), 1);
  const std::vector<std::string> rows = {"q", "k", "v", "kfar", "vfar", "o"};
  for (const CudaTarget &target : getCudaTargets())
    for (bool alsoCpu : {false, true})
      EXPECT_EQ(alignedRows(target, alsoCpu), rows) << target.name.str();
  llvm::sys::fs::remove(ptx);
  unsetenv("FILIGREE_PTXAS");
  unsetenv("FILIGREE_KEEP_PTX");
}

} // namespace
