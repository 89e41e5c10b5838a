//===- MathTest.cpp - functions of oracle libraries against the C library -===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The functions go into a shared library of their own and are called there.
//
//===----------------------------------------------------------------------===//
#include "codegen/cpu/EmitObject.h"
#include "codegen/reference/OracleMath.h"
#include "test/unit/oracle/OracleHarness.h"
#include "llvm/Support/DynamicLibrary.h"
#include <cstring>

using namespace filigree;

namespace {

const char *const kUnary[] = {"exp",   "exp2",  "expm1", "log",       "log2",
                              "log10", "log1p", "sinh",  "cosh",      "tanh",
                              "floor", "ceil",  "trunc", "roundeven", "round"};

/// The functions, exported by a library that is opened.
class MathLibrary {
public:
  MathLibrary() {
    auto machine = cpu::targetMachineFor(getCpuTargets().front());
    llvm::LLVMContext context;
    llvm::Module module("math", context);
    module.setTargetTriple(machine->getTargetTriple());
    module.setDataLayout(machine->createDataLayout());
    oracle::Math math(module);
    for (const char *name : kUnary)
      open(math.unary(name), name);
    open(math.fma(), "fma");
    open(math.halfToFloat(), "half");
    open(math.roundToHalf(), "to_half");
    open(math.roundToBfloat(), "to_bfloat");
    auto bytes = linkArtifact({cpu::emitObject(module, *machine)});
    if (!bytes) {
      ADD_FAILURE() << llvm::toString(bytes.takeError());
      return;
    }
    TemporaryFile file(*bytes);
    std::string error;
    library = llvm::sys::DynamicLibrary::getPermanentLibrary(file.path.c_str(),
                                                             &error);
    EXPECT_TRUE(library.isValid()) << error;
  }

  template <typename F> F *get(const std::string &name) {
    return reinterpret_cast<F *>(
        library.getAddressOfSymbol(("test_" + name).c_str()));
  }

private:
  static void open(llvm::Function *function, const std::string &name) {
    function->setName("test_" + name);
    function->setLinkage(llvm::GlobalValue::ExternalLinkage);
  }
  llvm::sys::DynamicLibrary library;
};

MathLibrary &library() {
  static MathLibrary instance;
  return instance;
}

using Unary = double(double);

double trueValue(const std::string &name, double x) {
  return name == "exp"         ? std::exp(x)
         : name == "exp2"      ? std::exp2(x)
         : name == "expm1"     ? std::expm1(x)
         : name == "log"       ? std::log(x)
         : name == "log2"      ? std::log2(x)
         : name == "log10"     ? std::log10(x)
         : name == "log1p"     ? std::log1p(x)
         : name == "sinh"      ? std::sinh(x)
         : name == "cosh"      ? std::cosh(x)
         : name == "tanh"      ? std::tanh(x)
         : name == "floor"     ? std::floor(x)
         : name == "ceil"      ? std::ceil(x)
         : name == "trunc"     ? std::trunc(x)
         : name == "roundeven" ? std::nearbyint(x)
                               : std::round(x);
}

/// Numbers of every magnitude, and more of those where functions turn.
std::vector<double> arguments() {
  std::vector<double> list;
  std::mt19937_64 random(1);
  for (int k = 0; k < 200000; ++k) { // any finite number
    uint64_t bits = random();
    double x;
    std::memcpy(&x, &bits, sizeof(x));
    if (std::isfinite(x))
      list.push_back(x);
  }
  std::uniform_real_distribution<double> unit(-1, 1);
  for (double range : {1e-9, 1e-3, 0.35, 0.7, 1.5, 25.0, 50.0, 760.0, 1100.0})
    for (int k = 0; k < 30000; ++k)
      list.push_back(range * unit(random));
  for (int k = 0; k < 100000; ++k) { // around 1, where log cancels
    double x = 1 + std::ldexp(unit(random), -int(random() % 52));
    list.push_back(x);
    list.push_back(-x);
  }
  for (int k = -1074; k < 1024; ++k) {
    double power = std::ldexp(1.0, k);
    for (double x :
         {power, std::nextafter(power, 0), std::nextafter(power, INFINITY)})
      list.insert(list.end(), {x, -x});
  }
  for (int k = -60; k <= 60; ++k)
    list.insert(list.end(), {k * 0.5, k * std::log(2.0) / 2});
  return list;
}

std::string checkUnary(const std::string &name) {
  Unary *f = library().get<Unary>(name);
  if (!f)
    return "is missing";
  double worst = 0, at = 0;
  for (double x : arguments()) {
    double got = f(x), want = trueValue(name, x);
    if (std::isnan(want) ? std::isnan(got) : got == want)
      continue;
    // Subnormal results have fewer bits: an error of a last place or two.
    double scale = std::max(std::fabs(want), 0x1p-1022);
    double error = std::fabs(got - want) / scale;
    if (!(error <= worst)) {
      worst = error;
      at = x;
    }
  }
  bool isRounding = name == "floor" || name == "ceil" || name == "trunc" ||
                    name == "round" || name == "roundeven";
  if (worst <= (isRounding ? 0 : 1e-15))
    return "";
  return llvm::formatv("{0}({1:e17}): error {2:e3}", name, at, worst).str();
}

} // namespace

TEST(OracleMath, AgreesWithTheCLibrary) {
  for (const char *name : kUnary)
    EXPECT_EQ(checkUnary(name), "");
}

TEST(OracleMath, SpecialValues) {
  constexpr double inf = INFINITY;
  for (const char *name : kUnary)
    for (double x : {0.0,
                     -0.0,
                     inf,
                     -inf,
                     double(NAN),
                     1.0,
                     -1.0,
                     5e-324,
                     -5e-324,
                     1.7976931348623157e308,
                     -1.7976931348623157e308,
                     709.782712893384,
                     709.7827128933841,
                     -745.1332191019411,
                     -745.1332191019412,
                     -708.4,
                     1024.0,
                     -1074.0,
                     -1075.0,
                     0.5,
                     -0.5,
                     1.5,
                     2.5,
                     -2.5,
                     4503599627370495.5}) {
      double got = library().get<Unary>(name)(x), want = trueValue(name, x);
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(got)) << name << " " << x;
        continue;
      }
      if (std::isinf(want) || want == 0) {
        EXPECT_EQ(got, want) << name << " " << x;
        EXPECT_EQ(std::signbit(got), std::signbit(want)) << name << " " << x;
        continue;
      }
      EXPECT_LE(std::fabs(got - want),
                std::max(1e-15 * std::fabs(want), 0x1p-1074))
          << name << " " << x;
    }
}

TEST(OracleMath, WeightsOfUnreachableKeysAreZero) {
  Unary *exp = library().get<Unary>("exp");
  EXPECT_EQ(exp(-INFINITY), 0);
  EXPECT_EQ(exp(0), 1);
  EXPECT_EQ(exp(-1e308), 0);
}

TEST(OracleMath, Fma) {
  auto *f = library().get<double(double, double, double)>("fma");
  std::mt19937_64 random(2);
  std::normal_distribution<double> normal;
  for (int k = 0; k < 100000; ++k) {
    double a = normal(random), b = normal(random), c = normal(random);
    if (k % 2) // nothing but what rounding took from the product
      c = -a * b;
    double want = std::fma(a, b, c);
    EXPECT_LE(std::fabs(f(a, b, c) - want), 1e-15 * std::fabs(want));
  }
  EXPECT_EQ(f(1e308, 10, 1), INFINITY);
  EXPECT_EQ(f(1e300, 2, -1e300), 1e300);
  EXPECT_TRUE(std::isnan(f(INFINITY, 1, -INFINITY)));
}

TEST(OracleMath, SixteenBits) {
  auto *half = library().get<float(uint16_t)>("half");
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float got = half(uint16_t(bits)),
          want = reference::halfToFloat(uint16_t(bits));
    EXPECT_EQ(std::isnan(got), std::isnan(want)) << bits;
    if (!std::isnan(want)) {
      EXPECT_EQ(got, want) << bits;
      EXPECT_EQ(std::signbit(got), std::signbit(want)) << bits;
    }
  }
  auto *toHalf = library().get<float(float)>("to_half");
  auto *toBfloat = library().get<float(float)>("to_bfloat");
  std::mt19937 random(3);
  auto check = [&](float x) {
    float h = reference::halfToFloat(reference::floatToHalf(x));
    float b = reference::bfloatToFloat(reference::floatToBfloat(x));
    ASSERT_TRUE(toHalf(x) == h || (std::isnan(x) && std::isnan(toHalf(x))))
        << x;
    ASSERT_TRUE(toBfloat(x) == b || (std::isnan(x) && std::isnan(toBfloat(x))))
        << x;
  };
  for (int k = 0; k < 1000000; ++k) {
    uint32_t bits = random();
    float x;
    std::memcpy(&x, &bits, sizeof(x));
    check(x);
    check(1 / x);
  }
  // Both sides of every half, and ties.
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    float a = reference::halfToFloat(uint16_t(bits)),
          b = reference::halfToFloat(uint16_t(bits + 1));
    float tie = bits == 0x7bff ? 65520.0f : (a + b) / 2;
    for (float x :
         {a, tie, std::nextafter(tie, 0.0f), std::nextafter(tie, 1e9f)}) {
      check(x);
      check(-x);
    }
  }
  for (float x : {INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 3.4e38f, 65519.996f})
    check(x);
}
