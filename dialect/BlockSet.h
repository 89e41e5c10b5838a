//===- BlockSet.h - which tiles of the score matrix are worth a visit -----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The result of the proof about tiles, and the mathematics behind it. Holds no
// algorithm: passes/Analysis/Projection.h computes it, code generators expand
// it, `runs` is what they must agree with.
//
// ---------------------------------------------------------------------------
// The question
//
// A kernel walks the score matrix in tiles. It holds one tile of an OUTER axis
// (queries, say) and streams over tiles of the INNER axis (keys). For outer
// coordinate X the tile covers storage rows
//
//     R(X) = { r : scale*X <= r < scale*X + outerTile, 0 <= r < Nouter }
//
// and inner tile J covers C(J) = { c : innerTile*J <= c < innerTile*(J+1),
// 0 <= c < Ninner }. For a predicate P the tile (X, J) is
//
//     empty    no pair of R(X) x C(J) satisfies P           (skip it)
//     full     it has a pair, and every pair satisfies P    (no mask needed)
//     partial  otherwise                                    (evaluate P)
//
// Scale is outerTile when X counts tiles, and 1 when X is the first row itself
// (a document in packed input starts at any row).
//
// The answer is wanted for every length and every parameter at once, as
// arithmetic in X and the symbols, because then no index list exists: the loop
// bounds of the kernel ARE the sparsity.
//
// ---------------------------------------------------------------------------
// Two projections answer it
//
// Let S be a set of pairs, and T(S) the tiles that hold a pair of S: the image
// of S under (r, c) -> (X, J), which is a projection along r and c. Then, with
// V all pairs,
//
//     touched = T(P)          empty   = T(V) \ touched
//     notFull = T(V \ P)      full    = T(V) \ notFull      partial = the rest
//
// Both are projections of sets given by formulas; nothing else is needed. Two
// things follow.
//
//  * Mistakes can be made harmless. A SUPERSET of T(P) runs some empty tiles as
//    partial, a superset of T(V \ P) runs some full tiles as partial. A partial
//    tile evaluates P, so both cost time and never an answer. Therefore each
//    side may be over-approximated by itself, and carries a flag `exact`.
//    Deriving `full` by any other route than the complement of T(V \ P) would
//    lose this.
//  * Ragged edges come out right by themselves: pairs beyond Nq or Nk are not
//    in V, so a last tile whose existing pairs all satisfy P is full.
//
// ---------------------------------------------------------------------------
// Why a projection is a loop
//
// P is put into disjunctive normal form. A disjunct is a conjunction of linear
// inequalities over X, J, r, c, the symbols, and one quotient per floor
// division; it is convex. Its image under projection, if the elimination of r,
// c and the quotients was exact over the integers, is again a conjunction of
// linear inequalities, in X, J, the symbols, and divisions of symbols. Each row
// of it either bounds J from below, or from above, or does not mention J:
//
//     a*J >= L(X, s)   ->  J >= ceildiv(L, a)
//     b*J <= U(X, s)   ->  J <= floordiv(U, b)
//     0   <= G(X, s)   ->  a guard
//
// So a disjunct is ONE contiguous range of tiles per outer tile, with closed
// forms max_k lo_k <= J < min_k hi_k and a guard: a Box. Given X and the
// symbols, Boxes are intervals, and sorting a handful of intervals yields the
// loop nest. Elimination that is exact over the rationals only keeps a convex
// superset; that is the one source of `exact = false`. It is unavoidable where
// the image has holes: `j % 512 < 64` with 128-wide tiles touches every fourth
// tile, an unbounded number of ranges.
//
// Some boxes are pieces of one range: `a or b` cut from one convex mask gives
// two boxes that always abut. Where a proof shows that two boxes never leave a
// gap, whenever both are non-empty, they are put in one Cluster. The range of a
// cluster is [min lo, max hi) over its NON-EMPTY members. An empty member must
// be skipped before the minimum is taken: its bounds mean nothing.
//
// Clusters may overlap at run time (a window that reaches the sink). `sorted`
// says that was excluded, and the order known, so that no sort is needed.
//
// ---------------------------------------------------------------------------
// A worked example: causal, i - j < W, tiles 64 x 128, Nq = Nk
//
//   touched   J in [max(0, ceildiv(64*X - W - 126, 128)),
//                   min(ceildiv(Nk, 128), X floordiv 2 + 1))
//   notFull   two clusters: the window's edge, and the diagonal
//   runs(X)   partial tiles at the window's edge, full ones, the diagonal
//
// ---------------------------------------------------------------------------
// The transposed graph
//
// Gradients hold a tile of keys and stream over queries. Nothing above depends
// on which axis is which: `outer = Keys` swaps the roles of r and c in R and C.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_DIALECT_BLOCKSET_H
#define FILIGREE_DIALECT_BLOCKSET_H

#include "dialect/Predicate.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/IntegerSet.h"

namespace filigree {

/// The axis of which a kernel holds one tile while it streams over the other.
enum class Outer : uint8_t { Queries, Keys };

/// How the score matrix is cut.
struct Tiling {
  Outer outer = Outer::Queries;
  /// Rows of the outer axis one tile covers, and tile size of the inner axis.
  int64_t outerTile = 128;
  int64_t innerTile = 128;
  /// Storage rows per step of X: outerTile (X counts tiles) or 1 (X is a row).
  int64_t outerScale = 128;

  /// Tiles bm x bn over queries x keys, X counts tiles.
  static Tiling tiles(int64_t bm, int64_t bn, Outer outer = Outer::Queries);
  /// As `tiles`, but X is the first row of the outer tile, any alignment.
  static Tiling rows(int64_t bm, int64_t bn, Outer outer = Outer::Queries);
};

/// One convex piece. For given X and symbols the tiles J with guard true and
/// max(lo) <= J < min(hi). One dimension (X); symbols in the order of
/// PairDomain::symbols, so Nq is s0 and Nk is s1. Bounds and guards may hold
/// floordiv and ceildiv; both are the signed kinds, arguments may be negative.
struct Box {
  mlir::AffineMap lo, hi;
  mlir::IntegerSet guard;
};

/// Boxes whose union is one contiguous range: min lo, max hi over the members
/// that are not empty.
struct Cluster {
  llvm::SmallVector<Box, 1> boxes;
};

/// One projection: the tiles that hold a pair of a set.
struct TileSide {
  llvm::SmallVector<Cluster> clusters;
  /// The clusters are exactly the tiles, not only a superset.
  bool exact = false;
  /// Non-empty clusters are in ascending order and never overlap (they may
  /// touch): code may run them in order without comparing.
  bool sorted = false;
  /// Why not exact: the disjunct and the step. Empty when exact.
  std::string reason;
};

/// A maximal piece of the inner loop.
struct Run {
  enum Class : uint8_t { Full, Partial };
  int64_t lo, hi, step;
  Class cls;
  bool operator==(const Run &o) const {
    return lo == o.lo && hi == o.hi && step == o.step && cls == o.cls;
  }
};

/// What the proof cost; part of `explain`.
struct ProofStats {
  unsigned touchedDisjuncts = 0, notFullDisjuncts = 0;
  unsigned queries = 0;
};

class BlockSet {
public:
  Tiling tiling;
  TileSide touched, notFull;
  ProofStats stats;
  llvm::SmallVector<std::string> symbolNames;

  /// Sorted, disjoint runs of outer coordinate X. Values follow
  /// PairDomain::symbols. Neighbours of the same class are merged; a tile in
  /// no run is empty. If a side is not exact, Partial may also hold tiles that
  /// are really empty or full; Full and absence are always right.
  llvm::SmallVector<Run> runs(int64_t x, llvm::ArrayRef<int64_t> symbols) const;
  /// Number of tiles in `runs`.
  int64_t count(int64_t x, llvm::ArrayRef<int64_t> symbols) const;
  /// Outer coordinates are [0, numOuter) with step outerTile / outerScale.
  int64_t numOuter(llvm::ArrayRef<int64_t> symbols) const;
  int64_t numInner(llvm::ArrayRef<int64_t> symbols) const;

  /// Closed forms as text, one line a range.
  void print(llvm::raw_ostream &os) const;

  /// The answer that is always right: all tiles, all partial.
  static BlockSet conservative(const PairDomain &domain, const Tiling &tiling,
                               llvm::StringRef reason,
                               mlir::MLIRContext *context);
};

/// Limits of the proof. Counts, not time, so that results do not depend on the
/// machine. A side over its limit becomes "all tiles, not exact".
struct ProofBudget {
  unsigned disjuncts = 64;
  unsigned rows = 400;
  int64_t coefficient = int64_t(1) << 30;
  unsigned queries = 4000;
};

/// Classifies the tiles of `predicate`. Never fails. Implemented in
/// passes/Analysis/Projection.cpp.
BlockSet computeBlockSet(const Predicate &predicate, const PairDomain &domain,
                         const Tiling &tiling, mlir::MLIRContext *context,
                         const ProofBudget &budget = {});

} // namespace filigree

#endif // FILIGREE_DIALECT_BLOCKSET_H
