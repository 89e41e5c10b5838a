//===- Sentence.h - an error that is one sentence -------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_SENTENCE_H
#define FILIGREE_FRONTEND_DRIVER_SENTENCE_H

#include "llvm/Support/Error.h"
#include "llvm/Support/FormatVariadic.h"

namespace filigree {

/// As formatv has it: sentence("expected {0}, but got {1}", ...).
template <typename... T>
llvm::Error sentence(const char *format, T &&...values) {
  return llvm::createStringError(
      llvm::formatv(format, std::forward<T>(values)...).str());
}

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_SENTENCE_H
