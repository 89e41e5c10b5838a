//===- ExactKernel.cpp - which rows are computed anew ---------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/ExactKernel.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

ExactKernel::ExactKernel(tile::KernelOp kernel, const CudaTarget &target,
                         StringRef prefix, ModuleOp module)
    : CudaKernel(kernel, target, prefix, module, LaunchRole::Exact) {
  sharedBytes = 0;
  pairs = llvm::divideCeil(shape.valueDim, 64);
  state = layout.take(kSums + 8 * pairs);
}

Value ExactKernel::isNaN(Value a) {
  return arith::CmpFOp::create(builder, e.loc, arith::CmpFPredicate::UNO, a, a);
}

Value ExactKernel::rowCount(Value slots) {
  Value query = fold.getQuery();
  return e.mul(e.mul(tensorSlot(slots, query, 1), tensorSlot(slots, query, 2)),
               tensorSlot(slots, query, 3));
}

void ExactKernel::emitRowUnits(StringRef name) {
  e.function(name, {e.ptr(), e.i64()}, {e.i64()},
             [&](ArrayRef<Value> args) -> SmallVector<Value> {
               return {e.ceilDiv(rowCount(args[0]), kWarps)};
             });
}

void ExactKernel::emitRoles(Value, Value warpOfBlock) {
  // In the entry block, or its size would not be known.
  Value memory;
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(builder.getInsertionBlock());
    memory =
        LLVM::AllocaOp::create(builder, e.loc, e.ptr(), builder.getI8Type(),
                               e.c(layout.bytes + tileBytes()), 16);
  }
  Value located = e.at(memory, layout.bytes);
  if (cuda.launchesFollow())
    p.waitForLaunches();
  Value mark = e.load(e.i32(), e.at(workspace, kMarkAt));
  e.ifThen(e.bnot(p.eq(mark, p.c(0))), [&] {
    Value first = p.add(p.mul(p.special("ctaid.x"), kWarps), warpOfBlock);
    Value step = p.mul(p.special("nctaid.x"), kWarps);
    Value query = fold.getQuery();
    Value heads = tensorSlot(slots, query, 2), nq = tensorSlot(slots, query, 3);
    e.loop(p.wide(first), rowCount(slots), p.wide(step), [&](Value number) {
      Value outer = e.udiv(number, nq);
      Row row = {e.udiv(outer, heads), e.urem(outer, heads),
                 e.urem(number, nq)};
      Value lse = e.load(e.f32(), tensorAt(slots, storeOp.getLse(),
                                           {row.batch, row.head, row.token}));
      e.ifThen(isNaN(lse), [&] { emitRow(row, memory, located); });
    });
  });
}

void ExactKernel::emitRow(const Row &row, Value scratch, Value located) {
  Value minusInf = p.cf(-std::numeric_limits<float>::infinity());
  RowTiles tiles = rowTiles(slots);
  Value outer =
      e.add(e.mul(row.batch, tensorSlot(slots, fold.getQuery(), 2)), row.head);
  Value rowTile = e.sub(e.add(tiles.count, -1), e.udiv(row.token, tiles.rows));
  Value tile = e.add(e.mul(outer, tiles.count), rowTile);
  emitFrameInit(scratch);
  emitFrameInit(located);
  emitLocate(located, slots, tile, [&] {
    Value first =
        e.add(frame(located, walk::kQueryBase), frame(located, walk::kRow0));
    Value end = e.add(first, frame(located, walk::kRows));
    e.ifThen(e.band(e.le(first, row.token), e.lt(row.token, end)), [&] {
      for (int64_t k = 0; k < tileWords(); ++k)
        e.storeI64(e.loadI64(located, k), scratch, k);
      e.store(e.sub(row.token, first), stateAt(scratch, kNumber));
    });
  });
  Value query =
      tensorAt(slots, fold.getQuery(), {row.batch, row.head, row.token});
  e.store(e.asInt(query), stateAt(scratch, kQueryAt));
  e.store(minusInf, stateAt(scratch, kTop));
  for (int64_t k = 0; k <= 2 * pairs; ++k)
    e.store(p.cf(0.0f), stateAt(scratch, kSum + 4 * k));
  for (walk::StreamCode &stream : streams)
    e.call(stream.walk, {scratch});

  // The last step adds what four lanes hold.
  Value l = e.load(e.f32(), stateAt(scratch, kSum));
  l = p.select(p.eq(p.bitAnd(lane, 3), p.c(0)), l, p.cf(0.0f));
  Value m = e.load(e.f32(), stateAt(scratch, kTop));
  auto [inverse, lse] = emitLastStep(m, l, row.head);
  SmallVector<Value> place = {row.batch, row.head, row.token};
  e.ifThen(p.eq(lane, p.c(0)), [&, lse = lse] {
    e.store(lse, tensorAt(slots, storeOp.getLse(), place), 4);
  });
  Value to = tensorAt(slots, storeOp.getOutput(), place);
  Value empty = p.isValue(lse, -std::numeric_limits<float>::infinity());
  for (int64_t t = 0; t < pairs; ++t)
    e.ifThen(hasColumn(t), [&, inverse = inverse] {
      auto result = [&](int64_t k) {
        Value o = e.load(e.f32(), stateAt(scratch, kSums + 8 * t + 4 * k));
        return p.select(empty, p.cf(0.0f), p.fmul(o, inverse));
      };
      Value both = p.pack(outputType, result(0), result(1));
      e.store(both, e.at(to, p.wide(p.mul(columnOf(t), 2))), 4);
    });
}
