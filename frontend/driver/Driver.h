//===- Driver.h - the subcommands of filigree -----------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A subcommand is a pair: `declareX` makes its options (before the command line
// is parsed, once), `xMain` runs it and returns the exit status, 0 only if the
// work was done. Options live in the file of the subcommand; they are function
// statics, because the order in which files initialise globals is open.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_DRIVER_H
#define FILIGREE_FRONTEND_DRIVER_DRIVER_H

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"

namespace filigree {

llvm::cl::SubCommand &declareCompile();
int compileMain();
llvm::cl::SubCommand &declareRun();
int runMain();
llvm::cl::SubCommand &declareShow();
int showMain();
llvm::cl::SubCommand &declareExplain();
int explainMain();
llvm::cl::SubCommand &declareBench();
int benchMain();

/// Prints "filigree: error: <sentence>" and returns 1; returns 0 for success.
int report(llvm::Error error);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_DRIVER_H
