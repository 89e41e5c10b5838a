//===- FmaPeak.h - multiply-adds a second that this machine can do --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The yardstick of every rate: f32 multiply-adds on registers only, on as many
// threads as the measurement beside it. No LLVM here: test/bench builds it too.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_FMAPEAK_H
#define FILIGREE_FRONTEND_DRIVER_FMAPEAK_H

#include "runtime/filigree.h"

namespace filigree {

/// FLOP a second (a multiply-add counts two) with the instructions of `isa` (a
/// fil_isa that this machine has, not FIL_ISA_AUTO), or a negative number if a
/// result was wrong. `tasks` loops run at a time through the hook, for about
/// `seconds` each; a null hook runs one.
double measureFmaPeak(uint32_t isa, int64_t tasks, fil_parallel_for parallelFor,
                      void *context, double seconds);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_FMAPEAK_H
