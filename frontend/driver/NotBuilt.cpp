//===- NotBuilt.cpp - subcommands that this build does not have -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whoever adds a subcommand removes it here.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Driver.h"

static int notBuilt(llvm::StringRef name) {
  return filigree::report(
      llvm::createStringError("`" + name + "` is not in this build"));
}

llvm::cl::SubCommand &filigree::declareBench() {
  static llvm::cl::SubCommand command("bench", "time a compiled pattern");
  return command;
}
int filigree::benchMain() { return notBuilt("bench"); }
