//===- FmaPeak.cpp - multiply-adds a second that this machine can do ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// x := x * a + b on independent registers, enough of them to cover the latency
// of two units. With a = 1 - 2^-10 and b = 2^-10 every x moves towards 1 from
// wherever it began, so a loop that was not run shows in the result.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/FmaPeak.h"
#include <immintrin.h>
#include <math.h>
#include <time.h>

namespace {

constexpr float kFactor = 1 - 0x1p-10f, kTerm = 0x1p-10f;
/// After so many steps what is left of the start is below 1e-4.
constexpr int64_t kFewestSteps = 16384;

double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

#define FILIGREE_PEAK_LOOP(VECTOR, SET1, STEP, LANES, STORE)                   \
  VECTOR a = SET1(kFactor), b = SET1(kTerm);                                   \
  VECTOR x0 = SET1(start), x1 = SET1(0.1f), x2 = SET1(0.2f), x3 = SET1(0.3f),  \
         x4 = SET1(0.4f), x5 = SET1(0.5f), x6 = SET1(1.6f), x7 = SET1(1.7f),   \
         x8 = SET1(1.8f), x9 = SET1(1.9f), x10 = SET1(2.f), x11 = SET1(0.7f);  \
  for (int64_t step = 0; step < steps; ++step) {                               \
    x0 = STEP(x0, a, b), x1 = STEP(x1, a, b), x2 = STEP(x2, a, b);             \
    x3 = STEP(x3, a, b), x4 = STEP(x4, a, b), x5 = STEP(x5, a, b);             \
    x6 = STEP(x6, a, b), x7 = STEP(x7, a, b), x8 = STEP(x8, a, b);             \
    x9 = STEP(x9, a, b), x10 = STEP(x10, a, b), x11 = STEP(x11, a, b);         \
  }                                                                            \
  float out[LANES];                                                            \
  bool right = true;                                                           \
  VECTOR all[] = {x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11};           \
  for (VECTOR x : all) {                                                       \
    STORE(out, x);                                                             \
    for (float value : out)                                                    \
      right &= fabsf(value - 1) < 1e-3f;                                       \
  }                                                                            \
  return right

struct Loop {
  bool (*run)(float start, int64_t steps);
  int64_t lanes;
};

constexpr int64_t kRegisters = 12;

inline __m128 multiplyAdd(__m128 x, __m128 a, __m128 b) {
  return _mm_add_ps(_mm_mul_ps(x, a), b);
}

bool runBaseline(float start, int64_t steps) {
  FILIGREE_PEAK_LOOP(__m128, _mm_set1_ps, multiplyAdd, 4, _mm_storeu_ps);
}

__attribute__((target("avx2,fma"))) bool runAvx2(float start, int64_t steps) {
  FILIGREE_PEAK_LOOP(__m256, _mm256_set1_ps, _mm256_fmadd_ps, 8,
                     _mm256_storeu_ps);
}

__attribute__((target("avx512f"))) bool runAvx512(float start, int64_t steps) {
  FILIGREE_PEAK_LOOP(__m512, _mm512_set1_ps, _mm512_fmadd_ps, 16,
                     _mm512_storeu_ps);
}
#undef FILIGREE_PEAK_LOOP

Loop loopOf(uint32_t isa) {
  if (isa == FIL_ISA_AVX512)
    return {runAvx512, 16};
  if (isa == FIL_ISA_AVX2)
    return {runAvx2, 8};
  return {runBaseline, 4};
}

struct Job {
  Loop loop;
  int64_t steps;
  int wrong;
};

void runTask(void *argument, int64_t) {
  Job &job = *static_cast<Job *>(argument);
  volatile float start = 0; // not known to the compiler
  if (!job.loop.run(start, job.steps))
    __atomic_store_n(&job.wrong, 1, __ATOMIC_RELAXED);
}

} // namespace

double filigree::measureFmaPeak(uint32_t isa, int64_t tasks,
                                fil_parallel_for parallelFor, void *context,
                                double seconds) {
  Job job = {loopOf(isa), kFewestSteps, 0};
  // One thread sets the length of the loops.
  for (;;) {
    double begin = now();
    runTask(&job, 0);
    double took = now() - begin;
    if (took > 0.01) {
      job.steps = int64_t(double(job.steps) * seconds / took) + kFewestSteps;
      break;
    }
    job.steps *= 4;
  }
  // The best of three: a peak is not an average.
  double best = 0;
  for (int repeat = 0; repeat < 3; ++repeat) {
    double begin = now();
    if (parallelFor)
      parallelFor(context, tasks, runTask, &job);
    else
      runTask(&job, 0);
    double rate = 2.0 * double(job.loop.lanes * kRegisters) *
                  double(job.steps) * double(parallelFor ? tasks : 1) /
                  (now() - begin);
    best = rate > best ? rate : best;
  }
  return job.wrong ? -1 : best;
}
