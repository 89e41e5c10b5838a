//===- TileToVector.cpp - from a tile.kernel to functions of vectors ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cpu/TileToVector.h"
#include "codegen/cpu/KernelEmitter.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cpu;

SmallVector<std::string> EntryPoints::names() const {
  SmallVector<std::string> names = {scratchBytes, sharedBytes};
  for (const Phase &phase : phases)
    for (const std::string &name : {phase.units, phase.cost, phase.run})
      if (!name.empty())
        names.push_back(name);
  return names;
}

KernelEmitter::KernelEmitter(tile::KernelOp kernel, const CpuTarget &target,
                             StringRef prefix, ModuleOp module)
    : WalkEmitter(kernel, target, prefix, module),
      panelRows(panelWidth(target)),
      maxPanels(llvm::divideCeil(schedule.getRows(), panelRows)),
      spanRows(std::max(maxPanels * panelRows, kMaxHeld)) {}

void KernelEmitter::layOut() {
  layOutWalk();
  int64_t rows = spanRows;
  int64_t chunk = std::max(schedule.getChunk(), schedule.getMaskedChunk());
  layout.query = layout.take(4 * rows * shape.keyDim);
  layout.output = layout.take(4 * rows * shape.valueDim);
  layout.top = layout.take(4 * rows);
  layout.sum = layout.take(4 * rows);
  layout.alpha = layout.take(4 * panelRows);
  layout.scores = layout.take(4 * chunk * panelRows);
  layout.rowScores = layout.take(4 * kMaxHeld * rowChunk());
  layout.rowSigns = layout.take(4 * kRowGroup * rowChunk());
  layout.keys = layout.take(4 * chunk * shape.keyDim);
  layout.values = layout.take(4 * chunk * shape.valueDim);
}

Value KernelEmitter::panelAt(Value scratch, int64_t offset, Value panel,
                             int64_t rows) {
  return e.at(e.at(scratch, offset), e.mul(panel, 4 * panelRows * rows));
}

EntryPoints KernelEmitter::emit() {
  layOut();
  scores = emitScores(e, named("scores"), shape);
  softmax = emitSoftmax(e, named("softmax"), logitFactor);
  accumulate = emitAccumulate(e, named("accumulate"), shape);
  accumulateSafe = emitAccumulateSafe(e, named("safe_accumulate"), shape);
  finite = emitFinite(e, named("finite"), shape);
  packQueries = emitPackQueries(e, named("pack"), queryType, shape.keyDim);
  unpackOutput =
      emitUnpackOutput(e, named("unpack"), outputType, shape.valueDim);
  widenKeys = emitWiden(e, named("widen_k"), keyType, shape.keyDim);
  widenValues = emitWiden(e, named("widen_v"), keyType, shape.valueDim);
  emitRangeHelpers();
  emitGatherFunctions();
  emitRowFunctions();
  for (size_t s = 0; s < streams.size(); ++s) {
    StreamCode &stream = streams[s];
    stream.fullChunk = emitChunk(s, -1);
    for (size_t k = 0; k < stream.cases.size(); ++k) {
      // Ranges are those of the twin, too: they lie in its scratch.
      if (size_t twin = twinOf(s, k); twin != k) {
        stream.maskedChunk.push_back(stream.maskedChunk[twin]);
        stream.ranges.push_back(func::FuncOp());
        continue;
      }
      bool masked = !stream.cases[k].getMask().empty();
      stream.maskedChunk.push_back(masked ? emitChunk(s, k) : func::FuncOp());
      stream.ranges.push_back(masked ? emitRanges(s, k) : func::FuncOp());
    }
    if (stream.op.getGather())
      emitCollect(s);
    for (size_t k = 0; k < stream.cases.size(); ++k) {
      size_t twin = twinOf(s, k);
      stream.process.push_back(twin != k ? stream.process[twin]
                                         : emitProcess(s, k));
    }
    stream.walk = emitWalk(s);
  }
  emitTile();
  emitFinish();
  EntryPoints entries;
  emitEntries(entries);
  return entries;
}

FailureOr<EntryPoints> cpu::emitKernel(tile::KernelOp kernel,
                                       const CpuTarget &target,
                                       StringRef prefix, ModuleOp module) {
  if (!kernel.getSchedule())
    return kernel.emitOpError("expected a schedule before code generation");
  tile::FoldOp fold = *kernel.getOps<tile::FoldOp>().begin();
  Type stored;
  for (Value value : fold.getStreams()) {
    auto stream = value.getDefiningOp<tile::StreamOp>();
    for (Value tensor : {stream.getKey(), stream.getValue()}) {
      Type element = getElementTypeOrSelf(tensor.getType());
      if (stored && element != stored)
        return stream.emitOpError("expected keys and values of one type on "
                                  "target `cpu`, but got ")
               << stored << " and " << element;
      stored = element;
    }
  }
  kernel.getContext()
      ->loadDialect<affine::AffineDialect, arith::ArithDialect,
                    cf::ControlFlowDialect, func::FuncDialect,
                    LLVM::LLVMDialect, scf::SCFDialect,
                    vector::VectorDialect>();
  return KernelEmitter(kernel, target, prefix, module).emit();
}
