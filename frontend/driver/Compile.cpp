//===- Compile.cpp - filigree compile: pattern to machine code ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One artifact holds every asked-for variant (head size x dtype), each with
// code for every asked-for target. Nothing is written unless all of it
// compiled. `--emit oracle` writes naive float64 loops instead, which run
// anywhere.
//
//===----------------------------------------------------------------------===//
#include "codegen/Compiler.h"
#include "codegen/reference/EmitOracle.h"
#include "frontend/driver/Driver.h"
#include "frontend/driver/LoadPattern.h"
#include "frontend/driver/OutputFile.h"
#include "passes/Pipelines.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"

using namespace filigree;
namespace cl = llvm::cl;

namespace {
enum class Emit { SharedObject, Object, Oracle, Ptx, Mlir, Llvm };

struct Options {
  cl::SubCommand command{"compile", "pattern to machine code"};
  cl::opt<std::string> input{cl::Positional, cl::Required,
                             cl::desc("F.attn (or attn IR in F.mlir)"),
                             cl::sub(command)};
  cl::opt<std::string> pattern{"pattern", cl::desc("the pattern to take"),
                               cl::value_desc("name"), cl::sub(command)};
  cl::list<std::string> sets{"set", cl::desc("compile-time parameter"),
                             cl::value_desc("name=value"), cl::sub(command)};
  cl::list<std::string> targets{
      "target", cl::CommaSeparated,
      cl::desc("cpu:baseline, cpu:avx2, cpu:avx512, cuda:sm_90a, ... (default: "
               "cpu, all of them)"),
      cl::value_desc("target,..."), cl::sub(command)};
  cl::list<std::string> dtypes{"dtype", cl::CommaSeparated,
                               cl::desc("f32, bf16, f16 (default: f32)"),
                               cl::value_desc("dtype,..."), cl::sub(command)};
  cl::list<unsigned> headDims{"head-dim", cl::CommaSeparated,
                              cl::desc("head sizes of q and k (default: 64)"),
                              cl::value_desc("D,..."), cl::sub(command)};
  cl::opt<unsigned> valueDim{
      "value-dim", cl::init(0),
      cl::desc("head size of v and o (default: as q and k)"),
      cl::value_desc("D"), cl::sub(command)};
  cl::opt<Emit> emit{
      "emit", cl::desc("what to write"), cl::init(Emit::SharedObject),
      cl::values(clEnumValN(Emit::SharedObject, "so", "artifact (default)"),
                 clEnumValN(Emit::Object, "object",
                            "object file for static linking, and a header"),
                 clEnumValN(Emit::Oracle, "oracle",
                            "artifact of naive float64 loops, to check with"),
                 clEnumValN(Emit::Ptx, "ptx", "PTX of CUDA targets"),
                 clEnumValN(Emit::Mlir, "mlir", "scheduled tile kernels"),
                 clEnumValN(Emit::Llvm, "llvm", "optimised LLVM IR")),
      cl::sub(command)};
  cl::opt<std::string> output{
      "o", cl::Required,
      cl::desc("the file to write; - with --emit mlir or llvm"),
      cl::value_desc("OUT"), cl::sub(command)};
};
} // namespace

static Options &options() {
  static Options instance;
  return instance;
}

cl::SubCommand &filigree::declareCompile() { return options().command; }

namespace {
struct Targets {
  llvm::SmallVector<CpuTarget> cpu;
  llvm::SmallVector<CudaTarget> cuda;
};
} // namespace

static llvm::Expected<Targets> chosenTargets() {
  Targets chosen;
  llvm::SmallVector<CpuTarget> &targets = chosen.cpu;
  std::vector<std::string> words(options().targets.begin(),
                                 options().targets.end());
  if (words.empty())
    words.push_back("cpu");
  for (const std::string &word : words) {
    llvm::ArrayRef<CpuTarget> found = lookupCpuTargets(word);
    if (const CudaTarget *cuda = lookupCudaTarget(word)) {
      if (llvm::none_of(chosen.cuda, [&](const CudaTarget &known) {
            return known.name == cuda->name;
          }))
        chosen.cuda.push_back(*cuda);
      continue;
    }
    if (found.empty())
      return llvm::createStringError("expected target cpu, " + targetWords() +
                                     ", but got `" + word + "`");
    for (const CpuTarget &target : found)
      if (llvm::none_of(targets, [&](const CpuTarget &known) {
            return known.isa == target.isa;
          }))
        targets.push_back(target);
  }
  llvm::sort(targets, [](const CpuTarget &a, const CpuTarget &b) {
    return a.isa < b.isa;
  });
  return chosen;
}

static llvm::Expected<reference::DType> dtypeOf(llvm::StringRef word) {
  if (word == "f32")
    return reference::DType::F32;
  if (word == "bf16")
    return reference::DType::BF16;
  if (word == "f16")
    return reference::DType::F16;
  return llvm::createStringError("expected dtype f32, bf16 or f16, but got `" +
                                 word + "`");
}

static llvm::Error checkHeadSize(unsigned size) {
  if (size >= 1 && size <= 256)
    return llvm::Error::success();
  return llvm::createStringError(
      "expected head sizes between 1 and 256, but got " + llvm::Twine(size));
}

/// What was asked for, once each: the same again is the same variant.
template <typename T> static std::vector<T> distinct(const cl::list<T> &given) {
  std::vector<T> values;
  for (const T &value : given)
    if (!llvm::is_contained(values, value))
      values.push_back(value);
  return values;
}

/// Every asked-for variant of the pattern, as attn IR.
static llvm::Expected<std::vector<LoadedPattern>>
loadVariants(mlir::MLIRContext &context) {
  LoadRequest request;
  request.path = options().input;
  request.pattern = options().pattern;
  auto settings = parseSettings(
      std::vector<std::string>(options().sets.begin(), options().sets.end()));
  if (!settings)
    return settings.takeError();
  request.settings = *settings;
  request.valueDim = options().valueDim;
  if (options().valueDim.getNumOccurrences())
    if (llvm::Error error = checkHeadSize(request.valueDim))
      return std::move(error);
  std::vector<std::string> dtypes = distinct(options().dtypes);
  if (dtypes.empty())
    dtypes.push_back("f32");
  std::vector<unsigned> dims = distinct(options().headDims);
  if (dims.empty())
    dims.push_back(64);
  std::vector<LoadedPattern> variants;
  for (const std::string &word : dtypes) {
    auto dtype = dtypeOf(word);
    if (!dtype)
      return dtype.takeError();
    for (unsigned dim : dims) {
      if (llvm::Error error = checkHeadSize(dim))
        return std::move(error);
      request.dtype = *dtype;
      request.headDim = dim;
      auto loaded = loadPattern(request, context);
      if (!loaded)
        return loaded.takeError();
      if (!loaded->scalars.empty())
        return llvm::createStringError(
            "`" + loaded->scalars.begin()->first() +
            "` is a parameter of the run, not of the compilation: give it to "
            "`filigree run`");
      variants.push_back(std::move(*loaded));
    }
  }
  return variants;
}

/// The C declarations that go with `--emit object`.
static std::string headerText(llvm::StringRef symbol) {
  std::string guard = ("FILIGREE_GENERATED_" + symbol.upper() + "_H");
  return "/* Made by filigree compile. Open with fil_open_static(&" +
         symbol.str() + ", ...). */\n#ifndef " + guard + "\n#define " + guard +
         "\n#include \"filigree.h\"\n#ifdef __cplusplus\nextern \"C\" {\n"
         "#endif\nextern const struct fil_abi_table " +
         symbol.str() + ";\n#ifdef __cplusplus\n}\n#endif\n#endif\n";
}

static llvm::Error writeText(llvm::StringRef path, llvm::StringRef text,
                             unsigned mode = 0644) {
  return writeOutputFile(
      path,
      [&](llvm::raw_ostream &stream) {
        stream << text;
        return llvm::Error::success();
      },
      mode);
}

static llvm::Error writeBytes(llvm::StringRef path,
                              llvm::Expected<ObjectBytes> bytes,
                              unsigned mode) {
  if (!bytes)
    return bytes.takeError();
  return writeText(path, {bytes->data(), bytes->size()}, mode);
}

static llvm::Error run() {
  // The linker, which runs in this process, resets all options.
  const std::string output = options().output;
  const Emit emit = options().emit;
  const bool isText =
      emit == Emit::Mlir || emit == Emit::Llvm || emit == Emit::Ptx;
  if (output == "-" && !isText)
    return llvm::createStringError(
        "expected the name of a file for machine code, but got `-`: only "
        "--emit mlir, --emit llvm and --emit ptx write to standard output");
  if (emit == Emit::Oracle && !options().targets.empty())
    return llvm::createStringError(
        "expected no --target with --emit oracle: its loops run on any cpu");
  auto targets = chosenTargets();
  if (!targets)
    return targets.takeError();
  if (emit == Emit::Ptx && targets->cuda.empty())
    return llvm::createStringError(
        "expected a CUDA target with --emit ptx: cuda:sm_80 or cuda:sm_90a");
  if (emit == Emit::Llvm && targets->cpu.empty())
    return llvm::createStringError("expected a CPU target with --emit llvm");
  // Text is of one kind of target: its schedule is.
  const bool forCuda =
      emit == Emit::Ptx || (emit == Emit::Mlir && targets->cpu.empty());
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry);
  auto variants = loadVariants(context);
  if (!variants)
    return variants.takeError();

  auto failed = [] {
    return llvm::createStringError("the pattern could not be compiled");
  };
  if (isText) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    for (LoadedPattern &variant : *variants) {
      if (forCuda) {
        for (const CudaTarget &target : targets->cuda) {
          auto kernels = lowerToCudaKernels(*variant.module, target);
          if (mlir::failed(kernels))
            return failed();
          if (emit == Emit::Mlir) {
            kernels->many->print(stream);
            continue;
          }
          auto ptx = emitPtx(*kernels, target);
          if (mlir::failed(ptx))
            return failed();
          stream << *ptx;
        }
        continue;
      }
      if (mlir::failed(lowerToKernel(*variant.module)))
        return failed();
      if (emit == Emit::Mlir) {
        variant.module->print(stream);
        continue;
      }
      for (const CpuTarget &target : targets->cpu) {
        cpu::EntryPoints entries;
        auto module = lowerForCpu(*variant.module, target,
                                  /*llvmDialect=*/true, &entries);
        if (!module)
          return failed();
        stream << emitText(*module, target, entries);
      }
    }
    if (output != "-")
      return writeText(output, text);
    llvm::outs() << text;
    return llvm::Error::success();
  }

  std::vector<ArtifactKernel> kernels;
  llvm::SmallVector<ObjectBytes> objects;
  for (LoadedPattern &variant : *variants) {
    auto compiled =
        emit == Emit::Oracle
            ? compileOracle(*variant.module)
            : compilePattern(*variant.module, targets->cpu, targets->cuda);
    if (mlir::failed(compiled))
      return failed();
    for (const std::string &warning : compiled->warnings)
      llvm::errs() << "filigree: warning: " << warning << "\n";
    kernels.push_back(std::move(compiled->kernel));
    llvm::append_range(objects, compiled->objects);
  }
  if (emit == Emit::SharedObject || emit == Emit::Oracle) {
    objects.push_back(emitTable(kernels, FIL_ABI_SYMBOL));
    return writeBytes(output, linkArtifact(objects), 0755);
  }
  std::string symbol = "filigree_" + kernels.front().interface.name;
  objects.push_back(emitTable(kernels, symbol));
  llvm::SmallString<128> header(output);
  llvm::sys::path::replace_extension(header, "h");
  if (llvm::StringRef(header) == output)
    return llvm::createStringError("expected an output name that does not end "
                                   "in .h, but got `" +
                                   output + "`");
  auto object = linkObject(objects);
  if (!object)
    return object.takeError();
  std::string declarations = headerText(symbol);
  return writeOutputFiles({{output, {object->data(), object->size()}},
                           {header.str().str(), declarations}});
}

int filigree::compileMain() { return report(run()); }
