//===- Consumer.cpp - a warpgroup: products, softmax, and the result ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// 64 rows of queries a warpgroup. Element k of an accumulator of a thread is
// row 16 warp + lane / 4 + 8 (k / 2 % 2) and column 8 (k / 4) + 2 (lane % 4) +
// k % 2; P in registers has the layout that wgmma wants of A.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/HopperKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

/// Which of its two rows element k of an accumulator is in.
static int rowOf(size_t k) { return k / 2 % 2; }

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Descriptor steps of k16, K-major tiles of `tileRows` rows.
static SmallVector<int32_t> majorSteps(int64_t dim, int32_t tileRows) {
  SmallVector<int32_t> steps;
  for (int32_t k = 0; k < (dim + 15) / 16; ++k)
    steps.push_back((k / 4 * tileRows * 128 + k % 4 * 32) >> 4);
  return steps;
}

Values HopperKernel::emitScores(Value stage) {
  Value q = p.add(address(offQuery), p.mul(group, 64 * 128));
  Value k = address(offKeys, stage, keyBytes);
  return p.wgmmaShared({keyType, queryFactor < 0}, keys,
                       p.descriptor(q, 16, 1024), p.descriptor(k, 16, 1024),
                       majorSteps(shape.keyDim, rows),
                       majorSteps(shape.keyDim, keys));
}

Values HopperKernel::emitProduct(ValueRange o, ValueRange probabilities,
                                 Value stage) {
  Value v = address(offValues, stage, valueBytes);
  SmallVector<int32_t> steps;
  for (int32_t k = 0; k < keys / 16; ++k)
    steps.push_back(k * 16 * 128 >> 4);
  return p.wgmmaRegisters({keyType}, shape.valueDim, o, probabilities,
                          p.descriptor(v, keys * 128, 1024), steps);
}

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

/// Edge of `stream` and mask of its case on every score; keys beyond the
/// chunk's are masked wherever a case is.
Values HopperKernel::emitOn(Values s, size_t index, int caseIndex, bool edge) {
  auto tileWord = [&](int64_t word) -> Value {
    return p.loadShared(e.i64(), address(offTile + 8 * word));
  };
  int64_t streamWord = layout.stream[index] / 8;
  Value position = tileWord(streamWord + cpu::kPosition);
  Value keyBase = tileWord(streamWord + cpu::kKeyBase);
  Value row0 = e.add(tileWord(cpu::kRow0), tileWord(cpu::kQueryBase));
  Value lastRow = e.add(tileWord(cpu::kRows), -1);
  Value key = p.wide(chunkKey);
  Value lastKey = p.add(chunkCount, -1);
  cpu::BodyEmitter bodies(e, interface, slots);
  cpu::PairPlace place;
  place.b = tileWord(cpu::kDocument);
  place.h = tileWord(cpu::kHead);
  Value minusInf = p.cf(-std::numeric_limits<float>::infinity());
  for (size_t k = 0; k < s.size(); ++k) {
    Value row = p.wide(p.add(rowInTile, 8 * rowOf(k)));
    Value column = p.add(columnPair, int32_t(8 * (k / 4) + k % 2));
    // What lies beyond stays inside bias tensors; nobody reads it.
    Value inside =
        p.wide(arith::MinSIOp::create(builder, e.loc, column, lastKey));
    place.i = e.add(position, row);
    place.j = e.add(key, p.wide(column));
    place.row = e.add(row0, e.min(row, lastRow));
    place.col = e.add(e.add(key, inside), keyBase);
    if (edge) {
      s[k] = p.fmul(s[k], p.cf(streams[index].op.getScale().convertToDouble()));
      if (streams[index].edge)
        s[k] =
            bodies.evaluate(streams[index].edge.getBody().front(), place, s[k]);
      continue;
    }
    Value keep = p.lt(column, chunkCount);
    if (caseIndex >= 0)
      keep = e.band(
          keep, bodies.evaluate(
                    streams[index].cases[caseIndex].getMask().front(), place));
    s[k] = p.select(keep, s[k], minusInf);
  }
  return s;
}

/// if (cond) values = then(values).
static Values ifChanged(Ptx &p, Value cond, Values values,
                        llvm::function_ref<Values(Values)> then) {
  auto op = scf::IfOp::create(p.b, p.loc, ValueRange(values).getTypes(), cond,
                              /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(p.b);
  p.b.setInsertionPointToStart(op.elseBlock());
  scf::YieldOp::create(p.b, p.loc, values);
  p.b.setInsertionPointToStart(op.thenBlock());
  scf::YieldOp::create(p.b, p.loc, then(values));
  return Values(op.getResults());
}

Values HopperKernel::emitLogits(Values s, bool masked) {
  if (!plainScores)
    for (size_t k = 0; k < streams.size(); ++k) {
      auto edge = [&](Values values) { return emitOn(values, k, -1, true); };
      s = streams.size() == 1
              ? edge(s)
              : ifChanged(p, p.eq(p.bitAnd(chunkCode, 255), p.c(k)), s, edge);
    }
  if (!masked)
    return s;
  Value partial = e.bor(p.lt(p.c(255), chunkCode), p.lt(chunkCount, p.c(keys)));
  return ifChanged(p, partial, s, [&](Values values) {
    Value whole = p.lt(chunkCode, p.c(256));
    values = ifChanged(p, whole, values,
                       [&](Values v) { return emitOn(v, 0, -1, false); });
    for (size_t k = 0; k < streams.size(); ++k)
      for (size_t x = 0; x < streams[k].cases.size(); ++x)
        if (!streams[k].cases[x].getMask().empty())
          values = ifChanged(p, p.eq(chunkCode, p.c(int32_t(k | (x + 1) << 8))),
                             values,
                             [&](Values v) { return emitOn(v, k, x, false); });
    return values;
  });
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// Row maxima of `s` and `top`; weights = 2^(c (s - max)), 0 where max is -inf.
/// Returns the maxima and the sums of this thread's weights.
std::pair<Values, Values>
HopperKernel::emitSoftmax(ValueRange s, ValueRange top, Values &weights) {
  Values best, sums;
  Value factor = p.cf(logitFactor);
  Values shift;
  for (int row = 0; row < 2; ++row) {
    // Two chains a row: one would wait for itself.
    Value chains[2];
    for (size_t k = 0; k < s.size(); ++k)
      if (rowOf(k) == row) {
        Value &chain = chains[k % 2];
        chain = chain ? p.fmax(chain, s[k]) : s[k];
      }
    Value m = p.fmax(chains[0], chains[1]);
    m = p.fmax(m, p.shuffleXor(m, 1));
    m = p.fmax(m, p.shuffleXor(m, 2));
    if (!top.empty())
      m = p.fmax(m, top[row]);
    best.push_back(m);
    Value none = p.isValue(m, -std::numeric_limits<float>::infinity());
    Value used = p.select(none, p.cf(0.0f), m);
    shift.push_back(p.fmul(used, p.cf(-logitFactor)));
  }
  weights.clear();
  for (size_t k = 0; k < s.size(); ++k)
    weights.push_back(p.ex2(p.fma(s[k], factor, shift[rowOf(k)])));
  for (int row = 0; row < 2; ++row) {
    Value chains[2];
    for (size_t k = 0; k < s.size(); ++k)
      if (rowOf(k) == row) {
        Value &chain = chains[k % 2];
        chain = chain ? p.fadd(chain, weights[k]) : weights[k];
      }
    sums.push_back(p.fadd(chains[0], chains[1]));
  }
  return {best, sums};
}

Values HopperKernel::packWeights(ValueRange weights) {
  Values packed;
  for (size_t k = 0; k < weights.size(); k += 2)
    packed.push_back(p.pack(keyType, weights[k], weights[k + 1]));
  return packed;
}

//===----------------------------------------------------------------------===//
// The loop
//===----------------------------------------------------------------------===//

void HopperKernel::emitConsumer() {
  Value lane0 = p.eq(lane, p.c(0));
  rowInTile = p.add(p.add(p.mul(group, 64), p.mul(warp, 16)), p.shr(lane, 2));
  columnPair = p.mul(p.bitAnd(lane, 3), 2);
  Type f32 = e.f32(), i32 = e.i32();
  auto release = [&](int32_t ring, Value stage) {
    p.barrierArriveIf(lane0, address(ring, stage, 8));
  };
  // The words of the chunk in `stage`.
  auto readChunk = [&](Value stage) {
    Value words = address(offChunk, stage, 16);
    chunkKey = p.loadShared(i32, words);
    chunkCount = p.loadShared(i32, p.add(words, 4));
    chunkCode = p.loadShared(i32, p.add(words, 8));
    // One lane gives the stage back for all.
    p.syncWarp();
  };

  auto tiles = scf::WhileOp::create(builder, e.loc, TypeRange{i32, i32, i32},
                                    ValueRange{p.c(0), p.c(0), p.c(0)});
  OpBuilder::InsertionGuard guard(builder);
  // Passes, key stages and value stages used so far.
  auto begin = [&](Region &region) {
    Block *block = builder.createBlock(&region, {}, TypeRange{i32, i32, i32},
                                       SmallVector<Location>(3, e.loc));
    return ValueRange(block->getArguments());
  };
  ValueRange before = begin(tiles.getBefore());
  p.barrierWait(address(barrier(kQueryFull)), p.bitAnd(before[0], 1));
  Value word = p.loadShared(e.i64(), address(offTile));
  Value more = arith::CmpIOp::create(builder, e.loc, arith::CmpIPredicate::ne,
                                     word, e.c(-1));
  scf::ConditionOp::create(builder, e.loc, more, before);

  ValueRange counts = begin(tiles.getAfter());
  Value pass = counts[0];
  Stage first = stageOf(counts[1]);
  p.barrierWait(address(keyFull(0), first.index, 8), first.parity);
  readChunk(first.index);
  size_t oCount = shape.valueDim / 2, pCount = keys / 4;

  // A pass without chunks: zeros, and -inf.
  SmallVector<Type> types(oCount, f32);
  types.append(4, f32);
  types.append(2, i32);
  auto some =
      scf::IfOp::create(builder, e.loc, types, p.lt(p.c(-1), chunkCode), true);
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(some.elseBlock());
    release(keyEmpty(), first.index);
    Values none(oCount, p.cf(0.0f));
    Value minusInf = p.cf(-std::numeric_limits<float>::infinity());
    none.append({minusInf, minusInf, p.cf(0.0f), p.cf(0.0f)});
    none.append({p.add(counts[1], 1), counts[2]});
    scf::YieldOp::create(builder, e.loc, none);

    builder.setInsertionPointToStart(some.thenBlock());
    p.wgmmaFence();
    Values s = emitScores(first.index);
    p.wgmmaCommit();
    s = p.wgmmaWait(0, s, {});
    release(keyEmpty(), first.index);
    s = emitLogits(s, /*masked=*/true);
    Values weights;
    auto [top, sums] = emitSoftmax(s, {}, weights);
    Values state(oCount, p.cf(0.0f));
    llvm::append_range(state, packWeights(weights));
    llvm::append_range(state, top);
    llvm::append_range(state, sums);
    auto nextChunk = [&](Value number) {
      Stage stage = stageOf(number);
      p.barrierWait(address(keyFull(0), stage.index, 8), stage.parity);
      readChunk(stage.index);
    };
    Value second = p.add(counts[1], 1);
    nextChunk(second);
    state.append({second, counts[2], chunkKey, chunkCount, chunkCode});

    SmallVector<Type> carried(ValueRange(state).getTypes());
    SmallVector<Location> locs(carried.size(), e.loc);
    // One more chunk; `masked`: it may need a mask.
    auto foldChunk = [&](ValueRange at, bool masked) -> Values {
      Values o(at.take_front(oCount));
      Values held(at.slice(oCount, pCount));
      ValueRange m = at.slice(oCount + pCount, 2);
      ValueRange l = at.slice(oCount + pCount + 2, 2);
      ValueRange rest = at.drop_front(oCount + pCount + 4);
      Value keysUsed = rest[0], valuesUsed = rest[1];
      Stage k = stageOf(keysUsed), v = stageOf(valuesUsed);
      chunkKey = rest[2];
      chunkCount = rest[3];
      chunkCode = rest[4];
      Values both(o);
      llvm::append_range(both, held);
      both = p.wgmmaFence(both);
      o.assign(both.begin(), both.begin() + oCount);
      held.assign(both.begin() + oCount, both.end());
      s = emitScores(k.index);
      p.wgmmaCommit();
      p.barrierWait(address(valueFull(), v.index, 8), v.parity);
      p.wgmmaFence();
      o = emitProduct(o, held, v.index);
      p.wgmmaCommit();
      s = p.wgmmaWait(1, s, {});
      release(keyEmpty(), k.index);
      s = emitLogits(s, masked);
      auto [nextTop, nextSums] = emitSoftmax(s, m, weights);
      Values alpha, nextL;
      for (int row = 0; row < 2; ++row) {
        Value none =
            p.isValue(nextTop[row], -std::numeric_limits<float>::infinity());
        Value used = p.select(none, p.cf(0.0f), nextTop[row]);
        alpha.push_back(p.ex2(p.fmul(p.fsub(m[row], used), p.cf(logitFactor))));
        nextL.push_back(p.fma(l[row], alpha[row], nextSums[row]));
      }
      Value next = p.add(keysUsed, 1);
      nextChunk(next);
      o = p.wgmmaWait(0, o, held);
      release(valueEmpty(), v.index);
      for (size_t x = 0; x < o.size(); ++x)
        o[x] = p.fmul(o[x], alpha[rowOf(x)]);
      Values after(o);
      llvm::append_range(after, packWeights(weights));
      llvm::append_range(after, nextTop);
      llvm::append_range(after, nextL);
      after.append(
          {next, p.add(valuesUsed, 1), chunkKey, chunkCount, chunkCode});
      return after;
    };
    // while (cond(state)) state = body(state).
    auto whileState = [&](ValueRange init,
                          llvm::function_ref<Value(ValueRange)> cond,
                          llvm::function_ref<Values(ValueRange)> body) {
      auto op = scf::WhileOp::create(builder, e.loc, carried, init);
      OpBuilder::InsertionGuard loop(builder);
      Block *block = builder.createBlock(&op.getBefore(), {}, carried, locs);
      scf::ConditionOp::create(builder, e.loc, cond(block->getArguments()),
                               block->getArguments());
      block = builder.createBlock(&op.getAfter(), {}, carried, locs);
      scf::YieldOp::create(builder, e.loc, body(block->getArguments()));
      return op.getResults();
    };
    auto isEnd = [&](ValueRange at) { return p.lt(at.back(), p.c(0)); };
    auto isFull = [&](ValueRange at) {
      Value whole = p.eq(at[at.size() - 2], p.c(keys));
      Value plain = arith::CmpIOp::create(
          builder, e.loc, arith::CmpIPredicate::ult, at.back(), p.c(256));
      return e.band(whole, plain);
    };
    // Full chunks have a loop without a mask to themselves.
    ValueRange done = whileState(
        state, [&](ValueRange at) { return e.bnot(isEnd(at)); },
        [&](ValueRange at) -> Values {
          ValueRange rest = whileState(at, isFull, [&](ValueRange inner) {
            return foldChunk(inner, /*masked=*/false);
          });
          return ifChanged(
              p, e.bnot(isEnd(rest)), Values(rest),
              [&](Values last) { return foldChunk(last, /*masked=*/true); });
        });
    // The chunk of the end holds no keys.
    Value keysUsed = done[oCount + pCount + 4];
    Value valuesUsed = done[oCount + pCount + 5];
    release(keyEmpty(), stageOf(keysUsed).index);
    Stage v = stageOf(valuesUsed);
    p.barrierWait(address(valueFull(), v.index, 8), v.parity);
    Values both(done.take_front(oCount + pCount));
    both = p.wgmmaFence(both);
    Values held(ArrayRef(both).drop_front(oCount));
    Values o = emitProduct(ValueRange(both).take_front(oCount), held, v.index);
    p.wgmmaCommit();
    o = p.wgmmaWait(0, o, held);
    release(valueEmpty(), v.index);
    llvm::append_range(o, done.slice(oCount + pCount, 4));
    o.append({p.add(keysUsed, 1), p.add(valuesUsed, 1)});
    scf::YieldOp::create(builder, e.loc, o);
  }
  ValueRange result = some.getResults();
  State state;
  state.o.assign(result.begin(), result.begin() + oCount);
  state.m.assign(result.begin() + oCount, result.begin() + oCount + 2);
  state.l.assign(result.begin() + oCount + 2, result.begin() + oCount + 4);
  emitEpilogue(state);
  release(barrier(kQueryEmpty), p.c(0));
  scf::YieldOp::create(
      builder, e.loc,
      ValueRange{p.add(pass, 1), result[oCount + 4], result[oCount + 5]});
}

//===----------------------------------------------------------------------===//
// The end of a softmax
//===----------------------------------------------------------------------===//

void HopperKernel::emitEpilogue(const State &state) {
  auto tileWord = [&](int64_t word) -> Value {
    return p.loadShared(e.i64(), address(offTile + 8 * word));
  };
  Value batch = tileWord(cpu::kBatch), head = tileWord(cpu::kHead);
  Value row0 = e.add(tileWord(cpu::kRow0), tileWord(cpu::kQueryBase));
  Value count = p.narrow(tileWord(cpu::kRows));
  Value minusInf = p.cf(-std::numeric_limits<float>::infinity());
  Values inverse;
  for (int row = 0; row < 2; ++row) {
    Value l = p.fadd(state.l[row], p.shuffleXor(state.l[row], 1));
    l = p.fadd(l, p.shuffleXor(l, 2));
    Value top = p.fmul(state.m[row], p.cf(logitFactor)); // base 2
    Value scale = p.cf(1.0f);
    if (Value sink = storeOp.getSink()) {
      // One more logit, with value zero.
      Value entry = e.load(e.f32(), tensorAt(slots, sink, {head}), 4);
      Value logit = p.fmul(entry, p.cf(cpu::kLog2e));
      Value best = p.fmax(logit, top);
      Value none = p.isValue(best, -std::numeric_limits<float>::infinity());
      Value shift = p.select(none, p.cf(0.0f), best);
      scale = p.ex2(p.fsub(top, shift));
      l = p.fma(l, scale, p.ex2(p.fsub(logit, shift)));
      top = best;
    }
    Value empty = p.isValue(l, 0.0f);
    inverse.push_back(p.select(empty, p.cf(0.0f), p.fmul(scale, p.rcp(l))));
    Value lse = p.fmul(p.fadd(p.lg2(l), top), p.cf(cpu::kLn2));
    lse = p.select(empty, minusInf, lse);
    Value number = p.add(rowInTile, 8 * row);
    Value writes = e.band(p.eq(columnPair, p.c(0)), p.lt(number, count));
    e.ifThen(writes, [&] {
      Value at = e.add(row0, p.wide(number));
      e.store(lse, tensorAt(slots, storeOp.getLse(), {batch, head, at}), 4);
    });
  }

  // Q is read no more once every warp of the group has come here.
  p.syncNamed(p.add(group, 1), 128);
  Value warpRow = p.add(p.mul(group, 64), p.mul(warp, 16));
  Value warpAt = p.add(address(offQuery), p.mul(warpRow, 128));
  Value swizzle = p.bitAnd(lane, 7);
  // Row of the lane among the 16, by halves of 8, for stmatrix.
  Value laneRow = p.bitAnd(lane, 15);
  Value laneAt = p.add(warpAt, p.mul(laneRow, 128));
  int64_t groups = shape.valueDim / 8; // of 8 columns
  for (int64_t g = 0; g < groups; g += 2) {
    int64_t width = std::min<int64_t>(2, groups - g);
    Values registers;
    for (int64_t x = g; x < g + width; ++x)
      for (int row = 0; row < 2; ++row) {
        int64_t k = 4 * x + 2 * row;
        registers.push_back(p.pack(outputType, p.fmul(state.o[k], inverse[row]),
                                   p.fmul(state.o[k + 1], inverse[row])));
      }
    Value column = p.add(p.shr(lane, 4), g % 8);
    Value at = p.add(laneAt, int32_t(g / 8) * rows * 128);
    p.storeMatrices(p.add(at, p.mul(p.bitXor(column, swizzle), 16)), registers);
  }
  p.syncWarp();
  // 16 bytes a lane and turn, rows one after the other.
  Value output = storeOp.getOutput();
  Value base = tensorAt(slots, output, {batch, head, row0});
  Value stride = e.mul(tensorSlot(slots, output, 7), e.c(2));
  Type four = VectorType::get({4}, e.i32());
  int64_t pieces = 16 * groups;
  for (int64_t turn = 0; turn < pieces; turn += 32) {
    Value piece = p.add(lane, turn);
    Value row = p.div(piece, groups), column = p.rem(piece, groups);
    Value number = p.add(warpRow, row);
    Value inside = p.lt(number, count);
    if (turn + 32 > pieces)
      inside = e.band(inside, p.lt(piece, p.c(pieces)));
    Value at = p.add(warpAt, p.mul(row, 128));
    at = p.add(at, p.mul(p.div(column, 8), rows * 128));
    Value place = p.bitXor(p.bitAnd(column, 7), p.bitAnd(row, 7));
    e.ifThen(inside, [&] {
      Value data = p.loadShared(four, p.add(at, p.mul(place, 16)));
      Value offset =
          e.add(e.mul(p.wide(number), stride), p.wide(p.mul(column, 16)));
      LLVM::StoreOp::create(builder, e.loc, data, e.at(base, offset), 16);
    });
  }
  // The copy engine writes the next Q where these rows lay.
  p.fenceProxy();
  p.syncWarp();
}
