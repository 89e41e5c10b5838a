//===- ThreadPool.cpp - the small default pool ----------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A job is n calls of one function. The next call to make lives in one 64-bit
// ticket, generation:32 | n:16 | next:16, that threads advance by compare and
// swap; the caller takes part, so a job never waits for a thread that has not
// woken up, and ends even if no thread could be started.
//
//   caller: write task, arg, base; publish ticket; epoch += 1; wake sleepers;
//           claim and run calls; wait until done == n
//   thread: claim and run calls; spin, then sleep, until epoch changes
//
// Invariants: task, arg and base change only while no call is claimable or
// running, so a thread whose swap succeeds has read those of the ticket's own
// job. `done` counts only finished calls of the current job, because a job ends
// when all its calls have.
//
// Built on pthreads and futexes: std::thread reports failure by throwing.
//
//===----------------------------------------------------------------------===//
#include "runtime/ThreadPool.h"

#include "runtime/Status.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <linux/futex.h>
#include <new>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

using namespace filigree::runtime;

namespace {

constexpr uint64_t kCallsPerTicket = 0xffff;

uint32_t callsOf(uint64_t ticket) { return (ticket >> 16) & 0xffff; }
uint32_t nextOf(uint64_t ticket) { return ticket & 0xffff; }

void futexWait(std::atomic<uint32_t> &word, uint32_t seen) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
}
void futexWake(std::atomic<uint32_t> &word, uint32_t count) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE,
          count > INT_MAX ? INT_MAX : static_cast<int>(count), nullptr, nullptr,
          0);
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

int64_t nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/// Spins until ready() or until `limit` nanoseconds have passed; the clock is
/// read seldom because it costs more than the pause.
template <typename Ready> bool spin(int64_t limit, Ready ready) {
  int64_t start = 0;
  for (uint32_t i = 0;; ++i) {
    if (ready())
      return true;
    relax();
    if (i % 16 != 15)
      continue;
    int64_t now = nanoseconds();
    if (start == 0)
      start = now;
    else if (now - start > limit)
      return false;
  }
}

} // namespace

struct fil_pool {
  alignas(64) std::atomic<uint64_t> ticket{0};
  std::atomic<fil_task> task{nullptr};
  std::atomic<void *> arg{nullptr};
  std::atomic<int64_t> base{0};

  alignas(64) std::atomic<uint32_t> epoch{0}; // futex of idle threads
  std::atomic<uint32_t> sleepers{0};
  std::atomic<bool> stop{false};

  alignas(64) std::atomic<uint32_t> done{0}; // futex of the caller
  std::atomic<bool> callerSleeps{false};

  alignas(64) pthread_mutex_t turn; // one job at a time
  int64_t spinNanoseconds = 0;
  uint32_t threadCount = 1; // with the caller
  uint32_t started = 0;
  pthread_t *threads = nullptr;
};

//===----------------------------------------------------------------------===//
// Jobs
//===----------------------------------------------------------------------===//

/// Makes one call of the current job, if one is left.
static bool claimAndCall(fil_pool &pool) {
  uint64_t ticket = pool.ticket.load(std::memory_order_acquire);
  fil_task task;
  void *arg;
  int64_t base;
  do {
    if (nextOf(ticket) >= callsOf(ticket))
      return false;
    task = pool.task.load(std::memory_order_relaxed);
    arg = pool.arg.load(std::memory_order_relaxed);
    base = pool.base.load(std::memory_order_relaxed);
  } while (!pool.ticket.compare_exchange_weak(ticket, ticket + 1,
                                              std::memory_order_acq_rel,
                                              std::memory_order_acquire));

  task(arg, base + nextOf(ticket));

  uint32_t finished = pool.done.fetch_add(1, std::memory_order_seq_cst) + 1;
  if (finished == callsOf(ticket) &&
      pool.callerSleeps.load(std::memory_order_seq_cst))
    futexWake(pool.done, 1);
  return true;
}

static void runJob(fil_pool &pool, int64_t base, uint32_t calls, fil_task task,
                   void *arg) {
  pool.task.store(task, std::memory_order_relaxed);
  pool.arg.store(arg, std::memory_order_relaxed);
  pool.base.store(base, std::memory_order_relaxed);
  pool.done.store(0, std::memory_order_relaxed);
  uint64_t generation = (pool.ticket.load(std::memory_order_relaxed) >> 32) + 1;
  pool.ticket.store(generation << 32 | static_cast<uint64_t>(calls) << 16,
                    std::memory_order_release);
  pool.epoch.fetch_add(1, std::memory_order_seq_cst);
  // A thread counts itself as sleeper before it looks at epoch for the last
  // time, so either it sees this job or we see it.
  if (pool.sleepers.load(std::memory_order_seq_cst) > 0)
    futexWake(pool.epoch, calls - 1);

  while (claimAndCall(pool)) {
  }
  auto finished = [&] {
    return pool.done.load(std::memory_order_acquire) == calls;
  };
  if (spin(pool.spinNanoseconds, finished))
    return;
  pool.callerSleeps.store(true, std::memory_order_seq_cst);
  for (uint32_t seen;
       (seen = pool.done.load(std::memory_order_seq_cst)) != calls;)
    futexWait(pool.done, seen);
  pool.callerSleeps.store(false, std::memory_order_relaxed);
}

static void *threadMain(void *argument) {
  fil_pool &pool = *static_cast<fil_pool *>(argument);
  for (;;) {
    uint32_t seen = pool.epoch.load(std::memory_order_acquire);
    while (claimAndCall(pool)) {
    }
    if (pool.stop.load(std::memory_order_acquire))
      return nullptr;
    auto changed = [&] {
      return pool.epoch.load(std::memory_order_acquire) != seen;
    };
    if (spin(pool.spinNanoseconds, changed))
      continue;
    pool.sleepers.fetch_add(1, std::memory_order_seq_cst);
    while (pool.epoch.load(std::memory_order_seq_cst) == seen)
      futexWait(pool.epoch, seen);
    pool.sleepers.fetch_sub(1, std::memory_order_relaxed);
  }
}

extern "C" void fil_pool_parallel_for(void *ctx, int64_t n, fil_task fn,
                                      void *arg) {
  auto *pool = static_cast<fil_pool *>(ctx);
  if (!pool || pool->started == 0 || n == 1) {
    for (int64_t i = 0; i < n; ++i)
      fn(arg, i);
    return;
  }
  pthread_mutex_lock(&pool->turn);
  for (int64_t base = 0; base < n; base += kCallsPerTicket) {
    int64_t rest = n - base;
    uint32_t calls = static_cast<uint32_t>(
        rest < static_cast<int64_t>(kCallsPerTicket) ? rest : kCallsPerTicket);
    runJob(*pool, base, calls, fn, arg);
  }
  pthread_mutex_unlock(&pool->turn);
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

uint32_t filigree::runtime::usableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // Fails on machines with more cpus than the set holds.
  if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
    return static_cast<uint32_t>(CPU_COUNT(&set));
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? static_cast<uint32_t>(online) : 1;
}

/// Number of the i-th cpu that this process may use, or -1.
static int usableCpu(uint32_t i) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0)
    return -1;
  int count = CPU_COUNT(&set);
  if (count <= 0)
    return -1;
  i %= static_cast<uint32_t>(count);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set) && i-- == 0)
      return cpu;
  return -1;
}

// Binding is a wish: a cpu that has gone offline leaves the thread unbound.
static void pin(pthread_t thread, const fil_pool_options &options,
                uint32_t index) {
  int cpu = options.cpus && options.cpu_count
                ? options.cpus[index % options.cpu_count]
                : usableCpu(index);
  if (cpu < 0 || cpu >= CPU_SETSIZE)
    return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(thread, sizeof(set), &set);
}

extern "C" fil_status fil_pool_create(const fil_pool_options *options,
                                      fil_pool **out_pool, fil_error *err) {
  if (!out_pool)
    return fail(err, FIL_BAD_CALL,
                "expected a place for the pool, but got null");
  *out_pool = nullptr;
  if (options && options->size < sizeof(fil_pool_options))
    return fail(err, FIL_BAD_CALL,
                "expected fil_pool_options of size %zu, but got %u",
                sizeof(fil_pool_options), options->size);
  fil_pool_options chosen = FIL_POOL_OPTIONS_INIT;
  if (options)
    chosen = *options;
  if (chosen.threads == 0)
    chosen.threads = usableCpus();
  if (chosen.threads > kMaxWorkers)
    return fail(err, FIL_BAD_CALL, "expected at most %u threads, but got %u",
                kMaxWorkers, chosen.threads);

  void *memory = aligned_alloc(alignof(fil_pool), sizeof(fil_pool));
  auto *threads =
      static_cast<pthread_t *>(calloc(chosen.threads, sizeof(pthread_t)));
  if (!memory || !threads) {
    free(memory);
    free(threads);
    return fail(err, FIL_NO_MEMORY,
                "expected memory for a pool of %u threads, but got none",
                chosen.threads);
  }
  auto *pool = new (memory) fil_pool;
  pthread_mutex_init(&pool->turn, nullptr);
  pool->spinNanoseconds = 1000ll * (chosen.spin_us ? chosen.spin_us : 40);
  pool->threads = threads;

  // Signals of the program are for its own threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = 0;
  for (uint32_t i = 1; i < chosen.threads && error == 0; ++i) {
    error = pthread_create(&threads[pool->started], nullptr, threadMain, pool);
    if (error)
      break;
    if (chosen.pin)
      pin(threads[pool->started], chosen, i);
    ++pool->started;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pool->threadCount = pool->started + 1;
  if (error) {
    uint32_t started = pool->started;
    fil_pool_destroy(pool);
    return fail(err, FIL_SYSTEM,
                "expected to start %u threads, but the system refused after "
                "%u (error %d)",
                chosen.threads - 1, started, error);
  }
  *out_pool = pool;
  return succeed(err);
}

extern "C" void fil_pool_destroy(fil_pool *pool) {
  if (!pool)
    return;
  pool->stop.store(true, std::memory_order_seq_cst);
  pool->epoch.fetch_add(1, std::memory_order_seq_cst);
  futexWake(pool->epoch, INT_MAX);
  for (uint32_t i = 0; i < pool->started; ++i)
    pthread_join(pool->threads[i], nullptr);
  pthread_mutex_destroy(&pool->turn);
  free(pool->threads);
  pool->~fil_pool();
  free(pool);
}

extern "C" uint32_t fil_pool_threads(const fil_pool *pool) {
  return pool ? pool->threadCount : 1;
}
