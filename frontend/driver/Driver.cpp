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

int filigree::finish(int status) {
  llvm::raw_fd_ostream &os = llvm::outs();
  os.flush();
  std::error_code code = os.error();
  if (!code)
    return status;
  os.clear_error(); // which would end the program with words of its own
  return report(
      llvm::createStringError("cannot write standard output: " +
                              llvm::StringRef(code.message()).lower()));
}

llvm::Error filigree::checkOption(llvm::StringRef option, int64_t value,
                                  int64_t least, int64_t most) {
  if (least <= value && value <= most)
    return llvm::Error::success();
  return llvm::createStringError("expected --" + option + " in [" +
                                 llvm::Twine(least) + ", " + llvm::Twine(most) +
                                 "], but got " + llvm::Twine(value));
}
