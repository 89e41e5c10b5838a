//===- EmitCubin.cpp - device functions to PTX and machine code -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/EmitCubin.h"
#include "codegen/cpu/EmitObject.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"

using namespace mlir;
using namespace filigree;

LogicalResult cuda::lowerToLLVM(ModuleOp module) {
  return cpu::lowerToLLVM(module);
}

static std::unique_ptr<llvm::TargetMachine>
machineFor(const CudaTarget &target) {
  static const bool initialized = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string error;
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(found->createTargetMachine(
      triple, target.cpu, target.features, llvm::TargetOptions(), std::nullopt,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

FailureOr<std::string> cuda::emitPtx(ModuleOp module,
                                     const CudaTarget &target) {
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  registerNVVMDialectTranslation(*module.getContext());
  auto machine = machineFor(target);
  if (!machine)
    return module.emitError("expected an LLVM with the NVPTX back end");
  // Translation aligns loads and stores by it.
  module->setAttr(
      LLVM::LLVMDialect::getDataLayoutAttrName(),
      StringAttr::get(module.getContext(),
                      machine->createDataLayout().getStringRepresentation()));
  llvm::LLVMContext context;
  auto code = translateModuleToLLVMIR(module, context, "filigree");
  if (!code)
    return failure();
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  for (llvm::Function &f : *code) {
    if (f.isDeclaration() ||
        f.getCallingConv() == llvm::CallingConv::PTX_Kernel)
      continue;
    // Calls would serialise what is in flight.
    f.setLinkage(llvm::GlobalValue::InternalLinkage);
    f.addFnAttr(llvm::Attribute::AlwaysInline);
  }
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager cgscc;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.LoopUnrolling = false;
  llvm::PassBuilder passes(machine.get(), tuning);
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(cgscc);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, cgscc, modules);
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(*code, modules);
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager emission;
  if (machine->addPassesToEmitFile(emission, stream, nullptr,
                                   llvm::CodeGenFileType::AssemblyFile))
    return module.emitError("expected PTX to be emitted");
  emission.run(*code);
  return std::string(text);
}

static std::string findPtxas() {
  if (auto named = llvm::sys::Process::GetEnv("FILIGREE_PTXAS"))
    return *named;
  if (auto found = llvm::sys::findProgramByName("ptxas"))
    return *found;
  if (auto found =
          llvm::sys::findProgramByName("ptxas", {"/usr/local/cuda/bin"}))
    return *found;
  return "";
}

FailureOr<SmallVector<char>> cuda::assemble(StringRef ptx,
                                            const CudaTarget &target,
                                            Location loc, Spills &spills) {
  std::string ptxas = findPtxas();
  if (ptxas.empty())
    return emitError(loc, "expected ptxas in $FILIGREE_PTXAS, the path or "
                          "/usr/local/cuda/bin, but found none");
  SmallString<128> folder;
  if (llvm::sys::fs::createUniqueDirectory("filigree-ptx", folder))
    return emitError(loc, "expected to create a temporary folder");
  llvm::scope_exit cleanup([&] { llvm::sys::fs::remove_directories(folder); });
  std::string in = (folder + "/kernel.ptx").str(),
              out = (folder + "/kernel.cubin").str(),
              log = (folder + "/log").str();
  {
    std::error_code error;
    llvm::raw_fd_ostream file(in, error);
    file << ptx;
    file.close();
    if (error || file.has_error()) {
      file.clear_error();
      return emitError(loc, "expected to write ") << in;
    }
  }
  std::string arch = ("-arch=" + target.cpu).str();
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(log),
                                          StringRef(log)};
  int status = llvm::sys::ExecuteAndWait(
      ptxas, {ptxas, arch, "-O3", "-v", "--split-compile=0", in, "-o", out},
      std::nullopt, redirects);
  auto messages = llvm::MemoryBuffer::getFile(log);
  StringRef text = messages ? (*messages)->getBuffer() : "";
  if (status != 0)
    return emitError(loc, "expected ptxas to succeed, but got status ")
           << status << ": " << text;
  SmallVector<StringRef> match;
  if (llvm::Regex("[^\n]*C75[0-9][0-9][^\n]*").match(text, &match))
    return emitError(loc, "expected machine code without this warning of "
                          "ptxas: ")
           << match[0];
  llvm::Regex properties("Function properties for ([^ \n]+)\n[^\n]*, "
                         "([1-9][0-9]* bytes spill [^\n]*)\n");
  for (StringRef rest = text; properties.match(rest, &match);
       rest = rest.substr(match[0].end() - rest.begin()))
    spills[match[1]] = match[2].str();
  if (!spills.empty())
    return failure();
  auto image = llvm::MemoryBuffer::getFile(out, /*IsText=*/false,
                                           /*RequiresNullTerminator=*/false);
  if (!image)
    return emitError(loc, "expected to read ") << out;
  return SmallVector<char>((*image)->getBufferStart(),
                           (*image)->getBufferEnd());
}
