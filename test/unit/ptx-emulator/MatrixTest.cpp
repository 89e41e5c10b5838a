//===- MatrixTest.cpp - fragments, descriptors and products
//----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The layouts are built here in their own words, element by element, from the
// tables of the PTX manual, and not with the emulator's functions.
//
//===----------------------------------------------------------------------===//
#include "Harness.h"

using namespace filigree::ptx;
using namespace filigree::ptx::test;

namespace {

const char *const dynamicShared = ".extern .shared .align 1024 .b8 dyn[];";

uint16_t bfloat(int value) { return toBFloat(float(value)); }
std::string list(const std::string &name, int count, int from = 0) {
  std::string all = "{";
  for (int i = 0; i < count; ++i)
    all += (i ? ", " : "") + name + std::to_string(from + i);
  return all + "}";
}

//===----------------------------------------------------------------------===//
// mma.sync
//===----------------------------------------------------------------------===//

/// One warp: A 16 x k and B k x 8 (as columns) from fragments that the host
/// made; D from registers.
void multiplyInAWarp(const std::string &type, int k, uint32_t (*encode)(int),
                     int perRegister) {
  int aRegisters = 16 * k / 32 / perRegister,
      bRegisters = 8 * k / 32 / perRegister;
  Aligned<uint32_t> a(size_t(32 * aRegisters)), b(size_t(32 * bRegisters)),
      out(128);
  for (int lane = 0; lane < 32; ++lane) {
    int g = lane / 4, t = lane % 4;
    for (int r = 0; r < aRegisters; ++r)
      for (int e = 0; e < perRegister; ++e) {
        // Registers 0 and 1 are rows g and g + 8, 2 and 3 the upper half of k.
        int row = g + (r % 2) * 8,
            column = t * perRegister + e + (r / 2) * 4 * perRegister;
        a[size_t(lane * aRegisters + r)] |= encode(pattern(row, column))
                                            << (16 * e);
      }
    for (int r = 0; r < bRegisters; ++r)
      for (int e = 0; e < perRegister; ++e)
        b[size_t(lane * bRegisters + r)] |=
            encode(pattern(t * perRegister + e + r * 4 * perRegister, g + 50))
            << (16 * e);
  }
  std::string body = ".reg .b32 %t, %a<4>, %b<2>, %c<4>, %d<4>, %x;\n.reg .b64 "
                     "%pa, %pb, %po, %o;\nmov.u32 %t, %tid.x;\n"
                     "ld.param.u64 %pa, [p0];\nld.param.u64 %pb, "
                     "[p1];\nld.param.u64 %po, [p2];\n"
                     "mul.wide.u32 %o, %t, " +
                     std::to_string(4 * aRegisters) +
                     ";\nadd.s64 %pa, %pa, %o;\n"
                     "mul.wide.u32 %o, %t, " +
                     std::to_string(4 * bRegisters) +
                     ";\nadd.s64 %pb, %pb, %o;\n"
                     "mul.wide.u32 %o, %t, 16;\nadd.s64 %po, %po, %o;\n";
  for (int r = 0; r < aRegisters; ++r)
    body += "ld.global.b32 %a" + std::to_string(r) + ", [%pa+" +
            std::to_string(4 * r) + "];\n";
  for (int r = 0; r < bRegisters; ++r)
    body += "ld.global.b32 %b" + std::to_string(r) + ", [%pb+" +
            std::to_string(4 * r) + "];\n";
  for (int r = 0; r < 4; ++r)
    body += "mov.b32 %c" + std::to_string(r) + ", 0f3F800000;\n";
  body += "mma.sync.aligned.m16n8k" + std::to_string(k) + ".row.col.f32." +
          type + "." + type + ".f32 " + list("%d", 4) + ", " +
          list("%a", aRegisters) + ", " + list("%b", bRegisters) + ", " +
          list("%c", 4) + ";\nst.global.v4.b32 [%po], " + list("%d", 4) +
          ";\nret;";
  Bench bench(".param .u64 p0, .param .u64 p1, .param .u64 p2", body, "",
              "sm_80");
  bench.buffer(a, "a").buffer(b, "b").buffer(out, "out");
  bench.expectClean(32, 0, [&] {
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column) {
        int want = 1;
        for (int i = 0; i < k; ++i)
          want += pattern(row, i) * pattern(i, column + 50);
        int lane = row % 8 * 4 + column / 2, r = row / 8 * 2 + column % 2;
        ASSERT_EQ(bitsAs<float>(out[size_t(lane * 4 + r)]), float(want))
            << type << " row " << row << " column " << column;
      }
  });
}

TEST(Mma, everyShape) {
  auto bf16 = [](int v) -> uint32_t { return bfloat(v); };
  auto f16 = [](int v) -> uint32_t { return toHalf(v); };
  auto tf32 = [](int v) -> uint32_t { return bits(float(v)); };
  multiplyInAWarp("bf16", 16, bf16, 2);
  multiplyInAWarp("bf16", 8, bf16, 2);
  multiplyInAWarp("f16", 16, f16, 2);
  multiplyInAWarp("f16", 8, f16, 2);
  multiplyInAWarp("tf32", 8, tf32, 1);
  multiplyInAWarp("tf32", 4, tf32, 1);
}

//===----------------------------------------------------------------------===//
// ldmatrix, stmatrix
//===----------------------------------------------------------------------===//

/// 32 rows of 8 elements in shared memory, element = 8 * row + column; each
/// lane loads, by `load`, and stores four words.
Aligned<uint32_t> &loadMatrices(Aligned<uint32_t> &out, const std::string &load,
                                const std::string &store = "") {
  Bench bench(".param .u64 p0",
              ".reg .pred %p;\n.reg .b16 %h;\n.reg .b32 %t, %r<4>, %x, %y, %i, "
              "%sm;\n.reg .b64 %po, %o;\nmov.u32 %t, %tid.x;\n"
              "ld.param.u64 %po, [p0];\nmul.wide.u32 %o, %t, 16;\nadd.s64 %po, "
              "%po, %o;\nmov.b32 %sm, dyn;\n"
              "shl.b32 %x, %t, 4;\nadd.s32 %sm, %sm, %x;\nmov.b32 %i, "
              "0;\nL:\nshl.b32 %x, %t, 3;\nadd.s32 %x, %x, %i;\n"
              "cvt.u16.u32 %h, %x;\nshl.b32 %y, %i, 1;\nadd.s32 %y, %y, "
              "%sm;\nst.shared.b16 [%y], %h;\nadd.s32 %i, %i, 1;\n"
              "setp.lt.u32 %p, %i, 8;\n@%p bra L;\nbar.warp.sync -1;\n" +
                  std::string("mov.b32 %r0, 0;\nmov.b32 %r1, 0;\nmov.b32 %r2, "
                              "0;\nmov.b32 %r3, 0;\n") +
                  load + "\n" + store +
                  "\nst.global.v4.b32 [%po], {%r0, %r1, %r2, %r3};\nret;",
              dynamicShared);
  bench.buffer(out, "out").expectClean(32, 512);
  return out;
}

TEST(Matrix, loads) {
  Aligned<uint32_t> out(128);
  loadMatrices(
      out,
      "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r0, %r1, %r2, %r3}, [%sm];");
  for (uint32_t lane = 0; lane < 32; ++lane)
    for (uint32_t m = 0; m < 4; ++m) {
      uint32_t first = 8 * (8 * m + lane / 4) + 2 * (lane % 4);
      ASSERT_EQ(out[lane * 4 + m], first | (first + 1) << 16);
    }
  loadMatrices(
      out,
      "ldmatrix.sync.aligned.m8n8.x2.trans.shared::cta.b16 {%r0, %r1}, [%sm];");
  for (uint32_t lane = 0; lane < 32; ++lane)
    for (uint32_t m = 0; m < 2; ++m) {
      uint32_t first = 8 * (8 * m + 2 * (lane % 4)) + lane / 4;
      ASSERT_EQ(out[lane * 4 + m], first | (first + 8) << 16);
    }
}

TEST(Matrix, storesUndoLoads) {
  Aligned<uint32_t> out(128);
  for (const char *trans : {"", ".trans"}) {
    std::string t = trans;
    loadMatrices(
        out,
        "ldmatrix.sync.aligned.m8n8.x4" + t +
            ".shared.b16 {%r0, %r1, %r2, %r3}, [%sm];\nbar.warp.sync -1;",
        "stmatrix.sync.aligned.m8n8.x4" + t +
            ".shared.b16 [%sm], {%r0, %r1, %r2, %r3};\nbar.warp.sync -1;\n"
            "ld.shared.v4.b32 {%r0, %r1, %r2, %r3}, [%sm];");
    for (uint32_t i = 0; i < 128; ++i)
      ASSERT_EQ(out[i], 2 * i | (2 * i + 1) << 16);
  }
}

//===----------------------------------------------------------------------===//
// wgmma
//===----------------------------------------------------------------------===//

enum Layout { None, Swizzle128, Swizzle64, Swizzle32 }; // as descriptors count
constexpr int widthOf[] = {16, 128, 64, 32};

/// A matrix of `rows` x 16 (K-major) or its transpose, as it must lie.
struct Tile {
  Layout layout;
  bool transposed;
  int leading, stride, bytes;

  /// Byte offset from a base at a multiple of 1024, before the swizzle.
  int linear(int row, int k) const {
    int width = widthOf[layout];
    if (!transposed) {
      // Groups of eight rows; a row is `width` bytes, or two pieces apart.
      int in = layout == None ? k / 8 * leading + k % 8 * 2 : k * 2;
      return row / 8 * stride + row % 8 * width + in;
    }
    int atom = width / 2; // elements of the row direction side by side
    int acrossRows = layout == None ? stride : leading,
        acrossK = layout == None ? leading : stride;
    return row / atom * acrossRows + k / 8 * acrossK + k % 8 * width +
           row % atom * 2;
  }
  int place(int row, int k) const {
    int at = linear(row, k), line = at / 128, chunk = at % 128 / 16;
    chunk ^= layout == Swizzle128  ? line % 8
             : layout == Swizzle64 ? line % 4
             : layout == Swizzle32 ? line % 2
                                   : 0;
    return line * 128 + chunk * 16 + at % 16;
  }
  uint64_t descriptor(uint64_t address) const {
    return (address & 0x3ffff) >> 4 | uint64_t(leading >> 4) << 16 |
           uint64_t(stride >> 4) << 32 | uint64_t(layout) << 62;
  }
};

Tile tileFor(Layout layout, bool transposed, int rows) {
  int width = widthOf[layout];
  Tile tile{layout, transposed, 16, 0, 0};
  if (!transposed) {
    tile.stride = layout == None ? 256 : 8 * width;
    if (layout == None)
      tile.leading = 128;
  } else if (layout == None) {
    tile.stride = 128;               // next eight rows
    tile.leading = (rows / 8) * 128; // next eight k
  } else {
    tile.stride = 8 * width;      // next eight k
    tile.leading = 2 * 8 * width; // next atom of rows
  }
  for (int row = 0; row < rows; ++row)
    for (int k = 0; k < 16; ++k)
      tile.bytes = std::max(tile.bytes, tile.linear(row, k) + 2);
  tile.bytes = (tile.bytes + 1023) / 1024 * 1024;
  return tile;
}

/// D = D0 + A B with A 64 x 16 and B 16 x n, D0 = 1 if it accumulates.
void multiplyInAWarpgroup(Layout a, bool transA, Layout b, bool transB, int n,
                          bool fromRegisters, bool half = false,
                          bool accumulate = true, int scaleA = 1,
                          int scaleB = 1) {
  Tile left = tileFor(a, transA, 64), right = tileFor(b, transB, n);
  int total = left.bytes + right.bytes;
  Aligned<uint16_t> image(size_t(total / 2));
  Aligned<uint32_t> fragments(512), out(size_t(64 * n));
  auto encode = [&](int v) { return half ? toHalf(v) : bfloat(v); };
  auto valueA = [](int m, int k) { return pattern(m, k); };
  auto valueB = [](int k, int c) { return pattern(k + 3, c * 5 + 1); };
  for (int m = 0; m < 64; ++m)
    for (int k = 0; k < 16; ++k)
      image[size_t(left.place(m, k) / 2)] = encode(valueA(m, k));
  for (int c = 0; c < n; ++c)
    for (int k = 0; k < 16; ++k)
      image[size_t((left.bytes + right.place(c, k)) / 2)] =
          encode(valueB(k, c));
  for (int t = 0; t < 128; ++t)
    for (int r = 0; r < 4; ++r)
      for (int e = 0; e < 2; ++e) {
        int m = t / 32 * 16 + t % 32 / 4 + r % 2 * 8,
            k = t % 4 * 2 + e + r / 2 * 8;
        fragments[size_t(t * 4 + r)] |= uint32_t(encode(valueA(m, k)))
                                        << (16 * e);
      }
  int registers = n / 2;
  std::string type = half ? "f16" : "bf16", count = std::to_string(registers);
  std::string body =
      ".reg .pred %p;\n.reg .b32 %t, %x, %y, %sm, %a<4>, %c<" + count +
      ">, %v<4>;\n.reg .b64 %pi, %pf, %po, %o, %da, %db;\n"
      "mov.u32 %t, %tid.x;\nld.param.u64 %pi, [p0];\nld.param.u64 %pf, "
      "[p1];\nld.param.u64 %po, [p2];\n"
      "ld.param.u64 %da, [p3];\nld.param.u64 %db, [p4];\nshl.b32 %x, %t, 4;\n"
      "L:\ncvt.u64.u32 %o, %x;\nadd.s64 %o, %o, %pi;\nld.global.v4.b32 {%v0, "
      "%v1, %v2, %v3}, [%o];\nmov.b32 %y, dyn;\n"
      "add.s32 %y, %y, %x;\nst.shared.v4.b32 [%y], {%v0, %v1, %v2, "
      "%v3};\nadd.s32 %x, %x, 2048;\n"
      "setp.lt.u32 %p, %x, " +
      std::to_string(total) +
      ";\n@%p bra L;\nfence.proxy.async.shared::cta;\nbar.sync 0;\n"
      "mul.wide.u32 %o, %t, 16;\nadd.s64 %pf, %pf, %o;\nld.global.v4.b32 " +
      list("%a", 4) + ", [%pf];\n";
  for (int r = 0; r < registers; ++r)
    body += "mov.b32 %c" + std::to_string(r) + ", 0f3F800000;\n";
  body += "setp.ne.u32 %p, " + std::string(accumulate ? "1" : "0") +
          ", 0;\nwgmma.fence.sync.aligned;\n"
          "wgmma.mma_async.sync.aligned.m64n" +
          std::to_string(n) + "k16.f32." + type + "." + type + " " +
          list("%c", registers) + ", " +
          (fromRegisters ? list("%a", 4) : "%da") + ", %db, %p, " +
          std::to_string(scaleA) + ", " + std::to_string(scaleB) +
          (fromRegisters ? ""
           : transA      ? ", 1"
                         : ", 0") +
          (transB ? ", 1" : ", 0") +
          ";\nwgmma.commit_group.sync.aligned;\n"
          "wgmma.wait_group.sync.aligned 0;\nmul.wide.u32 %o, %t, " +
          std::to_string(4 * registers) + ";\nadd.s64 %po, %po, %o;\n";
  for (int r = 0; r < registers; ++r)
    body += "st.global.b32 [%po+" + std::to_string(4 * r) + "], %c" +
            std::to_string(r) + ";\n";
  Bench bench(".param .u64 p0, .param .u64 p1, .param .u64 p2, .param .u64 p3, "
              ".param .u64 p4",
              body + "ret;", dynamicShared);
  bench.buffer(image, "image")
      .buffer(fragments, "fragments")
      .buffer(out, "out");
  bench.pass(left.descriptor(1024))
      .pass(right.descriptor(1024 + uint64_t(left.bytes)));
  bench.expectClean(128, uint32_t(total), [&] {
    for (int m = 0; m < 64; ++m)
      for (int c = 0; c < n; ++c) {
        int want = accumulate ? 1 : 0;
        for (int k = 0; k < 16; ++k)
          want += scaleA * scaleB * valueA(m, k) * valueB(k, c);
        int thread = m / 16 * 32 + m % 8 * 4 + c % 8 / 2,
            r = c / 8 * 4 + m % 16 / 8 * 2 + c % 2;
        ASSERT_EQ(bitsAs<float>(out[size_t(thread * registers + r)]),
                  float(want))
            << "A layout " << a << transA << " B layout " << b << transB
            << " n " << n << " row " << m << " column " << c;
      }
  });
}

TEST(Wgmma, everyLayoutOfBothOperands) {
  for (Layout layout : {None, Swizzle128, Swizzle64, Swizzle32})
    for (bool transposed : {false, true}) {
      multiplyInAWarpgroup(layout, transposed, Swizzle128, false, 64, false);
      multiplyInAWarpgroup(Swizzle128, false, layout, transposed, 128, false);
    }
}

TEST(Wgmma, everyWidth) {
  for (int n : {8, 16, 24, 32, 96, 192, 256})
    multiplyInAWarpgroup(Swizzle128, false, Swizzle128, false, n, n % 16 == 0);
}

TEST(Wgmma, fragmentsScalesAndTypes) {
  multiplyInAWarpgroup(Swizzle128, false, Swizzle128, true, 64, true);
  multiplyInAWarpgroup(Swizzle128, false, Swizzle64, false, 64, true, true);
  multiplyInAWarpgroup(Swizzle128, false, Swizzle128, false, 64, false, true,
                       false);
  multiplyInAWarpgroup(Swizzle128, false, Swizzle128, false, 64, true, false,
                       true, -1);
  multiplyInAWarpgroup(Swizzle128, false, Swizzle128, false, 64, false, false,
                       true, 1, -1);
}

//===----------------------------------------------------------------------===//
// Planted
//===----------------------------------------------------------------------===//

Bench small(const std::string &body) {
  std::string zero;
  for (int r = 0; r < 4; ++r)
    zero += "mov.b32 %c" + std::to_string(r) + ", 0;\nmov.b32 %a" +
            std::to_string(r) + ", 0;\n";
  return Bench(
      "",
      ".reg .pred %p;\n.reg .b32 %t, %x, %sm, %a<4>, %c<4>, %e<4>;\n.reg .b64 "
      "%d, %d2;\nmov.u32 %t, %tid.x;\n"
      "mov.b32 %sm, dyn;\nshl.b32 %x, %t, 4;\nadd.s32 %sm, %sm, %x;\n" +
          zero + "st.shared.v4.b32 [%sm], " + list("%a", 4) +
          ";\nmov.b64 %d, 0x4000004000010040;\n" + body + "\nret;",
      dynamicShared);
}
const char *const ready = "fence.proxy.async.shared::cta;\nbar.sync 0;\n";
const char *const fenced = "wgmma.fence.sync.aligned;\n";
const char *const product =
    "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%c0, %c1, %c2, %c3}, "
    "{%a0, %a1, %a2, %a3}, %d, 1, 1, 1, 0;\n";
const char *const commit = "wgmma.commit_group.sync.aligned;\n";
const char *const waited = "wgmma.wait_group.sync.aligned 0;\n";

TEST(Wgmma, planted) {
  std::string r = ready, f = fenced, m = product, c = commit, w = waited;
  small(r + f + m + c + w).expectClean(128, 2048);
  small(r + f + m + m + c + w).expectClean(128, 2048);
  small("bar.sync 0;\n" + f + m + c + w)
      .expectFound(128, 2048, Kind::ProxyFence,
                   "the wgmma of warpgroup 0 reads shared 0x400");
  small("fence.proxy.async.shared::cta;\n" + f + m + c + w)
      .expectFound(128, 2048, Kind::Race);
  small(r + m + c + w)
      .expectFound(128, 2048, Kind::WgmmaFence, "has executed no wgmma.fence");
  small(r + f + "mov.b32 %a2, 0;\n" + m + c + w)
      .expectFound(128, 2048, Kind::WgmmaFence, "uses register %a2");
  small(r + f + m + c + w + "mov.b32 %e0, %c1;\n" + m + c + w)
      .expectFound(128, 2048, Kind::WgmmaFence, "uses register %c1");
  small(r + f + m + c + "mov.b32 %e0, %c3;\n" + w)
      .expectFound(128, 2048, Kind::RegisterInFlight,
                   "reads register %c3, an accumulator");
  small(r + f + m + c + "mov.b32 %a0, 1;\n" + w)
      .expectFound(128, 2048, Kind::RegisterInFlight,
                   "writes register %a0, matrix A");
  small(r + f + m + w + "mov.b32 %e0, %c3;\n")
      .expectFound(128, 2048, Kind::RegisterInFlight);
  small(r + f + m + c)
      .expectFound(128, 2048, Kind::Leak, "without waiting for its wgmma");
  small(r + f + m + c + m + c +
        "wgmma.wait_group.sync.aligned 1;\nmov.b32 %e0, %c0;\n" + w)
      .expectFound(128, 2048, Kind::RegisterInFlight);
  small(r + "setp.eq.u32 %p, %t, 0;\n" + f + m + c +
        "@%p st.shared.b32 [dyn+16], 0;\n" + w)
      .expectFound(128, 2048, Kind::Race, "no wgmma.wait_group orders the two");
  small(r + f + m + c + w +
        "bar.sync 0;\nsetp.eq.u32 %p, %t, 0;\n@%p st.shared.b32 [dyn+16], 0;\n")
      .expectClean(128, 2048);
  small(r + "add.s64 %d, %d, 128;\n" + f + m + c + w)
      .expectFound(128, 2048, Kind::Descriptor, "outside 0x400 to 0xc00");
  small(r + "or.b64 %d, %d, 0x2000000000000;\n" + f + m + c + w)
      .expectFound(128, 2048, Kind::Descriptor, "a base offset");
  small(r + "cvt.u64.u32 %d2, %t;\nadd.s64 %d, %d, %d2;\n" + f + m + c + w)
      .expectFound(128, 4096, Kind::Descriptor, "do not agree");
  small(r + "setp.lt.u32 %p, %t, 16;\n@%p bra END;\n" + f + m + c + w + "END:")
      .expectFound(128, 2048, Kind::Divergence, "all of a warpgroup must");
  small("setp.ge.u32 %p, %t, 96;\n@%p bra END;\n" + f + m + c + w + "END:")
      .expectFound(128, 2048, Kind::Deadlock,
                   "waits for the other warps of its warpgroup");
}

} // namespace
