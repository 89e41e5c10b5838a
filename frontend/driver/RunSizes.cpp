//===- RunSizes.cpp - what a run takes, before anything is compiled -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/RunSizes.h"
#include "codegen/cpu/EmitObject.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "runtime/cuda/Launch.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"

using namespace filigree;
using llvm::SmallVector;
using llvm::StringRef;

static llvm::Error errorOf(fil_status status, const fil_error &error) {
  return status == FIL_OK ? llvm::Error::success()
                          : llvm::createStringError(StringRef(error.message));
}

//===----------------------------------------------------------------------===//
// The artifact
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

static llvm::Error notLowered() {
  return llvm::createStringError("the kernel could not be lowered");
}

/// An artifact of the kernel's sizes alone.
static llvm::Expected<ObjectBytes> buildSizes(mlir::ModuleOp kernels,
                                              const CpuTarget &target) {
  tile::KernelOp kernel = *kernels.getOps<tile::KernelOp>().begin();
  ArtifactKernel entry;
  entry.interface = interfaceOf(kernel);
  entry.variant = variantName(kernel);
  cpu::EntryPoints entries;
  auto module = lowerForCpu(kernels, target, /*llvmDialect=*/false, &entries);
  if (!module || mlir::failed(dropComputation(*module, entries)) ||
      mlir::failed(cpu::lowerToLLVM(*module)))
    return notLowered();
  llvm::LLVMContext context;
  auto machine = cpu::targetMachineFor(target);
  auto translated =
      cpu::translate(*module, target, entries.names(), *machine, context);
  if (!translated)
    return notLowered();
  SmallVector<ObjectBytes> objects = {cpu::emitObject(*translated, *machine)};
  entry.cpu.push_back({&target, entries});
  objects.push_back(emitTable({entry}, FIL_ABI_SYMBOL));
  return linkArtifact(objects);
}

namespace {

/// Such an artifact, loaded, and the arguments of a run of its kernel.
class SizesLibrary {
public:
  static llvm::Expected<std::unique_ptr<SizesLibrary>>
  open(llvm::Expected<ObjectBytes> bytes, const RunShape &shape,
       const llvm::StringMap<reference::Scalar> &scalars);
  ~SizesLibrary() { fil_close(library); }

  const fil_kernel *kernel() const { return fil_kernel_at(library, 0); }

  std::vector<fil_arg> args;

private:
  void bind(llvm::ArrayRef<fil_arg_info> infos, const RunShape &shape,
            const llvm::StringMap<reference::Scalar> &scalars);

  fil_library *library = nullptr;
  std::vector<DLTensor> tensors;
  std::vector<SmallVector<int64_t, 4>> shapes;
};

} // namespace

llvm::Expected<std::unique_ptr<SizesLibrary>>
SizesLibrary::open(llvm::Expected<ObjectBytes> bytes, const RunShape &shape,
                   const llvm::StringMap<reference::Scalar> &scalars) {
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
  auto opened = std::make_unique<SizesLibrary>();
  fil_error error = FIL_ERROR_INIT;
  if (llvm::Error bad =
          errorOf(fil_open(path.c_str(), &opened->library, &error), error))
    return std::move(bad);
  auto infos = argumentsOf(opened->kernel());
  if (!infos)
    return infos.takeError();
  opened->bind(*infos, shape, scalars);
  return std::move(opened);
}

void SizesLibrary::bind(llvm::ArrayRef<fil_arg_info> infos,
                        const RunShape &shape,
                        const llvm::StringMap<reference::Scalar> &scalars) {
  tensors.resize(infos.size());
  shapes.resize(infos.size());
  for (auto [number, info] : llvm::enumerate(infos)) {
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
}

//===----------------------------------------------------------------------===//
// The questions
//===----------------------------------------------------------------------===//

llvm::Expected<std::vector<uint64_t>>
filigree::workspaceBytes(mlir::ModuleOp kernels, const CpuTarget &target,
                         const RunShape &shape,
                         const llvm::StringMap<reference::Scalar> &scalars,
                         llvm::ArrayRef<unsigned> workers) {
  // The ABI counts from 0, the interface, where 0 is "auto", from 1.
  const uint32_t isa = target.isa + 1;
  if (isa > uint32_t(fil_machine_isa()))
    return llvm::createStringError("this machine has no " + target.name);
  auto opened = SizesLibrary::open(buildSizes(kernels, target), shape, scalars);
  if (!opened)
    return opened.takeError();
  SizesLibrary &library = **opened;
  std::vector<uint64_t> sizes;
  for (unsigned count : workers) {
    fil_options options = FIL_OPTIONS_INIT;
    options.worker_limit = count;
    options.isa = isa;
    size_t size = 0;
    fil_error error = FIL_ERROR_INIT;
    if (llvm::Error bad =
            errorOf(fil_workspace(library.kernel(), library.args.data(),
                                  library.args.size(), &options, &size, &error),
                    error))
      return std::move(bad);
    sizes.push_back(size);
  }
  return sizes;
}

llvm::Expected<CudaSizes>
filigree::cudaSizes(const CudaKernels &kernels, const CudaTarget &target,
                    const RunShape &shape,
                    const llvm::StringMap<reference::Scalar> &scalars) {
  namespace runtime = filigree::runtime;
  auto compiled = compileCudaSizes(kernels, target);
  if (mlir::failed(compiled))
    return notLowered();
  compiled->objects.push_back(emitTable({compiled->kernel}, FIL_ABI_SYMBOL));
  auto opened =
      SizesLibrary::open(linkArtifact(compiled->objects), shape, scalars);
  if (!opened)
    return opened.takeError();
  SizesLibrary &library = **opened;
  const fil_abi_kernel &kernel = *library.kernel()->abi;
  fil_error error = FIL_ERROR_INIT;
  runtime::BoundArguments bound;
  if (llvm::Error bad =
          errorOf(runtime::checkArguments(
                      kernel, library.args.data(), library.args.size(),
                      runtime::CheckMode::Query, bound, &error),
                  error))
    return std::move(bad);
  runtime::cuda::DeviceInfo device = {};
  device.arch = target.arch;
  device.multiprocessors = int(target.chip.multiprocessors);
  CudaSizes sizes;
  for (bool checked : {false, true}) {
    runtime::RunOptions options = {};
    options.checked = checked;
    runtime::cuda::Plan plan;
    if (llvm::Error bad =
            errorOf(runtime::cuda::planRun(kernel, bound.slots, device, options,
                                           plan, &error),
                    error))
      return std::move(bad);
    (checked ? sizes.checkedWorkspace : sizes.workspace) = plan.bytes;
    if (checked)
      continue;
    const fil_abi_cuda &code = *plan.choice.code;
    for (uint32_t k = 0; k < code.launch_count; ++k) {
      const fil_abi_launch &launch = runtime::element(code.launches, k);
      sizes.launches.push_back(
          {compiled->kernel.cuda[0].launches[k].role, launch.threads,
           launch.shared_bytes, launch.ctas_per_sm,
           (launch.flags & FIL_ABI_LAUNCH_PERSISTENT) != 0, plan.units[k]});
    }
  }
  return sizes;
}
