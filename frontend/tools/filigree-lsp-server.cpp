//===- filigree-lsp-server.cpp - language servers of .attn and .mlir ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Serves .attn on standard input and output; with --mlir first, serves .mlir
// with MLIR's own server and takes its options. --lit-test reads messages that
// lines of "// -----" separate.
//
//===----------------------------------------------------------------------===//
#include "frontend/lsp/LspServer.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "passes/Pipelines.h"
#include "llvm/Support/LogicalResult.h"
#include "llvm/Support/Program.h"

static int serveMlir(int argc, char **argv) {
  mlir::DialectRegistry registry;
  filigree::registerDialects(registry);
  return llvm::failed(mlir::MlirLspServerMain(argc, argv, registry));
}

int main(int argc, char **argv) {
  bool isTest = false;
  for (int i = 1; i < argc; ++i) {
    llvm::StringRef arg = argv[i];
    if (arg == "--mlir" && i == 1) {
      argv[1] = argv[0];
      return serveMlir(argc - 1, argv + 1);
    }
    if (arg == "--lit-test") {
      isTest = true;
    } else if (arg != "--stdio") {
      llvm::errs() << "expected --mlir, --lit-test or --stdio, but got `" << arg
                   << "`\n";
      return 1;
    }
  }
  llvm::sys::ChangeStdinToBinary();
  return filigree::frontend::runLspServer(stdin, llvm::outs(), isTest) ? 0 : 1;
}
