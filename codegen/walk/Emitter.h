//===- Emitter.h - short words for emitting loops and vectors -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Addresses are byte-typed llvm.ptr arithmetic, numbers are i64 and f32,
// vectors are vector<lanes x f32> and vector<lanes x i64>.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_WALK_EMITTER_H
#define FILIGREE_CODEGEN_WALK_EMITTER_H

#include "codegen/Target.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"
#include <array>

namespace filigree::walk {

using mlir::Type;
using mlir::Value;
using mlir::ValueRange;

class Emitter {
public:
  Emitter(mlir::OpBuilder &b, mlir::Location loc, const CpuTarget &target)
      : b(b), loc(loc), target(target) {}

  // Types.
  Type i1() { return b.getI1Type(); }
  Type i32() { return b.getI32Type(); }
  Type i64() { return b.getI64Type(); }
  Type f32() { return b.getF32Type(); }
  Type ptr() { return mlir::LLVM::LLVMPointerType::get(b.getContext()); }
  mlir::VectorType vec(Type element) {
    return mlir::VectorType::get({int64_t(target.lanes)}, element);
  }
  int64_t lanes() const { return target.lanes; }

  // Constants.
  Value c(int64_t value);
  Value cf(float value);
  Value truth(bool value);
  Value splat(float value);
  Value splat(Value scalar);
  /// 0, 1, 2, ... as i64 lanes.
  Value iota();

  // i64 arithmetic.
  Value add(Value a, Value x);
  Value add(Value a, int64_t x) { return x ? add(a, c(x)) : a; }
  Value sub(Value a, Value x);
  Value mul(Value a, Value x);
  Value mul(Value a, int64_t x) { return x == 1 ? a : mul(a, c(x)); }
  /// Operands are non-negative.
  Value udiv(Value a, Value x);
  Value urem(Value a, Value x);
  Value ceilDiv(Value a, int64_t x);
  Value min(Value a, Value x);
  Value max(Value a, Value x);
  Value cmp(mlir::arith::CmpIPredicate predicate, Value a, Value x);
  Value lt(Value a, Value x);
  Value le(Value a, Value x);
  Value eq(Value a, Value x);
  Value band(Value a, Value x);
  Value bor(Value a, Value x);
  Value bnot(Value a);
  Value select(Value cond, Value a, Value x);

  // f32 scalars or vectors.
  Value fadd(Value a, Value x);
  Value fsub(Value a, Value x);
  Value fmul(Value a, Value x);
  Value fdiv(Value a, Value x);
  Value negate(Value a);
  /// a * x + y, fused where the target can.
  Value fma(Value a, Value x, Value y);
  /// a > x ? a : x, so x where either is NaN: one instruction.
  Value fmaxRaw(Value a, Value x);
  /// 2^x for any x: 0 below -126, NaN stays NaN. Relative error 1e-7.
  /// Times c > 0 first, inside the multiply-adds of the range reduction.
  Value exp2(Value x, float c = 1.0f);
  /// log2 of positive, normal, finite x; relative error 1e-7.
  Value log2(Value x);
  /// The same of any x.
  Value checkedExp2(Value x);
  Value checkedLog2(Value x);
  /// Absolute error 2e-7; +-1 far out, NaN stays NaN.
  Value tanh(Value x);

  // Memory. `at` offsets are in bytes.
  Value at(Value pointer, Value bytes);
  Value at(Value pointer, int64_t bytes);
  Value load(Type type, Value pointer, unsigned align = 0);
  Value loadI64(Value pointer, int64_t index);
  void storeI64(Value value, Value pointer, int64_t index);
  void store(Value value, Value pointer, unsigned align = 0);
  Value loadVec(Value pointer) { return load(vec(f32()), pointer, 4); }
  /// Brings the line of `pointer` near; any address is allowed.
  /// `locality` 3: all caches, 2: the second and below.
  void prefetch(Value pointer, int32_t locality = 3);
  /// The same address, which LLVM does not know; nor does it move loads past
  /// this.
  Value opaque(Value pointer);
  Value asPtr(Value integer);
  Value asInt(Value pointer);
  /// One element of `element` type widened to f32.
  Value loadWide(Type element, Value pointer);
  /// `lanes` elements widened to f32.
  Value loadWideVec(Type element, Value pointer);
  /// 2 `lanes` bf16 widened: those at even places, those at odd places.
  std::array<Value, 2> loadWidePair(Value pointer);
  /// Round to nearest even into `element`, store.
  void storeNarrow(Type element, Value value, Value pointer);
  static int64_t bytesOf(Type element) {
    return element.getIntOrFloatBitWidth() / 8;
  }

  // Control.
  using LoopBody = llvm::function_ref<llvm::SmallVector<Value>(
      Value iv, ValueRange carried)>;
  llvm::SmallVector<Value> loop(Value lo, Value hi, int64_t step,
                                ValueRange init, LoopBody body) {
    return loop(lo, hi, c(step), init, body);
  }
  llvm::SmallVector<Value> loop(Value lo, Value hi, Value step, ValueRange init,
                                LoopBody body);
  void loop(Value lo, Value hi, int64_t step,
            llvm::function_ref<void(Value)> body) {
    loop(lo, hi, c(step), body);
  }
  void loop(Value lo, Value hi, Value step,
            llvm::function_ref<void(Value)> body);
  void ifThen(Value cond, llvm::function_ref<void()> then,
              llvm::function_ref<void()> otherwise = nullptr);
  /// while (cond(state)) state = body(state).
  llvm::SmallVector<Value>
  whileLoop(ValueRange init, llvm::function_ref<Value(ValueRange)> cond,
            llvm::function_ref<llvm::SmallVector<Value>(ValueRange)> body);

  // Functions.
  mlir::func::FuncOp function(
      llvm::StringRef name, llvm::ArrayRef<Type> inputs,
      llvm::ArrayRef<Type> results,
      llvm::function_ref<llvm::SmallVector<Value>(llvm::ArrayRef<Value>)> body);
  mlir::ValueRange call(mlir::func::FuncOp callee, ValueRange operands);

  mlir::OpBuilder &b;
  mlir::Location loc;
  const CpuTarget &target;
};

} // namespace filigree::walk

#endif // FILIGREE_CODEGEN_WALK_EMITTER_H
