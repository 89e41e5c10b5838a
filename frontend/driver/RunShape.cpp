//===- RunShape.cpp - the extents of a run that has no arrays yet ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/RunShape.h"
#include "codegen/cpu/EmitObject.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"

using namespace filigree;
using llvm::SmallVector;
using llvm::StringRef;

int64_t filigree::extentOf(StringRef symbol, const RunShape &shape) {
  int64_t divisor;
  StringRef inner = symbol;
  if (inner.consume_front("ceil(") && inner.consume_back(")")) {
    auto [of, by] = inner.split('/');
    if (!by.getAsInteger(10, divisor) && divisor > 0)
      return llvm::divideCeilSigned(extentOf(of, shape), divisor);
  }
  if (symbol.starts_with("Nk"))
    return shape.keys;
  if (symbol.starts_with("entries"))
    return shape.entries;
  return llvm::StringSwitch<int64_t>(symbol)
      .Case("B", shape.batch)
      .Case("Hq", shape.heads)
      .Case("Hkv", shape.kvHeads)
      .Case("Nq", shape.queries)
      .Case("docs", shape.documents)
      .Case("docs+1", shape.documents + 1)
      .Default(1);
}

SmallVector<int64_t, 4> filigree::shapeOf(const fil_arg_info &info,
                                          const RunShape &shape) {
  SmallVector<int64_t, 4> extents;
  for (uint32_t axis = 0; axis < info.rank; ++axis)
    extents.push_back(info.symbol[axis] ? extentOf(info.symbol[axis], shape)
                                        : info.extent[axis]);
  return extents;
}

DLDataType filigree::dlTypeOf(uint32_t dtype) {
  switch (dtype) {
  case FIL_F32:
    return {kDLFloat, 32, 1};
  case FIL_BF16:
    return {kDLBfloat, 16, 1};
  case FIL_F16:
    return {kDLFloat, 16, 1};
  case FIL_I32:
    return {kDLInt, 32, 1};
  case FIL_F64:
    return {kDLFloat, 64, 1};
  default:
    return {kDLInt, 64, 1};
  }
}

static llvm::Error errorOf(fil_status status, const fil_error &error) {
  return status == FIL_OK ? llvm::Error::success()
                          : llvm::createStringError(StringRef(error.message));
}

llvm::Expected<std::vector<fil_arg_info>>
filigree::argumentsOf(const fil_kernel *kernel) {
  std::vector<fil_arg_info> args;
  fil_error error = FIL_ERROR_INIT;
  for (uint32_t k = 0; k < fil_kernel_arg_count(kernel); ++k) {
    fil_arg_info info = FIL_ARG_INFO_INIT;
    if (llvm::Error bad =
            errorOf(fil_kernel_arg(kernel, k, &info, &error), error))
      return std::move(bad);
    args.push_back(info);
  }
  return args;
}

//===----------------------------------------------------------------------===//
// Workspace
//===----------------------------------------------------------------------===//

/// Takes out of the module what computes, and what only that calls.
static llvm::LogicalResult dropComputation(mlir::ModuleOp module,
                                           const cpu::EntryPoints &entries) {
  llvm::StringMap<bool> computes; // of entry points
  for (const std::string &name : {entries.scratchBytes, entries.sharedBytes})
    computes[name] = false;
  for (const cpu::EntryPoints::Phase &phase : entries.phases) {
    computes[phase.units] = false;
    computes[phase.run] = true;
    if (!phase.cost.empty())
      computes[phase.cost] = true;
  }
  for (auto function : module.getOps<mlir::func::FuncOp>()) {
    auto entry = computes.find(function.getName());
    if (entry == computes.end()) {
      function.setPrivate();
      continue;
    }
    if (!entry->second || function.isDeclaration())
      continue;
    function.getBody().getBlocks().clear();
    auto builder = mlir::OpBuilder::atBlockEnd(function.addEntryBlock());
    SmallVector<mlir::Value> zeros;
    for (mlir::Type type : function.getResultTypes())
      zeros.push_back(mlir::arith::ConstantOp::create(
          builder, function.getLoc(), builder.getZeroAttr(type)));
    mlir::func::ReturnOp::create(builder, function.getLoc(), zeros);
  }
  mlir::PassManager pm(module.getContext());
  pm.addPass(mlir::createSymbolDCEPass());
  return pm.run(module);
}

/// An artifact of the kernel's sizes alone.
static llvm::Expected<ObjectBytes> buildSizes(mlir::ModuleOp kernels,
                                              const CpuTarget &target) {
  auto failed = [] {
    return llvm::createStringError("the kernel could not be lowered");
  };
  tile::KernelOp kernel = *kernels.getOps<tile::KernelOp>().begin();
  ArtifactKernel entry;
  entry.interface = interfaceOf(kernel);
  entry.variant = variantName(kernel);
  cpu::EntryPoints entries;
  auto module = lowerForCpu(kernels, target, /*llvmDialect=*/false, &entries);
  if (!module || mlir::failed(dropComputation(*module, entries)) ||
      mlir::failed(cpu::lowerToLLVM(*module)))
    return failed();
  SmallVector<std::string> names = {entries.scratchBytes, entries.sharedBytes};
  for (const cpu::EntryPoints::Phase &phase : entries.phases)
    for (const std::string &name : {phase.units, phase.cost, phase.run})
      if (!name.empty())
        names.push_back(name);
  llvm::LLVMContext context;
  auto machine = cpu::targetMachineFor(target);
  auto translated = cpu::translate(*module, target, names, *machine, context);
  if (!translated)
    return failed();
  SmallVector<ObjectBytes> objects = {cpu::emitObject(*translated, *machine)};
  entry.cpu.push_back({&target, entries});
  objects.push_back(emitTable({entry}, FIL_ABI_SYMBOL));
  return linkArtifact(objects);
}

llvm::Expected<std::vector<uint64_t>>
filigree::workspaceBytes(mlir::ModuleOp kernels, const CpuTarget &target,
                         const RunShape &shape,
                         const llvm::StringMap<reference::Scalar> &scalars,
                         llvm::ArrayRef<unsigned> workers) {
  // The ABI counts from 0, the interface, where 0 is "auto", from 1.
  const uint32_t isa = target.isa + 1;
  if (isa > uint32_t(fil_machine_isa()))
    return llvm::createStringError("this machine has no " + target.name);
  auto bytes = buildSizes(kernels, target);
  if (!bytes)
    return bytes.takeError();
  llvm::SmallString<128> path;
  int descriptor;
  if (auto code = llvm::sys::fs::createTemporaryFile("filigree", "so",
                                                     descriptor, path))
    return llvm::createStringError("cannot write a temporary file: " +
                                   code.message());
  llvm::scope_exit remove([&] { llvm::sys::fs::remove(path); });
  {
    llvm::raw_fd_ostream file(descriptor, /*shouldClose=*/true);
    file << StringRef(bytes->data(), bytes->size());
    file.close();
    if (file.has_error()) {
      file.clear_error();
      return llvm::createStringError("cannot write a temporary file");
    }
  }
  fil_error error = FIL_ERROR_INIT;
  fil_library *library = nullptr;
  if (llvm::Error bad =
          errorOf(fil_open(path.c_str(), &library, &error), error))
    return std::move(bad);
  llvm::scope_exit close([&] { fil_close(library); });
  const fil_kernel *kernel = fil_kernel_at(library, 0);
  auto infos = argumentsOf(kernel);
  if (!infos)
    return infos.takeError();

  std::vector<fil_arg> args;
  std::vector<DLTensor> tensors(infos->size());
  std::vector<SmallVector<int64_t, 4>> shapes(infos->size());
  for (auto [number, info] : llvm::enumerate(*infos)) {
    if (info.kind == FIL_SCALAR) {
      auto found = scalars.find(info.name);
      if (found != scalars.end())
        args.push_back(info.dtype == FIL_F32
                           ? fil_float_arg(info.name, found->second.f)
                           : fil_int_arg(info.name, found->second.i));
      continue;
    }
    shapes[number] = shapeOf(info, shape);
    DLTensor &tensor = tensors[number];
    tensor = {};
    tensor.device = {kDLCPU, 0};
    tensor.ndim = int32_t(info.rank);
    tensor.dtype = dlTypeOf(info.dtype);
    tensor.shape = shapes[number].data();
    args.push_back(fil_tensor_arg(info.name, &tensor));
  }
  std::vector<uint64_t> sizes;
  for (unsigned count : workers) {
    fil_options options = FIL_OPTIONS_INIT;
    options.worker_limit = count;
    options.isa = isa;
    size_t size = 0;
    if (llvm::Error bad =
            errorOf(fil_workspace(kernel, args.data(), args.size(), &options,
                                  &size, &error),
                    error))
      return std::move(bad);
    sizes.push_back(size);
  }
  return sizes;
}
