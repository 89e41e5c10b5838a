//===- Numerics.cpp - the rule by which an answer passes ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/Numerics.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

using namespace filigree::reference;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// What one head allows.
struct HeadLimits {
  double naiveError = 0, magnitude = 0;
};

/// Both NaN, or the same infinity.
bool sameNonFinite(double got, double want) {
  return (std::isnan(got) && std::isnan(want)) || got == want;
}

/// A finite float64 that `dtype` cannot hold counts as the infinity it becomes.
double stored(DType dtype, double value) {
  double rounded = roundTo(dtype, value);
  return std::isinf(rounded) ? rounded : value;
}

} // namespace

Comparison filigree::reference::compare(const Result &oracle,
                                        llvm::ArrayRef<Result> naive,
                                        const Tensor &got, DType precision) {
  const Result &forward = naive.front();
  Comparison result;
  result.name = oracle.name;
  int64_t width = oracle.width;
  DType storage = oracle.isLse ? DType::F32 : precision;
  auto wanted = [&](size_t k) { return stored(storage, oracle.values[k]); };

  std::map<std::pair<int64_t, int64_t>, HeadLimits> heads;
  for (size_t k = 0; k < oracle.values.size(); ++k) {
    const Row &row = oracle.rows[k / width];
    HeadLimits &head = heads[{row.b, row.h}];
    double want = wanted(k);
    if (!std::isfinite(want))
      continue;
    head.magnitude = std::max(head.magnitude, std::fabs(want));
    for (const Result &order : naive)
      if (std::isfinite(order.values[k]))
        head.naiveError =
            std::max(head.naiveError, std::fabs(order.values[k] - want));
  }

  double worstRatio = -1;
  for (size_t k = 0; k < oracle.values.size(); ++k) {
    const Row &row = oracle.rows[k / width];
    int64_t d = int64_t(k) % width;
    const HeadLimits &head = heads[{row.b, row.h}];
    llvm::SmallVector<int64_t, 4> at = {row.b, row.h, row.r};
    if (!oracle.isLse)
      at.push_back(d);
    if (got.rank() + 1 == int64_t(at.size())) // [H, N, D] and [H, N]
      at.erase(at.begin());
    double have = got.real(got.offset(at)), want = wanted(k);

    double limit =
        oracle.isLse
            ? (precision == DType::F32 ? 1e-5 : 1e-3) * (1 + std::fabs(want))
            : 2 * head.naiveError + 2 * epsilon(precision) * head.magnitude;
    double error = std::fabs(have - want);
    bool misplaced = false;
    ++result.compared;
    if (std::isfinite(want) && !std::isfinite(forward.values[k])) {
      ++result.outOfRange;
      if (!std::isfinite(have))
        continue;
    } else if (!std::isfinite(want) || !std::isfinite(have)) {
      misplaced = !sameNonFinite(have, want);
      error = misplaced ? infinity : 0;
    }
    bool failed = misplaced || !(error <= limit || error == 0);
    result.failed += failed;
    result.misplaced += misplaced;
    if (!misplaced)
      result.maxError = std::max(result.maxError, error);
    double ratio = misplaced    ? infinity
                   : error == 0 ? 0
                   : limit > 0  ? error / limit
                                : std::numeric_limits<double>::max();
    if (ratio > worstRatio) {
      worstRatio = ratio;
      result.worst = {row, d, have, want, forward.values[k], error, limit};
    }
  }
  for (const auto &head : heads)
    result.maxNaiveError =
        std::max(result.maxNaiveError, head.second.naiveError);
  result.passed = result.failed == 0;
  return result;
}

std::string Comparison::str() const {
  std::string range =
      outOfRange ? llvm::formatv(", {0} out of range", outOfRange).str() : "";
  if (passed)
    return llvm::formatv(
               "{0}: passed, {1} elements, error {2:e2}, naive error {3:e2}, "
               "limit {4:e2} at the worst{5}",
               name, compared, maxError, maxNaiveError, worst.limit, range)
        .str();
  return llvm::formatv(
             "{0}: failed, {1} of {2} elements, {3} with a wrong inf or nan; "
             "worst at (b, h, i, d) = ({4}, {5}, {6}, {7}): expected {8:e9}, "
             "but got {9:e9}, error {10:e2}, limit {11:e2}, naive {12:e9}{13}",
             name, failed, compared, misplaced, worst.row.b, worst.row.h,
             worst.row.r, worst.d, worst.want, worst.got, worst.error,
             worst.limit, worst.naive, range)
      .str();
}

//===----------------------------------------------------------------------===//
// Sampling
//===----------------------------------------------------------------------===//

/// SplitMix64: the same rows on every machine.
static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

std::vector<Row> filigree::reference::sampleRows(int64_t batches, int64_t heads,
                                                 int64_t queries,
                                                 int64_t perHead,
                                                 uint64_t seed) {
  std::vector<Row> rows;
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t h = 0; h < heads; ++h) {
      std::set<int64_t> chosen;
      if (queries <= perHead) {
        for (int64_t r = 0; r < queries; ++r)
          chosen.insert(r);
      } else {
        auto add = [&](int64_t r) {
          if (r >= 0 && r < queries && int64_t(chosen.size()) < perHead)
            chosen.insert(r);
        };
        for (int64_t r = 0; r < 4; ++r) {
          add(r);
          add(queries - 1 - r);
        }
        // Edges of tiles, spread over the whole length; a quarter of the rows.
        uint64_t state = mix(seed ^ mix(uint64_t(b * heads + h)));
        for (int64_t k = 0; k < perHead / 8; ++k) {
          state = mix(state);
          int64_t tile = k % 2 ? 64 : 128;
          int64_t edge = int64_t(state % uint64_t(queries / tile + 1)) * tile;
          add(edge - 1);
          add(edge);
        }
        while (int64_t(chosen.size()) < perHead) {
          state = mix(state);
          add(int64_t(state % uint64_t(queries)));
        }
      }
      for (int64_t r : chosen)
        rows.push_back({b, h, r});
    }
  return rows;
}
