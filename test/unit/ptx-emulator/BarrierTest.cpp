//===- BarrierTest.cpp - named barriers and mbarriers
//----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Harness.h"

using namespace filigree::ptx;
using namespace filigree::ptx::test;

namespace {

const char *const declarations = ".extern .shared .align 1024 .b8 dyn[];";
const char *const prologue = ".reg .pred %p, %q;\n.reg .b32 %t, %x, %y, "
                             "%w;\n.reg .b64 %s, %out;\nmov.u32 %t, %tid.x;\n"
                             "shr.u32 %w, %t, 5;\n";

Bench make(const std::string &body) {
  return Bench("", prologue + body + "\nret;", declarations);
}

/// Warp 0 writes a word, warp 1 reads it; `signal` and `wait` lie between.
std::string handOver(const std::string &signal, const std::string &wait) {
  return "setp.ne.u32 %p, %w, 0;\n@%p bra READER;\nsetp.eq.u32 %q, %t, 0;\n@%q "
         "st.shared.b32 [dyn], 42;\n" +
         signal + "\nbra END;\nREADER:\n" + wait +
         "\nld.shared.b32 %x, [dyn];\nEND:";
}

TEST(Barrier, arriveAndSync) {
  make(handOver("bar.arrive 1, 64;", "bar.sync 1, 64;")).expectClean(64, 64);
  make(handOver("barrier.cta.arrive.aligned 3, 64;",
                "barrier.cta.sync.aligned 3, 64;"))
      .expectClean(64, 64);
  make(handOver("barrier.sync 3, 64;", "barrier.sync 3;")).expectClean(64, 64);
  make(handOver("bar.arrive 1, 64;", "bar.sync 2, 32;"))
      .expectFound(64, 64, Kind::Race);
}

TEST(Barrier, misuse) {
  make("setp.eq.u32 %p, %w, 0;\n@%p bar.arrive 1, 96;\n@!%p bar.arrive 1, 128;")
      .expectFound(128, 0, Kind::Barrier, "brought");
  make("bar.arrive 1, 64;\nbar.arrive 1, 64;\nbar.sync 1, 64;").expectClean(64);
  make("bar.sync 0, 48;")
      .expectFound(64, 0, Kind::Barrier, "expected a multiple of 32");
  make("mov.b32 %x, 16;\nbar.sync %x;")
      .expectFound(64, 0, Kind::Barrier, "barrier 16 of 16");
  make("bar.sync %t, 64;")
      .expectFound(64, 0, Kind::Barrier, "different barriers");
}

TEST(Barrier, deadlockSaysWhoWaitsWhere) {
  make(handOver("bar.sync 1, 64;", "bar.sync 2, 64;"))
      .expectFound(64, 64, Kind::Deadlock, "(barrier 1 has 32 of 64 threads)");
  make(handOver("bar.sync 1, 64;", "bar.sync 2, 64;"))
      .expectFound(64, 64, Kind::Deadlock,
                   "warp 1 at line 19 `bar.sync 2, 64`");
  make("setp.eq.u32 %p, %w, 0;\n@%p bra END;\nbar.sync 0;\nEND:")
      .expectFound(64, 0, Kind::Deadlock, "32 threads have exited");
}

TEST(Barrier, reductions) {
  Bench bench(".param .u64 p0",
              std::string(prologue) +
                  "setp.lt.u32 %p, %t, 40;\nbar.red.popc.u32 %x, 0, "
                  "%p;\nbar.red.and.pred %q, 0, %p;\n"
                  "selp.b32 %y, 100, 0, %q;\nadd.s32 %x, %x, "
                  "%y;\nbar.red.or.pred %q, 0, %p;\nselp.b32 %y, 1000, 0, %q;\n"
                  "add.s32 %x, %x, %y;\nld.param.u64 %out, [p0];\nsetp.eq.u32 "
                  "%p, %t, 63;\n@%p st.global.b32 [%out], %x;\nret;");
  Aligned<uint32_t> out(1);
  bench.buffer(out, "out").expectClean(64, 0, [&] {
    ASSERT_EQ(out[0], 1040u);
  });
}

/// With mbarriers of `count` arrivals at 64, 72.
std::string withMbarriers(int count, const std::string &body,
                          const char *sync = "bar.sync 0;") {
  std::string n = std::to_string(count);
  return "setp.ne.u32 %p, %t, 0;\n@%p bra "
         "READY;\nmbarrier.init.shared::cta.b64 [dyn+64], " +
         n + ";\nmbarrier.init.shared::cta.b64 [dyn+72], " + n + ";\nREADY:\n" +
         sync + "\n" + body;
}
std::string waitFor(int address, int parity) {
  static int label = 0;
  std::string name = "WAIT" + std::to_string(label++);
  return name + ":\nmbarrier.try_wait.parity.shared::cta.b64 %p, [dyn+" +
         std::to_string(address) + "], " + std::to_string(parity) +
         ";\n@!%p bra " + name + ";\n";
}

TEST(Mbarrier, handsOver) {
  make(
      withMbarriers(32, handOver("mbarrier.arrive.shared::cta.b64 _, [dyn+64];",
                                 waitFor(64, 0))))
      .expectClean(64, 128);
  make(withMbarriers(
           1,
           handOver(
               "@%q mbarrier.arrive.release.cta.shared::cta.b64 %s, [dyn+64];",
               waitFor(64, 0))))
      .expectClean(64, 128);
  make(withMbarriers(8,
                     handOver("@%q mbarrier.arrive.shared.b64 _, [dyn+64], 8;",
                              waitFor(64, 0))))
      .expectClean(64, 128);
}

TEST(Mbarrier, statesNamePhases) {
  make(withMbarriers(
           64,
           "mbarrier.arrive.shared::cta.b64 %s, [dyn+64];\nW:\n"
           "mbarrier.test_wait.shared::cta.b64 %p, [dyn+64], %s;\n@!%p bra W;"))
      .expectClean(64, 128);
}

TEST(Mbarrier, thirtyPhases) {
  // Two warps hand one word back and forth; the parity is bit 0 of the turn.
  std::string loop =
      "mov.b32 %x, 0;\nsetp.ne.u32 %p, %w, 0;\n@%p bra B;\n"
      "A:\nst.shared.b32 [dyn], %x;\nmbarrier.arrive.shared::cta.b64 _, "
      "[dyn+64];\nand.b32 %y, %x, 1;\n"
      "WA:\nmbarrier.try_wait.parity.shared::cta.b64 %p, [dyn+72], %y;\n@!%p "
      "bra WA;\n"
      "add.s32 %x, %x, 1;\nsetp.lt.u32 %p, %x, 30;\n@%p bra A;\nbra END;\n"
      "B:\nand.b32 %y, %x, 1;\nWB:\nmbarrier.try_wait.parity.shared::cta.b64 "
      "%p, [dyn+64], %y;\n@!%p bra WB;\n"
      "ld.shared.b32 %y, [dyn];\nmbarrier.arrive.shared::cta.b64 _, [dyn+72];\n"
      "add.s32 %x, %x, 1;\nsetp.lt.u32 %p, %x, 30;\n@%p bra B;\nEND:";
  make(withMbarriers(32, loop)).expectClean(64, 128);
}

TEST(Mbarrier, wrongPhase) {
  make(
      withMbarriers(32, handOver("mbarrier.arrive.shared::cta.b64 _, [dyn+64];",
                                 waitFor(64, 1))))
      .expectFound(64, 128, {Kind::Race, Kind::Deadlock});
  make(
      withMbarriers(32, handOver("mbarrier.arrive.shared::cta.b64 _, [dyn+64];",
                                 waitFor(64, 0) + waitFor(64, 1))))
      .expectFound(64, 128, Kind::Deadlock,
                   "lacks 32 of 32 arrivals and 0 bytes");
}

TEST(Mbarrier, anAnswerNotLookedAt) {
  // The first answer is false wherever it can be.
  make(
      withMbarriers(
          32, handOver(
                  "mbarrier.arrive.shared::cta.b64 _, [dyn+64];",
                  "mbarrier.try_wait.parity.shared::cta.b64 %p, [dyn+64], 0;")))
      .expectFound(64, 128, {Kind::Race, Kind::Uninitialised});
}

TEST(Mbarrier, lanesReleaseTogetherOnRequest) {
  // Lane 0 arrives for its warp without a bar.warp.sync.
  std::string body = withMbarriers(
      1, "setp.ne.u32 %p, %w, 0;\n@%p bra READER;\nshl.b32 %x, %t, 2;\n"
         "mov.b32 %y, dyn;\nadd.s32 %y, %y, %x;\nst.shared.b32 [%y+128], %t;\n"
         "setp.eq.u32 %q, %t, 0;\n@%q mbarrier.arrive.shared::cta.b64 _, "
         "[dyn+64];\nbra END;\nREADER:\n" +
             waitFor(64, 0) + "ld.shared.b32 %x, [dyn+132];\nEND:");
  Bench bench = make(body);
  bench.expectFound(64, 256, Kind::Race,
                    "thread 32 reads shared 0x484, which thread 1 writes");
  Options options;
  options.lanesReleaseTogether = true;
  EXPECT_EQ(bench.run({1, 1, 1}, {64, 1, 1}, 256, options).describe(), "");
}

TEST(Mbarrier, misuse) {
  std::string arrive = "mbarrier.arrive.shared::cta.b64 _, [dyn+64];";
  make(withMbarriers(63, arrive + waitFor(64, 0)))
      .expectClean(64 - 32 + 31, 128);
  make(withMbarriers(
           40, "setp.lt.u32 %p, %t, 32;\n@%p bra "
               "END;\nmbarrier.arrive.shared::cta.b64 _, [dyn+64], 41;\nEND:"))
      .expectFound(64, 128, Kind::Mbarrier, "has all its 40 arrivals");
  make(arrive).expectFound(1, 128, Kind::Mbarrier, "holds no mbarrier");
  make(withMbarriers(32, arrive, "")).expectFound(64, 128, Kind::Mbarrier);
  make(withMbarriers(32, "ld.shared.b32 %x, [dyn+64];"))
      .expectFound(32, 128, Kind::Mbarrier, "which holds a live mbarrier");
  make(withMbarriers(1, "mbarrier.init.shared::cta.b64 [dyn+64], 1;"))
      .expectFound(1, 128, Kind::Mbarrier, "holds a live mbarrier");
  make(withMbarriers(1,
                     "mbarrier.inval.shared::cta.b64 "
                     "[dyn+64];\nmbarrier.init.shared::cta.b64 [dyn+64], 1;"))
      .expectClean(1, 128);
  make(withMbarriers(
           1, "mbarrier.arrive.expect_tx.shared::cta.b64 _, [dyn+64], 16;"))
      .expectFound(1, 128, Kind::Mbarrier, "still expects 16 bytes");
  make("mbarrier.init.shared::cta.b64 [dyn+4], 1;")
      .expectFound(1, 128, Kind::Misaligned);
}

TEST(Mbarrier, usedBeforeItsInitIsOrdered) {
  make("setp.ne.u32 %p, %w, 0;\n@%p bra SECOND;\nsetp.eq.u32 %p, %t, 0;\n@%p "
       "mbarrier.init.shared::cta.b64 [dyn+64], 32;\n"
       "bra END;\nSECOND:\nmov.b32 %x, 0;\nL:\nadd.s32 %x, %x, 1;\nsetp.lt.u32 "
       "%p, %x, 2000;\n@%p bra L;\n"
       "mbarrier.arrive.shared::cta.b64 _, [dyn+64];\nEND:")
      .expectFound(64, 128, Kind::Mbarrier);
}

} // namespace
