//===- IntervalEval.cpp - three-valued evaluation of predicates -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A comparison is brought to one form a*i + b*j + k + sum of multiples of atoms
// before any interval is taken, so that what cancels does cancel: `i - j` is
// one quantity, not two ranges. An atom is floor(f / m) or f mod m of a form f.
// The form is bounded in up to three ways (as written; with every mod spelled
// through its quotient; with quotients spelled through their mod), and the
// bounds are intersected.
//
// Sums are in 128 bits; a form whose bounds leave 60 bits is Unknown, since
// evaluation could wrap there.
//
//===----------------------------------------------------------------------===//
#include "passes/Analysis/IntervalEval.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <numeric>
#include <vector>

using namespace filigree;
using llvm::ArrayRef;
using llvm::SmallVector;

using Wide = __int128;
static constexpr int64_t limit = int64_t(1) << 60;

static Tri negate(Tri value) {
  return value == Tri::True    ? Tri::False
         : value == Tri::False ? Tri::True
                               : Tri::Unknown;
}

namespace {
struct Bounds {
  Wide lo, hi;
  bool tooWide() const { return lo < -limit || hi > limit; }
};

/// a*i + b*j + k + sum of factors * atoms.
struct Form {
  int64_t a = 0, b = 0, k = 0;
  SmallVector<std::pair<unsigned, int64_t>, 2> terms; // sorted by atom

  bool operator==(const Form &o) const {
    return a == o.a && b == o.b && k == o.k && terms == o.terms;
  }
};

struct Atom {
  Form dividend;
  int64_t divisor;
  bool isMod;
};
} // namespace

struct IntervalEvaluator::Impl {
  struct Comparison {
    Predicate::Relation relation;
    SmallVector<Form, 3> spellings;
    bool usable = true;
  };

  std::vector<Atom> atoms;
  std::vector<Comparison> comparisons; // in the order of a walk
  SmallVector<int64_t> symbols;
  bool wrapped = false;

  //===--- forms --------------------------------------------------------===//

  int64_t checked(Wide value) {
    if (value > limit || value < -limit) {
      wrapped = true;
      return 0;
    }
    return int64_t(value);
  }

  Form combine(const Form &x, int64_t p, const Form &y, int64_t q) {
    Form result;
    result.a = checked(Wide(p) * x.a + Wide(q) * y.a);
    result.b = checked(Wide(p) * x.b + Wide(q) * y.b);
    result.k = checked(Wide(p) * x.k + Wide(q) * y.k);
    unsigned u = 0, v = 0;
    while (u < x.terms.size() || v < y.terms.size()) {
      unsigned atomX = u < x.terms.size() ? x.terms[u].first : ~0u;
      unsigned atomY = v < y.terms.size() ? y.terms[v].first : ~0u;
      unsigned atom = std::min(atomX, atomY);
      Wide factor = 0;
      if (atomX == atom)
        factor += Wide(p) * x.terms[u++].second;
      if (atomY == atom)
        factor += Wide(q) * y.terms[v++].second;
      if (int64_t value = checked(factor))
        result.terms.push_back({atom, value});
    }
    return result;
  }

  Form atomForm(Form dividend, int64_t divisor, bool isMod) {
    // Only the residue of the constant matters: j + 128 and j share an atom.
    Form result;
    int64_t whole = llvm::divideFloorSigned(dividend.k, divisor);
    dividend.k -= whole * divisor;
    result.k = isMod ? 0 : whole;
    unsigned number = 0;
    while (number < atoms.size() &&
           !(atoms[number].isMod == isMod && atoms[number].divisor == divisor &&
             atoms[number].dividend == dividend))
      ++number;
    if (number == atoms.size())
      atoms.push_back({std::move(dividend), divisor, isMod});
    result.terms.push_back({number, 1});
    return result;
  }

  Form build(const IntExpr &expr) {
    Form form;
    switch (expr.kind()) {
    case IntExpr::Kind::Const:
      form.k = checked(expr.constant());
      return form;
    case IntExpr::Kind::Row:
      form.a = 1;
      return form;
    case IntExpr::Kind::Col:
      form.b = 1;
      return form;
    case IntExpr::Kind::Symbol:
      form.k = checked(symbols[expr.symbolNumber()]);
      return form;
    case IntExpr::Kind::Add:
      return combine(build(expr.lhs()), 1, build(expr.rhs()), 1);
    case IntExpr::Kind::Sub:
      return combine(build(expr.lhs()), 1, build(expr.rhs()), -1);
    case IntExpr::Kind::Mul:
      return combine(build(expr.lhs()), expr.constant(), form, 0);
    case IntExpr::Kind::FloorDiv:
    case IntExpr::Kind::Mod: {
      bool isMod = expr.kind() == IntExpr::Kind::Mod;
      Form dividend = build(expr.lhs());
      if (!dividend.a && !dividend.b && dividend.terms.empty()) {
        form.k = isMod ? llvm::mod(dividend.k, expr.constant())
                       : llvm::divideFloorSigned(dividend.k, expr.constant());
        return form;
      }
      return atomForm(std::move(dividend), expr.constant(), isMod);
    }
    }
    return form;
  }

  /// Every atom of one kind replaced through dividend = divisor*Q + M; a
  /// quotient only where its factor is a multiple of the divisor.
  Form respell(const Form &form, bool mods) {
    Form result = form;
    for (auto [atom, factor] : form.terms) {
      int64_t divisor = atoms[atom].divisor;
      if (atoms[atom].isMod != mods || (!mods && factor % divisor != 0))
        continue;
      Form self, dividend = atoms[atom].dividend;
      self.terms.push_back({atom, 1});
      Form other = atomForm(dividend, divisor, !mods);
      result = combine(result, 1, self, -factor);
      if (mods) { // M = f - m*Q
        result = combine(result, 1, dividend, factor);
        result = combine(result, 1, other, checked(-Wide(factor) * divisor));
      } else { // m*Q = f - M
        result = combine(result, 1, dividend, factor / divisor);
        result = combine(result, 1, other, -(factor / divisor));
      }
    }
    return result;
  }

  void compile(const Predicate &predicate) {
    switch (predicate.kind()) {
    case Predicate::Kind::True:
    case Predicate::Kind::False:
      return;
    case Predicate::Kind::Not:
      return compile(predicate.lhs());
    case Predicate::Kind::And:
    case Predicate::Kind::Or:
      compile(predicate.lhs());
      compile(predicate.rhs());
      return;
    case Predicate::Kind::Compare: {
      wrapped = false;
      Comparison comparison;
      comparison.relation = predicate.relation();
      Form form = combine(build(predicate.exprLhs()), 1,
                          build(predicate.exprRhs()), -1);
      comparison.spellings.push_back(form);
      for (bool mods : {true, false}) {
        Form other = respell(form, mods);
        if (!llvm::is_contained(comparison.spellings, other))
          comparison.spellings.push_back(std::move(other));
      }
      comparison.usable = !wrapped;
      comparisons.push_back(std::move(comparison));
      return;
    }
    }
  }

  //===--- bounds -------------------------------------------------------===//

  struct Point {
    const Rectangle &rect;
    SmallVector<Bounds, 8> atom;
    bool tooWide = false;
  };

  Bounds bound(const Form &form, const Point &at) const {
    auto add = [](Bounds &sum, int64_t factor, Bounds b) {
      sum.lo += factor * (factor > 0 ? b.lo : b.hi);
      sum.hi += factor * (factor > 0 ? b.hi : b.lo);
    };
    Bounds sum{form.k, form.k};
    add(sum, form.a, {at.rect.i0, at.rect.i1});
    add(sum, form.b, {at.rect.j0, at.rect.j1});
    for (auto [atom, factor] : form.terms)
      add(sum, factor, at.atom[atom]);
    return sum;
  }

  /// What all values of the form have in common: value = base mod stride. The
  /// stride is 0 if there is one value only.
  std::pair<Wide, int64_t> residue(const Form &form, const Point &at) const {
    Wide base = form.k;
    int64_t stride = 0;
    auto add = [&](int64_t factor, Bounds b) {
      if (b.lo == b.hi)
        base += factor * b.lo;
      else
        stride = std::gcd(stride, factor);
    };
    add(form.a, {at.rect.i0, at.rect.i1});
    add(form.b, {at.rect.j0, at.rect.j1});
    for (auto [atom, factor] : form.terms)
      add(factor, at.atom[atom]);
    return {base, stride};
  }

  void boundAtoms(Point &at) const {
    for (const Atom &atom : atoms) { // dividends use earlier atoms only
      Bounds dividend = bound(atom.dividend, at);
      if (dividend.tooWide()) {
        at.tooWide = true;
        return;
      }
      int64_t m = atom.divisor;
      int64_t qlo = llvm::divideFloorSigned(int64_t(dividend.lo), m);
      int64_t qhi = llvm::divideFloorSigned(int64_t(dividend.hi), m);
      if (!atom.isMod) {
        at.atom.push_back({qlo, qhi});
      } else if (qlo == qhi) {
        at.atom.push_back(
            {dividend.lo - Wide(qlo) * m, dividend.hi - Wide(qlo) * m});
      } else {
        auto [base, stride] = residue(atom.dividend, at);
        int64_t g = std::gcd(stride, m);
        int64_t first = int64_t(((base % g) + g) % g);
        at.atom.push_back({first, m - g + first});
      }
    }
  }

  Tri compare(const Comparison &comparison, const Point &at) const {
    if (!comparison.usable || at.tooWide)
      return Tri::Unknown;
    Bounds range{-limit, limit};
    bool missesZero = false;
    for (const Form &form : comparison.spellings) {
      Bounds b = bound(form, at);
      if (b.tooWide())
        return Tri::Unknown;
      range.lo = std::max(range.lo, b.lo);
      range.hi = std::min(range.hi, b.hi);
      auto [base, stride] = residue(form, at);
      missesZero |= stride != 0 && base % stride != 0;
    }
    missesZero |= range.lo > 0 || range.hi < 0;
    auto below = [](Wide lo, Wide hi, Wide bound) { // value < bound
      return hi < bound ? Tri::True : lo >= bound ? Tri::False : Tri::Unknown;
    };
    switch (comparison.relation) {
    case Predicate::Relation::LT:
      return below(range.lo, range.hi, 0);
    case Predicate::Relation::LE:
      return below(range.lo, range.hi, 1);
    case Predicate::Relation::GT:
      return negate(below(range.lo, range.hi, 1));
    case Predicate::Relation::GE:
      return negate(below(range.lo, range.hi, 0));
    case Predicate::Relation::EQ:
    case Predicate::Relation::NE: {
      Tri equal = missesZero                       ? Tri::False
                  : range.lo == 0 && range.hi == 0 ? Tri::True
                                                   : Tri::Unknown;
      return comparison.relation == Predicate::Relation::EQ ? equal
                                                            : negate(equal);
    }
    }
    return Tri::Unknown;
  }

  Tri walk(const Predicate &predicate, const Point &at, unsigned &next) const {
    switch (predicate.kind()) {
    case Predicate::Kind::True:
      return Tri::True;
    case Predicate::Kind::False:
      return Tri::False;
    case Predicate::Kind::Not:
      return negate(walk(predicate.lhs(), at, next));
    case Predicate::Kind::And:
    case Predicate::Kind::Or: {
      // Both sides are walked: `next` counts comparisons.
      Tri absorbing =
          predicate.kind() == Predicate::Kind::And ? Tri::False : Tri::True;
      Tri lhs = walk(predicate.lhs(), at, next);
      Tri rhs = walk(predicate.rhs(), at, next);
      if (lhs == absorbing || rhs == absorbing)
        return absorbing;
      return lhs == rhs ? lhs : Tri::Unknown;
    }
    case Predicate::Kind::Compare:
      return compare(comparisons[next++], at);
    }
    return Tri::Unknown;
  }
};

//===----------------------------------------------------------------------===//
// IntervalEvaluator
//===----------------------------------------------------------------------===//

IntervalEvaluator::IntervalEvaluator(const Predicate &predicate,
                                     ArrayRef<int64_t> symbols)
    : predicate(predicate), impl(std::make_unique<Impl>()) {
  impl->symbols.assign(symbols.begin(), symbols.end());
  impl->compile(predicate);
}

IntervalEvaluator::~IntervalEvaluator() = default;

Tri IntervalEvaluator::evaluate(const Rectangle &rect) const {
  Impl::Point at{rect, {}, false};
  impl->boundAtoms(at);
  unsigned next = 0;
  return impl->walk(predicate, at, next);
}

Tri IntervalEvaluator::decide(const Rectangle &rect) const {
  bool sawTrue = false, sawFalse = false;
  search(rect, sawTrue, sawFalse);
  return sawTrue && sawFalse ? Tri::Unknown : sawTrue ? Tri::True : Tri::False;
}

void IntervalEvaluator::search(const Rectangle &rect, bool &sawTrue,
                               bool &sawFalse) const {
  if (rect.i0 > rect.i1 || rect.j0 > rect.j1)
    return;
  Tri value = evaluate(rect);
  if (value != Tri::Unknown) {
    (value == Tri::True ? sawTrue : sawFalse) = true;
    return;
  }
  auto probe = [&](int64_t i, int64_t j) {
    (predicate.evaluate(i, j, impl->symbols) ? sawTrue : sawFalse) = true;
  };
  int64_t rows = rect.i1 - rect.i0 + 1, cols = rect.j1 - rect.j0 + 1;
  // Points that share no stride with the usual tile sizes find most mixtures.
  int64_t im = rect.i0 + rows / 2, jm = rect.j0 + cols / 2;
  const int64_t points[][2] = {
      {rect.i0, rect.j0},
      {rect.i1, rect.j1},
      {rect.i0, rect.j1},
      {rect.i1, rect.j0},
      {im, jm},
      {rect.i0 + rows / 3, jm},
      {im, rect.j0 + cols / 5},
      {rect.i0 + rows * 2 / 7, rect.j0 + cols * 5 / 7}};
  for (const auto &point : points) {
    probe(point[0], point[1]);
    if (sawTrue && sawFalse)
      return;
  }
  if (rows * cols <= 8) {
    for (int64_t i = rect.i0; i <= rect.i1; ++i)
      for (int64_t j = rect.j0; j <= rect.j1; ++j)
        probe(i, j);
    return;
  }
  Rectangle first = rect, second = rect;
  if (rows > cols) {
    first.i1 = im - 1;
    second.i0 = im;
  } else {
    first.j1 = jm - 1;
    second.j0 = jm;
  }
  search(first, sawTrue, sawFalse);
  if (!(sawTrue && sawFalse))
    search(second, sawTrue, sawFalse);
}

Tri filigree::evaluateOn(const Predicate &predicate, const Rectangle &rect,
                         ArrayRef<int64_t> symbols) {
  return IntervalEvaluator(predicate, symbols).evaluate(rect);
}

Tri filigree::decideOn(const Predicate &predicate, const Rectangle &rect,
                       ArrayRef<int64_t> symbols) {
  return IntervalEvaluator(predicate, symbols).decide(rect);
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

namespace {
/// Storage extents and offsets of one problem with concrete symbols.
struct TileGeometry {
  Tiling tiling;
  int64_t outerRows, innerRows, outerOffset, innerOffset;

  TileGeometry(const PairDomain &domain, const Tiling &tiling,
               ArrayRef<int64_t> symbols)
      : tiling(tiling) {
    int64_t q = domain.qOffset.evaluate(0, 0, symbols);
    int64_t k = domain.kOffset.evaluate(0, 0, symbols);
    bool queries = tiling.outer == Outer::Queries;
    outerRows = std::max<int64_t>(symbols[queries ? symNq : symNk], 0);
    innerRows = std::max<int64_t>(symbols[queries ? symNk : symNq], 0);
    outerOffset = queries ? q : k;
    innerOffset = queries ? k : q;
  }
  int64_t numOuter() const {
    return llvm::divideCeilSigned(outerRows, tiling.outerScale);
  }
  int64_t numInner() const {
    return llvm::divideCeilSigned(innerRows, tiling.innerTile);
  }
  /// Positions of outer tiles [x0, x1) and inner tiles [j0, j1).
  Rectangle positions(int64_t x0, int64_t x1, int64_t j0, int64_t j1) const {
    int64_t olo = tiling.outerScale * x0;
    int64_t ohi =
        std::min(tiling.outerScale * (x1 - 1) + tiling.outerTile, outerRows) -
        1;
    int64_t ilo = tiling.innerTile * j0;
    int64_t ihi = std::min(tiling.innerTile * j1, innerRows) - 1;
    olo += outerOffset, ohi += outerOffset;
    ilo += innerOffset, ihi += innerOffset;
    if (tiling.outer == Outer::Queries)
      return {olo, ohi, ilo, ihi};
    return {ilo, ihi, olo, ohi};
  }
};
} // namespace

TileGrid filigree::classifyQuadtree(const Predicate &predicate,
                                    const PairDomain &domain,
                                    const Tiling &tiling,
                                    ArrayRef<int64_t> symbols,
                                    bool exactAtTiles) {
  TileGeometry geometry(domain, tiling, symbols);
  IntervalEvaluator evaluator(predicate, symbols);
  TileGrid grid;
  grid.numOuter = geometry.numOuter();
  grid.numInner = geometry.numInner();
  grid.classes.assign(grid.numOuter * grid.numInner, TileClass::Partial);
  struct Task {
    int64_t x0, x1, j0, j1;
  };
  SmallVector<Task> tasks;
  if (!grid.classes.empty())
    tasks.push_back({0, grid.numOuter, 0, grid.numInner});
  while (!tasks.empty()) {
    Task task = tasks.pop_back_val();
    Rectangle rect = geometry.positions(task.x0, task.x1, task.j0, task.j1);
    bool one = task.x1 - task.x0 == 1 && task.j1 - task.j0 == 1;
    Tri value =
        one && exactAtTiles ? evaluator.decide(rect) : evaluator.evaluate(rect);
    if (value != Tri::Unknown || one) {
      TileClass cls = value == Tri::True    ? TileClass::Full
                      : value == Tri::False ? TileClass::Empty
                                            : TileClass::Partial;
      for (int64_t x = task.x0; x < task.x1; ++x)
        for (int64_t j = task.j0; j < task.j1; ++j)
          grid.classes[x * grid.numInner + j] = cls;
      continue;
    }
    Task first = task, second = task;
    // Halve the side that is longer in positions.
    bool splitOuter =
        task.j1 - task.j0 == 1 ||
        (task.x1 - task.x0 > 1 && (task.x1 - task.x0) * tiling.outerScale >=
                                      (task.j1 - task.j0) * tiling.innerTile);
    if (splitOuter)
      first.x1 = second.x0 = (task.x0 + task.x1) / 2;
    else
      first.j1 = second.j0 = (task.j0 + task.j1) / 2;
    tasks.push_back(first);
    tasks.push_back(second);
  }
  return grid;
}

SmallVector<Run> filigree::refinedRuns(const BlockSet &set,
                                       const Predicate &predicate,
                                       const PairDomain &domain, int64_t x,
                                       ArrayRef<int64_t> symbols, bool decide) {
  SmallVector<Run> runs = set.runs(x, symbols);
  if (set.touched.exact && set.notFull.exact)
    return runs;
  TileGeometry geometry(domain, set.tiling, symbols);
  IntervalEvaluator evaluator(predicate, symbols);
  SmallVector<Run> result;
  auto append = [&](int64_t lo, int64_t hi, Run::Class cls) {
    if (!result.empty() && result.back().hi == lo && result.back().cls == cls)
      result.back().hi = hi;
    else
      result.push_back({lo, hi, 1, cls});
  };
  auto refine = [&](auto &self, int64_t lo, int64_t hi) -> void {
    Rectangle rect = geometry.positions(x, x + 1, lo, hi);
    bool one = hi - lo == 1;
    Tri value =
        one && decide ? evaluator.decide(rect) : evaluator.evaluate(rect);
    if (value == Tri::False)
      return;
    if (value == Tri::True || one)
      return append(lo, hi, value == Tri::True ? Run::Full : Run::Partial);
    int64_t middle = lo + (hi - lo) / 2;
    self(self, lo, middle);
    self(self, middle, hi);
  };
  for (const Run &run : runs) {
    if (run.cls == Run::Full)
      append(run.lo, run.hi, Run::Full);
    else
      refine(refine, run.lo, run.hi);
  }
  return result;
}
