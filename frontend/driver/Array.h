//===- Array.h - a tensor that owns its bytes -----------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What files are read into and written from: compact, row-major, little-endian,
// on a 64-byte boundary. Conversions happen only where they are asked for.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_ARRAY_H
#define FILIGREE_FRONTEND_DRIVER_ARRAY_H

#include "codegen/reference/Tensor.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace filigree {

using reference::DType;

/// Memory on a 64-byte boundary.
class AlignedBytes {
public:
  AlignedBytes() = default;
  /// Contents are arbitrary; null data if there is no such memory.
  explicit AlignedBytes(size_t size);
  char *data() { return bytes.get(); }
  const char *data() const { return bytes.get(); }
  size_t size() const { return count; }

private:
  struct Free {
    void operator()(char *pointer) const { std::free(pointer); }
  };
  std::unique_ptr<char, Free> bytes;
  size_t count = 0;
};

class Array {
public:
  DType dtype = DType::F32;
  llvm::SmallVector<int64_t, 4> shape;
  AlignedBytes bytes;

  /// Uninitialised. Error if the size overflows or there is no memory.
  static llvm::Expected<Array> allocate(DType dtype,
                                        llvm::ArrayRef<int64_t> shape);
  /// The bytes of `data` must be exactly those of the shape.
  static llvm::Expected<Array> copy(DType dtype, llvm::ArrayRef<int64_t> shape,
                                    llvm::StringRef data);

  reference::Tensor tensor() const {
    return reference::Tensor::compact(dtype, shape, bytes.data());
  }
  llvm::StringRef raw() const { return {bytes.data(), bytes.size()}; }
};

struct NamedArray {
  std::string name;
  Array array;
};
using NamedArrays = std::vector<NamedArray>;

/// "[2, 4, 128]".
std::string shapeText(llvm::ArrayRef<int64_t> shape);

/// Bytes of a tensor, or nothing if that overflows or an extent is negative.
std::optional<uint64_t> byteSize(DType dtype, llvm::ArrayRef<int64_t> shape);

/// Rounds floats to `dtype`; integers must fit. Floats never become integers,
/// nor integers floats.
llvm::Expected<Array> convert(const Array &array, DType dtype);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_ARRAY_H
