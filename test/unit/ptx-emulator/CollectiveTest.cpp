//===- CollectiveTest.cpp - instructions of one warp
//-----------------------===//
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

/// Runs code from %x (3 * lane + 1) to %d in every lane of a warp.
void expectLanes(const std::string &code,
                 const std::function<uint32_t(uint32_t)> &want) {
  Bench bench(
      ".param .u64 p0",
      ".reg .pred %p, %q;\n.reg .b32 %t, %x, %y, %d;\n.reg .b64 %out, %o;\n"
      "mov.u32 %t, %tid.x;\nld.param.u64 %out, [p0];\nmul.wide.u32 %o, %t, "
      "4;\nadd.s64 %out, %out, %o;\n"
      "mad.lo.s32 %x, %t, 3, 1;\n" +
          code + "\nst.global.b32 [%out], %d;\nret;");
  Aligned<uint32_t> out(32);
  bench.buffer(out, "out").expectClean(32, 0, [&] {
    for (uint32_t lane = 0; lane < 32; ++lane)
      ASSERT_EQ(out[lane], want(lane)) << "lane " << lane << "\n" << code;
  });
}

TEST(Collective, shuffles) {
  auto x = [](uint32_t lane) { return 3 * lane + 1; };
  expectLanes("shfl.sync.idx.b32 %d, %x, 5, 31, -1;",
              [&](uint32_t) { return x(5); });
  expectLanes("shfl.sync.bfly.b32 %d, %x, 3, 31, -1;",
              [&](uint32_t l) { return x(l ^ 3); });
  expectLanes("shfl.sync.up.b32 %d, %x, 2, 0, -1;",
              [&](uint32_t l) { return x(l >= 2 ? l - 2 : l); });
  expectLanes("shfl.sync.down.b32 %d, %x, 2, 31, -1;",
              [&](uint32_t l) { return x(l < 30 ? l + 2 : l); });
  // Segments of eight: mask 0x18 in the upper half of c.
  expectLanes("shfl.sync.idx.b32 %d, %x, 2, 6175, -1;",
              [&](uint32_t l) { return x((l & 24) + 2); });
  expectLanes(
      "shfl.sync.down.b32 %d|%p, %x, 3, 6175, -1;\nselp.b32 %d, %d, 0, %p;",
      [&](uint32_t l) { return l % 8 < 5 ? x(l + 3) : 0; });
}

TEST(Collective, votes) {
  expectLanes("setp.lt.u32 %p, %t, 4;\nvote.sync.ballot.b32 %d, %p, -1;",
              [](uint32_t) { return 15u; });
  expectLanes("setp.lt.u32 %p, %t, 4;\nvote.sync.any.pred %q, %p, "
              "-1;\nselp.b32 %d, 1, 0, %q;",
              [](uint32_t) { return 1u; });
  expectLanes("setp.lt.u32 %p, %t, 4;\nvote.sync.all.pred %q, %p, "
              "-1;\nselp.b32 %d, 1, 0, %q;",
              [](uint32_t) { return 0u; });
  expectLanes("setp.lt.u32 %p, %t, 4;\nvote.sync.uni.pred %q, !%p, "
              "-1;\nselp.b32 %d, 1, 0, %q;",
              [](uint32_t) { return 0u; });
}

TEST(Collective, matchesAndReductions) {
  expectLanes("and.b32 %y, %t, 1;\nmatch.any.sync.b32 %d, %y, -1;",
              [](uint32_t l) { return l % 2 ? 0xaaaaaaaau : 0x55555555u; });
  expectLanes("match.all.sync.b32 %d|%p, 4, -1;\nselp.b32 %d, %d, 0, %p;",
              [](uint32_t) { return ~0u; });
  expectLanes("redux.sync.add.u32 %d, %t, -1;", [](uint32_t) { return 496u; });
  expectLanes("neg.s32 %y, %t;\nredux.sync.min.s32 %d, %y, -1;",
              [](uint32_t) { return uint32_t(-31); });
  expectLanes("redux.sync.or.b32 %d, %t, -1;", [](uint32_t) { return 31u; });
}

TEST(Collective, election) {
  expectLanes("elect.sync %y|%p, -1;\nselp.b32 %d, 1, %y, %p;",
              [](uint32_t l) { return l == 0 ? 1u : 0u; });
  expectLanes("mov.u32 %y, %laneid;\nmov.u32 %d, %lanemask_lt;\npopc.b32 %d, "
              "%d;\nsub.s32 %d, %d, %y;",
              [](uint32_t) { return 0u; });
}

TEST(Collective, halvesOfAWarpMeetSeparately) {
  expectLanes("setp.lt.u32 %p, %t, 16;\n@%p bra LOW;\nshfl.sync.idx.b32 %d, "
              "%x, 20, 31, 0xffff0000;\nbra END;\n"
              "LOW:\nshfl.sync.idx.b32 %d, %x, 3, 31, 0xffff;\nEND:",
              [](uint32_t l) { return 3 * (l < 16 ? 3u : 20u) + 1; });
}

std::string guarded(const std::string &instruction) {
  return ".reg .pred %p;\n.reg .b32 %t, %x, %y;\nmov.u32 %t, "
         "%tid.x;\nsetp.lt.u32 %p, %t, 16;\n@%p bra END;\n" +
         instruction + "\nEND:\nret;";
}

TEST(Collective, missingMembersAreFound) {
  // The others leave: a mask names only those that have not exited, so this is
  // allowed, but lanes that wait elsewhere for good are not.
  Bench("", guarded("shfl.sync.idx.b32 %x, %t, 20, 31, -1;")).expectClean(32);
  Bench("", guarded("shfl.sync.idx.b32 %x, %t, 3, 31, 0xffff0000;"))
      .expectFound(32, 0, Kind::Divergence, "which does not take part");
  Bench("", guarded("shfl.sync.idx.b32 %x, %t, 20, 31, 0xff;"))
      .expectFound(32, 0, Kind::Divergence, "the mask is");
  Bench("", ".reg .pred %p;\n.reg .b32 %t, %x;\nmov.u32 %t, "
            "%tid.x;\nsetp.lt.u32 %p, %t, 16;\n@%p bra LOW;\n"
            "shfl.sync.idx.b32 %x, %t, 20, 31, -1;\nbra "
            "END;\nLOW:\nshfl.sync.idx.b32 %x, %t, 20, 31, -1;\nEND:\nret;")
      .expectFound(32, 0, Kind::Divergence, "never do");
}

TEST(Collective, alignedNeedsTheWholeWarp) {
  Bench("", guarded("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%x}, [1024];"))
      .expectFound(32, 1024, Kind::Divergence, "all 32 must");
  Bench("", ".reg .pred %p;\n.reg .b32 %t;\nmov.u32 %t, %tid.x;\nsetp.lt.u32 "
            "%p, %t, 16;\n@%p bra LOW;\n"
            "bar.sync 0;\nbra END;\nLOW:\nbar.sync 0;\nEND:\nret;")
      .expectFound(32, 0, Kind::Divergence, "never do");
  Bench("", ".reg .pred %p;\n.reg .b32 %t;\nmov.u32 %t, %tid.x;\nsetp.lt.u32 "
            "%p, %t, 16;\n@%p bar.sync 0;\nret;")
      .expectFound(64, 0, Kind::Deadlock);
}

} // namespace
