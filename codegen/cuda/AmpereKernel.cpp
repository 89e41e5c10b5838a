//===- AmpereKernel.cpp - shape and memory of an sm_80 kernel -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/AmpereKernel.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

AmpereKernel::AmpereKernel(tile::KernelOp kernel, const CudaTarget &target,
                           StringRef prefix, ModuleOp module, LaunchRole role)
    : CudaKernel(kernel, target, prefix, module, role) {
  stages = kernel.getPipeline()->getStages();
  slabs = llvm::divideCeil(schedule.getRows(), 16 * kWarps);
  rows = 16 * kWarps * slabs;
  // Fragments of Q are read for every part: few keys are not worth it.
  parts = keys >= 64 ? 2 : 1;
  partKeys = keys / parts;
  keyBytes = keys * kRowBytes * keyChunks;
  stageBytes = keyBytes + keys * kRowBytes * valueChunks;
  outputPieces = 2 * valueChunks;
  layOutShared();
}

void AmpereKernel::layOutShared() {
  // Where there is a second stage it holds the output of a tile, while the
  // first chunk of the next one and its queries are loaded.
  int32_t output = rows * kRowBytes * valueChunks;
  ahead = stages > 1 && output <= stageBytes;
  int32_t query = rows * kRowBytes * keyChunks;
  query = ahead ? query : std::max(query, output);
  int32_t fixed = query + stages * stageBytes + layout.bytes +
                  (1 + kMostTiles) * tileBytes() +
                  8 * int32_t(interface.slotCount) + 4 * kFillWords + 7 * 16;
  mostEntries = std::max(16, std::min(256, (cuda.sharedBytes - fixed) / 16));
  int32_t at = query;
  auto take = [&](int32_t bytes) {
    int32_t offset = at;
    at += llvm::alignTo(bytes, 16);
    return offset;
  };
  offKeys = take(stages * stageBytes);
  offValues = offKeys + keyBytes;
  offOutput = ahead ? offKeys + stageBytes : offQuery;
  offEntries = take(16 * mostEntries);
  offWalk = take(layout.bytes);
  offTile = take(tileBytes());
  offPending = take(kMostTiles * tileBytes());
  offSlots = take(8 * int32_t(interface.slotCount));
  offFill = take(4 * kFillWords);
  sharedBytes = at;
}

int64_t AmpereKernel::unitsAtOnce() const {
  // Of an A100; an RTX has 100 KiB.
  constexpr int64_t shared = 164 * 1024;
  return std::clamp<int64_t>(shared / (sharedBytes + 1024), 1, cuda.ctas);
}

Value AmpereKernel::tilesOfSection() {
  if (few || !hasExactLaunch())
    return {};
  // Blocks of lists are anywhere: keys of more heads would not stay in the
  // second-level cache.
  bool lists = llvm::any_of(streams, [](walk::StreamCode &stream) {
    return !stream.op.getStarts().empty();
  });
  Value atOnce = p.wide(p.special("nctaid.x"));
  return lists ? atOnce : e.mul(atOnce, 2);
}

void AmpereKernel::askThread() {
  thread = p.ptx("mov.u32 $0, %tid.x;", {e.i32()}, {}, {})[0];
  lane = p.bitAnd(thread, 31);
  warp = p.shr(thread, 5);
  columnPair = p.mul(p.bitAnd(lane, 3), 2);
  shared = p.here(sharedBase);
  tileAt = address(offTile);
}

void AmpereKernel::emitRoles(Value, Value) {
  sharedBase = shared;
  askThread();
  emitPrefetchLists();
  emitCopySlots(thread);
  e.ifThen(p.eq(thread, p.c(0)), [&] { emitWalkInit(); });
  p.syncBlock();
  emitLoop();
}
