//===- RunShape.cpp - the extents of a run that has no arrays yet ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/RunShape.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace filigree;
using llvm::SmallVector;
using llvm::StringRef;

int64_t filigree::extentOf(StringRef symbol, const RunShape &shape) {
  int64_t divisor;
  StringRef inner = symbol;
  if (inner.consume_front("ceil(") && inner.consume_back(")")) {
    auto [of, by] = inner.split('/');
    if (!by.getAsInteger(10, divisor) && divisor > 0)
      return llvm::divideCeilSigned(extentOf(of, shape), divisor);
  }
  if (symbol.starts_with("Nk"))
    return shape.keys;
  if (symbol.starts_with("entries"))
    return shape.entries;
  int64_t pages = llvm::divideCeilSigned(shape.keys, shape.page);
  if (symbol.starts_with("pages"))
    return shape.documents * pages;
  return llvm::StringSwitch<int64_t>(symbol)
      .Case("B", shape.batch)
      .Case("Hq", shape.heads)
      .Case("Hkv", shape.kvHeads)
      .Case("Nq", shape.queries)
      .Case("docs", shape.documents)
      .Case("docs+1", shape.documents + 1)
      .Case("doc_pages", pages)
      .Default(1);
}

SmallVector<int64_t, 4> filigree::shapeOf(const fil_arg_info &info,
                                          const RunShape &shape) {
  SmallVector<int64_t, 4> extents;
  for (uint32_t axis = 0; axis < info.rank; ++axis)
    extents.push_back(info.symbol[axis] ? extentOf(info.symbol[axis], shape)
                                        : info.extent[axis]);
  return extents;
}

DLDataType filigree::dlTypeOf(uint32_t dtype) {
  switch (dtype) {
  case FIL_F32:
    return {kDLFloat, 32, 1};
  case FIL_BF16:
    return {kDLBfloat, 16, 1};
  case FIL_F16:
    return {kDLFloat, 16, 1};
  case FIL_I32:
    return {kDLInt, 32, 1};
  case FIL_F64:
    return {kDLFloat, 64, 1};
  default:
    return {kDLInt, 64, 1};
  }
}

static llvm::Error errorOf(fil_status status, const fil_error &error) {
  return status == FIL_OK ? llvm::Error::success()
                          : llvm::createStringError(StringRef(error.message));
}

llvm::Expected<std::vector<fil_arg_info>>
filigree::argumentsOf(const fil_kernel *kernel) {
  std::vector<fil_arg_info> args;
  fil_error error = FIL_ERROR_INIT;
  for (uint32_t k = 0; k < fil_kernel_arg_count(kernel); ++k) {
    fil_arg_info info = FIL_ARG_INFO_INIT;
    if (llvm::Error bad =
            errorOf(fil_kernel_arg(kernel, k, &info, &error), error))
      return std::move(bad);
    args.push_back(info);
  }
  return args;
}
