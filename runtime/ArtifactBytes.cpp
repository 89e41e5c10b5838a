//===- ArtifactBytes.cpp - ELF header, trailer, checksum, program headers -===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Cheap and telling checks come first: a file that is no ELF is not called
// corrupt, and one of another ABI version is not hashed. Structs are copied
// out, since nothing says that the bytes are aligned.
//
//===----------------------------------------------------------------------===//
#include "runtime/ArtifactBytes.h"

#include "runtime/Status.h"
#include "runtime/Trailer.h"

#include <cinttypes>
#include <elf.h>

namespace filigree::runtime {
namespace {

struct Bytes {
  const uint8_t *data;
  uint64_t size; // of the ELF file, without the trailer

  bool holds(uint64_t offset, uint64_t length) const {
    return offset <= size && length <= size - offset;
  }
  template <typename T> T read(uint64_t offset) const {
    T value;
    memcpy(&value, data + offset, sizeof(T));
    return value;
  }
};

} // namespace

static fil_status checkElfHeader(const Elf64_Ehdr &elf, fil_error *err) {
  const unsigned char *ident = elf.e_ident;
  if (memcmp(ident, ELFMAG, SELFMAG) != 0)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected an elf file, but found first bytes %02x %02x %02x "
                "%02x",
                ident[0], ident[1], ident[2], ident[3]);
  if (ident[EI_CLASS] != ELFCLASS64)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected a 64-bit elf file (class 2), but found class %u",
                ident[EI_CLASS]);
  if (ident[EI_DATA] != ELFDATA2LSB)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected a little-endian elf file (data 1), but found data %u",
                ident[EI_DATA]);
  if (elf.e_type != ET_DYN)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected an elf shared object (type 3), but found type %u",
                elf.e_type);
  if (elf.e_machine != EM_X86_64)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected an elf file for x86-64 (machine 62), but found "
                "machine %u",
                elf.e_machine);
  return FIL_OK;
}

static fil_status checkTrailer(const Bytes &elf, const fil_abi_trailer &trailer,
                               fil_error *err) {
  if (memcmp(trailer.magic, kTrailerMagic, sizeof(kTrailerMagic)) != 0)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected the trailer `FILTRAIL` in the last 32 bytes, but "
                "found none: not an artifact, or cut short");
  if (trailer.abi_major != FIL_ABI_MAJOR || trailer.abi_minor > FIL_ABI_MINOR)
    return fail(err, FIL_BAD_VERSION,
                "expected artifact abi %u.%u or lower minor, but found %u.%u",
                FIL_ABI_MAJOR, FIL_ABI_MINOR, trailer.abi_major,
                trailer.abi_minor);
  if (trailer.elf_bytes != elf.size)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected %" PRIu64 " bytes before the trailer, but found "
                "%" PRIu64,
                trailer.elf_bytes, elf.size);
  uint64_t hash = hashElf(elf.data, elf.size);
  if (trailer.hash != hash)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected checksum %016" PRIx64 ", but found %016" PRIx64,
                trailer.hash, hash);
  return FIL_OK;
}

/// File offset of the `length` bytes at virtual address `address`, through the
/// PT_LOAD segments; false if the file does not hold them.
static bool toOffset(const Bytes &elf, const Elf64_Ehdr &header,
                     uint64_t address, uint64_t length, uint64_t &offset) {
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    auto segment =
        elf.read<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
        !elf.holds(segment.p_offset, segment.p_filesz))
      continue;
    uint64_t delta = address - segment.p_vaddr;
    if (delta <= segment.p_filesz && length <= segment.p_filesz - delta) {
      offset = segment.p_offset + delta;
      return true;
    }
  }
  return false;
}

// An artifact imports no symbol, so it needs no other library; one that asks
// for a library would have the loader run code that nobody has looked at.
static fil_status checkDynamic(const Bytes &elf, const Elf64_Ehdr &header,
                               const Elf64_Phdr &dynamic, fil_error *err) {
  uint64_t needed = 0, strings = 0;
  bool hasNeeded = false;
  uint64_t count = dynamic.p_filesz / sizeof(Elf64_Dyn);
  for (uint64_t i = 0; i < count; ++i) {
    auto entry = elf.read<Elf64_Dyn>(dynamic.p_offset + i * sizeof(Elf64_Dyn));
    if (entry.d_tag == DT_NULL)
      break;
    if (entry.d_tag == DT_STRTAB)
      strings = entry.d_un.d_ptr;
    if (entry.d_tag == DT_NEEDED && !hasNeeded) {
      hasNeeded = true;
      needed = entry.d_un.d_val;
    }
  }
  if (!hasNeeded)
    return FIL_OK;
  uint64_t offset = 0;
  Text name;
  if (needed <= UINT64_MAX - strings &&
      toOffset(elf, header, strings + needed, 1, offset)) {
    uint64_t room = elf.size - offset;
    name.append("%.*s", static_cast<int>(room < 64 ? room : 64),
                reinterpret_cast<const char *>(elf.data + offset));
  }
  return fail(err, FIL_BAD_ARTIFACT,
              "expected an artifact that needs no other library, but it needs "
              "`%s`",
              name.str());
}

static fil_status checkProgramHeaders(const Bytes &elf,
                                      const Elf64_Ehdr &header,
                                      fil_error *err) {
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
      header.e_phnum == PN_XNUM ||
      !elf.holds(header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr)))
    return fail(err, FIL_BAD_ARTIFACT,
                "expected program headers inside the file, but found %u of %u "
                "bytes at offset %" PRIu64,
                header.e_phnum, header.e_phentsize,
                static_cast<uint64_t>(header.e_phoff));

  bool hasDynamic = false;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    auto segment =
        elf.read<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
    if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC)
      continue;
    if (!elf.holds(segment.p_offset, segment.p_filesz))
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected segment %u inside the file's %" PRIu64
                  " bytes, but it holds %" PRIu64 " bytes at offset %" PRIu64,
                  i, elf.size, static_cast<uint64_t>(segment.p_filesz),
                  static_cast<uint64_t>(segment.p_offset));
    if (segment.p_type == PT_LOAD && segment.p_memsz < segment.p_filesz)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected segment %u to be no larger in the file than in "
                  "memory, but found %" PRIu64 " > %" PRIu64,
                  i, static_cast<uint64_t>(segment.p_filesz),
                  static_cast<uint64_t>(segment.p_memsz));
    if (segment.p_type == PT_DYNAMIC) {
      hasDynamic = true;
      if (fil_status status = checkDynamic(elf, header, segment, err))
        return status;
    }
  }
  if (!hasDynamic)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected a dynamic segment, but found none");
  return FIL_OK;
}

fil_status validateArtifactBytes(const void *bytes, size_t size,
                                 fil_error *err) {
  constexpr size_t smallest = sizeof(Elf64_Ehdr) + sizeof(fil_abi_trailer);
  if (size < smallest)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected an artifact of at least %zu bytes, but found %zu",
                smallest, size);

  Bytes elf = {static_cast<const uint8_t *>(bytes),
               size - sizeof(fil_abi_trailer)};
  auto header = elf.read<Elf64_Ehdr>(0);
  if (fil_status status = checkElfHeader(header, err))
    return status;
  auto trailer = elf.read<fil_abi_trailer>(elf.size);
  if (fil_status status = checkTrailer(elf, trailer, err))
    return status;
  return checkProgramHeaders(elf, header, err);
}

} // namespace filigree::runtime
