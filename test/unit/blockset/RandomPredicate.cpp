//===- RandomPredicate.cpp - predicates nobody thought of -----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The generator and the loop of the fuzzer. A predicate without i and without j
// is drawn again: it would count for nothing.
//
//===----------------------------------------------------------------------===//
#include "RandomPredicate.h"
#include "mlir/IR/MLIRContext.h"
#include <ctime>

using namespace filigree;
using namespace filigree::test;

namespace {
class Generator {
public:
  Generator(uint64_t seed, unsigned numSymbols)
      : engine(seed), numSymbols(numSymbols) {}

  int64_t pick(int64_t lo, int64_t hi) {
    // Not uniform_int_distribution: its results depend on the library.
    return lo + int64_t(engine() % uint64_t(hi - lo + 1));
  }
  template <size_t n> int64_t pick(const int64_t (&list)[n]) {
    return list[pick(0, n - 1)];
  }

  Predicate condition(int depth) {
    switch (depth == 0 ? 0 : pick(0, 4)) {
    default:
      return Predicate::compare(Predicate::Relation(pick(0, 5)),
                                expression(std::max(depth, 1)),
                                expression(std::max(depth, 1)));
    case 1:
      return condition(depth - 1) & condition(depth - 1);
    case 2:
      return condition(depth - 1) | condition(depth - 1);
    case 3:
      return !condition(depth - 1);
    case 4:
      return depth == 1 ? condition(0) : Predicate::constant(pick(0, 1));
    }
  }

private:
  IntExpr expression(int depth) {
    static const int64_t divisors[] = {2,  3,  4,  5,  7,   8,   12,  16, 32,
                                       48, 63, 64, 96, 100, 128, 200, 256};
    static const int64_t factors[] = {-4, -3, -2, -1, 2, 3, 4, 8, 64};
    switch (depth == 0 ? pick(0, 3) : pick(0, 8)) {
    case 0:
      return pick(0, 1) ? pick(-8, 16) : pick(-150, 400);
    case 1:
      return IntExpr::row();
    case 2:
      return IntExpr::col();
    case 3:
      return IntExpr::symbol(unsigned(pick(0, numSymbols - 1)));
    case 4:
      return expression(depth - 1) + expression(depth - 1);
    case 5:
      return expression(depth - 1) - expression(depth - 1);
    case 6:
      return expression(depth - 1).times(pick(factors));
    case 7:
      return expression(depth - 1).floorDiv(pick(divisors));
    default:
      return expression(depth - 1).mod(pick(divisors));
    }
  }

  std::mt19937_64 engine;
  unsigned numSymbols;
};
} // namespace

static bool usesPositions(const Predicate &p) {
  switch (p.kind()) {
  case Predicate::Kind::True:
  case Predicate::Kind::False:
    return false;
  case Predicate::Kind::Not:
    return usesPositions(p.lhs());
  case Predicate::Kind::And:
  case Predicate::Kind::Or:
    return usesPositions(p.lhs()) || usesPositions(p.rhs());
  case Predicate::Kind::Compare:
    return !p.exprLhs().isSymbolic() || !p.exprRhs().isSymbolic();
  }
  return false;
}

RandomCase test::makeRandomCase(uint64_t seed, uint64_t index) {
  RandomCase result;
  PairDomain &domain = result.domain;
  IntExpr w = domain.addSymbol("W", 1);
  domain.addSymbol("S", 0, 300);
  IntExpr p = domain.addSymbol("P");
  // A multiplier spreads neighbouring indices over the whole state.
  Generator random(seed * 0x9e3779b97f4a7c15u + index * 0xd1342543de82ef95u,
                   domain.symbols.size());
  switch (random.pick(0, 3)) {
  case 0: // top-left
    domain.qOffset = 0;
    break;
  case 1: // offsets from a table
    domain.qOffset = p;
    domain.kOffset = IntExpr(3) - w;
    break;
  default: // bottom-right
    break;
  }
  do
    result.predicate = random.condition(int(random.pick(1, 4)));
  while (!usesPositions(result.predicate));

  static const int64_t tiles[][2] = {{64, 128}, {128, 128}, {32, 16}, {64, 8},
                                     {96, 32},  {48, 96},   {16, 64}, {8, 1}};
  const auto &tile = tiles[random.pick(0, 7)];
  Outer outer = Outer(random.pick(0, 1));
  result.tiling = random.pick(0, 3) == 0
                      ? Tiling::rows(tile[0], tile[1], outer)
                      : Tiling::tiles(tile[0], tile[1], outer);

  static const int64_t sizes[][2] = {{1, 1},     {63, 65},   {64, 64},
                                     {113, 203}, {200, 130}, {257, 384},
                                     {300, 300}, {40, 517},  {384, 256}};
  for (int k = 0; k < 3; ++k) {
    const auto &size = sizes[random.pick(0, 8)];
    result.symbolValues.push_back({size[0], size[1], random.pick(1, 200),
                                   random.pick(0, 300), random.pick(-70, 150)});
  }
  return result;
}

/// Checks the quadtree against the oracle on the same tiles.
static void checkQuadtree(const RandomCase &test, const PairCounts &counts,
                          llvm::ArrayRef<int64_t> symbols, int64_t stride,
                          FuzzTable &table) {
  for (bool exact : {true, false}) {
    TileGrid grid = classifyQuadtree(test.predicate, test.domain, test.tiling,
                                     symbols, exact);
    for (int64_t x = 0; x < grid.numOuter; x += stride)
      for (int64_t j = 0; j < grid.numInner; ++j) {
        TileClass got = grid.at(x, j);
        if (got == counts.classOf(test.tiling, x, j))
          continue;
        table.wrongQuadtree += exact;
        table.unsoundQuadtree += !exact && got != TileClass::Partial;
      }
  }
}

FuzzTable test::fuzzPredicates(uint64_t seed, uint64_t count,
                               const std::function<void(BlockSet &)> &corrupt) {
  FuzzTable table;
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  for (uint64_t index = 0; index < count; ++index) {
    RandomCase test = makeRandomCase(seed, index);
    // Processor time: these tests share their machine.
    std::clock_t start = std::clock();
    BlockSet set =
        computeBlockSet(test.predicate, test.domain, test.tiling, &context);
    double ms = 1e3 * double(std::clock() - start) / CLOCKS_PER_SEC;
    table.totalMs += ms;
    if (ms > table.maxMs) {
      table.maxMs = ms;
      table.slowest = index;
    }
    ++table.predicates;
    bool exact = set.touched.exact && set.notFull.exact;
    table.exact += exact;
    if (!exact)
      table.unproved.push_back(index);
    for (const TileSide *side : {&set.touched, &set.notFull})
      if (llvm::StringRef(side->reason).contains("budget") ||
          llvm::StringRef(side->reason).contains("more than") ||
          llvm::StringRef(side->reason).contains("too large")) {
        ++table.gaveUp;
        break;
      }
    if (corrupt)
      corrupt(set);

    for (const auto &symbols : test.symbolValues) {
      PairCounts counts(test.predicate, test.domain, symbols);
      // With X a row there are many outer tiles; a prime step sees all
      // residues.
      int64_t stride = test.tiling.outerScale == 1 ? 13 : 1;
      Verdict proof = checkBlockSet(set, counts, symbols, stride);
      table.wrongExact += exact && proof.imprecise != 0;
      table.proof += proof;
      if (exact) {
        table.interval += proof;
        table.decided += proof;
      } else {
        for (int64_t x = 0; x < set.numOuter(symbols); x += stride)
          for (bool decide : {false, true})
            (decide ? table.decided : table.interval) +=
                checkRuns(refinedRuns(set, test.predicate, test.domain, x,
                                      symbols, decide),
                          counts, test.tiling, x, set.numInner(symbols));
      }
      checkQuadtree(test, counts, symbols, stride, table);
    }
  }
  return table;
}
