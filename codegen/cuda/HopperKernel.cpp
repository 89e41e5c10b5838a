//===- HopperKernel.cpp - shape, memory and roles of a Hopper kernel ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/HopperKernel.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

HopperKernel::HopperKernel(tile::KernelOp kernel, const CudaTarget &target,
                           StringRef prefix, ModuleOp module, LaunchRole role)
    : CudaKernel(kernel, target, prefix, module, role) {
  warpgroups = kernel.getWarps()->getCompute() / 4;
  stages = kernel.getPipeline()->getStages();
  rows = 64 * warpgroups;
  boxKeys = isPaged() ? int32_t(std::gcd(pageSlots(), int64_t(keys))) : keys;
  keyBytes = keys * kRowBytes * keyChunks;
  valueBytes = keys * kRowBytes * valueChunks;
  layOutShared();
}

LogicalResult HopperKernel::verify() {
  // The swizzle of a box begins anew every 8 rows.
  if (isPaged() && pageSlots() % 8 != 0)
    return refuse("pages of a multiple of 8 keys", Twine(pageSlots()));
  return CudaKernel::verify();
}

void HopperKernel::layOutShared() {
  offKeys = rows * kRowBytes * keyChunks; // behind Q
  offValues = offKeys + stages * keyBytes;
  offOutput = offValues + stages * valueBytes;
  const int32_t room = cuda.sharedOf(ctasPerMultiprocessor());
  for (outputPieces = 2 * valueChunks;; --outputPieces) {
    // So that addresses of a stage's words are its own and an offset.
    offPages = layOutWalker(offOutput + rows / 16 * outputPieces * kPieceBytes);
    int32_t pages = isPaged() ? kEntries * boxes() * 4 : 0;
    offChunk = llvm::alignTo(offPages + pages, stages * kChunkBytes);
    offBarriers = offChunk + stages * kChunkBytes;
    sharedBytes = offBarriers + 8 * (2 * warpgroups + 4 * stages);
    if (outputPieces == 1 || sharedBytes <= room)
      return;
  }
}

SmallVector<fil_abi_tensor_map> HopperKernel::tensorMaps() {
  SmallVector<fil_abi_tensor_map> result;
  auto use = [&](Value tensor, int32_t boxRows) {
    result.push_back({sizeof(fil_abi_tensor_map),
                      uint32_t(argument(tensor).getArgNumber()),
                      {1, 1, uint32_t(boxRows), 64},
                      128,
                      0});
  };
  use(fold.getQuery(), 64);
  for (walk::StreamCode &stream : streams) {
    use(stream.op.getKey(), boxKeys);
    use(stream.op.getValue(), boxKeys);
  }
  if (isPaged())
    for (int32_t boxRows : {1, 8})
      for (walk::StreamCode &stream : streams)
        use(stream.op.getValue(), boxRows);
  if (mayPack())
    use(fold.getQuery(), 1);
  return result;
}

void HopperKernel::emitBarrierInit() {
  int32_t warps = 4 * warpgroups;
  for (int32_t g = 0; g < warpgroups; ++g) {
    p.barrierInit(address(queryFull() + 8 * g), 1);
    // Every lane has read the words of the tile.
    p.barrierInit(address(queryEmpty() + 8 * g), 128);
  }
  for (int32_t s = 0; s < stages; ++s) {
    p.barrierInit(address(keyFull() + 8 * s), 1);
    p.barrierInit(address(keyEmpty() + 8 * s), warps);
    p.barrierInit(address(valueFull() + 8 * s), 1);
    p.barrierInit(address(valueEmpty() + 8 * s), warps);
  }
  emitEntryBarrierInit(/*readers=*/2);
  p.fenceBarrierInit();
}

void HopperKernel::emitPrologue(Value thread) {
  if (few)
    emitCopySlots(thread);
}

void HopperKernel::emitRoles(Value thread, Value warpOfBlock) {
  warp = p.bitAnd(warpOfBlock, 3);
  group = p.sub(p.shr(warpOfBlock, 2), p.c(1));
  e.ifThen(
      p.lt(warpOfBlock, p.c(4)),
      [&] {
        p.setMaxRegisters(kernel.getWarps()->getLoadRegisters(),
                          /*increase=*/false);
        e.ifThen(p.eq(thread, p.c(0)), [&] { emitWalker(); });
        e.ifThen(p.eq(thread, p.c(32)), [&] { emitKeyLoader(); });
        e.ifThen(p.eq(thread, p.c(64)), [&] { emitValueLoader(); });
      },
      [&] {
        p.setMaxRegisters(kernel.getWarps()->getComputeRegisters(),
                          /*increase=*/true);
        emitConsumer();
      });
}
