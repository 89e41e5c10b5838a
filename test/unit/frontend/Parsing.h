//===- Parsing.h - patterns of tests --------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_UNIT_FRONTEND_PARSING_H
#define FILIGREE_TEST_UNIT_FRONTEND_PARSING_H

#include "dialect/Attn/Attn.h"
#include "frontend/Frontend.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/MemoryBuffer.h"

namespace filigree::test {

/// A text, its module (null after an error) and what was reported.
struct Parsed {
  explicit Parsed(llvm::StringRef text, InstantiateOptions options = {}) {
    load(llvm::MemoryBuffer::getMemBufferCopy(text, "t.attn"), options);
  }
  explicit Parsed(std::unique_ptr<llvm::MemoryBuffer> buffer,
                  InstantiateOptions options = {}) {
    load(std::move(buffer), options);
  }

  void load(std::unique_ptr<llvm::MemoryBuffer> buffer,
            const InstantiateOptions &options) {
    sources.AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
    module = parsePattern(sources, options, &context,
                          [&](const llvm::SMDiagnostic &diag) { add(diag); });
  }

  /// "line:column: kind: message", a line each.
  void add(const llvm::SMDiagnostic &diag) {
    const char *kinds[] = {"error", "warning", "remark", "note"};
    llvm::raw_string_ostream(report)
        << diag.getLineNo() << ':' << diag.getColumnNo() + 1 << ": "
        << kinds[diag.getKind()] << ": " << diag.getMessage() << '\n';
  }

  std::string print() {
    std::string text;
    llvm::raw_string_ostream os(text);
    if (module)
      module->print(os);
    return text;
  }

  mlir::func::FuncOp getFunction() {
    return *module->getOps<mlir::func::FuncOp>().begin();
  }

  /// The operations of a kind, in order.
  template <typename Op> llvm::SmallVector<Op> get() {
    llvm::SmallVector<Op> found;
    module->walk([&](Op op) { found.push_back(op); });
    return found;
  }

  mlir::MLIRContext context;
  llvm::SourceMgr sources;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string report;
};

/// The body of a pattern of q, k, v, k2, v2 and what `params` declares.
inline std::string wrap(llvm::StringRef body, llvm::StringRef params = "") {
  return ("pattern p(q, k, v; " + params + ") {\n" + body + "\n}\n").str();
}

/// A pattern over one graph.
inline std::string graph(llvm::StringRef expr, llvm::StringRef params = "") {
  return wrap(("return attend(q, k, v, over: " + expr + ")").str(), params);
}

/// A pattern with one edge.
inline std::string edge(llvm::StringRef expr, llvm::StringRef params = "") {
  return wrap(("return attend(q, k, v, over: all, edge: " + expr + ")").str(),
              params);
}

} // namespace filigree::test

#endif // FILIGREE_TEST_UNIT_FRONTEND_PARSING_H
