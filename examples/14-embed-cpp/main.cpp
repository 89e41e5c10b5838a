//===- main.cpp - runs a compiled attention pattern from C++ --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// embed-cpp ARTIFACT.so PATTERN [N]: runs a pattern of q, k, v [H, N, D] on a
// pool of its own and prints the sums of o and lse.
//
//===----------------------------------------------------------------------===//
#include "runtime/filigree.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

static fil_error err = FIL_ERROR_INIT;
static void check(fil_status status) {
  if (status != FIL_OK)
    throw std::runtime_error(err.message);
}

/// A compact array of f32 as DLPack sees it.
struct Array {
  explicit Array(std::vector<int64_t> extents) : shape(std::move(extents)) {
    values.resize(size_t(std::accumulate(shape.begin(), shape.end(), int64_t(1),
                                         std::multiplies<>())));
    tensor.data = values.data();
    tensor.device = {kDLCPU, 0};
    tensor.ndim = int32_t(shape.size());
    tensor.dtype = {kDLFloat, 32, 1};
    tensor.shape = shape.data();
  }
  double sum() { return std::accumulate(values.begin(), values.end(), 0.0); }

  std::vector<int64_t> shape;
  std::vector<float> values;
  DLTensor tensor = {};
};

static void run(const char *path, const char *pattern, int64_t n) {
  fil_library *library = nullptr;
  check(fil_open(path, &library, &err));
  std::unique_ptr<fil_library, decltype(&fil_close)> closer(library, fil_close);
  const fil_kernel *kernel = nullptr;
  check(fil_find(library, pattern, nullptr, &kernel, &err));

  fil_pool *pool = nullptr; // one thread per cpu
  check(fil_pool_create(nullptr, &pool, &err));
  std::unique_ptr<fil_pool, decltype(&fil_pool_destroy)> joiner(
      pool, fil_pool_destroy);
  fil_options options = FIL_OPTIONS_INIT;
  options.parallel_for = fil_pool_parallel_for;
  options.parallel_for_ctx = pool;

  fil_arg_info info = FIL_ARG_INFO_INIT; // of q [B, H, N, D], which comes first
  check(fil_kernel_arg(kernel, 0, &info, &err));
  Array q({4, n, info.extent[3]}), k(q.shape), v(q.shape), o(q.shape);
  Array lse({4, n});
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (Array *array : {&q, &k, &v})
    for (float &value : array->values)
      value = normal(random);

  fil_arg args[] = {
      fil_tensor_arg("q", &q.tensor), fil_tensor_arg("k", &k.tensor),
      fil_tensor_arg("v", &v.tensor), fil_tensor_arg("o", &o.tensor),
      fil_tensor_arg("lse", &lse.tensor)};
  size_t bytes = 0;
  check(fil_workspace(kernel, args, 5, &options, &bytes, &err));
  std::unique_ptr<void, decltype(&std::free)> workspace(
      std::aligned_alloc(64, bytes / 64 * 64 + 64), std::free);
  check(fil_run(kernel, args, 5, &options, workspace.get(), bytes, &err));
  std::printf("sum of o: %.6g\nsum of lse: %.6g\n", o.sum(), lse.sum());
}

int main(int argc, char **argv) try {
  if (argc < 3)
    throw std::runtime_error("expected ARTIFACT.so PATTERN [N]");
  run(argv[1], argv[2], argc > 3 ? std::stoll(argv[3]) : 256);
} catch (const std::exception &error) {
  std::fprintf(stderr, "embed-cpp: %s\n", error.what());
  return 1;
}
