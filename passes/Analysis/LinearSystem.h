//===- LinearSystem.h - integer rows, and a prover about them -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the projection computes with: rows `coefficients . variables + constant
// >= 0` (or `== 0`) over one table of variables, and questions about a
// conjunction of rows answered by the Simplex of MLIR's Presburger library.
//
// The library is a prover here, never a constructor: its own existential
// elimination is slower, cuts one natural range into pieces, and says nothing
// about exactness. Every question costs units of a budget; when the budget is
// spent all answers become "not proved", so results depend on counts only.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_PASSES_ANALYSIS_LINEARSYSTEM_H
#define FILIGREE_PASSES_ANALYSIS_LINEARSYSTEM_H

#include "dialect/BlockSet.h"
#include "llvm/ADT/SmallVector.h"
#include <map>
#include <vector>

namespace filigree {

/// coef . vars + constant >= 0, or == 0. Missing coefficients are zero.
struct Row {
  llvm::SmallVector<int64_t, 14> coef;
  int64_t constant = 0;
  bool equality = false;

  int64_t get(unsigned var) const { return var < coef.size() ? coef[var] : 0; }
  void set(unsigned var, int64_t value) {
    if (var >= coef.size())
      coef.resize(var + 1, 0);
    coef[var] = value;
  }
  void add(unsigned var, int64_t value) { set(var, get(var) + value); }
  /// The integer negation of an inequality: not (e >= 0) is -e - 1 >= 0.
  Row negated() const;
};

using Rows = llvm::SmallVector<Row, 0>;

enum class RowState : uint8_t { Keep, True, False };

/// Divides by the gcd and rounds the constant to the integers inside.
RowState normalize(Row &row);

/// All variables of one problem. Numbers never change; rows made earlier stay
/// valid when variables are added.
class VariableTable {
public:
  enum class Kind : uint8_t {
    Outer,    // X
    Symbol,   //
    Inner,    // J
    Storage,  // r, c: eliminated
    Quotient, // of something with r or c: eliminated
    Division, // of X and symbols only: stays, a floordiv in the closed form
    Scratch   // extra inner coordinates of a question
  };
  struct Variable {
    Kind kind;
    Row dividend;        // Quotient, Division
    int64_t divisor = 0; //
    /// No value is further from 0; 0x1p63 if nothing is known.
    double magnitude = double(maxSymbolMagnitude);
  };

  VariableTable(const PairDomain &domain, const Tiling &tiling,
                const ProofBudget &budget);

  unsigned outer() const { return 0; }
  unsigned symbol(unsigned number) const { return 1 + number; }
  unsigned inner() const { return 1 + numSymbols; }
  unsigned storageRow() const { return inner() + 1; }
  unsigned storageCol() const { return inner() + 2; }
  /// Scratch variables of questions about two boxes.
  unsigned scratch(unsigned k) const { return inner() + 3 + k; }

  unsigned size() const { return variables.size(); }
  const Variable &operator[](unsigned var) const { return variables[var]; }
  bool isEliminated(unsigned var) const {
    return variables[var].kind == Kind::Storage ||
           variables[var].kind == Kind::Quotient;
  }
  /// X, symbols and divisions: known when the loop starts.
  bool isKnownAtLaunch(unsigned var) const {
    return variables[var].kind == Kind::Outer ||
           variables[var].kind == Kind::Symbol ||
           variables[var].kind == Kind::Division;
  }
  bool isKnownAtLaunch(const Row &row) const;

  /// A form equal to floor(row / divisor): multiples are split off, the rest
  /// becomes one shared Quotient or Division.
  Row floorDiv(const Row &row, int64_t divisor);

  /// 0 <= dividend - divisor * var < divisor.
  void appendDefinition(unsigned var, Rows &rows) const;
  /// Quotients a row uses, and those they use, each once.
  void collectQuotients(const Row &row,
                        llvm::SmallVectorImpl<unsigned> &quotients) const;

  /// Rows that hold wherever the loop runs: bounds of symbols, X valid,
  /// definitions of the divisions the given rows use.
  void appendFacts(Rows &rows) const;

  /// Whether every value of the form fits int64 with room to spare, given
  /// maxSymbolMagnitude. What does not fit could wrap where it is evaluated.
  bool fits(const Row &row) const { return magnitude(row) < 0x1p62; }

  /// True once a coefficient left the budget: all results must be dropped.
  bool overflowed() const { return overflow; }
  /// a * x + b * y, checked.
  Row combine(const Row &x, int64_t a, const Row &y, int64_t b);

  const PairDomain &domain;
  const Tiling &tiling;
  const ProofBudget &budget;

private:
  double magnitude(const Row &row) const;

  unsigned numSymbols;
  std::vector<Variable> variables;
  std::map<std::pair<std::vector<int64_t>, int64_t>, unsigned> shared;
  Rows constantFacts;
  bool overflow = false;
};

/// Answers questions about conjunctions of rows, facts included.
class Prover {
public:
  Prover(const VariableTable &vars, unsigned queries)
      : vars(vars), left(queries) {}

  /// Proved that no rational (so no integer) point exists.
  bool isEmpty(const Rows &rows);
  /// Proved that no integer point exists; also sees parity and the like.
  bool isIntegerEmpty(const Rows &rows);
  /// Value of `candidate` on rows: proved always, never, or neither.
  enum class Answer : uint8_t { Always, Never, Sometimes };
  Answer ask(const Rows &rows, const Row &candidate);
  /// Proved: every integer point of rows satisfies every candidate.
  bool implies(const Rows &rows, const Rows &candidates);
  /// Drops rows that follow from the others and the facts. Returns false if
  /// the rows are empty.
  bool dropRedundant(Rows &rows);

  bool exhausted() const { return left == 0; }
  unsigned used() const { return asked; }

private:
  bool spend(size_t numRows, size_t numColumns);
  const VariableTable &vars;
  unsigned left;
  unsigned asked = 0;
};

} // namespace filigree

#endif // FILIGREE_PASSES_ANALYSIS_LINEARSYSTEM_H
