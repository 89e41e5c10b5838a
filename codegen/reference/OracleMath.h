//===- OracleMath.h - exp, log and their kin as code of the library -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An artifact imports no symbol, so an oracle library brings its own functions
// of a double: relative error below 1e-15 over the whole range, subnormal
// numbers, infinities and NaN as in C. Naive code calls them on a float and
// rounds the result, which is then the right f32 but for rare double rounding.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_ORACLEMATH_H
#define FILIGREE_CODEGEN_REFERENCE_ORACLEMATH_H

#include "codegen/reference/OracleCode.h"
#include "llvm/ADT/StringMap.h"

namespace filigree::oracle {

/// Functions of one module, made when they are first asked for.
class Math {
public:
  explicit Math(llvm::Module &module) : module(module) {}

  /// double -> double: exp exp2 expm1 log log2 log10 log1p sinh cosh tanh
  /// floor ceil trunc round roundeven. Null if there is no such function.
  llvm::Function *unary(llvm::StringRef name);
  /// a * b + c, rounded once but for a last bit.
  llvm::Function *fma();

  /// The value of 16 stored bits.
  llvm::Function *halfToFloat();
  Val bfloatToFloat(Code &code, Val bits);
  /// The float nearest to a float that 16 bits can store; ties to even.
  llvm::Function *roundToHalf();
  llvm::Function *roundToBfloat();

private:
  llvm::Module &module;
  llvm::StringMap<llvm::Function *> made;
};

} // namespace filigree::oracle

#endif // FILIGREE_CODEGEN_REFERENCE_ORACLEMATH_H
