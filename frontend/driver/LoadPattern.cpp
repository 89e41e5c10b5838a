//===- LoadPattern.cpp - a pattern from a file, as attn IR ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/LoadPattern.h"
#include "dialect/Attn/Attn.h"
#include "frontend/Frontend.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace filigree;
using llvm::StringRef;

void filigree::loadDialects(MLIRContext &context) {
  context.loadDialect<attn::AttnDialect, func::FuncDialect, arith::ArithDialect,
                      math::MathDialect, tensor::TensorDialect>();
}

llvm::Expected<std::vector<Setting>>
filigree::parseSettings(llvm::ArrayRef<std::string> texts) {
  std::vector<Setting> settings;
  for (StringRef text : texts) {
    auto [name, value] = text.split('=');
    if (name.empty() || value.empty())
      return llvm::createStringError("expected name=value, but got '" + text +
                                     "'");
    if (llvm::any_of(settings, [&, name = name](const Setting &known) {
          return known.first == name;
        }))
      return llvm::createStringError("expected --set " + name +
                                     " once, but got it twice");
    settings.push_back({name.str(), value.str()});
  }
  return settings;
}

llvm::Expected<reference::Scalar> filigree::parseScalar(StringRef name,
                                                        StringRef text) {
  int64_t integer;
  if (!text.getAsInteger(10, integer))
    return reference::Scalar::ofInt(integer);
  double real;
  if (!text.getAsDouble(real, /*AllowInexact=*/true))
    return reference::Scalar::ofFloat(real);
  return llvm::createStringError("expected a number for '" + name +
                                 "', but got '" + text + "'");
}

static Type elementType(reference::DType dtype, MLIRContext *context) {
  if (dtype == reference::DType::F16)
    return Float16Type::get(context);
  if (dtype == reference::DType::BF16)
    return BFloat16Type::get(context);
  return Float32Type::get(context);
}

/// The parameters that runs of the function take.
static llvm::SmallVector<std::string> runTimeParameters(func::FuncOp function) {
  llvm::SmallVector<std::string> names;
  for (BlockArgument argument : function.getArguments())
    if (!isa<ShapedType>(argument.getType()))
      names.push_back(
          reference::argumentName(function, argument.getArgNumber()));
  return names;
}

/// `known` are the compile-time parameters, and get those of the run.
static llvm::Error checkSettings(llvm::ArrayRef<Setting> left,
                                 func::FuncOp function,
                                 llvm::SmallVector<std::string> known) {
  llvm::SmallVector<std::string> runTime = runTimeParameters(function);
  known.append(runTime);
  for (const Setting &setting : left)
    if (!llvm::is_contained(runTime, setting.first))
      return llvm::createStringError(
          "unknown parameter `" + setting.first + "`: `" + function.getName() +
          "` has " +
          (known.empty() ? "none" : "`" + llvm::join(known, "`, `") + "`"));
  return llvm::Error::success();
}

llvm::Expected<LoadedPattern> filigree::loadPattern(const LoadRequest &request,
                                                    MLIRContext &context) {
  loadDialects(context);
  auto buffer = llvm::MemoryBuffer::getFile(request.path, /*IsText=*/true);
  if (!buffer)
    return llvm::createStringError(
        "cannot read '" + request.path +
        "': " + StringRef(buffer.getError().message()).lower());
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());

  LoadedPattern loaded;
  std::vector<Setting> left;
  llvm::SmallVector<PatternSummary> patterns;
  if (StringRef(request.path).ends_with(".mlir")) {
    left = request.settings;
    SourceMgrDiagnosticHandler handler(sources, &context);
    loaded.module = parseSourceFile<ModuleOp>(sources, &context);
  } else {
    InstantiateOptions options;
    options.elementType = elementType(request.dtype, &context);
    options.headDim = request.headDim;
    options.valueDim = request.valueDim;
    options.pattern = request.pattern;
    // A name that is no compile-time parameter of the pattern is one of the
    // run; checkSettings refuses it if it is neither.
    patterns = listPatterns(sources);
    for (const Setting &setting : request.settings) {
      bool isCompileTime = llvm::any_of(patterns, [&](const auto &pattern) {
        return (request.pattern.empty() || pattern.name == request.pattern) &&
               llvm::any_of(pattern.params, [&](const auto &param) {
                 return param.name == setting.first;
               });
      });
      if (isCompileTime)
        options.sets.push_back(setting);
      else
        left.push_back(setting);
    }
    loaded.module = parsePattern(sources, options, &context);
  }
  if (!loaded.module)
    return llvm::createStringError("expected a valid pattern in '" +
                                   request.path + "'");
  auto function = reference::findPattern(*loaded.module, request.pattern);
  if (!function)
    return function.takeError();
  loaded.function = *function;
  llvm::SmallVector<std::string> compileTime;
  for (const PatternSummary &pattern : patterns)
    if (pattern.name == loaded.function.getName())
      for (const CompileTimeParam &param : pattern.params)
        compileTime.push_back(param.name);
  if (llvm::Error error = checkSettings(left, *function, compileTime))
    return std::move(error);
  for (const Setting &setting : left) {
    auto scalar = parseScalar(setting.first, setting.second);
    if (!scalar)
      return scalar.takeError();
    loaded.scalars[setting.first] = *scalar;
  }
  return std::move(loaded);
}
