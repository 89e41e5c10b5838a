//===- DisjunctiveForm.h - predicates as unions of convex sets ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns a predicate, or its complement, into a list of conjunctions of linear
// rows over storage coordinates r, c, symbols, and one quotient per distinct
// floor division. Conjunctions without a pair are pruned after every literal,
// which keeps a negated union of k disjoint bands at k + 1 conjunctions
// instead of 2^k.
//
// A quotient is defined by 0 <= dividend - divisor * q < divisor, which has a
// solution for every dividend. Definitions are therefore conjoined to whatever
// uses them and never negated.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_PASSES_ANALYSIS_DISJUNCTIVEFORM_H
#define FILIGREE_PASSES_ANALYSIS_DISJUNCTIVEFORM_H

#include "passes/Analysis/LinearSystem.h"
#include <functional>

namespace filigree {

/// Literals and the definitions of the quotients they use.
struct Conjunction {
  Rows rows;
  llvm::SmallVector<unsigned, 4> quotients;
};

class DisjunctiveForm {
public:
  DisjunctiveForm(VariableTable &vars, Prover &prover)
      : vars(vars), prover(prover) {}

  /// Fills `conjunctions` with those of the predicate, or of its complement.
  /// Returns false with `reason` set if a limit was hit.
  bool build(const Predicate &predicate, bool complement);

  llvm::SmallVector<Conjunction, 0> conjunctions;
  std::string reason;

private:
  using List = llvm::SmallVector<Conjunction, 0>;
  std::optional<Row> linearize(const IntExpr &expr);
  bool expand(const Predicate &predicate, bool complement, const List &in,
              List &out);
  bool expandEither(
      const List &in, List &out,
      llvm::ArrayRef<std::function<bool(const List &, List &)>> alternatives);
  bool addLiteral(const Row &row, const List &in, List &out);
  bool checkSize(const List &list);

  VariableTable &vars;
  Prover &prover;
};

} // namespace filigree

#endif // FILIGREE_PASSES_ANALYSIS_DISJUNCTIVEFORM_H
