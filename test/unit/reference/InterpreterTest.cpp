//===- InterpreterTest.cpp - the oracle against double loops --------------===//
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

TEST(Interpreter, CausalIsBottomRight) {
  Problem p;
  p.graph = where("g", kCausal);
  p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
    return c <= r + p.Nk - p.Nq;
  };
  p.fill();
  p.check();
}

TEST(Interpreter, MoreQueriesThanKeysLeavesEmptyRows) {
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

TEST(Interpreter, TopLeft) {
  Problem p;
  p.graph = where("g", kCausal);
  p.attend = "align top_left";
  p.allowed = [](int64_t, int64_t, int64_t r, int64_t c) { return c <= r; };
  p.fill();
  p.check();
}

TEST(Interpreter, Offsets) {
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

TEST(Interpreter, WindowWithRunTimeWidth) {
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

TEST(Interpreter, FloorDivisionAndRemainderOfNegativePositions) {
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

TEST(Interpreter, SetAlgebra) {
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

TEST(Interpreter, AUnionCountsAPairOnce) {
  Problem p;
  p.graph =
      where("ga", kTrue) + where("gb", kCausal) + "%g = attn.union %ga, %gb\n";
  p.fill();
  p.check();
}

TEST(Interpreter, TablePerHeadAndPerBatch) {
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

TEST(Interpreter, BlocksSharedByAll) {
  ListProblem p({1, 1}, {0, 2, 3}, {2, 1, 2});
  p.finish();
  p.check();
}

TEST(Interpreter, BlocksPerKvHeadAndBatch) {
  ListProblem p({2, 2}, {0, 2, 3, 0, 0, 0, 3, 3, 3, 1, 5, 1},
                {2, 1, 2, 0, 1, 2, 1, 2, 0, 1, 0, 1});
  p.finish();
  p.check();
}

TEST(Interpreter, BlocksPerQueryHead) {
  ListProblem p({1, 4}, {0, 2, 3, 0, 0, 0, 3, 3, 3, 1, 5, 1},
                {2, 1, 2, 0, 1, 2, 1, 2, 0, 1, 0, 1});
  p.finish();
  p.check();
}

TEST(Interpreter, BlocksMeetAPredicate) {
  ListProblem p({1, 1}, {0, 2, 3}, {2, 1, 2});
  p.graph = "%l = attn.blocks " + p.list + "\n" + where("c", kCausal) +
            "%g = attn.intersect %l, %c\n";
  p.allowed = [&](int64_t b, int64_t h, int64_t r, int64_t c) {
    return p.has(b, h, r, c) && c <= r + p.Nk - p.Nq;
  };
  p.finish();
  p.check();
}

TEST(Interpreter, BadListsAndEntriesAreDropped) {
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

TEST(Interpreter, ShapesOfListsAreErrors) {
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

TEST(Interpreter, Documents) {
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
TEST(Interpreter, Pages) {
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

TEST(Interpreter, TablesOfDocuments) {
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

TEST(Interpreter, ComplementStaysInsideDocuments) {
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

//===----------------------------------------------------------------------===//
// Edges
//===----------------------------------------------------------------------===//

TEST(Interpreter, SoftCapAndScale) {
  Problem p;
  p.graph = where("g", kCausal);
  p.scale = "scale 0.75";
  p.edge = edge("%c = arith.constant 2.5 : f32\n"
                "%a = arith.divf %x, %c : f32\n"
                "%t = math.tanh %a : f32\n"
                "%y = arith.mulf %t, %c : f32");
  p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
    return c <= r + p.Nk - p.Nq;
  };
  p.worth = [](double x, int64_t, int64_t, int64_t, int64_t) {
    return 2.5 * std::tanh(x / 2.5);
  };
  p.fill();
  p.check(0.75);
}

TEST(Interpreter, BiasIsIndexedByStorage) {
  Problem p;
  Numbers bias({1, 4, 9, 13}, 7);
  p.arguments = ", %bias: tensor<1x?x?x?xf32> {attn.name = \"bias\"}";
  p.graph = where("g", kTrue);
  p.edge = edge("%t = attn.lookup %bias[%b, %h, %i, %j] : "
                "tensor<1x?x?x?xf32> -> f32\n"
                "%y = arith.addf %x, %t : f32");
  p.inputs.tensors["bias"] = bias.tensor();
  p.worth = [&](double x, int64_t, int64_t h, int64_t r, int64_t c) {
    return x + bias.at(0, h, r, c);
  };
  p.fill();
  p.check();
}

TEST(Interpreter, AlibiOnPositions) {
  Problem p;
  Numbers slopes({4}, 8);
  p.arguments = ", %m: tensor<?xf32> {attn.name = \"m\"}, %w: f32 {attn.name = "
                "\"w\", attn.preset = 0.5 : f32}";
  p.graph = where("g", kCausal);
  p.edge = edge("%t = attn.lookup %m[%h] : tensor<?xf32> -> f32\n"
                "%d = arith.subi %j, %i : i64\n"
                "%f = arith.sitofp %d : i64 to f32\n"
                "%a = arith.mulf %t, %f : f32\n"
                "%z = arith.mulf %a, %w : f32\n"
                "%y = arith.addf %x, %z : f32");
  p.inputs.tensors["m"] = slopes.tensor();
  p.allowed = [&](int64_t, int64_t, int64_t r, int64_t c) {
    return c <= r + p.Nk - p.Nq;
  };
  p.worth = [&](double x, int64_t, int64_t h, int64_t r, int64_t c) {
    return x + 0.5 * slopes.values[h] * double(c - (r + p.Nk - p.Nq));
  };
  p.fill();
  p.check();
}

TEST(Interpreter, FloatComparisonsTreatNaN) {
  // The logit is replaced by bits of comparisons with NaN: only unordered
  // predicates hold.
  Problem p;
  p.graph = where("g", kTrue);
  p.edge = edge("%n = arith.constant 0x7fc00000 : f32\n"
                "%one = arith.constant 1.0 : f32\n"
                "%zero = arith.constant 0.0 : f32\n"
                "%a = arith.cmpf olt, %x, %n : f32\n"
                "%b0 = arith.cmpf ult, %x, %n : f32\n"
                "%c = arith.xori %a, %b0 : i1\n"
                "%e = arith.cmpf one, %x, %n : f32\n"
                "%u = arith.cmpf uno, %x, %n : f32\n"
                "%f = arith.xori %e, %u : i1\n"
                "%k0 = arith.andi %c, %f : i1\n"
                "%y = arith.select %k0, %one, %zero : f32");
  p.worth = [](double, int64_t, int64_t, int64_t, int64_t) { return 1.0; };
  p.fill();
  p.check();
}

//===----------------------------------------------------------------------===//
// Folds
//===----------------------------------------------------------------------===//

TEST(Interpreter, Sink) {
  Problem p;
  p.Nq = 11;
  p.Nk = 4; // rows without keys: the sink alone
  Numbers sink({4}, 9);
  p.arguments = ", %sk: tensor<?xf32> {attn.name = \"sink\"}";
  p.graph = where("g", kCausal);
  p.sink = "sink(%sk : tensor<?xf32>)";
  p.inputs.tensors["sink"] = sink.tensor();
  p.sinkOf = [&](int64_t h) { return double(sink.values[h]); };
  p.allowed = [](int64_t, int64_t, int64_t r, int64_t c) { return c <= r - 7; };
  p.fill();
  p.check();
}

TEST(Interpreter, SourcesAddAndMergesAreOneSoftmax) {
  // The pairs of %a twice, those of %c once: as sources, and as a merge.
  const char *head =
      "func.func @p(%q: tensor<?x?x?x8xf32> {attn.name = \"q\"}, %k: "
      "tensor<?x?x?x8xf32> {attn.name = \"k\"}, %v: tensor<?x?x?x4xf32> "
      "{attn.name = \"v\"}) -> (tensor<?x?x?x4xf32>, tensor<?x?x?xf32>) {\n";
  const char *types = " : tensor<?x?x?x8xf32>, tensor<?x?x?x4xf32>\n";
  const char *attendType = " : tensor<?x?x?x8xf32> -> !attn.partial<4>\n";
  std::string body = head + where("a", kCausal) + where("c", kTrue) +
                     "%s = attn.source %k, %v over %a" + types +
                     "%t = attn.source %k, %v over %c" + types;
  std::string tail = "%o, %lse = attn.finalize %p : !attn.partial<4> -> "
                     "tensor<?x?x?x4xf32>, tensor<?x?x?xf32>\n"
                     "return %o, %lse : tensor<?x?x?x4xf32>, "
                     "tensor<?x?x?xf32>\n}\n";
  std::string added = body + "%p = attn.attend %q, %s, %t" + attendType + tail;
  std::string merged = body + "%p0 = attn.attend %q, %s" + attendType +
                       "%p1 = attn.attend %q, %t" + attendType +
                       "%p = attn.merge %p0, %p1 : !attn.partial<4>\n" + tail;
  Problem p;
  p.fill();
  std::vector<double> first;
  for (const std::string &text : {added, merged}) {
    Parsed parsed(text);
    ASSERT_TRUE(parsed.module) << text;
    auto results = interpret(parsed.function(), p.inputs);
    ASSERT_TRUE(bool(results));
    // One row by hand: b = 1, h = 3, r = 2, position 6.
    double sum = 0, out[4] = {};
    for (int64_t c = 0; c < p.Nk; ++c) {
      double x = 0;
      for (int64_t d = 0; d < 8; ++d)
        x += p.q.at(1, 3, 2, d) * p.k.at(1, 1, c, d);
      double e = std::exp(x / std::sqrt(8.0)) * (c <= 6 ? 2 : 1);
      sum += e;
      for (int64_t d = 0; d < 4; ++d)
        out[d] += e * p.v.at(1, 1, c, d);
    }
    size_t row = (1 * 4 + 3) * 9 + 2;
    EXPECT_NEAR((*results)[1].values[row], std::log(sum), 1e-12);
    for (int64_t d = 0; d < 4; ++d)
      EXPECT_NEAR((*results)[0].values[row * 4 + d], out[d] / sum, 1e-12);
    if (first.empty())
      first = (*results)[0].values;
    else
      EXPECT_EQ(first, (*results)[0].values);
  }
}

TEST(Interpreter, NoBatchNoQueryNoKey) {
  for (auto [B, Nq, Nk] :
       {std::array<int64_t, 3>{0, 9, 13}, {2, 0, 13}, {2, 9, 0}, {0, 0, 0}}) {
    Problem p;
    p.B = B;
    p.Nq = Nq;
    p.Nk = Nk;
    p.graph = where("g", kTrue);
    p.fill();
    p.check();
  }
}

TEST(Interpreter, InfinitiesAndNaN) {
  Problem p;
  p.B = p.Hq = p.Hkv = 1;
  p.Nq = 4;
  p.Nk = 3;
  p.Dk = 2;
  p.Dv = 1;
  p.scale = "scale 1.0";
  p.graph = where("g", "%one = arith.constant 1 : i64\n"
                       "%i1 = arith.addi %i, %one : i64\n"
                       "%two = arith.constant 2 : i64\n"
                       "%i2 = arith.addi %i, %two : i64\n"
                       "%y = arith.cmpi slt, %j, %i2 : i64");
  p.attend = "align top_left"; // row r sees keys 0 .. r + 1
  p.fill();
  p.k.values = {1, 0, 1, 0, 0, 1};
  p.v.values = {1, 2, NAN};
  // Row 0: the NaN value is masked. Row 1: all keys, NaN enters. Row 2: all
  // logits -inf. Row 3: +inf among the logits.
  p.q.values = {0, 0, 1, 1, -INFINITY, -INFINITY, INFINITY, 1};
  // 0 * inf is NaN: keys must not hold zeros where queries are infinite.
  p.k.values = {1, 1, 1, 1, 1, 1};
  p.bind();
  Parsed parsed(p.text());
  auto results = interpret(parsed.function(), p.inputs);
  ASSERT_TRUE(bool(results));
  const auto &o = (*results)[0].values, &lse = (*results)[1].values;
  EXPECT_DOUBLE_EQ(o[0], 1.5);
  EXPECT_DOUBLE_EQ(lse[0], std::log(2.0));
  EXPECT_TRUE(std::isnan(o[1]));
  EXPECT_DOUBLE_EQ(lse[1], 2 + std::log(3.0));
  EXPECT_EQ(o[2], 0);
  EXPECT_EQ(lse[2], -INFINITY);
  EXPECT_TRUE(std::isnan(o[3]));
  EXPECT_TRUE(std::isnan(lse[3]));
}

//===----------------------------------------------------------------------===//
// Options and inputs
//===----------------------------------------------------------------------===//

TEST(Interpreter, SomeRowsEqualTheSameRowsOfAll) {
  Problem p;
  p.Nq = 70;
  p.Nk = 1100; // more than one strip of keys
  p.graph = where("g", kCausal);
  p.fill();
  Parsed parsed(p.text());
  InterpretOptions some, one;
  one.threads = 1;
  some.rows = {{1, 3, 69}, {0, 0, 0}, {0, 2, 33}};
  auto all = interpret(parsed.function(), p.inputs, one);
  auto few = interpret(parsed.function(), p.inputs, some);
  ASSERT_TRUE(all && few);
  for (size_t k = 0; k < 3; ++k) {
    Row row = some.rows[k];
    size_t at = (row.b * 4 + row.h) * 70 + row.r;
    EXPECT_EQ((*few)[1].values[k], (*all)[1].values[at]);
    for (int64_t d = 0; d < 4; ++d)
      EXPECT_EQ((*few)[0].values[k * 4 + d], (*all)[0].values[at * 4 + d]);
  }
  some.rows = {{0, 0, 70}};
  auto bad = interpret(parsed.function(), p.inputs, some);
  EXPECT_EQ(textOf(bad.takeError()),
            "expected a row inside [2, 4, 70], but got (0, 0, 70)");
}

TEST(Interpreter, StridesAndMissingBatch) {
  // q as [N, H, D] storage, seen as [H, N, D].
  Problem p;
  p.B = 1;
  p.graph = where("g", kTrue);
  p.fill();
  std::vector<float> moved(p.q.values.size());
  for (int64_t h = 0; h < 4; ++h)
    for (int64_t r = 0; r < 9; ++r)
      for (int64_t d = 0; d < 8; ++d)
        moved[(r * 4 + h) * 8 + d] = float(p.q.at(0, h, r, d));
  Tensor view = Tensor::compact(DType::F32, {4, 9, 8}, moved.data());
  view.strides = {8, 32, 1};
  p.inputs.tensors["q"] = view;
  p.check();
}

TEST(Interpreter, InputErrors) {
  Problem p;
  p.graph = where("g", kCausal);
  p.arguments = ", %w: i64 {attn.name = \"w\", attn.min = 1 : i64}";
  p.fill();
  EXPECT_EQ(p.error(), "expected a value for 'w'");
  p.inputs.scalars["w"] = Scalar::ofInt(0);
  EXPECT_EQ(p.error(), "expected 'w' to be at least 1, but got 0");
  p.inputs.scalars["w"] = Scalar::ofFloat(1);
  EXPECT_EQ(p.error().substr(0, 29), "expected an integer for 'w', ");
  p.inputs.scalars["w"] = Scalar::ofInt(1);
  p.inputs.scalars["u"] = Scalar::ofInt(1);
  EXPECT_EQ(p.error(), "expected no parameter 'u': the pattern has none of "
                       "this name");
  p.inputs.scalars.erase("u");
  EXPECT_EQ(p.error(), "");

  Tensor k = p.inputs.tensors["k"];
  p.inputs.tensors["k"].dtype = DType::BF16;
  EXPECT_EQ(p.error(), "expected 'k' of type f32, but got bf16");
  p.inputs.tensors["k"] = k;
  p.inputs.tensors["k"].shape[3] = 7;
  EXPECT_EQ(p.error(), "expected extent 3 of 'k' to be 8, but got 7");
  p.inputs.tensors["k"] = k;
  p.inputs.tensors["k"].shape[1] = 1;
  EXPECT_EQ(p.error(),
            "expected extent 1 of 'v' to be 1, as in 'k', but got 2");
  p.inputs.tensors["k"] = k;
  p.inputs.tensors["k"].data = nullptr;
  EXPECT_EQ(p.error(), "expected data for 'k'");
  p.inputs.tensors.erase("k");
  EXPECT_EQ(p.error(), "expected an input 'k'");
}

TEST(Interpreter, VisitGraphNeedsNoData) {
  Problem p;
  p.graph = where("g", kCausal);
  p.fill();
  for (const char *name : {"q", "k", "v"})
    p.inputs.tensors[name].data = nullptr;
  Parsed parsed(p.text());
  auto shapes = graphShapes(parsed.function(), p.inputs);
  ASSERT_TRUE(bool(shapes));
  ASSERT_EQ(shapes->size(), 1u);
  EXPECT_EQ(shapes->front().keys, 13);
  int visits = 0;
  auto error = visitGraph(
      parsed.function(), p.inputs, {{0, 0, 0}, {0, 0, 8}},
      [&](unsigned source, const Row &row, llvm::ArrayRef<uint8_t> mask) {
        EXPECT_EQ(source, 0u);
        for (int64_t c = 0; c < 13; ++c)
          EXPECT_EQ(mask[c], c <= row.r + 4);
        ++visits;
      });
  EXPECT_FALSE(bool(error));
  EXPECT_EQ(visits, 2);
}
