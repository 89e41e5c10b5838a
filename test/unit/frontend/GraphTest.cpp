//===- GraphTest.cpp - graphs hold the pairs they say ---------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bodies are run over a square of positions, negative ones included, and
// compared with the same condition in C++.
//
//===----------------------------------------------------------------------===//
#include "Parsing.h"
#include "llvm/ADT/TypeSwitch.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace filigree;
using namespace filigree::test;

static int64_t floorDiv(int64_t a, int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}
static int64_t floorMod(int64_t a, int64_t b) { return a - floorDiv(a, b) * b; }

/// Runs the body of a `where`; parameters from outside are `outside`.
static bool run(attn::WhereOp where, ArrayRef<int64_t> pair, int64_t outside) {
  llvm::DenseMap<Value, int64_t> values;
  Block &body = where.getBody().front();
  for (auto [argument, value] : llvm::zip(body.getArguments(), pair))
    values[argument] = value;
  auto get = [&](Value value) {
    auto found = values.find(value);
    return found == values.end() ? outside : found->second;
  };
  for (Operation &op : body) {
    auto operand = [&](unsigned index) { return get(op.getOperand(index)); };
    auto define = [&](int64_t value) { values[op.getResult(0)] = value; };
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      auto attr = cast<IntegerAttr>(constant.getValue());
      define(attr.getType().isInteger(1) ? attr.getValue().getBoolValue()
                                         : attr.getInt());
    } else if (isa<arith::AddIOp>(op)) {
      define(operand(0) + operand(1));
    } else if (isa<arith::SubIOp>(op)) {
      define(operand(0) - operand(1));
    } else if (isa<arith::MulIOp>(op)) {
      define(operand(0) * operand(1));
    } else if (isa<arith::FloorDivSIOp>(op)) {
      define(floorDiv(operand(0), operand(1)));
    } else if (isa<attn::ModOp>(op)) {
      define(floorMod(operand(0), operand(1)));
    } else if (isa<arith::AndIOp>(op)) {
      define(operand(0) & operand(1));
    } else if (isa<arith::OrIOp>(op)) {
      define(operand(0) | operand(1));
    } else if (isa<arith::XOrIOp>(op)) {
      define(operand(0) ^ operand(1));
    } else if (auto compare = dyn_cast<arith::CmpIOp>(op)) {
      define(arith::applyCmpPredicate(compare.getPredicate(),
                                      APInt(64, operand(0), true),
                                      APInt(64, operand(1), true)));
    } else {
      return operand(0);
    }
  }
  return false;
}

/// Compares `text` with `holds(i, j)`; the parameter w is 5, h is 2.
static void expectGraph(StringRef text,
                        llvm::function_ref<bool(int64_t, int64_t)> holds) {
  SCOPED_TRACE(text.str());
  Parsed parsed(graph(("where (h, i, j) { " + text + " }").str(),
                      "w: int >= 0 <= 9, _c = 3"));
  ASSERT_TRUE(bool(parsed.module)) << parsed.report;
  auto where = parsed.get<attn::WhereOp>()[0];
  for (int64_t i = -9; i <= 9; ++i)
    for (int64_t j = -9; j <= 9; ++j)
      ASSERT_EQ(run(where, {0, 2, i, j}, 5), holds(i, j)) << i << ", " << j;
}

TEST(Graph, arithmetic) {
  using I = int64_t;
  expectGraph("w >= 0 && i / 4 - j % 4 < -i * 2 + 3", [](I i, I j) {
    return floorDiv(i, 4) - floorMod(j, 4) < -i * 2 + 3;
  });
  expectGraph("(i + w) % _c == (j - w) % _c || h == 3", [](I i, I j) {
    return floorMod(i + 5, 3) == floorMod(j - 5, 3);
  });
  expectGraph("0 <= i - j < w",
              [](I i, I j) { return 0 <= i - j && i - j < 5; });
  expectGraph("9 > i >= j > -w",
              [](I i, I j) { return 9 > i && i >= j && j > -5; });
  expectGraph("i == j == w", [](I i, I j) { return i == j && j == 5; });
  expectGraph("!(i != j) || w != 5 || true && i > 3",
              [](I i, I j) { return i == j || i > 3; });
  expectGraph("i - 1 - 1 - j > 8 - (4 - 2)",
              [](I i, I j) { return i - 2 - j > 6; });
  expectGraph("let d = i - j; let e = d * 2\n e < w && d > -w",
              [](I i, I j) { return (i - j) * 2 < 5 && i - j > -5; });
}

TEST(Graph, absMinMaxBecomeComparisons) {
  using I = int64_t;
  using std::max, std::min;
  expectGraph("abs(i - j) <= 2", [](I i, I j) { return std::abs(i - j) <= 2; });
  expectGraph("abs(i - j) > 2", [](I i, I j) { return std::abs(i - j) > 2; });
  expectGraph("abs(i - j) == 2", [](I i, I j) { return std::abs(i - j) == 2; });
  expectGraph("abs(i - j) != 2", [](I i, I j) { return std::abs(i - j) != 2; });
  expectGraph("2 < abs(i) + abs(j) && max(abs(i), abs(j)) < 7", [](I i, I j) {
    return 2 < std::abs(i) + std::abs(j) && max(std::abs(i), std::abs(j)) < 7;
  });
  expectGraph("abs(i) - abs(j) < 3",
              [](I i, I j) { return std::abs(i) - std::abs(j) < 3; });
  expectGraph("min(i, j, w) >= max(-3, -j) - 1", [](I i, I j) {
    return min({i, j, I(5)}) >= max(I(-3), -j) - 1;
  });
  expectGraph("min(max(i, 0), max(j, 2)) <= min(i, j) + 4", [](I i, I j) {
    return min(max(i, I(0)), max(j, I(2))) <= min(i, j) + 4;
  });
  expectGraph("abs(abs(i) - 4) % 3 == 1", [](I i, I j) {
    return floorMod(std::abs(std::abs(i) - 4), 3) == 1;
  });
  expectGraph("max(i, j) / 3 * -2 < min(i, -j)", [](I i, I j) {
    return floorDiv(max(i, j), 3) * -2 < min(i, -j);
  });
}

TEST(Graph, choicesBecomeCases) {
  using I = int64_t;
  expectGraph("i - j < where(h < 2, 1, where(i > 0, 4, w))",
              [](I i, I j) { return i - j < (i > 0 ? 4 : 5); });
  expectGraph(
      "where(i > j, abs(j), max(i, j)) + where(i < 3, 1, j) <= 4",
      [](I i, I j) {
        return (i > j ? std::abs(j) : std::max(i, j)) + (i < 3 ? 1 : j) <= 4;
      });
  expectGraph("where(i > 2, j > 0, i == j)",
              [](I i, I j) { return i > 2 ? j > 0 : i == j; });
}

TEST(Graph, letsOfThePatternAreNumbersInEachBody) {
  Parsed parsed(wrap("let half = w / 2\nlet wide = half >= 2\n"
                     "return attend(q, k, v, over: where (i, j) { wide && i - "
                     "j < half } | where (i, j) { j < half })",
                     "w: int >= 1 <= 100"));
  ASSERT_TRUE(bool(parsed.module)) << parsed.report;
  auto wheres = parsed.get<attn::WhereOp>();
  ASSERT_EQ(wheres.size(), 2u);
  for (int64_t i = -4; i < 9; ++i)
    for (int64_t j = -4; j < 9; ++j) {
      EXPECT_EQ(run(wheres[0], {0, 0, i, j}, 8), i - j < 4);
      EXPECT_EQ(run(wheres[1], {0, 0, i, j}, 8), j < 4);
      EXPECT_FALSE(run(wheres[0], {0, 0, i, j}, 3));
    }
}
