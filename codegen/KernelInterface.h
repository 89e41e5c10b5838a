//===- KernelInterface.h - a kernel's arguments as slots ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From the `args` of a tile.kernel to the layout of the slot array that
// runtime/ArtifactAbi.h defines. Code generators read slots through it, the
// artifact's table is written from it: one computation, two readers.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_KERNELINTERFACE_H
#define FILIGREE_CODEGEN_KERNELINTERFACE_H

#include "dialect/Predicate.h"
#include "dialect/Tile/Tile.h"
#include "runtime/ArtifactAbi.h"

namespace filigree {

struct InterfaceArg {
  std::string name;
  uint32_t kind, dtype, flags = 0, rank = 0, slot = 0, alignment = 0;
  llvm::SmallVector<fil_abi_dim, 4> dims;
  /// The proofs trust that every integer of a run stays within this.
  int64_t min = -maxSymbolMagnitude, max = maxSymbolMagnitude, preset = 0;
  bool hasPreset = false;
};

struct KernelInterface {
  std::string name;
  llvm::SmallVector<std::string> dims;
  llvm::SmallVector<InterfaceArg> args; ///< in the order of the kernel's block
  llvm::SmallVector<fil_abi_relation> relations;
  uint32_t slotCount = 0;
};

KernelInterface interfaceOf(tile::KernelOp kernel);

/// The same from its parts: dictionaries as in the `args` of a tile.kernel, and
/// the types of the arguments.
KernelInterface interfaceOf(llvm::StringRef name, mlir::ArrayAttr args,
                            mlir::TypeRange types);

} // namespace filigree

#endif // FILIGREE_CODEGEN_KERNELINTERFACE_H
