//===- Wgmma.cpp - the asynchronous matrix product of a warpgroup ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Issue: the four warps gather, registers and shared memory are checked and
// marked as in use. Execution: at any time until a warp waits for the group, in
// order within the warpgroup. Fence, commit and wait are of single warps; a warp
// that has waited knows that the whole product, of all four warps, has read its
// operands, as libraries that release a stage from one thread rely on.
//
// Registers: between any other access to a register and a wgmma that uses it
// there is a wgmma.fence, except for accumulators passed on from a wgmma of the
// same shape; between the wgmma and any other access there is a wait.
//
// Arithmetic: products of two 16-bit floats are exact in f32; they are added to
// the accumulator in order of k, each sum rounded.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/WgmmaDescriptor.h"

#include "test/lib/ptx-emulator/Decode.h"
#include "test/lib/ptx-emulator/Float16.h"
#include "test/lib/ptx-emulator/Machine.h"

#include <algorithm>
#include <cstring>

namespace filigree::ptx {

namespace {

constexpr uint32_t flagBFloat = 1, flagTransA = 2, flagTransB = 4,
                   flagNegateA = 8, flagNegateB = 16, flagRegisters = 32,
                   flagPredicate = 64, flagAccumulate = 128;
constexpr int depth = 16; ///< k of one instruction

int columnsOf(const Inst &inst) { return inst.small * 8; }
uint32_t accumulators(const Inst &inst) {
  return static_cast<uint32_t>(columnsOf(inst) / 2);
}

//===----------------------------------------------------------------------===//
// Execution
//===----------------------------------------------------------------------===//

// 32 lanes of an accumulator are 8 rows of 4 columns, so that A varies by
// groups of four lanes and B repeats every four.
typedef float Eight __attribute__((vector_size(32)));

/// sum[32] += a[k][32] * b[k][8 repeated], for 16 k.
#define FILIGREE_ACCUMULATE(attributes, name)                                  \
  attributes void name(float *sum, const float *a, const float *b) {           \
    Eight s[4];                                                                \
    memcpy(s, sum, sizeof(s));                                                 \
    for (int k = 0; k < depth; ++k) {                                          \
      Eight right, left[4];                                                    \
      memcpy(&right, b + 8 * k, sizeof(right));                                \
      memcpy(left, a + 32 * k, sizeof(left));                                  \
      for (int v = 0; v < 4; ++v)                                              \
        s[v] += left[v] * right;                                               \
    }                                                                          \
    memcpy(sum, s, sizeof(s));                                                 \
  }
FILIGREE_ACCUMULATE(__attribute__((target("avx2"))), accumulateWide)
FILIGREE_ACCUMULATE(, accumulatePlain)

float element(uint32_t flags, const uint8_t *at) {
  uint16_t bits;
  memcpy(&bits, at, 2);
  return flags & flagBFloat ? fromBFloat(bits) : fromHalf(bits);
}

void execute(Cta &cta, size_t group, WgmmaOp &op) {
  op.done = true;
  const Inst &inst = cta.program.code[static_cast<size_t>(op.pc)];
  const Slot *list = cta.program.lists.data() + inst.list;
  int columns = columnsOf(inst);
  alignas(32) static thread_local float a[4][2][depth][32], b[32][2][depth][8];

  float signA = inst.flags & flagNegateA ? -1.0f : 1.0f,
        signB = inst.flags & flagNegateB ? -1.0f : 1.0f;
  if (op.fromRegisters) {
    for (int q = 0; q < 4; ++q)
      for (int r = 0; r < 4; ++r) {
        const uint32_t *fragment =
            cta.warps[group * 4 + static_cast<size_t>(q)].at<uint32_t>(
                list[accumulators(inst) + static_cast<uint32_t>(r)]);
        for (int lane = 0; lane < 32; ++lane)
          for (int e = 0; e < 2; ++e) {
            auto bits = static_cast<uint16_t>(fragment[lane] >> (16 * e));
            float value = signA * (inst.flags & flagBFloat ? fromBFloat(bits)
                                                           : fromHalf(bits));
            float *to =
                &a[q][r & 1][2 * (lane % 4) + e + 8 * (r >> 1)][lane & ~3];
            to[0] = to[1] = to[2] = to[3] = value;
          }
      }
  } else {
    MatrixDescriptor matrix(op.descriptorA, inst.flags & flagTransA);
    for (int m = 0; m < 64; ++m)
      for (int k = 0; k < depth; ++k) {
        float value = signA * element(inst.flags,
                                      cta.shared.data() +
                                          (matrix.address(m, k) - sharedStart));
        float *to = &a[m / 16][m / 8 & 1][k][(m % 8) * 4];
        to[0] = to[1] = to[2] = to[3] = value;
      }
  }
  MatrixDescriptor matrix(op.descriptorB, inst.flags & flagTransB);
  for (int n = 0; n < columns; ++n)
    for (int k = 0; k < depth; ++k) {
      float value =
          signB * element(inst.flags, cta.shared.data() +
                                          (matrix.address(n, k) - sharedStart));
      float *to = &b[n / 8][n & 1][k][n % 8 / 2];
      to[0] = to[4] = value;
    }
  static const bool wide = __builtin_cpu_supports("avx2");
  for (int q = 0; q < 4; ++q) {
    Warp &warp = cta.warps[group * 4 + static_cast<size_t>(q)];
    for (uint32_t i = 0; i < accumulators(inst); ++i) {
      float *sum = warp.at<float>(list[i]);
      if (!op.accumulate)
        memset(sum, 0, 32 * sizeof(float));
      (wide ? accumulateWide : accumulatePlain)(sum, a[q][i >> 1 & 1][0],
                                                b[i / 4][i & 1][0]);
    }
  }
}

//===----------------------------------------------------------------------===//
// Issue
//===----------------------------------------------------------------------===//

std::string registerName(Cta &cta, Slot slot) {
  int reg = cta.program.registerOf[slot / 64];
  return reg < 0
             ? "?"
             : cta.program.function->registers[static_cast<size_t>(reg)].name;
}

void checkRegisters(Warp &warp, const Inst &inst) {
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst), thread = warp.thread(0);
  const Slot *list = cta.program.lists.data() + inst.list;
  for (uint32_t i = 0; i < inst.listCount; ++i) {
    bool isAccumulator = i < accumulators(inst);
    uint32_t use = list[i] / 64;
    if (warp.touched[use] > warp.fenceStamp || !warp.fenceStamp)
      cta.report(Kind::WgmmaFence, pc, thread, 0,
                 text("warp %d uses register %s, which it accessed after its "
                      "last wgmma.fence",
                      warp.index, registerName(cta, list[i]).c_str()));
    if (isAccumulator ? warp.operandsInFlight[use]
                      : warp.accumulatorsInFlight[use])
      cta.report(Kind::RegisterInFlight, pc, thread, 0,
                 text("warp %d uses register %s as %s, but a wgmma in flight "
                      "uses it as %s",
                      warp.index, registerName(cta, list[i]).c_str(),
                      isAccumulator ? "accumulator" : "matrix A",
                      isAccumulator ? "matrix A" : "accumulator"));
    if (isAccumulator && warp.accumulatorsInFlight[use] &&
        warp.lastShape[use] != inst.small)
      cta.report(Kind::WgmmaFence, pc, thread, 0,
                 text("register %s of warp %d accumulates wgmmas of two shapes "
                      "without a wait",
                      registerName(cta, list[i]).c_str(), warp.index));
  }
}

void markRegisters(Warp &warp, const Inst &inst) {
  const Slot *list = warp.cta.program.lists.data() + inst.list;
  for (uint32_t i = 0; i < inst.listCount; ++i) {
    uint32_t use = list[i] / 64;
    if (i < accumulators(inst)) {
      warp.accumulatorsInFlight[use] = 1;
      warp.lastShape[use] = inst.small;
    } else {
      warp.operandsInFlight[use] = 1;
    }
  }
}

/// Descriptor, bounds and races of one operand; false: nothing to multiply.
bool checkMatrix(Cta &cta, const Inst &inst, int group, uint64_t bits,
                 bool transposed, int extent, const Accessor &by) {
  int pc = cta.pcOf(inst);
  MatrixDescriptor matrix(bits, transposed);
  std::string fault = matrix.fault();
  if (!fault.empty()) {
    cta.report(Kind::Descriptor, pc, group * 128, matrix.start(),
               text("descriptor 0x%llx: ", (unsigned long long)bits) + fault);
    return false;
  }
  // Chunks of 16 bytes: eight elements along the contiguous direction.
  int outer = transposed ? depth : extent, inner = transposed ? extent : depth;
  for (int o = 0; o < outer; ++o)
    for (int i = 0; i < inner; i += 8) {
      uint32_t address =
          transposed ? matrix.address(i, o) : matrix.address(o, i);
      if (address < sharedStart || address + 16 > cta.sharedEnd()) {
        cta.report(
            Kind::Descriptor, pc, group * 128, address,
            text("descriptor 0x%llx reaches shared 0x%x, outside 0x%x to 0x%x",
                 (unsigned long long)bits, address, sharedStart,
                 cta.sharedEnd()));
        return false;
      }
      if (cta.shadow)
        cta.shadow->read(address, 16, by);
    }
  return true;
}

void issue(Cta &cta, int index) {
  Warpgroup &group = cta.warpgroups[static_cast<size_t>(index)];
  WgmmaOp op = group.gathering;
  const Inst &inst = cta.program.code[static_cast<size_t>(op.pc)];
  group.gathering = WgmmaOp();
  group.arrived = 0;
  op.number = ++group.issued;
  ++cta.counters().wgmmas;
  if (!group.agent)
    group.agent =
        cta.newAgent({AgentName::Wgmma, static_cast<uint32_t>(index)});
  Clocks known;
  if (cta.shadow) {
    // What all 128 threads know.
    const Clocks *last = nullptr;
    for (int t = 0; t < 128; ++t) {
      const Clocks *clocks = cta.warps[static_cast<size_t>(index * 4 + t / 32)]
                                 .clocks[t % 32]
                                 .get();
      if (t == 0)
        known = *clocks;
      else if (clocks != last)
        known.meet(*clocks);
      last = clocks;
    }
  }
  Accessor by{};
  by.clocks = &known;
  by.self = -1;
  by.agent = group.agent;
  by.clock = static_cast<uint32_t>(op.number);
  by.pc = op.pc;
  by.async = true;
  bool good = true;
  if (!op.fromRegisters)
    good &= checkMatrix(cta, inst, index, op.descriptorA,
                        inst.flags & flagTransA, 64, by);
  good &= checkMatrix(cta, inst, index, op.descriptorB, inst.flags & flagTransB,
                      columnsOf(inst), by);
  if (!good)
    op.done = true;
  else if (cta.launch.options.timing == Timing::Eager)
    execute(cta, static_cast<size_t>(index), op);
  group.ops.push_back(op);
}

Outcome multiply(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  Split &split = *warp.current;
  int pc = cta.pcOf(inst), index = warp.index / 4, thread = warp.thread(0);
  if (split.wait.reason == Wait::Warpgroup) {
    if (!split.wait.released)
      return Outcome::Wait;
    split.wait = Wait();
    return Outcome::Next;
  }
  if (lanes != ~0u || static_cast<size_t>(index) * 4 + 4 > cta.warps.size())
    return cta.stop(
        Kind::Divergence, pc, thread, 0,
        text("only lanes 0x%08x of warp %d take part, all of a warpgroup must",
             lanes, warp.index));
  Warpgroup &group = cta.warpgroups[static_cast<size_t>(index)];
  WgmmaOp mine;
  mine.pc = pc;
  mine.fromRegisters = inst.flags & flagRegisters;
  mine.accumulate = inst.flags & flagPredicate ? warp.pred(inst.src[2]) & 1
                                               : inst.flags & flagAccumulate;
  const uint64_t *a = mine.fromRegisters ? nullptr
                                         : warp.at<uint64_t>(inst.src[0]),
                 *b = warp.at<uint64_t>(inst.src[1]);
  mine.descriptorA = a ? a[0] : 0;
  mine.descriptorB = b[0];
  bool uniform = !(inst.flags & flagPredicate) || warp.pred(inst.src[2]) == 0 ||
                 warp.pred(inst.src[2]) == ~0u;
  for (int lane = 1; lane < 32; ++lane)
    uniform &= (!a || a[lane] == a[0]) && b[lane] == b[0];
  WgmmaOp &first = group.gathering;
  if (group.arrived)
    uniform &= first.pc == pc && first.descriptorA == mine.descriptorA &&
               first.descriptorB == mine.descriptorB &&
               first.accumulate == mine.accumulate;
  if (!uniform)
    return cta.stop(Kind::Descriptor, pc, thread, 0,
                    text("the threads of warpgroup %d do not agree on the "
                         "instruction or its descriptors",
                         index));
  if (!warp.fenceStamp)
    cta.report(Kind::WgmmaFence, pc, thread, 0,
               text("warp %d has executed no wgmma.fence", warp.index));
  else
    checkRegisters(warp, inst);
  markRegisters(warp, inst);
  ++warp.inFlight;
  if (!group.arrived)
    first = mine;
  first.group[warp.index % 4] = warp.wgmmaGroup;
  if (++group.arrived < 4) {
    split.wait = {Wait::Warpgroup, static_cast<uint32_t>(index), 0, false};
    return Outcome::Wait;
  }
  for (int q = 0; q < 4; ++q)
    for (Split &other : cta.warps[static_cast<size_t>(index * 4 + q)].splits)
      if (other.wait.reason == Wait::Warpgroup)
        other.wait.released = true;
  issue(cta, index);
  return Outcome::Next;
}

//===----------------------------------------------------------------------===//
// Fence, commit, wait
//===----------------------------------------------------------------------===//

Outcome fence(Warp &warp, const Inst &, uint32_t) {
  warp.fenceStamp = ++warp.stamp;
  return Outcome::Next;
}

Outcome commit(Warp &warp, const Inst &, uint32_t) {
  ++warp.wgmmaGroup;
  return Outcome::Next;
}

Outcome waitGroup(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  size_t index = static_cast<size_t>(warp.index) / 4;
  if (index >= cta.warpgroups.size())
    return Outcome::Next;
  Warpgroup &group = cta.warpgroups[index];
  int q = warp.index % 4;
  int64_t limit = static_cast<int64_t>(warp.wgmmaGroup) - inst.imm;
  for (WgmmaOp &op : group.ops) {
    if (static_cast<int64_t>(op.group[q]) >= limit)
      break;
    if (!op.done)
      execute(cta, index, op);
    if (op.number > group.waited[q]) {
      group.waited[q] = op.number;
      --warp.inFlight;
    }
  }
  std::fill(warp.accumulatorsInFlight.begin(), warp.accumulatorsInFlight.end(),
            0);
  std::fill(warp.operandsInFlight.begin(), warp.operandsInFlight.end(), 0);
  for (const WgmmaOp &op : group.ops)
    if (op.number > group.waited[q])
      markRegisters(warp, cta.program.code[static_cast<size_t>(op.pc)]);
  while (!group.ops.empty() &&
         *std::min_element(group.waited, group.waited + 4) >=
             group.ops.front().number)
    group.ops.pop_front();
  if (cta.shadow && group.agent) {
    Clocks known;
    known.raise(group.agent, static_cast<uint32_t>(group.waited[q]), 0);
    cta.acquire(warp, lanes, known);
  }
  return Outcome::Next;
}

} // namespace

bool retireWgmma(Cta &cta) {
  if (cta.warpgroups.empty())
    return false;
  size_t from = cta.random() % cta.warpgroups.size();
  for (size_t i = 0; i < cta.warpgroups.size(); ++i) {
    size_t index = (from + i) % cta.warpgroups.size();
    for (WgmmaOp &op : cta.warpgroups[index].ops)
      if (!op.done) {
        execute(cta, index, op);
        return true;
      }
  }
  return false;
}

void reportWgmmaLeaks(Cta &cta) {
  for (size_t index = 0; index < cta.warpgroups.size(); ++index)
    for (int q = 0; q < 4; ++q)
      for (const WgmmaOp &op : cta.warpgroups[index].ops)
        if (op.number > cta.warpgroups[index].waited[q]) {
          int warp = static_cast<int>(index) * 4 + q;
          cta.report(Kind::Leak, op.pc, warp * 32, 0,
                     text("warp %d ends without waiting for its wgmma", warp));
          break;
        }
}

void checkInFlight(Warp &warp, const Inst &inst, uint32_t lanes) {
  Cta &cta = warp.cta;
  const int *uses = cta.program.uses.data() + inst.uses;
  for (uint32_t i = 0; i < inst.readCount + inst.writeCount; ++i) {
    auto use = static_cast<size_t>(uses[i]);
    if (!warp.accumulatorsInFlight[use] && !warp.operandsInFlight[use])
      continue;
    int thread = warp.thread(__builtin_ctz(lanes));
    cta.report(
        Kind::RegisterInFlight, cta.pcOf(inst), thread, 0,
        text("thread %d %s register %s, %s of a wgmma that it has not waited "
             "for",
             thread, i < inst.readCount ? "reads" : "writes",
             registerName(cta, static_cast<Slot>(uses[i]) * 64).c_str(),
             warp.accumulatorsInFlight[use] ? "an accumulator" : "matrix A"));
  }
}

bool decodeWgmma(Decoder &d, Opcode &op, Inst &inst) {
  if (op.name() != "wgmma")
    return false;
  int what = op.takeOneOf({"mma_async", "fence", "commit_group", "wait_group"});
  op.take("sync");
  op.take("aligned");
  inst.converge = Converge::Aligned;
  inst.ownsRegisters = true;
  if (what == 1 || what == 2) {
    inst.run = what == 1 ? fence : commit;
    return true;
  }
  if (what == 3) {
    if (d.operandCount(1, 1))
      d.constant(d.operand(0), inst.imm);
    inst.run = waitGroup;
    return true;
  }
  d.program.usesWgmma = true;
  int columns = 0;
  for (int n = 8; n <= 256; n += 8)
    if (op.take(("m64n" + std::to_string(n) + "k16").c_str()))
      columns = n;
  Type result = op.takeType(), a = op.takeType(), b = op.takeType();
  if (what != 0 || !columns || result != Type::F32 || a != b ||
      (a != Type::F16 && a != Type::BF16))
    return d.fail("unsupported form of wgmma"), true;
  inst.small = static_cast<uint8_t>(columns / 8);
  bool registers = d.operands() > 1 && d.operand(1).kind == Operand::Vector;
  size_t count = registers ? 7 : 8;
  if (!d.operandCount(count, count))
    return true;
  inst.flags =
      (a == Type::BF16 ? flagBFloat : 0) | (registers ? flagRegisters : 0);
  // The accumulator is read as well as written; both are in one list.
  if (d.operand(0).parts.size() != static_cast<size_t>(columns / 2))
    return d.fail("expected " + std::to_string(columns / 2) +
                  " accumulators, but got " +
                  std::to_string(d.operand(0).parts.size())),
           true;
  if (!d.writeList(inst, d.operand(0), 32))
    return true;
  if (registers) {
    if (d.operand(1).parts.size() != 4)
      return d.fail("expected 4 registers of matrix A"), true;
    d.readList(inst, d.operand(1), 32);
  } else {
    inst.src[0] = d.read(d.operand(1), 64);
  }
  inst.src[1] = d.read(d.operand(2), 64);
  const Operand &scale = d.operand(3);
  if (scale.kind == Operand::Integer) {
    inst.flags |= scale.value ? flagAccumulate : 0;
  } else {
    inst.flags |= flagPredicate;
    inst.src[2] = d.readPred(scale);
  }
  int64_t value[4] = {1, 1, 0, 0};
  for (size_t i = 4; i < count; ++i)
    if (!d.constant(d.operand(i), value[registers && i == 6 ? 3 : i - 4]))
      return true;
  if (std::abs(value[0]) != 1 || std::abs(value[1]) != 1 || value[2] < 0 ||
      value[2] > 1 || value[3] < 0 || value[3] > 1)
    return d.fail("expected scales of 1 or -1 and transpositions of 0 or 1"),
           true;
  inst.flags |= (value[0] < 0 ? flagNegateA : 0) |
                (value[1] < 0 ? flagNegateB : 0) | (value[2] ? flagTransA : 0) |
                (value[3] ? flagTransB : 0);
  inst.mayWait = true;
  inst.run = multiply;
  return true;
}

} // namespace filigree::ptx
