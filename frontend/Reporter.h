//===- Reporter.h - errors of the front end, with their lines -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lexer, parser, checker and generator all report here. Counts errors and goes
// silent after `kMaxErrors`, so that a damaged file cannot flood its reader.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_REPORTER_H
#define FILIGREE_FRONTEND_REPORTER_H

#include "frontend/Frontend.h"
#include "llvm/ADT/Twine.h"

namespace filigree::frontend {

class Reporter {
public:
  static constexpr unsigned kMaxErrors = 20;

  Reporter(const llvm::SourceMgr &sources, DiagnosticSink sink)
      : sources(sources), sink(sink) {}

  void error(llvm::SMRange range, const llvm::Twine &message) {
    muted = ++numErrors > kMaxErrors;
    report(range, llvm::SourceMgr::DK_Error, message);
    if (numErrors == kMaxErrors)
      report(llvm::SMRange(range.Start, range.Start), llvm::SourceMgr::DK_Note,
             "too many errors; the rest is not shown");
  }
  void error(llvm::SMLoc loc, const llvm::Twine &message) {
    error(llvm::SMRange(loc, loc), message);
  }
  void warning(llvm::SMRange range, const llvm::Twine &message) {
    muted = false;
    report(range, llvm::SourceMgr::DK_Warning, message);
  }
  /// Belongs to the error or warning before it.
  void note(llvm::SMRange range, const llvm::Twine &message) {
    report(range, llvm::SourceMgr::DK_Note, message);
  }

  /// True if nobody will see another error.
  bool isFull() const { return numErrors >= kMaxErrors; }
  bool hasErrors() const { return numErrors != 0; }
  unsigned getNumErrors() const { return numErrors; }
  const llvm::SourceMgr &getSources() const { return sources; }

private:
  void report(llvm::SMRange range, llvm::SourceMgr::DiagKind kind,
              const llvm::Twine &message) {
    if (muted)
      return;
    llvm::SmallVector<llvm::SMRange, 1> ranges;
    if (range.Start != range.End)
      ranges.push_back(range);
    sink(sources.GetMessage(range.Start, kind, message, ranges));
  }

  const llvm::SourceMgr &sources;
  DiagnosticSink sink;
  unsigned numErrors = 0;
  bool muted = false;
};

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_REPORTER_H
