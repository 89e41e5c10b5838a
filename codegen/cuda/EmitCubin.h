//===- EmitCubin.h - device functions to PTX and machine code -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CUDA_EMITCUBIN_H
#define FILIGREE_CODEGEN_CUDA_EMITCUBIN_H

#include "codegen/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include <string>

namespace filigree::cuda {

/// Lowers func, scf, arith and the like to the llvm dialect, in place.
mlir::LogicalResult lowerToLLVM(mlir::ModuleOp module);

/// PTX of a module in the llvm dialect; fails with a diagnostic.
mlir::FailureOr<std::string> emitPtx(mlir::ModuleOp module,
                                     const CudaTarget &target);

/// "128 bytes spill stores ...", by the name of a kernel that spills.
using Spills = llvm::StringMap<std::string>;

/// Machine code of `ptx` by ptxas, which is looked for in $FILIGREE_PTXAS, the
/// path, and /usr/local/cuda/bin. A spilled register or a warning that a kernel
/// pays for (C75xx: wgmma serialised, setmaxnreg ignored) is an error. Of
/// spills there is no diagnostic: `spills` says what ptxas does, by kernel.
mlir::FailureOr<llvm::SmallVector<char>> assemble(llvm::StringRef ptx,
                                                  const CudaTarget &target,
                                                  mlir::Location loc,
                                                  Spills &spills);

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_EMITCUBIN_H
