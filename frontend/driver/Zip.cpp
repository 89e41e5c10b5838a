//===- Zip.cpp - members of a zip archive, for .npz -----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every offset and length comes from the file and is checked before use.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Zip.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"
#include <zlib.h>

using namespace filigree;
using llvm::StringRef;
using llvm::support::endian::read16le;
using llvm::support::endian::read32le;
using llvm::support::endian::read64le;

template <typename... T>
static llvm::Error sentence(const char *format, T &&...values) {
  return llvm::createStringError(
      llvm::formatv(format, std::forward<T>(values)...).str());
}

/// The bytes [offset, offset + size) or an empty optional.
static std::optional<StringRef> slice(StringRef file, uint64_t offset,
                                      uint64_t size) {
  if (offset > file.size() || size > file.size() - offset)
    return std::nullopt;
  return file.substr(offset, size);
}

namespace {
struct Directory {
  uint64_t offset, size, entries;
};
} // namespace

/// Finds the directory from the end of the file.
static llvm::Expected<Directory> findDirectory(StringRef file) {
  constexpr uint64_t endSize = 22, longestComment = 65535;
  for (uint64_t back = endSize;
       back <= file.size() && back <= endSize + longestComment; ++back) {
    StringRef end = file.take_back(back);
    if (!end.starts_with("PK\5\6") ||
        read16le(end.data() + 20) != back - endSize)
      continue;
    if (read16le(end.data() + 4) != 0 && read16le(end.data() + 4) != 0xffff)
      return sentence("expected an archive of one part, but got several");
    Directory directory = {read32le(end.data() + 16), read32le(end.data() + 12),
                           read16le(end.data() + 10)};
    bool isZip64 = directory.offset == 0xffffffff ||
                   directory.size == 0xffffffff || directory.entries == 0xffff;
    if (!isZip64)
      return directory;
    // Before the end stands a locator, which points at the 64-bit record.
    if (file.size() - back < 20)
      return sentence("expected a zip64 locator, but the file is too short");
    StringRef locator = file.drop_back(back).take_back(20);
    if (!locator.starts_with("PK\6\7"))
      return sentence("expected a zip64 locator before the end of the "
                      "directory");
    auto record = slice(file, read64le(locator.data() + 8), 56);
    if (!record || !record->starts_with("PK\6\6"))
      return sentence("expected a zip64 record at byte {0}",
                      read64le(locator.data() + 8));
    return Directory{read64le(record->data() + 48),
                     read64le(record->data() + 40),
                     read64le(record->data() + 32)};
  }
  return sentence("expected a zip archive, but found no directory at the end "
                  "of {0} bytes: not an archive, or truncated",
                  file.size());
}

/// Replaces fields that read 0xffffffff by those of the zip64 extra field.
static llvm::Error readZip64(StringRef extra, ZipMember &member) {
  while (extra.size() >= 4) {
    uint16_t id = read16le(extra.data() + 0), size = read16le(extra.data() + 2);
    auto body = slice(extra, 4, size);
    if (!body)
      break;
    if (id == 1) {
      for (uint64_t *field :
           {&member.size, &member.packedSize, &member.headerOffset}) {
        if (*field != 0xffffffff)
          continue;
        if (body->size() < 8)
          return sentence("expected a longer zip64 field of '{0}'",
                          member.name);
        *field = read64le(body->data());
        *body = body->drop_front(8);
      }
      break;
    }
    extra = extra.drop_front(4 + size);
  }
  return llvm::Error::success();
}

llvm::Expected<std::vector<ZipMember>> filigree::listZip(StringRef file) {
  auto directory = findDirectory(file);
  if (!directory)
    return directory.takeError();
  auto rest = slice(file, directory->offset, directory->size);
  if (!rest)
    return sentence("expected the directory at byte {0}, {1} bytes long, but "
                    "the file has {2}",
                    directory->offset, directory->size, file.size());
  std::vector<ZipMember> members;
  while (!rest->empty()) {
    if (rest->size() < 46 || !rest->starts_with("PK\1\2"))
      return sentence("expected entry {0} of the directory", members.size());
    const char *p = rest->data();
    ZipMember member;
    uint16_t flags = read16le(p + 8);
    member.method = read16le(p + 10);
    member.crc = read32le(p + 16);
    member.packedSize = read32le(p + 20);
    member.size = read32le(p + 24);
    member.headerOffset = read32le(p + 42);
    uint64_t name = read16le(p + 28), extra = read16le(p + 30),
             comment = read16le(p + 32);
    if (rest->size() < 46 + name + extra + comment)
      return sentence("expected all of entry {0} of the directory",
                      members.size());
    member.name = rest->substr(46, name).str();
    if (llvm::Error error = readZip64(rest->substr(46 + name, extra), member))
      return std::move(error);
    if (flags & 1)
      return sentence("expected '{0}' to be readable, but it is encrypted",
                      member.name);
    members.push_back(std::move(member));
    *rest = rest->drop_front(46 + name + extra + comment);
  }
  if (members.size() != directory->entries)
    return sentence("expected {0} entries in the directory, but got {1}",
                    directory->entries, members.size());
  return members;
}

static llvm::Error inflateInto(StringRef packed, std::string &out,
                               const ZipMember &member) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return sentence("no memory to inflate '{0}'", member.name);
  size_t taken = 0, made = 0;
  int status = Z_OK;
  constexpr size_t most = 1u << 30; // zlib counts in 32 bits
  while (status == Z_OK) {
    stream.next_in =
        reinterpret_cast<Bytef *>(const_cast<char *>(packed.data() + taken));
    stream.avail_in = uInt(std::min(most, packed.size() - taken));
    stream.next_out = reinterpret_cast<Bytef *>(&out[made]);
    stream.avail_out = uInt(std::min(most, out.size() - made));
    size_t in = stream.avail_in, room = stream.avail_out;
    status = inflate(&stream, Z_NO_FLUSH);
    taken += in - stream.avail_in;
    made += room - stream.avail_out;
    if (status == Z_OK && in == stream.avail_in && room == stream.avail_out)
      break; // neither input nor room is left
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || made != out.size() || taken != packed.size())
    return sentence("expected '{0}' to inflate to {1} bytes, but the data is "
                    "damaged after {2}",
                    member.name, member.size, made);
  return llvm::Error::success();
}

llvm::Expected<std::string> filigree::readZip(StringRef file,
                                              const ZipMember &member) {
  auto header = slice(file, member.headerOffset, 30);
  if (!header || !header->starts_with("PK\3\4"))
    return sentence("expected '{0}' at byte {1}", member.name,
                    member.headerOffset);
  uint64_t start = member.headerOffset + 30 + read16le(header->data() + 26) +
                   read16le(header->data() + 28);
  auto packed = slice(file, start, member.packedSize);
  if (!packed)
    return sentence("expected {0} bytes of '{1}' from byte {2}, but the file "
                    "has {3}",
                    member.packedSize, member.name, start, file.size());
  std::string data;
  if (member.method == 0) {
    if (member.size != member.packedSize)
      return sentence("expected {0} stored bytes of '{1}', but got {2}",
                      member.size, member.name, member.packedSize);
    data = packed->str();
  } else if (member.method == 8) {
    // Deflate packs at most 1032 to 1: refuse before the memory is taken.
    if (member.size / 1032 > member.packedSize)
      return sentence("expected '{0}' to inflate to {1} bytes, but {2} packed "
                      "bytes cannot",
                      member.name, member.size, member.packedSize);
    // One byte more, so that an empty member has an address.
    data.resize(member.size + 1);
    data.resize(member.size);
    if (llvm::Error error = inflateInto(*packed, data, member))
      return std::move(error);
  } else {
    return sentence("expected '{0}' to be stored or deflated, but got method "
                    "{1}",
                    member.name, member.method);
  }
  uLong crc = crc32(0, nullptr, 0);
  for (size_t at = 0; at < data.size(); at += 1u << 30)
    crc = crc32(crc, reinterpret_cast<const Bytef *>(data.data() + at),
                uInt(std::min<size_t>(1u << 30, data.size() - at)));
  if (uint32_t(crc) != member.crc)
    return sentence("expected checksum {0:x8} of '{1}', but got {2:x8}",
                    member.crc, member.name, uint32_t(crc));
  return data;
}
