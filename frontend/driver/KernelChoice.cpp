//===- KernelChoice.cpp - which kernel of an artifact is meant ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/KernelChoice.h"
#include "frontend/driver/BoundArray.h"
#include "frontend/driver/RunShape.h"
#include "frontend/driver/Sentence.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace filigree;
using llvm::StringRef;

std::string Kernel::label() const {
  return (fil_kernel_name(handle) + StringRef(" ") + fil_kernel_variant(handle))
      .str();
}

llvm::Expected<std::vector<Kernel>>
filigree::listKernels(fil_library *library, StringRef name, StringRef variant) {
  std::vector<Kernel> kernels;
  std::string known;
  for (uint32_t k = 0; k < fil_kernel_count(library); ++k) {
    Kernel kernel = {fil_kernel_at(library, k), {}};
    known += (k ? ", " : "") + kernel.label();
    if ((!name.empty() && name != fil_kernel_name(kernel.handle)) ||
        (!variant.empty() && variant != fil_kernel_variant(kernel.handle)))
      continue;
    auto args = argumentsOf(kernel.handle);
    if (!args)
      return args.takeError();
    kernel.args = std::move(*args);
    kernels.push_back(std::move(kernel));
  }
  if (kernels.empty())
    return sentence("expected a kernel '{0}{1}{2}', but the artifact has {3}",
                    name, name.empty() || variant.empty() ? "" : " ", variant,
                    known.empty() ? "none" : known);
  return kernels;
}

/// Could these arrays be the kernel's? Judged by type and fixed extents.
static bool fits(const Kernel &kernel, const llvm::StringMap<Array> &inputs,
                 bool cast) {
  for (const auto &input : inputs) {
    auto info = llvm::find_if(kernel.args, [&](const auto &arg) {
      return arg.name == input.first();
    });
    if (info == kernel.args.end())
      return false;
    const Array &array = input.second;
    std::optional<DType> want = dtypeOf(info->dtype);
    bool isTable = want == DType::I32 && array.dtype == DType::I64;
    if (want != array.dtype && !cast && !isTable)
      return false;
    size_t rank = array.shape.size();
    for (size_t back = 1; back <= std::min<size_t>(rank, info->rank); ++back)
      if (!info->symbol[info->rank - back] &&
          info->extent[info->rank - back] != array.shape[rank - back])
        return false;
  }
  return true;
}

llvm::Expected<const Kernel *>
filigree::chooseKernel(llvm::ArrayRef<Kernel> kernels,
                       const llvm::StringMap<Array> &inputs, bool cast) {
  if (kernels.size() == 1)
    return &kernels.front(); // its own checks say what is wrong
  std::vector<const Kernel *> fitting;
  // First those that fit as they are: a cast is the last resort.
  for (bool allowCast : {false, true}) {
    for (const Kernel &kernel : kernels)
      if (fits(kernel, inputs, allowCast))
        fitting.push_back(&kernel);
    if (!fitting.empty() || !cast)
      break;
  }
  if (fitting.size() == 1)
    return fitting.front();
  auto labels = llvm::map_range(
      kernels, [](const Kernel &kernel) { return kernel.label(); });
  return sentence("expected one kernel that fits the inputs, but got {0} of: "
                  "{1}; choose with --kernel and --variant",
                  fitting.size(), llvm::join(labels, ", "));
}
