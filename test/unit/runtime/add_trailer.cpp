//===- add_trailer.cpp - makes an artifact of a shared object -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// add_trailer IN.so OUT.so: copies IN and appends its trailer, as the compiler
// does.
//
//===----------------------------------------------------------------------===//
#include "runtime/Trailer.h"

#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

int main(int argc, char **argv) {
  if (argc != 3) {
    std::cerr << "expected add_trailer IN.so OUT.so\n";
    return 1;
  }
  std::ifstream in(argv[1], std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  if (bytes.empty()) {
    std::cerr << "expected to read " << argv[1] << ", but got nothing\n";
    return 1;
  }
  fil_abi_trailer trailer =
      filigree::runtime::makeTrailer(bytes.data(), bytes.size());
  std::ofstream out(argv[2], std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.write(reinterpret_cast<const char *>(&trailer), sizeof(trailer));
  out.close();
  if (!out)
    std::cerr << "expected to write " << argv[2] << ", but could not\n";
  return out ? 0 : 1;
}
