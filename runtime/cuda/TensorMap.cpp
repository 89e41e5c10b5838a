//===- TensorMap.cpp - descriptors of the tensor memory accelerator -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Always four axes, d n h b from the innermost: a dimension d of an argument of
// rank r is axis r - 1 - d, and axes that the argument lacks have extent 1. The
// stride of an extent 1 is never used, but must be a legal one; it is written
// as one row.
//
//===----------------------------------------------------------------------===//
#include "runtime/cuda/TensorMap.h"

#include "runtime/Status.h"
#include "runtime/TensorCheck.h"

#include <cinttypes>
#include <cstring>

namespace filigree::runtime::cuda {

namespace {

/// One tensor argument as its slots tell.
struct Layout {
  const fil_abi_arg &arg;
  const int64_t *extent, *stride;
  int64_t address, elementBytes;
  uint32_t dropped; ///< 1 if it was given without its leading dimension

  Layout(const fil_abi_kernel &kernel, uint32_t index,
         const BoundArguments &bound)
      : arg(element(kernel.args, index)), extent(bound.slots + arg.slot + 1),
        stride(bound.slots + arg.slot + 5), address(bound.slots[arg.slot]),
        elementBytes(bytesOf(arg.dtype)), dropped(0) {
    if (const fil_arg *given = bound.given[index])
      dropped = arg.rank - static_cast<uint32_t>(given->tensor->ndim);
  }

  bool isEmpty() const {
    for (uint32_t d = 0; d < arg.rank; ++d)
      if (extent[d] == 0)
        return true;
    return false;
  }

  /// The caller's number of dimension d.
  uint32_t number(uint32_t d) const { return d - dropped; }
};

} // namespace

static fil_status checkRows(const Layout &tensor, fil_error *err) {
  const fil_abi_arg &arg = tensor.arg;
  uint32_t last = arg.rank - 1;
  if (tensor.extent[last] > 1 && tensor.stride[last] != 1)
    return fail(err, FIL_BAD_ARGUMENT,
                "expected the last dimension of `%s` to be contiguous on cuda "
                "(stride 1), but got stride %" PRId64,
                arg.name, tensor.stride[last]);
  if (tensor.address % 16 != 0)
    return fail(err, FIL_BAD_ARGUMENT,
                "expected `%s` aligned to 16 bytes, but its address is %" PRId64
                " bytes past that",
                arg.name, tensor.address % 16);
  for (uint32_t d = 0; d < last; ++d) {
    int64_t bytes = tensor.stride[d] * tensor.elementBytes;
    if (tensor.extent[d] > 1 && bytes % 16 != 0)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected stride %u of `%s` to be a multiple of 16 bytes, "
                  "but got %" PRId64 " elements of %" PRId64 " bytes",
                  tensor.number(d), arg.name, tensor.stride[d],
                  tensor.elementBytes);
  }
  return FIL_OK;
}

static fil_status checkOffsets(const Layout &tensor, fil_error *err) {
  int64_t last = 0; // cannot overflow: the span was measured
  for (uint32_t d = 0; d < tensor.arg.rank; ++d)
    last += (tensor.extent[d] - 1) * tensor.stride[d];
  if (last <= INT32_MAX)
    return FIL_OK;
  return fail(err, FIL_BAD_ARGUMENT,
              "expected all elements of `%s` within 2^31 of the first, but the "
              "last is %" PRId64 " after it",
              tensor.arg.name, last);
}

/// Of tables and biases, whose rows may have any stride but for this: places
/// in a chunk of keys have 32 bits.
static fil_status checkLastStride(const Layout &tensor, fil_error *err) {
  constexpr int64_t limit = 1 << 23;
  uint32_t last = tensor.arg.rank - 1;
  if (tensor.extent[last] <= 1 || tensor.stride[last] < limit)
    return FIL_OK;
  return fail(err, FIL_BAD_ARGUMENT,
              "expected stride %u of `%s` below 2^23 elements on cuda, but got "
              "%" PRId64,
              tensor.number(last), tensor.arg.name, tensor.stride[last]);
}

fil_status checkLayouts(const fil_abi_kernel &kernel,
                        const BoundArguments &bound, fil_error *err) {
  for (uint32_t i = 0; i < kernel.arg_count; ++i) {
    if (isScalar(element(kernel.args, i)) || !bound.given[i])
      continue;
    Layout tensor(kernel, i, bound);
    if (tensor.isEmpty())
      continue;
    if (tensor.arg.flags & FIL_ABI_CUDA_ROWS_16)
      if (fil_status status = checkRows(tensor, err))
        return status;
    if (tensor.arg.flags & FIL_ABI_CUDA_OFFSETS_32)
      if (fil_status status = checkOffsets(tensor, err))
        return status;
    if (tensor.arg.flags & FIL_ABI_MAY_BROADCAST)
      if (fil_status status = checkLastStride(tensor, err))
        return status;
  }
  return FIL_OK;
}

static fil_status checkMapped(const Layout &tensor, fil_error *err) {
  const fil_abi_arg &arg = tensor.arg;
  if (fil_status status = checkRows(tensor, err))
    return status;
  for (uint32_t d = 0; d + 1 < arg.rank; ++d) {
    int64_t extent = tensor.extent[d], stride = tensor.stride[d];
    if (extent <= 1)
      continue;
    if (stride == 0)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected stride %u of `%s` to be at least 1 for extent "
                  "%" PRId64 ", but got 0: this kernel's loads on cuda do not "
                  "broadcast",
                  tensor.number(d), arg.name, extent);
    if (stride >= (int64_t(1) << 40) / tensor.elementBytes)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected stride %u of `%s` below 2^40 bytes on cuda, but "
                  "got %" PRId64 " elements of %" PRId64 " bytes",
                  tensor.number(d), arg.name, stride, tensor.elementBytes);
  }
  return FIL_OK;
}

static TensorMapType mapType(uint32_t dtype) {
  switch (dtype) {
  case FIL_ABI_F32:
    return kMapF32;
  case FIL_ABI_BF16:
    return kMapBf16;
  case FIL_ABI_F16:
    return kMapF16;
  case FIL_ABI_I32:
    return kMapI32;
  case FIL_ABI_I64:
    return kMapI64;
  }
  return kMapF64;
}

fil_status encodeTensorMap(const Driver &driver, const fil_abi_kernel &kernel,
                           const fil_abi_tensor_map &map,
                           const BoundArguments &bound, TensorMap &out,
                           fil_error *err) {
  Layout tensor(kernel, map.arg, bound);
  if (!bound.given[map.arg]) {
    memset(&out, 0, sizeof(out));
    return FIL_OK;
  }
  bool empty = tensor.isEmpty();
  if (!empty)
    if (fil_status status = checkMapped(tensor, err))
      return status;

  const uint32_t rank = tensor.arg.rank;
  const auto width = static_cast<uint64_t>(tensor.elementBytes);
  const auto row = static_cast<uint64_t>(tensor.extent[rank - 1]) * width;
  const uint64_t unused = ((row < 16 ? 16 : row) + 15) & ~uint64_t(15);
  uint64_t extents[4], strides[3];
  uint32_t box[4];
  const uint32_t steps[4] = {1, 1, 1, 1};
  for (uint32_t axis = 0; axis < 4; ++axis) {
    int64_t extent = axis < rank ? tensor.extent[rank - 1 - axis] : 1;
    extents[axis] = extent < 1 ? 1 : static_cast<uint64_t>(extent);
    box[axis] = map.box[3 - axis];
    if (axis > 0)
      strides[axis - 1] =
          extents[axis] == 1 || empty
              ? unused
              : static_cast<uint64_t>(tensor.stride[rank - 1 - axis]) * width;
  }
  int swizzle = map.swizzle == 0    ? 0
                : map.swizzle == 32 ? 1
                : map.swizzle == 64 ? 2
                                    : 3;
  Result result = driver.cuTensorMapEncodeTiled(
      &out, mapType(tensor.arg.dtype), 4,
      reinterpret_cast<void *>(tensor.address), extents, strides, box, steps,
      /*interleave=*/0, swizzle, kL2Promotion128, /*oobFill=*/0);
  if (result == kSuccess)
    return FIL_OK;
  Text what;
  what.append("a tensor map of `%s`", tensor.arg.name);
  return driverFailure(driver, result, err, what.str());
}

} // namespace filigree::runtime::cuda
