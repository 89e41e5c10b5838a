//===- EmitCubin.cpp - device functions to PTX and machine code -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/EmitCubin.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetOptions.h"

using namespace mlir;
using namespace filigree;

/// What is emitted is scalar or a vector of one lane, so that one conversion
/// does what a pass for each dialect would, and modules are verified once.
static LogicalResult convertToLLVM(ModuleOp module) {
  MLIRContext *context = module.getContext();
  PassManager pm(context);
  pm.enableVerifier(false);
  pm.addPass(createCSEPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(arith::createArithExpandOpsPass());
  if (failed(pm.run(module)))
    return failure();
  LLVMTypeConverter types(context);
  RewritePatternSet patterns(context);
  arith::populateArithToLLVMConversionPatterns(types, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(types, patterns);
  populateFuncToLLVMConversionPatterns(types, patterns);
  populateMathToLLVMConversionPatterns(types, patterns);
  populateVectorToLLVMConversionPatterns(types, patterns);
  LLVMConversionTarget target(*context);
  target.addLegalOp<ModuleOp>();
  if (failed(applyFullConversion(module, target, std::move(patterns))))
    return failure();
  return verify(module);
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

/// LLVM's passes of -O3, without those that find nothing in these kernels and
/// with half as often what tidies up between them. Helpers are inlined first,
/// so that they are not simplified twice. Nothing is vectorised, and no loop
/// unrolled but those of a few constant turns.
static std::string devicePasses() {
  std::string tidy = "simplifycfg<no-switch-to-lookup;speculate-blocks>";
  std::string sink = "simplifycfg<switch-range-to-icmp;switch-to-arithmetic;"
                     "hoist-common-insts;sink-common-insts>";
  std::string combine = "instcombine<max-iterations=1;no-verify-fixpoint>";
  std::string hoist = "loop-mssa(licm<allowspeculation>)";
  std::string rotate = "loop-rotate<header-duplication;no-prepare-for-lto>";
  std::string kernel[] = {
      "sroa<modify-cfg>", "early-cse<memssa>",
      "speculative-execution<only-if-divergent-target>",
      "correlated-propagation", tidy, combine, "reassociate",
      "loop-mssa(loop-instsimplify,loop-simplifycfg,"
      "licm<no-allowspeculation>," +
          rotate +
          ",licm<allowspeculation>,"
          "simple-loop-unswitch<no-nontrivial;trivial>)",
      tidy, combine,
      // Loops are known now.
      "loop(indvars,loop-deletion,loop-unroll-full)", "gvn<>", "sccp", combine,
      "correlated-propagation", "dse", sink, combine,
      // For the back end.
      "loop(" + rotate + ",loop-deletion)", sink, hoist, "instsimplify",
      "div-rem-pairs", "simplifycfg<speculate-unpredictables>"};
  return "function(nvvm-intr-range,sroa<modify-cfg>,early-cse<>," + tidy +
         "),always-inline,function(" + llvm::join(llvm::ArrayRef(kernel), ",") +
         "),globaldce";
}

FailureOr<cuda::DeviceCode> cuda::lowerToLLVM(ModuleOp module,
                                              const CudaTarget &target) {
  MLIRContext *context = module.getContext();
  registerBuiltinDialectTranslation(*context);
  registerLLVMDialectTranslation(*context);
  registerNVVMDialectTranslation(*context);
  DeviceCode code = {std::make_unique<llvm::LLVMContext>(), nullptr,
                     machineFor(target)};
  if (!code.machine)
    return module.emitError("expected an LLVM with the NVPTX back end");
  if (failed(convertToLLVM(module)))
    return failure();
  // Translation aligns loads and stores by it.
  module->setAttr(
      LLVM::LLVMDialect::getDataLayoutAttrName(),
      StringAttr::get(
          context, code.machine->createDataLayout().getStringRepresentation()));
  code.module = translateModuleToLLVMIR(module, *code.context, "filigree");
  if (!code.module)
    return failure();
  return code;
}

std::string cuda::emitPtx(DeviceCode device) {
  std::unique_ptr<llvm::Module> &code = device.module;
  std::unique_ptr<llvm::TargetMachine> &machine = device.machine;
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
  llvm::PassBuilder passes(machine.get());
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(cgscc);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, cgscc, modules);
  llvm::ModulePassManager pipeline;
  llvm::cantFail(passes.parsePassPipeline(pipeline, devicePasses()));
  pipeline.run(*code, modules);
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager emission;
  bool refuses = machine->addPassesToEmitFile(
      emission, stream, nullptr, llvm::CodeGenFileType::AssemblyFile);
  assert(!refuses && "NVPTX emits text");
  (void)refuses;
  emission.run(*code);
  return std::string(text);
}

/// What precedes the first function, the same of all parts, is needed once.
std::string cuda::joinPtx(ArrayRef<StringRef> parts) {
  std::string result = parts[0].str();
  for (StringRef part : parts.drop_front())
    result += part.substr(part.find(".visible .entry"));
  return result;
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

FailureOr<std::unique_ptr<cuda::Assembler>>
cuda::Assembler::create(const CudaTarget &target, Location loc) {
  auto assembler = std::make_unique<Assembler>();
  assembler->ptxas = findPtxas();
  assembler->arch = ("-arch=" + target.cpu).str();
  if (assembler->ptxas.empty())
    return emitError(loc, "expected ptxas in $FILIGREE_PTXAS, the path or "
                          "/usr/local/cuda/bin, but found none");
  if (llvm::sys::fs::createUniqueDirectory("filigree-ptx", assembler->folder))
    return emitError(loc, "expected to create a temporary folder");
  return assembler;
}

cuda::Assembler::~Assembler() {
  if (!folder.empty())
    llvm::sys::fs::remove_directories(folder);
}

cuda::MachineCode cuda::Assembler::assemble(const CudaLaunch &launch,
                                            std::string ptx) const {
  MachineCode code;
  code.ptx = std::move(ptx);
  std::string stem = (folder + "/" + launch.function).str();
  std::string in = stem + ".ptx", out = stem + ".cubin", log = stem + ".log";
  {
    std::error_code error;
    llvm::raw_fd_ostream file(in, error);
    file << code.ptx;
    file.close();
    if (error || file.has_error()) {
      file.clear_error();
      code.error = "expected to write " + in;
      return code;
    }
  }
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(log),
                                          StringRef(log)};
  // Rows computed anew are rare.
  StringRef level = launch.role == LaunchRole::Exact ? "-O1" : "-O3";
  int status = llvm::sys::ExecuteAndWait(
      ptxas, {ptxas, arch, level, "-v", in, "-o", out}, std::nullopt,
      redirects);
  auto messages = llvm::MemoryBuffer::getFile(log);
  StringRef text = messages ? (*messages)->getBuffer() : "";
  SmallVector<StringRef> match;
  if (status != 0) {
    code.error = "expected ptxas to succeed, but got status " +
                 std::to_string(status) + ": " + text.str();
  } else if (llvm::Regex("[^\n]*C75[0-9][0-9][^\n]*").match(text, &match)) {
    code.error = "expected machine code without this warning of ptxas: " +
                 match[0].str();
  } else if (llvm::Regex("([1-9][0-9]* bytes spill [^\n]*)\n")
                 .match(text, &match)) {
    code.spills = match[1].str();
  } else if (auto image = llvm::MemoryBuffer::getFile(
                 out, /*IsText=*/false, /*RequiresNullTerminator=*/false)) {
    code.image.assign((*image)->getBufferStart(), (*image)->getBufferEnd());
  } else {
    code.error = "expected to read " + out;
  }
  return code;
}
