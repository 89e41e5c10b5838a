//===- filigree.cpp - the command line tool -------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Driver.h"
#include "llvm/Support/InitLLVM.h"

using namespace filigree;

/// LLVM takes every unknown option that begins with h for -h, and ends with
/// success.
static llvm::Error checkHelpWords(llvm::ArrayRef<char *> arguments,
                                  llvm::cl::SubCommand &command) {
  const auto &options = llvm::cl::getRegisteredOptions(command);
  for (llvm::StringRef argument : arguments) {
    llvm::StringRef name = argument;
    if (!name.consume_front("--") && !name.consume_front("-"))
      continue;
    name = name.split('=').first;
    if (!name.starts_with("h") || name == "h" || options.count(name) ||
        llvm::is_contained(
            {"help", "help-hidden", "help-list", "help-list-hidden"}, name))
      continue;
    return llvm::createStringError("expected an option that --help lists, but "
                                   "got `" +
                                   argument + "`");
  }
  return llvm::Error::success();
}

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
  llvm::cl::SubCommand *called = &llvm::cl::SubCommand::getTopLevel();
  for (const auto &entry : commands)
    if (argc > 1 && entry.command.getName() == argv[1])
      called = &entry.command;
  if (llvm::Error error = checkHelpWords({argv + 1, argv + argc}, *called))
    return report(std::move(error));
  llvm::cl::ParseCommandLineOptions(argc, argv,
                                    "compiler for sparse attention\n");
  for (const auto &entry : commands)
    if (entry.command)
      return finish(entry.run());
  return report(llvm::createStringError(
      "expected a command: compile, run, show, explain or bench"));
}
