//===- ArgumentCheck.h - from a caller's arguments to a kernel's slots ----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checks every argument of a run against the kernel's description and fills the
// flat slot array that generated code reads (ArtifactAbi.h). After FIL_OK no
// slot leads a kernel outside the caller's tensors, as far as metadata can
// tell; what the lists and tables hold is tested by the kernels themselves.
//
// Order: names, then per tensor dtype, device, rank and layout, all on one
// device (which decides where the run takes place), then extents
// (arguments in the kernel's order, so inputs bind and outputs must agree),
// relations, scalars, and last the pairs of tensors that must not overlap.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_ARGUMENTCHECK_H
#define FILIGREE_RUNTIME_ARGUMENTCHECK_H

#include "runtime/ArtifactTable.h"
#include "runtime/filigree.h"

namespace filigree::runtime {

enum class CheckMode {
  Run,   ///< everything
  Query, ///< all arguments, but data pointers are not looked at
  Infer  ///< like Query; tensors may be missing
};

/// Stands for the data pointer of a tensor that is present but has no data to
/// look at: it is not null, since null means an optional argument is absent.
inline constexpr int64_t kNoData = 4096;

/// What is known about one run. The slots of absent tensors hold a null
/// pointer, extents 1 and strides 0.
struct BoundArguments {
  int64_t slots[kMaxSlots];
  const fil_arg *given[kMaxArgs]; ///< by kernel argument, null if absent
  const char *boundBy[kMaxDims];  ///< the argument that a dim came from
  bool leadingDropped;            ///< an input came without its leading dim
  DLDevice device;                ///< of all tensors: kDLCPU or kDLCUDA

  int64_t &dim(int32_t symbol) { return slots[FIL_ABI_SLOT_DIMS + symbol]; }
};

/// A dim that nothing has bound yet.
inline constexpr int64_t kUnbound = -1;

fil_status checkArguments(const fil_abi_kernel &kernel, const fil_arg *args,
                          uint32_t argCount, CheckMode mode,
                          BoundArguments &bound, fil_error *err);

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_ARGUMENTCHECK_H
