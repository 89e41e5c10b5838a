//===- FuzzPredicates.cpp - filigree-fuzz-predicates ----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// filigree-fuzz-predicates [--seed S] [--count N] [--names] [--show INDEX]
//
// Draws N predicates and prints one table. Exit status 1 if a tile is unsound,
// or if more than 0.5 % of the tiles stay imprecise after the fallback.
//
//===----------------------------------------------------------------------===//
#include "RandomPredicate.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace filigree;
using namespace filigree::test;

static double percent(const Verdict &v) {
  return v.tiles ? 100.0 * double(v.imprecise) / double(v.tiles) : 0;
}

static void show(uint64_t seed, uint64_t index, bool whole) {
  RandomCase test = makeRandomCase(seed, index);
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  BlockSet set =
      computeBlockSet(test.predicate, test.domain, test.tiling, &context);
  llvm::outs() << seed << ':' << index << "  ";
  test.predicate.print(llvm::outs(), test.domain.symbolNames());
  llvm::outs() << "\n";
  if (!whole) {
    for (const TileSide *side : {&set.touched, &set.notFull})
      if (!side->exact)
        llvm::outs() << "    "
                     << (side == &set.touched ? "touched: " : "not full: ")
                     << side->reason << '\n';
    return;
  }
  set.print(llvm::outs());
  for (const auto &symbols : test.symbolValues) {
    Verdict v = checkBlockSet(
        set, PairCounts(test.predicate, test.domain, symbols), symbols);
    for (auto [k, value] : llvm::enumerate(symbols))
      llvm::outs() << test.domain.symbols[k].name << '=' << value << ' ';
    llvm::outs() << ": tiles " << v.tiles << ", false empty " << v.falseEmpty
                 << ", false full " << v.falseFull << ", imprecise "
                 << v.imprecise << ", malformed " << v.malformed << '\n';
  }
  llvm::outs() << set.stats.touchedDisjuncts << " + "
               << set.stats.notFullDisjuncts << " disjuncts, "
               << set.stats.queries << " queries\n";
}

int main(int argc, char **argv) {
  uint64_t seed = 1, count = 10000;
  bool names = false;
  for (int k = 1; k < argc; ++k) {
    llvm::StringRef option = argv[k];
    uint64_t value = 0;
    bool hasValue =
        k + 1 < argc && !llvm::StringRef(argv[k + 1]).getAsInteger(10, value);
    if (option == "--names") {
      names = true;
    } else if (option == "--seed" && hasValue) {
      seed = value, ++k;
    } else if (option == "--count" && hasValue && value > 0) {
      count = value, ++k;
    } else if (option == "--show" && hasValue) {
      show(seed, value, /*whole=*/true);
      return 0;
    } else {
      llvm::errs() << "unknown or incomplete option: " << option << '\n';
      return 2;
    }
  }
  FuzzTable table = fuzzPredicates(seed, count);
  auto line = [](const char *name, const Verdict &v) {
    llvm::outs() << name << llvm::format("%12lld", (long long)v.tiles)
                 << llvm::format("%12lld", (long long)v.unsound())
                 << llvm::format("%12lld", (long long)v.imprecise)
                 << llvm::format("%12.3f\n", percent(v));
  };
  llvm::outs() << "seed " << seed << ", predicates " << table.predicates
               << ", proved exact " << table.exact << ", over a limit "
               << table.gaveUp << "\n\n"
               << "                          tiles     unsound   imprecise   "
                  "imprecise %\n";
  line("proof alone         ", table.proof);
  line("with intervals      ", table.interval);
  line("with halving        ", table.decided);
  llvm::outs() << "\nsaid exact and was not " << table.wrongExact
               << ", quadtree wrong " << table.wrongQuadtree << ", unsound "
               << table.unsoundQuadtree << '\n'
               << llvm::format("proof: mean %.2f ms, max %.1f ms (case %llu)\n",
                               table.totalMs / double(table.predicates),
                               table.maxMs, (unsigned long long)table.slowest)
               << "unproved predicates: " << table.unproved.size()
               << (names ? "" : " (--names lists them)") << '\n';
  if (names)
    for (uint64_t index : table.unproved)
      show(seed, index, /*whole=*/false);
  bool failed = table.unsound() > 0 || percent(table.interval) > 0.5;
  llvm::outs() << (failed ? "FAILED\n" : "passed\n");
  return failed;
}
