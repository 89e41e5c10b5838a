//===- PairGraphTest.cpp - which pairs the oracle sees, by double loops ---===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/unit/reference/Harness.h"

using namespace filigree::reference;

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

TEST(PairGraph, CausalIsBottomRight) {
  Problem p;
  p.graph = where("g", kCausal);
  p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
    return c <= r + p.Nk - p.Nq;
  };
  p.fill();
  p.check();
}

TEST(PairGraph, MoreQueriesThanKeysLeavesEmptyRows) {
  Problem p;
  p.Nq = 11;
  p.Nk = 4;
  p.graph = where("g", kCausal);
  p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
    return c <= r + p.Nk - p.Nq;
  };
  p.fill();
  p.check();
}

TEST(PairGraph, TopLeft) {
  Problem p;
  p.graph = where("g", kCausal);
  p.attend = "align top_left";
  p.allowed = [](int64_t, int64_t, int64_t r, int64_t c) { return c <= r; };
  p.fill();
  p.check();
}

TEST(PairGraph, Offsets) {
  Problem p;
  Integers offsets{{2}, {-3, 5}};
  p.arguments = ", %off: tensor<?xi32> {attn.name = \"off\"}";
  p.graph = where("g", kCausal);
  p.attend = "offsets(%off : tensor<?xi32>)";
  p.inputs.tensors["off"] = offsets.tensor();
  p.allowed = [](int64_t b, int64_t, int64_t r, int64_t c) {
    return c <= r + (b == 0 ? -3 : 5);
  };
  p.fill();
  p.check();
}

TEST(PairGraph, WindowWithRunTimeWidth) {
  for (int64_t width : {0, 1, 4, 100}) {
    Problem p;
    p.arguments = ", %w: i64 {attn.name = \"window\", attn.min = 0 : i64}";
    p.graph = where("g", "%d = arith.subi %i, %j : i64\n"
                         "%a = arith.cmpi slt, %d, %w : i64\n"
                         "%c = arith.cmpi sle, %j, %i : i64\n"
                         "%y = arith.andi %a, %c : i1");
    p.inputs.scalars["window"] = Scalar::ofInt(width);
    p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
      int64_t i = r + p.Nk - p.Nq;
      return c <= i && i - c < width;
    };
    p.fill();
    p.check();
  }
}

TEST(PairGraph, FloorDivisionAndRemainderOfNegativePositions) {
  Problem p;
  p.Nq = 13;
  p.Nk = 6; // positions of queries start at -7
  p.graph = where("g", "%three = arith.constant 3 : i64\n"
                       "%d = arith.subi %i, %j : i64\n"
                       "%m = attn.mod %d, %three\n"
                       "%f = arith.floordivsi %d, %three : i64\n"
                       "%n = attn.mod %f, %three\n"
                       "%y = arith.cmpi eq, %m, %n : i64");
  p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
    auto floor = [](double a) { return int64_t(std::floor(a / 3)); };
    int64_t d = r - 7 - c, f = floor(d);
    return d - 3 * f == f - 3 * floor(f);
  };
  p.fill();
  p.check();
}

TEST(PairGraph, SetAlgebra) {
  Problem p;
  p.graph = where("ga", kCausal) +
            where("gb", "%two = arith.constant 2 : i64\n"
                        "%m = attn.mod %j, %two\n"
                        "%zero = arith.constant 0 : i64\n"
                        "%y = arith.cmpi eq, %m, %zero : i64") +
            where("gc", "%four = arith.constant 4 : i64\n"
                        "%y = arith.cmpi slt, %j, %four : i64") +
            "%gd = attn.difference %ga, %gb\n"
            "%ge = attn.union %gd, %gc\n"
            "%gf = attn.complement %ge\n"
            "%gu = attn.union %gb, %gc\n"
            "%g = attn.intersect %gf, %gu\n";
  p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
    bool a = c <= r + p.Nk - p.Nq, even = c % 2 == 0, first = c < 4;
    return !((a && !even) || first) && (even || first);
  };
  p.fill();
  p.check();
}

TEST(PairGraph, AUnionCountsAPairOnce) {
  Problem p;
  p.graph =
      where("ga", kTrue) + where("gb", kCausal) + "%g = attn.union %ga, %gb\n";
  p.fill();
  p.check();
}

TEST(PairGraph, TablePerHeadAndPerBatch) {
  Problem p;
  Integers window{{4}, {1, 3, 5, 100}}, length{{2, 1}, {13, 6}};
  p.arguments = ", %w: tensor<?xi32> {attn.name = \"w\"}, %n: "
                "tensor<?x?xi32> {attn.name = \"n\"}";
  p.graph = where("g", "%t = attn.lookup %w[%h] : tensor<?xi32> -> i64\n"
                       "%n0 = attn.lookup %n[%b, %h] : tensor<?x?xi32> -> i64\n"
                       "%d = arith.subi %i, %j : i64\n"
                       "%a = arith.cmpi slt, %d, %t : i64\n"
                       "%c = arith.cmpi slt, %j, %n0 : i64\n"
                       "%y = arith.andi %a, %c : i1");
  p.inputs.tensors["w"] = window.tensor();
  p.inputs.tensors["n"] = length.tensor();
  p.allowed = [&](int64_t b, int64_t h, int64_t r, int64_t c) {
    return r + p.Nk - p.Nq - c < window.values[h] && c < length.values[b];
  };
  p.fill();
  p.check();
}

//===----------------------------------------------------------------------===//
// Lists of blocks
//===----------------------------------------------------------------------===//

namespace {
/// Blocks of 4 queries and 5 keys: 3 rows of blocks, 3 columns.
struct ListProblem : Problem {
  Integers start, count, cols{{5}, {0, 2, 1, 0, 1}};
  std::string list = "%start, %count, %cols [4, 5] : tensor<?x?x?xi32>, "
                     "tensor<?x?x?xi32>, tensor<?xi32>";

  ListProblem(llvm::ArrayRef<int64_t> heads, std::vector<int32_t> starts,
              std::vector<int32_t> counts) {
    llvm::SmallVector<int64_t, 4> shape = {heads[0], heads[1], 3};
    start = {shape, starts};
    count = {shape, counts};
    arguments = ", %start: tensor<?x?x?xi32> {attn.name = \"start\"}, "
                "%count: tensor<?x?x?xi32> {attn.name = \"count\"}, "
                "%cols: tensor<?xi32> {attn.name = \"cols\"}";
    graph = "%g = attn.blocks " + list + "\n";
    allowed = [this](int64_t b, int64_t h, int64_t r, int64_t c) {
      return has(b, h, r, c);
    };
  }
  bool has(int64_t b, int64_t h, int64_t r, int64_t c) const {
    int64_t lists = start.shape[1];
    int64_t at =
        ((start.shape[0] == 1 ? 0 : b) * lists + h * lists / Hq) * 3 + r / 4;
    for (int32_t t = 0; t < count.values[at]; ++t)
      if (cols.values[start.values[at] + t] == c / 5)
        return true;
    return false;
  }
  void finish() {
    inputs.tensors["start"] = start.tensor();
    inputs.tensors["count"] = count.tensor();
    inputs.tensors["cols"] = cols.tensor();
    fill();
  }
};
} // namespace

TEST(PairGraph, BlocksSharedByAll) {
  ListProblem p({1, 1}, {0, 2, 3}, {2, 1, 2});
  p.finish();
  p.check();
}

TEST(PairGraph, BlocksPerKvHeadAndBatch) {
  ListProblem p({2, 2}, {0, 2, 3, 0, 0, 0, 3, 3, 3, 1, 5, 1},
                {2, 1, 2, 0, 1, 2, 1, 2, 0, 1, 0, 1});
  p.finish();
  p.check();
}

TEST(PairGraph, BlocksPerQueryHead) {
  ListProblem p({1, 4}, {0, 2, 3, 0, 0, 0, 3, 3, 3, 1, 5, 1},
                {2, 1, 2, 0, 1, 2, 1, 2, 0, 1, 0, 1});
  p.finish();
  p.check();
}

TEST(PairGraph, BlocksMeetAPredicate) {
  ListProblem p({1, 1}, {0, 2, 3}, {2, 1, 2});
  p.graph = "%l = attn.blocks " + p.list + "\n" + where("c", kCausal) +
            "%g = attn.intersect %l, %c\n";
  p.allowed = [&](int64_t b, int64_t h, int64_t r, int64_t c) {
    return p.has(b, h, r, c) && c <= r + p.Nk - p.Nq;
  };
  p.finish();
  p.check();
}

TEST(PairGraph, BadListsAndEntriesAreDropped) {
  // Row block 0: ids 0, 3 (out of range), 2. Row block 1: 2, 1 (descends).
  // Row block 2: leaves the array.
  ListProblem p({1, 1}, {0, 2, 4}, {3, 2, 2});
  p.cols.values = {0, 3, 2, 1, 1};
  p.allowed = [](int64_t, int64_t, int64_t r, int64_t c) {
    return r < 4 ? c / 5 == 0 || c / 5 == 2 : r < 8 ? c / 5 == 2 : false;
  };
  p.finish();
  p.check();
  for (int32_t bad : {-1, 3, 1 << 30}) {
    p.cols.values[1] = bad;
    p.check();
  }
  for (int32_t bad : {-1, INT32_MAX, INT32_MIN}) {
    p.start.values[2] = bad;
    p.check();
    p.start.values[2] = 4;
    p.count.values[2] = bad;
    p.check();
    p.count.values[2] = 2;
  }
}

TEST(PairGraph, ShapesOfListsAreErrors) {
  ListProblem heads({1, 3}, std::vector<int32_t>(9), std::vector<int32_t>(9));
  heads.finish();
  EXPECT_EQ(heads.error(),
            "expected extent 1 of 'start' to be 1, 2 or 4, but got 3");
  ListProblem rows({1, 1}, {0, 2, 3}, {2, 1, 2});
  rows.Nq = 13;
  rows.finish();
  EXPECT_EQ(rows.error(), "expected extent 2 of 'start' to be 4, 13 queries in "
                          "blocks of 4, but got 3");
}

//===----------------------------------------------------------------------===//
// Documents
//===----------------------------------------------------------------------===//

TEST(PairGraph, Documents) {
  for (bool topLeft : {false, true}) {
    Problem p;
    p.B = 1;
    // Rows 0, 8 and keys 0, 12 lie in no document; document 1 has no query,
    // document 2 has more queries than keys.
    Integers cuQ{{5}, {1, 4, 4, 7, 8}}, cuK{{5}, {1, 6, 8, 10, 12}};
    p.arguments = ", %cu_q: tensor<?xi32> {attn.name = \"cu_q\"}, %cu_k: "
                  "tensor<?xi32> {attn.name = \"cu_k\"}";
    p.graph = where("g", "%four = arith.constant 4 : i64\n"
                         "%d = arith.subi %i, %j : i64\n"
                         "%a = arith.cmpi slt, %d, %four : i64\n"
                         "%c = arith.cmpi sle, %j, %i : i64\n"
                         "%y = arith.andi %a, %c : i1");
    p.attend = "documents(%cu_q, %cu_k : tensor<?xi32>, tensor<?xi32>)";
    if (topLeft)
      p.attend += " align top_left";
    p.inputs.tensors["cu_q"] = cuQ.tensor();
    p.inputs.tensors["cu_k"] = cuK.tensor();
    p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
      for (int d = 0; d < 4; ++d) {
        int64_t q0 = cuQ.values[d], q1 = cuQ.values[d + 1];
        int64_t k0 = cuK.values[d], k1 = cuK.values[d + 1];
        if (r < q0 || r >= q1 || c < k0 || c >= k1)
          continue;
        int64_t i = r - q0 + (topLeft ? 0 : (k1 - k0) - (q1 - q0)), j = c - k0;
        return j <= i && i - j < 4;
      }
      return false;
    };
    p.fill();
    p.check();
  }
}

/// Sequences of ragged lengths, one without keys, in shuffled pages of 4 slots.
/// k and v hold the sequences one after the other; pages are filled from them.
TEST(PairGraph, Pages) {
  constexpr int64_t slots = 4, pages = 9, most = 3;
  Integers cuQ{{5}, {0, 3, 4, 4, 9}},
      table{{4, most}, {7, 2, -9, 0, 5, 3, 99, 99, 99, 4, 8, 1}},
      lengths{{4}, {7, 12, 0, 9}};
  for (bool bad : {false, true}) {
    for (bool topLeft : {false, true}) {
      Problem p;
      p.B = 1;
      p.Nk = pages * slots; // storage: [pages, Hkv, slots, D]
      p.arguments = ", %cu_q: tensor<?xi32> {attn.name = \"cu_q\"}, %table: "
                    "tensor<?x?xi32> {attn.name = \"table\"}, %n: "
                    "tensor<?xi32> {attn.name = \"lengths\"}";
      p.graph = where("g", "%y = arith.cmpi sle, %j, %i : i64");
      p.attend = "paged(%cu_q, %table, %n page 4 : tensor<?xi32>, "
                 "tensor<?x?xi32>, tensor<?xi32>)";
      if (topLeft)
        p.attend += " align top_left";
      // A page that does not exist, a length beyond the table.
      table.values[10] = bad ? 9 : 8;
      lengths.values[1] = bad ? 1000 : 12;
      p.inputs.tensors["cu_q"] = cuQ.tensor();
      p.inputs.tensors["table"] = table.tensor();
      p.inputs.tensors["lengths"] = lengths.tensor();
      // Of a storage slot, the sequence and the key that are there.
      auto placeOf = [&](int64_t c) {
        for (int64_t s = 0; s < 4; ++s)
          for (int64_t j = 0; j < std::min<int64_t>(lengths.values[s], 12); ++j)
            if (table.values[s * most + j / slots] == c / slots &&
                j % slots == c % slots)
              return std::pair<int64_t, int64_t>(s, j);
        return std::pair<int64_t, int64_t>(-1, 0);
      };
      p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
        auto [s, j] = placeOf(c);
        if (s < 0 || r < cuQ.values[s] || r >= cuQ.values[s + 1])
          return false;
        int64_t length = std::min<int64_t>(lengths.values[s], 12);
        int64_t queries = cuQ.values[s + 1] - cuQ.values[s];
        return j <= r - cuQ.values[s] + (topLeft ? 0 : length - queries);
      };
      p.fill();
      // The same numbers, seen as pages: [pages, Hkv, slots, D].
      for (const char *name : {"k", "v"}) {
        Tensor &tensor = p.inputs.tensors[name];
        int64_t width = tensor.shape[3];
        tensor.shape = {pages, p.Hkv, slots, width};
        tensor.strides = {slots * width, p.Nk * width, width, 1};
      }
      p.check();
    }
  }
  Problem p;
  p.B = 1;
  p.arguments = ", %cu_q: tensor<?xi32> {attn.name = \"cu_q\"}, %table: "
                "tensor<?x?xi32> {attn.name = \"table\"}, %n: "
                "tensor<?xi32> {attn.name = \"lengths\"}";
  p.graph = where("g", "%y = arith.cmpi sle, %j, %i : i64");
  p.attend = "paged(%cu_q, %table, %n page 4 : tensor<?xi32>, "
             "tensor<?x?xi32>, tensor<?xi32>)";
  p.inputs.tensors["cu_q"] = cuQ.tensor();
  p.inputs.tensors["table"] = table.tensor();
  p.inputs.tensors["lengths"] = lengths.tensor();
  p.fill();
  EXPECT_EQ(p.error(), "expected extent 2 of 'k' to be 4, the slots of a page, "
                       "but got 13");
  lengths.shape[0] = 3;
  p.inputs.tensors["lengths"] = lengths.tensor();
  EXPECT_EQ(p.error(), "expected extent 0 of 'lengths' to be 4, the sequences "
                       "of 'cu_q', but got 3");
}

TEST(PairGraph, TablesOfDocuments) {
  Problem p;
  p.B = 1;
  Integers cuQ{{4}, {0, 4, 6, 9}}, cuK{{4}, {0, 6, 9, 13}},
      window{{3, 1}, {2, 1, 100}};
  p.arguments = ", %cu_q: tensor<?xi32> {attn.name = \"cu_q\"}, %cu_k: "
                "tensor<?xi32> {attn.name = \"cu_k\"}, %w: tensor<?x?xi32> "
                "{attn.name = \"w\"}";
  p.graph = where("g", "%t = attn.lookup %w[%b, %h] : tensor<?x?xi32> -> i64\n"
                       "%d = arith.subi %i, %j : i64\n"
                       "%y = arith.cmpi slt, %d, %t : i64");
  p.attend = "documents(%cu_q, %cu_k : tensor<?xi32>, tensor<?xi32>)";
  p.inputs.tensors["cu_q"] = cuQ.tensor();
  p.inputs.tensors["cu_k"] = cuK.tensor();
  p.inputs.tensors["w"] = window.tensor();
  p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
    int d = r < 4 ? 0 : r < 6 ? 1 : 2, e = c < 6 ? 0 : c < 9 ? 1 : 2;
    if (d != e)
      return false;
    // Distance from the ends, where the last query meets the last key.
    int64_t i = r - cuQ.values[d + 1], j = c - cuK.values[d + 1];
    return i - j < window.values[d];
  };
  p.fill();
  p.check();
  window.shape[0] = 2;
  p.inputs.tensors["w"] = window.tensor();
  EXPECT_EQ(p.error(), "expected extent 0 of 'w', indexed by b, to be 1 or 3, "
                       "but got 2");
}

TEST(PairGraph, ComplementStaysInsideDocuments) {
  Problem p;
  p.B = 1;
  Integers cuQ{{3}, {0, 4, 9}}, cuK{{3}, {0, 6, 13}};
  p.arguments = ", %cu_q: tensor<?xi32> {attn.name = \"cu_q\"}, %cu_k: "
                "tensor<?xi32> {attn.name = \"cu_k\"}";
  p.graph =
      where("e", "%y = arith.constant false") + "%g = attn.complement %e\n";
  p.attend = "documents(%cu_q, %cu_k : tensor<?xi32>, tensor<?xi32>)";
  p.inputs.tensors["cu_q"] = cuQ.tensor();
  p.inputs.tensors["cu_k"] = cuK.tensor();
  p.allowed = [](int64_t, int64_t, int64_t r, int64_t c) {
    return (r < 4) == (c < 6);
  };
  p.fill();
  p.check();
  cuK.values[2] = 14;
  EXPECT_EQ(p.error(), "expected 'cu_k' to end at 13 or before, but got 14");
  cuK.values = {0, 6, 5};
  EXPECT_EQ(p.error(),
            "expected entry 2 of 'cu_k' to be at least 6, but got 5");
}
