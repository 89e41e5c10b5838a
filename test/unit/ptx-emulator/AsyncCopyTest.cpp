//===- AsyncCopyTest.cpp - cp.async and its groups
//-------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Harness.h"

using namespace filigree::ptx;
using namespace filigree::ptx::test;

namespace {

/// 32 threads copy 16 bytes each; then `middle`, and each reads what its
/// neighbour copied.
class AsyncCopy : public testing::Test {
protected:
  Aligned<uint32_t> in{128}, out{128};
  void SetUp() override {
    for (uint32_t i = 0; i < 128; ++i)
      in[i] = 1000 + i;
  }
  Bench make(const std::string &copy, const std::string &middle,
             const std::string &init = "") {
    Bench bench(
        ".param .u64 p0, .param .u64 p1",
        ".reg .pred %p;\n.reg .b32 %t, %sm, %x, %y, %z, %w, %n;\n.reg .b64 "
        "%in, %out, %o;\n"
        "mov.u32 %t, %tid.x;\nld.param.u64 %in, [p0];\nld.param.u64 %out, "
        "[p1];\n"
        "mul.wide.u32 %o, %t, 16;\nadd.s64 %in, %in, %o;\nadd.s64 %out, %out, "
        "%o;\n"
        "mov.b32 %sm, dyn;\nshl.b32 %x, %t, 4;\nadd.s32 %sm, %sm, %x;\n" +
            init + copy + "\n" + middle +
            "\nmov.b32 %y, dyn;\nxor.b32 %x, %x, 16;\nadd.s32 %y, %y, %x;\n"
            "ld.shared.v4.b32 {%x, %y, %z, %w}, [%y];\nst.global.v4.b32 "
            "[%out], {%x, %y, %z, %w};\nret;",
        ".extern .shared .align 1024 .b8 dyn[];", "sm_80");
    bench.buffer(in, "in", Access::Read).buffer(out, "out");
    return bench;
  }
  void isSwapped() {
    for (uint32_t i = 0; i < 128; ++i)
      ASSERT_EQ(out[i], 1000 + (i ^ 4)) << i;
  }
};

const char *const copy16 = "cp.async.cg.shared.global [%sm], [%in], 16;";
const char *const copy4 =
    "cp.async.ca.shared.global [%sm], [%in], 4;\ncp.async.ca.shared.global "
    "[%sm+4], [%in+4], 4;\n"
    "cp.async.ca.shared::cta.global.L2::128B [%sm+8], [%in+8], 8;";

TEST_F(AsyncCopy, copies) {
  make(copy16, "cp.async.commit_group;\ncp.async.wait_group 0;\nbar.sync 0;")
      .expectClean(32, 512, [&] { isSwapped(); });
  make(copy4, "cp.async.wait_all;\nbar.sync 0;").expectClean(32, 512, [&] {
    isSwapped();
  });
}

TEST_F(AsyncCopy, fillsWithZero) {
  make("mov.b32 %n, 8;\ncp.async.cg.shared.global [%sm], [%in], 16, %n;",
       "cp.async.wait_all;\nbar.sync 0;")
      .expectClean(32, 512, [&] {
        ASSERT_EQ(out[0], 1004u);
        ASSERT_EQ(out[1], 1005u);
        ASSERT_EQ(out[2], 0u);
        ASSERT_EQ(out[3], 0u);
      });
  // Nothing is read from the source then, wherever it points.
  make("mov.b32 %n, 0;\ncp.async.cg.shared.global [%sm], [%in+4096], 16, %n;",
       "cp.async.wait_all;\nbar.sync 0;")
      .expectClean(32, 512, [&] { ASSERT_EQ(out[0], 0u); });
}

TEST_F(AsyncCopy, olderGroupsFirst) {
  std::string two = std::string(copy16) +
                    "\ncp.async.commit_group;\ncp.async.cg.shared.global "
                    "[%sm+512], [%in], 16;\n"
                    "cp.async.commit_group;";
  make(two, "cp.async.wait_group 1;\nbar.sync 0;")
      .expectFound(32, 1024, Kind::Leak, "without waiting for its cp.async");
  make(two, "cp.async.wait_group 1;\nbar.sync 0;\ncp.async.wait_group 0;")
      .expectClean(32, 1024, [&] { isSwapped(); });
  make(two, "cp.async.wait_group 2;\nbar.sync 0;")
      .expectFound(32, 1024, Kind::Race, "is not waited for");
}

TEST_F(AsyncCopy, planted) {
  make(copy16, "cp.async.commit_group;\nbar.sync 0;")
      .expectFound(32, 512, Kind::Race, "is not waited for");
  make(copy16, "cp.async.wait_group 0;\nbar.sync 0;")
      .expectFound(32, 512, Kind::Race, "is not waited for");
  make(copy16, "cp.async.wait_all;")
      .expectFound(32, 512, Kind::Race, "no barrier orders the two");
  make("cp.async.cg.shared.global [%sm], [%in+512], 16;",
       "cp.async.wait_all;\nbar.sync 0;")
      .expectFound(32, 512, Kind::OutOfBounds, "`in`");
  make("cp.async.cg.shared.global [%sm+8], [%in], 16;",
       "cp.async.wait_all;\nbar.sync 0;")
      .expectFound(32, 1024, Kind::Misaligned);
  EXPECT_NE(refusalOf("cp.async.cg.shared.global [0], [0], 8;")
                .find("expected 4, 8 or 16 bytes"),
            std::string::npos);
}

TEST_F(AsyncCopy, signalsAnMbarrier) {
  std::string init = "setp.eq.u32 %p, %t, 0;\n@%p mbarrier.init.shared.b64 "
                     "[dyn+512], 32;\nbar.sync 0;\n";
  std::string wait =
      "\nW:\nmbarrier.test_wait.parity.shared.b64 %p, [dyn+512], "
      "0;\n@!%p bra W;";
  std::string arrive = "cp.async.mbarrier.arrive.noinc.shared.b64 [dyn+512];";
  make(copy16, arrive + wait, init).expectClean(32, 1024, [&] { isSwapped(); });
  // Without .noinc the arrival brings its own count, and another is owed.
  make(copy16,
       "cp.async.mbarrier.arrive.shared.b64 "
       "[dyn+512];\nmbarrier.arrive.shared.b64 %o, [dyn+512];" +
           wait,
       init)
      .expectClean(32, 1024, [&] { isSwapped(); });
  make(copy16,
       "mbarrier.arrive.shared.b64 %o, [dyn+512];" + wait +
           "\ncp.async.wait_all;",
       init)
      .expectFound(32, 1024, Kind::Race, "no barrier orders the two");
}

} // namespace
