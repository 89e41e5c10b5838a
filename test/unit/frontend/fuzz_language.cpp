//===- fuzz_language.cpp - any bytes are a pattern or an error ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lexes, parses, checks, generates and verifies. Whatever the bytes are, the
// result is a verified module, or null with at least one error; what the
// generator makes must pass the verifier, so an error worded by an operation
// ("'attn.") is a defect of the front end. The language server is asked too.
//
//===----------------------------------------------------------------------===//
#include "frontend/Frontend.h"
#include "frontend/lsp/Document.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cstdio>
#include <cstdlib>

using namespace llvm;

/// Attributes are never freed, so a context serves a while only.
static mlir::MLIRContext *getContext() {
  static unsigned uses = 0;
  static std::unique_ptr<mlir::MLIRContext> context;
  if (uses++ % 512 == 0)
    context = std::make_unique<mlir::MLIRContext>(
        mlir::MLIRContext::Threading::DISABLED);
  return context.get();
}

static void require(bool condition, const char *what) {
  if (condition)
    return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  SourceMgr sources;
  StringRef text(reinterpret_cast<const char *>(data), size);
  sources.AddNewSourceBuffer(MemoryBuffer::getMemBufferCopy(text, "fuzz.attn"),
                             SMLoc());
  filigree::InstantiateOptions options;
  // The last byte chooses among head sizes and settings.
  uint8_t choice = size ? data[size - 1] : 0;
  options.valueDim = choice & 1 ? 128 : 0;
  if (choice & 2)
    options.sets.push_back({"window", "16"});
  for (const auto &summary : filigree::listPatterns(sources)) {
    options.pattern = summary.name;
    unsigned numErrors = 0;
    auto module = filigree::parsePattern(
        sources, options, getContext(), [&](const SMDiagnostic &diag) {
          numErrors += diag.getKind() == SourceMgr::DK_Error;
          std::string shown;
          raw_string_ostream os(shown);
          diag.print(nullptr, os, /*ShowColors=*/false);
          bool isWorded = StringRef(diag.getMessage()).contains("op ") &&
                          StringRef(diag.getMessage()).starts_with("'");
          if (isWorded)
            std::fprintf(stderr, "%s", shown.c_str());
          require(!isWorded, "an error of the verifier");
        });
    require(bool(module) == (numErrors == 0), "null and errors go together");
  }
  // An editor asks about any place of a text that is half written.
  filigree::frontend::Document document(text);
  filigree::frontend::Place place{choice % 8u, choice / 4u};
  if (document.hover(place))
    require(document.complete(place).size() > 20, "built-in names are offered");
  document.findDefinition(place);
  return 0;
}
