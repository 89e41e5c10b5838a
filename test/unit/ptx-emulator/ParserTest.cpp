//===- ParserTest.cpp - what loads and what is refused
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

TEST(Parser, namesWhatItDoesNotKnow) {
  EXPECT_EQ(refusalOf(".reg .b32 %r<2>;\nfrobnicate.b32 %r0, %r1;"),
            "line 8: `frobnicate.b32 %r0, %r1`: unsupported instruction "
            "`frobnicate.b32`");
  EXPECT_EQ(refusalOf(".reg .b32 %r<2>;\nadd.rz.f32 %r0, %r1, %r1;"),
            "line 8: `add.rz.f32 %r0, %r1, %r1`: unsupported: .rz of `add`");
  EXPECT_NE(refusalOf("call foo, ();").find("unsupported instruction `call`"),
            std::string::npos);
  EXPECT_NE(refusalOf("barrier.cluster.arrive;").find("barriers of a cluster"),
            std::string::npos);
  EXPECT_NE(refusalOf(".reg .b32 %r<2>;\nld.global.b64 %r0, [0];")
                .find("a register is narrower than the access"),
            std::string::npos);
  EXPECT_NE(refusalOf(".reg .b32 %r<2>;\nmov.b32 %r0, %clock9;")
                .find("unknown special register %clock9"),
            std::string::npos);
  EXPECT_NE(refusalOf(".reg .b32 %r<2>;\nmov.b32 %r0, nowhere;")
                .find("unknown name `nowhere`"),
            std::string::npos);
  EXPECT_NE(refusalOf("bra NOWHERE;").find("label `NOWHERE` is not defined"),
            std::string::npos);
  EXPECT_NE(refusalOf(".reg .b32 %r<2>;\nadd.s64 %r0, %r1, %r1;")
                .find("expected a register of 64 bits, but `%r1` has 32"),
            std::string::npos);
}

TEST(Parser, refusesWhatTheTargetLacks) {
  auto why = [](const std::string &code, const char *target) {
    std::string error =
        Bench("", ".reg .pred %p;\n.reg .b32 %r<4>;\n" + code + "\nret;", "",
              target)
            .error;
    return error.substr(std::min(error.find("`: "), error.size()));
  };
  const char *wait = "mbarrier.try_wait.parity.shared.b64 %p, [%r0], %r1;";
  EXPECT_EQ(why(wait, "sm_80"), "`: needs sm_90, but the module is for sm_80");
  EXPECT_EQ(why(wait, "sm_90"), "");
  EXPECT_EQ(why("wgmma.fence.sync.aligned;", "sm_90"),
            "`: needs sm_90a, but the module is for sm_90");
  EXPECT_EQ(why("wgmma.fence.sync.aligned;", "sm_90a"), "");
  EXPECT_EQ(why("setmaxnreg.inc.sync.aligned.u32 240;", "sm_80"),
            "`: needs sm_90a, but the module is for sm_80");
  EXPECT_EQ(why("elect.sync %r0|%p, -1;", "sm_80"),
            "`: needs sm_90, but the module is for sm_80");
  EXPECT_EQ(why("max.f32 %r0, %r1, %r2, %r3;", "sm_90a"),
            "`: three inputs need sm_100, but the module is for sm_90a");
}

TEST(Parser, blocksHaveTheirOwnNames) {
  // As inline assembly is printed, twice.
  std::string body = ".reg .b32 %r<4>;\n.reg .b64 %rd<2>;\n"
                     "ld.param.u64 %rd1, [p0];\nmov.b32 %r1, 0;\n";
  for (int i = 0; i < 2; ++i)
    body += "{\n.reg .pred P1;\nLAB:\nadd.s32 %r1, %r1, 1;\n"
            "setp.eq.s32 P1, %r1, " +
            std::to_string(3 * i + 3) +
            ";\n@P1 bra DONE;\nbra LAB;\nDONE:\n}\n";
  Bench bench(".param .u64 p0", body + "st.global.b32 [%rd1], %r1;\nret;");
  Aligned<uint32_t> out(1);
  bench.buffer(out, "out").expectClean(32);
  EXPECT_EQ(out[0], 6u);
}

TEST(Parser, branchTables) {
  Bench bench(".param .u64 p0, .param .u32 p1",
              ".reg .b32 %r<4>;\n.reg .b64 %rd<2>;\n"
              "ld.param.u64 %rd1, [p0];\nmov.u32 %r1, %tid.x;\n"
              "mul.wide.u32 %rd0, %r1, 4;\nadd.s64 %rd1, %rd1, %rd0;\n"
              "and.b32 %r2, %r1, 1;\n"
              "$L_brx_0: .branchtargets $A, $B;\n"
              "brx.idx %r2, $L_brx_0;\n"
              "$A:\nmov.b32 %r3, 10;\nbra.uni $END;\n"
              "$B:\nmov.b32 %r3, 20;\n"
              "$END:\nst.global.b32 [%rd1], %r3;\nret;");
  Aligned<uint32_t> out(32);
  bench.buffer(out, "out").pass(7).expectClean(32);
  EXPECT_EQ(out[4], 10u);
  EXPECT_EQ(out[5], 20u);
}

TEST(Parser, constantTables) {
  Bench bench(".param .u64 p0",
              ".reg .b32 %r<4>;\n.reg .b64 %rd<4>;\n"
              "ld.param.u64 %rd1, [p0];\nmov.b64 %rd2, table;\n"
              "ld.const.b32 %r1, [%rd2+8];\nld.const.v2.b32 {%r2, %r3}, "
              "[table];\nadd.s32 %r1, %r1, %r3;\n"
              "st.global.b32 [%rd1], %r1;\nret;",
              ".const .align 8 .b32 table[3] = {1, 20, 300};");
  Aligned<uint32_t> out(1);
  bench.buffer(out, "out").expectClean(1);
  EXPECT_EQ(out[0], 320u);
}

TEST(Parser, launchesAreChecked) {
  Bench bench(".param .u64 p0", "ret;");
  ASSERT_TRUE(bench.loaded) << bench.error;
  EXPECT_EQ(bench.emulator.parameterSizes("test"), std::vector<uint32_t>{8});
  auto error = [&](Dim3 grid, Dim3 block, uint32_t shared) {
    return bench.emulator
        .launch("test", grid, block, shared, std::string_view("12345678"))
        .error;
  };
  EXPECT_EQ(error({1, 1, 1}, {1025, 1, 1}, 0),
            "expected a block of 1 to 1024 threads, but got 1025");
  EXPECT_EQ(error({0, 1, 1}, {32, 1, 1}, 0), "impossible grid (0, 1, 1)");
  EXPECT_EQ(error({1, 1, 1}, {32, 1, 1}, 300000),
            "300000 bytes of shared memory, of 232448");
  EXPECT_EQ(error({1, 1, 1}, {32, 1, 1}, 0), "");
  EXPECT_EQ(bench.emulator.launch("other", {}, {}, 0, std::string_view()).error,
            "no kernel `other` in the module");
  Emulator clusters;
  std::string why;
  ASSERT_TRUE(clusters.load(".version 8.7\n.target sm_90a\n.address_size 64\n"
                            ".visible .entry k()\n.explicitcluster\n"
                            ".reqnctapercluster 2, 1, 1\n{\nret;\n}\n",
                            &why))
      << why;
  EXPECT_EQ(
      clusters.launch("k", {2, 1, 1}, {32, 1, 1}, 0, std::string_view()).error,
      "unsupported: clusters of 2 CTAs");
}

} // namespace
