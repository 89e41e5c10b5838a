//===- Status.h - how the runtime reports failures ------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every failure is one call of `fail`: a code for programs, a sentence for
// people, into the caller's fil_error. Sentences are lower case, without a full
// stop, and name what was expected and what was found.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_STATUS_H
#define FILIGREE_RUNTIME_STATUS_H

#include "runtime/filigree.h"

namespace filigree::runtime {

/// Stores code and sentence in *err (null is fine) and returns the code.
[[gnu::format(printf, 3, 4), gnu::cold]] fil_status
fail(fil_error *err, fil_code code, const char *format, ...);

/// Adds to the sentence of a failure the file it is about, and returns `code`.
/// At the end: what a long path cuts off is itself.
fil_status failIn(fil_error *err, fil_status code, const char *path);

/// Clears *err and returns FIL_OK.
fil_status succeed(fil_error *err);

/// Text of fixed capacity, for lists inside sentences; cuts off what does not
/// fit.
class Text {
public:
  Text() { chars[0] = 0; }
  [[gnu::format(printf, 2, 3)]] void append(const char *format, ...);
  const char *str() const { return chars; }

private:
  char chars[256];
  size_t length = 0;
};

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_STATUS_H
