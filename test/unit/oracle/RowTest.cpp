//===- RowTest.cpp - rows, odd values, bad entries, refusals --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/LoadPattern.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "test/unit/oracle/OracleHarness.h"

using namespace filigree;

namespace {

struct Module {
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;

  explicit Module(const std::string &text) {
    loadDialects(context);
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module) << text;
  }
  mlir::func::FuncOp function() {
    return *module->getOps<mlir::func::FuncOp>().begin();
  }
};

/// A function of q, k, v (head size 8), further arguments, a graph %g, an edge.
std::string textOf(const std::string &arguments, const std::string &graph,
                   const std::string &edge = "", const std::string &attend = "",
                   const std::string &type = "f32") {
  std::string t = "tensor<?x?x?x8x" + type + ">";
  return "func.func @p(%q: " + t + " {attn.name = \"q\"}, %k: " + t +
         " {attn.name = \"k\"}, %v: " + t + " {attn.name = \"v\"}" + arguments +
         ") -> (" + t + ", tensor<?x?x?xf32>) {\n" + graph +
         "\n%s = attn.source %k, %v over %g : " + t + ", " + t +
         (edge.empty() ? ""
                       : " edge {\n^bb0(%x: f32, %b: i64, %h: i64, %i: i64, "
                         "%j: i64):\n" +
                             edge + "\nattn.yield %y : f32\n}") +
         "\n%part = attn.attend %q, %s " + attend + " : " + t +
         " -> !attn.partial<8>\n%o, %lse = attn.finalize %part : "
         "!attn.partial<8> -> " +
         t + ", tensor<?x?x?xf32>\nreturn %o, %lse : " + t +
         ", tensor<?x?x?xf32>\n}\n";
}

std::string whereText(const std::string &body) {
  return "%g = attn.where {\n^bb0(%b: i64, %h: i64, %i: i64, %j: i64):\n" +
         body + "\nattn.yield %y : i1\n}\n";
}
const std::string kCausal = whereText("%y = arith.cmpi sle, %j, %i : i64");

/// Every float64 number is the interpreter's, NaN and infinities included.
void expectInterpreter(Module &module, OracleRun &run,
                       double tolerance = 1e-12) {
  auto results = reference::interpret(module.function(), run.inputs());
  ASSERT_TRUE(bool(results)) << llvm::toString(results.takeError());
  for (const reference::Result &want : *results) {
    const std::vector<double> &got = run.outputs.at(want.name);
    ASSERT_EQ(got.size(), want.values.size());
    for (size_t k = 0; k < got.size(); ++k) {
      double w = want.values[k];
      if (std::isnan(w) ? std::isnan(got[k]) : got[k] == w)
        continue;
      ASSERT_TRUE(std::isfinite(w) &&
                  std::fabs(got[k] - w) <=
                      tolerance * std::max(1.0, std::fabs(w)))
          << want.name << " " << k << ": expected " << w << ", but got "
          << got[k];
    }
  }
}

std::string diagnosticOf(const std::string &text) {
  Module module(text);
  std::string message;
  mlir::ScopedDiagnosticHandler handler(&module.context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          message += diagnostic.str();
                                          return mlir::success();
                                        });
  EXPECT_TRUE(mlir::failed(compileOracle(*module.module)));
  return message;
}

} // namespace

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

TEST(OracleRows, AnyRowsInAnyOrder) {
  Module module(textOf("", kCausal));
  Oracle oracle(*module.module);
  Shape shape = {2, 4, 2, 30, 41};
  OracleRun whole(oracle, shape, 1), some(oracle, shape, 1);
  some.rows = {29, 0, 7, 7};
  whole.go();
  some.go(/*threads=*/3);
  ASSERT_FALSE(HasFatalFailure());
  for (const char *name : {"o", "lse", "o.naive", "lse.naive",
                           "o.naive_backward", "o.naive_lanes"}) {
    const auto &all = whole.outputs.at(name), &few = some.outputs.at(name);
    size_t width = all.size() / (2 * 4 * 30);
    ASSERT_EQ(few.size(), 2 * 4 * 4 * width);
    for (size_t bh = 0; bh < 8; ++bh)
      for (size_t t = 0; t < 4; ++t)
        for (size_t d = 0; d < width; ++d)
          EXPECT_EQ(few[(bh * 4 + t) * width + d],
                    all[(bh * 30 + size_t(some.rows[t])) * width + d])
              << name;
  }
  EXPECT_EQ(some.shapes["o"], (std::vector<int64_t>{2, 4, 4, 8}));
  EXPECT_EQ(some.shapes["lse"], (std::vector<int64_t>{2, 4, 4}));
}

TEST(OracleRows, NaiveAnswersMayBeLeftOut) {
  Module module(textOf("", kCausal));
  Oracle oracle(*module.module);
  for (const char *only : {"none", "o.naive", "lse.naive", "o.naive_lanes"}) {
    OracleRun run(oracle, {1, 2, 1, 9, 9}, 1), all(oracle, {1, 2, 1, 9, 9}, 1);
    run.leaveOut = [&](llvm::StringRef name) {
      return name.contains("naive") && name != only;
    };
    run.go();
    all.go();
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(run.outputs.size(), only == std::string("none") ? 2u : 3u);
    for (const auto &[name, values] : run.outputs)
      EXPECT_EQ(values, all.outputs.at(name)) << name;
  }
}

TEST(OracleRows, ARowThatDoesNotExistIsNaNAndReported) {
  Module module(textOf("", kCausal));
  Oracle oracle(*module.module);
  for (int32_t bad : {-1, 9}) {
    OracleRun run(oracle, {1, 2, 1, 9, 9}, 1);
    run.rows = {3, bad};
    run.go();
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(run.word.code, FIL_ABI_ROW_OUT_OF_RANGE);
    EXPECT_EQ(run.word.row, bad);
    EXPECT_EQ(run.word.col, 1);
    for (const auto &[name, values] : run.outputs) {
      size_t width = values.size() / 4;
      for (size_t k = 0; k < values.size(); ++k)
        EXPECT_EQ(std::isnan(values[k]), k / width % 2 == 1) << name;
    }
  }
}

TEST(OracleRows, NothingToDo) {
  Module module(textOf("", kCausal));
  Oracle oracle(*module.module);
  for (Shape shape : {Shape{1, 2, 1, 0, 9}, {0, 2, 1, 9, 9}, {1, 2, 1, 5, 0}}) {
    OracleRun run(oracle, shape, 1);
    run.go();
    ASSERT_FALSE(HasFatalFailure());
    for (double value : run.outputs.at("o"))
      EXPECT_EQ(value, 0);
    for (double value : run.outputs.at("lse"))
      EXPECT_EQ(value, -INFINITY);
  }
  OracleRun run(oracle, {1, 2, 1, 5, 5}, 1);
  run.rows.clear();
  run.go();
  EXPECT_TRUE(run.outputs.at("o").empty());
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

TEST(OracleValues, NaNAndInfinities) {
  for (const char *type : {"f32", "f16", "bf16"}) {
    Module module(textOf("", kCausal, "", "", type));
    Oracle oracle(*module.module);
    OracleRun run(oracle, {1, 1, 1, 12, 12}, 5);
    auto put = [&](const std::string &name, int64_t at, float value) {
      Array &array = run.arrays.at(name);
      if (array.dtype == DType::F32)
        reinterpret_cast<float *>(array.bytes.data())[at] = value;
      else
        reinterpret_cast<uint16_t *>(array.bytes.data())[at] =
            array.dtype == DType::F16 ? reference::floatToHalf(value)
                                      : reference::floatToBfloat(value);
    };
    put("v", 5 * 8 + 3, NAN);       // reached from row 5 on
    put("v", 7 * 8 + 2, -INFINITY); // reached from row 7 on
    put("k", 8 * 8, -INFINITY);     // a logit of an infinity of either sign
    put("k", 10 * 8 + 1, NAN);
    run.go();
    ASSERT_FALSE(HasFatalFailure());
    expectInterpreter(module, run);
    EXPECT_TRUE(std::isnan(run.outputs.at("o")[5 * 8 + 3]));
    EXPECT_FALSE(std::isnan(run.outputs.at("o")[4 * 8 + 3]));
    EXPECT_TRUE(std::isnan(run.outputs.at("lse")[10]));
  }
}

TEST(OracleValues, LogitsOfMinusInfinityAreNoEdges) {
  Module module(textOf("", kCausal,
                       "%inf = arith.constant 0xFF800000 : f32\n"
                       "%c3 = arith.constant 3 : i64\n"
                       "%near = arith.cmpi sgt, %j, %c3 : i64\n"
                       "%y = arith.select %near, %x, %inf : f32"));
  Oracle oracle(*module.module);
  OracleRun run(oracle, {1, 1, 1, 9, 9}, 1);
  run.go();
  ASSERT_FALSE(HasFatalFailure());
  expectInterpreter(module, run);
  EXPECT_EQ(run.outputs.at("lse")[3], -INFINITY);
  EXPECT_TRUE(std::isfinite(run.outputs.at("lse")[4]));
}

TEST(OracleValues, HugeLogits) {
  Module module(textOf("", kCausal));
  Oracle oracle(*module.module);
  OracleRun run(oracle, {1, 2, 1, 40, 40}, 1);
  for (const char *name : {"q", "k"})
    for (size_t k = 0; k < run.arrays.at(name).bytes.size() / 4; ++k)
      run.floats(name)[k] *= 100;
  run.go();
  ASSERT_FALSE(HasFatalFailure());
  expectInterpreter(module, run, 1e-10);
}

/// Every operation that bodies may hold, against the interpreter's.
TEST(OracleValues, EveryOperationOfEdges) {
  Module module(textOf(
      ", %p: i64 {attn.name = \"p\"}, %f: f32 {attn.name = \"f\"}",
      "%c5 = arith.constant 5 : i64\n%p2 = arith.muli %p, %c5 : i64\n"
      "%f2 = arith.mulf %f, %f : f32\n" +
          whereText(
              "%c3 = arith.constant 3 : i64\n%m = attn.mod %j, %c3\n"
              "%n = arith.floordivsi %i, %c3 : i64\n"
              "%a = arith.cmpi sle, %m, %n : i64\n"
              "%d = arith.subi %j, %p2 : i64\n"
              "%c = arith.cmpi slt, %d, %i : i64\n%e = arith.andi %a, %c : i1\n"
              "%t = arith.constant true\n%z = arith.xori %e, %t : i1\n"
              "%w = arith.cmpi eq, %j, %i : i64\n%zz = arith.andi %z, %t : i1\n"
              "%u = arith.xori %zz, %t : i1\n%y = arith.ori %u, %w : i1"),
      R"(%c3 = arith.constant 3 : i64
         %c7 = arith.constant 7 : i64
         %half = arith.constant 0.5 : f32
         %one = arith.constant 1.0 : f32
         %d = arith.subi %j, %i : i64
         %m = arith.muli %d, %p2 : i64
         %q1 = arith.floordivsi %m, %c7 : i64
         %q2 = arith.ceildivsi %m, %c7 : i64
         %q3 = arith.divsi %m, %c7 : i64
         %q4 = arith.remsi %m, %c7 : i64
         %q5 = attn.mod %m, %c7
         %q6 = arith.minsi %q1, %q4 : i64
         %q7 = arith.maxsi %q2, %q3 : i64
         %q8 = arith.trunci %m : i64 to i8
         %q9 = arith.extsi %q8 : i8 to i64
         %r0 = arith.extui %q8 : i8 to i64
         %r1 = math.absi %q9 : i64
         %s0 = arith.addi %q1, %q2 : i64
         %s1 = arith.addi %s0, %q3 : i64
         %s2 = arith.addi %s1, %q5 : i64
         %s3 = arith.addi %s2, %q6 : i64
         %s4 = arith.addi %s3, %q7 : i64
         %s5 = arith.addi %s4, %r0 : i64
         %s6 = arith.addi %s5, %r1 : i64
         %f0 = arith.sitofp %s6 : i64 to f32
         %f1 = arith.uitofp %r0 : i64 to f32
         %c100 = arith.constant 100.0 : f32
         %f3 = arith.divf %f0, %c100 : f32
         %f4 = math.exp %x : f32
         %f5 = math.absf %x : f32
         %f6 = math.log %f5 : f32
         %f7 = math.tanh %f3 : f32
         %f8 = math.sqrt %f5 : f32
         %f9 = math.rsqrt %f4 : f32
         %g0 = math.exp2 %x : f32
         %g1 = math.expm1 %x : f32
         %g2 = math.log1p %f4 : f32
         %g3 = math.log2 %f4 : f32
         %g4 = math.log10 %f4 : f32
         %g5 = math.sinh %x : f32
         %g6 = math.cosh %x : f32
         %g7 = math.floor %f3 : f32
         %g8 = math.ceil %f3 : f32
         %g9 = math.trunc %f3 : f32
         %h0 = math.round %f3 : f32
         %h1 = math.roundeven %f3 : f32
         %h2 = math.copysign %f8, %x : f32
         %h3 = math.fma %x, %f3, %f7 : f32
         %h4 = arith.maximumf %x, %f7 : f32
         %h5 = arith.minimumf %x, %f7 : f32
         %h6 = arith.maxnumf %x, %f3 : f32
         %h7 = arith.minnumf %x, %f3 : f32
         %h8 = arith.negf %f9 : f32
         %big = arith.constant 10.0 : f32
         %h9 = arith.mulf %f3, %big : f32
         %i0 = arith.fptosi %h9 : f32 to i32
         %i1 = arith.extsi %i0 : i32 to i64
         %i2 = arith.sitofp %i1 : i64 to f32
         %i3 = arith.cmpf olt, %x, %f7 : f32
         %i4 = arith.cmpf une, %g7, %g8 : f32
         %i5 = arith.andi %i3, %i4 : i1
         %i6 = arith.select %i5, %f2, %half : f32
         %i7 = arith.extf %i6 : f32 to f64
         %i8 = arith.truncf %i7 : f64 to f32
         %a0 = arith.addf %f1, %f4 : f32
         %a1 = arith.addf %a0, %f6 : f32
         %a2 = arith.addf %a1, %f7 : f32
         %a3 = arith.addf %a2, %f8 : f32
         %a4 = arith.addf %a3, %g0 : f32
         %a5 = arith.addf %a4, %g1 : f32
         %a6 = arith.addf %a5, %g2 : f32
         %a7 = arith.addf %a6, %g3 : f32
         %a8 = arith.addf %a7, %g4 : f32
         %a9 = arith.addf %a8, %g5 : f32
         %b0 = arith.addf %a9, %g6 : f32
         %b1 = arith.addf %b0, %g7 : f32
         %b2 = arith.addf %b1, %g8 : f32
         %b3 = arith.addf %b2, %g9 : f32
         %b4 = arith.addf %b3, %h0 : f32
         %b5 = arith.addf %b4, %h1 : f32
         %b6 = arith.addf %b5, %h2 : f32
         %b7 = arith.addf %b6, %h3 : f32
         %b8 = arith.addf %b7, %h4 : f32
         %b9 = arith.addf %b8, %h5 : f32
         %d0 = arith.addf %b9, %h6 : f32
         %d1 = arith.addf %d0, %h7 : f32
         %d2 = arith.addf %d1, %h8 : f32
         %d3 = arith.addf %d2, %i2 : f32
         %d4 = arith.addf %d3, %i8 : f32
         %y = arith.divf %d4, %c100 : f32)"));
  Oracle oracle(*module.module);
  for (double p : {-3.0, 1.0, 4.0}) {
    OracleRun run(oracle, {1, 2, 1, 33, 47}, 9);
    run.scalars = {{"p", p}, {"f", 0.7}};
    run.go();
    ASSERT_FALSE(HasFatalFailure());
    expectInterpreter(module, run);
  }
}

TEST(OracleValues, MergesOfDifferentPositions) {
  std::string t = "tensor<?x?x?x8xf32>";
  std::string p = "!attn.partial<8>";
  Module module(
      "func.func @p(%q: " + t + " {attn.name = \"q\"}, %k: " + t +
      " {attn.name = \"k\"}, %v: " + t + " {attn.name = \"v\"}) -> (" + t +
      ", tensor<?x?x?xf32>) {\n" + kCausal +
      "%s = attn.source %k, %v over %g : " + t + ", " + t +
      "\n%c = attn.complement %g\n%s2 = attn.source %k, %v over %c scale "
      "2.5e-01 : " +
      t + ", " + t + "\n%a = attn.attend %q, %s : " + t + " -> " + p +
      "\n%b = attn.attend %q, %s2, %s align top_left : " + t + " -> " + p +
      "\n%m = attn.merge %a, %b : " + p + "\n%o, %lse = attn.finalize %m : " +
      p + " -> " + t + ", tensor<?x?x?xf32>\nreturn %o, %lse : " + t +
      ", tensor<?x?x?xf32>\n}\n");
  Oracle oracle(*module.module);
  OracleRun run(oracle, {2, 4, 2, 19, 33}, 3);
  run.go();
  ASSERT_FALSE(HasFatalFailure());
  expectInterpreter(module, run);
}

//===----------------------------------------------------------------------===//
// Bad entries
//===----------------------------------------------------------------------===//

static const char *const kListArguments =
    ", %s0: tensor<?x?x?xi32> {attn.name = \"keep.start\"}, %n0: "
    "tensor<?x?x?xi32> {attn.name = \"keep.count\"}, %c0: tensor<?xi32> "
    "{attn.name = \"keep.cols\"}";
static const char *const kList =
    "%g = attn.blocks %s0, %n0, %c0 [4, 16] : tensor<?x?x?xi32>, "
    "tensor<?x?x?xi32>, tensor<?xi32>";

TEST(OracleEntries, BadListsAreDroppedAndReported) {
  Module module(textOf(kListArguments, kList));
  Oracle oracle(*module.module);
  struct {
    const char *array;
    int64_t at;
    int32_t value, code;
  } const twins[] = {{"keep.start", 1, -1, FIL_ABI_LIST_OUT_OF_ARRAY},
                     {"keep.start", 1, 1 << 20, FIL_ABI_LIST_OUT_OF_ARRAY},
                     {"keep.count", 1, -1, FIL_ABI_LIST_OUT_OF_ARRAY},
                     {"keep.count", 1, INT32_MAX, FIL_ABI_LIST_OUT_OF_ARRAY},
                     {"keep.cols", 1, 99, FIL_ABI_COLUMN_OUT_OF_RANGE},
                     {"keep.cols", 1, -7, FIL_ABI_COLUMN_OUT_OF_RANGE},
                     {"keep.cols", 1, 0, FIL_ABI_COLUMN_NOT_ASCENDING}};
  for (const auto &twin : twins) {
    OracleRun run(oracle, {1, 1, 1, 12, 64}, 2);
    auto list = [&](const char *name, llvm::ArrayRef<int64_t> shape,
                    std::vector<int32_t> values) {
      run.arrays[name] = llvm::cantFail(Array::copy(
          DType::I32, shape,
          {reinterpret_cast<const char *>(values.data()), 4 * values.size()}));
    };
    list("keep.start", {1, 1, 3}, {0, 1, 3});
    list("keep.count", {1, 1, 3}, {3, 2, 1});
    list("keep.cols", {4}, {0, 2, 3, 1});
    run.go();
    EXPECT_EQ(run.word.code, 0);
    run.integers(twin.array)[twin.at] = twin.value;
    run.go();
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(run.word.code, twin.code) << twin.array << " " << twin.value;
    expectInterpreter(module, run);
  }
}

TEST(OracleEntries, BadDocumentsHaveNoKeys) {
  Module module(textOf(", %cq: tensor<?xi32> {attn.name = \"cu_q\"}, %ck: "
                       "tensor<?xi32> {attn.name = \"cu_k\"}",
                       kCausal, "",
                       "documents(%cq, %ck : tensor<?xi32>, tensor<?xi32>)"));
  Oracle oracle(*module.module);
  OracleRun run(oracle, {1, 1, 1, 20, 20}, 2);
  auto set = [&](const char *name, std::vector<int32_t> values) {
    run.arrays[name] = llvm::cantFail(Array::copy(
        DType::I32, {int64_t(values.size())},
        {reinterpret_cast<const char *>(values.data()), 4 * values.size()}));
  };
  set("cu_q", {2, 10, 15});
  set("cu_k", {0, 8, 20});
  run.go();
  EXPECT_EQ(run.word.code, 0);
  expectInterpreter(module, run);
  for (int32_t bad : {21, 7}) { // beyond the keys, not ascending
    set("cu_k", {0, 8, bad});
    run.word = {};
    run.go();
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(run.word.code, FIL_ABI_DOCUMENT_BOUNDS);
    for (int64_t r = 0; r < 20; ++r)
      EXPECT_EQ(std::isfinite(run.outputs.at("lse")[r]), r >= 2 && r < 10) << r;
  }
}

TEST(OracleEntries, BadPagesAreNoKeys) {
  Module module(textOf(", %cq: tensor<?xi32> {attn.name = \"cu_q\"}, %t: "
                       "tensor<?x?xi32> {attn.name = \"table\"}, %n: "
                       "tensor<?xi32> {attn.name = \"lengths\"}",
                       kCausal, "",
                       "paged(%cq, %t, %n page 4 : tensor<?xi32>, "
                       "tensor<?x?xi32>, tensor<?xi32>)"));
  Oracle oracle(*module.module);
  OracleRun run(oracle, {1, 2, 1, 20, 20}, 2);
  auto set = [&](const char *name, llvm::ArrayRef<int64_t> extents,
                 std::vector<int32_t> values) {
    run.arrays[name] = llvm::cantFail(Array::copy(
        DType::I32, extents,
        {reinterpret_cast<const char *>(values.data()), 4 * values.size()}));
  };
  struct {
    int32_t entry, length, code;
  } cases[] = {{8, 10, 0}, // what is beyond the length is not looked at
               {12, 10, 0},
               {13, 10, FIL_ABI_PAGE_OUT_OF_RANGE},
               {-1, 10, FIL_ABI_PAGE_OUT_OF_RANGE},
               {8, 12, 0},
               {8, 13, FIL_ABI_LENGTH_OUT_OF_RANGE},
               {8, -1, FIL_ABI_LENGTH_OUT_OF_RANGE}};
  for (const auto &one : cases) {
    set("cu_q", {3}, {0, 9, 10});
    set("table", {2, 3}, {4, one.entry, 0, 7, 99, -5});
    set("lengths", {2}, {one.length, 3});
    run.word = {};
    run.go();
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(run.word.code, one.code) << one.entry << " " << one.length;
    if (one.code)
      EXPECT_EQ(run.word.col,
                one.code == FIL_ABI_PAGE_OUT_OF_RANGE ? one.entry : one.length);
    expectInterpreter(module, run);
  }
}

//===----------------------------------------------------------------------===//
// Refusals
//===----------------------------------------------------------------------===//

TEST(OracleRefuses, WhatItCannotCompute) {
  EXPECT_EQ(diagnosticOf(textOf("", kCausal, "%y = math.sin %x : f32")),
            "'math.sin' op is not in the oracle of this release");
  EXPECT_EQ(
      diagnosticOf(textOf(", %w: i64 {attn.name = \"rows\"}",
                          whereText("%y = arith.cmpi sle, %j, %w : i64"))),
      "expected no argument `rows` in a pattern of an oracle, which has "
      "one of its own");
  EXPECT_EQ(diagnosticOf(textOf(", %w: i32 {attn.name = \"w\"}", kCausal)),
            "expected parameters of i64 or f32, but got 'i32'");
}
