//===- Cases.cpp - what is replayed ---------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/bench/replay/Cases.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

using namespace filigree::replay;

//===----------------------------------------------------------------------===//
// Numbers as they are stored
//===----------------------------------------------------------------------===//

size_t filigree::replay::widthOf(uint32_t dtype) {
  switch (dtype) {
  case FIL_BF16:
  case FIL_F16:
    return 2;
  case FIL_I64:
  case FIL_F64:
    return 8;
  default:
    return 4;
  }
}

static uint16_t halfBits(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  double size = std::fabs(value);
  if (std::isnan(value))
    return 0x7e00;
  if (size == 0)
    return sign;
  // Below 2^-14 numbers are multiples of 2^-24.
  int exponent = std::isinf(size) ? 16 : std::max(std::ilogb(size), -14);
  double steps =
      exponent > 15 ? 0 : std::nearbyint(std::ldexp(size, 10 - exponent));
  // 2048 steps carry into the exponent, and from the largest into infinity.
  if (exponent > 15 || (exponent == 15 && steps >= 2048))
    return sign | 0x7c00;
  return uint16_t(sign | (uint32_t((exponent + 14) << 10) + uint32_t(steps)));
}

static double halfValue(uint16_t bits) {
  int exponent = bits >> 10 & 31;
  double mantissa = bits & 1023;
  double size = exponent == 31
                    ? (mantissa != 0 ? double(NAN) : double(INFINITY))
                    : std::ldexp(mantissa + (exponent ? 1024 : 0),
                                 std::max(exponent, 1) - 25);
  return bits & 0x8000 ? -size : size;
}

static uint16_t bfloatBits(double value) {
  float narrow = float(value);
  uint32_t word;
  memcpy(&word, &narrow, 4);
  if (std::isnan(narrow))
    return 0x7fc0;
  return uint16_t((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

static void store(char *to, double value, uint32_t dtype) {
  auto write = [&](auto number) { memcpy(to, &number, sizeof(number)); };
  switch (dtype) {
  case FIL_BF16:
    return write(bfloatBits(value));
  case FIL_F16:
    return write(halfBits(value));
  case FIL_F32:
    return write(float(value));
  case FIL_F64:
    return write(value);
  case FIL_I32:
    return write(int32_t(value));
  default:
    return write(int64_t(value));
  }
}

double Array::at(int64_t index) const {
  const char *from = &bytes[size_t(index) * widthOf(dtype)];
  auto read = [&](auto number) {
    memcpy(&number, from, sizeof(number));
    return number;
  };
  switch (dtype) {
  case FIL_F16:
    return halfValue(read(uint16_t()));
  case FIL_F32:
    return read(float());
  case FIL_F64:
    return read(double());
  default:
    break;
  }
  uint32_t word = uint32_t(read(uint16_t())) << 16;
  float wide;
  memcpy(&wide, &word, 4);
  return wide;
}

double filigree::replay::stored(double value, uint32_t dtype) {
  Array one = makeArray(dtype, {1});
  store(one.bytes.data(), value, dtype);
  return one.at(0);
}

int64_t Array::count() const {
  int64_t product = 1;
  for (int64_t extent : shape)
    product *= extent;
  return product;
}

Array filigree::replay::makeArray(uint32_t dtype, std::vector<int64_t> shape) {
  Array array;
  array.dtype = dtype;
  array.shape = std::move(shape);
  array.bytes.resize(size_t(array.count()) * widthOf(dtype));
  return array;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

namespace {
/// Standard normal numbers, the same on every machine.
class Normal {
public:
  explicit Normal(const std::string &seed) {
    for (unsigned char c : seed) // FNV-1a
      state = (state ^ c) * 0x100000001b3;
  }
  double operator()() {
    // Sums of 12 uniform ones: no function that libraries round differently.
    double sum = -6;
    for (int k = 0; k < 3; ++k)
      for (uint64_t word = next(), part = 0; part < 4; ++part, word >>= 16)
        sum += (double(word & 0xffff) + 0.5) / 65536;
    return sum;
  }

private:
  uint64_t next() { // splitmix64
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t state = 0xcbf29ce484222325;
};
} // namespace

Array Case::arrayOf(const fil_arg_info &info) const {
  auto found = arguments.find(info.name);
  if (found == arguments.end())
    throw std::runtime_error("case " + name + " has no argument `" + info.name +
                             "`");
  const Argument &argument = found->second;
  std::vector<int64_t> shape = argument.shape;
  if (shape.size() != info.rank)
    throw std::runtime_error("case " + name + ": expected `" + info.name +
                             "` of rank " + std::to_string(info.rank) +
                             ", but got " + std::to_string(shape.size()));
  for (size_t axis = 0; axis < shape.size(); ++axis)
    if (shape[axis] < 0)
      shape[axis] = info.extent[axis];
  Array array = makeArray(info.dtype, shape);
  size_t width = widthOf(info.dtype), count = size_t(array.count());
  Normal normal(name + "/" + info.name);
  bool isKey = !strcmp(info.name, "k"), isQuery = !strcmp(info.name, "q");
  // Long random arrays repeat a block, whose length no row divides.
  size_t block = argument.kind == Argument::Normal ? 4194301 : count;
  for (size_t k = 0; k < std::min(count, block); ++k) {
    double value =
        argument.kind == Argument::Normal ? normal() : argument.values[k];
    if (huge && isQuery)
      value = std::nearbyint(value * 4) * 64;
    if (huge && isKey)
      value = std::nearbyint(value * 16) / 16;
    store(&array.bytes[k * width], value, info.dtype);
  }
  for (size_t k = block; k < count; k += block)
    memcpy(&array.bytes[k * width], array.bytes.data(),
           std::min(count - k, block) * width);
  return array;
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

static Argument parseArgument(const std::string &kind,
                              std::istringstream &words) {
  Argument argument;
  argument.kind = kind == "i32"   ? Argument::Ints
                  : kind == "f32" ? Argument::Floats
                                  : Argument::Normal;
  size_t rank = 0, count = 1;
  words >> rank;
  std::string word;
  while (argument.shape.size() < rank && words >> word) {
    argument.shape.push_back(word == "*" ? -1 : std::stoll(word));
    count *= size_t(argument.shape.back());
  }
  if (argument.shape.size() != rank || rank < 1 || rank > 4)
    throw std::runtime_error("expected 1 to 4 extents");
  if (argument.kind == Argument::Normal)
    return argument;
  if (!(words >> word) || word != "=")
    throw std::runtime_error("expected `=` before the values");
  for (double value; words >> value;)
    argument.values.push_back(value);
  if (argument.values.size() != count)
    throw std::runtime_error("expected " + std::to_string(count) +
                             " values, but got " +
                             std::to_string(argument.values.size()));
  return argument;
}

CaseFile filigree::replay::readCases(const std::string &path) {
  std::ifstream stream(path);
  if (!stream)
    throw std::runtime_error("expected a file of cases, but cannot read `" +
                             path + "`");
  size_t slash = path.rfind('/');
  std::string folder =
      slash == std::string::npos ? "" : path.substr(0, slash + 1);
  CaseFile file;
  Case *open = nullptr;
  std::string line, kind, name, word;
  for (int number = 1; std::getline(stream, line); ++number) {
    std::istringstream words(line);
    if (!(words >> kind))
      continue;
    try {
      if (kind == "kernel") {
        KernelCases kernel;
        words >> kernel.artifact >> kernel.oracle >> kernel.pattern >>
            kernel.variant;
        kernel.artifact = folder + kernel.artifact;
        kernel.oracle = folder + kernel.oracle;
        while (words >> name)
          kernel.cases.push_back(&file.cases.at(name));
        file.kernels.push_back(std::move(kernel));
      } else if (kind == "case") {
        words >> name;
        open = &file.cases[name];
        open->name = name;
        while (words >> word)
          if (word == "huge")
            open->huge = true;
          else if (word.compare(0, 6, "pairs=") == 0)
            open->pairs = std::stoll(word.substr(6));
          else
            throw std::runtime_error("expected huge or pairs, but got `" +
                                     word + "`");
      } else if (open && (kind == "normal" || kind == "i32" || kind == "f32")) {
        words >> name;
        open->arguments[name] = parseArgument(kind, words);
      } else {
        throw std::runtime_error("expected a case, an argument or a kernel, "
                                 "but got `" +
                                 kind + "`");
      }
    } catch (const std::exception &error) {
      throw std::runtime_error(path + ":" + std::to_string(number) + ": " +
                               error.what());
    }
  }
  return file;
}
