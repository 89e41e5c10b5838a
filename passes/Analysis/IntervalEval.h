//===- IntervalEval.h - three-valued evaluation of predicates -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides a predicate on a rectangle of positions when every symbol has a
// value: false everywhere, true everywhere, or not known. Used where the
// projection was not exact, and as the second, independent oracle of its tests:
// it shares no code and no idea with passes/Analysis/Projection.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_PASSES_ANALYSIS_INTERVALEVAL_H
#define FILIGREE_PASSES_ANALYSIS_INTERVALEVAL_H

#include "dialect/BlockSet.h"

namespace filigree {

enum class Tri : uint8_t { False, True, Unknown };

/// Positions, inclusive; empty if lo > hi.
struct Rectangle {
  int64_t i0, i1, j0, j1;
};

/// A predicate with its symbols fixed, prepared for many rectangles.
class IntervalEvaluator {
public:
  IntervalEvaluator(const Predicate &predicate,
                    llvm::ArrayRef<int64_t> symbols);
  ~IntervalEvaluator();

  /// Never wrong, sometimes Unknown although the value is uniform.
  Tri evaluate(const Rectangle &rect) const;
  /// `evaluate`, then by probing points and halving the rectangle until the
  /// value is known: Unknown here means that both values occur. Cost is
  /// bounded by the number of pairs in the rectangle. Not for empty ones.
  Tri decide(const Rectangle &rect) const;

private:
  struct Impl;
  void search(const Rectangle &rect, bool &sawTrue, bool &sawFalse) const;
  Predicate predicate;
  std::unique_ptr<Impl> impl;
};

/// One rectangle only.
Tri evaluateOn(const Predicate &predicate, const Rectangle &rect,
               llvm::ArrayRef<int64_t> symbols);
Tri decideOn(const Predicate &predicate, const Rectangle &rect,
             llvm::ArrayRef<int64_t> symbols);

enum class TileClass : uint8_t { Empty, Full, Partial };

/// Classes of all tiles, row-major: outer tile X, inner tile J.
struct TileGrid {
  int64_t numOuter = 0, numInner = 0;
  llvm::SmallVector<TileClass, 0> classes;
  TileClass at(int64_t x, int64_t j) const { return classes[x * numInner + j]; }
};

/// Classifies every tile by a quadtree over the tile grid. With `exactAtTiles`
/// a tile is Partial only if it holds both values; without, also where interval
/// evaluation does not know.
TileGrid classifyQuadtree(const Predicate &predicate, const PairDomain &domain,
                          const Tiling &tiling, llvm::ArrayRef<int64_t> symbols,
                          bool exactAtTiles);

/// Runs of `set` at X, where tiles of sides that are not exact are looked at
/// again with evaluateOn (or decideOn). This is what a plan made on the host
/// uses, and what generated code does with `decide` false.
llvm::SmallVector<Run> refinedRuns(const BlockSet &set,
                                   const Predicate &predicate,
                                   const PairDomain &domain, int64_t x,
                                   llvm::ArrayRef<int64_t> symbols,
                                   bool decide = false);

} // namespace filigree

#endif // FILIGREE_PASSES_ANALYSIS_INTERVALEVAL_H
