//===- TensorFile.cpp - arrays in files, whatever the format --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/TensorFile.h"
#include "frontend/driver/Npy.h"
#include "frontend/driver/OutputFile.h"
#include "frontend/driver/Safetensors.h"
#include "frontend/driver/Zip.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace filigree;
using llvm::StringRef;

static llvm::Error at(StringRef place, llvm::Error error) {
  return llvm::createStringError(place + ": " +
                                 llvm::toString(std::move(error)));
}

static llvm::Expected<NamedArrays>
parseNpz(StringRef file, llvm::ArrayRef<std::string> wanted) {
  auto members = listZip(file);
  if (!members)
    return members.takeError();
  NamedArrays arrays;
  for (const ZipMember &member : *members) {
    StringRef name = member.name;
    name.consume_back(".npy");
    if (!wanted.empty() && !llvm::is_contained(wanted, name))
      continue;
    if (llvm::any_of(arrays, [&](const NamedArray &known) {
          return known.name == name;
        }))
      return llvm::createStringError("expected one '" + name +
                                     "', but got two");
    auto data = readZip(file, member);
    if (!data)
      return data.takeError();
    auto array = parseNpy(*data);
    if (!array)
      return at(("'" + name + "'").str(), array.takeError());
    arrays.push_back({name.str(), std::move(*array)});
  }
  return arrays;
}

llvm::Expected<NamedArrays>
filigree::parseTensorFile(StringRef path, StringRef bytes,
                          llvm::ArrayRef<std::string> wanted) {
  if (path.ends_with(".npy")) {
    auto array = parseNpy(bytes);
    if (!array)
      return at(path, array.takeError());
    NamedArrays arrays;
    arrays.push_back({"", std::move(*array)});
    return arrays;
  }
  if (!path.ends_with(".npz") && !path.ends_with(".safetensors"))
    return llvm::createStringError("expected a file named .npy, .npz or "
                                   ".safetensors, but got '" +
                                   path + "'");
  auto arrays = path.ends_with(".npz") ? parseNpz(bytes, wanted)
                                       : parseSafetensors(bytes, wanted);
  if (!arrays)
    return at(path, arrays.takeError());
  return arrays;
}

llvm::Expected<NamedArrays>
filigree::readTensorFile(StringRef path, llvm::ArrayRef<std::string> wanted) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return llvm::createStringError(
        "cannot read '" + path +
        "': " + StringRef(buffer.getError().message()).lower());
  return parseTensorFile(path, (*buffer)->getBuffer(), wanted);
}

llvm::Error filigree::checkOutputName(StringRef path, size_t arrays) {
  if (path.ends_with(".safetensors"))
    return llvm::Error::success();
  if (!path.ends_with(".npy"))
    return llvm::createStringError("expected an output named .safetensors or "
                                   ".npy, but got '" +
                                   path + "'");
  if (arrays != 1)
    return llvm::createStringError(
        llvm::formatv("expected an output named .safetensors for {0} arrays, "
                      "but got '{1}'",
                      arrays, path)
            .str());
  return llvm::Error::success();
}

llvm::Error filigree::writeTensorFile(
    StringRef path,
    llvm::ArrayRef<std::pair<std::string, reference::Tensor>> arrays) {
  if (llvm::Error error = checkOutputName(path, arrays.size()))
    return error;
  return writeOutputFile(path, [&](llvm::raw_ostream &os) {
    if (path.ends_with(".npy"))
      writeNpy(os, arrays.front().second);
    else
      writeSafetensors(os, arrays);
    return llvm::Error::success();
  });
}
