//===- Frontend.cpp - parse, check, generate ------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/Frontend.h"
#include "frontend/Checker.h"
#include "frontend/IRGen.h"
#include "frontend/Parser.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace filigree::frontend;
using filigree::InstantiateOptions;

/// The pattern to instantiate; null after an error.
static Pattern *pick(const File &file, StringRef name, Reporter &reporter) {
  if (name.empty() && file.patterns.size() == 1)
    return file.patterns.front();
  for (Pattern *pattern : file.patterns)
    if (pattern->name.name == name)
      return pattern;
  std::string names;
  raw_string_ostream os(names);
  interleaveComma(file.patterns, os, [&](const Pattern *pattern) {
    os << "`" << pattern->name.name << "`";
  });
  reporter.error(file.patterns.front()->name.range,
                 name.empty() ? "expected the name of one pattern of " + names +
                                    ", as the file has several"
                              : "expected a pattern of " + names +
                                    ", but got `" + name + "`");
  return nullptr;
}

static void checkPatternNames(const File &file, Reporter &reporter) {
  StringMap<const Pattern *> names;
  for (const Pattern *pattern : file.patterns) {
    auto [at, isNew] = names.try_emplace(pattern->name.name, pattern);
    if (isNew)
      continue;
    reporter.error(pattern->name.range, "expected a new name, but pattern `" +
                                            pattern->name.name +
                                            "` is already declared");
    reporter.note(at->second->name.range, "it is declared here");
  }
}

/// Where an MLIR location is in the text, or the start of the text.
static SMLoc findLoc(const SourceMgr &sources, mlir::Location loc) {
  unsigned buffer = sources.getMainFileID();
  if (auto fileLoc = loc->findInstanceOf<mlir::FileLineColLoc>())
    if (SMLoc found = const_cast<SourceMgr &>(sources).FindLocForLineAndColumn(
            buffer, fileLoc.getLine(), fileLoc.getColumn());
        found.isValid())
      return found;
  return SMLoc::getFromPointer(
      sources.getMemoryBuffer(buffer)->getBufferStart());
}

static mlir::OwningOpRef<mlir::ModuleOp>
generateReported(const Pattern &pattern, HeadTypes types,
                 mlir::MLIRContext *context, Reporter &reporter) {
  const SourceMgr &sources = reporter.getSources();
  mlir::ScopedDiagnosticHandler handler(context, [&](mlir::Diagnostic &diag) {
    SMLoc loc = findLoc(sources, diag.getLocation());
    reporter.error(loc, diag.str());
    for (mlir::Diagnostic &note : diag.getNotes()) {
      SMLoc at = findLoc(sources, note.getLocation());
      reporter.note({at, at}, note.str());
    }
    return mlir::success();
  });
  return generate(pattern, sources, types, context);
}

/// Fills in defaults; false after an error.
static bool complete(InstantiateOptions &options, mlir::MLIRContext *context,
                     SMLoc loc, Reporter &reporter) {
  if (!options.elementType)
    options.elementType = mlir::Float32Type::get(context);
  if (options.valueDim == 0)
    options.valueDim = options.headDim;
  if (!options.elementType.isF32() && !options.elementType.isBF16() &&
      !options.elementType.isF16()) {
    std::string got;
    raw_string_ostream(got) << options.elementType;
    reporter.error(loc,
                   "expected element type f32, bf16 or f16, but got " + got);
    return false;
  }
  for (int64_t size : {options.headDim, options.valueDim})
    if (size < 1 || size > INT32_MAX) {
      reporter.error(loc,
                     "expected a positive head size, but got " + Twine(size));
      return false;
    }
  return true;
}

mlir::OwningOpRef<mlir::ModuleOp>
filigree::parsePattern(const SourceMgr &sources,
                       const InstantiateOptions &given,
                       mlir::MLIRContext *context, DiagnosticSink sink) {
  Reporter reporter(sources, sink);
  std::unique_ptr<File> file = parse(reporter);
  checkPatternNames(*file, reporter);
  if (file->patterns.empty())
    return nullptr;
  InstantiateOptions options = given;
  if (!complete(options, context, file->patterns.front()->name.range.Start,
                reporter))
    return nullptr;
  if (reporter.hasErrors() && options.pattern.empty() &&
      file->patterns.size() != 1)
    return nullptr;
  Pattern *pattern = pick(*file, options.pattern, reporter);
  if (!pattern)
    return nullptr;
  check(*pattern, *file, options, reporter);
  if (reporter.hasErrors())
    return nullptr;
  return generateReported(
      *pattern, {options.elementType, options.headDim, options.valueDim},
      context, reporter);
}

mlir::OwningOpRef<mlir::ModuleOp>
filigree::parsePattern(const SourceMgr &sources,
                       const InstantiateOptions &options,
                       mlir::MLIRContext *context) {
  return parsePattern(sources, options, context, [](const SMDiagnostic &diag) {
    diag.print(nullptr, errs());
  });
}

SmallVector<filigree::PatternSummary>
filigree::listPatterns(const SourceMgr &sources) {
  Reporter reporter(sources, [](const SMDiagnostic &) {});
  std::unique_ptr<File> file = parse(reporter);
  SmallVector<PatternSummary> summaries;
  for (const Pattern *pattern : file->patterns) {
    PatternSummary summary{pattern->name.name.str(), {}};
    for (const Decl *decl : pattern->params)
      if (decl->kind == DeclKind::CompileTime && !decl->isBroken) {
        SMRange range = decl->init->range;
        summary.params.push_back(
            {decl->name.str(),
             std::string(range.Start.getPointer(), range.End.getPointer())});
      }
    summaries.push_back(std::move(summary));
  }
  return summaries;
}
