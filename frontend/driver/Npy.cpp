//===- Npy.cpp - NumPy's .npy: one array ----------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A file is: \x93NUMPY, major, minor, length of the header (u16, from 2.0 on
// u32), the header as a Python dictionary, padding, data.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Npy.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/EndianStream.h"
#include "llvm/Support/FormatVariadic.h"

using namespace filigree;
using llvm::StringRef;

template <typename... T>
static llvm::Error sentence(const char *format, T &&...values) {
  return llvm::createStringError(
      llvm::formatv(format, std::forward<T>(values)...).str());
}

/// Text of a file made fit for a message.
static std::string quoted(StringRef text) {
  std::string out;
  llvm::raw_string_ostream os(out);
  llvm::printEscapedString(text.take_front(40), os);
  return out;
}

namespace {

/// The three entries of the dictionary.
struct Header {
  std::string descr;
  bool fortranOrder = false;
  llvm::SmallVector<int64_t, 4> shape;
  unsigned seen = 0;
};

/// Reads {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class HeaderParser {
public:
  explicit HeaderParser(StringRef text) : whole(text), rest(text) {}

  llvm::Expected<Header> parse() {
    if (!eat("{"))
      return fail();
    while (!eat("}")) {
      std::optional<StringRef> key = string();
      if (!key || !eat(":") || !value(*key))
        return fail();
      if (!eat(",") && !rest.ltrim().starts_with("}"))
        return fail();
    }
    if (!rest.trim(" \t\r\n").empty() || header.seen != 7)
      return fail();
    return std::move(header);
  }

private:
  llvm::Error fail() {
    return sentence("expected a header with descr, fortran_order and shape, "
                    "but got '{0}'",
                    quoted(whole));
  }
  bool eat(StringRef token) {
    rest = rest.ltrim(" \t\r\n");
    return rest.consume_front(token);
  }
  std::optional<StringRef> string() {
    rest = rest.ltrim(" \t\r\n");
    if (rest.empty() || (rest[0] != '\'' && rest[0] != '"'))
      return std::nullopt;
    size_t end = rest.find(rest[0], 1);
    if (end == StringRef::npos)
      return std::nullopt;
    StringRef text = rest.slice(1, end);
    rest = rest.drop_front(end + 1);
    return text;
  }
  bool value(StringRef key) {
    unsigned bit = key == "descr"           ? 1
                   : key == "fortran_order" ? 2
                   : key == "shape"         ? 4
                                            : 0;
    if (!bit || (header.seen & bit))
      return false;
    header.seen |= bit;
    if (bit == 1) {
      std::optional<StringRef> text = string();
      if (text)
        header.descr = text->str();
      return text.has_value();
    }
    if (bit == 2) {
      header.fortranOrder = eat("True");
      return header.fortranOrder || eat("False");
    }
    if (!eat("("))
      return false;
    while (!eat(")")) {
      int64_t extent;
      rest = rest.ltrim();
      if (rest.consumeInteger(10, extent) || extent < 0 ||
          header.shape.size() >= 32)
        return false;
      eat("L"); // Python 2
      header.shape.push_back(extent);
      if (!eat(",") && !rest.ltrim().starts_with(")"))
        return false;
    }
    return true;
  }

  StringRef whole, rest;
  Header header;
};

} // namespace

static llvm::Expected<DType> parseDescr(StringRef descr) {
  if (descr.starts_with(">"))
    return sentence("expected little-endian data, but got '{0}'",
                    quoted(descr));
  StringRef type = descr;
  if (!type.consume_front("<"))
    type.consume_front("|");
  if (type == "f4")
    return DType::F32;
  if (type == "f2")
    return DType::F16;
  if (type == "f8")
    return DType::F64;
  if (type == "i4")
    return DType::I32;
  if (type == "i8")
    return DType::I64;
  if (type == "V2")
    return DType::BF16;
  return sentence("expected data of type <f2, <f4, <f8, <i4, <i8 or <V2 "
                  "(bfloat16), but got '{0}'",
                  quoted(descr));
}

llvm::Expected<Array> filigree::parseNpy(StringRef file) {
  constexpr StringRef magic("\x93NUMPY");
  if (!file.starts_with(magic))
    return sentence("expected a .npy file to start with \\93NUMPY, but got "
                    "'{0}'",
                    quoted(file.take_front(6)));
  if (file.size() < 12)
    return sentence("expected at least 12 bytes, but the file has {0}",
                    file.size());
  unsigned major = uint8_t(file[6]);
  if (major < 1 || major > 3)
    return sentence("expected format version 1, 2 or 3, but got {0}", major);
  uint64_t start = major == 1 ? 10 : 12;
  uint64_t length = major == 1
                        ? llvm::support::endian::read16le(file.data() + 8)
                        : llvm::support::endian::read32le(file.data() + 8);
  if (length > (1u << 20))
    return sentence("expected a header of at most 1048576 bytes, but got {0}",
                    length);
  if (start + length > file.size())
    return sentence("expected {0} bytes of header, but the file ends after "
                    "{1}",
                    length, file.size() - start);
  auto header = HeaderParser(file.substr(start, length)).parse();
  if (!header)
    return header.takeError();
  auto dtype = parseDescr(header->descr);
  if (!dtype)
    return dtype.takeError();
  if (header->fortranOrder && header->shape.size() > 1)
    return sentence("expected C order, but got fortran_order: True");
  return Array::copy(*dtype, header->shape, file.substr(start + length));
}

void filigree::writeNpy(llvm::raw_ostream &os, const reference::Tensor &array) {
  const char *descr = "";
  switch (array.dtype) {
  case DType::F32:
    descr = "<f4";
    break;
  case DType::F16:
    descr = "<f2";
    break;
  case DType::BF16:
    descr = "<V2";
    break;
  case DType::F64:
    descr = "<f8";
    break;
  case DType::I32:
    descr = "<i4";
    break;
  case DType::I64:
    descr = "<i8";
    break;
  }
  std::string shape;
  for (int64_t extent : array.shape)
    shape += std::to_string(extent) + (array.rank() == 1 ? "," : ", ");
  if (array.rank() > 1)
    shape.resize(shape.size() - 2);
  std::string header = llvm::formatv("{{'descr': '{0}', 'fortran_order': "
                                     "False, 'shape': ({1}), }",
                                     descr, shape)
                           .str();
  // Data starts on a multiple of 64; the header ends with a line break.
  header.append((64 - (10 + header.size() + 1) % 64) % 64, ' ');
  header += '\n';
  os << StringRef("\x93NUMPY\x01\x00", 8);
  llvm::support::endian::write<uint16_t>(os, uint16_t(header.size()),
                                         llvm::endianness::little);
  os << header;
  os.write(static_cast<const char *>(array.data),
           array.numElements() * reference::byteWidth(array.dtype));
}
