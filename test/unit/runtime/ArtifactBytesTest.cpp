//===- ArtifactBytesTest.cpp - what is refused before loading -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Starts from a good artifact and breaks one thing at a time. Where the ELF
// bytes themselves are changed, the trailer is made anew, so that the checksum
// does not hide the check in question.
//
//===----------------------------------------------------------------------===//
#include "runtime/ArtifactBytes.h"
#include "runtime/Trailer.h"

#include "TestSupport.h"

#include <cinttypes>
#include <cstring>
#include <elf.h>
#include <memory>

using namespace filigree::runtime;
using namespace filigree::runtime::test;

namespace {

class ArtifactBytes : public testing::Test {
protected:
  void SetUp() override {
    bytes = readFile(FAKE_ARTIFACT);
    ASSERT_GT(bytes.size(), sizeof(Elf64_Ehdr) + sizeof(fil_abi_trailer));
  }

  fil_status validate(fil_error *err) {
    // An exact heap block, so that a read beyond it is noticed.
    std::unique_ptr<char[]> exact(new char[bytes.size()]);
    memcpy(exact.get(), bytes.data(), bytes.size());
    return validateArtifactBytes(exact.get(), bytes.size(), err);
  }
  Elf64_Ehdr *elf() { return reinterpret_cast<Elf64_Ehdr *>(bytes.data()); }
  Elf64_Phdr *segment(uint32_t type) {
    auto *first = reinterpret_cast<Elf64_Phdr *>(bytes.data() + elf()->e_phoff);
    for (int i = 0; i < elf()->e_phnum; ++i)
      if (first[i].p_type == type)
        return &first[i];
    return nullptr;
  }
  unsigned indexOf(Elf64_Phdr *header) {
    return static_cast<unsigned>(
        header - reinterpret_cast<Elf64_Phdr *>(bytes.data() + elf()->e_phoff));
  }
  fil_abi_trailer trailer() {
    fil_abi_trailer value;
    memcpy(&value, bytes.data() + elfBytes(), sizeof(value));
    return value;
  }
  void setTrailer(fil_abi_trailer value) {
    memcpy(bytes.data() + elfBytes(), &value, sizeof(value));
  }
  size_t elfBytes() const { return bytes.size() - sizeof(fil_abi_trailer); }
  void seal() { setTrailer(makeTrailer(bytes.data(), elfBytes())); }

  Bytes bytes;
};

TEST_F(ArtifactBytes, goodIsAccepted) {
  fil_error err = FIL_ERROR_INIT;
  EXPECT_EQ(validate(&err), FIL_OK) << err.message;
}

TEST_F(ArtifactBytes, everyTruncationIsRefused) {
  Bytes whole = bytes;
  for (size_t size = 0; size < whole.size();
       size += size < 256 || size + 256 > whole.size() ? 1 : 97) {
    bytes.assign(whole.begin(), whole.begin() + static_cast<long>(size));
    fil_error err = FIL_ERROR_INIT;
    EXPECT_EQ(validate(&err), FIL_BAD_ARTIFACT) << size;
    std::string expected =
        size < 96 ? "expected an artifact of at least 96 bytes, but found " +
                        std::to_string(size)
                  : "expected the trailer `FILTRAIL` in the last 32 bytes, "
                    "but found none: not an artifact, or cut short";
    EXPECT_EQ(std::string(err.message), expected);
  }
}

TEST_F(ArtifactBytes, everyFlippedByteIsRefused) {
  for (size_t i = 0; i<bytes.size(); i += i + 64> bytes.size() ? 1 : 31) {
    bytes[i] ^= 0x10;
    EXPECT_NE(validate(nullptr), FIL_OK) << "byte " << i;
    bytes[i] ^= 0x10;
  }
}

TEST_F(ArtifactBytes, foreignFiles) {
  Bytes good = bytes;
  bytes.assign(200, 'x');
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected an elf file, but found first bytes 78 78 78 78");
  bytes = good;
  elf()->e_ident[EI_CLASS] = ELFCLASS32;
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected a 64-bit elf file (class 2), but found class 1");
  bytes = good;
  elf()->e_ident[EI_DATA] = ELFDATA2MSB;
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected a little-endian elf file (data 1), but found data 2");
  bytes = good;
  elf()->e_type = ET_EXEC;
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected an elf shared object (type 3), but found type 2");
  bytes = good;
  elf()->e_machine = EM_AARCH64;
  EXPECT_FAILS(
      validate(&err), FIL_BAD_ARTIFACT,
      "expected an elf file for x86-64 (machine 62), but found machine 183");
  bytes = readFile("/proc/self/exe");
  ASSERT_EQ(elf()->e_ident[0], 0x7f);
  elf()->e_type = ET_DYN;
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected the trailer `FILTRAIL` in the last 32 bytes, but "
               "found none: not an artifact, or cut short");
}

TEST_F(ArtifactBytes, otherVersions) {
  fil_abi_trailer changed = trailer();
  changed.abi_major = 2;
  setTrailer(changed);
  EXPECT_FAILS(validate(&err), FIL_BAD_VERSION,
               "expected artifact abi 1.5 or lower minor, but found 2.5");
  changed.abi_major = 1;
  changed.abi_minor = 6;
  setTrailer(changed);
  EXPECT_FAILS(validate(&err), FIL_BAD_VERSION,
               "expected artifact abi 1.5 or lower minor, but found 1.6");
  changed.abi_major = 0;
  changed.abi_minor = 0;
  setTrailer(changed);
  EXPECT_FAILS(validate(&err), FIL_BAD_VERSION,
               "expected artifact abi 1.5 or lower minor, but found 0.0");
}

TEST_F(ArtifactBytes, wrongSizeAndHash) {
  fil_abi_trailer good = trailer(), changed = good;
  changed.elf_bytes += 1;
  setTrailer(changed);
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected " + std::to_string(good.elf_bytes + 1) +
                   " bytes before the trailer, but found " +
                   std::to_string(good.elf_bytes));
  changed = good;
  changed.hash ^= 1;
  setTrailer(changed);
  char text[128];
  snprintf(text, sizeof(text),
           "expected checksum %016" PRIx64 ", but found %016" PRIx64,
           changed.hash, good.hash);
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT, text);
}

TEST_F(ArtifactBytes, programHeadersOutsideTheFile) {
  Elf64_Ehdr good = *elf();
  std::string count = std::to_string(good.e_phnum);
  elf()->e_phoff = UINT64_MAX - 8;
  seal();
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected program headers inside the file, but found " + count +
                   " of 56 bytes at offset 18446744073709551607");
  *elf() = good;
  elf()->e_phentsize = 32;
  seal();
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected program headers inside the file, but found " + count +
                   " of 32 bytes at offset 64");
  *elf() = good;
  elf()->e_phnum = 0;
  seal();
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected program headers inside the file, but found 0 of 56 "
               "bytes at offset 64");
}

TEST_F(ArtifactBytes, segmentsOutsideTheFile) {
  Bytes good = bytes;
  Elf64_Phdr *load = segment(PT_LOAD);
  ASSERT_NE(load, nullptr);
  std::string index = std::to_string(indexOf(load));
  load->p_offset = UINT64_MAX - 1;
  load->p_filesz = 16;
  seal();
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected segment " + index + " inside the file's " +
                   std::to_string(elfBytes()) +
                   " bytes, but it holds 16 bytes at offset "
                   "18446744073709551614");
  bytes = good;
  load = segment(PT_LOAD);
  load->p_memsz = load->p_filesz - 1;
  seal();
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected segment " + index +
                   " to be no larger in the file than in memory, but found " +
                   std::to_string(load->p_filesz) + " > " +
                   std::to_string(load->p_memsz));
  bytes = good;
  segment(PT_DYNAMIC)->p_type = PT_NULL;
  seal();
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected a dynamic segment, but found none");
}

TEST_F(ArtifactBytes, neededLibraries) {
  bytes = readFile(NEEDY_OBJECT);
  bytes.resize(bytes.size() + sizeof(fil_abi_trailer));
  seal();
  EXPECT_FAILS(validate(&err), FIL_BAD_ARTIFACT,
               "expected an artifact that needs no other library, but it "
               "needs `libc.so.6`");
}

} // namespace
