//===- Compiler.cpp - from a pattern to the objects of an artifact --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/Compiler.h"
#include "codegen/cpu/EmitObject.h"
#include "codegen/cuda/EmitCubin.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"

using namespace mlir;
using namespace filigree;

LogicalResult filigree::lowerToKernel(ModuleOp module, StringRef target,
                                      int64_t mostChunk, bool few) {
  PassManager pm(module.getContext());
  buildTilePipeline(pm, target, mostChunk, few);
  return pm.run(module);
}

/// A copy of the pattern, lowered; null on failure.
static OwningOpRef<ModuleOp> lowered(ModuleOp pattern, const CudaTarget &target,
                                     int64_t mostChunk, bool few) {
  OwningOpRef<ModuleOp> module = pattern.clone();
  std::string word = ("cuda:" + target.name).str();
  if (failed(lowerToKernel(*module, word, mostChunk, few)))
    return nullptr;
  return module;
}

FailureOr<CudaKernels> filigree::lowerToCudaKernels(ModuleOp pattern,
                                                    const CudaTarget &target) {
  CudaKernels kernels;
  kernels.many = lowered(pattern, target, 0, /*few=*/false);
  bool hasFew = target.mostStagesOfFew > 0;
  if (kernels.many && hasFew)
    kernels.few = lowered(pattern, target, 0, /*few=*/true);
  if (!kernels.many || (hasFew && !kernels.few))
    return failure();
  return kernels;
}

std::string filigree::variantName(tile::KernelOp kernel) {
  tile::FoldOp fold = *kernel.getOps<tile::FoldOp>().begin();
  auto stream = fold.getStreams()[0].getDefiningOp<tile::StreamOp>();
  auto key = cast<RankedTensorType>(stream.getKey().getType());
  auto value = cast<RankedTensorType>(stream.getValue().getType());
  std::string name = "d" + std::to_string(key.getDimSize(3));
  if (key.getDimSize(3) != value.getDimSize(3))
    name += "x" + std::to_string(value.getDimSize(3));
  Type element = key.getElementType();
  return name + (element.isF32()    ? "_f32"
                 : element.isBF16() ? "_bf16"
                                    : "_f16");
}

static tile::KernelOp kernelOf(ModuleOp module) {
  return *module.getOps<tile::KernelOp>().begin();
}

OwningOpRef<ModuleOp> filigree::lowerForCpu(ModuleOp kernels,
                                            const CpuTarget &target,
                                            bool llvmDialect,
                                            cpu::EntryPoints *entries) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(kernels.getLoc());
  tile::KernelOp kernel = kernelOf(kernels);
  std::string prefix = ("fil_" + kernel.getSymName() + "_" +
                        variantName(kernel) + "_" + target.name + "_")
                           .str();
  FailureOr<cpu::EntryPoints> result =
      cpu::emitKernel(kernel, target, prefix, *module);
  if (failed(result) || failed(verify(*module)) ||
      (llvmDialect && failed(cpu::lowerToLLVM(*module))))
    return nullptr;
  if (entries)
    *entries = *result;
  return module;
}

static SmallVector<std::string> namesOf(const cpu::EntryPoints &entries) {
  SmallVector<std::string> names = {entries.scratchBytes, entries.sharedBytes};
  for (const cpu::EntryPoints::Phase &phase : entries.phases)
    for (const std::string &name : {phase.units, phase.cost, phase.run})
      if (!name.empty())
        names.push_back(name);
  return names;
}

std::string filigree::emitText(ModuleOp llvmModule, const CpuTarget &target,
                               const cpu::EntryPoints &entries) {
  llvm::LLVMContext context;
  auto machine = cpu::targetMachineFor(target);
  auto module =
      cpu::translate(llvmModule, target, namesOf(entries), *machine, context);
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (module)
    stream << *module;
  return text;
}

namespace {
/// Device functions, and those that the runtime calls on the host.
struct CudaModules {
  OwningOpRef<ModuleOp> device, host;
  cuda::CudaEntryPoints entries;
};
} // namespace

static FailureOr<CudaModules> lowerForCuda(const CudaKernels &kernels,
                                           const CudaTarget &target) {
  tile::KernelOp kernel = kernelOf(*kernels.many);
  tile::KernelOp few = kernels.few ? kernelOf(*kernels.few) : tile::KernelOp();
  std::string prefix = ("fil_" + kernel.getSymName() + "_" +
                        variantName(kernel) + "_" + target.name + "_")
                           .str();
  CudaModules modules = {
      ModuleOp::create(kernel.getLoc()), ModuleOp::create(kernel.getLoc()), {}};
  FailureOr<cuda::CudaEntryPoints> entries = cuda::emitKernel(
      {kernel, few}, target, prefix, *modules.device, *modules.host);
  if (failed(entries) || failed(verify(*modules.device)))
    return failure();
  modules.entries = *entries;
  return modules;
}

static FailureOr<std::string> ptxOf(CudaModules &modules,
                                    const CudaTarget &target) {
  if (failed(cuda::lowerToLLVM(*modules.device)))
    return failure();
  return cuda::emitPtx(*modules.device, target);
}

FailureOr<std::string> filigree::emitPtx(const CudaKernels &kernels,
                                         const CudaTarget &target) {
  FailureOr<CudaModules> modules = lowerForCuda(kernels, target);
  if (failed(modules))
    return failure();
  return ptxOf(*modules, target);
}

/// Host functions run on any cpu.
static ObjectBytes hostObject(ModuleOp host,
                              const cuda::CudaEntryPoints &entries) {
  const CpuTarget &target = getCpuTargets().front();
  if (failed(cpu::lowerToLLVM(host)))
    return ObjectBytes();
  llvm::LLVMContext context;
  auto machine = cpu::targetMachineFor(target);
  SmallVector<std::string> names = {entries.workspaceBytes};
  for (const CudaLaunch &launch : entries.launches)
    names.push_back(launch.units);
  auto module = cpu::translate(host, target, names, *machine, context);
  return module ? ObjectBytes(cpu::emitObject(*module, *machine))
                : ObjectBytes();
}

/// Adds to `result` what the runtime needs to know of the code, `image` and, of
/// a target that later chips understand, `ptx`.
static LogicalResult addCudaCode(ModuleOp kernels, const CudaTarget &target,
                                 CudaModules &modules, StringRef image,
                                 StringRef ptx, CompiledPattern &result) {
  const cuda::CudaEntryPoints &entries = modules.entries;
  ObjectBytes object = hostObject(*modules.host, entries);
  if (object.empty())
    return failure();
  tile::KernelOp kernel = kernelOf(kernels);
  result.kernel.interface = interfaceOf(kernel);
  result.kernel.variant = variantName(kernel);
  result.objects.push_back(object);
  CudaCode code;
  code.arch = target.arch;
  code.archFlags = target.exact ? FIL_ABI_CUDA_EXACT : 0;
  code.image = image.str();
  if (!target.exact)
    code.ptx = ptx.str();
  code.workspaceBytes = entries.workspaceBytes;
  code.launches = entries.launches;
  result.kernel.cuda.push_back(code);
  return success();
}

/// Chunks of fewer keys than this are not worth a tensor core.
static constexpr int64_t kLeastChunk = 32;

/// Masks and edges of any size: where the chosen chunk leaves too few registers
/// for them, half of it is tried. Few queries can do without their launch.
static LogicalResult compileForCuda(ModuleOp pattern, const CudaTarget &target,
                                    CompiledPattern &result) {
  FailureOr<CudaKernels> kernels = lowerToCudaKernels(pattern, target);
  if (failed(kernels))
    return failure();
  while (kernels->many) {
    FailureOr<CudaModules> modules = lowerForCuda(*kernels, target);
    if (failed(modules))
      return failure();
    FailureOr<std::string> ptx = ptxOf(*modules, target);
    if (failed(ptx))
      return failure();
    cuda::Spills spills;
    FailureOr<SmallVector<char>> image =
        cuda::assemble(*ptx, target, pattern.getLoc(), spills);
    if (succeeded(image))
      return addCudaCode(*kernels->many, target, *modules,
                         StringRef(image->data(), image->size()), *ptx, result);
    if (spills.empty())
      return failure();
    for (auto [number, launch] : llvm::enumerate(modules->entries.launches)) {
      auto spilled = spills.find(launch.function);
      if (spilled == spills.end())
        continue;
      bool exact = cuda::isExact(launch.function); // has no chunks
      bool few = number == 1 && !exact;
      OwningOpRef<ModuleOp> &kernel = few ? kernels->few : kernels->many;
      int64_t half = kernelOf(*kernel).getSchedule()->getChunk() / 2;
      if (half >= kLeastChunk && !exact)
        kernel = lowered(pattern, target, half, few);
      else if (few)
        kernel = nullptr;
      else
        return pattern.emitError(
                   "expected machine code without spills, but got ")
               << spilled->second << " in " << launch.function;
    }
  }
  return failure();
}

FailureOr<CompiledPattern>
filigree::compileCudaSizes(const CudaKernels &kernels,
                           const CudaTarget &target) {
  FailureOr<CudaModules> modules = lowerForCuda(kernels, target);
  CompiledPattern result;
  if (failed(modules) || failed(addCudaCode(*kernels.many, target, *modules,
                                            "sizes only", "", result)))
    return failure();
  return result;
}

FailureOr<CompiledPattern>
filigree::compilePattern(ModuleOp pattern, ArrayRef<CpuTarget> targets,
                         ArrayRef<CudaTarget> cudaTargets) {
  CompiledPattern result;
  llvm::raw_string_ostream ir(result.kernel.ir);
  pattern.print(ir);
  for (const CudaTarget &target : cudaTargets)
    if (failed(compileForCuda(pattern, target, result)))
      return failure();
  if (targets.empty())
    return result;
  OwningOpRef<ModuleOp> lowered = pattern.clone();
  if (failed(lowerToKernel(*lowered)))
    return failure();
  tile::KernelOp kernel = kernelOf(*lowered);
  result.kernel.interface = interfaceOf(kernel);
  result.kernel.variant = variantName(kernel);
  for (const CpuTarget &target : targets) {
    cpu::EntryPoints entries;
    OwningOpRef<ModuleOp> module =
        lowerForCpu(*lowered, target, /*llvmDialect=*/true, &entries);
    if (!module)
      return failure();
    llvm::LLVMContext context;
    auto machine = cpu::targetMachineFor(target);
    auto translated =
        cpu::translate(*module, target, namesOf(entries), *machine, context);
    if (!translated)
      return failure();
    result.objects.push_back(cpu::emitObject(*translated, *machine));
    result.kernel.cpu.push_back({&target, entries});
  }
  return result;
}
