//===- Projection.h - the tiles a convex set of pairs touches -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Eliminates storage coordinates and quotients from a conjunction, by
// Fourier-Motzkin steps that are exact over the integers wherever one exists.
// What remains are rows in X, J, symbols and divisions of those: a box, see the
// essay in dialect/BlockSet.h.
//
// A variable v is eliminated, the cheapest first, by
//
//   a. an equality with coefficient +-1 on v: substitution. Other equalities
//      are brought to this form by unimodular changes of variables;
//   b. pairing lower rows a*v >= L with upper rows b*v <= U into b*L <= a*U,
//      exact if a == 1 or b == 1 in every pair;
//   c. the same, where every other pair satisfies a*U - b*L >= (a-1)(b-1) on
//      the whole system (the dark shadow costs nothing). This is what makes
//      strides smaller than a tile exact;
//   d. the same, after c*v <= e, with e = c*e1 + e2 and e2 known at launch,
//      is sharpened to v <= e1 + floor(e2 / c). J falls out of e2 when c
//      divides the tile. This is how a length with a stride stays closed form;
//   e. otherwise pairing as in b, and the result is only a superset.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_PASSES_ANALYSIS_PROJECTION_H
#define FILIGREE_PASSES_ANALYSIS_PROJECTION_H

#include "passes/Analysis/DisjunctiveForm.h"

namespace filigree {

class Projection {
public:
  Projection(VariableTable &vars, Prover &prover)
      : vars(vars), prover(prover) {}

  enum class Result : uint8_t { Done, Empty, GaveUp };
  /// On Done, `rows` holds the box. `exact` and `reason` tell about it.
  Result run(const Conjunction &conjunction);

  Rows rows;
  bool exact = true;
  std::string reason;

private:
  enum class Step : uint8_t { Progress, Nothing, Empty };
  void appendTile();
  Step clean();
  Step solveEquality();
  void substitute(const Row &equality, unsigned var);
  Step eliminateOne();
  bool pairsAreExact(unsigned var, const Rows &system);
  bool sharpen(unsigned var, Rows &system);
  Rows pairUp(unsigned var, const Rows &system);
  void notExact(unsigned var, const char *step);
  llvm::SmallVector<unsigned> eliminable(const Row &row) const;

  VariableTable &vars;
  Prover &prover;
};

/// What is left of one disjunct.
struct ProjectedBox {
  Rows rows;
  bool exact;
  std::string reason;
};

/// Drops boxes inside others, groups the rest into clusters and orders these,
/// by proof. Implemented in Clustering.cpp.
TileSide makeSide(llvm::SmallVector<ProjectedBox, 0> boxes, VariableTable &vars,
                  Prover &prover, mlir::MLIRContext *context);

} // namespace filigree

#endif // FILIGREE_PASSES_ANALYSIS_PROJECTION_H
