//===- InputFiles.cpp - --in: arrays by name, out of files ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/InputFiles.h"
#include "frontend/driver/TensorFile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

using namespace filigree;
using llvm::StringRef;

/// The arrays of one item, under the names they are to have.
static llvm::Expected<NamedArrays>
readItem(StringRef item, llvm::ArrayRef<std::string> wanted) {
  auto [name, path] = item.split('=');
  bool isNamed = !path.empty() && !name.contains('/');
  if (!isNamed) {
    auto arrays = readTensorFile(item, wanted);
    if (arrays && arrays->size() == 1 && arrays->front().name.empty())
      arrays->front().name = llvm::sys::path::stem(item).str();
    return arrays;
  }
  auto arrays = readTensorFile(path, {name.str()});
  if (arrays && arrays->empty())
    arrays = readTensorFile(path);
  if (!arrays)
    return arrays;
  if (arrays->size() != 1)
    return llvm::createStringError(
        "expected an array '" + name + "' in '" + path +
        "', or only one, but "
        "got " +
        llvm::join(
            llvm::map_range(*arrays,
                            [](const NamedArray &array) { return array.name; }),
            ", "));
  arrays->front().name = name.str();
  return arrays;
}

llvm::Expected<llvm::StringMap<Array>>
filigree::readInputs(llvm::ArrayRef<std::string> items,
                     llvm::ArrayRef<std::string> wanted) {
  llvm::StringMap<Array> inputs;
  for (StringRef item : items) {
    auto arrays = readItem(item, wanted);
    if (!arrays)
      return arrays.takeError();
    if (arrays->empty())
      return llvm::createStringError("expected one of " +
                                     llvm::join(wanted, ", ") + " in '" + item +
                                     "', but got none");
    for (NamedArray &array : *arrays) {
      if (!llvm::is_contained(wanted, array.name))
        return llvm::createStringError("expected one of " +
                                       llvm::join(wanted, ", ") +
                                       ", but got '" + array.name + "'");
      if (!inputs.try_emplace(array.name, std::move(array.array)).second)
        return llvm::createStringError("expected '" + array.name +
                                       "' once, but got it twice");
    }
  }
  return std::move(inputs);
}
