//===- Driver.cpp - what the subcommands share ----------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Driver.h"
#include "llvm/Support/WithColor.h"

int filigree::report(llvm::Error error) {
  if (!error)
    return 0;
  llvm::handleAllErrors(std::move(error), [](const llvm::ErrorInfoBase &info) {
    llvm::WithColor::error(llvm::errs(), "filigree") << info.message() << "\n";
  });
  return 1;
}
