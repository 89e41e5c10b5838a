//===- Predicate.h - which query may see which key, as a formula ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An immutable expression tree over the position of a query (i), the position
// of a key (j) and numbered symbols. Independent of MLIR operations: every
// front end, pass and test speaks about masks through this one type, and
// `evaluate` is its meaning. Nodes are shared and never change after they are
// made, so copying a Predicate is cheap and safe across threads.
//
// Arithmetic is in int64 and wraps; the analyses refuse what could wrap.
// `floorDiv` and `mod` round towards minus infinity; divisors are positive.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_DIALECT_PREDICATE_H
#define FILIGREE_DIALECT_PREDICATE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace llvm {
class raw_ostream;
} // namespace llvm

namespace filigree {

/// Symbols every predicate has, before the caller's own: the number of queries
/// and of keys. The caller's symbol k is symbol number `firstParam + k`.
enum SymbolNumber : unsigned { symNq = 0, symNk = 1, firstParam = 2 };

/// An integer expression.
class IntExpr {
public:
  enum class Kind : uint8_t {
    Const,
    Row,
    Col,
    Symbol,
    Add,
    Sub,
    Mul,
    FloorDiv,
    Mod
  };

  /// The null expression; only assignment and `operator bool` are allowed.
  IntExpr() = default;
  /// Constants convert, so that `i - j < 128` can be written.
  IntExpr(int64_t value);
  IntExpr(int value) : IntExpr(int64_t(value)) {}

  /// Position of the query.
  static IntExpr row();
  /// Position of the key.
  static IntExpr col();
  /// A symbol by number: symNq, symNk, or firstParam + k.
  static IntExpr symbol(unsigned number);

  explicit operator bool() const { return node != nullptr; }

  Kind kind() const;
  /// The value of a Const, the factor of a Mul, the divisor of FloorDiv or Mod.
  int64_t constant() const;
  /// The number of a Symbol.
  unsigned symbolNumber() const;
  /// The operand of Mul, FloorDiv, Mod; the left one of Add, Sub.
  const IntExpr &lhs() const;
  const IntExpr &rhs() const;

  friend IntExpr operator+(IntExpr a, IntExpr b);
  friend IntExpr operator-(IntExpr a, IntExpr b);
  IntExpr times(int64_t factor) const;
  /// Divisor must be positive.
  IntExpr floorDiv(int64_t divisor) const;
  IntExpr mod(int64_t divisor) const;

  int64_t evaluate(int64_t i, int64_t j, llvm::ArrayRef<int64_t> symbols) const;

  /// Nodes of the tree; one that is shared counts each time it is met, since
  /// whatever walks the tree meets it each time. Saturates.
  unsigned size() const;
  /// True if neither the row nor the column occurs.
  bool isSymbolic() const;
  /// The highest symbol number used plus one, 0 if none.
  unsigned numSymbolsUsed() const;
  /// Replaces symbol k by values[k] where that has a value.
  IntExpr substitute(llvm::ArrayRef<std::optional<int64_t>> values) const;
  /// Prints with the given symbol names; `s<number>` where a name is missing.
  void print(llvm::raw_ostream &os,
             llvm::ArrayRef<std::string> symbolNames = {}) const;

private:
  struct Node;
  explicit IntExpr(std::shared_ptr<const Node> node) : node(std::move(node)) {}
  static IntExpr make(Kind kind, int64_t value, IntExpr lhs, IntExpr rhs);
  std::shared_ptr<const Node> node;
};

/// A condition on a pair of positions.
class Predicate {
public:
  enum class Kind : uint8_t { True, False, Compare, And, Or, Not };
  enum class Relation : uint8_t { LT, LE, GT, GE, EQ, NE };

  Predicate() : Predicate(Predicate::constant(true)) {}

  static Predicate constant(bool value);
  static Predicate compare(Relation relation, IntExpr lhs, IntExpr rhs);
  /// Conjunction and disjunction of a list; empty lists give true and false.
  static Predicate all(llvm::ArrayRef<Predicate> terms);
  static Predicate any(llvm::ArrayRef<Predicate> terms);

  friend Predicate operator&(Predicate a, Predicate b);
  friend Predicate operator|(Predicate a, Predicate b);
  Predicate operator!() const;

  Kind kind() const;
  /// Of a Compare.
  Relation relation() const;
  const IntExpr &exprLhs() const;
  const IntExpr &exprRhs() const;
  /// Operands of And, Or; `lhs` alone of Not.
  const Predicate &lhs() const;
  const Predicate &rhs() const;

  bool evaluate(int64_t i, int64_t j, llvm::ArrayRef<int64_t> symbols) const;
  /// As of expressions, theirs included.
  unsigned size() const;
  unsigned numSymbolsUsed() const;
  Predicate substitute(llvm::ArrayRef<std::optional<int64_t>> values) const;
  void print(llvm::raw_ostream &os,
             llvm::ArrayRef<std::string> symbolNames = {}) const;
  std::string str(llvm::ArrayRef<std::string> symbolNames = {}) const;

private:
  struct Node;
  explicit Predicate(std::shared_ptr<const Node> node)
      : node(std::move(node)) {}
  static Predicate make(Kind kind, Predicate lhs, Predicate rhs);
  std::shared_ptr<const Node> node;
};

inline Predicate operator<(IntExpr a, IntExpr b) {
  return Predicate::compare(Predicate::Relation::LT, a, b);
}
inline Predicate operator<=(IntExpr a, IntExpr b) {
  return Predicate::compare(Predicate::Relation::LE, a, b);
}
inline Predicate operator>(IntExpr a, IntExpr b) {
  return Predicate::compare(Predicate::Relation::GT, a, b);
}
inline Predicate operator>=(IntExpr a, IntExpr b) {
  return Predicate::compare(Predicate::Relation::GE, a, b);
}
/// Named, so that `==` on expressions is never mistaken for identity.
inline Predicate eq(IntExpr a, IntExpr b) {
  return Predicate::compare(Predicate::Relation::EQ, a, b);
}
inline Predicate ne(IntExpr a, IntExpr b) {
  return Predicate::compare(Predicate::Relation::NE, a, b);
}

/// Values of symbols, Nq and Nk included, and storage coordinates stay within
/// +-2^31. With that, and checked coefficients, neither a predicate that was
/// proved about nor its closed forms can wrap.
constexpr int64_t maxSymbolMagnitude = int64_t(1) << 31;

/// A symbol: an int64 known only when the kernel runs, between inclusive
/// bounds where they are given. The proofs trust the bounds and
/// maxSymbolMagnitude: whoever launches must check both.
struct SymbolInfo {
  std::string name;
  std::optional<int64_t> lo, hi;
};

/// The pairs a predicate is asked about. Queries and keys are stored at
/// r in [0, Nq) and c in [0, Nk); their positions are
///
///   i = r + qOffset,   j = c + kOffset,
///
/// where the offsets are affine in the symbols (const, symbol, +, -, times).
struct PairDomain {
  /// Nq, Nk with no parameters, both >= 0, bottom-right alignment.
  PairDomain();

  /// Adds a symbol and returns it as an expression.
  IntExpr addSymbol(llvm::StringRef name, std::optional<int64_t> lo = {},
                    std::optional<int64_t> hi = {});
  llvm::SmallVector<std::string> symbolNames() const;

  /// symbols[symNq], symbols[symNk], then the caller's.
  llvm::SmallVector<SymbolInfo> symbols;
  /// Default: Nk - Nq, that is, the last query sits at the last key.
  IntExpr qOffset;
  /// Default: 0.
  IntExpr kOffset;
};

} // namespace filigree

#endif // FILIGREE_DIALECT_PREDICATE_H
