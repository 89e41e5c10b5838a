//===- GlobalMemory.cpp - the buffers that a kernel may touch -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/GlobalMemory.h"

#include "test/lib/ptx-emulator/Machine.h"

#include <algorithm>
#include <cstring>

namespace filigree::ptx {

void GlobalMemory::add(Buffer buffer) {
  buffers.erase(std::remove_if(
                    buffers.begin(), buffers.end(),
                    [&](const Buffer &old) { return old.base == buffer.base; }),
                buffers.end());
  auto place = std::upper_bound(
      buffers.begin(), buffers.end(), buffer.base,
      [](uint64_t base, const Buffer &other) { return base < other.base; });
  buffers.insert(place, std::move(buffer));
  last = 0;
}

void GlobalMemory::forgetMarks() {
  for (Buffer &buffer : buffers)
    buffer.marks.clear();
}

Buffer *GlobalMemory::find(uint64_t address, uint64_t bytes) {
  auto holds = [&](const Buffer &buffer) {
    return address >= buffer.base && address - buffer.base <= buffer.bytes &&
           buffer.bytes - (address - buffer.base) >= bytes;
  };
  if (last < buffers.size() && holds(buffers[last]))
    return &buffers[last];
  auto after = std::upper_bound(
      buffers.begin(), buffers.end(), address,
      [](uint64_t base, const Buffer &other) { return base < other.base; });
  if (after == buffers.begin() || !holds(*std::prev(after)))
    return nullptr;
  last = static_cast<size_t>(std::prev(after) - buffers.begin());
  return &buffers[last];
}

std::string GlobalMemory::whereIs(uint64_t address, uint64_t bytes) const {
  const Buffer *nearest = nullptr;
  uint64_t distance = 1 << 20;
  std::string side;
  for (const Buffer &buffer : buffers) {
    uint64_t end = buffer.base + buffer.bytes;
    if (address + bytes > end && address >= buffer.base &&
        address + bytes - end < distance) {
      nearest = &buffer;
      distance = address + bytes - end;
      side = "beyond the end of";
    }
    if (address < buffer.base && buffer.base - address < distance) {
      nearest = &buffer;
      distance = buffer.base - address;
      side = "before the start of";
    }
  }
  if (!nearest)
    return "near no buffer";
  return text("%llu bytes %s `%s`", static_cast<unsigned long long>(distance),
              side.c_str(), nearest->name.c_str());
}

static std::string who(Cta &cta, const Accessor &by) {
  return by.self >= 0 && !by.async ? text("thread %d", by.self)
                                   : cta.nameOfAgent(by.agent);
}

bool GlobalMemory::read(Cta &cta, uint64_t address, uint32_t bytes,
                        const Accessor &by) {
  Buffer *buffer = find(address, bytes);
  if (!buffer) {
    cta.report(Kind::OutOfBounds, by.pc, by.self, address,
               who(cta, by) +
                   text(" reads %u bytes at 0x%llx, ", bytes,
                        (unsigned long long)address) +
                   whereIs(address, bytes));
    return false;
  }
  cta.counters().globalBytesRead += bytes;
  if (!cta.launch.options.checkMemory)
    return true;
  uint64_t offset = address - buffer->base;
  if (!buffer->initialised.empty())
    for (uint32_t i = 0; i < bytes; ++i)
      if (!buffer->initialised[offset + i]) {
        cta.report(Kind::Uninitialised, by.pc, by.self, address + i,
                   who(cta, by) +
                       text(" reads byte %llu of `%s`, which nobody wrote",
                            (unsigned long long)(offset + i),
                            buffer->name.c_str()));
        break;
      }
  if (buffer->marks.empty())
    return true;
  for (uint32_t i = 0; i < bytes; ++i) {
    const Buffer::Mark &mark = buffer->marks[offset + i];
    if (!mark.cta)
      continue;
    bool ordered = mark.cta == cta.number
                       ? int(mark.agent) == by.self ||
                             by.clocks->seenOf(mark.agent) >= mark.clock
                       : cta.knows(mark);
    if (ordered || (by.atomic && mark.atomic))
      continue;
    cta.report(Kind::Race, by.pc, by.self, address + i,
               who(cta, by) +
                   text(" reads byte %llu of `%s`, which ",
                        (unsigned long long)(offset + i),
                        buffer->name.c_str()) +
                   (mark.cta == cta.number ? cta.nameOfAgent(mark.agent)
                                           : std::string("another CTA")) +
                   text(" writes at line %d: nothing orders the two",
                        cta.statement(mark.pc).line));
    break;
  }
  return true;
}

bool GlobalMemory::write(Cta &cta, uint64_t address, uint32_t bytes,
                         const Accessor &by) {
  Buffer *buffer = find(address, bytes);
  if (!buffer || buffer->access == Access::Read) {
    cta.report(Kind::OutOfBounds, by.pc, by.self, address,
               who(cta, by) +
                   text(" writes %u bytes at 0x%llx, ", bytes,
                        (unsigned long long)address) +
                   (buffer ? "in the read-only `" + buffer->name + "`"
                           : whereIs(address, bytes)));
    return false;
  }
  cta.counters().globalBytesWritten += bytes;
  uint64_t offset = address - buffer->base;
  if (!buffer->initialised.empty())
    memset(buffer->initialised.data() + offset, 1, bytes);
  if (!cta.launch.options.checkMemory)
    return true;
  if (buffer->marks.empty())
    buffer->marks.resize(buffer->bytes, Buffer::Mark{0, 0, 0, 0, 0});
  bool reported = false;
  for (uint32_t i = 0; i < bytes; ++i) {
    Buffer::Mark &mark = buffer->marks[offset + i];
    if (mark.cta && !reported) {
      bool ordered = mark.cta == cta.number
                         ? int(mark.agent) == by.self ||
                               by.clocks->seenOf(mark.agent) >= mark.clock ||
                               (by.sameValue && mark.pc == by.pc)
                         : cta.knows(mark);
      if (!ordered && !(by.atomic && mark.atomic)) {
        cta.report(Kind::Race, by.pc, by.self, address + i,
                   who(cta, by) +
                       text(" writes byte %llu of `%s`, which ",
                            (unsigned long long)(offset + i),
                            buffer->name.c_str()) +
                       (mark.cta == cta.number ? cta.nameOfAgent(mark.agent)
                                               : std::string("another CTA")) +
                       text(" writes at line %d: nothing orders the two",
                            cta.statement(mark.pc).line));
        reported = true;
      }
    }
    mark = {cta.number, static_cast<uint16_t>(by.agent), by.atomic, by.clock,
            by.pc};
  }
  return true;
}

} // namespace filigree::ptx
