//===- WalkEmitter.cpp - what the walk knows of a kernel ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/walk/WalkEmitter.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::walk;

WalkEmitter::WalkEmitter(tile::KernelOp kernel, const CpuTarget &target,
                         StringRef prefix, ModuleOp module)
    : kernel(kernel), builder(OpBuilder::atBlockEnd(module.getBody())),
      e(builder, kernel.getLoc(), target), interface(interfaceOf(kernel)),
      prefix(prefix), module(module),
      fold(*kernel.getOps<tile::FoldOp>().begin()),
      storeOp(*kernel.getOps<tile::StoreOp>().begin()),
      schedule(*kernel.getSchedule()) {
  auto typeOf = [](Value value) {
    return cast<RankedTensorType>(value.getType());
  };
  for (Value value : fold.getStreams()) {
    StreamCode stream;
    stream.op = value.getDefiningOp<tile::StreamOp>();
    for (Operation &op : stream.op.getBody().front()) {
      if (auto caseOp = dyn_cast<tile::CaseOp>(op))
        stream.cases.push_back(caseOp);
      else
        stream.edge = cast<tile::EdgeOp>(op);
    }
    streams.push_back(stream);
  }
  queryType = typeOf(fold.getQuery()).getElementType();
  keyType = typeOf(streams[0].op.getKey()).getElementType();
  outputType = typeOf(storeOp.getOutput()).getElementType();
  shape.keyDim = typeOf(streams[0].op.getKey()).getDimSize(3);
  shape.valueDim = typeOf(streams[0].op.getValue()).getDimSize(3);
  double scale = streams[0].op.getScale().convertToDouble();
  plainScores = llvm::all_of(streams, [&](StreamCode &stream) {
    return !stream.edge && stream.op.getScale().convertToDouble() == scale;
  });
  // The clamp of the exponential divides by it.
  if (std::fabs(scale) < 1e-30)
    plainScores = false;
  queryFactor = !plainScores ? 1.0f : scale > 0 ? 1.0f : scale < 0 ? -1.0f : 0;
  logitFactor =
      plainScores && scale != 0 ? float(std::fabs(scale) * M_LOG2E) : kLog2e;
  naturalFactor = plainScores ? float(std::fabs(scale)) : 1.0f;
}

void WalkEmitter::layOutWalk() {
  layout.addFrame();
  for (auto [s, stream] : llvm::enumerate(streams)) {
    layout.addStream(stream.op);
    layOutStream(s);
  }
}

Value WalkEmitter::tensorAt(Value slots, Value tensor,
                            ArrayRef<Value> indices) {
  Value base = e.asPtr(tensorSlot(slots, tensor, 0));
  int64_t bytes = Emitter::bytesOf(getElementTypeOrSelf(tensor.getType()));
  Value offset = e.c(0);
  for (auto [axis, index] : llvm::enumerate(indices))
    offset = e.add(offset,
                   e.mul(index, tensorSlot(slots, tensor, 5 + int64_t(axis))));
  return e.at(base, e.mul(offset, bytes));
}

size_t WalkEmitter::twinOf(size_t s, size_t caseIndex) {
  ArrayRef<tile::CaseOp> cases = streams[s].cases;
  return llvm::find(cases, tile::firstWithMaskOf(cases[caseIndex])) -
         cases.begin();
}

void WalkEmitter::foldKeys(size_t s, int caseIndex, Value scratch, Value key,
                           Value n) {
  e.call(caseIndex >= 0 ? streams[s].maskedChunk[caseIndex]
                        : streams[s].fullChunk,
         {scratch, key, n});
}
