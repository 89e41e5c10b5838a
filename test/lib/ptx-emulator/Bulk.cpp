//===- Bulk.cpp - cp.async.bulk: the copy engine --------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A copy is checked and marked when it is issued, for its bytes may move at any
// moment from then on; they do move when the schedule says so. A load signals
// an mbarrier, a store belongs to a group of its thread.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Memory.h"

#include <algorithm>
#include <cstring>

namespace filigree::ptx {

namespace {

enum What : uint8_t { Load, Store };
constexpr uint32_t flagTensor = 1, flagPrefetch = 2;

//===----------------------------------------------------------------------===//
// Boxes
//===----------------------------------------------------------------------===//

/// Calls row(global, shared offset, first, count, n) for every row of the box:
/// elements [first, first + count) of its n are inside the tensor and start at
/// `global`.
template <typename F> void forRows(const BulkCopy &copy, F row) {
  const TensorMap &map = copy.map;
  uint32_t extent[5], index[5] = {};
  for (uint32_t d = 0; d < 5; ++d)
    extent[d] = d < map.rank ? (map.box[d] + map.elementStrides[d] - 1) /
                                   map.elementStrides[d]
                             : 1;
  uint32_t offset = 0, n = extent[0];
  int64_t step = map.elementStrides[0],
          limit = static_cast<int64_t>(map.dimensions[0]);
  int64_t first = copy.at[0] < 0 ? (-copy.at[0] + step - 1) / step : 0;
  int64_t end =
      copy.at[0] >= limit ? 0 : (limit - copy.at[0] + step - 1) / step;
  first = std::min<int64_t>(first, n);
  end = std::clamp<int64_t>(end, first, n);
  while (true) {
    bool inside = true;
    uint64_t global = map.base;
    for (uint32_t d = 1; d < map.rank; ++d) {
      int64_t at =
          copy.at[d] + static_cast<int64_t>(index[d]) * map.elementStrides[d];
      inside &= at >= 0 && at < static_cast<int64_t>(map.dimensions[d]);
      global += static_cast<uint64_t>(at) * map.strides[d];
    }
    global +=
        static_cast<uint64_t>(copy.at[0] + first * step) * map.elementBytes;
    row(global, offset, static_cast<uint32_t>(first),
        inside ? static_cast<uint32_t>(end - first) : 0u, n);
    offset += n * map.elementBytes;
    uint32_t d = 1;
    while (d < map.rank && ++index[d] == extent[d])
      index[d++] = 0;
    if (d >= map.rank)
      return;
  }
}

uint64_t fillOf(const TensorMap &map) {
  if (!map.fillNaN)
    return 0;
  return map.elementBytes == 2   ? (map.isBFloat ? 0x7fc0 : 0x7e00)
         : map.elementBytes == 4 ? 0x7fc00000
                                 : 0x7ff8000000000000;
}

void moveTensor(Cta &cta, const BulkCopy &copy) {
  const TensorMap &map = copy.map;
  uint32_t bytes = map.elementBytes, step = map.elementStrides[0];
  uint64_t fill = fillOf(map);
  uint8_t *shared = cta.shared.data();
  auto at = [&](uint32_t offset) {
    return shared + (swizzled(copy.shared + offset, map.swizzle) - sharedStart);
  };
  forRows(copy, [&](uint64_t global, uint32_t offset, uint32_t first,
                    uint32_t count, uint32_t n) {
    auto *host = reinterpret_cast<uint8_t *>(global);
    if (count == n && step == 1) { // whole chunks of 16 bytes
      for (uint32_t i = 0; i < n * bytes; i += 16)
        copy.load ? memcpy(at(offset + i), host + i, 16)
                  : memcpy(host + i, at(offset + i), 16);
      return;
    }
    for (uint32_t i = 0; i < n; ++i) {
      bool inside = i >= first && i < first + count;
      uint8_t *element = host + static_cast<size_t>(i - first) * step * bytes;
      if (copy.load)
        memcpy(at(offset + i * bytes),
               inside ? element : reinterpret_cast<uint8_t *>(&fill), bytes);
      else if (inside)
        memcpy(element, at(offset + i * bytes), bytes);
    }
  });
}

void perform(Cta &cta, const BulkCopy &copy) {
  uint8_t *shared = cta.shared.data() + (copy.shared - sharedStart);
  if (copy.tensor)
    moveTensor(cta, copy);
  else if (copy.load)
    memcpy(shared, reinterpret_cast<void *>(copy.global), copy.bytes);
  else
    memcpy(reinterpret_cast<void *>(copy.global), shared, copy.bytes);
  if (copy.load)
    completeBytes(cta, copy);
}

//===----------------------------------------------------------------------===//
// Issue
//===----------------------------------------------------------------------===//

/// Operands with an address each: slot, width and offset in the list.
uint64_t addressAt(Warp &warp, const Inst &inst, int lane, uint32_t which) {
  const Slot *list = warp.cta.program.lists.data() + inst.list + 3 * which;
  uint64_t base = list[1] ? warp.at<uint64_t>(list[0])[lane]
                          : warp.at<uint32_t>(list[0])[lane];
  return base + *warp.at<uint64_t>(list[2]);
}

bool fetchMap(Warp &warp, const Inst &inst, int lane, uint64_t address,
              TensorMap &map) {
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst), thread = warp.thread(lane);
  const uint8_t *bytes = nullptr;
  if (address % 64 == 0) {
    if ((address & windowMask) == paramWindow) {
      uint64_t offset = address & ~windowMask;
      if (offset + 128 <= cta.launch.parameters->size())
        bytes = cta.launch.parameters->data() + offset;
    } else if ((address & windowMask) == 0 &&
               cta.launch.memory->find(address, 128)) {
      bytes = reinterpret_cast<const uint8_t *>(address);
    }
  }
  if (bytes && readTensorMap(bytes, map))
    return true;
  cta.report(Kind::TensorMap, pc, thread, address,
             text("thread %d names a tensor map at 0x%llx, where there is none",
                  thread, (unsigned long long)address));
  return false;
}

/// Global side: every byte that moves is in a buffer, has a value, is free.
bool checkGlobal(Cta &cta, const BulkCopy &copy, Accessor by) {
  auto check = [&](uint64_t address, uint32_t bytes) {
    return copy.load ? cta.launch.memory->read(cta, address, bytes, by)
                     : cta.launch.memory->write(cta, address, bytes, by);
  };
  if (!copy.tensor)
    return check(copy.global, copy.bytes);
  bool good = true;
  const TensorMap &map = copy.map;
  forRows(copy, [&](uint64_t global, uint32_t, uint32_t, uint32_t count,
                    uint32_t) {
    uint32_t step = map.elementStrides[0] * map.elementBytes;
    if (step == map.elementBytes) {
      good &= !count || check(global, count * step);
      return;
    }
    for (uint32_t i = 0; i < count; ++i)
      good &= check(global + static_cast<uint64_t>(i) * step, map.elementBytes);
  });
  return good;
}

void issue(Warp &warp, const Inst &inst, int lane) {
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst), thread = warp.thread(lane);
  BulkCopy copy;
  copy.load = inst.small == Load;
  copy.tensor = inst.flags & flagTensor;
  copy.pc = pc;
  copy.thread = thread;
  uint64_t to = addressAt(warp, inst, lane, 0),
           from = addressAt(warp, inst, lane, 1);
  copy.shared = sharedAddress(copy.load ? to : from);
  uint64_t other = copy.load ? from : to;
  if (copy.tensor) {
    if (!fetchMap(warp, inst, lane, other, copy.map))
      return;
    if (copy.map.rank != inst.count) {
      cta.report(Kind::TensorMap, pc, thread, other,
                 text("expected a tensor map of rank %u, but got %u",
                      inst.count, copy.map.rank));
      return;
    }
    const Slot *coordinates =
        cta.program.lists.data() + inst.list + inst.listCount - inst.count;
    for (uint32_t d = 0; d < inst.count; ++d)
      copy.at[d] = warp.at<int32_t>(coordinates[d])[lane];
    copy.bytes = copy.map.boxBytes();
  } else {
    copy.global = other;
    copy.bytes = warp.at<uint32_t>(inst.src[2])[lane];
    if (copy.bytes % 16 || copy.global % 16) {
      cta.report(Kind::Misaligned, pc, thread, copy.global,
                 text("expected address and size in multiples of 16, but got "
                      "0x%llx and %u",
                      (unsigned long long)copy.global, copy.bytes));
      return;
    }
  }
  if (inst.flags & flagPrefetch)
    return;
  if (!sharedInBounds(cta, pc, thread, copy.shared, copy.bytes,
                      copy.tensor ? 128 : 16))
    return;
  Accessor by = cta.accessor(warp, lane, pc);
  by.async = true;
  if (copy.load) {
    copy.mbarrier = sharedAddress(addressAt(warp, inst, lane, 2));
    auto found = cta.mbarriers.find(copy.mbarrier);
    if (found == cta.mbarriers.end()) {
      cta.stop(Kind::Mbarrier, pc, thread, copy.mbarrier,
               text("the bulk copy of thread %d signals 0x%x, which holds no "
                    "mbarrier",
                    thread, copy.mbarrier));
      return;
    }
    Mbarrier &barrier = found->second;
    copy.phase = barrier.phase;
    barrier.lastLoadPhase = copy.phase + 1;
    barrier.lastLoadPc = pc;
    Warp &owner = cta.warps[static_cast<size_t>(barrier.initThread / 32)];
    if (owner.initFence[barrier.initThread % 32] < barrier.initClock)
      cta.report(Kind::ProxyFence, pc, thread, copy.mbarrier,
                 text("the bulk copy of thread %d signals the mbarrier at "
                      "0x%x, which thread %d initialises at line %d "
                      "without a fence.mbarrier_init or fence.proxy.async",
                      thread, copy.mbarrier, barrier.initThread,
                      cta.statement(barrier.initPc).line));
    by.agent = barrier.agent;
    by.clock = static_cast<uint32_t>(copy.phase + 1);
    ++cta.counters().bulkLoads;
  } else {
    BulkStores &stores = cta.bulkStores[thread];
    if (!stores.agent)
      stores.agent =
          cta.newAgent({AgentName::BulkStore, static_cast<uint32_t>(thread)});
    copy.group = stores.committed;
    stores.issuedIn = stores.committed + 1;
    stores.pc = pc;
    by.agent = stores.agent;
    by.clock = static_cast<uint32_t>(copy.group + 1);
    ++cta.counters().bulkStores;
  }
  cta.counters().bulkBytes += copy.bytes;
  if (!checkGlobal(cta, copy, by)) {
    cta.launch.stop = true; // bytes that cannot move never complete
    return;
  }
  if (cta.shadow) {
    if (copy.load)
      cta.shadow->write(copy.shared, copy.bytes, by);
    else
      cta.shadow->read(copy.shared, copy.bytes, by);
  }
  if (cta.launch.options.timing == Timing::Eager)
    perform(cta, copy);
  else
    cta.bulk.push_back(copy);
}

Outcome copyBulk(Warp &warp, const Inst &inst, uint32_t lanes) {
  forLanes(lanes, [&](int lane) {
    if (!warp.cta.launch.stop)
      issue(warp, inst, lane);
  });
  return warp.cta.launch.stop ? Outcome::Stop : Outcome::Next;
}

Outcome commitGroup(Warp &warp, const Inst &, uint32_t lanes) {
  forLanes(lanes, [&](int lane) {
    auto found = warp.cta.bulkStores.find(warp.thread(lane));
    if (found != warp.cta.bulkStores.end())
      ++found->second.committed;
  });
  return Outcome::Next;
}

Outcome waitGroup(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  forLanes(lanes, [&](int lane) {
    int thread = warp.thread(lane);
    auto found = cta.bulkStores.find(thread);
    if (found == cta.bulkStores.end())
      return;
    BulkStores &stores = found->second;
    auto keep = static_cast<uint64_t>(inst.imm);
    if (stores.committed <= keep)
      return;
    uint64_t done = stores.committed - keep;
    for (size_t i = 0; i < cta.bulk.size();) {
      if (!cta.bulk[i].load && cta.bulk[i].thread == thread &&
          cta.bulk[i].group < done) {
        perform(cta, cta.bulk[i]);
        cta.bulk.erase(cta.bulk.begin() + static_cast<long>(i));
      } else {
        ++i;
      }
    }
    stores.waited = std::max(stores.waited, done);
    if (cta.shadow) {
      Clocks known;
      known.raise(stores.agent, static_cast<uint32_t>(done), 0);
      cta.acquire(warp, 1u << lane, known);
    }
  });
  return Outcome::Next;
}

Outcome nothing(Warp &, const Inst &, uint32_t) { return Outcome::Next; }

bool appendAddress(Decoder &d, Inst &inst, const Operand &operand) {
  Inst scratch;
  if (!d.address(scratch, operand))
    return false;
  d.append(inst, scratch.src[0]);
  d.append(inst, scratch.flags & wideAddress ? 1 : 0);
  d.append(inst, d.constantSlot(static_cast<uint64_t>(scratch.imm), 64));
  return true;
}

} // namespace

bool retireBulk(Cta &cta) {
  if (cta.bulk.empty())
    return false;
  // Late stores wait for their group; what is left then is loads.
  std::vector<size_t> ready;
  for (size_t i = 0; i < cta.bulk.size(); ++i)
    if (cta.bulk[i].load || cta.launch.options.timing == Timing::Random)
      ready.push_back(i);
  if (ready.empty())
    return false;
  size_t i = ready[cta.random() % ready.size()];
  BulkCopy copy = cta.bulk[i];
  cta.bulk.erase(cta.bulk.begin() + static_cast<long>(i));
  perform(cta, copy);
  return true;
}

void reportBulkLeaks(Cta &cta) {
  for (auto &[thread, stores] : cta.bulkStores)
    if (stores.waited < stores.issuedIn)
      cta.report(Kind::Leak, stores.pc, thread, 0,
                 text("thread %d ends without waiting for its bulk store, "
                      "which may still read shared memory",
                      thread));
  Clocks known;
  for (Warp &warp : cta.warps)
    for (ClockRef &clocks : warp.clocks)
      if (clocks)
        known.join(*clocks);
  for (auto &[address, barrier] : cta.mbarriers)
    if (cta.shadow && known.seenOf(barrier.agent) < barrier.lastLoadPhase)
      cta.report(Kind::Leak, barrier.lastLoadPc, -1, address,
                 text("nobody waits for the bulk copy that signals the "
                      "mbarrier at 0x%x",
                      address));
  while (!cta.bulk.empty()) { // so that the answer shows what was stored
    BulkCopy copy = cta.bulk.front();
    cta.bulk.erase(cta.bulk.begin());
    if (!copy.load)
      perform(cta, copy);
    else
      cta.report(
          Kind::Leak, copy.pc, copy.thread, copy.mbarrier,
          text("the bulk copy of thread %d is still in flight at the end",
               copy.thread));
  }
}

bool decodeBulk(Decoder &d, Opcode &op, Inst &inst) {
  if (op.name() != "cp")
    return false;
  op.take("async");
  if (!op.take("bulk") || op.take("reduce"))
    return d.fail("unsupported form of cp"), true;
  if (op.take("commit_group")) {
    inst.run = commitGroup;
    return true;
  }
  if (op.take("wait_group")) {
    op.take("read");
    if (d.operandCount(1, 1))
      d.constant(d.operand(0), inst.imm);
    inst.run = waitGroup;
    return true;
  }
  bool tensor = op.take("tensor"), prefetch = op.take("prefetch");
  int rank = op.takeOneOf({"1d", "2d", "3d", "4d", "5d"}) + 1;
  if (op.take("multicast::cluster"))
    return d.fail("unsupported: multicast to a cluster"), true;
  bool hint = op.take("L2::cache_hint");
  op.take("tile");
  if (prefetch) {
    op.take("L2");
    op.take("global");
    inst.run = nothing;
    return true;
  }
  if (tensor && !rank)
    return d.fail("expected a rank from 1d to 5d"), true;
  bool load = op.take("mbarrier::complete_tx::bytes");
  if (!load && !op.take("bulk_group"))
    return d.fail("expected .mbarrier::complete_tx::bytes or .bulk_group"),
           true;
  op.takeSpace();
  op.takeSpace();
  inst.small = load ? Load : Store;
  inst.flags = tensor ? flagTensor : 0;
  inst.count = static_cast<uint8_t>(rank);
  size_t count = (tensor ? 2u : 3u) + load;
  if (!d.operandCount(count, count + hint))
    return true;
  appendAddress(d, inst, d.operand(0));
  appendAddress(d, inst, d.operand(1));
  if (load)
    appendAddress(d, inst, d.operand(count - 1));
  if (!tensor) {
    inst.src[2] = d.read(d.operand(2), 32);
  } else {
    const Operand &map = d.operand(load ? 1 : 0);
    if (map.parts.size() != 2 ||
        map.parts[1].parts.size() != static_cast<size_t>(rank))
      return d.fail("expected " + std::to_string(rank) + " coordinates"), true;
    for (const Operand &coordinate : map.parts[1].parts)
      d.append(inst, d.read(coordinate, 32));
  }
  inst.run = copyBulk;
  return true;
}

} // namespace filigree::ptx
