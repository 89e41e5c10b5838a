//===- Harness.h - a small attention problem, written as a double loop ----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A test gives IR text on one side and a C++ lambda on the other; `expected`
// applies the lambda to every (b, h, r, c) in the most direct way there is.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_UNIT_REFERENCE_HARNESS_H
#define FILIGREE_TEST_UNIT_REFERENCE_HARNESS_H

#include "codegen/reference/Interpreter.h"
#include "dialect/Attn/Attn.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"
#include <cmath>
#include <functional>
#include <random>

namespace filigree::reference {

/// Text of an error; empty for success.
inline std::string textOf(llvm::Error error) {
  return llvm::toString(std::move(error));
}

struct Parsed {
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;

  explicit Parsed(llvm::StringRef text) {
    context.loadDialect<attn::AttnDialect, mlir::func::FuncDialect,
                        mlir::arith::ArithDialect, mlir::math::MathDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  }
  mlir::func::FuncOp function() {
    return *module->getOps<mlir::func::FuncOp>().begin();
  }
};

/// A compact f32 tensor that owns its numbers; the seed is the test's name.
struct Numbers {
  llvm::SmallVector<int64_t, 4> shape;
  std::vector<float> values;

  Numbers() = default;
  explicit Numbers(llvm::ArrayRef<int64_t> extents, unsigned salt = 0)
      : shape(extents) {
    const auto *info = testing::UnitTest::GetInstance()->current_test_info();
    std::mt19937 engine(std::hash<std::string>()(info->name()) + salt);
    std::normal_distribution<float> normal;
    int64_t count = 1;
    for (int64_t extent : extents)
      count *= extent;
    values.resize(count);
    for (float &value : values)
      value = normal(engine);
  }
  Tensor tensor() const {
    return Tensor::compact(DType::F32, shape, values.data());
  }
  double at(int64_t a, int64_t b, int64_t c, int64_t d) const {
    return values[((a * shape[1] + b) * shape[2] + c) * shape[3] + d];
  }
};

/// i32 data.
struct Integers {
  llvm::SmallVector<int64_t, 4> shape;
  std::vector<int32_t> values;
  Tensor tensor() const {
    return Tensor::compact(DType::I32, shape, values.data());
  }
};

struct Problem {
  int64_t B = 2, Hq = 4, Hkv = 2, Nq = 9, Nk = 13, Dk = 8, Dv = 4;
  Numbers q, k, v;
  /// Pieces of the function; %g must be defined by `graph`.
  std::string arguments, graph, edge, attend, sink, scale;
  Inputs inputs;

  /// Is the pair of storage indices an edge? Offsets are the test's business.
  std::function<bool(int64_t b, int64_t h, int64_t r, int64_t c)> allowed =
      [](int64_t, int64_t, int64_t, int64_t) { return true; };
  std::function<double(double x, int64_t b, int64_t h, int64_t r, int64_t c)>
      worth = [](double x, int64_t, int64_t, int64_t, int64_t) { return x; };
  std::function<double(int64_t h)> sinkOf;

  void fill() {
    q = Numbers({B, Hq, Nq, Dk}, 1);
    k = Numbers({B, Hkv, Nk, Dk}, 2);
    v = Numbers({B, Hkv, Nk, Dv}, 3);
    bind();
  }
  void bind() {
    inputs.tensors["q"] = q.tensor();
    inputs.tensors["k"] = k.tensor();
    inputs.tensors["v"] = v.tensor();
  }

  std::string text() const {
    auto type = [](int64_t d) {
      return "tensor<?x?x?x" + std::to_string(d) + "xf32>";
    };
    std::string tk = type(Dk), tv = type(Dv);
    std::string partial = "!attn.partial<" + std::to_string(Dv) + ">";
    return "func.func @p(%q: " + tk + " {attn.name = \"q\"}, %k: " + tk +
           " {attn.name = \"k\"}, %v: " + tv + " {attn.name = \"v\"}" +
           arguments + ") -> (" + tv + ", tensor<?x?x?xf32>) {\n" + graph +
           "\n%s = attn.source %k, %v over %g " + scale + " : " + tk + ", " +
           tv + (edge.empty() ? "" : " edge {\n" + edge + "}") +
           "\n%p = attn.attend %q, %s " + attend + " : " + tk + " -> " +
           partial + "\n%o, %lse = attn.finalize %p " + sink + " : " + partial +
           " -> " + tv + ", tensor<?x?x?xf32>\nreturn %o, %lse : " + tv +
           ", tensor<?x?x?xf32>\n}\n";
  }

  /// Runs both sides and compares every number.
  void check(double scaleValue = 0) {
    Parsed parsed(text());
    ASSERT_TRUE(parsed.module) << text();
    auto results = interpret(parsed.function(), inputs);
    if (!results)
      FAIL() << textOf(results.takeError());
    ASSERT_EQ(results->size(), 2u);
    const Result &o = (*results)[0], &lse = (*results)[1];
    ASSERT_EQ(o.name, "o");
    ASSERT_EQ(lse.name, "lse");
    ASSERT_TRUE(lse.isLse);
    ASSERT_EQ(int64_t(o.values.size()), B * Hq * Nq * Dv);
    size_t row = 0;
    for (int64_t b = 0; b < B; ++b)
      for (int64_t h = 0; h < Hq; ++h)
        for (int64_t r = 0; r < Nq; ++r, ++row) {
          double sum = 0;
          std::vector<double> out(Dv, 0.0);
          if (sinkOf)
            sum += std::exp(sinkOf(h));
          for (int64_t c = 0; c < Nk; ++c) {
            if (!allowed(b, h, r, c))
              continue;
            int64_t g = h / (Hq / Hkv);
            double x = 0;
            for (int64_t d = 0; d < Dk; ++d)
              x += q.at(b, h, r, d) * k.at(b, g, c, d);
            x *= scaleValue ? scaleValue : 1 / std::sqrt(double(Dk));
            double e = std::exp(worth(x, b, h, r, c));
            sum += e;
            for (int64_t d = 0; d < Dv; ++d)
              out[d] += e * v.at(b, g, c, d);
          }
          ASSERT_EQ(o.rows[row].r, r);
          if (sum == 0) {
            EXPECT_EQ(lse.values[row], -INFINITY);
            for (int64_t d = 0; d < Dv; ++d)
              EXPECT_EQ(o.values[row * Dv + d], 0);
            continue;
          }
          EXPECT_NEAR(lse.values[row], std::log(sum), 1e-12)
              << b << " " << h << " " << r;
          for (int64_t d = 0; d < Dv; ++d)
            EXPECT_NEAR(o.values[row * Dv + d], out[d] / sum, 1e-12)
                << b << " " << h << " " << r << " " << d;
        }
  }

  /// The error of a run that must fail.
  std::string error() {
    Parsed parsed(text());
    if (!parsed.module)
      return "does not parse";
    auto results = interpret(parsed.function(), inputs);
    return results ? "" : textOf(results.takeError());
  }
};

/// A graph named %<name> out of a body that defines %y : i1.
inline std::string where(llvm::StringRef name, llvm::StringRef body) {
  return ("%" + name + " = attn.where {\n^bb0(%b: i64, %h: i64, %i: i64, " +
          "%j: i64):\n" + body + "\nattn.yield %y : i1\n}\n")
      .str();
}
inline const char *const kCausal = "%y = arith.cmpi sle, %j, %i : i64";
inline const char *const kTrue = "%y = arith.constant true";

/// An edge out of a body that maps %x to %y : f32.
inline std::string edge(llvm::StringRef body) {
  return ("^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):\n" + body +
          "\nattn.yield %y : f32\n")
      .str();
}

} // namespace filigree::reference

#endif // FILIGREE_TEST_UNIT_REFERENCE_HARNESS_H
