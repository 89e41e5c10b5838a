//===- MemoryTest.cpp - state spaces, bounds and races
//---------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Harness.h"

using namespace filigree::ptx;
using namespace filigree::ptx::test;

namespace {

/// %t the thread, %in and %out its 4-byte element of p0 and p1, %sm its word of
/// dynamic shared memory.
const char *const prologue = R"(
.reg .pred %p, %q;
.reg .b16 %h<8>;
.reg .b32 %t, %x, %y, %z, %w, %sm;
.reg .b64 %in, %out, %o, %g;
mov.u32 %t, %tid.x;
ld.param.u64 %in, [p0];
ld.param.u64 %out, [p1];
mul.wide.u32 %o, %t, 4;
add.s64 %in, %in, %o;
add.s64 %out, %out, %o;
mov.b32 %sm, dyn;
shl.b32 %x, %t, 2;
add.s32 %sm, %sm, %x;
)";
const char *const dynamicShared = ".extern .shared .align 1024 .b8 dyn[];";

class Memory : public testing::Test {
protected:
  Aligned<uint32_t> in{64}, out{64};
  void SetUp() override {
    for (uint32_t i = 0; i < 64; ++i)
      in[i] = 100 + i;
  }
  Bench make(const std::string &body, const std::string &more = "") {
    Bench bench(".param .u64 p0, .param .u64 p1", prologue + body + "\nret;",
                dynamicShared + more);
    bench.buffer(in, "in", Access::Read)
        .buffer(out, "out", Access::ReadWrite, false);
    return bench;
  }
};

TEST_F(Memory, reversalThroughShared) {
  make("ld.global.nc.b32 %x, [%in];\nst.shared.b32 [%sm], %x;\nbar.sync 0;\n"
       "mov.b32 %y, dyn;\nsub.s32 %z, 63, %t;\nshl.b32 %z, %z, 2;\n"
       "add.s32 %y, %y, %z;\nld.shared.b32 %x, [%y];\n"
       "st.global.b32 [%out], %x;")
      .expectClean(64, 256, [&] {
        for (uint32_t i = 0; i < 64; ++i)
          ASSERT_EQ(out[i], 163 - i);
      });
}

TEST_F(Memory, raceWithoutBarrier) {
  make("st.shared.b32 [%sm], %t;\nmov.b32 %y, dyn;\nsub.s32 %z, 63, %t;\n"
       "shl.b32 %z, %z, 2;\nadd.s32 %y, %y, %z;\nld.shared.b32 %x, [%y];\n"
       "st.global.b32 [%out], %x;")
      .expectFound(64, 256, Kind::Race, "no barrier orders the two");
}

TEST_F(Memory, raceWithinAWarp) {
  const char *body =
      "st.shared.b32 [%sm], %t;\n$\nxor.b32 %z, %t, 1;\n"
      "shl.b32 %z, %z, 2;\nmov.b32 %y, dyn;\nadd.s32 %y, %y, %z;\n"
      "ld.shared.b32 %x, [%y];\nst.global.b32 [%out], %x;";
  std::string racy = body, good = body;
  racy.replace(racy.find('$'), 1, "");
  good.replace(good.find('$'), 1, "bar.warp.sync -1;");
  make(racy).expectFound(32, 256, Kind::Race,
                         "thread 0 reads shared 0x404, which thread 1 writes");
  make(good).expectClean(32, 256);
}

TEST_F(Memory, raceOfAReaderWithALaterWriter) {
  // The second barrier is what the twin lacks.
  const char *body = "st.shared.b32 [%sm], %t;\nbar.sync 0;\nmov.b32 %y, dyn;\n"
                     "ld.shared.b32 %x, [%y];\n$\nst.shared.b32 [%sm], %x;\n"
                     "st.global.b32 [%out], %x;";
  std::string racy = body, good = body;
  racy.replace(racy.find('$'), 1, "");
  good.replace(good.find('$'), 1, "bar.sync 0;");
  make(racy).expectFound(64, 256, Kind::Race,
                         "writes shared 0x400, which thread");
  make(good).expectClean(64, 256);
}

TEST_F(Memory, bytesOfOneWordAreApart) {
  make("mov.b32 %y, dyn;\nadd.s32 %y, %y, %t;\ncvt.u16.u32 %h1, %t;\n"
       "st.shared.b8 [%y], %h1;\nbar.sync 0;\nld.shared.s8 %x, [%y];\n"
       "ld.shared.u8 %h2, [%y];\nst.global.b32 [%out], %x;")
      .expectClean(64, 64, [&] { ASSERT_EQ(out[63], 63u); });
}

TEST_F(Memory, vectors) {
  make("setp.ne.u32 %p, %t, 0;\n@%p bra END;\n"
       "ld.global.v4.b32 {%x, %y, %z, %w}, [%in];\n"
       "st.shared.v4.b32 [dyn], {%w, %z, %y, %x};\n"
       "ld.shared.v2.b64 {%o, %g}, [dyn];\nst.global.v2.b64 [%out], {%o, %g};\n"
       "ld.shared.v2.b16 {%h1, %h2}, [dyn+4];\nmov.b32 %x, {%h1, %h2};\n"
       "st.global.b32 [%out+16], %x;\nEND:")
      .expectClean(32, 64, [&] {
        ASSERT_EQ(out[0], 103u);
        ASSERT_EQ(out[3], 100u);
        ASSERT_EQ(out[4], 102u);
      });
}

TEST_F(Memory, genericAddresses) {
  make("mov.b64 %g, dyn;\ncvta.shared.u64 %g, %g;\nadd.s64 %g, %g, %o;\n"
       "st.b32 [%g], %t;\nld.b32 %x, [%g];\nisspacep.shared %p, %g;\n"
       "selp.b32 %x, %x, 7, %p;\nld.b32 %y, [%in];\nadd.s32 %x, %x, %y;\n"
       "mov.b64 %g, p0;\ncvta.param.u64 %g, %g;\nld.b64 %g, [%g];\n"
       "ld.global.b32 %y, [%g];\nadd.s32 %x, %x, %y;\nst.b32 [%out], %x;")
      .expectClean(64, 256, [&] { ASSERT_EQ(out[5], 5 + 105 + 100u); });
}

TEST_F(Memory, localIsPerThread) {
  make(".local .align 8 .b8 depot[16];\n.reg .b64 %SP, %SPL;\nmov.b64 %SPL, "
       "depot;\n"
       "cvta.local.u64 %SP, %SPL;\nst.local.b32 [%SPL+4], %t;\nst.b32 [%SP], "
       "9;\n"
       "bar.sync 0;\nld.b32 %x, [%SP+4];\nld.local.b32 %y, [%SPL];\nadd.s32 "
       "%x, %x, %y;\n"
       "st.global.b32 [%out], %x;")
      .expectClean(64, 0, [&] { ASSERT_EQ(out[11], 20u); });
}

TEST_F(Memory, staticSharedLiesBeforeDynamic) {
  make("st.shared.b32 [box], %t;\nmov.b32 %x, box;\nmov.b32 %y, dyn;\n"
       "sub.s32 %x, %y, %x;\nst.global.b32 [%out], %x;",
       "\n.shared .align 4 .b8 box[4];")
      .expectFound(64, 0, Kind::Race);
  EXPECT_EQ(out[0], 1024u);
}

TEST_F(Memory, outOfBounds) {
  make("ld.global.b32 %x, [%in+256];")
      .expectFound(1, 0, Kind::OutOfBounds, "4 bytes beyond the end of `in`");
  make("ld.global.b32 %x, [%in+-4];")
      .expectFound(1, 0, Kind::OutOfBounds, "before the start of `in`");
  make("st.global.b32 [%in], 1;")
      .expectFound(1, 0, Kind::OutOfBounds, "in the read-only `in`");
  make("st.shared.b32 [%sm+64], 1;")
      .expectFound(1, 64, Kind::OutOfBounds, "outside 0x400 to 0x440");
  make("ld.shared.b32 %x, [0];").expectFound(1, 64, Kind::OutOfBounds);
  make("ld.param.b32 %x, [p1+8];")
      .expectFound(1, 0, Kind::OutOfBounds, "of the 16 bytes of parameters");
}

TEST_F(Memory, misaligned) {
  make("ld.global.b32 %x, [%in+2];")
      .expectFound(1, 0, Kind::Misaligned, "accesses 4 bytes");
  make("ld.global.v4.b32 {%x, %y, %z, %w}, [%in+8];")
      .expectFound(1, 0, Kind::Misaligned, "accesses 16 bytes");
}

TEST_F(Memory, uninitialised) {
  make("ld.shared.b32 %x, [%sm];")
      .expectFound(1, 64, Kind::Uninitialised, "which nobody wrote");
  make("ld.global.b32 %x, [%out];")
      .expectFound(1, 0, Kind::Uninitialised, "of `out`, which nobody wrote");
}

TEST_F(Memory, unwrittenLoadsPassOnRequest) {
  Options options;
  options.reportUnwrittenLoads = false;
  EXPECT_EQ(make("ld.shared.b32 %x, [%sm];")
                .run({1, 1, 1}, {32, 1, 1}, 256, options)
                .describe(),
            "");
  EXPECT_TRUE(make("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%x}, [dyn];")
                  .run({1, 1, 1}, {32, 1, 1}, 256, options)
                  .has(Kind::Uninitialised));
}

TEST_F(Memory, launchesThatFollow) {
  Options options;
  options.follows = true;
  auto run = [&](const char *body) {
    return make(body).run({2, 1, 1}, {32, 1, 1}, 128, options).describe();
  };
  EXPECT_EQ(run("griddepcontrol.wait;\nld.global.b32 %x, [%in];"), "");
  EXPECT_EQ(run("st.shared.b32 [%sm], 1;\ngriddepcontrol.launch_dependents;"),
            "");
  for (const char *early :
       {"ld.global.b32 %x, [%in];\ngriddepcontrol.wait;",
        "st.global.b32 [%out], 1;",
        "griddepcontrol.launch_dependents;\nld.global.b32 %x, [%in];"})
    EXPECT_NE(run(early).find("before griddepcontrol.wait"), std::string::npos)
        << early;
}

TEST_F(Memory, atomicsCount) {
  make("setp.ne.u32 %p, %t, 0;\n@%p bra A;\nst.shared.b32 [dyn], "
       "0;\nA:\nbar.sync 0;\n"
       "atom.shared.add.u32 %x, [dyn], 2;\nred.shared.max.u32 [dyn], "
       "5;\nbar.sync 0;\n"
       "ld.shared.b32 %x, [dyn];\nst.global.b32 [%out], %x;")
      .expectClean(64, 64, [&] { ASSERT_GE(out[9], 128u); });
}

TEST_F(Memory, atomicsOfAllKinds) {
  auto run = [](const char *op, uint32_t old, uint32_t b) {
    return evaluate({32, 32, 32, 32},
                    std::string("st.global.b32 [%io], %a;\natom.global.") + op +
                        " %x1, [%io], %b;\nld.global.b32 %d, [%io];",
                    old, b);
  };
  EXPECT_EQ(run("inc.u32", 5, 5), 0u);
  EXPECT_EQ(run("dec.u32", 0, 5), 5u);
  EXPECT_EQ(run("min.s32", uint32_t(-2), 1), uint32_t(-2));
  EXPECT_EQ(run("xor.b32", 6, 3), 5u);
  EXPECT_EQ(run("exch.b32", 6, 3), 3u);
  EXPECT_EQ(run("add.f32", bits(1.5f), bits(2.0f)), bits(3.5f));
  EXPECT_EQ(run("add.noftz.bf16x2", 0x3f803f80, 0x40003f80), 0x40404000u);
  EXPECT_EQ(
      evaluate(
          {32, 32, 32, 32},
          "atom.global.cas.b32 %d, [%io], %a, %b;\nld.global.b32 %d, [%io];", 4,
          9),
      9u);
}

TEST_F(Memory, releaseAndAcquireOrder) {
  const char *body =
      "setp.ge.u32 %p, %t, 32;\n@%p bra READER;\nsetp.ne.u32 %p, %t, 0;\n@%p "
      "bra END;\n"
      "st.shared.b32 [dyn+16], 77;\nst.$.cta.shared.b32 [dyn], 1;\nbra END;\n"
      "READER:\nsetp.ne.u32 %p, %t, 32;\n@%p bra END;\n"
      "LOOP:\nld.acquire.cta.shared.b32 %x, [dyn];\nsetp.ne.u32 %p, %x, "
      "1;\n@%p bra LOOP;\n"
      "ld.shared.b32 %x, [dyn+16];\nst.global.b32 [%out], %x;\nEND:";
  std::string init =
      "setp.ne.u32 %p, %t, 0;\n@!%p st.shared.b32 [dyn], 0;\nbar.sync 0;\n";
  std::string racy = init + body, good = init + body;
  racy.replace(racy.find('$'), 1, "relaxed");
  good.replace(good.find('$'), 1, "release");
  make(good).expectClean(64, 64, [&] { ASSERT_EQ(out[32], 77u); });
  make(racy).expectFound(64, 64, Kind::Race);
}

TEST_F(Memory, twoCtasOnOneWord) {
  Bench bench = make("st.global.b32 [%out], 1;");
  LaunchResult result = bench.run({2, 1, 1}, {32, 1, 1});
  EXPECT_TRUE(result.has(Kind::Race)) << result.describe();
  EXPECT_EQ(result.counters.ctas, 2u);
  EXPECT_EQ(result.counters.globalBytesWritten, 256u);
}

/// The second CTA reads, in the other order, what the first has written.
TEST_F(Memory, orderBetweenCtas) {
  auto found = [&](const std::string &barrier, const std::string &atomic) {
    Aligned<uint32_t> data(128), counter(1);
    Bench bench(".param .u64 p0, .param .u64 p1",
                ".reg .pred %p;\n.reg .b32 %t, %c, %x;\n"
                ".reg .b64 %data, %own, %other, %count, %o;\n"
                "ld.param.u64 %data, [p0];\nld.param.u64 %count, [p1];\n"
                "mov.u32 %t, %tid.x;\nmov.u32 %c, %ctaid.x;\n"
                "mad.lo.u32 %x, %c, 64, %t;\nmul.wide.u32 %o, %x, 4;\n"
                "add.s64 %own, %data, %o;\nsub.s32 %x, 63, %t;\n"
                "mul.wide.u32 %o, %x, 4;\nadd.s64 %other, %data, %o;\n"
                "st.global.b32 [%own], %t;\n" +
                    barrier + "setp.ne.u32 %p, %t, 0;\n@%p bra SEEN;\n" +
                    atomic +
                    "SEEN:\nbar.sync 0;\nsetp.eq.u32 %p, %c, 0;\n"
                    "@%p bra END;\nld.global.b32 %x, [%other];\nEND:\nret;");
    bench.buffer(data, "data").buffer(counter, "counter");
    return bench.run({2, 1, 1}, {64, 1, 1}).describe();
  };
  std::string barrier = "bar.sync 0;\n", add = ".add.u32 %x, [%count], 1;\n";
  std::string ordered = "atom.acq_rel.gpu.global" + add;
  EXPECT_EQ(found(barrier, ordered), "");
  EXPECT_EQ(found(barrier, "fence.acq_rel.gpu;\natom.global" + add), "");
  EXPECT_NE(found(barrier, "atom.relaxed.gpu.global" + add).find("another CTA"),
            std::string::npos);
  EXPECT_NE(found("", ordered).find("another CTA"), std::string::npos);
}

TEST_F(Memory, gridAndBlockShapes) {
  Bench bench = make(
      "mov.u32 %x, %ctaid.y;\nmov.u32 %y, %nctaid.x;\nmov.u32 %z, %ctaid.x;\n"
      "mad.lo.s32 %x, %x, %y, %z;\nmov.u32 %y, %tid.y;\nmov.u32 %z, %ntid.x;\n"
      "mad.lo.s32 %t, %y, %z, %t;\nshl.b32 %y, %x, 3;\nadd.s32 %y, %y, %t;\n"
      "ld.param.u64 %out, [p1];\nmul.wide.u32 %o, %y, 4;\nadd.s64 %out, %out, "
      "%o;\n"
      "st.global.b32 [%out], %y;");
  LaunchResult result = bench.run({2, 2, 1}, {4, 2, 1});
  EXPECT_EQ(result.describe(), "");
  for (uint32_t i = 0; i < 32; ++i)
    EXPECT_EQ(out[i], i);
}

TEST_F(Memory, divergentLoopsMeetAgain) {
  // Lane i goes round i times; then all are together for the shuffle.
  make("mov.b32 %x, 0;\nmov.b32 %y, 0;\nLOOP:\nsetp.ge.u32 %p, %x, %t;\n@%p "
       "bra OUT;\nadd.s32 %y, %y, %x;\n"
       "add.s32 %x, %x, 1;\nbra LOOP;\nOUT:\nshfl.sync.idx.b32 %z, %y, 31, 31, "
       "-1;\nst.global.b32 [%out], %z;")
      .expectClean(32, 0, [&] { ASSERT_EQ(out[0], 465u); });
}

TEST_F(Memory, traps) {
  make("trap;").expectFound(32, 0, Kind::Trap, "thread 0 traps");
  make("L:\nbra L;").expectFound(32, 0, Kind::Hang, "more than 2000000 steps");
}

} // namespace
