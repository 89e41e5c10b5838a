//===- OracleCode.h - scalar LLVM code: variables, loops, branches --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the emitter of oracle libraries writes its loops with. Variables are
// allocas, branches rejoin, nothing is clever: LLVM makes registers of it.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_ORACLECODE_H
#define FILIGREE_CODEGEN_REFERENCE_ORACLECODE_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

namespace filigree::oracle {

using Val = llvm::Value *;

class Code {
public:
  /// A function with a body to fill. Hidden if it is an entry point of the
  /// kernel, else internal.
  Code(llvm::Module &module, const llvm::Twine &name, llvm::Type *result,
       llvm::ArrayRef<llvm::Type *> arguments, bool isEntry);

  llvm::Function *function;
  llvm::IRBuilder<> b;

  Val arg(unsigned number) { return function->getArg(number); }
  void ret(Val value = nullptr);

  // Types and constants.
  llvm::Type *f64() { return b.getDoubleTy(); }
  llvm::Type *f32() { return b.getFloatTy(); }
  llvm::Type *i64() { return b.getInt64Ty(); }
  llvm::Type *ptr() { return b.getPtrTy(); }
  Val c(int64_t value) { return b.getInt64(uint64_t(value)); }
  static Val real(llvm::Type *type, double value) {
    return llvm::ConstantFP::get(type, value);
  }

  // Variables.
  llvm::AllocaInst *variable(Val start);
  Val get(llvm::AllocaInst *v) {
    return b.CreateLoad(v->getAllocatedType(), v);
  }
  void set(llvm::AllocaInst *v, Val value) { b.CreateStore(value, v); }

  // Control.
  /// for (k = lo; k < hi; k += step)
  void loop(Val lo, Val hi, llvm::function_ref<void(Val)> body,
            int64_t step = 1);
  void when(Val condition, llvm::function_ref<void()> then,
            llvm::function_ref<void()> otherwise = nullptr);

  // Memory. `index` counts elements of `type`.
  Val pointer(Val address) { return b.CreateIntToPtr(address, ptr()); }
  Val bytesAt(Val base, Val offset) {
    return b.CreateGEP(b.getInt8Ty(), base, offset);
  }
  Val load(llvm::Type *type, Val base, Val index) {
    return b.CreateLoad(type, b.CreateGEP(type, base, index));
  }
  void store(Val value, Val base, Val index) {
    b.CreateStore(value, b.CreateGEP(value->getType(), base, index));
  }

  Val select(Val condition, Val a, Val other) {
    return b.CreateSelect(condition, a, other);
  }
  Val isNull(Val pointer) { return b.CreateIsNull(pointer); }
};

} // namespace filigree::oracle

#endif // FILIGREE_CODEGEN_REFERENCE_ORACLECODE_H
