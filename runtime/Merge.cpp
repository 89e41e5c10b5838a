//===- Merge.cpp - partial results of attention ---------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   m = max_p m_p;  w_p = exp(m_p - m);  l = sum w_p l_p;  o = sum w_p o_p
//
// Parts are added in the order given, so the result is the same in every run.
// l may be zero or negative in a part (a correction that takes keys away
// again); only m = -inf means that the part has no key in this row, and then
// its o and l are not looked at.
//
//===----------------------------------------------------------------------===//
#include "runtime/Status.h"

#include <cinttypes>
#include <cmath>

using namespace filigree::runtime;

static fil_status checkPartial(const fil_partial *partial, const char *what,
                               fil_error *err) {
  if (partial && partial->o && partial->l && partial->m)
    return FIL_OK;
  return fail(err, FIL_BAD_CALL, "expected o, l and m of the %s, but got null",
              what);
}

static fil_status checkExtents(int64_t rows, int64_t dv, fil_error *err) {
  int64_t bytes;
  if (rows >= 0 && dv >= 0 && !__builtin_mul_overflow(rows, dv, &bytes) &&
      !__builtin_mul_overflow(bytes, int64_t(sizeof(float)), &bytes))
    return FIL_OK;
  return fail(err, FIL_BAD_CALL,
              "expected rows and dv of at least 0 within 2^63 bytes, but got "
              "%" PRId64 " and %" PRId64,
              rows, dv);
}

/// 1 at the maximum itself, so that infinite maxima do not become inf - inf.
static float weightOf(float m, float most) {
  return m == most ? 1.0f : expf(m - most);
}

/// The largest; NaN if any is.
static float largest(const fil_partial *parts, uint32_t count, int64_t row) {
  float most = -INFINITY;
  for (uint32_t p = 0; p < count; ++p) {
    float m = parts[p].m[row];
    if (m > most || m != m)
      most = m;
    if (most != most)
      break;
  }
  return most;
}

static void mergeRow(const fil_partial *parts, uint32_t count, int64_t row,
                     int64_t dv, const fil_partial &out) {
  // Columns go in blocks: one exp serves a block, and `out` may be any one part
  // because a block is read in full before it is written.
  constexpr int64_t block = 64;
  float most = largest(parts, count, row);
  float l = 0.0f;
  for (uint32_t p = 0; p < count; ++p)
    if (parts[p].m[row] != -INFINITY)
      l += weightOf(parts[p].m[row], most) * parts[p].l[row];

  for (int64_t first = 0; first < dv; first += block) {
    int64_t columns = dv - first < block ? dv - first : block;
    float sum[block] = {};
    for (uint32_t p = 0; p < count; ++p) {
      if (parts[p].m[row] == -INFINITY)
        continue;
      float weight = weightOf(parts[p].m[row], most);
      const float *o = parts[p].o + row * dv + first;
      for (int64_t d = 0; d < columns; ++d)
        sum[d] += weight * o[d];
    }
    float *o = out.o + row * dv + first;
    for (int64_t d = 0; d < columns; ++d)
      o[d] = sum[d];
  }
  out.l[row] = l;
  out.m[row] = most;
}

extern "C" fil_status fil_merge(const fil_partial *parts, uint32_t count,
                                int64_t rows, int64_t dv,
                                const fil_partial *out, fil_error *err) {
  if (fil_status status = checkExtents(rows, dv, err))
    return status;
  if (fil_status status = checkPartial(out, "result", err))
    return status;
  if (count > 0 && !parts)
    return fail(err, FIL_BAD_CALL, "expected %u parts, but got null", count);
  for (uint32_t p = 0; p < count; ++p)
    if (fil_status status = checkPartial(&parts[p], "parts", err))
      return status;
  for (int64_t row = 0; row < rows; ++row)
    mergeRow(parts, count, row, dv, *out);
  return succeed(err);
}

extern "C" fil_status fil_normalize(const fil_partial *part, int64_t rows,
                                    int64_t dv, float *out, float *lse,
                                    fil_error *err) {
  if (fil_status status = checkExtents(rows, dv, err))
    return status;
  if (fil_status status = checkPartial(part, "part", err))
    return status;
  if (!out)
    return fail(err, FIL_BAD_CALL, "expected a place for o, but got null");
  for (int64_t row = 0; row < rows; ++row) {
    bool empty = part->m[row] == -INFINITY;
    float l = part->l[row];
    for (int64_t d = 0; d < dv; ++d)
      out[row * dv + d] = empty ? 0.0f : part->o[row * dv + d] / l;
    if (lse)
      lse[row] = empty ? -INFINITY : part->m[row] + logf(l);
  }
  return succeed(err);
}
