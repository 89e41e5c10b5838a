//===- BoundArray.cpp - arrays as the arguments of a run ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/BoundArray.h"

using namespace filigree;

std::optional<DType> filigree::dtypeOf(uint32_t filDtype) {
  switch (filDtype) {
  case FIL_F32:
    return DType::F32;
  case FIL_BF16:
    return DType::BF16;
  case FIL_F16:
    return DType::F16;
  case FIL_I32:
    return DType::I32;
  case FIL_I64:
    return DType::I64;
  case FIL_F64:
    return DType::F64;
  }
  return std::nullopt;
}

static DLDataType dlType(DType dtype) {
  uint8_t code = !reference::isFloat(dtype) ? kDLInt
                 : dtype == DType::BF16     ? kDLBfloat
                                            : kDLFloat;
  return {code, uint8_t(8 * reference::byteWidth(dtype)), 1};
}

BoundArray::BoundArray(const fil_arg_info &info, Array array)
    : info(info), array(std::move(array)) {
  useHost();
}

void BoundArray::useHost() {
  tensor.data = array.bytes.data();
  tensor.device = {kDLCPU, 0};
  tensor.ndim = int32_t(array.shape.size());
  tensor.dtype = dlType(array.dtype);
  tensor.shape = array.shape.data();
}

DeviceCopies::~DeviceCopies() {
  for (auto &copy : copies)
    copy.first->useHost();
}

llvm::Error DeviceCopies::upload(const BoundArrays &arrays) {
  for (const auto &bound : arrays) {
    auto memory =
        device.allocate(bound->array.bytes.size(),
                        (llvm::Twine("'") + bound->info.name + "'").str());
    if (!memory)
      return memory.takeError();
    bound->tensor.data = memory->data();
    bound->tensor.device = {kDLCUDA, device.ordinal()};
    copies.emplace_back(bound.get(), std::move(*memory));
    if (llvm::Error error =
            device.upload(copies.back().second, bound->array.bytes.data()))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error DeviceCopies::download() {
  for (auto &[bound, memory] : copies)
    if (bound->info.kind == FIL_OUTPUT)
      if (llvm::Error error =
              device.download(bound->array.bytes.data(), memory))
        return error;
  return llvm::Error::success();
}
