//===- PoolTest.cpp - the default pool ------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "TestSupport.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <sched.h>
#include <thread>

namespace {

struct Pool {
  explicit Pool(uint32_t threads, uint32_t spinUs = 0, uint32_t pin = 0) {
    fil_pool_options options = FIL_POOL_OPTIONS_INIT;
    options.threads = threads;
    options.spin_us = spinUs;
    options.pin = pin;
    EXPECT_OK(fil_pool_create(&options, &pool, &err));
  }
  ~Pool() { fil_pool_destroy(pool); }
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;

  /// Runs n calls and checks that each was made once.
  void expectEachOnce(int64_t n) {
    std::unique_ptr<std::atomic<int>[]> calls(new std::atomic<int>[size_t(n)]);
    for (int64_t i = 0; i < n; ++i)
      calls[size_t(i)] = 0;
    fil_pool_parallel_for(
        pool, n,
        [](void *arg, int64_t i) { ++static_cast<std::atomic<int> *>(arg)[i]; },
        calls.get());
    for (int64_t i = 0; i < n; ++i)
      ASSERT_EQ(calls[size_t(i)], 1) << i;
  }

  fil_pool *pool = nullptr;
};

TEST(Pool, everyCallOnce) {
  for (uint32_t threads : {1u, 2u, 5u}) {
    Pool pool(threads);
    EXPECT_EQ(fil_pool_threads(pool.pool), threads);
    for (int64_t n : {0, 1, 2, 7, 1000, 65535, 65536, 200000})
      pool.expectEachOnce(n);
  }
}

TEST(Pool, manyShortJobs) {
  for (uint32_t spinUs : {1u, 40u}) {
    Pool pool(4, spinUs);
    for (int round = 0; round < 3000; ++round) {
      pool.expectEachOnce(round % 9);
      if (round % 500 == 0) // let them fall asleep
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
}

TEST(Pool, longCallsLetTheCallerSleep) {
  Pool pool(3, 1);
  std::atomic<int> calls{0};
  for (int round = 0; round < 20; ++round)
    fil_pool_parallel_for(
        pool.pool, 3,
        [](void *arg, int64_t i) {
          std::this_thread::sleep_for(std::chrono::microseconds(300 * i));
          ++*static_cast<std::atomic<int> *>(arg);
        },
        &calls);
  EXPECT_EQ(calls, 60);
}

TEST(Pool, callersTakeTurns) {
  Pool pool(3);
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      for (int round = 0; round < 300; ++round)
        pool.expectEachOnce(5);
    });
  for (std::thread &caller : callers)
    caller.join();
}

TEST(Pool, threadsCanBePinned) {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  ASSERT_EQ(sched_getaffinity(0, sizeof(usable), &usable), 0);
  int32_t last = 0;
  for (int32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &usable))
      last = cpu;
  fil_pool_options options = FIL_POOL_OPTIONS_INIT;
  options.threads = 2;
  options.pin = 1;
  options.cpus = &last;
  options.cpu_count = 1;
  fil_pool *pool = nullptr;
  EXPECT_OK(fil_pool_create(&options, &pool, &err));

  // Two calls that wait for each other, so that the other thread gets one.
  struct Seen {
    std::thread::id caller = std::this_thread::get_id();
    std::atomic<int> arrived{0}, cpu{-1}, count{0};
  } seen;
  fil_pool_parallel_for(
      pool, 2,
      [](void *arg, int64_t) {
        auto &seen = *static_cast<Seen *>(arg);
        if (std::this_thread::get_id() != seen.caller) {
          cpu_set_t mine;
          CPU_ZERO(&mine);
          sched_getaffinity(0, sizeof(mine), &mine);
          seen.count = CPU_COUNT(&mine);
          seen.cpu = sched_getcpu();
        }
        ++seen.arrived;
        while (seen.arrived < 2)
          std::this_thread::yield();
      },
      &seen);
  EXPECT_EQ(seen.count, 1);
  EXPECT_EQ(seen.cpu, last);
  fil_pool_destroy(pool);

  Pool byDefault(3, 0, 1);
  byDefault.expectEachOnce(10);
}

TEST(Pool, badOptions) {
  fil_pool *pool = nullptr;
  fil_pool_options options = FIL_POOL_OPTIONS_INIT;
  options.threads = 5000;
  EXPECT_FAILS(fil_pool_create(&options, &pool, &err), FIL_BAD_CALL,
               "expected at most 4096 threads, but got 5000");
  options = FIL_POOL_OPTIONS_INIT;
  options.size = 4;
  EXPECT_FAILS(fil_pool_create(&options, &pool, &err), FIL_BAD_CALL,
               "expected fil_pool_options of size 32, but got 4");
  EXPECT_FAILS(fil_pool_create(nullptr, nullptr, &err), FIL_BAD_CALL,
               "expected a place for the pool, but got null");
  EXPECT_EQ(pool, nullptr);
}

TEST(Pool, withoutAPoolCallsAreSerial) {
  int64_t sum = 0;
  fil_pool_parallel_for(
      nullptr, 4,
      [](void *arg, int64_t i) { *static_cast<int64_t *>(arg) += i; }, &sum);
  EXPECT_EQ(sum, 6);
}

} // namespace
