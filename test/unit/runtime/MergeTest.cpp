//===- MergeTest.cpp - partial results against a loop in double -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "TestSupport.h"

#include <cmath>
#include <limits>
#include <random>

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Partial {
  Partial(int64_t rows, int64_t dv)
      : o(static_cast<size_t>(rows * dv)), l(static_cast<size_t>(rows)),
        m(static_cast<size_t>(rows), -kInf) {}
  fil_partial view() { return {o.data(), l.data(), m.data()}; }
  std::vector<float> o, l, m;
};

TEST(Merge, equalsALoopInDouble) {
  constexpr int64_t rows = 37, dv = 72;
  constexpr uint32_t count = 5;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<Partial> parts(count, Partial(rows, dv));
  std::vector<fil_partial> views;
  for (uint32_t p = 0; p < count; ++p) {
    for (int64_t r = 0; r < rows; ++r) {
      if ((r + p) % 3 == 0)
        continue; // no key here; row 0 of part 0, ...
      parts[p].m[size_t(r)] = 20 * normal(random);
      parts[p].l[size_t(r)] = std::fabs(normal(random)) + 0.1f;
      for (int64_t d = 0; d < dv; ++d)
        parts[p].o[size_t(r * dv + d)] = normal(random);
    }
    views.push_back(parts[p].view());
  }
  Partial out(rows, dv);
  std::vector<float> o(rows * dv), lse(rows);
  fil_partial view = out.view();
  EXPECT_OK(fil_merge(views.data(), count, rows, dv, &view, &err));
  EXPECT_OK(fil_normalize(&view, rows, dv, o.data(), lse.data(), &err));

  for (int64_t r = 0; r < rows; ++r) {
    double m = -INFINITY, l = 0;
    for (Partial &part : parts)
      m = std::fmax(m, double(part.m[size_t(r)]));
    for (Partial &part : parts)
      l += std::exp(double(part.m[size_t(r)]) - m) * double(part.l[size_t(r)]);
    EXPECT_EQ(double(out.m[size_t(r)]), m);
    EXPECT_NEAR(double(lse[size_t(r)]), m + std::log(l),
                1e-5 * (1 + std::fabs(m)));
    for (int64_t d = 0; d < dv; ++d) {
      double sum = 0, scale = 0;
      for (Partial &part : parts) {
        double w = std::exp(double(part.m[size_t(r)]) - m);
        sum += w * double(part.o[size_t(r * dv + d)]);
        scale += w * std::fabs(double(part.o[size_t(r * dv + d)]));
      }
      // exp of a difference d carries a relative error of about |d| eps, but
      // then its weight is exp(d); 8 eps covers count sums and the product.
      EXPECT_NEAR(double(o[size_t(r * dv + d)]), sum / l,
                  8 * 1.2e-7 * (scale / l + std::fabs(sum / l)))
          << "row " << r << " column " << d;
    }
  }
}

TEST(Merge, rowsWithoutKeys) {
  Partial a(2, 3), b(2, 3), out(2, 3);
  for (float &value : a.o)
    value = NAN; // an empty part's values are not looked at
  b.m[1] = 2;
  b.l[1] = 4;
  b.o[3] = b.o[4] = b.o[5] = 8;
  fil_partial views[] = {a.view(), b.view()}, view = out.view();
  EXPECT_OK(fil_merge(views, 2, 2, 3, &view, &err));
  EXPECT_EQ(out.o, (std::vector<float>{0, 0, 0, 8, 8, 8}));
  EXPECT_EQ(out.l, (std::vector<float>{0, 4}));
  EXPECT_EQ(out.m, (std::vector<float>{-kInf, 2}));
  std::vector<float> o(6), lse(2);
  EXPECT_OK(fil_normalize(&view, 2, 3, o.data(), lse.data(), &err));
  EXPECT_EQ(o, (std::vector<float>{0, 0, 0, 2, 2, 2}));
  EXPECT_EQ(lse[0], -kInf);
  EXPECT_FLOAT_EQ(lse[1], 2 + std::log(4.0f));
}

TEST(Merge, noParts) {
  Partial out(1, 2);
  out.o = {5, 5};
  out.l = {5};
  out.m = {5};
  fil_partial view = out.view();
  EXPECT_OK(fil_merge(nullptr, 0, 1, 2, &view, &err));
  EXPECT_EQ(out.o, (std::vector<float>{0, 0}));
  EXPECT_EQ(out.m[0], -kInf);
}

TEST(Merge, inPlaceAndNegativeParts) {
  // The second part takes a key away again: l and o are negative.
  Partial a(1, 1), b(1, 1);
  a.m = {1}, a.l = {3}, a.o = {6};
  b.m = {1}, b.l = {-1}, b.o = {-2};
  fil_partial views[] = {a.view(), b.view()};
  EXPECT_OK(fil_merge(views, 2, 1, 1, &views[1], &err));
  EXPECT_EQ(b.l[0], 2);
  EXPECT_EQ(b.o[0], 4);
  EXPECT_OK(fil_normalize(&views[1], 1, 1, b.o.data(), nullptr, &err));
  EXPECT_EQ(b.o[0], 2);
}

TEST(Merge, nanAndInfinityPropagate) {
  Partial a(3, 1), b(3, 1), out(3, 1);
  a.m = {NAN, 1, kInf}, a.l = {1, 1, 1}, a.o = {1, NAN, 1};
  b.m = {1, 1, 1}, b.l = {1, 1, 1}, b.o = {1, 1, 1};
  fil_partial views[] = {a.view(), b.view()}, view = out.view();
  EXPECT_OK(fil_merge(views, 2, 3, 1, &view, &err));
  EXPECT_TRUE(std::isnan(out.m[0]) && std::isnan(out.l[0]));
  EXPECT_TRUE(std::isnan(out.o[0]) && std::isnan(out.o[1]));
  EXPECT_EQ(out.m[2], kInf);
  EXPECT_EQ(out.o[2], 1);
}

TEST(Merge, badCalls) {
  Partial a(1, 1);
  fil_partial view = a.view(), hole = {a.o.data(), nullptr, a.m.data()};
  EXPECT_FAILS(fil_merge(nullptr, 1, 1, 1, &view, &err), FIL_BAD_CALL,
               "expected 1 parts, but got null");
  EXPECT_FAILS(fil_merge(&hole, 1, 1, 1, &view, &err), FIL_BAD_CALL,
               "expected o, l and m of the parts, but got null");
  EXPECT_FAILS(fil_merge(&view, 1, 1, 1, nullptr, &err), FIL_BAD_CALL,
               "expected o, l and m of the result, but got null");
  EXPECT_FAILS(fil_merge(&view, 1, -1, 1, &view, &err), FIL_BAD_CALL,
               "expected rows and dv of at least 0 within 2^63 bytes, but got "
               "-1 and 1");
  EXPECT_FAILS(fil_normalize(&view, 1, 1, nullptr, nullptr, &err), FIL_BAD_CALL,
               "expected a place for o, but got null");
}

} // namespace
