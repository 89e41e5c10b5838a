//===- PlantedTest.cpp - a pipelined kernel and its broken twins
//-----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// C = A B^T for A and B of 64 x 64 T, bf16, T = 5, the shape of the kernels
// that this emulator is for:
//
//   warp 0, one thread              warpgroup 1
//   for each k tile:                for each k tile:
//     wait empty[stage]               wait full[stage]
//     expect bytes on full[stage]     wgmma.fence; 4 wgmma; commit; wait
//     load A and B tiles              arrive at empty[stage], a warp once
//                                   stmatrix C; proxy fence; bar.sync 1
//                                   one thread: store C; wait until read
//
// Every bug is one change of the text, and must be found under each schedule,
// some of them by the answer alone.
//
//===----------------------------------------------------------------------===//
#include "Harness.h"

#include <functional>

using namespace filigree::ptx;
using namespace filigree::ptx::test;

namespace {

constexpr int tiles = 5;

std::string registers(const char *name, int count) {
  std::string all;
  for (int i = 0; i < count; ++i)
    all += (i ? ", " : "") + std::string(name) + std::to_string(i);
  return "{" + all + "}";
}

std::string kernel() {
  std::string text = R"(
.reg .pred %p, %lane0, %first;
.reg .b32 %t, %w, %lane, %sm, %i, %stage, %parity, %bar, %tile, %k, %zero, %x, %y, %z, %row, %addr, %c<32>, %h<16>;
.reg .b64 %mapA, %mapB, %mapC, %da, %db;
mov.u32 %t, %tid.x;
mov.b64 %mapA, p0;
cvta.param.u64 %mapA, %mapA;
mov.b64 %mapB, p1;
cvta.param.u64 %mapB, %mapB;
mov.b64 %mapC, p2;
cvta.param.u64 %mapC, %mapC;
mov.b32 %sm, dyn;
mov.b32 %zero, 0;
setp.ne.u32 %p, %t, 0;
@%p bra READY;
mbarrier.init.shared::cta.b64 [%sm+40960], 1;
mbarrier.init.shared::cta.b64 [%sm+40968], 1;
mbarrier.init.shared::cta.b64 [%sm+40976], 4;
mbarrier.init.shared::cta.b64 [%sm+40984], 4;
fence.mbarrier_init.release.cluster;
READY:
bar.sync 0; // init
mov.b32 %i, 0;
shr.u32 %w, %t, 7;
setp.ne.u32 %p, %w, 0;
@%p bra CONSUMER;
setmaxnreg.dec.sync.aligned.u32 24;
setp.ne.u32 %p, %t, 0;
@%p bra END;

PRODUCER:
and.b32 %stage, %i, 1;
shr.u32 %parity, %i, 1;
and.b32 %parity, %parity, 1;
xor.b32 %parity, %parity, 1;
shl.b32 %x, %stage, 3;
add.s32 %bar, %sm, %x;
WAITEMPTY:
mbarrier.try_wait.parity.shared::cta.b64 %p, [%bar+40976], %parity; // empty
@!%p bra WAITEMPTY;
mbarrier.arrive.expect_tx.shared::cta.b64 _, [%bar+40960], 16384;
shl.b32 %x, %stage, 14;
add.s32 %tile, %sm, %x;
shl.b32 %k, %i, 6;
cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%tile], [%mapA, {%k, %zero}], [%bar+40960];
add.s32 %tile, %tile, 8192;
cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%tile], [%mapB, {%k, %zero}], [%bar+40960];
add.s32 %i, %i, 1;
setp.lt.u32 %p, %i, TILES;
@%p bra PRODUCER;
bra END;

CONSUMER:
setmaxnreg.inc.sync.aligned.u32 240;
and.b32 %lane, %t, 31;
setp.eq.u32 %lane0, %lane, 0;
ZEROES
LOOP:
and.b32 %stage, %i, 1;
shr.u32 %parity, %i, 1;
and.b32 %parity, %parity, 1;
shl.b32 %x, %stage, 3;
add.s32 %bar, %sm, %x;
WAITFULL:
mbarrier.try_wait.parity.shared::cta.b64 %p, [%bar+40960], %parity; // full
@!%p bra WAITFULL;
shl.b32 %x, %stage, 14;
add.s32 %tile, %sm, %x;
and.b32 %tile, %tile, 0x3ffff;
shr.u32 %tile, %tile, 4;
cvt.u64.u32 %da, %tile;
or.b64 %da, %da, 0x4000004000010000;
add.s64 %db, %da, 512;
// early
wgmma.fence.sync.aligned;
PRODUCTS
wgmma.commit_group.sync.aligned;
wgmma.wait_group.sync.aligned 0;
@%lane0 mbarrier.arrive.shared::cta.b64 _, [%bar+40976];
add.s32 %i, %i, 1;
setp.lt.u32 %p, %i, TILES;
@%p bra LOOP;

PACKS
shr.u32 %w, %t, 5;
and.b32 %w, %w, 3;
and.b32 %x, %lane, 7;
shr.u32 %y, %lane, 3;
and.b32 %y, %y, 1;
shl.b32 %y, %y, 3;
shl.b32 %row, %w, 4;
add.s32 %row, %row, %y;
add.s32 %row, %row, %x;
shl.b32 %row, %row, 7;
add.s32 %row, %row, %sm;
shr.u32 %z, %lane, 4;
STORES
fence.proxy.async.shared::cta;
bar.sync 1, 128; // stored
setp.ne.u32 %p, %t, 128;
@%p bra END;
add.s32 %tile, %sm, 32768;
cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%mapC, {%zero, %zero}], [%tile];
cp.async.bulk.commit_group;
cp.async.bulk.wait_group.read 0;
END:
ret;
)";
  auto replace = [&](const std::string &from, const std::string &to) {
    for (size_t at; (at = text.find(from)) != std::string::npos;)
      text.replace(at, from.size(), to);
  };
  std::string zeroes, products, packs, stores;
  for (int i = 0; i < 32; ++i)
    zeroes += "mov.b32 %c" + std::to_string(i) + ", 0;\n";
  for (int k = 0; k < 4; ++k) {
    products += "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " +
                registers("%c", 32) + ", %da, %db, 1, 1, 1, 0, 0;\n";
    if (k < 3)
      products += "add.s64 %da, %da, 2;\nadd.s64 %db, %db, 2;\n";
  }
  for (int i = 0; i < 16; ++i)
    packs += "cvt.rn.bf16x2.f32 %h" + std::to_string(i) + ", %c" +
             std::to_string(2 * i + 1) + ", %c" + std::to_string(2 * i) + ";\n";
  for (int j = 0; j < 4; ++j) {
    std::string four = "{%h" + std::to_string(4 * j) + ", %h" +
                       std::to_string(4 * j + 1) + ", %h" +
                       std::to_string(4 * j + 2) + ", %h" +
                       std::to_string(4 * j + 3) + "}";
    stores += "add.s32 %addr, %z, " + std::to_string(2 * j) +
              ";\nxor.b32 %addr, %addr, %x; // swizzle\n"
              "shl.b32 %addr, %addr, 4;\nadd.s32 %addr, %addr, %row;\n"
              "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%addr+32768], " +
              four + ";\n";
  }
  replace("TILES", std::to_string(tiles));
  replace("ZEROES", zeroes);
  replace("PRODUCTS", products);
  replace("PACKS", packs);
  replace("STORES", stores);
  return text;
}

class Pipeline : public testing::Test {
protected:
  static constexpr int depth = 64 * tiles;
  Aligned<uint16_t> a{64 * depth}, b{64 * depth}, c{64 * 64};
  alignas(64) char mapA[128], mapB[128], mapC[128];
  unsigned swizzle = 3;

  void SetUp() override {
    for (int m = 0; m < 64; ++m)
      for (int k = 0; k < depth; ++k) {
        a[size_t(m * depth + k)] = toBFloat(float(pattern(m, k)));
        b[size_t(m * depth + k)] = toBFloat(float(pattern(k, m + 9)));
      }
  }

  /// The kernel with every `from` replaced by `to`; `from` must be there.
  Bench make(const std::string &from = "", const std::string &to = "") {
    std::string text = kernel();
    size_t count = 0;
    for (size_t at = 0;
         !from.empty() && (at = text.find(from, at)) != std::string::npos;
         at += to.size(), ++count)
      text.replace(at, from.size(), to);
    EXPECT_EQ(count == 0, from.empty()) << from;
    Bench bench(".param .align 64 .b8 p0[128], .param .align 64 .b8 p1[128], "
                ".param .align 64 .b8 p2[128]",
                text, ".extern .shared .align 1024 .b8 dyn[];");
    encode(mapA, a, depth, swizzle);
    encode(mapB, b, depth, 3);
    encode(mapC, c, 64, 3);
    for (size_t i = 0; i < c.size(); ++i)
      c[i] = 0x7fc0;
    bench.map(mapA).map(mapB).map(mapC);
    bench.emulator.addBuffer(a.data(), a.bytes(), "a", Access::Read);
    bench.emulator.addBuffer(b.data(), b.bytes(), "b", Access::Read);
    bench.emulator.addBuffer(c.data(), c.bytes(), "c", Access::ReadWrite,
                             false);
    return bench;
  }
  static void encode(char *map, Aligned<uint16_t> &matrix, uint64_t columns,
                     unsigned swizzle) {
    uint64_t dims[] = {columns, 64}, strides[] = {columns * 2};
    uint32_t box[] = {64, 64}, ones[] = {1, 1};
    if (swizzle == 0) // as wide as without a swizzle's limit
      box[0] = 64;
    std::string why;
    ASSERT_EQ(encodeTiled(map, 9, 2, matrix.data(), dims, strides, box, ones, 0,
                          swizzle, 0, 0, &why),
              0)
        << why;
  }
  int wrong() {
    int count = 0;
    for (int m = 0; m < 64; ++m)
      for (int n = 0; n < 64; ++n) {
        int want = 0;
        for (int k = 0; k < depth; ++k)
          want += pattern(m, k) * pattern(k, n + 9);
        count += c[size_t(m * 64 + n)] != toBFloat(float(want));
      }
    return count;
  }

  void expectFound(const std::string &from, const std::string &to,
                   std::vector<Kind> kinds, const std::string &part = "") {
    make(from, to).expectFound(256, 40992, kinds, part);
  }
  /// Clean but for the answer.
  void expectWrong(const std::string &from, const std::string &to) {
    make(from, to).expectClean(256, 40992, [&] { ASSERT_NE(wrong(), 0); });
  }
};

TEST_F(Pipeline, cleanAndRight) {
  make().expectClean(256, 40992, [&] { ASSERT_EQ(wrong(), 0); });
}

TEST_F(Pipeline, counts) {
  LaunchResult result = make().run({1, 1, 1}, {256, 1, 1}, 40992);
  EXPECT_EQ(result.counters.wgmmas, 4u * tiles);
  EXPECT_EQ(result.counters.bulkLoads, 2u * tiles);
  EXPECT_EQ(result.counters.bulkStores, 1u);
  EXPECT_EQ(result.counters.bulkBytes, 8192u * (2 * tiles + 1));
}

TEST_F(Pipeline, wrongSwizzle) {
  expectWrong("xor.b32 %addr, %addr, %x; // swizzle", "");
  expectWrong("0x4000004000010000",
              "0x0000004000010000"); // descriptors without
  swizzle = 0;
  expectWrong("", "");
}

TEST_F(Pipeline, wrongLayout) {
  expectWrong("%da, %db, 1, 1, 1, 0, 0;", "%da, %db, 1, 1, 1, 0, 1;");
  expectWrong("add.s64 %db, %db, 2;", "");
  // This one also reads beyond its stage.
  expectFound("add.s64 %db, %db, 2;", "add.s64 %db, %db, 4;", {Kind::Race});
  expectWrong("{%h4, %h5, %h6, %h7}", "{%h4, %h6, %h5, %h7}");
}

TEST_F(Pipeline, wrongPhase) {
  expectFound("xor.b32 %parity, %parity, 1;", "", {Kind::Deadlock},
              "lacks 4 of 4 arrivals and 0 bytes");
  expectFound("[%bar+40960], %parity; // full", "[%bar+40960], 1;",
              {Kind::Race, Kind::Deadlock});
  expectFound("[%bar+40976], %parity; // empty", "[%bar+40976], 1;",
              {Kind::Race, Kind::Mbarrier, Kind::Deadlock});
}

TEST_F(Pipeline, missingWaits) {
  expectFound("@!%p bra WAITFULL;", "", {Kind::Race});
  expectFound("@!%p bra WAITEMPTY;", "", {Kind::Race, Kind::Mbarrier});
  expectFound("wgmma.wait_group.sync.aligned 0;", "", {Kind::RegisterInFlight});
  expectFound("wgmma.wait_group.sync.aligned 0;",
              "wgmma.wait_group.sync.aligned 1;", {Kind::RegisterInFlight});
  expectFound("cp.async.bulk.wait_group.read 0;", "", {Kind::Leak});
  expectFound("cp.async.bulk.commit_group;", "", {Kind::Leak});
  expectFound("wgmma.commit_group.sync.aligned;", "", {Kind::RegisterInFlight});
}

TEST_F(Pipeline, releasedTooEarly) {
  // The stage is given back while wgmma still reads it.
  std::string release =
                  "@%lane0 mbarrier.arrive.shared::cta.b64 _, [%bar+40976];\n",
              wait = "wgmma.wait_group.sync.aligned 0;\n";
  expectFound(wait + release, release + wait, {Kind::Race},
              "no wgmma.wait_group orders the two");
}

TEST_F(Pipeline, missingFences) {
  expectFound("fence.mbarrier_init.release.cluster;", "", {Kind::ProxyFence},
              "fence.mbarrier_init");
  expectFound("fence.proxy.async.shared::cta;", "", {Kind::ProxyFence},
              "fence.proxy.async");
  expectFound("wgmma.fence.sync.aligned;", "", {Kind::WgmmaFence});
  expectFound("bar.sync 0; // init", "", {Kind::Mbarrier});
  expectFound("bar.sync 1, 128; // stored", "", {Kind::Race});
}

TEST_F(Pipeline, deadlocks) {
  expectFound("@%lane0 mbarrier.arrive.shared::cta.b64 _, [%bar+40976];", "",
              {Kind::Deadlock}, "lacks 4 of 4 arrivals");
  expectFound("mbarrier.init.shared::cta.b64 [%sm+40976], 4;",
              "mbarrier.init.shared::cta.b64 [%sm+40976], 5;",
              {Kind::Deadlock});
  expectFound("bar.sync 1, 128; // stored", "bar.sync 1, 256;",
              {Kind::Deadlock}, "(barrier 1 has 128 of 256 threads)");
  expectFound("40960], 16384;", "40960], 16400;", {Kind::Deadlock}, "16 bytes");
}

TEST_F(Pipeline, arrivalsAndBytes) {
  expectFound("@%lane0 mbarrier.arrive.shared::cta.b64 _, [%bar+40976];",
              "mbarrier.arrive.shared::cta.b64 _, [%bar+40976];",
              {Kind::Mbarrier, Kind::Race, Kind::Deadlock});
  expectFound("40960], 16384;", "40960], 8192;",
              {Kind::Mbarrier, Kind::Deadlock, Kind::Race});
}

TEST_F(Pipeline, outOfBounds) {
  make().expectFound(256, 40000, Kind::OutOfBounds);
  expectFound("{%zero, %zero}], [%tile]", "{%zero, %zero}], [%tile+16]",
              {Kind::Misaligned});
  Bench bench = make();
  bench.emulator.addBuffer(b.data(), b.bytes() - 64, "b", Access::Read);
  bench.expectFound(256, 40992, Kind::OutOfBounds,
                    "64 bytes beyond the end of `b`");
}

TEST_F(Pipeline, uninitialised) {
  // Half of the output tile is never written.
  expectFound("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%addr+32768], {%h4, "
              "%h5, %h6, %h7};",
              "", {Kind::Uninitialised});
}

} // namespace
