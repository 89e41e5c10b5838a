//===- Roofline.h - what one core or one chip can do in a second ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The least time that work takes: the slowest of its parts, were each alone.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_ROOFLINE_H
#define FILIGREE_FRONTEND_DRIVER_ROOFLINE_H

#include "codegen/Target.h"
#include <string>

namespace filigree {

/// Rates, a second.
struct Roofline {
  std::string of;      ///< "core", "H200"
  double flops = 0;    ///< of products
  std::string because; ///< where `flops` is from
  bool measured = false;
  double bytes = 0; ///< of memory
  /// Exponentials, where they have a unit to themselves, else 0: part of
  /// `flops`, and few.
  double exponentials = 0;
  unsigned multiprocessors = 0;   ///< of a chip
  const char *nature = "assumed"; ///< what figures are that are not measured
};

/// Work and the milliseconds of its parts.
struct Bound {
  double products = 0, memory = 0, exponentials = 0;
  const char *by = ""; ///< "compute", "memory" or "exponentials"
};
Bound boundOf(const Roofline &roofline, double flop, double bytes,
              double exponentials);

/// One core at the clock and memory rate that the user assumes; its
/// multiply-adds measured, if asked for and if this machine has the target.
Roofline rooflineOfCore(const CpuTarget &target, double gigahertz,
                        double gigabytes, bool measure);

/// The chip of the target's table.
Roofline rooflineOfChip(const CudaTarget &target);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_ROOFLINE_H
