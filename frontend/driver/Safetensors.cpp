//===- Safetensors.cpp - named arrays behind a JSON header ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A file is: u64 length of the header, the header as JSON, data. Offsets in the
// header count from the start of the data.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Safetensors.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/EndianStream.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace filigree;
using llvm::StringRef;

template <typename... T>
static llvm::Error sentence(const char *format, T &&...values) {
  return llvm::createStringError(
      llvm::formatv(format, std::forward<T>(values)...).str());
}

static const std::pair<const char *, DType> kTypes[] = {
    {"F32", DType::F32}, {"F16", DType::F16}, {"BF16", DType::BF16},
    {"F64", DType::F64}, {"I32", DType::I32}, {"I64", DType::I64}};

namespace {
/// One entry of the header, before its type is judged.
struct Entry {
  std::string name, type;
  llvm::SmallVector<int64_t, 4> shape;
  uint64_t begin = 0, end = 0;
};
} // namespace

static llvm::Expected<Entry> parseEntry(StringRef name,
                                        const llvm::json::Value &value) {
  Entry entry;
  entry.name = name.str();
  const llvm::json::Object *object = value.getAsObject();
  if (!object)
    return sentence("expected '{0}' to be an object", name);
  auto type = object->getString("dtype");
  const llvm::json::Array *shape = object->getArray("shape");
  const llvm::json::Array *offsets = object->getArray("data_offsets");
  if (!type || !shape || !offsets || offsets->size() != 2)
    return sentence("expected dtype, shape and two data_offsets of '{0}'",
                    name);
  entry.type = type->str();
  if (shape->size() > 32)
    return sentence("expected '{0}' of rank at most 32, but got {1}", name,
                    shape->size());
  for (const llvm::json::Value &extent : *shape) {
    auto number = extent.getAsInteger();
    if (!number || *number < 0)
      return sentence("expected the extents of '{0}' to be integers >= 0",
                      name);
    entry.shape.push_back(*number);
  }
  auto begin = (*offsets)[0].getAsInteger(), end = (*offsets)[1].getAsInteger();
  if (!begin || !end || *begin < 0 || *end < *begin)
    return sentence("expected ascending data_offsets of '{0}'", name);
  entry.begin = uint64_t(*begin);
  entry.end = uint64_t(*end);
  return entry;
}

llvm::Expected<NamedArrays>
filigree::parseSafetensors(StringRef file, llvm::ArrayRef<std::string> wanted) {
  if (file.size() < 8)
    return sentence("expected at least 8 bytes, but the file has {0}",
                    file.size());
  uint64_t length = llvm::support::endian::read64le(file.data());
  if (length > 100'000'000)
    return sentence("expected a header of at most 100000000 bytes, but got {0}:"
                    " not a safetensors file",
                    length);
  if (length > file.size() - 8)
    return sentence("expected {0} bytes of header, but the file ends after {1}",
                    length, file.size() - 8);
  auto json = llvm::json::parse(file.substr(8, length));
  if (!json)
    return sentence("expected the header to be json: {0}",
                    llvm::toString(json.takeError()));
  const llvm::json::Object *object = json->getAsObject();
  if (!object)
    return sentence("expected the header to be a json object");
  StringRef data = file.drop_front(8 + length);

  std::vector<Entry> entries;
  for (const auto &[key, value] : *object) {
    if (StringRef(key) == "__metadata__")
      continue;
    auto entry = parseEntry(key, value);
    if (!entry)
      return entry.takeError();
    entries.push_back(std::move(*entry));
  }
  llvm::sort(entries, [](const Entry &a, const Entry &b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t next = 0;
  std::string before = "the header";
  for (const Entry &entry : entries) {
    if (entry.begin != next)
      return sentence("expected '{0}' to start at byte {1}, after {2}, but it "
                      "starts at {3}: tensors {4}",
                      entry.name, next, before, entry.begin,
                      entry.begin < next ? "overlap" : "leave a hole");
    next = entry.end;
    before = "'" + entry.name + "'";
  }
  if (next != data.size())
    return sentence("expected {0} bytes of data, but got {1}", next,
                    data.size());

  NamedArrays arrays;
  for (const Entry &entry : entries) {
    if (!wanted.empty() && !llvm::is_contained(wanted, entry.name))
      continue;
    const auto *type = llvm::find_if(
        kTypes, [&](const auto &known) { return known.first == entry.type; });
    if (type == std::end(kTypes))
      return sentence("expected '{0}' of type F32, F16, BF16, F64, I32 or I64, "
                      "but got {1}",
                      entry.name, entry.type);
    auto array = Array::copy(type->second, entry.shape,
                             data.slice(entry.begin, entry.end));
    if (!array)
      return sentence("'{0}': {1}", entry.name,
                      llvm::toString(array.takeError()));
    arrays.push_back({entry.name, std::move(*array)});
  }
  return arrays;
}

void filigree::writeSafetensors(
    llvm::raw_ostream &os,
    llvm::ArrayRef<std::pair<std::string, reference::Tensor>> arrays) {
  std::string header;
  llvm::raw_string_ostream text(header);
  llvm::json::OStream json(text);
  int64_t offset = 0;
  json.object([&] {
    for (const auto &[name, array] : arrays)
      json.attributeObject(llvm::json::fixUTF8(name), [&, &array = array] {
        const auto *type = llvm::find_if(kTypes, [&](const auto &known) {
          return known.second == array.dtype;
        });
        json.attribute("dtype", type->first);
        json.attributeArray("shape", [&] {
          for (int64_t extent : array.shape)
            json.value(extent);
        });
        int64_t size = array.numElements() * reference::byteWidth(array.dtype);
        json.attributeArray("data_offsets", [&] {
          json.value(offset);
          json.value(offset + size);
        });
        offset += size;
      });
  });
  // Data starts on a multiple of 8.
  header.append((8 - header.size() % 8) % 8, ' ');
  llvm::support::endian::write<uint64_t>(os, header.size(),
                                         llvm::endianness::little);
  os << header;
  for (const auto &[name, array] : arrays)
    os.write(static_cast<const char *>(array.data),
             array.numElements() * reference::byteWidth(array.dtype));
}
