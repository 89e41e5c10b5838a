//===- BenchInputs.cpp - the arrays and scalars of a benchmark ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/BenchInputs.h"
#include "frontend/driver/InputFiles.h"
#include "frontend/driver/Sentence.h"
#include <random>

using namespace filigree;
using llvm::StringRef;

/// Normal numbers; long arrays repeat a block.
static llvm::Expected<Array> randomArray(llvm::ArrayRef<int64_t> shape,
                                         uint64_t seed) {
  auto array = Array::allocate(DType::F32, shape);
  if (!array)
    return array.takeError();
  size_t count = array->bytes.size() / sizeof(float);
  size_t block = std::min<size_t>(count, size_t(1) << 22);
  auto *values = reinterpret_cast<float *>(array->bytes.data());
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal;
  for (size_t k = 0; k < block; ++k)
    values[k] = normal(generator);
  for (size_t k = block; k < count; ++k)
    values[k] = values[k - block];
  return array;
}

/// The array of an argument that no file gives.
static llvm::Expected<Array> madeUp(const fil_arg_info &info, DType dtype,
                                    llvm::ArrayRef<int64_t> shape,
                                    size_t number) {
  if (info.kind == FIL_OUTPUT) {
    auto array = Array::allocate(dtype, shape);
    if (array)
      std::memset(array->bytes.data(), 0xff, array->bytes.size());
    return array;
  }
  if (dtype == DType::I32)
    return sentence("expected --in with `{0}`: tables and lists are not made "
                    "up",
                    info.name);
  if (info.symbol[0] && llvm::StringRef(info.symbol[0]).starts_with("pages"))
    return sentence("expected --in with `{0}`: pages are not made up",
                    info.name);
  return randomArray(shape, llvm::hash_value(number));
}

llvm::Expected<BoundArrays>
filigree::benchArrays(llvm::ArrayRef<fil_arg_info> infos, const RunShape &shape,
                      llvm::ArrayRef<std::string> files) {
  std::vector<std::string> wanted;
  for (const fil_arg_info &info : infos)
    if (info.kind == FIL_INPUT)
      wanted.push_back(info.name);
  auto given = readInputs(files, wanted);
  if (!given)
    return given.takeError();
  BoundArrays arrays;
  for (const fil_arg_info &info : infos) {
    if (info.kind == FIL_SCALAR)
      continue;
    std::optional<DType> dtype = dtypeOf(info.dtype);
    if (!dtype)
      return sentence("expected `{0}` of type f32, bf16, f16 or i32",
                      info.name);
    auto file = given->find(info.name);
    llvm::Expected<Array> array =
        file != given->end()
            ? llvm::Expected<Array>(std::move(file->second))
            : madeUp(info, *dtype, shapeOf(info, shape), arrays.size());
    if (array && array->dtype != *dtype)
      array = convert(*array, *dtype);
    if (!array)
      return array.takeError();
    arrays.push_back(std::make_unique<BoundArray>(info, std::move(*array)));
  }
  return std::move(arrays);
}

llvm::Expected<std::vector<fil_arg>>
filigree::benchScalars(llvm::ArrayRef<fil_arg_info> infos,
                       llvm::ArrayRef<Setting> settings, StringRef kernelName) {
  std::vector<fil_arg> scalars;
  for (const Setting &setting : settings) {
    auto info = llvm::find_if(infos, [&](const fil_arg_info &arg) {
      return arg.kind == FIL_SCALAR && arg.name == setting.first;
    });
    if (info == infos.end())
      return sentence("expected a run-time parameter of `{0}`, but got '{1}'",
                      kernelName, setting.first);
    auto value = parseScalar(setting.first, setting.second);
    if (!value)
      return value.takeError();
    if (info->dtype != FIL_F32 && value->isFloat)
      return sentence("expected an integer for '{0}', but got {1}",
                      setting.first, setting.second);
    scalars.push_back(info->dtype == FIL_F32
                          ? fil_float_arg(info->name, value->f)
                          : fil_int_arg(info->name, value->i));
  }
  return std::move(scalars);
}

reference::Inputs filigree::valuesOf(const BoundArrays &arrays,
                                     llvm::ArrayRef<fil_arg> scalars) {
  reference::Inputs values;
  for (const auto &bound : arrays)
    if (bound->info.kind == FIL_INPUT)
      values.tensors[bound->info.name] = bound->array.tensor();
  for (const fil_arg &scalar : scalars)
    values.scalars[scalar.name] = scalar.kind == FIL_INT
                                      ? reference::Scalar::ofInt(scalar.i)
                                      : reference::Scalar::ofFloat(scalar.f);
  return values;
}
