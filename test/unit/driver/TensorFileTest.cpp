//===- TensorFileTest.cpp - array files, good and broken ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Good files are made here byte by byte or by the writers; every broken one is
// a good one with one thing wrong.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/TensorFile.h"
#include "frontend/driver/InputFiles.h"
#include "frontend/driver/Npy.h"
#include "frontend/driver/OutputFile.h"
#include "frontend/driver/Safetensors.h"
#include "frontend/driver/Zip.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"
#include <random>
#include <unistd.h>
#include <zlib.h>

using namespace filigree;
using reference::Tensor;

namespace {

std::string little(uint64_t value, unsigned bytes) {
  std::string out;
  for (unsigned k = 0; k < bytes; ++k)
    out += char(value >> (8 * k));
  return out;
}

/// An .npy with this dictionary and data.
std::string npy(const std::string &dictionary, const std::string &data,
                char major = 1) {
  std::string out("\x93NUMPY");
  out += major;
  out += '\0';
  out += little(dictionary.size(), major == 1 ? 2 : 4);
  return out + dictionary + data;
}
std::string dictionary(const std::string &descr, const std::string &shape,
                       const std::string &order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order +
         ", 'shape': " + shape + ", }\n";
}

struct Member {
  std::string name, data;
  bool deflated = false;
};

std::string deflated(const std::string &data) {
  z_stream stream = {};
  EXPECT_EQ(
      deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
      Z_OK);
  std::string out(deflateBound(&stream, data.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(data.data()));
  stream.avail_in = uInt(data.size());
  stream.next_out = reinterpret_cast<Bytef *>(out.data());
  stream.avail_out = uInt(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// A zip archive; zip64: sizes and offsets stand in extra fields only.
std::string zip(const std::vector<Member> &members, bool zip64 = false,
                const std::string &comment = "") {
  std::string out, directory;
  for (const Member &member : members) {
    std::string packed = member.deflated ? deflated(member.data) : member.data;
    uint64_t offset = out.size();
    uint32_t crc =
        uint32_t(crc32(0, reinterpret_cast<const Bytef *>(member.data.data()),
                       uInt(member.data.size())));
    std::string common =
        little(member.deflated ? 8 : 0, 2) + little(0, 4) + little(crc, 4);
    std::string sizes =
        zip64 ? little(0xffffffff, 4) + little(0xffffffff, 4)
              : little(packed.size(), 4) + little(member.data.size(), 4);
    std::string wide = little(member.data.size(), 8) + little(packed.size(), 8);
    std::string localExtra = zip64 ? little(1, 2) + little(16, 2) + wide : "";
    std::string extra =
        zip64 ? little(1, 2) + little(24, 2) + wide + little(offset, 8) : "";
    out += "PK\3\4" + little(20, 2) + little(0, 2) + common + sizes +
           little(member.name.size(), 2) + little(localExtra.size(), 2) +
           member.name + localExtra + packed;
    directory += "PK\1\2" + little(20, 2) + little(20, 2) + little(0, 2) +
                 common + sizes + little(member.name.size(), 2) +
                 little(extra.size(), 2) + little(0, 2) + little(0, 2) +
                 little(0, 2) + little(0, 4) +
                 little(zip64 ? 0xffffffff : offset, 4) + member.name + extra;
  }
  uint64_t start = out.size();
  out += directory;
  if (zip64) {
    uint64_t record = out.size();
    out += "PK\6\6" + little(44, 8) + little(45, 2) + little(45, 2) +
           little(0, 4) + little(0, 4) + little(members.size(), 8) +
           little(members.size(), 8) + little(directory.size(), 8) +
           little(start, 8);
    out += "PK\6\7" + little(0, 4) + little(record, 8) + little(1, 4);
  }
  out += "PK\5\6" + little(0, 4) + little(members.size(), 2) +
         little(members.size(), 2) + little(directory.size(), 4) +
         little(zip64 ? 0xffffffff : start, 4) + little(comment.size(), 2) +
         comment;
  return out;
}

std::string safetensors(const std::string &header, const std::string &data) {
  return little(header.size(), 8) + header + data;
}

std::string errorOf(llvm::StringRef name, llvm::StringRef bytes) {
  auto arrays = parseTensorFile(name, bytes);
  return arrays ? "" : llvm::toString(arrays.takeError());
}

const std::string sixFloats(24, '\x3f');

} // namespace

//===----------------------------------------------------------------------===//
// npy
//===----------------------------------------------------------------------===//

TEST(Npy, ReadsEveryTypeAndVersion) {
  struct {
    const char *descr;
    DType dtype;
  } const types[] = {{"<f4", DType::F32}, {"<f2", DType::F16},
                     {"<f8", DType::F64}, {"<i4", DType::I32},
                     {"<i8", DType::I64}, {"<V2", DType::BF16},
                     {"|V2", DType::BF16}};
  for (auto [descr, dtype] : types)
    for (char major : {1, 2, 3}) {
      std::string data(6 * reference::byteWidth(dtype), 'x');
      auto array = parseNpy(npy(dictionary(descr, "(2, 3)"), data, major));
      ASSERT_TRUE(bool(array)) << descr;
      EXPECT_EQ(array->dtype, dtype);
      EXPECT_EQ(shapeText(array->shape), "[2, 3]");
      EXPECT_EQ(array->raw(), data);
      EXPECT_EQ(uintptr_t(array->bytes.data()) % 64, 0u);
    }
}

TEST(Npy, ReadsOddButLegalHeaders) {
  for (const char *text :
       {"{'shape':(6,),'fortran_order':False,'descr':'<f4'}",
        "{ \"descr\" : \"<f4\" , \"fortran_order\" : False , \"shape\" : ( 6 , "
        ") , }  \n",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (6,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (6L,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 6, 1)}"}) {
    auto array = parseNpy(npy(text, sixFloats));
    EXPECT_TRUE(bool(array)) << text;
    if (!array)
      llvm::consumeError(array.takeError());
  }
  auto scalar = parseNpy(npy(dictionary("<f4", "()"), "abcd"));
  ASSERT_TRUE(bool(scalar));
  EXPECT_EQ(scalar->shape.size(), 0u);
  auto empty = parseNpy(npy(dictionary("<f4", "(0, 5)"), ""));
  ASSERT_TRUE(bool(empty));
  EXPECT_EQ(shapeText(empty->shape), "[0, 5]");
}

TEST(Npy, Malformed) {
  std::string good = npy(dictionary("<f4", "(2, 3)"), sixFloats);
  ASSERT_EQ(errorOf("a.npy", good), "");
  struct {
    std::string bytes;
    const char *error;
  } const cases[] = {
      {"", "a.npy: expected a .npy file to start with \\93NUMPY, but got ''"},
      {"PK\3\4", "a.npy: expected a .npy file to start with \\93NUMPY, but got "
                 "'PK\\03\\04'"},
      {good.substr(0, 8), "a.npy: expected at least 12 bytes, but the file has "
                          "8"},
      {"\x93NUMPY\4" + good.substr(7),
       "a.npy: expected format version 1, 2 or 3, but got 4"},
      {good.substr(0, 30), "a.npy: expected 60 bytes of header, but the file "
                           "ends after 20"},
      {good.substr(0, good.size() - 1),
       "a.npy: expected 24 bytes of data for [2, 3] of f32, but got 23"},
      {good + "x",
       "a.npy: expected 24 bytes of data for [2, 3] of f32, but got 25"},
      {std::string("\x93NUMPY\2\0", 8) + little(1 << 30, 4),
       "a.npy: expected a header of at most 1048576 bytes, but got 1073741824"},
      {npy(dictionary(">f4", "(2, 3)"), sixFloats),
       "a.npy: expected little-endian data, but got '>f4'"},
      {npy(dictionary("<f4", "(2, 3)", "True"), sixFloats),
       "a.npy: expected C order, but got fortran_order: True"},
      {npy(dictionary("|u1", "(24,)"), sixFloats),
       "a.npy: expected data of type <f2, <f4, <f8, <i4, <i8 or <V2 "
       "(bfloat16), but got '|u1'"},
      {npy("{'descr': '<f4', 'shape': (6,)}", sixFloats),
       "a.npy: expected a header with descr, fortran_order and shape, but got "
       "'{'descr': '<f4', 'shape': (6,)}'"},
      {npy("[('a', '<f4')]", sixFloats),
       "a.npy: expected a header with descr, fortran_order and shape, but got "
       "'[('a', '<f4')]'"},
      {npy(dictionary("<f4", "(4611686018427387904, 4611686018427387904)"), ""),
       "a.npy: expected fewer than 2^63 bytes of data for "
       "[4611686018427387904, 4611686018427387904] of f32, but got 0"},
  };
  for (const auto &test : cases)
    EXPECT_EQ(errorOf("a.npy", test.bytes), test.error);
  // Headers that must not be taken for something else.
  for (const char *shape : {"(-2, 3)", "(2, 3", "2, 3", "(2 3)", "(2.0, 3)",
                            "(99999999999999999999,)", "(2, 3))"})
    EXPECT_NE(errorOf("a.npy", npy(dictionary("<f4", shape), sixFloats)), "")
        << shape;
}

TEST(Npy, WritesWhatItReads) {
  for (DType dtype : {DType::F32, DType::F16, DType::BF16, DType::F64,
                      DType::I32, DType::I64})
    for (llvm::SmallVector<int64_t, 4> shape :
         {llvm::SmallVector<int64_t, 4>{}, {5}, {2, 3}, {1, 2, 3, 4}, {0, 7}}) {
      int64_t count = 1;
      for (int64_t extent : shape)
        count *= extent;
      std::string data(count * reference::byteWidth(dtype), 'y');
      std::string file;
      llvm::raw_string_ostream os(file);
      writeNpy(os, Tensor::compact(dtype, shape, data.data()));
      EXPECT_EQ((file.size() - data.size()) % 64, 0u);
      auto array = parseNpy(file);
      ASSERT_TRUE(bool(array));
      EXPECT_EQ(array->dtype, dtype);
      EXPECT_TRUE(array->shape == shape);
      EXPECT_EQ(array->raw(), data);
    }
}

//===----------------------------------------------------------------------===//
// npz
//===----------------------------------------------------------------------===//

TEST(Npz, ReadsStoredDeflatedAndZip64) {
  std::string q = npy(dictionary("<f4", "(2, 3)"), sixFloats);
  std::string k = npy(dictionary("<i8", "(500,)"), std::string(4000, '\1'));
  for (bool packed : {false, true})
    for (bool zip64 : {false, true})
      for (const char *comment : {"", "a comment with PK\5\6 in it"}) {
        std::string file =
            zip({{"q.npy", q, packed}, {"k.npy", k, packed}}, zip64, comment);
        auto arrays = parseTensorFile("a.npz", file);
        ASSERT_TRUE(bool(arrays)) << llvm::toString(arrays.takeError());
        ASSERT_EQ(arrays->size(), 2u);
        EXPECT_EQ((*arrays)[0].name, "q");
        EXPECT_EQ((*arrays)[0].array.raw(), sixFloats);
        EXPECT_EQ((*arrays)[1].name, "k");
        EXPECT_EQ((*arrays)[1].array.raw(), std::string(4000, '\1'));
        auto only = parseTensorFile("a.npz", file, {std::string("k")});
        ASSERT_TRUE(bool(only));
        EXPECT_EQ(only->size(), 1u);
      }
}

TEST(Npz, Malformed) {
  std::string q = npy(dictionary("<f4", "(2, 3)"), sixFloats);
  std::string good = zip({{"q.npy", q, true}});
  ASSERT_EQ(errorOf("a.npz", good), "");
  EXPECT_EQ(errorOf("a.npz", ""),
            "a.npz: expected a zip archive, but found no directory at the end "
            "of 0 bytes: not an archive, or truncated");
  EXPECT_EQ(errorOf("a.npz", q).substr(0, 30),
            "a.npz: expected a zip archive,");
  EXPECT_EQ(errorOf("a.npz", zip({{"q.npy", q}, {"q.npy", q}})),
            "a.npz: expected one 'q', but got two");
  EXPECT_EQ(errorOf("a.npz", zip({{"q.npy", q.substr(0, q.size() - 1)}})),
            "a.npz: 'q': expected 24 bytes of data for [2, 3] of f32, but got "
            "23");

  std::string stored = zip({{"q.npy", q}});
  std::string flipped = stored;
  flipped[30 + 5 + q.size() - 3] ^= 1; // in the data
  EXPECT_EQ(errorOf("a.npz", flipped).substr(0, 24),
            "a.npz: expected checksum");

  size_t directory = stored.find("PK\1\2");
  struct {
    size_t at;
    char value;
    const char *start;
  } const cases[] = {
      {8, 1, "a.npz: expected 'q.npy' to be readable, but it is encrypted"},
      {10, 12,
       "a.npz: expected 'q.npy' to be stored or deflated, but got "
       "method 12"},
      {24, 1, "a.npz: expected "},                         // size
      {45, 1, "a.npz: expected 'q.npy' at byte 16777216"}, // offset
      {0, 'Q', "a.npz: expected entry 0 of the directory"},
  };
  for (const auto &test : cases) {
    std::string bytes = stored;
    bytes[directory + test.at] = test.value;
    EXPECT_EQ(errorOf("a.npz", bytes).substr(0, strlen(test.start)),
              test.start);
  }
  // A few bytes that claim to be a terabyte.
  std::string bomb = good;
  directory = bomb.find("PK\1\2");
  bomb[directory + 27] = char(0xf0);
  EXPECT_NE(errorOf("a.npz", bomb).find("packed bytes cannot"),
            std::string::npos);
}

//===----------------------------------------------------------------------===//
// safetensors
//===----------------------------------------------------------------------===//

static std::string entry(const char *name, const char *type, const char *shape,
                         int begin, int end) {
  return "\"" + std::string(name) + "\":{\"dtype\":\"" + type +
         "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

TEST(Safetensors, Reads) {
  std::string data(24 + 4 + 12, 'z');
  std::string file = safetensors("{\"__metadata__\":{\"format\":\"pt\"}," +
                                     entry("k", "BF16", "[2]", 24, 28) + "," +
                                     entry("q", "F32", "[2,3]", 0, 24) + "," +
                                     entry("b", "BOOL", "[12]", 28, 40) + "}  ",
                                 data);
  EXPECT_EQ(errorOf("a.safetensors", file),
            "a.safetensors: expected 'b' of type F32, F16, BF16, F64, I32 or "
            "I64, but got BOOL");
  auto arrays = parseTensorFile("a.safetensors", file,
                                {std::string("q"), std::string("k")});
  ASSERT_TRUE(bool(arrays));
  ASSERT_EQ(arrays->size(), 2u);
  EXPECT_EQ((*arrays)[0].name, "q");
  EXPECT_EQ((*arrays)[1].array.dtype, DType::BF16);
}

TEST(Safetensors, Malformed) {
  auto one = [](const std::string &entries, size_t bytes) {
    return safetensors("{" + entries + "}", std::string(bytes, 'z'));
  };
  std::string good = one(entry("q", "F32", "[2,3]", 0, 24), 24);
  ASSERT_EQ(errorOf("a.safetensors", good), "");
  struct {
    std::string bytes;
    const char *error;
  } const cases[] = {
      {"abc", "expected at least 8 bytes, but the file has 3"},
      {little(1ull << 40, 8) + "{}",
       "expected a header of at most 100000000 bytes, but got 1099511627776: "
       "not a safetensors file"},
      {good.substr(0, 20), "expected 57 bytes of header, but the file ends "
                           "after 12"},
      {good.substr(0, good.size() - 4), "expected 24 bytes of data, but got "
                                        "20"},
      {good + "x", "expected 24 bytes of data, but got 25"},
      {one(entry("q", "F32", "[2,3]", 0, 24) + "," +
               entry("k", "F32", "[2]", 20, 28),
           28),
       "expected 'k' to start at byte 24, after 'q', but it starts at 20: "
       "tensors overlap"},
      {one(entry("q", "F32", "[2,3]", 4, 28), 28),
       "expected 'q' to start at byte 0, after the header, but it starts at 4: "
       "tensors leave a hole"},
      {one(entry("q", "F32", "[2,4]", 0, 24), 24),
       "'q': expected 32 bytes of data for [2, 4] of f32, but got 24"},
      {one(entry("q", "F32", "[2,-3]", 0, 24), 24),
       "expected the extents of 'q' to be integers >= 0"},
      {one(entry("q", "F32", "[2.5]", 0, 24), 24),
       "expected the extents of 'q' to be integers >= 0"},
      {one(entry("q", "F32", "[2,3]", 24, 0), 24),
       "expected ascending data_offsets of 'q'"},
      {one("\"q\":{\"dtype\":\"F32\",\"shape\":[6]}", 24),
       "expected dtype, shape and two data_offsets of 'q'"},
      {one("\"q\":3", 0), "expected 'q' to be an object"},
      {safetensors("[1]", ""), "expected the header to be a json object"},
      {one(entry("q", "F8_E4M3", "[24]", 0, 24), 24),
       "expected 'q' of type F32, F16, BF16, F64, I32 or I64, but got F8_E4M3"},
  };
  for (const auto &test : cases)
    EXPECT_EQ(errorOf("a.safetensors", test.bytes),
              std::string("a.safetensors: ") + test.error);
  EXPECT_EQ(errorOf("a.safetensors", safetensors("{\"q\":", "")).substr(0, 47),
            "a.safetensors: expected the header to be json: ");
}

TEST(Safetensors, WritesWhatItReads) {
  std::string a(24, 'a'), b(6, 'b');
  std::string file;
  llvm::raw_string_ostream os(file);
  writeSafetensors(
      os, {{"o \"quoted\"", Tensor::compact(DType::F32, {2, 3}, a.data())},
           {"lse", Tensor::compact(DType::F16, {3}, b.data())},
           {"none", Tensor::compact(DType::F32, {0, 2}, "")}});
  auto arrays = parseSafetensors(file);
  ASSERT_TRUE(bool(arrays)) << llvm::toString(arrays.takeError());
  ASSERT_EQ(arrays->size(), 3u);
  for (const NamedArray &array : *arrays)
    EXPECT_EQ(array.array.raw(), array.name == "lse"    ? b
                                 : array.name == "none" ? ""
                                                        : a);
}

//===----------------------------------------------------------------------===//
// All formats
//===----------------------------------------------------------------------===//

// Cut and damaged files give an array or an error, never anything else.
TEST(TensorFile, RandomDamage) {
  std::string q = npy(dictionary("<f4", "(2, 3)"), sixFloats);
  struct {
    const char *name;
    std::string bytes;
  } const files[] = {
      {"a.npy", q},
      {"a.npz", zip({{"q.npy", q, true}, {"k.npy", q}})},
      {"a.npz", zip({{"q.npy", q, true}}, /*zip64=*/true, "comment")},
      {"a.safetensors",
       safetensors("{" + entry("q", "F32", "[2,3]", 0, 24) + "," +
                       entry("k", "I64", "[1]", 24, 32) + "}",
                   std::string(32, 'z'))}};
  std::mt19937 engine(7);
  for (const auto &file : files) {
    ASSERT_EQ(errorOf(file.name, file.bytes), "");
    for (size_t length = 0; length < file.bytes.size(); ++length) {
      // The copy ends where it says, so that a sanitizer sees reads beyond.
      std::vector<char> cut(file.bytes.begin(), file.bytes.begin() + length);
      EXPECT_NE(errorOf(file.name, {cut.data(), cut.size()}), "") << length;
    }
    for (int n = 0; n < 20000; ++n) {
      std::vector<char> bytes(file.bytes.begin(), file.bytes.end());
      for (unsigned k = 0, many = 1 + engine() % 4; k < many; ++k)
        bytes[engine() % bytes.size()] =
            engine() % 3 ? char(engine()) : char(engine() % 2 ? 0xff : 0);
      errorOf(file.name, {bytes.data(), bytes.size()});
    }
  }
}

namespace {
/// A folder that is gone after the test.
struct Folder {
  llvm::SmallString<128> path;
  Folder() {
    EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("filigree", path));
  }
  ~Folder() { llvm::sys::fs::remove_directories(path); }
  std::string operator/(const char *name) const {
    return (path + "/" + name).str();
  }
  size_t entries() const {
    size_t count = 0;
    std::error_code code;
    for (llvm::sys::fs::directory_iterator it(path, code), end;
         !code && it != end; it.increment(code))
      ++count;
    return count;
  }
};
} // namespace

TEST(TensorFile, WritesWholeOrNotAtAll) {
  Folder folder;
  Tensor o = Tensor::compact(DType::F32, {2, 3}, sixFloats.data());
  std::string path = folder / "o.safetensors";
  ASSERT_FALSE(bool(writeTensorFile(path, {{"o", o}})));
  ASSERT_FALSE(bool(writeTensorFile(path, {{"o", o}, {"lse", o}}))); // replaced
  auto arrays = readTensorFile(path);
  ASSERT_TRUE(bool(arrays));
  EXPECT_EQ(arrays->size(), 2u);
  EXPECT_EQ(folder.entries(), 1u);

  // A failure half-way leaves the old file and nothing else.
  auto failed = writeOutputFile(path, [](llvm::raw_ostream &os) {
    os << "half of it";
    return llvm::createStringError("changed my mind");
  });
  EXPECT_EQ(llvm::toString(std::move(failed)), "changed my mind");
  EXPECT_EQ(folder.entries(), 1u);
  ASSERT_TRUE(bool(readTensorFile(path)));

  std::string missing = folder / "no/such/o.npy";
  EXPECT_EQ(llvm::toString(writeTensorFile(missing, {{"o", o}})),
            "cannot write '" + missing + "': no such file or directory");
  EXPECT_EQ(
      llvm::toString(writeTensorFile(folder / "o.npy", {{"o", o}, {"lse", o}})),
      "expected an output named .safetensors for 2 arrays, but got '" +
          (folder / "o.npy") + "'");
  EXPECT_EQ(llvm::toString(writeTensorFile("o.txt", {{"o", o}})),
            "expected an output named .safetensors or .npy, but got 'o.txt'");
}

TEST(TensorFile, AFullDiskIsAnError) {
  if (access("/dev/full", W_OK) != 0)
    GTEST_SKIP() << "no /dev/full";
  auto error = writeOutputFile("/dev/full", [](llvm::raw_ostream &os) {
    os << std::string(100000, 'x');
    return llvm::Error::success();
  });
  EXPECT_EQ(llvm::toString(std::move(error)),
            "cannot write '/dev/full': no space left on device");
}

TEST(TensorFile, MissingAndUnknownFiles) {
  auto missing = readTensorFile("/no/such/q.npy");
  EXPECT_EQ(llvm::toString(missing.takeError()),
            "cannot read '/no/such/q.npy': no such file or directory");
  EXPECT_EQ(errorOf("q.bin", ""), "expected a file named .npy, .npz or "
                                  ".safetensors, but got 'q.bin'");
}

TEST(InputFiles, NamesAndArchives) {
  Folder folder;
  Tensor t = Tensor::compact(DType::F32, {2, 3}, sixFloats.data());
  std::string all = folder / "all.safetensors", q = folder / "q.npy",
              other = folder / "other.npy";
  ASSERT_FALSE(bool(writeTensorFile(all, {{"k", t}, {"v", t}, {"x", t}})));
  ASSERT_FALSE(bool(writeTensorFile(q, {{"q", t}})));
  ASSERT_FALSE(bool(writeTensorFile(other, {{"o", t}})));
  std::vector<std::string> wanted = {"q", "k", "v"};
  auto names = [&](std::vector<std::string> items) {
    auto inputs = readInputs(items, wanted);
    if (!inputs)
      return llvm::toString(inputs.takeError());
    std::vector<std::string> keys;
    for (const auto &input : *inputs)
      keys.push_back(input.first().str());
    llvm::sort(keys);
    return llvm::join(keys, " ");
  };
  EXPECT_EQ(names({all, q}), "k q v");
  EXPECT_EQ(names({all, "q=" + other}), "k q v");
  EXPECT_EQ(names({"q=" + q, "k=" + all}), "k q");
  EXPECT_EQ(names({q, "q=" + other}), "expected 'q' once, but got it twice");
  EXPECT_EQ(names({other}), "expected one of q, k, v, but got 'other'");
  EXPECT_EQ(names({"w=" + q}), "expected one of q, k, v, but got 'w'");
  EXPECT_EQ(names({"q=" + all}), "expected an array 'q' in '" + all +
                                     "', or only one, but got k, v, x");
}

TEST(Array, Convert) {
  std::vector<int64_t> wide = {1, -2, INT32_MAX, INT32_MIN};
  auto tables = llvm::cantFail(Array::copy(
      DType::I64, {4}, {reinterpret_cast<const char *>(wide.data()), 32}));
  auto narrow = llvm::cantFail(convert(tables, DType::I32));
  for (int k = 0; k < 4; ++k)
    EXPECT_EQ(narrow.tensor().integer(k), wide[k]);
  reinterpret_cast<int64_t *>(tables.bytes.data())[2] = 1ll << 31;
  EXPECT_EQ(llvm::toString(convert(tables, DType::I32).takeError()),
            "expected values that fit i32, but got 2147483648 in element 2");
  EXPECT_EQ(llvm::toString(convert(tables, DType::F32).takeError()),
            "i64 cannot become f32");
  double third = 1.0 / 3;
  auto one = llvm::cantFail(Array::copy(
      DType::F64, {1}, {reinterpret_cast<const char *>(&third), 8}));
  EXPECT_EQ(llvm::cantFail(convert(one, DType::F32)).tensor().real(0),
            float(third));
  EXPECT_EQ(llvm::cantFail(convert(one, DType::BF16)).tensor().real(0),
            0.333984375);
}
