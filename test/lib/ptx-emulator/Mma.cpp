//===- Mma.cpp - ldmatrix, stmatrix and mma.sync --------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fragments of a warp, with g = lane / 4 and t = lane % 4:
//   an 8x8 matrix of 16-bit elements: row g, columns 2t and 2t + 1;
//   A, 16 x 16: four of them, (rows, k) = (0, 0), (8, 0), (0, 8), (8, 8);
//   B, 16 x 8: k = 2t, 2t + 1 (and + 8), column g;
//   C and D, 16 x 8 of f32: rows g and g + 8, columns 2t and 2t + 1.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Float16.h"
#include "test/lib/ptx-emulator/Memory.h"

#include <cstring>

namespace filigree::ptx {

namespace {

constexpr uint32_t flagTranspose = 1, flagBFloat = 2, flagTF32 = 4;

/// A whole warp must be there, none of it exited.
bool wholeWarp(Warp &warp, const Inst &inst, uint32_t lanes) {
  if (lanes == ~0u)
    return true;
  warp.cta.stop(Kind::Divergence, warp.cta.pcOf(inst),
                warp.thread(__builtin_ctz(lanes)), 0,
                text("only lanes 0x%08x of warp %d take part, all 32 must",
                     lanes, warp.index));
  return false;
}

template <bool Store>
Outcome matrix(Warp &warp, const Inst &inst, uint32_t lanes) {
  if (!wholeWarp(warp, inst, lanes))
    return Outcome::Stop;
  Cta &cta = warp.cta;
  int pc = cta.pcOf(inst);
  bool transpose = inst.flags & flagTranspose;
  for (uint32_t m = 0; m < inst.listCount; ++m) {
    auto *fragment = warp.at<uint32_t>(cta.program.lists[inst.list + m]);
    uint16_t value[8][8];
    uint8_t *rows[8];
    if (Store)
      for (int lane = 0; lane < 32; ++lane)
        for (int e = 0; e < 2; ++e) {
          auto half = static_cast<uint16_t>(fragment[lane] >> (16 * e));
          (transpose ? value[2 * (lane % 4) + e][lane / 4]
                     : value[lane / 4][2 * (lane % 4) + e]) = half;
        }
    for (int row = 0; row < 8; ++row) {
      int lane = static_cast<int>(m) * 8 + row;
      uint64_t address =
          baseOf(warp, inst, lane) + static_cast<uint64_t>(inst.imm);
      rows[row] =
          access(warp, lane, pc, Space::Shared, sharedAddress(address), 16,
                 Store ? Use::Write : Use::ReadMatrix, false,
                 Store ? reinterpret_cast<uint8_t *>(value[row]) : nullptr);
      if (Store && rows[row])
        memcpy(rows[row], value[row], 16);
      if (!Store) {
        memset(value[row], 0, 16);
        if (rows[row])
          memcpy(value[row], rows[row], 16);
      }
    }
    if (Store)
      continue;
    for (int lane = 0; lane < 32; ++lane) {
      int g = lane / 4, t = 2 * (lane % 4);
      fragment[lane] =
          transpose
              ? value[t][g] | static_cast<uint32_t>(value[t + 1][g]) << 16
              : value[g][t] | static_cast<uint32_t>(value[g][t + 1]) << 16;
    }
  }
  return Outcome::Next;
}

/// list: D (4), A, B, C (4); inst.small: K.
Outcome multiply(Warp &warp, const Inst &inst, uint32_t lanes) {
  if (!wholeWarp(warp, inst, lanes))
    return Outcome::Stop;
  ++warp.cta.counters().mmas;
  const Slot *list = warp.cta.program.lists.data() + inst.list;
  int k = inst.small;
  bool wide = inst.flags & flagTF32, bfloat = inst.flags & flagBFloat;
  int aCount = wide ? k / 2 : k / 4, bCount = wide ? k / 4 : k / 8;
  float a[16][16], b[16][8], sum[16][8];
  auto half = [&](uint32_t bits, int e) {
    auto x = static_cast<uint16_t>(bits >> (16 * e));
    return bfloat ? fromBFloat(x) : fromHalf(x);
  };
  // The tensor core looks at the upper 19 bits of a tf32.
  auto tf32 = [](uint32_t bits) { return bitsAs<float>(bits & 0xffffe000); };
  for (int i = 0; i < aCount; ++i) {
    const uint32_t *r = warp.at<uint32_t>(list[4 + i]);
    for (int lane = 0; lane < 32; ++lane) {
      int row = lane / 4 + 8 * (i & 1), t = lane % 4;
      if (wide)
        a[row][t + 4 * (i >> 1)] = tf32(r[lane]);
      else
        for (int e = 0; e < 2; ++e)
          a[row][2 * t + e + 8 * (i >> 1)] = half(r[lane], e);
    }
  }
  for (int i = 0; i < bCount; ++i) {
    const uint32_t *r = warp.at<uint32_t>(list[4 + aCount + i]);
    for (int lane = 0; lane < 32; ++lane) {
      int column = lane / 4, t = lane % 4;
      if (wide)
        b[t + 4 * i][column] = tf32(r[lane]);
      else
        for (int e = 0; e < 2; ++e)
          b[2 * t + e + 8 * i][column] = half(r[lane], e);
    }
  }
  for (int i = 0; i < 4; ++i) {
    const float *c = warp.at<float>(list[4 + aCount + bCount + i]);
    for (int lane = 0; lane < 32; ++lane)
      sum[lane / 4 + 8 * (i >> 1)][2 * (lane % 4) + (i & 1)] = c[lane];
  }
  for (int row = 0; row < 16; ++row)
    for (int step = 0; step < k; ++step)
      for (int column = 0; column < 8; ++column)
        sum[row][column] += a[row][step] * b[step][column];
  for (int i = 0; i < 4; ++i) {
    float *d = warp.at<float>(list[i]);
    for (int lane = 0; lane < 32; ++lane)
      d[lane] = sum[lane / 4 + 8 * (i >> 1)][2 * (lane % 4) + (i & 1)];
  }
  return Outcome::Next;
}

} // namespace

bool decodeMma(Decoder &d, Opcode &op, Inst &inst) {
  const std::string &name = op.name();
  if (name == "ldmatrix" || name == "stmatrix") {
    bool store = name[0] == 's';
    op.take("sync");
    op.take("aligned");
    int count = op.takeOneOf({"x1", "x2", "x4"});
    inst.flags = op.take("trans") ? flagTranspose : 0;
    op.takeSpace();
    if (!op.take("m8n8") || op.takeType() != Type::B16 || count < 0 ||
        !d.operandCount(2, 2))
      return d.fail("unsupported form of " + name), true;
    const Operand &values = d.operand(store ? 1 : 0);
    if (!d.address(inst, d.operand(store ? 0 : 1)) ||
        !(store ? d.readList(inst, values, 32) : d.writeList(inst, values, 32)))
      return true;
    if (inst.listCount != 1u << count)
      return d.fail("expected " + std::to_string(1 << count) + " registers"),
             true;
    inst.converge = Converge::Aligned;
    inst.run = store ? matrix<true> : matrix<false>;
    return true;
  }
  if (name != "mma")
    return false;
  op.take("sync");
  op.take("aligned");
  int shape = op.takeOneOf({"m16n8k16", "m16n8k8", "m16n8k4"});
  bool layout = op.take("row") && op.take("col");
  Type result = op.takeType(), a = op.takeType(), b = op.takeType(),
       c = op.takeType();
  bool halves = (a == Type::F16 || a == Type::BF16) && shape <= 1;
  bool wide = a == Type::TF32 && shape >= 1;
  if (shape < 0 || !layout || a != b || result != Type::F32 || c != Type::F32 ||
      !(halves || wide))
    return d.fail("unsupported form of mma"), true;
  int k = shape == 0 ? 16 : shape == 1 ? 8 : 4;
  inst.small = static_cast<uint8_t>(k);
  inst.flags = (a == Type::BF16 ? flagBFloat : 0) | (wide ? flagTF32 : 0);
  size_t sizes[] = {4, static_cast<size_t>(wide ? k / 2 : k / 4),
                    static_cast<size_t>(wide ? k / 4 : k / 8), 4};
  if (!d.operandCount(4, 4))
    return true;
  for (size_t i = 0; i < 4; ++i) {
    const Operand &part = d.operand(i);
    size_t count = part.kind == Operand::Vector ? part.parts.size() : 1;
    if (count != sizes[i])
      return d.fail("expected " + std::to_string(sizes[i]) +
                    " registers, but got " + std::to_string(count)),
             true;
    if (!(i ? d.readList(inst, part, 32) : d.writeList(inst, part, 32)))
      return true;
  }
  inst.converge = Converge::Aligned;
  inst.run = multiply;
  return true;
}

} // namespace filigree::ptx
