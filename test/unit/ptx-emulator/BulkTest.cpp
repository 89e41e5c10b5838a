//===- BulkTest.cpp - the copy engine and its tensor maps
//------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Harness.h"

#include <functional>

using namespace filigree::ptx;
using namespace filigree::ptx::test;

namespace {

const char *const dynamicShared = ".extern .shared .align 1024 .b8 dyn[];";

/// Where byte `column` of row `row` of a tile lies, by the table of the
/// swizzles: chunks of 16 bytes change places by the row, counted in lines of
/// 128 bytes.
uint32_t placeOf(uint32_t row, uint32_t column, uint32_t pitch,
                 unsigned swizzle) {
  uint32_t linear = row * pitch + column, line = linear / 128,
           chunk = linear % 128 / 16;
  switch (swizzle) {
  case 1: // 32 bytes: the chunks of a pair swap in the odd lines
    chunk ^= line % 2;
    break;
  case 2: // 64 bytes: four chunks
    chunk ^= line % 4;
    break;
  case 3: // 128 bytes: eight chunks
    chunk ^= line % 8;
    break;
  }
  return line * 128 + chunk * 16 + linear % 16;
}

/// 64 threads; thread 0 loads a box to shared memory, all copy it as it lies
/// there to p1. p2 and p3 are coordinates.
struct Loader {
  Aligned<uint16_t> tensor, image;
  alignas(64) char map[128];
  uint32_t bytes;

  Loader(std::vector<uint64_t> dims, std::vector<uint32_t> box,
         unsigned swizzle, unsigned fill = 0)
      : tensor(total(dims)), image(4096, 0xaaaa), bytes(2) {
    for (size_t i = 0; i < tensor.size(); ++i)
      tensor[i] = uint16_t(i + 1);
    std::vector<uint64_t> strides(1, dims[0] * 2);
    for (size_t d = 1; d + 1 < dims.size(); ++d)
      strides.push_back(strides.back() * dims[d]);
    std::vector<uint32_t> ones(dims.size(), 1);
    for (uint32_t extent : box)
      bytes *= extent;
    std::string why;
    EXPECT_EQ(encodeTiled(map, 9, uint32_t(dims.size()), tensor.data(),
                          dims.data(), strides.data(), box.data(), ones.data(),
                          0, swizzle, 0, fill, &why),
              0)
        << why;
  }
  static size_t total(const std::vector<uint64_t> &dims) {
    size_t count = 1;
    for (uint64_t extent : dims)
      count *= extent;
    return count;
  }
  Bench make(int rank, std::vector<int> at, const std::string &expect = "",
             bool fence = true, bool wait = true) {
    std::string coordinates;
    std::string moves;
    for (int d = 0; d < rank; ++d) {
      coordinates += (d ? ", %c" : "%c") + std::to_string(d);
      moves += "mov.b32 %c" + std::to_string(d) + ", " +
               std::to_string(at[size_t(d)]) + ";\n";
    }
    std::string n = std::to_string(bytes);
    Bench bench(
        ".param .align 64 .b8 p0[128], .param .u64 p1",
        ".reg .pred %p;\n.reg .b32 %t, %c<5>, %x, %sm;\n.reg .b64 %map, %out, "
        "%o;\n"
        "mov.u32 %t, %tid.x;\nmov.b64 %map, p0;\ncvta.param.u64 %map, "
        "%map;\nsetp.ne.u32 %p, %t, 0;\n"
        "mov.b32 %sm, dyn;\n" +
            moves +
            "@%p bra READY;\nmbarrier.init.shared::cta.b64 [%sm+8192], 1;\n" +
            std::string(fence ? "fence.mbarrier_init.release.cluster;\n" : "") +
            "READY:\nbar.sync 0;\n@%p bra ISSUED;\n"
            "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%sm+8192], " +
            (expect.empty() ? n : expect) +
            ";\n"
            "cp.async.bulk.tensor." +
            std::to_string(rank) +
            "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%sm], "
            "[%map, {" +
            coordinates +
            "}], [%sm+8192];\n"
            "ISSUED:\n" +
            std::string(wait ? "W:\nmbarrier.try_wait.parity.shared::cta.b64 "
                               "%p, [%sm+8192], 0;\n@!%p bra W;\n"
                             : "") +
            "ld.param.u64 %out, [p1];\nmul.wide.u32 %o, %t, 2;\nadd.s64 %out, "
            "%out, %o;\nshl.b32 %x, %t, 1;\n"
            "add.s32 %sm, %sm, %x;\nmov.b32 %c0, 0;\nLOOP:\n.reg .b16 "
            "%h;\nld.shared.b16 %h, [%sm];\nst.global.b16 [%out], %h;\n"
            "add.s32 %sm, %sm, 128;\nadd.s64 %out, %out, 128;\nadd.s32 %c0, "
            "%c0, 128;\nsetp.lt.u32 %p, %c0, " +
            n + ";\n@%p bra LOOP;\nret;",
        dynamicShared);
    bench.emulator.addBuffer(tensor.data(), tensor.bytes(), "tensor",
                             Access::Read);
    bench.map(map).buffer(image, "image");
    return bench;
  }
};

TEST(Bulk, everySwizzle) {
  for (unsigned swizzle = 0; swizzle < 4; ++swizzle) {
    uint32_t columns = swizzle ? 8u << swizzle : 32, rows = 16;
    Loader loader({128, 40}, {columns, rows}, swizzle);
    loader.make(2, {16, 5}).expectClean(64, 8200, [&] {
      for (uint32_t r = 0; r < rows; ++r)
        for (uint32_t c = 0; c < columns; ++c)
          ASSERT_EQ(loader.image[placeOf(r, 2 * c, 2 * columns, swizzle) / 2],
                    (5 + r) * 128 + 16 + c + 1)
              << "swizzle " << swizzle << " row " << r << " column " << c;
    });
  }
}

TEST(Bulk, outsideIsZero) {
  Loader loader({64, 10}, {64, 8}, 3);
  for (auto at : {std::pair{-3, -2}, {60, 6}, {0, -8}, {64, 0}, {1000, 1000}})
    loader.make(2, {at.first, at.second}).expectClean(64, 8200, [&] {
      for (int r = 0; r < 8; ++r)
        for (int c = 0; c < 64; ++c) {
          int x = at.first + c, y = at.second + r;
          bool inside = x >= 0 && x < 64 && y >= 0 && y < 10;
          ASSERT_EQ(
              loader.image[placeOf(uint32_t(r), uint32_t(2 * c), 128, 3) / 2],
              inside ? y * 64 + x + 1 : 0);
        }
    });
}

TEST(Bulk, outsideIsNaNOnRequest) {
  Loader loader({64, 10}, {64, 8}, 0, 1);
  loader.make(2, {0, 9}).expectClean(64, 8200, [&] {
    ASSERT_EQ(loader.image[63], 640u);
    ASSERT_EQ(loader.image[64], 0x7fc0u);
  });
}

TEST(Bulk, oneThreeAndFiveDimensions) {
  Loader one({128}, {64}, 0);
  one.make(1, {7}).expectClean(64, 8200,
                               [&] { ASSERT_EQ(one.image[63], 71u); });
  Loader three({16, 6, 6}, {16, 2, 4}, 0);
  three.make(3, {0, 1, 2}).expectClean(64, 8200, [&] {
    for (uint32_t z = 0; z < 4; ++z)
      for (uint32_t y = 0; y < 2; ++y)
        ASSERT_EQ(three.image[(z * 2 + y) * 16 + 9],
                  ((z + 2) * 6 + y + 1) * 16 + 9 + 1);
  });
  Loader five({8, 3, 3, 3, 3}, {8, 1, 2, 2, 2}, 0);
  five.make(5, {0, 1, 1, 1, 2}).expectClean(64, 8200, [&] {
    ASSERT_EQ(five.image[0], ((((2 * 3 + 1) * 3 + 1) * 3) + 1) * 8 + 1u);
    ASSERT_EQ(five.image[8 * 4], 0u)
        << "the second step of dimension 4 is outside";
  });
}

TEST(Bulk, planted) {
  Loader loader({64, 16}, {64, 8}, 3);
  loader.make(2, {0, 0}, "", true, false)
      .expectFound(64, 8200, Kind::Race, "is not waited for");
  loader.make(2, {0, 0}, "", false)
      .expectFound(64, 8200, Kind::ProxyFence, "without a fence.mbarrier_init");
  loader.make(2, {0, 0}, "2048")
      .expectFound(64, 8200, Kind::Deadlock,
                   "lacks 0 of 1 arrivals and 1024 bytes");
  // No bytes: the phase is over before the copy is issued.
  loader.make(2, {0, 0}, "0")
      .expectFound(64, 8200, Kind::Race, "is not waited for");
  loader.make(2, {0, 0}, "512")
      .expectFound(64, 8200, Kind::Deadlock, "and -512 bytes");
  loader.make(2, {0, 0}).expectFound(64, 800, Kind::OutOfBounds);
  loader.make(3, {0, 0, 0})
      .expectFound(64, 8200, Kind::TensorMap,
                   "expected a tensor map of rank 3, but got 2");
  memset(loader.map, 0, 128);
  loader.make(2, {0, 0}).expectFound(64, 8200, Kind::TensorMap,
                                     "where there is none");
}

TEST(Bulk, aMapBeyondItsBuffer) {
  Loader loader({64, 16}, {64, 8}, 3);
  Bench bench = loader.make(2, {0, 8});
  bench.emulator.addBuffer(loader.tensor.data(), loader.tensor.bytes() - 128,
                           "tensor", Access::Read);
  bench.expectFound(64, 8200, Kind::OutOfBounds,
                    "128 bytes beyond the end of `tensor`");
}

/// Thread 0 stores a swizzled tile that all 64 threads wrote; each piece can be
/// left out.
std::string store(const std::string &fence, const std::string &barrier,
                  const std::string &commit, const std::string &wait,
                  const std::string &after = "") {
  return ".reg .pred %p;\n.reg .b16 %h;\n.reg .b32 %t, %x, %y, %z, %sm, %i, "
         "%c0, %c1;\n.reg .b64 %map;\nmov.u32 %t, %tid.x;\n"
         "mov.b64 %map, p0;\ncvta.param.u64 %map, %map;\nmov.b32 %sm, "
         "dyn;\nmov.b32 %i, 0;\n"
         // element (row i, column t) = 64 i + t, in chunk (t / 8) ^ i
         "LOOP:\nshr.u32 %x, %t, 3;\nxor.b32 %x, %x, %i;\nshl.b32 %x, %x, "
         "4;\nand.b32 %y, %t, 7;\nshl.b32 %y, %y, 1;\n"
         "add.s32 %x, %x, %y;\nshl.b32 %y, %i, 7;\nadd.s32 %x, %x, "
         "%y;\nadd.s32 %x, %x, %sm;\nshl.b32 %y, %i, 6;\n"
         "add.s32 %y, %y, %t;\ncvt.u16.u32 %h, %y;\nst.shared.b16 [%x], "
         "%h;\nadd.s32 %i, %i, 1;\nsetp.lt.u32 %p, %i, 8;\n@%p bra LOOP;\n" +
         fence + "\n" + barrier +
         "\nsetp.ne.u32 %p, %t, 0;\n@%p bra END;\nmov.b32 %c0, 0;\nmov.b32 "
         "%c1, 12;\n"
         "cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%map, "
         "{%c0, %c1}], [%sm];\n" +
         commit + "\n" + wait + "\n" + after + "\nEND:\nret;";
}
const char *const fence = "fence.proxy.async.shared::cta;",
                  *const barrier = "bar.sync 0;",
                  *const commit = "cp.async.bulk.commit_group;",
                  *const wait = "cp.async.bulk.wait_group.read 0;";

TEST(Bulk, stores) {
  Loader loader({64, 16}, {64, 8}, 3);
  auto make = [&](const std::string &body) {
    Bench bench(".param .align 64 .b8 p0[128]", body, dynamicShared);
    for (size_t i = 0; i < loader.tensor.size(); ++i)
      loader.tensor[i] = 0xffff;
    bench.emulator.addBuffer(loader.tensor.data(), loader.tensor.bytes(),
                             "tensor");
    bench.map(loader.map);
    return bench;
  };
  // Rows 12 to 15 are inside; the other four are dropped.
  make(store(fence, barrier, commit, wait)).expectClean(64, 1024, [&] {
    for (int y = 0; y < 16; ++y)
      for (int x = 0; x < 64; ++x)
        ASSERT_EQ(loader.tensor[size_t(y * 64 + x)],
                  y < 12 ? 0xffff : (y - 12) * 64 + x);
  });
  make(store("", barrier, commit, wait))
      .expectFound(64, 1024, Kind::ProxyFence, "without a fence.proxy.async");
  make(store(barrier, fence, commit, wait))
      .expectFound(64, 1024, Kind::ProxyFence);
  make(store(fence, "", commit, wait)).expectFound(64, 1024, Kind::Race);
  make(store(fence, barrier, commit, ""))
      .expectFound(64, 1024, Kind::Leak, "without waiting for its bulk store");
  make(store(fence, barrier, "", wait)).expectFound(64, 1024, Kind::Leak);
  make(store(fence, barrier, commit, "",
             "st.shared.b32 [%sm], 0;\n" + std::string(wait)))
      .expectFound(64, 1024, Kind::Race,
                   "no cp.async.bulk.wait_group orders the two");
  Bench path = make(store("", "bar.sync 0;\nfence.proxy.async;", commit, wait));
  Options options;
  EXPECT_TRUE(
      path.run({1, 1, 1}, {64, 1, 1}, 1024, options).has(Kind::ProxyFence))
      << "the reader's fence is not the writer's";
  options.proxyRule = ProxyRule::Path;
  EXPECT_EQ(path.run({1, 1, 1}, {64, 1, 1}, 1024, options).describe(), "");
}

TEST(Bulk, plainCopies) {
  Bench bench(
      ".param .u64 p0, .param .u64 p1",
      ".reg .pred %p;\n.reg .b64 %in, %out;\nld.param.u64 %in, "
      "[p0];\nld.param.u64 %out, [p1];\n"
      "mbarrier.init.shared::cta.b64 [dyn+1024], 1;\nfence.proxy.async;\n"
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [dyn+1024], 96;\n"
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[dyn], [%in+16], 96, [dyn+1024];\n"
      "W:\nmbarrier.try_wait.parity.shared::cta.b64 %p, [dyn+1024], 0;\n@!%p "
      "bra W;\n"
      "cp.async.bulk.global.shared::cta.bulk_group [%out], [dyn], "
      "96;\ncp.async.bulk.commit_group;\n"
      "cp.async.bulk.wait_group 0;\nret;",
      dynamicShared);
  Aligned<uint32_t> in(64), out(64);
  for (uint32_t i = 0; i < 64; ++i)
    in[i] = i;
  bench.buffer(in, "in", Access::Read).buffer(out, "out");
  bench.expectClean(1, 1032, [&] {
    ASSERT_EQ(out[0], 4u);
    ASSERT_EQ(out[23], 27u);
    ASSERT_EQ(out[24], 0u);
  });
}

TEST(Bulk, encodingRefusesWhatTheDriverRefuses) {
  alignas(64) char map[128];
  Aligned<uint16_t> tensor(4096);
  auto why = [&](unsigned type, uint32_t rank, size_t offset,
                 std::vector<uint64_t> dims, std::vector<uint64_t> strides,
                 std::vector<uint32_t> box, unsigned swizzle,
                 unsigned interleave = 0) {
    uint32_t ones[5] = {1, 1, 1, 1, 1};
    std::string sentence;
    int status = encodeTiled(map, type, rank, tensor.data() + offset,
                             dims.data(), strides.data(), box.data(), ones,
                             interleave, swizzle, 0, 0, &sentence);
    EXPECT_EQ(status, sentence.empty() ? 0 : 1);
    return sentence;
  };
  EXPECT_EQ(why(9, 2, 0, {64, 16}, {128}, {64, 8}, 3), "");
  EXPECT_EQ(why(9, 2, 4, {64, 16}, {128}, {64, 8}, 3),
            "expected a base address at a multiple of 16 bytes");
  EXPECT_EQ(why(9, 2, 0, {64, 16}, {120}, {64, 8}, 3),
            "expected a stride that is a multiple of 16 below 2^40, but got "
            "120 of dimension 1");
  EXPECT_EQ(why(9, 2, 0, {64, 16}, {128}, {64, 257}, 3),
            "expected a box from 1 to 256, but got 257 of dimension 1");
  EXPECT_EQ(
      why(9, 2, 0, {64, 16}, {128}, {64, 8}, 2),
      "expected box rows of at most 64 bytes for this swizzle, but got 128");
  EXPECT_EQ(why(9, 2, 0, {64, 16}, {128}, {4, 8}, 0),
            "expected a box whose rows are a multiple of 16 bytes, but got 8");
  EXPECT_EQ(why(9, 2, 0, {64, 0}, {128}, {64, 8}, 3),
            "expected an extent from 1 to 2^32, but got 0 of dimension 1");
  EXPECT_EQ(why(9, 2, 0, {64, 16}, {128}, {64, 8}, 3, 1),
            "unsupported: interleaved layout");
  EXPECT_EQ(why(77, 2, 0, {64, 16}, {128}, {64, 8}, 3), "unknown data type 77");
  EXPECT_EQ(why(9, 6, 0, {64, 16}, {128}, {64, 8}, 3),
            "expected a rank from 1 to 5, but got 6");
}

} // namespace
