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
  if (kernels.many)
    kernels.few = lowered(pattern, target, 0, /*few=*/true);
  if (!kernels.many || !kernels.few)
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

std::string filigree::emitText(ModuleOp llvmModule, const CpuTarget &target,
                               const cpu::EntryPoints &entries) {
  llvm::LLVMContext context;
  auto machine = cpu::targetMachineFor(target);
  auto module =
      cpu::translate(llvmModule, target, entries.names(), *machine, context);
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
static FailureOr<std::map<LaunchRole, std::future<Result>>>
forLaunches(CudaModules &modules, const CudaTarget &target,
            llvm::function_ref<bool(LaunchRole)> wants,
            std::function<Result(const CudaLaunch &, std::string)> finish) {
  std::map<LaunchRole, std::future<Result>> results;
  ArrayRef<CudaLaunch> launches = modules.entries.launches;
  SmallVector<size_t> order;
  for (auto [number, launch] : llvm::enumerate(launches))
    // What takes longest begins first.
    order.insert(launch.role == LaunchRole::Few ? order.begin() : order.end(),
                 number);
  for (size_t number : order) {
    const CudaLaunch &launch = launches[number];
    if (!wants(launch.role))
      continue;
    FailureOr<cuda::DeviceCode> lowered =
        cuda::lowerToLLVM(*modules.devices[number], target);
    if (failed(lowered))
      return failure();
    results[launch.role] = std::async(
        std::launch::async,
        [finish, launch](cuda::DeviceCode code) {
          return finish(launch, cuda::emitPtx(std::move(code)));
        },
        std::move(*lowered));
  }
  return results;
}

static std::string joinPtx(ArrayRef<CudaLaunch> launches,
                           llvm::function_ref<StringRef(LaunchRole)> ptxOf) {
  SmallVector<StringRef> parts;
  for (const CudaLaunch &launch : launches)
    parts.push_back(ptxOf(launch.role));
  return cuda::joinPtx(parts);
}

FailureOr<std::string> filigree::emitPtx(const CudaKernels &kernels,
                                         const CudaTarget &target) {
  FailureOr<CudaModules> modules = lowerForCuda(kernels, target);
  if (failed(modules))
    return failure();
  auto results = forLaunches<std::string>(
      *modules, target, [](LaunchRole) { return true; },
      [](const CudaLaunch &, std::string ptx) { return ptx; });
  if (failed(results))
    return failure();
  std::map<LaunchRole, std::string> ptx;
  for (auto &[role, result] : *results)
    ptx[role] = result.get();
  return joinPtx(modules->entries.launches,
                 [&](LaunchRole role) { return StringRef(ptx[role]); });
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

/// Rows of these are copied 16 bytes at a time, whether through a tensor map,
/// which the runtime checks by itself, or not.
static void requireRowsOf16Bytes(tile::KernelOp kernel,
                                 KernelInterface &interface) {
  auto require = [&](Value tensor) {
    unsigned number = cast<BlockArgument>(tensor).getArgNumber();
    interface.args[number].flags |= FIL_ABI_CUDA_ROWS_16;
  };
  auto fold = *kernel.getOps<tile::FoldOp>().begin();
  require(fold.getQuery());
  for (Value value : fold.getStreams()) {
    auto stream = value.getDefiningOp<tile::StreamOp>();
    require(stream.getKey());
    require(stream.getValue());
  }
  require((*kernel.getOps<tile::StoreOp>().begin()).getOutput());
}

/// Adds to `result` what the runtime needs to know of the code, `host` of its
/// functions there.
static void addCudaCode(ModuleOp kernels, CudaCode code, ObjectBytes host,
                        CompiledPattern &result) {
  tile::KernelOp kernel = kernelOf(kernels);
  result.kernel.interface = interfaceOf(kernel);
  requireRowsOf16Bytes(kernel, result.kernel.interface);
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

/// Masks and edges of any size: where a launch spills, half the chunk of its
/// kernel is tried. Few queries can do without their launch.
static LogicalResult makeRoom(ModuleOp pattern, const CudaTarget &target,
                              const CudaLaunch &launch, StringRef spills,
                              CudaKernels &kernels, CompiledPattern &result) {
  bool few = launch.role == LaunchRole::Few || launch.role == LaunchRole::Merge;
  bool hasChunks =
      launch.role == LaunchRole::Few || launch.role == LaunchRole::Many;
  OwningOpRef<ModuleOp> &kernel = few ? kernels.few : kernels.many;
  int64_t half = kernelOf(*kernel).getSchedule()->getChunk() / 2;
  if (hasChunks && half >= kLeastChunk) {
    kernel = lowered(pattern, target, half, few);
    return success(bool(kernel));
  }
  if (!few)
    return pattern.emitError("expected machine code without spills, but got ")
           << spills << " in " << launch.function;
  result.warnings.push_back(
      (Twine("few queries of `") + kernelOf(*kernel).getSymName() +
       "` take the " + "launch for many on target `cuda:" + target.name +
       "`: ptxas reports " + spills + " in " + launch.function)
          .str());
  kernel = nullptr;
  return success();
}

static LogicalResult compileForCuda(ModuleOp pattern, const CudaTarget &target,
                                    CompiledPattern &result) {
  FailureOr<CudaKernels> kernels = lowerToCudaKernels(pattern, target);
  if (failed(kernels))
    return failure();
  std::map<LaunchRole, cuda::MachineCode> done;
  while (true) {
    FailureOr<CudaModules> modules = lowerForCuda(*kernels, target);
    if (failed(modules))
      return failure();
    auto assembler = cuda::Assembler::create(target, pattern.getLoc());
    if (failed(assembler))
      return failure();
    auto results = forLaunches<cuda::MachineCode>(
        *modules, target, [&](LaunchRole role) { return !done.count(role); },
        [&](const CudaLaunch &launch, std::string ptx) {
          return (*assembler)->assemble(launch, std::move(ptx));
        });
    if (failed(results))
      return failure();
    cuda::CudaEntryPoints &entries = modules->entries;
    ObjectBytes host = hostObject(*modules->host, entries);
    for (auto &[role, result] : *results)
      done[role] = result.get();
    if (host.empty())
      return failure();
    for (const CudaLaunch &launch : entries.launches)
      if (std::string &error = done[launch.role].error; !error.empty())
        return pattern.emitError(error);
    bool again = false;
    for (const CudaLaunch &launch : entries.launches) {
      // One that another's spill took along is not there any more.
      auto made = done.find(launch.role);
      if (made == done.end() || made->second.spills.empty())
        continue;
      again = true;
      if (failed(makeRoom(pattern, target, launch, made->second.spills,
                          *kernels, result)))
        return failure();
      // One of these is the launch behind it, of the same kernel.
      bool many = launch.role == LaunchRole::Many;
      done.erase(many ? LaunchRole::Exact : LaunchRole::Merge);
      done.erase(launch.role);
    }
    if (again)
      continue;
    CudaCode code = codeFor(target, entries);
    // Later chips understand PTX of this one.
    if (!target.exact)
      code.ptx = joinPtx(entries.launches, [&](LaunchRole role) {
        return StringRef(done[role].ptx);
      });
    for (auto [number, launch] : llvm::enumerate(code.launches)) {
      ArrayRef<char> image = done.at(launch.role).image;
      (number == 0 ? code.image : launch.image)
          .assign(image.data(), image.size());
    }
    addCudaCode(*kernels->many, std::move(code), std::move(host), result);
    return success();
  }
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
  if (cudaTargets.empty()) { // else they are there, with more flags
    result.kernel.interface = interfaceOf(kernel);
    result.kernel.variant = variantName(kernel);
  }
  for (const CpuTarget &target : targets) {
    cpu::EntryPoints entries;
    OwningOpRef<ModuleOp> module =
        lowerForCpu(*lowered, target, /*llvmDialect=*/true, &entries);
    if (!module)
      return failure();
    llvm::LLVMContext context;
    auto machine = cpu::targetMachineFor(target);
    auto translated =
        cpu::translate(*module, target, entries.names(), *machine, context);
    if (!translated)
      return failure();
    result.objects.push_back(cpu::emitObject(*translated, *machine));
    result.kernel.cpu.push_back({&target, entries});
  }
  return result;
}
