//===- LaunchTest.cpp - phases, order, workers, cpu codes -----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/CpuFeatures.h"
#include "runtime/LongestFirst.h"

#include "TestSupport.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace filigree::runtime;
using namespace filigree::runtime::test;

namespace {

/// A pool hook that is legal and as unhelpful as can be: serial, backwards.
void serialBackwards(void *calls, int64_t n, fil_task fn, void *arg) {
  ++*static_cast<int *>(calls);
  for (int64_t i = n - 1; i >= 0; --i)
    fn(arg, i);
}

/// One thread per call, without any reuse.
void threadPerCall(void *, int64_t n, fil_task fn, void *arg) {
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < n; ++i)
    threads.emplace_back([=] { fn(arg, i); });
  for (std::thread &thread : threads)
    thread.join();
}

/// One thread per call, in a floating-point mode of its own.
void flushingThreads(void *, int64_t n, fil_task fn, void *arg) {
  threadPerCall(
      nullptr, n,
      [](void *packed, int64_t i) {
        auto &job = *static_cast<std::pair<fil_task, void *> *>(packed);
#if defined(__x86_64__)
        _mm_setcsr(_mm_getcsr() | 0x8040); // flush to zero, subnormals are zero
        job.first(job.second, i);
        EXPECT_EQ(_mm_getcsr() & 0x8040u, 0x8040u)
            << "the mode must be restored";
#else
        job.first(job.second, i);
#endif
      },
      std::make_unique<std::pair<fil_task, void *>>(fn, arg).get());
}

std::vector<int64_t> orderOf(const std::vector<int64_t> &costs,
                             const fil_options &options) {
  StaticLibrary fake;
  auto n = static_cast<int64_t>(costs.size());
  Tensor<int64_t> cost({n}), seq({n});
  std::copy(costs.begin(), costs.end(), cost.data());
  EXPECT_OK(
      run(fake.find("order"),
          {fil_tensor_arg("cost", &cost.dl), fil_tensor_arg("seq", &seq.dl)},
          &options, &err));
  std::vector<int64_t> order(costs.size(), -1);
  for (int64_t unit = 0; unit < n; ++unit)
    order[static_cast<size_t>(seq.data()[unit])] = unit;
  return order;
}

std::vector<int64_t> longestFirst(const std::vector<int64_t> &costs) {
  std::vector<int64_t> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    int64_t costA = costs[static_cast<size_t>(a)];
    int64_t costB = costs[static_cast<size_t>(b)];
    return costA != costB ? costA > costB : a < b;
  });
  return order;
}

TEST(Launch, longestUnitsFirst) {
  int calls = 0;
  fil_options options = FIL_OPTIONS_INIT;
  options.worker_limit = 4;
  options.parallel_for = serialBackwards;
  options.parallel_for_ctx = &calls;
  std::mt19937_64 random(3);
  for (size_t n : {2u, 3u, 100u, 5000u}) { // 5000: costs evaluated in parallel
    for (int64_t most : {int64_t(2), int64_t(3000), int64_t(1) << 60}) {
      std::vector<int64_t> costs(n);
      for (int64_t &cost : costs)
        cost = static_cast<int64_t>(random() % static_cast<uint64_t>(most));
      EXPECT_EQ(orderOf(costs, options), longestFirst(costs)) << n << most;
    }
  }
  EXPECT_GT(calls, 0);
}

TEST(Launch, negativeCostsAreNone) {
  int calls = 0;
  fil_options options = FIL_OPTIONS_INIT;
  options.worker_limit = 2;
  options.parallel_for = serialBackwards;
  options.parallel_for_ctx = &calls;
  EXPECT_EQ(orderOf({INT64_MIN, 5, -1, INT64_MAX}, options),
            (std::vector<int64_t>{3, 1, 0, 2}));
}

TEST(Launch, oneWorkerTakesUnitsAsTheyCome) {
  fil_options options = FIL_OPTIONS_INIT;
  options.worker_limit = 1;
  EXPECT_EQ(orderOf({1, 2, 3}, options), (std::vector<int64_t>{0, 1, 2}));
}

TEST(Launch, sortIsStableAndLinearInMemory) {
  constexpr int64_t n = 3000;
  std::vector<char> memory(OrderStorage::bytes(n) + 64);
  void *start = memory.data();
  size_t room = memory.size();
  std::align(64, OrderStorage::bytes(n), start, room);
  OrderStorage storage = OrderStorage::at(start, n);
  std::vector<int64_t> costs(n);
  for (int64_t i = 0; i < n; ++i)
    storage.cost[i] = costs[size_t(i)] = (i * 7919) % 5;
  const uint32_t *order = sortLongestFirst(storage, n);
  std::vector<int64_t> wide(order, order + n);
  EXPECT_EQ(wide, longestFirst(costs));
}

/// o of `attend` on fixed inputs.
std::vector<float> attend(const fil_options &options) {
  StaticLibrary fake;
  Tensor<float> q{{2, 4, 33, 8}}, k{{2, 2, 19, 8}}, v{{2, 2, 19, 8}};
  Tensor<float> o{{2, 4, 33, 8}};
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  for (Tensor<float> *tensor : {&q, &k, &v})
    for (size_t i = 0; i < tensor->size(); ++i)
      tensor->data()[i] = normal(random);
  // Subnormals, which must not be flushed on some threads only.
  for (size_t i = 0; i < q.size(); i += 3)
    q.data()[i] = 1e-40f;
  EXPECT_OK(run(fake.find("attend"),
                {fil_tensor_arg("q", &q.dl), fil_tensor_arg("k", &k.dl),
                 fil_tensor_arg("v", &v.dl), fil_int_arg("gain", 1),
                 fil_tensor_arg("o", &o.dl)},
                &options, &err));
  return {o.data(), o.data() + o.size()};
}

TEST(Launch, anyNumberOfWorkersGivesTheSameBits) {
  fil_options options = FIL_OPTIONS_INIT;
  options.worker_limit = 1;
  std::vector<float> expected = attend(options);
  auto same = [&](const std::vector<float> &got) {
    return got.size() == expected.size() &&
           memcmp(got.data(), expected.data(), got.size() * sizeof(float)) == 0;
  };
  for (uint32_t workers = 0; workers <= 8; ++workers) {
    options.worker_limit = workers;
    EXPECT_TRUE(same(attend(options))) << workers;
  }
  int calls = 0;
  options.worker_limit = 8;
  options.parallel_for_ctx = &calls;
  options.parallel_for = serialBackwards;
  EXPECT_TRUE(same(attend(options)));
  EXPECT_EQ(calls, 1);
  options.parallel_for = threadPerCall;
  EXPECT_TRUE(same(attend(options)));
  options.parallel_for = flushingThreads;
  EXPECT_TRUE(same(attend(options)));
  fil_pool_options poolOptions = FIL_POOL_OPTIONS_INIT;
  poolOptions.threads = 5;
  fil_pool *pool = nullptr;
  EXPECT_OK(fil_pool_create(&poolOptions, &pool, &err));
  options.parallel_for = fil_pool_parallel_for;
  options.parallel_for_ctx = pool;
  options.worker_limit = 0;
  EXPECT_TRUE(same(attend(options)));
  fil_pool_destroy(pool);
}

TEST(Launch, phasesAreSeparate) {
  StaticLibrary fake;
  for (int64_t n : {0, 1, 2, 1000, 200000}) {
    Tensor<float> x({n}), y({n});
    for (int64_t i = 0; i < n; ++i)
      x.data()[i] = static_cast<float>(i);
    fil_options options = FIL_OPTIONS_INIT;
    options.worker_limit = 6;
    EXPECT_OK(run(fake.find("barrier"),
                  {fil_tensor_arg("x", &x.dl), fil_tensor_arg("y", &y.dl)},
                  &options, &err));
    for (int64_t i = 0; i < n; ++i)
      ASSERT_EQ(y.data()[i], static_cast<float>(2 * (n - 1 - i)));
  }
}

TEST(Launch, workspaceFollowsShapesAndWorkers) {
  StaticLibrary fake;
  const fil_kernel *kernel = fake.find("order");
  Tensor<int64_t> cost({1000}), seq({1000});
  fil_arg args[] = {fil_tensor_arg("cost", &cost.dl),
                    fil_tensor_arg("seq", &seq.dl)};
  fil_options options = FIL_OPTIONS_INIT;
  size_t one = 0, many = 0, more = 0;
  options.worker_limit = 1;
  EXPECT_OK(fil_workspace(kernel, args, 2, &options, &one, &err));
  options.worker_limit = 2;
  EXPECT_OK(fil_workspace(kernel, args, 2, &options, &many, &err));
  options.worker_limit = 7;
  EXPECT_OK(fil_workspace(kernel, args, 2, &options, &more, &err));
  EXPECT_EQ(one, 64u); // no order for one worker
  EXPECT_EQ(many, (OrderStorage::bytes(1000) + 63) / 64 * 64 + 64);
  EXPECT_EQ(more, many); // this kernel has no scratch
}

TEST(Launch, runsOverlapInTime) {
  StaticLibrary fake;
  const fil_kernel *kernel = fake.find("barrier");
  threadPerCall(
      nullptr, 6,
      [](void *context, int64_t) {
        auto *kernel = static_cast<const fil_kernel *>(context);
        for (int round = 0; round < 50; ++round) {
          Tensor<float> x({300}), y({300});
          for (int i = 0; i < 300; ++i)
            x.data()[i] = static_cast<float>(i + round);
          EXPECT_OK(run(
              kernel, {fil_tensor_arg("x", &x.dl), fil_tensor_arg("y", &y.dl)},
              nullptr, &err));
          EXPECT_EQ(y.data()[299], static_cast<float>(2 * round));
        }
      },
      const_cast<fil_kernel *>(kernel));
}

//===----------------------------------------------------------------------===//
// Bad entries
//===----------------------------------------------------------------------===//

TEST(Launch, badEntriesReachTheCaller) {
  StaticLibrary fake;
  const fil_kernel *kernel = fake.find("report");
  Tensor<int32_t> isa({5});
  std::vector<fil_arg> args{fil_tensor_arg("isa", &isa.dl)};
  fil_options options = FIL_OPTIONS_INIT;
  EXPECT_OK(run(kernel, args, nullptr, &err)); // nobody asked
  EXPECT_EQ(isa.data()[4], 7);

  fil_status_word word = {0, 0, 0, 0, 0};
  options.status = &word;
  EXPECT_OK(run(kernel, args, &options, &err)); // unchecked: no error
  EXPECT_EQ(word.code, FIL_ABI_COLUMN_OUT_OF_RANGE);
  EXPECT_EQ(word.col, 99);

  const char *text =
      "kernel `report` dropped a bad entry: the block list names a column "
      "outside the keys (at b = 0, h = 1, row 2, col 99)";
  options.checked = 1;
  word = {FIL_ABI_DOCUMENT_BOUNDS, 1, 1, 1, 1}; // of an earlier run: kept
  EXPECT_FAILS(run(kernel, args, &options, &err), FIL_BAD_INDEX, text);
  EXPECT_EQ(word.code, FIL_ABI_DOCUMENT_BOUNDS);
  word = {0, 0, 0, 0, 0};
  EXPECT_FAILS(run(kernel, args, &options, &err), FIL_BAD_INDEX, text);
  EXPECT_EQ(word.code, FIL_ABI_COLUMN_OUT_OF_RANGE);
  options.status = nullptr;
  EXPECT_FAILS(run(kernel, args, &options, &err), FIL_BAD_INDEX, text);
  Tensor<int32_t> good({2});
  args[0].tensor = &good.dl;
  EXPECT_OK(run(kernel, args, &options, &err));
}

//===----------------------------------------------------------------------===//
// Choice of a cpu code
//===----------------------------------------------------------------------===//

TEST(CpuFeatures, levels) {
  CpuidBits bits;
  EXPECT_EQ(isaOf(bits), FIL_ABI_CPU_BASELINE);
  CpuidBits avx2 = {1u << 12 | 1u << 27 | 1u << 28 | 1u << 29, 1u << 5, 0x7};
  EXPECT_EQ(isaOf(avx2), FIL_ABI_CPU_AVX2);
  CpuidBits avx512 = avx2;
  avx512.leaf7Ebx |= 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  EXPECT_EQ(isaOf(avx512), FIL_ABI_CPU_AVX2); // registers are not saved
  avx512.xcr0 = 0xe7;
  EXPECT_EQ(isaOf(avx512), FIL_ABI_CPU_AVX512);
  bits = avx512;
  bits.leaf7Ebx &= ~(1u << 31); // no VL
  EXPECT_EQ(isaOf(bits), FIL_ABI_CPU_AVX2);
  bits = avx512;
  bits.leaf1Ecx &= ~(1u << 29); // no F16C
  EXPECT_EQ(isaOf(bits), FIL_ABI_CPU_BASELINE);
  bits = avx2;
  bits.xcr0 = 0x3; // no AVX state
  EXPECT_EQ(isaOf(bits), FIL_ABI_CPU_BASELINE);
  EXPECT_EQ(uint32_t(fil_machine_isa()), machineIsa() + FIL_ISA_BASELINE);
}

TEST(CpuFeatures, bestCodeWithinTheLimit) {
  StaticLibrary fake;
  const fil_kernel *kernel = fake.find("which", "all");
  Tensor<int32_t> isa({3});
  std::vector<fil_arg> args{fil_tensor_arg("isa", &isa.dl)};
  fil_options options = FIL_OPTIONS_INIT;
  for (uint32_t limit = FIL_ISA_AUTO; limit <= FIL_ISA_AVX512; ++limit) {
    options.isa = limit;
    EXPECT_OK(run(kernel, args, &options, &err));
    uint32_t expected = machineIsa();
    if (limit != FIL_ISA_AUTO)
      expected = std::min(expected, limit - FIL_ISA_BASELINE);
    EXPECT_EQ(isa.data()[2], int32_t(expected));
  }
}

TEST(CpuFeatures, noCodeForThisMachine) {
  StaticLibrary fake;
  Tensor<int32_t> isa({3});
  std::vector<fil_arg> args{fil_tensor_arg("isa", &isa.dl)};
  fil_options options = FIL_OPTIONS_INIT;
  options.isa = FIL_ISA_BASELINE;
  std::string found =
      machineIsa() > 0 ? "baseline (limited by the options)" : "baseline";
  EXPECT_FAILS(run(fake.find("which", "high"), args, &options, &err),
               FIL_UNSUPPORTED,
               "expected a cpu with avx2 for kernel `which` variant `high`, "
               "but found " +
                   found);
}

} // namespace
