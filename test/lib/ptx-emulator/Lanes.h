//===- Lanes.h - one operation on 32 lanes --------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An operation is a struct with a static `run` on single values. The handlers
// here compute all 32 lanes, active or not, in a loop that the compiler
// vectorises, and store those that are active; so `run` must be defined for any
// bits.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_LANES_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_LANES_H

#include "test/lib/ptx-emulator/Machine.h"

#include <cstring>

namespace filigree::ptx {

template <typename T>
inline void storeLanes(T *into, const T *values, uint32_t lanes) {
  if (lanes == ~0u)
    memcpy(into, values, 32 * sizeof(T));
  else
    for (int lane = 0; lane < 32; ++lane)
      if (lanes >> lane & 1)
        into[lane] = values[lane];
}

template <typename Op, typename D, typename A>
Outcome unaryLanes(Warp &warp, const Inst &inst, uint32_t lanes) {
  const A *a = warp.at<A>(inst.src[0]);
  alignas(64) D result[32];
  for (int lane = 0; lane < 32; ++lane)
    result[lane] = static_cast<D>(Op::run(a[lane]));
  storeLanes(warp.at<D>(inst.dst), result, lanes);
  return Outcome::Next;
}

template <typename Op, typename D, typename A, typename B = A>
Outcome binaryLanes(Warp &warp, const Inst &inst, uint32_t lanes) {
  const A *a = warp.at<A>(inst.src[0]);
  const B *b = warp.at<B>(inst.src[1]);
  alignas(64) D result[32];
  for (int lane = 0; lane < 32; ++lane)
    result[lane] = static_cast<D>(Op::run(a[lane], b[lane]));
  storeLanes(warp.at<D>(inst.dst), result, lanes);
  return Outcome::Next;
}

template <typename Op, typename D, typename A, typename B = A, typename C = A>
Outcome ternaryLanes(Warp &warp, const Inst &inst, uint32_t lanes) {
  const A *a = warp.at<A>(inst.src[0]);
  const B *b = warp.at<B>(inst.src[1]);
  const C *c = warp.at<C>(inst.src[2]);
  alignas(64) D result[32];
  for (int lane = 0; lane < 32; ++lane)
    result[lane] = static_cast<D>(Op::run(a[lane], b[lane], c[lane]));
  storeLanes(warp.at<D>(inst.dst), result, lanes);
  return Outcome::Next;
}

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_LANES_H
