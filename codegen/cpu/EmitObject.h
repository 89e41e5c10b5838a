//===- EmitObject.h - from functions of vectors to an object file ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CPU_EMITOBJECT_H
#define FILIGREE_CODEGEN_CPU_EMITOBJECT_H

#include "codegen/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

namespace filigree::cpu {

/// func, scf, arith, vector to the llvm dialect, in place.
llvm::LogicalResult lowerToLLVM(mlir::ModuleOp module);

std::unique_ptr<llvm::TargetMachine> targetMachineFor(const CpuTarget &target);

/// LLVM IR of a module in the llvm dialect, optimised for `target`; everything
/// but `entries` becomes internal. Null with a diagnostic on failure.
std::unique_ptr<llvm::Module> translate(mlir::ModuleOp module,
                                        const CpuTarget &target,
                                        llvm::ArrayRef<std::string> entries,
                                        llvm::TargetMachine &machine,
                                        llvm::LLVMContext &context);

/// ELF object of `module`.
llvm::SmallVector<char> emitObject(llvm::Module &module,
                                   llvm::TargetMachine &machine);

} // namespace filigree::cpu

#endif // FILIGREE_CODEGEN_CPU_EMITOBJECT_H
