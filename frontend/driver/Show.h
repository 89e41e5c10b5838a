//===- Show.h - filigree show: the block graph as a picture ---------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_SHOW_H
#define FILIGREE_FRONTEND_DRIVER_SHOW_H

#include "frontend/driver/LoadPattern.h"
#include "llvm/Support/raw_ostream.h"

namespace filigree {

struct ShowRequest {
  LoadRequest pattern;
  int64_t keys = 0;     ///< --n
  int64_t queries = -1; ///< --nq; -1: as many as keys
  int64_t batch = 0, head = 0;
  /// Tile size; 0: so that the picture has a good size.
  int64_t tile = 0;
  /// Lists, tables and document bounds, as for `run`.
  std::vector<std::string> inputs;
  std::string output; ///< empty: text to `os`
};

llvm::Error showPattern(const ShowRequest &request, llvm::raw_ostream &os);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_SHOW_H
