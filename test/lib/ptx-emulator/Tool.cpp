//===- Tool.cpp - filigree-ptx-emulate ------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   filigree-ptx-emulate FILE.ptx                 names its kernels, or says
//                                                 what it does not understand
//   filigree-ptx-emulate FILE.ptx --kernel K [--grid X,Y,Z] [--block X,Y,Z]
//       [--shared BYTES] [--seed N] [--policy round-robin|random|last-first]
//       [--timing late|eager|random] ARGUMENT...
//
// An argument is u32:N, u64:N, f32:X, in:FILE (a buffer that is read), or
// out:BYTES[:FILE] (a buffer that is written, and its bytes into a file). FILE
// of the module may be "-". Status: 0 clean, 1 findings, 2 anything else.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/PtxEmulator.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

using namespace filigree::ptx;

namespace {

struct Buffer {
  std::string file;
  std::vector<uint64_t> words; ///< aligned by half a line: see base()
  size_t bytes = 0;
  char *base() {
    auto at = reinterpret_cast<uintptr_t>(words.data());
    return reinterpret_cast<char *>((at + 127) / 128 * 128);
  }
  void resize(size_t count) {
    bytes = count;
    words.resize(count / 8 + 20);
  }
};

int fail(const std::string &sentence) {
  fprintf(stderr, "error: %s\n", sentence.c_str());
  return 2;
}

bool readAll(const std::string &path, std::string &text) {
  std::ifstream file;
  if (path != "-")
    file.open(path, std::ios::binary);
  std::istream &stream = path == "-" ? std::cin : file;
  text.assign(std::istreambuf_iterator<char>(stream), {});
  return path == "-" || file.is_open();
}

Dim3 shape(const char *text) {
  Dim3 dim;
  sscanf(text, "%u,%u,%u", &dim.x, &dim.y, &dim.z);
  return dim;
}

/// Index of `text` among the words of `choices`, or -1.
int choose(const std::string &text,
           std::initializer_list<const char *> choices) {
  int index = 0;
  for (const char *choice : choices) {
    if (text == choice)
      return index;
    ++index;
  }
  return -1;
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2)
    return fail("expected a file of PTX");
  std::string source, why, kernel;
  if (!readAll(argv[1], source))
    return fail(std::string("cannot read ") + argv[1]);
  Emulator emulator;
  if (!emulator.load(source, &why))
    return fail(argv[1] + (", " + why));
  Dim3 grid, block;
  uint32_t shared = 0;
  Options options;
  std::vector<std::string> values;
  std::vector<Buffer> buffers(static_cast<size_t>(argc));
  auto pass = [&](const auto &value) {
    values.emplace_back(reinterpret_cast<const char *>(&value), sizeof(value));
  };
  for (int i = 2; i < argc; ++i) {
    std::string name = argv[i];
    if (name.rfind("--", 0) == 0) {
      if (++i == argc)
        return fail("expected a value after " + name);
      int which = choose(name, {"--kernel", "--grid", "--block", "--shared",
                                "--seed", "--policy", "--timing"});
      int choice = 0;
      switch (which) {
      case 0:
        kernel = argv[i];
        break;
      case 1:
        grid = shape(argv[i]);
        break;
      case 2:
        block = shape(argv[i]);
        break;
      case 3:
        shared = static_cast<uint32_t>(atoll(argv[i]));
        break;
      case 4:
        options.seed = strtoull(argv[i], nullptr, 0);
        break;
      case 5:
        options.policy = static_cast<Policy>(
            choice = choose(argv[i], {"round-robin", "random", "last-first"}));
        break;
      case 6:
        options.timing = static_cast<Timing>(
            choice = choose(argv[i], {"late", "eager", "random"}));
        break;
      default:
        return fail("unknown option " + name);
      }
      if (choice < 0)
        return fail("unknown value " + std::string(argv[i]) + " of " + name);
      continue;
    }
    size_t colon = name.find(':');
    std::string kind = name.substr(0, colon),
                value =
                    colon == std::string::npos ? "" : name.substr(colon + 1);
    Buffer &buffer = buffers[static_cast<size_t>(i)];
    if (kind == "u32") {
      pass(static_cast<uint32_t>(strtoll(value.c_str(), nullptr, 0)));
    } else if (kind == "u64") {
      pass(static_cast<uint64_t>(strtoull(value.c_str(), nullptr, 0)));
    } else if (kind == "f32") {
      pass(strtof(value.c_str(), nullptr));
    } else if (kind == "in") {
      std::string bytes;
      if (!readAll(value, bytes))
        return fail("cannot read " + value);
      buffer.resize(bytes.size());
      memcpy(buffer.base(), bytes.data(), bytes.size());
      emulator.addBuffer(buffer.base(), buffer.bytes, value, Access::Read);
      pass(buffer.base());
    } else if (kind == "out") {
      colon = value.find(':');
      buffer.resize(strtoull(value.c_str(), nullptr, 0));
      buffer.file = colon == std::string::npos ? "" : value.substr(colon + 1);
      emulator.addBuffer(buffer.base(), buffer.bytes, name, Access::ReadWrite,
                         false);
      pass(buffer.base());
    } else {
      return fail("unknown argument " + name);
    }
  }
  if (kernel.empty()) {
    for (const std::string &each : emulator.kernels())
      printf("%s\n", each.c_str());
    return 0;
  }
  std::vector<uint32_t> sizes = emulator.parameterSizes(kernel);
  std::vector<const void *> arguments;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i >= sizes.size() || sizes[i] != values[i].size())
      return fail("argument " + std::to_string(i) +
                  " does not fit the kernel's parameter");
    arguments.push_back(values[i].data());
  }
  if (values.size() != sizes.size())
    return fail("expected " + std::to_string(sizes.size()) +
                " arguments, but got " + std::to_string(values.size()));
  LaunchResult result =
      emulator.launch(kernel, grid, block, shared, arguments.data(), options);
  printf("%s", result.describe().c_str());
  if (!result.error.empty())
    return 2;
  const Counters &c = result.counters;
  printf("%llu ctas, %llu warp instructions, %llu wgmmas, %llu mmas, %llu bulk "
         "bytes\n",
         (unsigned long long)c.ctas, (unsigned long long)c.warpInstructions,
         (unsigned long long)c.wgmmas, (unsigned long long)c.mmas,
         (unsigned long long)c.bulkBytes);
  for (Buffer &buffer : buffers)
    if (!buffer.file.empty())
      std::ofstream(buffer.file, std::ios::binary)
          .write(buffer.base(), static_cast<std::streamsize>(buffer.bytes));
  return result.findings.empty() ? 0 : 1;
}
