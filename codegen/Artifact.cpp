//===- Artifact.cpp - compiled kernels as one shared library --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the structs of runtime/ArtifactAbi.h as LLVM constants. The order of
// the fields below is the order in that header; the sizes are checked.
//
//===----------------------------------------------------------------------===//
#include "codegen/Artifact.h"
#include "codegen/cpu/EmitObject.h"
#include "lld/Common/Driver.h"
#include "runtime/ArtifactAbi.h"
#include "runtime/Trailer.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

LLD_HAS_DRIVER(elf)

using namespace llvm;
using namespace filigree;

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

namespace {

class TableWriter {
public:
  TableWriter(LLVMContext &context, Module &module)
      : context(context), module(module) {}

  Constant *i32(uint32_t value) {
    return ConstantInt::get(Type::getInt32Ty(context), value);
  }
  Constant *i64(uint64_t value) {
    return ConstantInt::get(Type::getInt64Ty(context), value);
  }
  Constant *null() {
    return ConstantPointerNull::get(PointerType::getUnqual(context));
  }

  /// Pointer to a private constant.
  Constant *global(Constant *value) {
    auto *variable =
        new GlobalVariable(module, value->getType(), /*isConstant=*/true,
                           GlobalValue::PrivateLinkage, value);
    return variable;
  }
  Constant *text(StringRef string) {
    return global(ConstantDataArray::getString(context, string));
  }
  /// A cubin: an ELF file in memory, which the driver reads in place.
  Constant *blob(StringRef bytes) {
    if (bytes.empty())
      return null();
    Constant *value =
        ConstantDataArray::getString(context, bytes, /*AddNull=*/false);
    auto *variable = cast<GlobalVariable>(global(value));
    variable->setAlignment(Align(64));
    return variable;
  }
  Constant *record(ArrayRef<Constant *> fields, size_t expectedBytes) {
    Constant *value = ConstantStruct::getAnon(context, fields);
    assert(module.getDataLayout().getTypeAllocSize(value->getType()) ==
               expectedBytes &&
           "a struct differs from runtime/ArtifactAbi.h");
    (void)expectedBytes;
    return value;
  }
  Constant *array(ArrayRef<Constant *> values) {
    if (values.empty())
      return null();
    return global(ConstantArray::get(
        ArrayType::get(values[0]->getType(), values.size()), values));
  }
  Constant *function(StringRef name) {
    if (name.empty())
      return null();
    auto *type = FunctionType::get(Type::getVoidTy(context), false);
    FunctionCallee callee = module.getOrInsertFunction(name, type);
    cast<Function>(callee.getCallee())
        ->setVisibility(GlobalValue::HiddenVisibility);
    return cast<Constant>(callee.getCallee());
  }

  Constant *arg(const InterfaceArg &arg) {
    SmallVector<Constant *> dims;
    for (unsigned axis = 0; axis < 4; ++axis) {
      fil_abi_dim dim =
          axis < arg.dims.size() ? arg.dims[axis] : fil_abi_dim{-1, 1};
      dims.push_back(
          record({i32(dim.symbol), i32(dim.extent)}, sizeof(fil_abi_dim)));
    }
    Constant *dimArray =
        ConstantArray::get(ArrayType::get(dims[0]->getType(), 4), dims);
    return record({i32(sizeof(fil_abi_arg)), i32(arg.kind), text(arg.name),
                   i32(arg.dtype), i32(arg.flags), i32(arg.rank), i32(arg.slot),
                   dimArray, i64(arg.min), i64(arg.max), i64(arg.preset),
                   i32(arg.hasPreset), i32(arg.alignment)},
                  sizeof(fil_abi_arg));
  }

  Constant *cpu(const CpuCode &code) {
    SmallVector<Constant *> phases;
    for (const cpu::EntryPoints::Phase &phase : code.entries.phases)
      phases.push_back(
          record({i32(sizeof(fil_abi_phase)), i32(0), function(phase.units),
                  function(phase.cost), function(phase.run)},
                 sizeof(fil_abi_phase)));
    return record({i32(sizeof(fil_abi_cpu)), i32(code.target->isa),
                   function(code.entries.scratchBytes),
                   function(code.entries.sharedBytes),
                   i32(code.entries.phases.size()), i32(0), array(phases)},
                  sizeof(fil_abi_cpu));
  }

  Constant *launch(const CudaLaunch &launch) {
    SmallVector<Constant *> maps;
    for (const fil_abi_tensor_map &map : launch.tensorMaps)
      maps.push_back(record({i32(sizeof(fil_abi_tensor_map)), i32(map.arg),
                             ConstantDataArray::get(context, map.box),
                             i32(map.swizzle), i32(map.flags)},
                            sizeof(fil_abi_tensor_map)));
    return record({i32(sizeof(fil_abi_launch)), i32(launch.threads),
                   i32(launch.sharedBytes), i32(launch.ctasPerSm),
                   i32((launch.persistent ? FIL_ABI_LAUNCH_PERSISTENT : 0) |
                       (launch.zeroed ? FIL_ABI_LAUNCH_ZEROED : 0) |
                       (launch.zeroedDrawn ? FIL_ABI_LAUNCH_ZEROED_DRAWN : 0) |
                       (launch.follows ? FIL_ABI_LAUNCH_FOLLOWS : 0)),
                   i32(maps.size()), text(launch.function), array(maps),
                   function(launch.units), blob(launch.image),
                   i64(launch.image.size()),
                   launch.plan.empty() ? null() : function(launch.plan),
                   i32(launch.planCount), i32(0)},
                  sizeof(fil_abi_launch));
  }

  Constant *cuda(const CudaCode &code) {
    SmallVector<Constant *> launches;
    for (const CudaLaunch &entry : code.launches)
      launches.push_back(launch(entry));
    return record(
        {i32(sizeof(fil_abi_cuda)), i32(code.arch), i32(code.archFlags),
         i32(launches.size()), blob(code.image), i64(code.image.size()),
         code.ptx.empty() ? null() : text(code.ptx), i64(code.ptx.size()),
         function(code.workspaceBytes), array(launches)},
        sizeof(fil_abi_cuda));
  }

  Constant *kernel(const ArtifactKernel &kernel) {
    const KernelInterface &interface = kernel.interface;
    SmallVector<Constant *> dims, args, relations, variants, cudas;
    for (const std::string &name : interface.dims)
      dims.push_back(text(name));
    for (const InterfaceArg &entry : interface.args)
      args.push_back(arg(entry));
    for (const fil_abi_relation &r : interface.relations)
      relations.push_back(record({i32(r.size), i32(r.kind), i32(r.a), i32(r.b),
                                  i32(r.c), i32(r.reserved)},
                                 sizeof(fil_abi_relation)));
    for (const CpuCode &code : kernel.cpu)
      variants.push_back(cpu(code));
    for (const CudaCode &code : kernel.cuda)
      cudas.push_back(cuda(code));
    return record({i32(sizeof(fil_abi_kernel)), i32(interface.slotCount),
                   text(interface.name), text(kernel.variant), i32(dims.size()),
                   i32(args.size()), array(dims), array(args),
                   i32(relations.size()), i32(variants.size()),
                   array(relations), array(variants), text(kernel.ir),
                   i64(kernel.ir.size()), i32(cudas.size()), i32(0),
                   array(cudas)},
                  sizeof(fil_abi_kernel));
  }

private:
  LLVMContext &context;
  Module &module;
};

} // namespace

ObjectBytes filigree::emitTable(ArrayRef<ArtifactKernel> kernels,
                                StringRef symbol) {
  LLVMContext context;
  Module module("filigree-table", context);
  auto machine = cpu::targetMachineFor(getCpuTargets().front());
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());
  TableWriter w(context, module);
  SmallVector<Constant *> records;
  for (const ArtifactKernel &kernel : kernels)
    records.push_back(w.kernel(kernel));
  Constant *table = w.record(
      {w.i64(FIL_ABI_MAGIC), w.i32(sizeof(fil_abi_table)), w.i32(FIL_ABI_MAJOR),
       w.i32(FIL_ABI_MINOR), w.i32(records.size()), w.text("filigree 0.1.0"),
       w.array(records)},
      sizeof(fil_abi_table));
  new GlobalVariable(module, table->getType(), /*isConstant=*/true,
                     GlobalValue::ExternalLinkage, table, symbol);
  return cpu::emitObject(module, *machine);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

/// Runs the linker on `objects`; the result is read back as bytes.
static Expected<ObjectBytes> link(ArrayRef<ObjectBytes> objects,
                                  ArrayRef<const char *> flags) {
  SmallString<128> folder;
  if (std::error_code code = sys::fs::createUniqueDirectory("filigree", folder))
    return createStringError(code, "cannot make a temporary folder: " +
                                       code.message());
  scope_exit cleanUp([&] { sys::fs::remove_directories(folder); });
  SmallVector<std::string> files;
  for (auto [index, bytes] : enumerate(objects)) {
    files.push_back((folder + "/" + Twine(index) + ".o").str());
    std::error_code code;
    raw_fd_ostream stream(files.back(), code);
    if (!code) {
      stream.write(bytes.data(), bytes.size());
      stream.close();
      code = stream.error();
      stream.clear_error();
    }
    if (code)
      return createStringError(code, "cannot write a temporary file: " +
                                         code.message());
  }
  std::string output = (folder + "/out").str();
  SmallVector<const char *> args = {"ld.lld"};
  append_range(args, flags);
  args.append({"-o", output.c_str()});
  for (const std::string &file : files)
    args.push_back(file.c_str());
  std::string messages;
  raw_string_ostream sink(messages);
  lld::Result result =
      lld::lldMain(args, sink, sink, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return createStringError("linking failed: " + StringRef(messages).trim());
  auto buffer = MemoryBuffer::getFile(output, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false);
  if (!buffer)
    return createStringError(buffer.getError(), "cannot read the linked file");
  StringRef bytes = (*buffer)->getBuffer();
  return ObjectBytes(bytes.begin(), bytes.end());
}

Expected<ObjectBytes> filigree::linkArtifact(ArrayRef<ObjectBytes> objects) {
  Expected<ObjectBytes> elf =
      link(objects, {"-shared", "-nostdlib", "-z", "defs", "-z", "now", "-z",
                     "noexecstack", "--gc-sections", "-s", "--build-id=none",
                     "--hash-style=gnu"});
  if (!elf)
    return elf;
  fil_abi_trailer trailer = runtime::makeTrailer(elf->data(), elf->size());
  const char *bytes = reinterpret_cast<const char *>(&trailer);
  elf->append(bytes, bytes + sizeof(trailer));
  return elf;
}

Expected<ObjectBytes> filigree::linkObject(ArrayRef<ObjectBytes> objects) {
  return link(objects, {"-r"});
}
