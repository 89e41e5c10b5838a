//===- EmitOracle.cpp - a pattern as naive loops in a library of its own --===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One unit of work is one row: rows[t] of head h of batch entry b, folded once
// (OracleFold.cpp) for each arithmetic and order whose outputs are there.
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/EmitOracle.h"
#include "codegen/cpu/EmitObject.h"
#include "codegen/reference/OracleFold.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Passes/PassBuilder.h"
#include <limits>

using namespace filigree;
using namespace filigree::oracle;
using reference::Arithmetic;
using reference::SumOrder;

namespace {

/// The functions that the artifact's table names.
class KernelEmitter {
public:
  KernelEmitter(const Fold &fold, llvm::Module &module)
      : fold(fold), module(module), math(module) {}

  /// Fails with a diagnostic.
  llvm::FailureOr<cpu::EntryPoints> emit();

private:
  Code entry(const std::string &name, llvm::Type *result,
             llvm::ArrayRef<llvm::Type *> arguments) {
    return Code(module, name, result, arguments, /*isEntry=*/true);
  }
  llvm::LogicalResult emitRun(const std::string &name);

  const Fold &fold;
  llvm::Module &module;
  oracle::Math math;
};

} // namespace

/// run(slots, unit, scratch, shared): rows[t] of head h of entry b, where
/// unit = (b Hq + h) R + t.
llvm::LogicalResult KernelEmitter::emitRun(const std::string &name) {
  llvm::Function *report = emitReport(module);
  struct Version {
    Arithmetic arithmetic;
    SumOrder order;
    const char *name;
    Fold::Added output;
    std::optional<Fold::Added> lse;
    llvm::Function *function = nullptr;
  } versions[] = {{Arithmetic::Double, SumOrder::EightLanes, "oracle_fold",
                   Fold::O, Fold::Lse},
                  {Arithmetic::Naive, SumOrder::Forward, "oracle_fold_naive",
                   Fold::ONaive, Fold::LseNaive},
                  {Arithmetic::Naive, SumOrder::Backward,
                   "oracle_fold_naive_backward", Fold::OBackward, std::nullopt},
                  {Arithmetic::Naive, SumOrder::EightLanes,
                   "oracle_fold_naive_lanes", Fold::OLanes, std::nullopt}};
  for (Version &version : versions) {
    version.function = emitFold(fold, module, math, report, version.name,
                                version.arithmetic, version.order);
    if (!version.function)
      return llvm::failure();
  }

  llvm::LLVMContext &context = module.getContext();
  llvm::Type *i64 = llvm::Type::getInt64Ty(context);
  llvm::Type *ptr = llvm::PointerType::get(context, 0);
  Code code = entry(name, llvm::Type::getVoidTy(context), {ptr, i64, ptr, ptr});
  llvm::IRBuilder<> &b = code.b;
  Bodies bodies(code, math, fold.interface);
  attn::AttendOp attend = fold.sources.front().attend;
  auto slot = [&](Fold::Added which, unsigned index) {
    return bodies.slotAt(fold.added(which).slot + index);
  };
  Val unit = code.arg(1), rows = slot(Fold::Rows, 1);
  Val heads = bodies.slot(attend.getQuery(), 1 + 1);
  Val queries = bodies.slot(attend.getQuery(), 1 + 2);
  Val t = b.CreateSRem(unit, rows), rest = b.CreateSDiv(unit, rows);
  Val h = b.CreateSRem(rest, heads), batch = b.CreateSDiv(rest, heads);
  Val entry = code.load(b.getInt32Ty(), code.pointer(slot(Fold::Rows, 0)),
                        b.CreateMul(t, slot(Fold::Rows, 5)));
  Val r = b.CreateSExt(entry, i64);

  /// Where the row of an output starts; null if the caller wants none.
  auto place = [&](Fold::Added which) {
    Val at = b.CreateMul(batch, slot(which, 5));
    at = b.CreateAdd(at, b.CreateMul(h, slot(which, 6)));
    at = b.CreateAdd(at, b.CreateMul(t, slot(which, 7)));
    Val base = code.pointer(slot(which, 0));
    Val null = llvm::ConstantPointerNull::get(b.getPtrTy());
    return code.select(code.isNull(base), null,
                       b.CreateGEP(b.getDoubleTy(), base, at));
  };
  Val null = llvm::ConstantPointerNull::get(b.getPtrTy());
  attn::FinalizeOp finalize = fold.finalize;
  int64_t width = finalize.getPartial().getType().getValueDim();
  Val nan = Code::real(code.f64(), std::numeric_limits<double>::quiet_NaN());
  Val inside =
      b.CreateAnd(b.CreateICmpSGE(r, code.c(0)), b.CreateICmpSLT(r, queries));
  code.when(b.CreateNot(inside), [&] {
    b.CreateCall(report, {bodies.slotAt(FIL_ABI_SLOT_STATUS),
                          code.c(FIL_ABI_ROW_OUT_OF_RANGE), batch, h, r, t});
  });
  for (const Version &version : versions) {
    Val output = place(version.output);
    Val lse = version.lse ? place(*version.lse) : null;
    Val wanted =
        b.CreateNot(b.CreateAnd(code.isNull(output), code.isNull(lse)));
    code.when(b.CreateAnd(wanted, inside), [&] {
      b.CreateCall(version.function,
                   {code.arg(0), batch, h, r, code.arg(2), output, lse});
    });
    code.when(b.CreateAnd(wanted, b.CreateNot(inside)), [&] {
      code.when(b.CreateNot(code.isNull(output)), [&] {
        code.loop(code.c(0), code.c(width),
                  [&](Val d) { code.store(nan, output, d); });
      });
      code.when(b.CreateNot(code.isNull(lse)),
                [&] { code.store(nan, lse, code.c(0)); });
    });
  }
  code.ret();
  return llvm::success();
}

llvm::FailureOr<cpu::EntryPoints> KernelEmitter::emit() {
  std::string prefix = "fil_" + fold.interface.name + "_" + fold.variant + "_";
  cpu::EntryPoints entries;
  entries.scratchBytes = prefix + "scratch_bytes";
  entries.sharedBytes = prefix + "shared_bytes";
  entries.phases.push_back({prefix + "units", "", prefix + "run"});
  llvm::Type *i64 = llvm::Type::getInt64Ty(module.getContext());
  llvm::Type *ptr = llvm::PointerType::get(module.getContext(), 0);

  Code scratch = entry(entries.scratchBytes, i64, {ptr});
  Bodies ofScratch(scratch, math, fold.interface);
  scratch.ret(scratchBytes(fold, scratch, ofScratch));
  Code shared = entry(entries.sharedBytes, i64, {ptr});
  shared.ret(shared.c(0));
  Code units = entry(entries.phases[0].units, i64, {ptr});
  Bodies ofUnits(units, math, fold.interface);
  attn::AttendOp attend = fold.sources.front().attend;
  Val count = ofUnits.slotAt(fold.added(Fold::Rows).slot + 1);
  for (unsigned axis : {0, 1})
    count = units.b.CreateMul(count, ofUnits.slot(attend.getQuery(), 1 + axis));
  units.ret(count);
  if (mlir::failed(emitRun(entries.phases[0].run)))
    return llvm::failure();
  return entries;
}

/// LLVM's own passes, which keep the order of floating-point operations.
static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager cgscc;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder passes(&machine);
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(cgscc);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, cgscc, modules);
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2)
      .run(module, modules);
}

llvm::FailureOr<CompiledPattern>
filigree::compileOracle(mlir::ModuleOp pattern) {
  auto function = *pattern.getOps<mlir::func::FuncOp>().begin();
  llvm::FailureOr<Fold> fold = readFold(function);
  if (mlir::failed(fold))
    return llvm::failure();
  CompiledPattern result;
  llvm::raw_string_ostream(result.kernel.ir) << pattern;
  result.kernel.interface = fold->interface;
  result.kernel.variant = fold->variant;

  // Any x86-64 runs it.
  const CpuTarget &target = getCpuTargets().front();
  auto machine = cpu::targetMachineFor(target);
  llvm::LLVMContext context;
  llvm::Module module("filigree-oracle", context);
  module.setTargetTriple(machine->getTargetTriple());
  module.setDataLayout(machine->createDataLayout());
  llvm::FailureOr<cpu::EntryPoints> entries =
      KernelEmitter(*fold, module).emit();
  if (mlir::failed(entries))
    return llvm::failure();
  if (llvm::verifyModule(module, &llvm::errs()))
    return function.emitError("the oracle's code is not valid");
  optimize(module, *machine);
  result.objects.push_back(cpu::emitObject(module, *machine));
  result.kernel.cpu.push_back({&target, *entries});
  return result;
}
