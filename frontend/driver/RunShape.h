//===- RunShape.h - the extents of a run that has no arrays yet -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_RUNSHAPE_H
#define FILIGREE_FRONTEND_DRIVER_RUNSHAPE_H

#include "runtime/filigree.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <vector>

namespace filigree {

struct RunShape {
  int64_t batch = 1, heads = 1, kvHeads = 1, queries = 0, keys = 0;
  int64_t documents = 1, entries = 1;
  int64_t page = 1; ///< keys of a page; every document fills pages of its own
};

/// Value of a named extent of the artifact's table: "Hq", "ceil(Nq/64)", ...
int64_t extentOf(llvm::StringRef symbol, const RunShape &shape);

/// Shape of a tensor argument.
llvm::SmallVector<int64_t, 4> shapeOf(const fil_arg_info &info,
                                      const RunShape &shape);

/// Type of a tensor argument, as DLPack has it.
DLDataType dlTypeOf(uint32_t dtype);

/// The kernel at `index` and its arguments. Both live as long as the library.
llvm::Expected<std::vector<fil_arg_info>> argumentsOf(const fil_kernel *kernel);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_RUNSHAPE_H
