//===- OracleCode.cpp - scalar LLVM code: variables, loops, branches ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/OracleCode.h"

using namespace filigree::oracle;
using namespace llvm;

Code::Code(Module &module, const Twine &name, Type *result,
           ArrayRef<Type *> arguments, bool isEntry)
    : function(Function::Create(FunctionType::get(result, arguments, false),
                                isEntry ? GlobalValue::ExternalLinkage
                                        : GlobalValue::InternalLinkage,
                                name, module)),
      b(module.getContext()) {
  if (isEntry)
    function->setVisibility(GlobalValue::HiddenVisibility);
  function->addFnAttr(Attribute::NoUnwind);
  // No loop becomes a call of memset: an artifact calls nothing.
  function->addFnAttr("no-builtins");
  b.SetInsertPoint(BasicBlock::Create(module.getContext(), "", function));
}

void Code::ret(Val value) {
  if (value)
    b.CreateRet(value);
  else
    b.CreateRetVoid();
}

AllocaInst *Code::variable(Val start) {
  BasicBlock &entry = function->getEntryBlock();
  IRBuilder<> atEntry(&entry, entry.begin());
  AllocaInst *v = atEntry.CreateAlloca(start->getType());
  set(v, start);
  return v;
}

void Code::loop(Val lo, Val hi, function_ref<void(Val)> body, int64_t step) {
  LLVMContext &context = b.getContext();
  AllocaInst *counter = variable(lo);
  BasicBlock *test = BasicBlock::Create(context, "", function);
  BasicBlock *inside = BasicBlock::Create(context, "", function);
  BasicBlock *after = BasicBlock::Create(context, "", function);
  b.CreateBr(test);
  b.SetInsertPoint(test);
  Val k = get(counter);
  b.CreateCondBr(b.CreateICmpSLT(k, hi), inside, after);
  b.SetInsertPoint(inside);
  body(k);
  set(counter, b.CreateAdd(k, c(step)));
  b.CreateBr(test);
  b.SetInsertPoint(after);
}

void Code::when(Val condition, function_ref<void()> then,
                function_ref<void()> otherwise) {
  LLVMContext &context = b.getContext();
  BasicBlock *yes = BasicBlock::Create(context, "", function);
  BasicBlock *no =
      otherwise ? BasicBlock::Create(context, "", function) : nullptr;
  BasicBlock *after = BasicBlock::Create(context, "", function);
  b.CreateCondBr(condition, yes, no ? no : after);
  b.SetInsertPoint(yes);
  then();
  b.CreateBr(after);
  if (otherwise) {
    b.SetInsertPoint(no);
    otherwise();
    b.CreateBr(after);
  }
  b.SetInsertPoint(after);
}
