//===- EmitCubin.h - device functions to PTX and machine code -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CUDA_EMITCUBIN_H
#define FILIGREE_CODEGEN_CUDA_EMITCUBIN_H

#include "codegen/Artifact.h"
#include "codegen/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include <string>

namespace filigree::cuda {

/// The device functions of a launch, in a context of their own: what follows
/// may be done for several launches at once.
struct DeviceCode {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<llvm::TargetMachine> machine;
};

/// From func, scf, arith and the like, in place; fails with a diagnostic.
mlir::FailureOr<DeviceCode> lowerToLLVM(mlir::ModuleOp module,
                                        const CudaTarget &target);

/// PTX of a launch, optimised. Any thread may.
std::string emitPtx(DeviceCode code);

/// PTX of several launches as one.
std::string joinPtx(llvm::ArrayRef<llvm::StringRef> parts);

/// What ptxas made of a launch.
struct MachineCode {
  std::string ptx;
  llvm::SmallVector<char> image;
  std::string spills; ///< "128 bytes spill stores ...", or none
  std::string error;  ///< anything else that is wrong, or none
};

/// ptxas, which is looked for in $FILIGREE_PTXAS, the path, and
/// /usr/local/cuda/bin, and a folder for its files.
class Assembler {
public:
  static mlir::FailureOr<std::unique_ptr<Assembler>>
  create(const CudaTarget &target, mlir::Location loc);
  ~Assembler();

  /// Machine code of the launch whose PTX this is. A warning that a kernel
  /// pays for (C75xx: wgmma serialised, setmaxnreg ignored) is an error. Any
  /// thread may.
  MachineCode assemble(const CudaLaunch &launch, std::string ptx) const;

private:
  std::string ptxas, arch;
  llvm::SmallString<128> folder;
};

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_EMITCUBIN_H
