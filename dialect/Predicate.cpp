//===- Predicate.cpp - which query may see which key, as a formula --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Construction, meaning and text of predicates. Constructors fold constants and
// neutral elements only: what the user wrote stays readable in `explain`.
//
//===----------------------------------------------------------------------===//
#include "dialect/Predicate.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <cassert>

using namespace filigree;
using llvm::ArrayRef;
using llvm::raw_ostream;

//===----------------------------------------------------------------------===//
// Wrapping arithmetic: defined for every input, also under sanitizers.
//===----------------------------------------------------------------------===//

static int64_t wrapAdd(int64_t a, int64_t b) {
  return int64_t(uint64_t(a) + uint64_t(b));
}
static int64_t wrapSub(int64_t a, int64_t b) {
  return int64_t(uint64_t(a) - uint64_t(b));
}
static int64_t wrapMul(int64_t a, int64_t b) {
  return int64_t(uint64_t(a) * uint64_t(b));
}
static int64_t floorDivide(int64_t a, int64_t b) {
  int64_t q = a / b;
  return q - (a % b < 0);
}
static int64_t floorModulo(int64_t a, int64_t b) {
  int64_t m = a % b;
  return m < 0 ? m + b : m;
}

//===----------------------------------------------------------------------===//
// IntExpr
//===----------------------------------------------------------------------===//

struct IntExpr::Node {
  Kind kind;
  int64_t value; // constant, factor, divisor or symbol number
  IntExpr lhs, rhs;
  unsigned size = 1;
};

/// One node and what is below it, at most half of what fits.
static unsigned sizeWith(unsigned lhs, unsigned rhs) {
  return std::min(1 + lhs + rhs, 1u << 30);
}

IntExpr IntExpr::make(Kind kind, int64_t value, IntExpr lhs, IntExpr rhs) {
  unsigned size = sizeWith(lhs ? lhs.size() : 0, rhs ? rhs.size() : 0);
  return IntExpr(std::make_shared<const Node>(
      Node{kind, value, std::move(lhs), std::move(rhs), size}));
}

IntExpr::IntExpr(int64_t value)
    : node(std::make_shared<const Node>(Node{Kind::Const, value, {}, {}})) {}

unsigned IntExpr::size() const { return node->size; }

IntExpr IntExpr::row() { return make(Kind::Row, 0, {}, {}); }
IntExpr IntExpr::col() { return make(Kind::Col, 0, {}, {}); }
IntExpr IntExpr::symbol(unsigned number) {
  return make(Kind::Symbol, number, {}, {});
}

IntExpr::Kind IntExpr::kind() const { return node->kind; }
int64_t IntExpr::constant() const { return node->value; }
unsigned IntExpr::symbolNumber() const { return unsigned(node->value); }
const IntExpr &IntExpr::lhs() const { return node->lhs; }
const IntExpr &IntExpr::rhs() const { return node->rhs; }

static bool isConst(const IntExpr &e) {
  return e.kind() == IntExpr::Kind::Const;
}
static bool isZero(const IntExpr &e) { return isConst(e) && !e.constant(); }

namespace filigree {
IntExpr operator+(IntExpr a, IntExpr b) {
  if (isConst(a) && isConst(b))
    return wrapAdd(a.constant(), b.constant());
  if (isZero(a))
    return b;
  if (isZero(b))
    return a;
  return IntExpr::make(IntExpr::Kind::Add, 0, std::move(a), std::move(b));
}
IntExpr operator-(IntExpr a, IntExpr b) {
  if (isConst(a) && isConst(b))
    return wrapSub(a.constant(), b.constant());
  if (isZero(b))
    return a;
  return IntExpr::make(IntExpr::Kind::Sub, 0, std::move(a), std::move(b));
}
} // namespace filigree

IntExpr IntExpr::times(int64_t factor) const {
  if (isConst(*this))
    return wrapMul(constant(), factor);
  if (factor == 1)
    return *this;
  if (factor == 0)
    return 0;
  return make(Kind::Mul, factor, *this, {});
}
IntExpr IntExpr::floorDiv(int64_t divisor) const {
  assert(divisor > 0 && "divisors are positive");
  if (isConst(*this))
    return floorDivide(constant(), divisor);
  if (divisor == 1)
    return *this;
  return make(Kind::FloorDiv, divisor, *this, {});
}
IntExpr IntExpr::mod(int64_t divisor) const {
  assert(divisor > 0 && "divisors are positive");
  if (isConst(*this))
    return floorModulo(constant(), divisor);
  if (divisor == 1)
    return 0;
  return make(Kind::Mod, divisor, *this, {});
}

int64_t IntExpr::evaluate(int64_t i, int64_t j,
                          ArrayRef<int64_t> symbols) const {
  switch (kind()) {
  case Kind::Const:
    return constant();
  case Kind::Row:
    return i;
  case Kind::Col:
    return j;
  case Kind::Symbol:
    return symbols[symbolNumber()];
  case Kind::Add:
    return wrapAdd(lhs().evaluate(i, j, symbols),
                   rhs().evaluate(i, j, symbols));
  case Kind::Sub:
    return wrapSub(lhs().evaluate(i, j, symbols),
                   rhs().evaluate(i, j, symbols));
  case Kind::Mul:
    return wrapMul(lhs().evaluate(i, j, symbols), constant());
  case Kind::FloorDiv:
    return floorDivide(lhs().evaluate(i, j, symbols), constant());
  case Kind::Mod:
    return floorModulo(lhs().evaluate(i, j, symbols), constant());
  }
  llvm_unreachable("covered switch");
}

bool IntExpr::isSymbolic() const {
  if (kind() == Kind::Row || kind() == Kind::Col)
    return false;
  return (!lhs() || lhs().isSymbolic()) && (!rhs() || rhs().isSymbolic());
}

unsigned IntExpr::numSymbolsUsed() const {
  unsigned n = kind() == Kind::Symbol ? symbolNumber() + 1 : 0;
  if (lhs())
    n = std::max(n, lhs().numSymbolsUsed());
  if (rhs())
    n = std::max(n, rhs().numSymbolsUsed());
  return n;
}

IntExpr IntExpr::substitute(ArrayRef<std::optional<int64_t>> values) const {
  switch (kind()) {
  case Kind::Const:
  case Kind::Row:
  case Kind::Col:
    return *this;
  case Kind::Symbol:
    if (symbolNumber() < values.size() && values[symbolNumber()])
      return *values[symbolNumber()];
    return *this;
  case Kind::Add:
    return lhs().substitute(values) + rhs().substitute(values);
  case Kind::Sub:
    return lhs().substitute(values) - rhs().substitute(values);
  case Kind::Mul:
    return lhs().substitute(values).times(constant());
  case Kind::FloorDiv:
    return lhs().substitute(values).floorDiv(constant());
  case Kind::Mod:
    return lhs().substitute(values).mod(constant());
  }
  llvm_unreachable("covered switch");
}

/// Binding strength: sums 0, products 1, atoms 2.
static int strength(const IntExpr &e) {
  switch (e.kind()) {
  case IntExpr::Kind::Add:
  case IntExpr::Kind::Sub:
    return 0;
  case IntExpr::Kind::Mul:
  case IntExpr::Kind::FloorDiv:
  case IntExpr::Kind::Mod:
    return 1;
  default:
    return 2;
  }
}

static void printOperand(raw_ostream &os, const IntExpr &e, int atLeast,
                         ArrayRef<std::string> names) {
  bool parens = strength(e) < atLeast;
  if (parens)
    os << '(';
  e.print(os, names);
  if (parens)
    os << ')';
}

void IntExpr::print(raw_ostream &os, ArrayRef<std::string> names) const {
  switch (kind()) {
  case Kind::Const:
    os << constant();
    return;
  case Kind::Row:
    os << 'i';
    return;
  case Kind::Col:
    os << 'j';
    return;
  case Kind::Symbol:
    if (symbolNumber() < names.size() && !names[symbolNumber()].empty())
      os << names[symbolNumber()];
    else
      os << 's' << symbolNumber();
    return;
  case Kind::Add:
  case Kind::Sub:
    printOperand(os, lhs(), 0, names);
    os << (kind() == Kind::Add ? " + " : " - ");
    printOperand(os, rhs(), 1, names);
    return;
  case Kind::Mul:
  case Kind::FloorDiv:
  case Kind::Mod:
    // The left operand may be a product: the language reads left to right.
    printOperand(os, lhs(), 1, names);
    os << (kind() == Kind::Mul        ? " * "
           : kind() == Kind::FloorDiv ? " / "
                                      : " % ")
       << constant();
    return;
  }
}

//===----------------------------------------------------------------------===//
// Predicate
//===----------------------------------------------------------------------===//

struct Predicate::Node {
  Kind kind;
  Relation relation = Relation::LT;
  IntExpr exprLhs, exprRhs;
  Predicate lhs, rhs;
  unsigned size = 1;
  Node(Kind kind)
      : kind(kind), lhs(std::shared_ptr<const Node>()),
        rhs(std::shared_ptr<const Node>()) {}
};

Predicate Predicate::make(Kind kind, Predicate lhs, Predicate rhs) {
  auto node = std::make_shared<Node>(kind);
  node->size = sizeWith(lhs.size(), rhs.node ? rhs.size() : 0);
  node->lhs = std::move(lhs);
  node->rhs = std::move(rhs);
  return Predicate(std::shared_ptr<const Node>(std::move(node)));
}

Predicate Predicate::constant(bool value) {
  return Predicate(std::shared_ptr<const Node>(
      std::make_shared<Node>(value ? Kind::True : Kind::False)));
}

static bool compareValues(Predicate::Relation relation, int64_t a, int64_t b) {
  switch (relation) {
  case Predicate::Relation::LT:
    return a < b;
  case Predicate::Relation::LE:
    return a <= b;
  case Predicate::Relation::GT:
    return a > b;
  case Predicate::Relation::GE:
    return a >= b;
  case Predicate::Relation::EQ:
    return a == b;
  case Predicate::Relation::NE:
    return a != b;
  }
  llvm_unreachable("covered switch");
}

Predicate Predicate::compare(Relation relation, IntExpr lhs, IntExpr rhs) {
  if (isConst(lhs) && isConst(rhs))
    return constant(compareValues(relation, lhs.constant(), rhs.constant()));
  auto node = std::make_shared<Node>(Kind::Compare);
  node->relation = relation;
  node->size = sizeWith(lhs.size(), rhs.size());
  node->exprLhs = std::move(lhs);
  node->exprRhs = std::move(rhs);
  return Predicate(std::shared_ptr<const Node>(std::move(node)));
}

Predicate Predicate::all(ArrayRef<Predicate> terms) {
  Predicate result = constant(true);
  for (const Predicate &term : terms)
    result = result & term;
  return result;
}

Predicate Predicate::any(ArrayRef<Predicate> terms) {
  Predicate result = constant(false);
  for (const Predicate &term : terms)
    result = result | term;
  return result;
}

namespace filigree {
Predicate operator&(Predicate a, Predicate b) {
  if (a.kind() == Predicate::Kind::False || b.kind() == Predicate::Kind::True)
    return a;
  if (a.kind() == Predicate::Kind::True || b.kind() == Predicate::Kind::False)
    return b;
  return Predicate::make(Predicate::Kind::And, std::move(a), std::move(b));
}
Predicate operator|(Predicate a, Predicate b) {
  if (a.kind() == Predicate::Kind::True || b.kind() == Predicate::Kind::False)
    return a;
  if (a.kind() == Predicate::Kind::False || b.kind() == Predicate::Kind::True)
    return b;
  return Predicate::make(Predicate::Kind::Or, std::move(a), std::move(b));
}
} // namespace filigree

Predicate Predicate::operator!() const {
  if (kind() == Kind::True || kind() == Kind::False)
    return constant(kind() == Kind::False);
  if (kind() == Kind::Not)
    return lhs();
  return make(Kind::Not, *this, Predicate(std::shared_ptr<const Node>()));
}

unsigned Predicate::size() const { return node->size; }
Predicate::Kind Predicate::kind() const { return node->kind; }
Predicate::Relation Predicate::relation() const { return node->relation; }
const IntExpr &Predicate::exprLhs() const { return node->exprLhs; }
const IntExpr &Predicate::exprRhs() const { return node->exprRhs; }
const Predicate &Predicate::lhs() const { return node->lhs; }
const Predicate &Predicate::rhs() const { return node->rhs; }

bool Predicate::evaluate(int64_t i, int64_t j,
                         ArrayRef<int64_t> symbols) const {
  switch (kind()) {
  case Kind::True:
    return true;
  case Kind::False:
    return false;
  case Kind::Compare:
    return compareValues(relation(), exprLhs().evaluate(i, j, symbols),
                         exprRhs().evaluate(i, j, symbols));
  case Kind::And:
    return lhs().evaluate(i, j, symbols) && rhs().evaluate(i, j, symbols);
  case Kind::Or:
    return lhs().evaluate(i, j, symbols) || rhs().evaluate(i, j, symbols);
  case Kind::Not:
    return !lhs().evaluate(i, j, symbols);
  }
  llvm_unreachable("covered switch");
}

unsigned Predicate::numSymbolsUsed() const {
  switch (kind()) {
  case Kind::True:
  case Kind::False:
    return 0;
  case Kind::Compare:
    return std::max(exprLhs().numSymbolsUsed(), exprRhs().numSymbolsUsed());
  case Kind::And:
  case Kind::Or:
    return std::max(lhs().numSymbolsUsed(), rhs().numSymbolsUsed());
  case Kind::Not:
    return lhs().numSymbolsUsed();
  }
  llvm_unreachable("covered switch");
}

Predicate Predicate::substitute(ArrayRef<std::optional<int64_t>> values) const {
  switch (kind()) {
  case Kind::True:
  case Kind::False:
    return *this;
  case Kind::Compare:
    return compare(relation(), exprLhs().substitute(values),
                   exprRhs().substitute(values));
  case Kind::And:
    return lhs().substitute(values) & rhs().substitute(values);
  case Kind::Or:
    return lhs().substitute(values) | rhs().substitute(values);
  case Kind::Not:
    return !lhs().substitute(values);
  }
  llvm_unreachable("covered switch");
}

void Predicate::print(raw_ostream &os, ArrayRef<std::string> names) const {
  // Mixed and/or is always bracketed: nobody should have to know a rule here.
  auto operand = [&](const Predicate &p, Kind parent) {
    bool parens =
        (p.kind() == Kind::And || p.kind() == Kind::Or) && p.kind() != parent;
    if (parens)
      os << '(';
    p.print(os, names);
    if (parens)
      os << ')';
  };
  switch (kind()) {
  case Kind::True:
    os << "true";
    return;
  case Kind::False:
    os << "false";
    return;
  case Kind::Compare: {
    static const char *const texts[] = {" < ",  " <= ", " > ",
                                        " >= ", " == ", " != "};
    exprLhs().print(os, names);
    os << texts[unsigned(relation())];
    exprRhs().print(os, names);
    return;
  }
  case Kind::And:
  case Kind::Or:
    operand(lhs(), kind());
    os << (kind() == Kind::And ? " && " : " || ");
    operand(rhs(), kind());
    return;
  case Kind::Not:
    os << "!(";
    lhs().print(os, names);
    os << ')';
    return;
  }
}

std::string Predicate::str(ArrayRef<std::string> names) const {
  std::string text;
  llvm::raw_string_ostream os(text);
  print(os, names);
  return text;
}

//===----------------------------------------------------------------------===//
// PairDomain
//===----------------------------------------------------------------------===//

PairDomain::PairDomain() : kOffset(0) {
  symbols.push_back({"Nq", 0, std::nullopt});
  symbols.push_back({"Nk", 0, std::nullopt});
  qOffset = IntExpr::symbol(symNk) - IntExpr::symbol(symNq);
}

IntExpr PairDomain::addSymbol(llvm::StringRef name, std::optional<int64_t> lo,
                              std::optional<int64_t> hi) {
  symbols.push_back({name.str(), lo, hi});
  return IntExpr::symbol(symbols.size() - 1);
}

llvm::SmallVector<std::string> PairDomain::symbolNames() const {
  llvm::SmallVector<std::string> names;
  for (const SymbolInfo &symbol : symbols)
    names.push_back(symbol.name);
  return names;
}
