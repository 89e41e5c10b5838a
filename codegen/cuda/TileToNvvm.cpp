//===- TileToNvvm.cpp - from a tile.kernel to CUDA code -------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/TileToNvvm.h"
#include "codegen/cuda/AmpereKernel.h"
#include "codegen/cuda/ExactKernel.h"
#include "codegen/cuda/HopperKernel.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace filigree;

FailureOr<cuda::CudaEntryPoints>
cuda::emitKernel(KernelPair kernels, const CudaTarget &target, StringRef prefix,
                 DeviceModules &devices, ModuleOp host) {
  kernels.many.getContext()
      ->loadDialect<affine::AffineDialect, arith::ArithDialect,
                    cf::ControlFlowDialect, func::FuncDialect,
                    LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect,
                    vector::VectorDialect>();
  for (tile::KernelOp kernel : {kernels.many, kernels.few})
    if (kernel &&
        (!kernel.getSchedule() || !kernel.getWarps() || !kernel.getPipeline()))
      return kernel.emitOpError("expected schedule, warps and pipeline before "
                                "code generation");
  std::string fewPrefix = (prefix + "few_").str();
  auto nextDevice = [&] {
    devices.push_back(ModuleOp::create(kernels.many.getLoc()));
    return *devices.back();
  };
  auto kernelIn = [&](ModuleOp module,
                      LaunchRole role) -> std::unique_ptr<CudaKernel> {
    bool few = role == LaunchRole::Few;
    tile::KernelOp kernel = few ? kernels.few : kernels.many;
    StringRef named = few ? StringRef(fewPrefix) : prefix;
    if (target.warpgroups)
      return std::make_unique<HopperKernel>(kernel, target, named, module,
                                            role);
    return std::make_unique<AmpereKernel>(kernel, target, named, module, role);
  };
  CudaEntryPoints entries;
  std::unique_ptr<CudaKernel> many = kernelIn(nextDevice(), LaunchRole::Many);
  if (failed(many->verify()))
    return failure();
  entries.launches.push_back(many->emitDevice());
  std::unique_ptr<CudaKernel> manyOnHost = kernelIn(host, LaunchRole::Many);
  // Behind those that mark the rows.
  auto addExact = [&] {
    if (!many->hasExactLaunch())
      return;
    std::string named = (prefix + "exact_").str();
    ExactKernel exact(kernels.many, target, named, nextDevice());
    entries.launches.push_back(exact.emitDevice());
    entries.launches.back().follows = target.launchesFollow();
    ExactKernel(kernels.many, target, named, host)
        .emitRowUnits(entries.launches.back().units);
  };
  if (!kernels.few) {
    entries.workspaceBytes = manyOnHost->emitWorkspaceBytes();
    manyOnHost->emitUnits(entries.launches[0].units, {});
    addExact();
    return entries;
  }
  std::unique_ptr<CudaKernel> few = kernelIn(nextDevice(), LaunchRole::Few);
  if (failed(few->verify()))
    return failure();
  CudaLaunch launch = few->emitDevice();
  std::unique_ptr<CudaKernel> fewOnHost = kernelIn(host, LaunchRole::Few);
  entries.workspaceBytes = fewOnHost->emitWorkspaceBytes();
  func::FuncOp ofFew = fewOnHost->emitUnits(launch.units, {});
  manyOnHost->emitUnits(entries.launches[0].units, ofFew);
  fewOnHost->emitPlan(launch.plan);
  entries.launches.push_back(launch);
  entries.launches.push_back(
      kernelIn(nextDevice(), LaunchRole::Few)->emitMergeDevice());
  fewOnHost->emitMergeUnits(entries.launches.back().units);
  addExact();
  return entries;
}
