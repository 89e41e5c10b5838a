//===- Tensor.cpp - strided views of stored numbers, for the oracle -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/Tensor.h"
#include "llvm/ADT/bit.h"
#include <cassert>
#include <cmath>

using namespace filigree::reference;

int64_t filigree::reference::byteWidth(DType dtype) {
  switch (dtype) {
  case DType::BF16:
  case DType::F16:
    return 2;
  case DType::F32:
  case DType::I32:
    return 4;
  case DType::F64:
  case DType::I64:
    return 8;
  }
  return 0;
}

llvm::StringRef filigree::reference::dtypeName(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return "f32";
  case DType::BF16:
    return "bf16";
  case DType::F16:
    return "f16";
  case DType::F64:
    return "f64";
  case DType::I32:
    return "i32";
  case DType::I64:
    return "i64";
  }
  return "";
}

double filigree::reference::epsilon(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return std::ldexp(1.0, -23);
  case DType::BF16:
    return std::ldexp(1.0, -7);
  case DType::F16:
    return std::ldexp(1.0, -10);
  case DType::F64:
    return std::ldexp(1.0, -52);
  default:
    return 0;
  }
}

//===----------------------------------------------------------------------===//
// 16-bit formats
//===----------------------------------------------------------------------===//

float filigree::reference::halfToFloat(uint16_t bits) {
  uint32_t sign = uint32_t(bits & 0x8000) << 16;
  uint32_t exponent = (bits >> 10) & 0x1f, fraction = bits & 0x3ff;
  if (exponent == 0x1f)
    return llvm::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent != 0)
    return llvm::bit_cast<float>(sign | ((exponent + 112) << 23) |
                                 (fraction << 13));
  // Subnormal: fraction * 2^-24, exact in float.
  float magnitude = float(fraction) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
}

float filigree::reference::bfloatToFloat(uint16_t bits) {
  return llvm::bit_cast<float>(uint32_t(bits) << 16);
}

/// x >> shift, rounded to nearest, ties to even.
static uint32_t shiftRound(uint32_t x, unsigned shift) {
  uint32_t half = 1u << (shift - 1), kept = x >> shift;
  uint32_t rest = x & ((1u << shift) - 1);
  return kept + (rest > half || (rest == half && (kept & 1)));
}

uint16_t filigree::reference::floatToHalf(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  uint16_t sign = uint16_t((bits >> 16) & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return sign | 0x7e00 | uint16_t((magnitude >> 13) & 0x3ff);
  if (magnitude >= 0x47800000) // 65536 and more
    return sign | 0x7c00;
  if (magnitude >= 0x38800000) // normal; a carry runs into the exponent
    return sign | uint16_t(shiftRound(magnitude - (112u << 23), 13));
  unsigned exponent = magnitude >> 23;
  if (exponent < 102) // below half of the least subnormal
    return sign;
  uint32_t fraction = (magnitude & 0x7fffff) | 0x800000;
  return sign | uint16_t(shiftRound(fraction, 126 - exponent));
}

uint16_t filigree::reference::floatToBfloat(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return uint16_t(bits >> 16) | 0x40;
  uint32_t kept = bits >> 16, rest = bits & 0xffff;
  return uint16_t(kept + (rest > 0x8000 || (rest == 0x8000 && (kept & 1))));
}

double filigree::reference::roundTo(DType dtype, double value) {
  switch (dtype) {
  case DType::F32:
    return float(value);
  case DType::BF16:
    return bfloatToFloat(floatToBfloat(float(value)));
  case DType::F16:
    return halfToFloat(floatToHalf(float(value)));
  default:
    return value;
  }
}

//===----------------------------------------------------------------------===//
// Tensor
//===----------------------------------------------------------------------===//

int64_t Tensor::numElements() const {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

double Tensor::real(int64_t offset) const {
  switch (dtype) {
  case DType::F32:
    return static_cast<const float *>(data)[offset];
  case DType::F64:
    return static_cast<const double *>(data)[offset];
  case DType::BF16:
    return bfloatToFloat(static_cast<const uint16_t *>(data)[offset]);
  case DType::F16:
    return halfToFloat(static_cast<const uint16_t *>(data)[offset]);
  default:
    return double(integer(offset));
  }
}

int64_t Tensor::integer(int64_t offset) const {
  assert(!isFloat(dtype) && "integer element of a float tensor");
  return dtype == DType::I32 ? static_cast<const int32_t *>(data)[offset]
                             : static_cast<const int64_t *>(data)[offset];
}

int64_t Tensor::offset(llvm::ArrayRef<int64_t> coordinate) const {
  assert(coordinate.size() == strides.size());
  int64_t sum = 0;
  for (size_t k = 0; k < coordinate.size(); ++k)
    sum += coordinate[k] * strides[k];
  return sum;
}

Tensor Tensor::compact(DType dtype, llvm::ArrayRef<int64_t> shape,
                       const void *data) {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.shape.assign(shape.begin(), shape.end());
  tensor.strides.resize(shape.size());
  int64_t stride = 1;
  for (size_t k = shape.size(); k-- > 0; stride *= shape[k])
    tensor.strides[k] = stride;
  tensor.data = data;
  return tensor;
}
