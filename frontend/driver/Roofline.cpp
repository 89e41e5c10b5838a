//===- Roofline.cpp - what one core or one chip can do in a second --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Roofline.h"
#include "frontend/driver/FmaPeak.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace filigree;
using llvm::formatv;

namespace {

/// Of a vector, a cycle. Lanes are in codegen/Target.h.
struct CoreRates {
  llvm::StringRef target;
  double multiplyAdds;
};
constexpr CoreRates kCoreRates[] = {
    {"baseline", 1}, // two units, a multiplication and an addition
    {"avx2", 2},
    {"avx512", 2},
};

} // namespace

Bound filigree::boundOf(const Roofline &roofline, double flop, double bytes,
                        double exponentials) {
  Bound bound;
  bound.products = 1e3 * flop / roofline.flops;
  bound.memory = 1e3 * bytes / roofline.bytes;
  if (roofline.exponentials > 0)
    bound.exponentials = 1e3 * exponentials / roofline.exponentials;
  bool compute = bound.products >= bound.memory;
  bound.by = bound.exponentials > std::max(bound.products, bound.memory)
                 ? "exponentials"
             : compute ? "compute"
                       : "memory";
  return bound;
}

Roofline filigree::rooflineOfCore(const CpuTarget &target, double gigahertz,
                                  double gigabytes, bool measure) {
  Roofline roofline;
  roofline.of = "core";
  roofline.bytes = gigabytes * 1e9;
  if (measure && target.isa < unsigned(fil_machine_isa())) {
    double peak = measureFmaPeak(target.isa + 1, 1, nullptr, nullptr, 0.05);
    if (peak > 0) {
      roofline.flops = peak;
      roofline.because = "measured here";
      roofline.measured = true;
      return roofline;
    }
  }
  const CoreRates *rates = llvm::find_if(kCoreRates, [&](const CoreRates &row) {
    return row.target == target.name;
  });
  roofline.flops = 2 * rates->multiplyAdds * target.lanes * gigahertz * 1e9;
  roofline.because = formatv("= {0} x {1} multiply-adds a cycle at {2:f2} GHz "
                             "(assumed)",
                             rates->multiplyAdds, target.lanes, gigahertz)
                         .str();
  return roofline;
}

Roofline filigree::rooflineOfChip(const CudaTarget &target) {
  const CudaChip &chip = target.chip;
  Roofline roofline;
  double cycles = chip.multiprocessors * chip.gigahertz * 1e9;
  roofline.of = chip.name.str();
  roofline.nature = "nominal";
  roofline.flops = cycles * chip.tensorFlops;
  roofline.because =
      formatv("= {0} multiprocessors x {1} a cycle at {2:f2} GHz (nominal)",
              chip.multiprocessors, chip.tensorFlops, chip.gigahertz)
          .str();
  roofline.multiprocessors = chip.multiprocessors;
  roofline.bytes = chip.gigabytes * 1e9;
  roofline.exponentials = cycles * chip.exponentials;
  return roofline;
}
