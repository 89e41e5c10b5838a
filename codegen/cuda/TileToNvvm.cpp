//===- TileToNvvm.cpp - from a tile.kernel to CUDA code -------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/TileToNvvm.h"
#include "codegen/cuda/AmpereKernel.h"
#include "codegen/cuda/HopperKernel.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace filigree;

FailureOr<cuda::CudaEntryPoints>
cuda::emitKernel(tile::KernelOp kernel, const CudaTarget &target,
                 StringRef prefix, ModuleOp device, ModuleOp host) {
  kernel.getContext()
      ->loadDialect<affine::AffineDialect, arith::ArithDialect,
                    cf::ControlFlowDialect, func::FuncDialect,
                    LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect,
                    vector::VectorDialect>();
  if (!kernel.getSchedule() || !kernel.getWarps() || !kernel.getPipeline())
    return kernel.emitOpError("expected schedule, warps and pipeline before "
                              "code generation");
  auto kernelIn = [&](ModuleOp module) -> std::unique_ptr<CudaKernel> {
    if (target.warpgroups)
      return std::make_unique<HopperKernel>(kernel, target, prefix, module);
    return std::make_unique<AmpereKernel>(kernel, target, prefix, module);
  };
  std::unique_ptr<CudaKernel> code = kernelIn(device);
  if (failed(code->verify()))
    return failure();
  CudaEntryPoints entries = code->emitDevice();
  kernelIn(host)->emitHost(entries);
  return entries;
}
