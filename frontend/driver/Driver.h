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

/// The exit status once standard output is written: `status`, or 1 with an
/// error where not all of it could be.
int finish(int status);

/// The greatest extent of a run, as the runtime checks it.
constexpr int64_t kLongest = (int64_t(1) << 31) - 1;

/// An error that names the option unless `value` is in [least, most].
llvm::Error checkOption(llvm::StringRef option, int64_t value, int64_t least,
                        int64_t most = kLongest);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_DRIVER_H
