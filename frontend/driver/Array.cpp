//===- Array.cpp - a tensor that owns its bytes ---------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Array.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>
#include <cstring>
#include <limits>

using namespace filigree;

AlignedBytes::AlignedBytes(size_t size) {
  if (size > std::numeric_limits<size_t>::max() - 64)
    return;
  size_t rounded = std::max<size_t>(64, (size + 63) / 64 * 64);
  bytes.reset(static_cast<char *>(std::aligned_alloc(64, rounded)));
  count = bytes ? size : 0;
}

std::string filigree::shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "[";
  llvm::interleaveComma(shape, os);
  os << "]";
  return text;
}

std::optional<uint64_t> filigree::byteSize(DType dtype,
                                           llvm::ArrayRef<int64_t> shape) {
  int64_t size = reference::byteWidth(dtype);
  bool overflows = false, empty = false;
  for (int64_t extent : shape) {
    if (extent < 0)
      return std::nullopt;
    empty |= extent == 0;
  }
  if (empty)
    return 0;
  for (int64_t extent : shape)
    overflows |= llvm::MulOverflow(size, extent, size);
  if (overflows)
    return std::nullopt;
  return uint64_t(size);
}

llvm::Expected<Array> Array::allocate(DType dtype,
                                      llvm::ArrayRef<int64_t> shape) {
  auto size = byteSize(dtype, shape);
  if (!size)
    return llvm::createStringError("expected a size below 2^63 bytes, but got "
                                   "shape " +
                                   shapeText(shape));
  Array array;
  array.dtype = dtype;
  array.shape.assign(shape.begin(), shape.end());
  array.bytes = AlignedBytes(*size);
  if (!array.bytes.data())
    return llvm::createStringError(
        llvm::formatv("no memory for {0} bytes", *size).str());
  return std::move(array);
}

llvm::Expected<Array> Array::copy(DType dtype, llvm::ArrayRef<int64_t> shape,
                                  llvm::StringRef data) {
  auto size = byteSize(dtype, shape);
  if (!size || *size != data.size())
    return llvm::createStringError(
        llvm::formatv("expected {0} bytes of data for {1} of {2}, but got {3}",
                      size ? std::to_string(*size) : "fewer than 2^63",
                      shapeText(shape), reference::dtypeName(dtype),
                      data.size())
            .str());
  auto array = allocate(dtype, shape);
  if (array && !data.empty())
    std::memcpy(array->bytes.data(), data.data(), data.size());
  return array;
}

llvm::Expected<Array> filigree::convert(const Array &array, DType dtype) {
  if (reference::isFloat(array.dtype) != reference::isFloat(dtype))
    return llvm::createStringError(
        llvm::formatv("{0} cannot become {1}",
                      reference::dtypeName(array.dtype),
                      reference::dtypeName(dtype))
            .str());
  auto result = Array::allocate(dtype, array.shape);
  if (!result)
    return result;
  reference::Tensor from = array.tensor();
  char *to = result->bytes.data();
  for (int64_t k = 0, count = from.numElements(); k < count; ++k) {
    switch (dtype) {
    case DType::F32:
      reinterpret_cast<float *>(to)[k] = float(from.real(k));
      break;
    case DType::F64:
      reinterpret_cast<double *>(to)[k] = from.real(k);
      break;
    case DType::F16:
      reinterpret_cast<uint16_t *>(to)[k] =
          reference::floatToHalf(float(from.real(k)));
      break;
    case DType::BF16:
      reinterpret_cast<uint16_t *>(to)[k] =
          reference::floatToBfloat(float(from.real(k)));
      break;
    case DType::I64:
      reinterpret_cast<int64_t *>(to)[k] = from.integer(k);
      break;
    case DType::I32: {
      int64_t value = from.integer(k);
      if (value != int32_t(value))
        return llvm::createStringError(
            llvm::formatv("expected values that fit i32, but got {0} in "
                          "element {1}",
                          value, k)
                .str());
      reinterpret_cast<int32_t *>(to)[k] = int32_t(value);
      break;
    }
    }
  }
  return result;
}
