//===- Artifact.h - compiled kernels as one shared library ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_ARTIFACT_H
#define FILIGREE_CODEGEN_ARTIFACT_H

#include "codegen/KernelInterface.h"
#include "codegen/cpu/TileToVector.h"
#include "llvm/Support/Error.h"

namespace filigree {

/// Code of one kernel for one CPU target.
struct CpuCode {
  const CpuTarget *target;
  cpu::EntryPoints entries;
};

struct ArtifactKernel {
  KernelInterface interface;
  std::string variant; ///< "d128_f32"
  std::string ir;      ///< the pattern as attn IR
  llvm::SmallVector<CpuCode> cpu;
};

using ObjectBytes = llvm::SmallVector<char>;

/// The object that holds the table `fil_abi_table` of `kernels`. With
/// `symbol` other than FIL_ABI_SYMBOL, for static linking.
ObjectBytes emitTable(llvm::ArrayRef<ArtifactKernel> kernels,
                      llvm::StringRef symbol);

/// Links `objects` into a shared library that exports only FIL_ABI_SYMBOL and
/// imports nothing, and appends the trailer.
llvm::Expected<ObjectBytes> linkArtifact(llvm::ArrayRef<ObjectBytes> objects);

/// Links `objects` into one relocatable object.
llvm::Expected<ObjectBytes> linkObject(llvm::ArrayRef<ObjectBytes> objects);

} // namespace filigree

#endif // FILIGREE_CODEGEN_ARTIFACT_H
