//===- TensorCheck.cpp - dtype, device, rank, layout, overlap -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All arithmetic on extents and strides is overflow-checked here, once, so that
// generated code may multiply them freely.
//
//===----------------------------------------------------------------------===//
#include "runtime/TensorCheck.h"

#include "runtime/Status.h"

#include <cinttypes>

namespace filigree::runtime {

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

namespace {
struct DtypeRow {
  const char *name;
  uint8_t code, bits;
};
} // namespace

static const DtypeRow &dtypeRow(uint32_t dtype) {
  static constexpr DtypeRow rows[] = {
      {"unknown", 0, 0},     {"f32", kDLFloat, 32}, {"bf16", kDLBfloat, 16},
      {"f16", kDLFloat, 16}, {"i32", kDLInt, 32},   {"i64", kDLInt, 64},
      {"f64", kDLFloat, 64},
  };
  return rows[dtype <= FIL_ABI_F64 ? dtype : 0];
}

uint32_t bytesOf(uint32_t dtype) { return dtypeRow(dtype).bits / 8; }
const char *dtypeName(uint32_t dtype) { return dtypeRow(dtype).name; }

static fil_status checkDtype(const fil_abi_arg &arg, DLDataType type,
                             fil_error *err) {
  const DtypeRow &row = dtypeRow(arg.dtype);
  if (type.code == row.code && type.bits == row.bits && type.lanes == 1)
    return FIL_OK;
  Text found;
  switch (type.code) {
  case kDLInt:
    found.append("i%u", type.bits);
    break;
  case kDLUInt:
    found.append("u%u", type.bits);
    break;
  case kDLFloat:
    found.append("f%u", type.bits);
    break;
  case kDLBfloat:
    found.append("bf%u", type.bits);
    break;
  default:
    found.append("dlpack type code %u of %u bits", type.code, type.bits);
  }
  if (type.lanes != 1)
    found.append(" x %u lanes", type.lanes);
  return fail(err, FIL_BAD_ARGUMENT, "expected `%s` of dtype %s, but got %s",
              arg.name, row.name, found.str());
}

//===----------------------------------------------------------------------===//
// Device, rank
//===----------------------------------------------------------------------===//

static fil_status checkDevice(const fil_abi_arg &arg, DLDevice device,
                              fil_error *err) {
  int type = static_cast<int>(device.device_type);
  if (type == kDLCPU || type == kDLCUDA || type == kDLCUDAHost)
    return FIL_OK;
  return fail(err, FIL_UNSUPPORTED,
              "expected `%s` in cpu or cuda memory, but it is on dlpack device "
              "type %d",
              arg.name, type);
}

static fil_status checkRank(const fil_abi_arg &arg, const DLTensor &tensor,
                            View &view, fil_error *err) {
  bool mayDrop = arg.flags & FIL_ABI_LEADING_OPTIONAL;
  int64_t rank = arg.rank;
  view.leadingDropped = mayDrop && tensor.ndim == rank - 1;
  if (tensor.ndim != rank && !view.leadingDropped) {
    if (mayDrop)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected `%s` of rank %u or %u, but got rank %d", arg.name,
                  arg.rank - 1, arg.rank, tensor.ndim);
    return fail(err, FIL_BAD_ARGUMENT,
                "expected `%s` of rank %u, but got rank %d", arg.name, arg.rank,
                tensor.ndim);
  }
  if (!tensor.shape)
    return fail(err, FIL_BAD_ARGUMENT,
                "expected a shape for `%s`, but it is null", arg.name);
  return FIL_OK;
}

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

static fil_status tooLarge(const fil_abi_arg &arg, fil_error *err) {
  return fail(err, FIL_BAD_ARGUMENT,
              "expected `%s` to span fewer than 2^63 bytes, but its extents "
              "and strides exceed that",
              arg.name);
}

static fil_status readLayout(const fil_abi_arg &arg, const DLTensor &tensor,
                             View &view, fil_error *err) {
  int dropped = view.leadingDropped ? 1 : 0;
  int rank = static_cast<int>(arg.rank);
  for (int d = 0; d < 4; ++d) {
    view.extent[d] = 1;
    view.stride[d] = 0;
  }
  for (int d = dropped; d < rank; ++d) {
    int64_t extent = tensor.shape[d - dropped];
    if (extent < 0)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected dimension %d of `%s` to be at least 0, but got "
                  "%" PRId64,
                  d - dropped, arg.name, extent);
    view.extent[d] = extent;
  }

  // Null strides mean compact; the running product also bounds the element
  // count, which generated code computes even where strides are 0.
  int64_t compact = 1;
  for (int d = rank - 1; d >= dropped; --d) {
    view.stride[d] = tensor.strides ? tensor.strides[d - dropped] : compact;
    int64_t extent = view.extent[d] > 0 ? view.extent[d] : 1;
    if (__builtin_mul_overflow(compact, extent, &compact))
      return tooLarge(arg, err);
  }
  if (__builtin_mul_overflow(compact, int64_t(view.elementBytes), &compact))
    return tooLarge(arg, err);

  bool output = arg.kind == FIL_ABI_OUTPUT;
  int64_t last = rank - 1;
  for (int d = dropped; d < rank; ++d) {
    if (view.extent[d] <= 1) {
      view.stride[d] = d == last ? 1 : 0;
      continue;
    }
    if (view.stride[d] < 0)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected stride %d of `%s` to be at least 0, but got "
                  "%" PRId64,
                  d - dropped, arg.name, view.stride[d]);
    if (d == last && view.stride[d] != 1 &&
        !(arg.flags & FIL_ABI_MAY_BROADCAST))
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected the last dimension of `%s` to be contiguous "
                  "(stride 1), but got stride %" PRId64,
                  arg.name, view.stride[d]);
    if (output && view.stride[d] == 0)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected output `%s` without broadcasting, but stride %d "
                  "is 0",
                  arg.name, d - dropped);
  }
  return FIL_OK;
}

static fil_status measureSpan(const fil_abi_arg &arg, View &view,
                              fil_error *err) {
  int64_t offset = 0; // of the last element
  bool empty = false;
  for (uint32_t d = 0; d < arg.rank; ++d) {
    if (view.extent[d] == 0) {
      empty = true;
      continue;
    }
    int64_t step;
    if (__builtin_mul_overflow(view.extent[d] - 1, view.stride[d], &step) ||
        __builtin_add_overflow(offset, step, &offset))
      return tooLarge(arg, err);
  }
  int64_t bytes;
  if (__builtin_add_overflow(offset, 1, &offset) ||
      __builtin_mul_overflow(offset, int64_t(view.elementBytes), &bytes))
    return tooLarge(arg, err);
  view.spanBytes = empty ? 0 : bytes;
  return FIL_OK;
}

// Sorted by stride, each dimension must step over all that the smaller ones
// reach; otherwise two threads may write one element.
static fil_status checkInjective(const fil_abi_arg &arg, const View &view,
                                 fil_error *err) {
  int order[4], count = 0;
  for (uint32_t d = 0; d < arg.rank; ++d) {
    if (view.extent[d] <= 1)
      continue;
    int at = count++;
    for (; at > 0 && view.stride[order[at - 1]] > view.stride[d]; --at)
      order[at] = order[at - 1];
    order[at] = static_cast<int>(d);
  }
  int64_t reach = 0; // cannot overflow: bounded by the span
  for (int i = 0; i < count; ++i) {
    int d = order[i];
    if (view.stride[d] <= reach)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected output `%s` without overlapping elements, but "
                  "stride %" PRId64 " is smaller than what it steps over, "
                  "%" PRId64,
                  arg.name, view.stride[d], reach + 1);
    reach += (view.extent[d] - 1) * view.stride[d];
  }
  return FIL_OK;
}

static fil_status checkData(const fil_abi_arg &arg, const DLTensor &tensor,
                            View &view, fil_error *err) {
  view.address = 0;
  if (view.spanBytes == 0)
    return FIL_OK;
  if (!tensor.data)
    return fail(err, FIL_BAD_ARGUMENT,
                "expected data for `%s`, but its pointer is null", arg.name);
  uint64_t address;
  if (__builtin_add_overflow(reinterpret_cast<uint64_t>(tensor.data),
                             tensor.byte_offset, &address) ||
      address > static_cast<uint64_t>(INT64_MAX - view.spanBytes))
    return fail(err, FIL_BAD_ARGUMENT,
                "expected `%s` inside the address space, but byte offset "
                "%" PRIu64 " leaves it",
                arg.name, static_cast<uint64_t>(tensor.byte_offset));
  uint32_t alignment =
      arg.alignment > view.elementBytes ? arg.alignment : view.elementBytes;
  if (address % alignment != 0)
    return fail(err, FIL_BAD_ARGUMENT,
                "expected `%s` aligned to %u bytes, but its address is %" PRIu64
                " bytes past that",
                arg.name, alignment, address % alignment);
  view.address = static_cast<int64_t>(address);
  return FIL_OK;
}

fil_status viewTensor(const fil_abi_arg &arg, const DLTensor &tensor,
                      bool needData, View &view, fil_error *err) {
  view.address = 0;
  view.elementBytes = bytesOf(arg.dtype);
  if (fil_status status = checkDtype(arg, tensor.dtype, err))
    return status;
  if (fil_status status = checkDevice(arg, tensor.device, err))
    return status;
  if (fil_status status = checkRank(arg, tensor, view, err))
    return status;
  if (fil_status status = readLayout(arg, tensor, view, err))
    return status;
  if (fil_status status = measureSpan(arg, view, err))
    return status;
  if (arg.kind == FIL_ABI_OUTPUT && view.spanBytes > 0)
    if (fil_status status = checkInjective(arg, view, err))
      return status;
  return needData ? checkData(arg, tensor, view, err) : FIL_OK;
}

//===----------------------------------------------------------------------===//
// Overlap
//===----------------------------------------------------------------------===//

/// If every step of the view is either a multiple of `period` bytes or stays,
/// with all the others, below it, then all its bytes lie in
/// [address, address + width) modulo period. Width 0: no such window.
static int64_t windowOf(const View &view, uint32_t rank, int64_t period) {
  int64_t width = view.elementBytes;
  for (uint32_t d = 0; d < rank; ++d) {
    if (view.extent[d] <= 1 || view.stride[d] == 0)
      continue;
    int64_t step = view.stride[d] * view.elementBytes;
    if (step % period != 0)
      width += (view.extent[d] - 1) * step;
  }
  return width <= period ? width : 0;
}

bool mayOverlap(const View &a, uint32_t rankA, const View &b, uint32_t rankB) {
  if (a.spanBytes == 0 || b.spanBytes == 0)
    return false;
  if (a.address + a.spanBytes <= b.address ||
      b.address + b.spanBytes <= a.address)
    return false;
  // The ranges meet. Rows of two interleaved arrays still keep apart if both
  // repeat with one period and their windows in it are disjoint.
  for (uint32_t d = 0; d < rankA; ++d) {
    if (a.extent[d] <= 1 || a.stride[d] == 0)
      continue;
    int64_t period = a.stride[d] * a.elementBytes;
    int64_t widthA = windowOf(a, rankA, period);
    int64_t widthB = windowOf(b, rankB, period);
    if (widthA == 0 || widthB == 0)
      continue;
    int64_t gap = (b.address % period - a.address % period + period) % period;
    if (gap >= widthA && period - gap >= widthB)
      return false;
  }
  return true;
}

} // namespace filigree::runtime
