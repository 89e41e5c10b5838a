//===- filigree.cpp - the command line tool -------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Driver.h"
#include "llvm/Support/InitLLVM.h"

using namespace filigree;

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  struct {
    llvm::cl::SubCommand &command;
    int (*run)();
  } const commands[] = {{declareCompile(), compileMain},
                        {declareRun(), runMain},
                        {declareShow(), showMain},
                        {declareExplain(), explainMain},
                        {declareBench(), benchMain}};
  llvm::cl::ParseCommandLineOptions(argc, argv,
                                    "compiler for sparse attention\n");
  for (const auto &entry : commands)
    if (entry.command)
      return finish(entry.run());
  return report(llvm::createStringError(
      "expected a command: compile, run, show, explain or bench"));
}
