//===- Launch.cpp - phases, units, workers --------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   for each phase:                      parallel_for returns = barrier
//     if units differ in cost: evaluate costs, sort longest first
//     parallel_for(workers): claim the next few units until none is left
//
// Which worker runs a unit varies from run to run, the unit's result does not:
// units are independent, scratch is empty to them, and every worker runs with
// the same floating-point mode whatever thread it is on.
//
//===----------------------------------------------------------------------===//
#include "runtime/Launch.h"

#include "runtime/CpuFeatures.h"
#include "runtime/LongestFirst.h"
#include "runtime/Status.h"

#include <atomic>
#include <cinttypes>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace filigree::runtime {

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

/// Adds `bytes`, rounded up to 64, to `total`; false on overflow. Totals stay
/// below 2^62 so that callers may add a few of them.
static bool addRegion(size_t &total, size_t bytes) {
  constexpr size_t most = size_t(1) << 62;
  if (bytes > most)
    return false;
  bytes = (bytes + 63) & ~size_t(63);
  total += bytes;
  return total <= most;
}

static bool isOrdered(const fil_abi_phase &phase, int64_t units,
                      uint32_t workers) {
  return phase.cost && workers > 1 && units > 1 && units <= kMostOrdered;
}

fil_status planRun(const fil_abi_kernel &kernel, const int64_t *slots,
                   const RunOptions &options, Plan &plan, fil_error *err) {
  plan.cpu = selectCpu(kernel, options.isa);
  if (!plan.cpu) {
    if (kernel.cpu_count == 0)
      return fail(err, FIL_UNSUPPORTED,
                  "expected cpu code in kernel `%s` variant `%s`, but found "
                  "none",
                  kernel.name, kernel.variant);
    uint32_t machine = machineIsa();
    return fail(err, FIL_UNSUPPORTED,
                "expected a cpu with %s for kernel `%s` variant `%s`, but "
                "found %s%s",
                isaName(element(kernel.cpu, 0).isa), kernel.name,
                kernel.variant, isaName(options.isa),
                options.isa < machine ? " (limited by the options)" : "");
  }

  int64_t mostUnits = 1;
  for (uint32_t p = 0; p < plan.cpu->phase_count; ++p) {
    int64_t units = element(plan.cpu->phases, p).units(slots);
    if (units < 0)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected phase %u of kernel `%s` to have at least 0 units, "
                  "but found %" PRId64,
                  p, kernel.name, units);
    plan.units[p] = units;
    mostUnits = units > mostUnits ? units : mostUnits;
  }
  plan.workers = mostUnits < options.workerLimit
                     ? static_cast<uint32_t>(mostUnits)
                     : options.workerLimit;

  int64_t shared = plan.cpu->shared_bytes(slots);
  int64_t scratch = plan.cpu->scratch_bytes(slots);
  if (shared < 0 || scratch < 0)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected kernel `%s` to need at least 0 bytes, but found "
                "%" PRId64 " shared and %" PRId64 " per worker",
                kernel.name, shared, scratch);

  size_t order = 0; // phases take turns in it
  for (uint32_t p = 0; p < plan.cpu->phase_count; ++p)
    if (isOrdered(element(plan.cpu->phases, p), plan.units[p], plan.workers)) {
      size_t bytes = OrderStorage::bytes(plan.units[p]);
      order = bytes > order ? bytes : order;
    }

  size_t total = 0, stride = 0, allScratch;
  bool fits = addRegion(total, order);
  plan.sharedOffset = total;
  fits = fits && addRegion(total, static_cast<size_t>(shared));
  plan.scratchOffset = total;
  fits = fits && addRegion(stride, static_cast<size_t>(scratch)) &&
         !__builtin_mul_overflow(stride, size_t(plan.workers), &allScratch) &&
         addRegion(total, allScratch);
  if (!fits)
    return fail(err, FIL_BAD_ARGUMENT,
                "expected a workspace below 2^62 bytes, but kernel `%s` needs "
                "%" PRId64 " shared and %" PRId64 " for each of %u workers",
                kernel.name, shared, scratch, plan.workers);
  plan.scratchStride = stride;
  plan.bytes = total;
  return FIL_OK;
}

//===----------------------------------------------------------------------===//
// Workers
//===----------------------------------------------------------------------===//

namespace {

/// Default floating-point mode for the lifetime of the object. Threads of a
/// caller's pool may flush subnormals or round otherwise, and then results
/// would depend on which thread ran a unit.
class FloatMode {
public:
#if defined(__x86_64__)
  FloatMode() : before(_mm_getcsr()) {
    if (differs())
      _mm_setcsr(wanted | (before & flags));
  }
  ~FloatMode() {
    if (differs())
      _mm_setcsr(before);
  }

private:
  static constexpr uint32_t flags = 0x3f;    // sticky exception flags
  static constexpr uint32_t wanted = 0x1f80; // all masked, nearest, no FTZ
  bool differs() const { return (before & ~flags) != wanted; }
  uint32_t before;
#else
  FloatMode() {}
#endif
};

struct PhaseRun {
  const fil_abi_phase *phase;
  const int64_t *slots;
  int64_t units;
  int64_t chunk;         // units claimed at a time
  const uint32_t *order; // null: as they come
  int64_t *cost;         // while costs are evaluated
  uint32_t workers;
  char *scratch;
  size_t scratchStride;
  void *shared;
  alignas(64) std::atomic<int64_t> next; // alone in its cache line
};

} // namespace

static void runUnits(void *argument, int64_t worker) {
  auto &run = *static_cast<PhaseRun *>(argument);
  FloatMode mode;
  void *scratch = run.scratch + run.scratchStride * static_cast<size_t>(worker);
  for (;;) {
    int64_t first = run.next.fetch_add(run.chunk, std::memory_order_relaxed);
    if (first >= run.units)
      return;
    int64_t left = run.units - first;
    int64_t count = left < run.chunk ? left : run.chunk;
    for (int64_t i = first; i < first + count; ++i)
      run.phase->run(run.slots, run.order ? run.order[i] : i, scratch,
                     run.shared);
  }
}

static void evaluateCosts(void *argument, int64_t worker) {
  auto &run = *static_cast<PhaseRun *>(argument);
  // At most kMostOrdered * kMaxWorkers, so no overflow.
  int64_t first = run.units * worker / run.workers;
  int64_t last = run.units * (worker + 1) / run.workers;
  for (int64_t unit = first; unit < last; ++unit)
    run.cost[unit] = run.phase->cost(run.slots, unit);
}

static const uint32_t *orderUnits(PhaseRun &run, const RunOptions &options,
                                  void *workspace) {
  // Below this, waking threads takes longer than the loop.
  constexpr int64_t worthSharing = 4096;
  OrderStorage storage = OrderStorage::at(workspace, run.units);
  run.cost = storage.cost;
  if (run.units >= worthSharing) {
    options.parallelFor(options.context, run.workers, evaluateCosts, &run);
  } else {
    for (int64_t unit = 0; unit < run.units; ++unit)
      run.cost[unit] = run.phase->cost(run.slots, unit);
  }
  return sortLongestFirst(storage, run.units);
}

/// Consecutive units per claim: one, unless there are so many that the counter
/// itself would be fought over; still at least 64 claims per worker.
static int64_t chunkOf(int64_t units, uint32_t workers) {
  int64_t chunk = units / (int64_t(workers) * 64);
  return chunk < 1 ? 1 : chunk > 256 ? 256 : chunk;
}

void runPlan(const Plan &plan, const int64_t *slots, const RunOptions &options,
             void *workspace) {
  auto *base = static_cast<char *>(workspace);
  PhaseRun run;
  run.slots = slots;
  run.scratch = base + plan.scratchOffset;
  run.scratchStride = plan.scratchStride;
  run.shared = base + plan.sharedOffset;
  for (uint32_t p = 0; p < plan.cpu->phase_count; ++p) {
    run.phase = &element(plan.cpu->phases, p);
    run.units = plan.units[p];
    run.workers = run.units < plan.workers ? static_cast<uint32_t>(run.units)
                                           : plan.workers;
    run.order = nullptr;
    run.next.store(0, std::memory_order_relaxed);
    if (run.workers <= 1) {
      run.chunk = run.units > 0 ? run.units : 1;
      runUnits(&run, 0);
      continue;
    }
    if (isOrdered(*run.phase, run.units, plan.workers))
      run.order = orderUnits(run, options, workspace);
    run.chunk = chunkOf(run.units, run.workers);
    options.parallelFor(options.context, run.workers, runUnits, &run);
  }
}

} // namespace filigree::runtime
