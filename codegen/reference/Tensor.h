//===- Tensor.h - strided views of stored numbers, for the oracle ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A Tensor borrows memory: whoever made it keeps the bytes alive. Strides are
// in elements, any value (0 broadcasts). Conversions of the 16-bit formats are
// written out here bit by bit, because the oracle shares no code with what it
// judges.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_TENSOR_H
#define FILIGREE_CODEGEN_REFERENCE_TENSOR_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>

namespace filigree::reference {

enum class DType : uint8_t { F32, BF16, F16, F64, I32, I64 };

/// Bytes of one element.
int64_t byteWidth(DType dtype);
/// "f32", "bf16", ...
llvm::StringRef dtypeName(DType dtype);
inline bool isFloat(DType dtype) { return dtype <= DType::F64; }
/// Distance from 1 to the next number; 0 for integers.
double epsilon(DType dtype);

float halfToFloat(uint16_t bits);
float bfloatToFloat(uint16_t bits);
/// Round to nearest, ties to even; NaN stays NaN, overflow gives infinity.
uint16_t floatToHalf(float value);
uint16_t floatToBfloat(float value);
/// The value `value` has after being stored as `dtype`.
double roundTo(DType dtype, double value);

/// A view of a tensor of any rank; data may be null where only the shape
/// counts.
struct Tensor {
  DType dtype = DType::F32;
  llvm::SmallVector<int64_t, 4> shape;
  /// In elements, as many as `shape`.
  llvm::SmallVector<int64_t, 4> strides;
  const void *data = nullptr;

  int64_t rank() const { return shape.size(); }
  int64_t numElements() const;
  /// Element at an offset in elements.
  double real(int64_t offset) const;
  int64_t integer(int64_t offset) const;
  /// Offset of a coordinate, in elements.
  int64_t offset(llvm::ArrayRef<int64_t> coordinate) const;

  /// Row-major, without gaps.
  static Tensor compact(DType dtype, llvm::ArrayRef<int64_t> shape,
                        const void *data);
};

} // namespace filigree::reference

#endif // FILIGREE_CODEGEN_REFERENCE_TENSOR_H
