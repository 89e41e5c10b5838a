//===- Harness.h - small kernels for the tests of the emulator ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A test writes the body of a kernel. `Bench` wraps it in a module, gives it
// buffers and tensor maps, and runs it under every policy and timing: what is
// right must be clean under all of them, what is wrong must be found under all
// of them unless the test says otherwise.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_UNIT_PTX_EMULATOR_HARNESS_H
#define FILIGREE_TEST_UNIT_PTX_EMULATOR_HARNESS_H

#include "test/lib/ptx-emulator/Float16.h"
#include "test/lib/ptx-emulator/PtxEmulator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace filigree::ptx::test {

/// Memory at a multiple of 128 bytes.
template <typename T> class Aligned {
public:
  explicit Aligned(size_t count, T value = T())
      : storage(count * sizeof(T) + 128), count(count) {
    for (size_t i = 0; i < count; ++i)
      data()[i] = value;
  }
  T *data() {
    auto base = reinterpret_cast<uintptr_t>(storage.data());
    return reinterpret_cast<T *>((base + 127) / 128 * 128);
  }
  T &operator[](size_t i) { return data()[i]; }
  size_t size() const { return count; }
  size_t bytes() const { return count * sizeof(T); }

private:
  std::vector<char> storage;
  size_t count;
};

/// A kernel `test` with parameters `p0`, `p1`, ...
class Bench {
public:
  /// `declarations` stands before the kernel, `body` between its braces.
  Bench(const std::string &parameters, const std::string &body,
        const std::string &declarations = "",
        const std::string &target = "sm_90a") {
    ptx = ".version 8.7\n.target " + target + "\n.address_size 64\n" +
          declarations + "\n.visible .entry test(" + parameters + ")\n{\n" +
          body + "\n}\n";
    loaded = emulator.load(ptx, &error);
  }

  template <typename T> Bench &pass(const T &value) {
    const char *bytes = reinterpret_cast<const char *>(&value);
    values.emplace_back(bytes, sizeof(T));
    return *this;
  }
  template <typename T>
  Bench &buffer(Aligned<T> &memory, const char *name,
                Access access = Access::ReadWrite, bool initialised = true) {
    emulator.addBuffer(memory.data(), memory.bytes(), name, access,
                       initialised);
    return pass(memory.data());
  }
  Bench &map(const char (&bytes)[128]) {
    values.emplace_back(bytes, 128);
    return *this;
  }

  LaunchResult run(Dim3 grid, Dim3 block, uint32_t shared = 0,
                   const Options &options = {}) {
    EXPECT_TRUE(loaded) << error << "\n" << ptx;
    std::vector<const void *> arguments;
    for (const std::string &value : values)
      arguments.push_back(value.data());
    return emulator.launch("test", grid, block, shared, arguments.data(),
                           options);
  }

  static std::vector<Options> schedules() {
    std::vector<Options> all;
    for (Policy policy :
         {Policy::RoundRobin, Policy::Random, Policy::LastFirst})
      for (Timing timing : {Timing::Late, Timing::Eager, Timing::Random}) {
        Options options;
        options.policy = policy;
        options.timing = timing;
        options.seed = all.size();
        options.maxSteps = 2'000'000;
        all.push_back(options);
      }
    return all;
  }

  /// Clean under every schedule; `check` looks at the answer of each.
  template <typename F>
  void expectClean(uint32_t threads, uint32_t shared, F check) {
    for (const Options &options : schedules()) {
      LaunchResult result = run({1, 1, 1}, {threads, 1, 1}, shared, options);
      ASSERT_EQ(result.describe(), "")
          << "policy " << int(options.policy) << " timing "
          << int(options.timing) << "\n"
          << ptx;
      check();
    }
  }
  void expectClean(uint32_t threads, uint32_t shared = 0) {
    expectClean(threads, shared, [] {});
  }

  /// A finding of one of these kinds, whose text has `part`, under every
  /// schedule.
  void expectFound(uint32_t threads, uint32_t shared,
                   const std::vector<Kind> &kinds,
                   const std::string &part = "") {
    for (const Options &options : schedules()) {
      LaunchResult result = run({1, 1, 1}, {threads, 1, 1}, shared, options);
      bool found = false;
      for (const Finding &finding : result.findings)
        found |= std::count(kinds.begin(), kinds.end(), finding.kind) &&
                 finding.text.find(part) != std::string::npos;
      ASSERT_TRUE(found) << "expected " << nameOf(kinds[0]) << " with '" << part
                         << "' under policy " << int(options.policy)
                         << " timing " << int(options.timing) << ", but got\n"
                         << result.describe() << ptx;
    }
  }

  void expectFound(uint32_t threads, uint32_t shared, Kind kind,
                   const std::string &part = "") {
    expectFound(threads, shared, std::vector<Kind>{kind}, part);
  }

  std::string ptx, error;
  bool loaded;
  Emulator emulator;

private:
  std::vector<std::string> values;
};

/// Why a body is refused, or "" if it loads.
inline std::string refusalOf(const std::string &body) {
  return Bench("", body + "\nret;").error;
}

/// Runs `code` in one thread on a, b, c and returns d; registers %a ... %d have
/// the widths given, %p and %q are predicates, %x1 ... %x4 have 32 bits, %h1
/// ... %h4 have 16.
struct Widths {
  unsigned a, b, c, d;
};
inline uint64_t evaluate(Widths w, const std::string &code, uint64_t a,
                         uint64_t b = 0, uint64_t c = 0,
                         const char *target = "sm_90a") {
  auto declare = [](const char *name, unsigned bits) {
    return ".reg .b" + std::to_string(bits) + " " + name + ";\n";
  };
  auto load = [](const char *name, unsigned bits, int at) {
    return "ld.global.b" + std::to_string(bits) + " " + name + ", [%io+" +
           std::to_string(8 * at) + "];\n";
  };
  std::string body =
      ".reg .b64 %io;\n.reg .pred %p, %q;\n"
      ".reg .b32 %x<5>;\n.reg .b16 %h<5>;\n" +
      declare("%a", w.a) + declare("%b", w.b) + declare("%c", w.c) +
      declare("%d", w.d) + "ld.param.u64 %io, [p0];\n" + load("%a", w.a, 0) +
      load("%b", w.b, 1) + load("%c", w.c, 2) + code + "\n" + "st.global.b" +
      std::to_string(w.d) + " [%io+24], %d;\nret;";
  Bench bench(".param .u64 p0", body, "", target);
  Aligned<uint64_t> io(4);
  io[0] = a;
  io[1] = b;
  io[2] = c;
  bench.buffer(io, "io");
  LaunchResult result = bench.run({1, 1, 1}, {1, 1, 1});
  EXPECT_EQ(result.describe(), "") << bench.ptx;
  return io[3];
}

inline uint32_t bits(float value) { return bitsAs<uint32_t>(value); }
inline uint64_t bits(double value) { return bitsAs<uint64_t>(value); }

/// Small integers, exact in every format.
inline int pattern(int i, int j) { return (i * 7 + j * 3) % 11 - 5; }

} // namespace filigree::ptx::test

#endif // FILIGREE_TEST_UNIT_PTX_EMULATOR_HARNESS_H
