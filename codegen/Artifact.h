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

/// What a launch on CUDA is for. A run takes that for many queries or that for
/// few, which merges splits behind it, and behind either one for exact sums of
/// rows that are left NaN.
enum class LaunchRole { Many, Few, Merge, Exact };

/// One function of a CUDA image and how it is launched; the other fields are
/// those of fil_abi_launch.
struct CudaLaunch {
  LaunchRole role = LaunchRole::Many;
  std::string function;
  std::string image; ///< cubin, if it has one of its own; else the code's
  std::string units; ///< host function, of one of the linked objects
  uint32_t threads = 0, sharedBytes = 0, ctasPerSm = 1;
  bool persistent = false, zeroed = false;
  bool zeroedDrawn = false, follows = false;
  std::string plan; ///< host function, if there is one
  uint32_t planCount = 0;
  llvm::SmallVector<fil_abi_tensor_map> tensorMaps; ///< `size` is filled in
};

/// Code of one kernel for one CUDA architecture.
struct CudaCode {
  uint32_t arch = 0; ///< 10 x major + minor
  uint32_t archFlags = 0;
  std::string image;          ///< cubin; may be empty if there is PTX
  std::string ptx;            ///< may be empty
  std::string workspaceBytes; ///< host function, of one of the linked objects
  llvm::SmallVector<CudaLaunch> launches; ///< in order
};

struct ArtifactKernel {
  KernelInterface interface;
  std::string variant;                 ///< "d128_f32"
  std::string ir;                      ///< the pattern as attn IR
  llvm::SmallVector<CpuCode> cpu;      ///< ascending isa
  llvm::SmallVector<CudaCode, 1> cuda; ///< ascending arch
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
