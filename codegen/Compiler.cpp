//===- Compiler.cpp - from a pattern to the objects of an artifact --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/Compiler.h"
#include "codegen/cpu/EmitObject.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Pipelines.h"

using namespace mlir;
using namespace filigree;

LogicalResult filigree::lowerToKernel(ModuleOp module) {
  PassManager pm(module.getContext());
  buildTilePipeline(pm);
  return pm.run(module);
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

FailureOr<CompiledPattern>
filigree::compilePattern(ModuleOp pattern, ArrayRef<CpuTarget> targets) {
  CompiledPattern result;
  llvm::raw_string_ostream ir(result.kernel.ir);
  pattern.print(ir);
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
