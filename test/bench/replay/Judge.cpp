//===- Judge.cpp - answers by the numerics rule of the project ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Per head, over the rows compared:
//
//   |o - o64|     <= 2 max |naive - o64| + 2 eps(dtype) max |o64|
//   |lse - lse64| <= t (1 + |lse64|), t = 1e-5, or 1e-3 if o has 16 bits
//
// with the largest error of naive code in any of its orders of summation.
// Infinities and NaN stand where float64 has them; but where naive code leaves
// the range of its numbers and float64 does not, either will do.
//
//===----------------------------------------------------------------------===//
#include "test/bench/replay/Judge.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <stdexcept>

using namespace filigree::replay;

static double epsilonOf(uint32_t dtype) {
  return dtype == FIL_BF16 ? 0x1p-7 : dtype == FIL_F16 ? 0x1p-10 : 0x1p-23;
}

namespace {
/// The elements of one head: `count` of them, `orders` of naive code.
struct Head {
  std::vector<double> got, exact;
  std::vector<std::vector<double>> orders;
};
} // namespace

static double
compare(const std::string &what, const Head &head, size_t width,
        const std::function<double(double, double, double)> &limitOf) {
  double naive = 0, largest = 0, worst = 0;
  for (size_t k = 0; k < head.exact.size(); ++k) {
    if (!std::isfinite(head.exact[k]))
      continue;
    largest = std::max(largest, std::fabs(head.exact[k]));
    for (const std::vector<double> &order : head.orders)
      if (std::isfinite(order[k]))
        naive = std::max(naive, std::fabs(order[k] - head.exact[k]));
  }
  for (size_t k = 0; k < head.exact.size(); ++k) {
    double got = head.got[k], exact = head.exact[k];
    if (got == exact || (std::isnan(got) && std::isnan(exact)))
      continue;
    bool finite = std::isfinite(exact);
    if (finite && !std::isfinite(got) && !std::isfinite(head.orders[0][k]))
      continue; // beyond the range of naive code too
    double limit = limitOf(naive, largest, exact),
           error = std::fabs(got - exact);
    if (!finite || !std::isfinite(got) || !(error <= limit)) {
      char text[256];
      snprintf(
          text, sizeof(text),
          " is off by %.3g, expected at most %.3g: got %.9g, float64 %.9g, "
          "row %zu of those compared",
          error, limit, got, exact, k / width);
      throw std::runtime_error(what + text);
    }
    worst = std::max(worst, error / limit);
  }
  return worst;
}

double filigree::replay::judge(const Verdicts &verdicts,
                               const std::vector<int32_t> &rows, const Array &o,
                               const Array &lse) {
  if (rows.empty())
    throw std::runtime_error("no row was compared");
  size_t queries = size_t(o.shape[2]), width = size_t(o.shape[3]);
  size_t heads = size_t(o.shape[0] * o.shape[1]);
  double tolerance = o.dtype == FIL_F32 ? 1e-5 : 1e-3, worst = 0;
  auto headOf = [&](size_t h, const Array &got, size_t width, const char *exact,
                    std::initializer_list<const char *> orders) {
    Head head;
    for (int32_t row : rows)
      for (size_t d = 0; d < width; ++d)
        head.got.push_back(
            got.at(int64_t((h * queries + size_t(row)) * width + d)));
    size_t count = rows.size() * width;
    auto slice = [&](const char *name, bool narrow) {
      const Array &array = verdicts.at(name);
      std::vector<double> values(count);
      for (size_t k = 0; k < count; ++k) {
        values[k] = array.at(int64_t(h * count + k));
        // What the type of the output cannot hold becomes infinite.
        if (narrow && std::isinf(stored(values[k], got.dtype)))
          values[k] = stored(values[k], got.dtype);
      }
      return values;
    };
    head.exact = slice(exact, true);
    for (const char *order : orders)
      head.orders.push_back(slice(order, false));
    return head;
  };
  for (size_t h = 0; h < heads; ++h) {
    std::string where = "head " + std::to_string(h);
    worst = std::max(
        worst, compare("o, " + where,
                       headOf(h, o, width, "o",
                              {"o.naive", "o.naive_backward", "o.naive_lanes"}),
                       width, [&](double naive, double largest, double) {
                         return 2 * naive + 2 * epsilonOf(o.dtype) * largest;
                       }));
    compare("lse, " + where, headOf(h, lse, 1, "lse", {"lse.naive"}), 1,
            [&](double, double, double exact) {
              return tolerance * (1 + std::fabs(exact));
            });
  }
  return worst;
}
