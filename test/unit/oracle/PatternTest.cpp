//===- PatternTest.cpp - oracle libraries against the interpreter ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every pattern of the examples, of test/numerics, test/bench and the language
// tests, on made-up inputs. Two implementations of one page of rules, which
// share nothing but the IR: their float64 answers differ by rounding alone.
//
//===----------------------------------------------------------------------===//
#include "codegen/Compiler.h"
#include "frontend/driver/LoadPattern.h"
#include "passes/Pipelines.h"
#include "test/unit/oracle/OracleHarness.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace filigree;
using reference::Arithmetic;
using reference::SumOrder;

namespace {

struct PatternName {
  std::string file, name;
};

/// Patterns in the .attn files of a folder and the folders in it.
std::vector<PatternName> patternsIn(const std::string &folder) {
  std::vector<PatternName> found;
  std::error_code code;
  for (llvm::sys::fs::recursive_directory_iterator
           it(std::string(SOURCE_DIR "/") + folder, code),
       end;
       it != end && !code; it.increment(code)) {
    if (llvm::sys::path::extension(it->path()) != ".attn")
      continue;
    auto text = llvm::MemoryBuffer::getFile(it->path());
    llvm::SmallVector<llvm::StringRef> lines;
    (*text)->getBuffer().split(lines, '\n');
    for (llvm::StringRef line : lines)
      if (line.consume_front("pattern "))
        found.push_back({it->path(), line.split('(').first.trim().str()});
  }
  llvm::sort(found, [](const PatternName &a, const PatternName &b) {
    return std::tie(a.file, a.name) < std::tie(b.file, b.name);
  });
  return found;
}

struct Loaded {
  mlir::MLIRContext context;
  LoadedPattern pattern;

  Loaded(const PatternName &which, DType dtype, int64_t headDim,
         int64_t valueDim)
      : context(registry()) {
    LoadRequest request;
    request.path = which.file;
    request.pattern = which.name;
    request.dtype = dtype;
    request.headDim = headDim;
    request.valueDim = valueDim;
    auto loaded = loadPattern(request, context);
    if (!loaded)
      ADD_FAILURE() << llvm::toString(loaded.takeError());
    else
      pattern = std::move(*loaded);
  }

  static const mlir::DialectRegistry &registry() {
    static mlir::DialectRegistry instance = [] {
      mlir::DialectRegistry made;
      registerDialects(made);
      return made;
    }();
    return instance;
  }
};

/// Elements compared, and those that are the same bits.
struct Agreement {
  int64_t elements = 0, same = 0;

  /// Empty if no element of a row is off by more than `tolerance` times the
  /// row's largest number, which counts as `floor` at least.
  std::string compare(llvm::ArrayRef<double> got, llvm::ArrayRef<double> want,
                      size_t width, double tolerance, double floor) {
    if (got.size() != want.size() || want.size() % width != 0)
      return llvm::formatv("expected {0} numbers, but got {1}", want.size(),
                           got.size());
    for (size_t row = 0; row < want.size(); row += width) {
      double scale = floor;
      for (double value : want.slice(row, width))
        if (std::isfinite(value))
          scale = std::max(scale, std::fabs(value));
      for (size_t k = row; k < row + width; ++k) {
        ++elements;
        if (std::isnan(want[k]) ? std::isnan(got[k]) : got[k] == want[k])
          ++same;
        else if (!std::isfinite(want[k]) ||
                 !(std::fabs(got[k] - want[k]) <= tolerance * scale))
          return llvm::formatv("row {0} element {1}: expected {2:e17}, but got "
                               "{3:e17}",
                               row / width, k - row, want[k], got[k]);
      }
    }
    return "";
  }
};

const reference::Result &named(const std::vector<reference::Result> &results,
                               bool isLse) {
  return results[0].isLse == isLse ? results[0] : results[1];
}

/// Runs both and compares all they say.
void compareAll(const std::string &what, mlir::func::FuncOp function,
                OracleRun &run, DType dtype, Agreement &naive) {
  for (const auto &[name, array] : run.arrays)
    for (int64_t extent : array.shape)
      ASSERT_GE(extent, 0) << name;
  run.go();
  if (testing::Test::HasFatalFailure())
    return;
  reference::InterpretOptions options;
  options.threads = 1;
  auto exact = reference::interpret(function, run.inputs(), options);
  ASSERT_TRUE(bool(exact)) << what << ": " << llvm::toString(exact.takeError());
  Agreement same;
  const reference::Result &o = named(*exact, false), &lse = named(*exact, true);
  ASSERT_EQ(same.compare(run.outputs.at(o.name), o.values, size_t(o.width),
                         1e-12, 1e-3),
            "")
      << what << " o";
  ASSERT_EQ(same.compare(run.outputs.at(lse.name), lse.values, 1, 1e-12, 1e-3),
            "")
      << what << " lse";

  // The f32 functions of the C library are not rounded right to the last bit,
  // tanh least of all, and one bit of a weight may move P to the next number of
  // 16 bits.
  bool hasTanh = false;
  function.walk([&](mlir::math::TanhOp) { hasTanh = true; });
  double bits = hasTanh ? 64 : 4;
  double tolerance = std::max(4 * reference::epsilon(dtype),
                              bits * reference::epsilon(DType::F32));
  options.arithmetic = Arithmetic::Naive;
  for (auto [order, name] : {std::pair{SumOrder::Forward, ".naive"},
                             {SumOrder::Backward, ".naive_backward"},
                             {SumOrder::EightLanes, ".naive_lanes"}}) {
    options.sumOrder = order;
    auto results = reference::interpret(function, run.inputs(), options);
    ASSERT_TRUE(bool(results));
    const reference::Result &values = named(*results, false);
    ASSERT_EQ(naive.compare(run.outputs.at(o.name + name), values.values,
                            size_t(o.width), tolerance, 1),
              "")
        << what << name;
    if (order == SumOrder::Forward)
      ASSERT_EQ(naive.compare(run.outputs.at(lse.name + name),
                              named(*results, true).values, 1,
                              bits * reference::epsilon(DType::F32), 1),
                "")
          << what << " lse" << name;
  }
}

void giveScalars(const Oracle &oracle, OracleRun &run) {
  for (const fil_arg_info &info : oracle.infos)
    if (info.kind == FIL_SCALAR && !info.has_preset)
      run.scalars[info.name] =
          info.dtype == FIL_F32
              ? 0.5
              : double(std::min(std::max<int64_t>(20, info.min), info.max));
}

const Shape kShapes[] = {{1, 2, 1, 1, 1},
                         {1, 2, 2, 65, 65},
                         {2, 3, 1, 41, 83},
                         {1, 4, 2, 1, 130},
                         {1, 2, 1, 50, 17}};

/// Every pattern in one type of `dtypes` after the other, or in `always` too.
void checkFolder(const std::string &folder, size_t fewest,
                 llvm::ArrayRef<DType> dtypes,
                 std::optional<DType> always = std::nullopt) {
  std::vector<PatternName> patterns = patternsIn(folder);
  ASSERT_GE(patterns.size(), fewest) << folder;
  Agreement naive;
  unsigned seed = 0;
  for (auto [number, pattern] : llvm::enumerate(patterns)) {
    llvm::SmallVector<DType> wanted = {dtypes[number % dtypes.size()]};
    if (always)
      wanted.push_back(*always);
    for (DType dtype : wanted) {
      // What is query or keys and values at once has one head size.
      bool one = pattern.name == "itself" || pattern.name == "shared_values";
      Loaded loaded(pattern, dtype, 24, one || seed % 2 ? 24 : 9);
      ASSERT_TRUE(loaded.pattern.module) << pattern.name;
      Oracle oracle(*loaded.pattern.module);
      ASSERT_TRUE(oracle.kernel) << pattern.name;
      for (const Shape &shape : kShapes) {
        std::string what =
            llvm::formatv("{0} {1} [{2}, {3}/{4}, {5}, {6}]", pattern.name,
                          reference::dtypeName(dtype), shape.batch, shape.heads,
                          shape.kvHeads, shape.queries, shape.keys);
        OracleRun run(oracle, shape, ++seed);
        giveScalars(oracle, run);
        compareAll(what, loaded.pattern.function, run, dtype, naive);
        if (testing::Test::HasFatalFailure())
          FAIL() << what;
      }
    }
  }
  // Same operations in the same order: most answers are the same bits.
  EXPECT_GT(naive.same, naive.elements * 3 / 4) << folder;
  testing::Test::RecordProperty("cases", int(seed));
}

} // namespace

/// What the comparison must not let pass.
TEST(OraclePattern, PlantedDifferencesAreSeen) {
  const std::vector<double> want = {1, 2, -3, 0, -INFINITY, NAN, 5, 1e-4};
  auto differs = [&](size_t at, double value) {
    std::vector<double> got = want;
    got[at] = value;
    return !Agreement().compare(got, want, 2, 1e-12, 1e-3).empty();
  };
  EXPECT_FALSE(differs(0, 1 + 1e-13));
  EXPECT_TRUE(differs(0, 1 + 3e-12));
  EXPECT_TRUE(differs(3, 1e-11));
  EXPECT_TRUE(differs(2, NAN));
  EXPECT_TRUE(differs(1, INFINITY));
  EXPECT_TRUE(differs(4, -1e308));
  EXPECT_TRUE(differs(4, INFINITY));
  EXPECT_TRUE(differs(5, 0));
  EXPECT_FALSE(Agreement().compare({}, want, 2, 1, 1).empty());
}

/// A neighbouring pattern is told from the right one.
TEST(OraclePattern, AnotherPatternIsSeen) {
  std::vector<double> answers[2];
  for (unsigned k : {0, 1}) {
    Loaded loaded({SOURCE_DIR "/test/numerics/Inputs/patterns.attn",
                   k ? "causal_top_left" : "causal"},
                  DType::F32, 16, 16);
    ASSERT_TRUE(loaded.pattern.module);
    Oracle oracle(*loaded.pattern.module);
    OracleRun run(oracle, {1, 2, 1, 20, 21}, 1);
    run.go();
    ASSERT_FALSE(HasFatalFailure());
    answers[k] = run.outputs.at("o");
  }
  EXPECT_NE(Agreement().compare(answers[0], answers[1], 16, 1e-3, 1), "");
}

TEST(OraclePattern, NumericsPatterns) {
  checkFolder("test/numerics", 20, {DType::BF16, DType::F16}, DType::F32);
}
TEST(OraclePattern, Examples) { checkFolder("examples", 12, {DType::F16}); }
TEST(OraclePattern, BenchPatterns) {
  checkFolder("test/bench", 5, {DType::BF16});
}
TEST(OraclePattern, LanguagePatterns) {
  checkFolder("test/unit/frontend/patterns", 12, {DType::F32, DType::BF16});
}

/// One caller serves both: the compiled kernel's arguments are the oracle's.
TEST(OraclePattern, ArgumentsAreThoseOfTheCompiledPattern) {
  unsigned compared = 0;
  for (const char *folder : {"test/numerics", "examples", "test/bench"})
    for (const PatternName &pattern : patternsIn(folder)) {
      Loaded loaded(pattern, DType::F32, 16, 0);
      ASSERT_TRUE(loaded.pattern.module) << pattern.name;
      auto compiled = compileOracle(*loaded.pattern.module);
      ASSERT_TRUE(mlir::succeeded(compiled)) << pattern.name;
      ASSERT_TRUE(mlir::succeeded(lowerToKernel(*loaded.pattern.module)));
      KernelInterface want =
          interfaceOf(*loaded.pattern.module->getOps<tile::KernelOp>().begin());
      const KernelInterface &got = compiled->kernel.interface;
      EXPECT_EQ(got.name, want.name);
      auto textOf = [](const KernelInterface &interface,
                       const InterfaceArg &arg) {
        std::string text =
            llvm::formatv("{0} kind {1} dtype {2} flags {3} [", arg.name,
                          arg.kind, arg.dtype, arg.flags);
        for (const fil_abi_dim &dim : arg.dims)
          text += dim.symbol < 0 ? std::to_string(dim.extent) + ","
                                 : interface.dims[dim.symbol] + ",";
        return text + llvm::formatv("] {0} {1} {2} {3}", arg.min, arg.max,
                                    arg.preset, arg.hasPreset)
                          .str();
      };
      auto relationsOf = [](const KernelInterface &interface) {
        std::vector<std::string> texts;
        for (const fil_abi_relation &r : interface.relations) {
          auto name = [&](int32_t dim) {
            return dim < 0 ? std::string("-") : interface.dims[dim];
          };
          bool isDim = r.kind == FIL_ABI_ONE_OF;
          texts.push_back(
              llvm::formatv("{0} {1} {2} {3}", r.kind, name(r.a), name(r.b),
                            isDim ? name(r.c) : std::to_string(r.c)));
        }
        llvm::sort(texts);
        return texts;
      };
      size_t inputs = want.args.size() - 2; // but o and lse
      ASSERT_EQ(got.args.size(), inputs + 7) << pattern.name;
      for (size_t k = 0; k < inputs; ++k)
        EXPECT_EQ(textOf(got, got.args[k]), textOf(want, want.args[k]))
            << pattern.name;
      EXPECT_EQ(got.args[inputs].name, "rows");
      EXPECT_EQ(got.args[inputs + 1].name, want.args[inputs].name);
      EXPECT_EQ(got.args[inputs + 2].name, want.args[inputs + 1].name);
      EXPECT_EQ(relationsOf(got), relationsOf(want)) << pattern.name;
      ++compared;
    }
  EXPECT_GE(compared, 35u);
}
