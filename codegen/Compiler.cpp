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
#include <future>
#include <map>

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
/// Device functions by launch, and those that the runtime calls on the host.
struct CudaModules {
  cuda::DeviceModules devices;
  OwningOpRef<ModuleOp> host;
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
  CudaModules modules = {{}, ModuleOp::create(kernel.getLoc()), {}};
  FailureOr<cuda::CudaEntryPoints> entries = cuda::emitKernel(
      {kernel, few}, target, prefix, modules.devices, *modules.host);
  if (failed(entries))
    return failure();
  for (OwningOpRef<ModuleOp> &device : modules.devices)
    if (failed(verify(*device)))
      return failure();
  modules.entries = *entries;
  return modules;
}

/// A thread for each launch: LLVM and ptxas take most of the time. MLIR, whose
/// context they share, is done here, and diagnostics by the caller: `finish`
/// makes the result of PTX.
template <typename Result>
static FailureOr<std::map<std::string, std::future<Result>>>
forLaunches(CudaModules &modules, const CudaTarget &target,
            llvm::function_ref<bool(StringRef)> wants,
            std::function<Result(StringRef, std::string)> finish) {
  std::map<std::string, std::future<Result>> results;
  // The launch for few queries, if there is one the second, takes longest.
  auto order = llvm::to_vector(llvm::seq<size_t>(0, modules.devices.size()));
  if (order.size() > 1)
    std::swap(order[0], order[1]);
  for (size_t number : order) {
    std::string function = modules.entries.launches[number].function;
    if (!wants(function))
      continue;
    FailureOr<cuda::DeviceCode> lowered =
        cuda::lowerToLLVM(*modules.devices[number], target);
    if (failed(lowered))
      return failure();
    results[function] = std::async(
        std::launch::async,
        [finish, function](cuda::DeviceCode code) {
          return finish(function, cuda::emitPtx(std::move(code)));
        },
        std::move(*lowered));
  }
  return results;
}

static std::string joinPtx(ArrayRef<CudaLaunch> launches,
                           llvm::function_ref<StringRef(StringRef)> ptxOf) {
  SmallVector<StringRef> parts;
  for (const CudaLaunch &launch : launches)
    parts.push_back(ptxOf(launch.function));
  return cuda::joinPtx(parts);
}

FailureOr<std::string> filigree::emitPtx(const CudaKernels &kernels,
                                         const CudaTarget &target) {
  FailureOr<CudaModules> modules = lowerForCuda(kernels, target);
  if (failed(modules))
    return failure();
  auto results = forLaunches<std::string>(
      *modules, target, [](StringRef) { return true; },
      [](StringRef, std::string ptx) { return ptx; });
  if (failed(results))
    return failure();
  std::map<std::string, std::string> ptx;
  for (auto &[function, result] : *results)
    ptx[function] = result.get();
  return joinPtx(modules->entries.launches, [&](StringRef function) {
    return StringRef(ptx[function.str()]);
  });
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
    for (const std::string &name : {launch.units, launch.plan})
      if (!name.empty())
        names.push_back(name);
  auto module = cpu::translate(host, target, names, *machine, context);
  return module ? ObjectBytes(cpu::emitObject(*module, *machine))
                : ObjectBytes();
}

/// Adds to `result` what the runtime needs to know of the code, `host` of its
/// functions there.
static void addCudaCode(ModuleOp kernels, CudaCode code, ObjectBytes host,
                        CompiledPattern &result) {
  tile::KernelOp kernel = kernelOf(kernels);
  result.kernel.interface = interfaceOf(kernel);
  result.kernel.variant = variantName(kernel);
  result.objects.push_back(std::move(host));
  result.kernel.cuda.push_back(std::move(code));
}

static CudaCode codeFor(const CudaTarget &target,
                        const cuda::CudaEntryPoints &entries) {
  CudaCode code;
  code.arch = target.arch;
  code.archFlags = target.exact ? FIL_ABI_CUDA_EXACT : 0;
  code.workspaceBytes = entries.workspaceBytes;
  code.launches = entries.launches;
  return code;
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
  std::map<std::string, cuda::MachineCode> done;
  while (kernels->many) {
    FailureOr<CudaModules> modules = lowerForCuda(*kernels, target);
    if (failed(modules))
      return failure();
    auto assembler = cuda::Assembler::create(target, pattern.getLoc());
    if (failed(assembler))
      return failure();
    auto results = forLaunches<cuda::MachineCode>(
        *modules, target,
        [&](StringRef function) { return !done.count(function.str()); },
        [&](StringRef function, std::string ptx) {
          return (*assembler)->assemble(function, std::move(ptx));
        });
    if (failed(results))
      return failure();
    cuda::CudaEntryPoints &entries = modules->entries;
    ObjectBytes host = hostObject(*modules->host, entries);
    for (auto &[function, result] : *results)
      done[function] = result.get();
    if (host.empty())
      return failure();
    for (const CudaLaunch &launch : entries.launches)
      if (std::string &error = done[launch.function].error; !error.empty())
        return pattern.emitError(error);
    bool again = false;
    for (auto [number, launch] : llvm::enumerate(entries.launches)) {
      // One that another's spill took along is not there any more.
      auto made = done.find(launch.function);
      if (made == done.end() || made->second.spills.empty())
        continue;
      std::string spills = made->second.spills;
      bool exact = cuda::isExact(launch.function); // has no chunks
      bool few = number > 0 && !exact;
      if (few && !kernels->few)
        continue;
      again = true;
      OwningOpRef<ModuleOp> &kernel = few ? kernels->few : kernels->many;
      int64_t half = kernelOf(*kernel).getSchedule()->getChunk() / 2;
      if (half >= kLeastChunk && !exact && !cuda::isMerge(launch.function))
        kernel = lowered(pattern, target, half, few);
      else if (few)
        kernel = nullptr;
      else
        return pattern.emitError(
                   "expected machine code without spills, but got ")
               << spills << " in " << launch.function;
      // Those for few queries and for many do without each other.
      if (number == 0)
        for (const CudaLaunch &other : entries.launches)
          if (cuda::isExact(other.function))
            done.erase(other.function);
      done.erase(launch.function);
    }
    if (again)
      continue;
    CudaCode code = codeFor(target, entries);
    // Later chips understand PTX of this one.
    if (!target.exact)
      code.ptx = joinPtx(entries.launches, [&](StringRef function) {
        return StringRef(done[function.str()].ptx);
      });
    for (auto [number, launch] : llvm::enumerate(code.launches)) {
      ArrayRef<char> image = done.at(launch.function).image;
      (number == 0 ? code.image : launch.image)
          .assign(image.data(), image.size());
    }
    addCudaCode(*kernels->many, std::move(code), std::move(host), result);
    return success();
  }
  return failure();
}

FailureOr<CompiledPattern>
filigree::compileCudaSizes(const CudaKernels &kernels,
                           const CudaTarget &target) {
  FailureOr<CudaModules> modules = lowerForCuda(kernels, target);
  if (failed(modules))
    return failure();
  ObjectBytes host = hostObject(*modules->host, modules->entries);
  if (host.empty())
    return failure();
  CudaCode code = codeFor(target, modules->entries);
  code.image = "sizes only";
  CompiledPattern result;
  addCudaCode(*kernels.many, std::move(code), std::move(host), result);
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
