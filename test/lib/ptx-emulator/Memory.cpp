//===- Memory.cpp - ld, st and the state spaces ---------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Memory.h"

#include "test/lib/ptx-emulator/Lanes.h"

namespace filigree::ptx {

bool sharedInBounds(Cta &cta, int pc, int thread, uint32_t address,
                    uint32_t bytes, uint32_t align) {
  if (address % align) {
    cta.report(Kind::Misaligned, pc, thread, address,
               text("thread %d uses shared 0x%x, expected a multiple of %u",
                    thread, address, align));
    return false;
  }
  if (address < sharedStart || address > cta.sharedEnd() ||
      cta.sharedEnd() - address < bytes) {
    cta.report(
        Kind::OutOfBounds, pc, thread, address,
        text("thread %d uses %u bytes at shared 0x%x, outside 0x%x to 0x%x",
             thread, bytes, address, sharedStart, cta.sharedEnd()));
    return false;
  }
  return true;
}

uint8_t *access(Warp &warp, int lane, int pc, Space space, uint64_t address,
                uint32_t bytes, Use use, bool atomic, const uint8_t *newValue) {
  Cta &cta = warp.cta;
  int thread = warp.thread(lane);
  if (space == Space::Generic) {
    uint64_t window = address & windowMask;
    space = window == sharedWindow  ? Space::Shared
            : window == localWindow ? Space::Local
            : window == paramWindow ? Space::Param
                                    : Space::Global;
    if (space != Space::Global)
      address &= ~windowMask;
  }
  if (address % bytes) {
    cta.report(Kind::Misaligned, pc, thread, address,
               text("thread %d accesses %u bytes at 0x%llx, which is not a "
                    "multiple of it",
                    thread, bytes, (unsigned long long)address));
    return nullptr;
  }
  Accessor by = cta.accessor(warp, lane, pc);
  by.atomic = atomic;
  by.mayBeUnwritten =
      use == Use::Read && !cta.launch.options.reportUnwrittenLoads;
  if (use == Use::ReadMatrix)
    use = Use::Read;
  switch (space) {
  case Space::Shared: {
    auto at = static_cast<uint32_t>(address);
    if (address >> 32)
      at = ~0u; // out of bounds below
    if (address >> 32 || !sharedInBounds(cta, pc, thread, at, bytes, 1)) {
      if (address >> 32)
        cta.report(Kind::OutOfBounds, pc, thread, address,
                   text("thread %d uses shared 0x%llx", thread,
                        (unsigned long long)address));
      return nullptr;
    }
    uint8_t *memory = cta.shared.data() + (at - sharedStart);
    (use == Use::Read ? cta.counters().sharedBytesRead
                      : cta.counters().sharedBytesWritten) += bytes;
    if (cta.shadow) {
      if (use != Use::Write)
        cta.shadow->read(at, bytes, by);
      if (use != Use::Read) {
        by.sameValue = newValue && memcmp(memory, newValue, bytes) == 0;
        cta.shadow->write(at, bytes, by);
      }
    }
    return memory;
  }
  case Space::Param: {
    const std::vector<uint8_t> &parameters = *cta.launch.parameters;
    if (use != Use::Read || address > parameters.size() ||
        parameters.size() - address < bytes) {
      cta.report(Kind::OutOfBounds, pc, thread, address,
                 text("thread %d accesses %u bytes at %llu of the %zu bytes of "
                      "parameters",
                      thread, bytes, (unsigned long long)address,
                      parameters.size()));
      return nullptr;
    }
    return const_cast<uint8_t *>(parameters.data()) + address;
  }
  case Space::Local: {
    uint32_t size = cta.program.localBytes;
    if (address > size || size - address < bytes) {
      cta.report(Kind::OutOfBounds, pc, thread, address,
                 text("thread %d accesses %u bytes at local 0x%llx of %u",
                      thread, bytes, (unsigned long long)address, size));
      return nullptr;
    }
    return cta.local.data() + static_cast<size_t>(thread) * size + address;
  }
  default:
    break;
  }
  if (!cta.waited[static_cast<size_t>(thread)]) {
    cta.report(Kind::Race, pc, thread, address,
               text("thread %d uses global 0x%llx before griddepcontrol.wait, "
                    "while the launch before may not have ended",
                    thread, (unsigned long long)address));
    return nullptr;
  }
  GlobalMemory &memory = *cta.launch.memory;
  if (use != Use::Write && !memory.read(cta, address, bytes, by))
    return nullptr;
  auto *host = reinterpret_cast<uint8_t *>(address);
  if (use != Use::Read) {
    by.sameValue = newValue && memory.find(address, bytes) &&
                   memcmp(host, newValue, bytes) == 0;
    if (!memory.write(cta, address, bytes, by))
      return nullptr;
  }
  return host;
}

void synchronise(Warp &warp, int lane, uint64_t key, bool acquire,
                 bool release) {
  Cta &cta = warp.cta;
  if (acquire) {
    auto found = cta.released.find(key);
    if (found != cta.released.end())
      cta.acquire(warp, 1u << lane, found->second);
  }
  if (release)
    cta.release(warp, 1u << lane, cta.released[key]);
  if ((key & windowMask) == sharedWindow)
    return;
  auto &published = cta.launch.published;
  if (auto found = published.find(key); acquire && found != published.end())
    for (auto &[number, clocks] : found->second)
      cta.others[number].join(clocks);
  if (release) {
    auto &here = published[key];
    here[cta.number].join(cta.released[key]);
    for (auto &[number, clocks] : cta.others)
      here[number].join(clocks);
  }
}

Ordering takeOrdering(Opcode &opcode) {
  Ordering ordering;
  int which = opcode.takeOneOf(
      {"weak", "relaxed", "acquire", "release", "acq_rel", "volatile", "mmio"});
  if (opcode.take("mmio") || opcode.take("relaxed"))
    which = 1;
  ordering.atomic = which >= 1;
  ordering.acquire = which == 2 || which == 4;
  ordering.release = which == 3 || which == 4;
  opcode.takeOneOf({"cta", "cluster", "gpu", "sys"});
  return ordering;
}

void takeCacheHints(Opcode &opcode) {
  opcode.take("nc");
  opcode.takeOneOf({"ca", "cg", "cs", "lu", "cv", "wb", "wt"});
  opcode.takeOneOf({"L1::evict_normal", "L1::evict_unchanged",
                    "L1::evict_first", "L1::evict_last", "L1::no_allocate"});
  opcode.takeOneOf({"L2::evict_normal", "L2::evict_first", "L2::evict_last"});
  opcode.takeOneOf({"L2::64B", "L2::128B", "L2::256B"});
}

static Outcome load(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst);
  uint32_t total = inst.bytes * inst.count;
  const Slot *into = cta.program.lists.data() + inst.list;
  forLanes(lanes, [&](int lane) {
    uint64_t address =
        baseOf(warp, inst, lane) + static_cast<uint64_t>(inst.imm);
    if (!(inst.flags & wideAddress))
      address = static_cast<uint32_t>(address);
    if (inst.flags & flagAcquire)
      synchronise(warp, lane, syncKey(inst.space, address), true, false);
    const uint8_t *from = access(warp, lane, pc, inst.space, address, total,
                                 Use::Read, inst.flags & flagAtomic);
    for (unsigned i = 0; i < inst.count; ++i) {
      int64_t value = 0;
      if (from)
        memcpy(&value, from + i * inst.bytes, inst.bytes);
      if (inst.flags & 1) // sign
        value = static_cast<int64_t>(static_cast<uint64_t>(value)
                                     << (64 - 8 * inst.bytes)) >>
                (64 - 8 * inst.bytes);
      memcpy(warp.registers + into[i] + lane * inst.small, &value, inst.small);
    }
  });
  if (inst.flags & flagAtomic)
    warp.yield = true; // somebody else may have to write it first
  return Outcome::Next;
}

static Outcome store(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst);
  uint32_t total = inst.bytes * inst.count;
  const Slot *from = cta.program.lists.data() + inst.list;
  forLanes(lanes, [&](int lane) {
    uint64_t address =
        baseOf(warp, inst, lane) + static_cast<uint64_t>(inst.imm);
    if (!(inst.flags & wideAddress))
      address = static_cast<uint32_t>(address);
    uint8_t value[32];
    for (unsigned i = 0; i < inst.count; ++i)
      memcpy(value + i * inst.bytes,
             warp.registers + from[i] + lane * inst.small, inst.bytes);
    uint8_t *into = access(warp, lane, pc, inst.space, address, total,
                           Use::Write, inst.flags & flagAtomic, value);
    if (into)
      memcpy(into, value, total);
    bool release = inst.flags & flagRelease ||
                   (inst.flags & flagAtomic && warp.memoryFence >> lane & 1);
    if (release)
      synchronise(warp, lane, syncKey(inst.space, address), false, true);
  });
  return Outcome::Next;
}

bool decodeMemory(Decoder &d, Opcode &op, Inst &inst) {
  const std::string &name = op.name();
  if (name != "ld" && name != "ldu" && name != "st")
    return false;
  bool isLoad = name[0] == 'l';
  Ordering ordering = takeOrdering(op);
  inst.space = op.takeSpace();
  takeCacheHints(op);
  bool hint = op.take("L2::cache_hint");
  int vector = op.takeOneOf({"v2", "v4", "v8"});
  inst.count = static_cast<uint8_t>(vector < 0 ? 1 : 2 << vector);
  Type type = op.takeType();
  unsigned bits = bitsOf(type);
  if (bits < 8 || bits > 64 || bits * inst.count > 256)
    return d.fail("unsupported type of " + name), true;
  if (!d.operandCount(2, hint ? 3 : 2))
    return true;
  inst.bytes = static_cast<uint8_t>(bits / 8);
  inst.flags = (isSigned(type) ? 1 : 0) | (ordering.atomic ? flagAtomic : 0);
  if (isLoad && ordering.atomic)
    inst.flags |= flagAcquire; // a later fence would make it one
  if (ordering.release)
    inst.flags |= flagRelease;
  if (!d.address(inst, d.operand(isLoad ? 1 : 0)))
    return true;
  const Operand &values = d.operand(isLoad ? 0 : 1);
  size_t count = values.kind == Operand::Vector ? values.parts.size() : 1;
  if (count != inst.count)
    return d.fail("expected " + std::to_string(inst.count) + " registers"),
           true;
  for (size_t i = 0; i < count; ++i) {
    const Operand &value =
        values.kind == Operand::Vector ? values.parts[i] : values;
    unsigned width;
    d.append(inst, isLoad ? d.writeWide(value, bits, width)
                          : d.readWide(value, bits, width));
    if (width < bits && !d.failed())
      return d.fail("a register is narrower than the access"), true;
    inst.small = static_cast<uint8_t>(width / 8);
  }
  inst.run = isLoad ? load : store;
  return true;
}

} // namespace filigree::ptx
