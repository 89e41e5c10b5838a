//===- SpecializeWarps.cpp - choose warps that load and that compute ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Before: kernels with a schedule. After: kernels that say how many warps load
// and compute, and how many registers each thread of them has.
//
// Who computes should never wait to issue a load, nor hold the words of the
// walk in registers: a few warps do that for all. They need few registers, so
// where the target moves registers between warps, the others get theirs, and
// with them wider chunks.
//
//===----------------------------------------------------------------------===//
#include "codegen/Target.h"
#include "passes/Passes.h"
#include "llvm/Support/MathExtras.h"

namespace filigree {
#define GEN_PASS_DEF_SPECIALIZEWARPS
#include "passes/Passes.h.inc"
} // namespace filigree

using namespace mlir;
using namespace filigree;

namespace {

class SpecializeWarps
    : public filigree::impl::SpecializeWarpsBase<SpecializeWarps> {
public:
  using SpecializeWarpsBase::SpecializeWarpsBase;

private:
  void runOnOperation() override {
    tile::KernelOp kernel = getOperation();
    const CudaTarget *cuda = lookupCudaTarget(target);
    if (!cuda || !kernel.getSchedule()) {
      kernel.emitOpError("expected a schedule and a CUDA target, but got `")
          << target << "`";
      return signalPassFailure();
    }
    int64_t rows = kernel.getSchedule()->getRows();
    int64_t groups =
        llvm::divideCeil(rows, int64_t(cuda->groupRows) * cuda->groupTimes);
    int64_t dim = 0;
    kernel.walk([&](tile::StreamOp stream) {
      for (Value tensor : {stream.getKey(), stream.getValue()})
        dim = std::max(dim,
                       cast<RankedTensorType>(tensor.getType()).getDimSize(3));
    });
    CudaRegisters registers = {0, 0, cuda->ctas, 0, 0};
    for (const CudaRegisters &entry : llvm::reverse(cuda->registers))
      if (groups == entry.groups && dim <= entry.mostDim)
        registers = entry;
    if (few)
      registers.ctas = cuda->ctas;
    std::string reason =
        std::to_string(groups) + (groups == 1 ? " group" : " groups") + " of " +
        std::to_string(cuda->groupWarps) + " warps compute " +
        std::to_string(
            llvm::alignTo(llvm::divideCeil(rows, groups), cuda->groupRows)) +
        " rows each";
    reason += registers.compute ? "; those that load give registers to them"
              : cuda->loadWarps ? "; registers stay where they are"
                                : "; they walk and load, too";
    if (registers.ctas > cuda->ctas)
      reason += "; " + std::to_string(registers.ctas) +
                " CTAs a multiprocessor take turns";
    kernel.setWarpsAttr(tile::WarpsAttr::get(
        &getContext(), registers.ctas, cuda->loadWarps,
        groups * cuda->groupWarps, registers.load, registers.compute,
        StringAttr::get(&getContext(), reason)));
  }
};

} // namespace
