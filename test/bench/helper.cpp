//===- helper.cpp - what test/bench/run.py cannot do in Python ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plain C functions for ctypes: the peak loop, a sum that reads memory once,
// calls timed without Python between them, and a pool hook that looks on. Built
// by compile.sh with frontend/driver/FmaPeak.cpp; needs no C++ library.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/FmaPeak.h"
#include <immintrin.h>
#include <time.h>

static double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

extern "C" {

FIL_API double bench_fma_peak(uint32_t isa, int64_t tasks,
                              fil_parallel_for parallelFor, void *context,
                              double seconds) {
  return filigree::measureFmaPeak(isa, tasks, parallelFor, context, seconds);
}

//===----------------------------------------------------------------------===//
// A sum that reads memory once
//===----------------------------------------------------------------------===//

struct SumJob {
  const uint64_t *data[2];
  int64_t words; // of each; a multiple of 32
  int64_t pieces;
  uint64_t sum;
};
}

__attribute__((target("avx512f"))) static uint64_t
sumAvx512(const uint64_t *data, int64_t words) {
  __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
  for (int64_t k = 0; k < words; k += 32) {
    s0 = _mm512_add_epi64(s0, _mm512_loadu_si512(data + k));
    s1 = _mm512_add_epi64(s1, _mm512_loadu_si512(data + k + 8));
    s2 = _mm512_add_epi64(s2, _mm512_loadu_si512(data + k + 16));
    s3 = _mm512_add_epi64(s3, _mm512_loadu_si512(data + k + 24));
  }
  return uint64_t(_mm512_reduce_add_epi64(
      _mm512_add_epi64(_mm512_add_epi64(s0, s1), _mm512_add_epi64(s2, s3))));
}

static uint64_t sumPlain(const uint64_t *data, int64_t words) {
  uint64_t sum = 0;
  for (int64_t k = 0; k < words; ++k)
    sum += data[k];
  return sum;
}

static void sumPiece(void *argument, int64_t piece) {
  SumJob &job = *static_cast<SumJob *>(argument);
  int64_t units = job.words / 32;
  int64_t first = units * piece / job.pieces * 32;
  int64_t last = units * (piece + 1) / job.pieces * 32;
  uint64_t sum = 0;
  for (const uint64_t *data : job.data)
    sum += __builtin_cpu_supports("avx512f")
               ? sumAvx512(data + first, last - first)
               : sumPlain(data + first, last - first);
  __atomic_fetch_add(&job.sum, sum, __ATOMIC_RELAXED);
}

extern "C" {

/// Sum modulo 2^64 of the words of two arrays of `bytes` (a multiple of 256)
/// each, in `pieces` tasks; the time goes to *out_seconds.
FIL_API uint64_t bench_sum(const void *a, const void *b, int64_t bytes,
                           int64_t pieces, fil_parallel_for parallelFor,
                           void *context, double *out_seconds) {
  SumJob job = {
      {static_cast<const uint64_t *>(a), static_cast<const uint64_t *>(b)},
      bytes / 8,
      pieces,
      0};
  double begin = now();
  parallelFor(context, pieces, sumPiece, &job);
  *out_seconds = now() - begin;
  return job.sum;
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

typedef fil_status (*RunFunction)(const fil_kernel *, const fil_arg *, uint32_t,
                                  const fil_options *, void *, size_t,
                                  fil_error *);

/// `repeat` runs back to back; the time of each to out_seconds. The first
/// status that is not FIL_OK ends it.
FIL_API fil_status bench_runs(RunFunction run, const fil_kernel *kernel,
                              const fil_arg *args, uint32_t argCount,
                              const fil_options *options, void *workspace,
                              size_t bytes, int64_t repeat, double *out_seconds,
                              fil_error *error) {
  for (int64_t k = 0; k < repeat; ++k) {
    double begin = now();
    fil_status status =
        run(kernel, args, argCount, options, workspace, bytes, error);
    out_seconds[k] = now() - begin;
    if (status != FIL_OK)
      return status;
  }
  return FIL_OK;
}

//===----------------------------------------------------------------------===//
// A pool hook that looks on
//===----------------------------------------------------------------------===//

struct Spy {
  fil_parallel_for inner;
  void *context;
  fil_task skip; // calls with this task return at once
  fil_task last; // task of the last call
  double seconds;
  int64_t calls;
};

/// With `skip` set to the task that computes (the last one of a small run),
/// what remains of a run is all it does besides computing: checks, numbering
/// the units, their costs, and their order.
FIL_API void bench_spy(void *context, int64_t n, fil_task fn, void *arg) {
  Spy &spy = *static_cast<Spy *>(context);
  spy.last = fn;
  ++spy.calls;
  if (fn == spy.skip)
    return;
  double begin = now();
  spy.inner(spy.context, n, fn, arg);
  spy.seconds += now() - begin;
}
}
