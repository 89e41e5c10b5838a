//===- AmpereProducts.cpp - products and the loop over entries ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A warp multiplies slabs of 16 rows of queries: with two, each fragment of K
// and V that it reads from shared memory serves twice, and reading them takes
// less time than the products. Fragments of Q are read anew for every chunk:
// all of them would need more registers than there are.
//
// P in registers has the layout that mma.sync wants of A.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/AmpereKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

// A lane names row `lane % 8` of matrix `lane / 8` of the four that ldmatrix
// reads. Tiles start at multiples of 1024 bytes and matrices at multiples of 8
// rows, so the swizzle is the lane's own, and 16 columns on are 32 bytes away
// by exclusive or.

SmallVector<Values> AmpereKernel::emitScores(Value stage) {
  Value row = p.bitAnd(lane, 7), matrix = p.shr(lane, 3);
  Value low = p.bitAnd(matrix, 1), high = p.shr(matrix, 1);
  auto at = [&](Value tile, Value half, Value piece) {
    Value line = p.add(p.mul(half, 8), row);
    return p.add(p.add(tile, p.mul(line, kRowBytes)),
                 p.mul(p.bitXor(piece, row), 16));
  };
  // A: rows, then columns; B: columns of K, then keys.
  Value q = p.add(address(offQuery), p.mul(warp, 16 * slabs * kRowBytes));
  q = at(q, low, high);
  Value k = at(address(offKeys, stage, keyBytes), high, low);
  SmallVector<Values> scores(slabs, Values(keys / 2, p.cf(0.0f)));
  for (int32_t step = 0; step < (shape.keyDim + 15) / 16; ++step) {
    Value turn = p.c(step % 4 * 32);
    SmallVector<Values> a;
    for (int32_t m = 0; m < slabs; ++m) {
      a.push_back(p.loadMatrices(p.bitXor(q, turn),
                                 (step / 4 * rows + 16 * m) * kRowBytes, 4,
                                 /*transposed=*/false));
      if (queryFactor < 0)
        for (Value &word : a.back())
          word = p.bitXor(word, p.c(int32_t(0x80008000)));
    }
    for (int32_t pair = 0; pair < keys / 16; ++pair) {
      Values b = p.loadMatrices(p.bitXor(k, turn),
                                (step / 4 * keys + 16 * pair) * kRowBytes, 4,
                                /*transposed=*/false);
      for (int32_t m = 0; m < slabs; ++m)
        for (int32_t half = 0; half < 2; ++half) {
          auto sums = MutableArrayRef(scores[m]).slice(8 * pair + 4 * half, 4);
          llvm::copy(p.multiply(keyType, ValueRange(sums), a[m],
                                ValueRange(ArrayRef(b).slice(2 * half, 2))),
                     sums.begin());
        }
    }
  }
  return scores;
}

void AmpereKernel::emitProduct(MutableArrayRef<Values> sums,
                               ArrayRef<Values> weights, Value stage) {
  Value row = p.bitAnd(lane, 7), matrix = p.shr(lane, 3);
  Value line = p.add(p.mul(p.bitAnd(matrix, 1), 8), row);
  Value v =
      p.add(address(offValues, stage, valueBytes), p.mul(line, kRowBytes));
  v = p.add(v, p.mul(p.bitXor(p.shr(matrix, 1), row), 16));
  int32_t groups = shape.valueDim / 8; // of 8 columns
  for (int32_t step = 0; step < keys / 16; ++step)
    for (int32_t g = 0; g < groups; g += 2) {
      int32_t width = std::min(2, groups - g);
      Values b = p.loadMatrices(p.bitXor(v, p.c(g % 8 * 16)),
                                (g / 8 * keys + 16 * step) * kRowBytes,
                                2 * width, /*transposed=*/true);
      for (int32_t m = 0; m < slabs; ++m)
        for (int32_t half = 0; half < width; ++half) {
          auto part = MutableArrayRef(sums[m]).slice(4 * (g + half), 4);
          llvm::copy(
              p.multiply(keyType, ValueRange(part),
                         ValueRange(ArrayRef(weights[m]).slice(4 * step, 4)),
                         ValueRange(ArrayRef(b).slice(2 * half, 2))),
              part.begin());
        }
    }
}

//===----------------------------------------------------------------------===//
// The loop
//===----------------------------------------------------------------------===//

void AmpereKernel::selectSlab(int32_t m) {
  rowInTile = p.add(p.add(p.mul(warp, 16 * slabs), p.shr(lane, 2)), 16 * m);
}

/// Of each slab: sums, maxima, sums of weights.
Values AmpereKernel::emitInitialSums() {
  Values sums;
  for (int32_t m = 0; m < slabs; ++m) {
    sums.append(shape.valueDim / 2, p.cf(0.0f));
    sums.append(2, p.cf(-std::numeric_limits<float>::infinity()));
    sums.append(2, p.cf(0.0f));
  }
  return sums;
}

/// `state`: sums, then the entry's index. Returns the same behind the last run.
Values AmpereKernel::emitRun(ValueRange state) {
  size_t oCount = shape.valueDim / 2, slabCount = oCount + 4;
  size_t sumCount = slabs * slabCount;
  auto least = [&](Value a, Value x) -> Value {
    return arith::MinSIOp::create(builder, e.loc, a, x);
  };
  // The chunk at hand: its first key, the keys of its run from there on, the
  // case, the entry's index, the stage.
  enum { kKey, kLeft, kCode, kIndex, kStage };
  struct Next {
    Entry left;
    Value index;
  };
  // More of the run, or the next entry.
  auto nextOf = [&](ValueRange chunk) -> Next {
    Value goesOn = p.lt(p.c(keys), chunk[kLeft]);
    Value index = p.add(chunk[kIndex], 1);
    Entry entry = readEntry(index);
    return {{p.select(goesOn, p.add(chunk[kKey], keys), entry.key),
             p.select(goesOn, p.add(chunk[kLeft], -keys), entry.n),
             p.select(goesOn, chunk[kCode], entry.code)},
            p.select(goesOn, chunk[kIndex], index)};
  };
  auto load = [&](Value stage, const Entry &left) {
    emitLoadChunk(stage, {left.key, least(left.n, p.c(keys)), left.code});
  };
  Values init(state.take_front(sumCount));
  Entry run = readEntry(state[sumCount]);
  if (stages > 1)
    load(p.c(0), run);
  init.append({run.key, run.n, run.code, state[sumCount], p.c(0)});

  // One more chunk; `masked`: it may need a mask.
  auto foldChunk = [&](ValueRange at, bool masked) -> Values {
    ValueRange chunk = at.drop_front(sumCount);
    Value stage = chunk[kStage];
    Value other = p.bitXor(stage, p.c(stages - 1));
    if (stages == 1) {
      p.syncBlock();
      load(stage, {chunk[kKey], chunk[kLeft], chunk[kCode]});
    }
    p.waitCopies();
    p.syncBlock();
    Next following = nextOf(chunk);
    if (stages > 1)
      e.ifThen(p.lt(p.c(-1), following.left.code),
               [&] { load(other, following.left); });
    askThread();
    chunkKey = chunk[kKey];
    chunkCount = least(chunk[kLeft], p.c(keys));
    chunkCode = chunk[kCode];
    SmallVector<Values> scores = emitScores(stage), o, weights, ends;
    for (int32_t m = 0; m < slabs; ++m) {
      ValueRange slab = at.slice(m * slabCount, slabCount);
      selectSlab(m);
      Values scaled;
      Values logits = emitLogits(scores[m], masked);
      Weights folded = emitSoftmax(logits, slab.slice(oCount, 2));
      weights.push_back(packWeights(folded.weights));
      Values end = folded.top;
      Value alpha[2];
      for (int row = 0; row < 2; ++row) {
        alpha[row] = p.ex2(
            p.fma(slab[oCount + row], p.cf(logitFactor), folded.shift[row]));
        end.push_back(
            p.fma(slab[oCount + 2 + row], alpha[row], folded.sums[row]));
      }
      for (size_t x = 0; x < oCount; ++x)
        scaled.push_back(p.fmul(slab[x], alpha[rowOf(x)]));
      o.push_back(scaled);
      ends.push_back(end);
    }
    emitProduct(o, weights, stage);
    Values next;
    for (int32_t m = 0; m < slabs; ++m) {
      llvm::append_range(next, o[m]);
      llvm::append_range(next, ends[m]);
    }
    // Read once more: it need not be kept.
    following = nextOf(chunk);
    next.append({following.left.key, following.left.n, following.left.code,
                 following.index, other});
    return next;
  };
  auto isRun = [&](ValueRange at) {
    return p.lt(p.c(-1), at[sumCount + kCode]);
  };
  auto isFull = [&](ValueRange at) {
    Value plain =
        arith::CmpIOp::create(builder, e.loc, arith::CmpIPredicate::ult,
                              at[sumCount + kCode], p.c(256));
    return e.band(p.lt(p.c(keys - 1), at[sumCount + kLeft]), plain);
  };
  // Full chunks have a loop without a mask to themselves.
  Values folded = e.whileLoop(init, isRun, [&](ValueRange at) -> Values {
    Values rest = e.whileLoop(at, isFull, [&](ValueRange inner) {
      return foldChunk(inner, /*masked=*/false);
    });
    return ifChanged(isRun(rest), rest, [&](Values last) {
      return foldChunk(last, /*masked=*/true);
    });
  });
  ValueRange done = folded;
  Values after(done.take_front(sumCount));
  after.push_back(done[sumCount + kIndex]);
  return after;
}

void AmpereKernel::emitLoop() {
  size_t oCount = shape.valueDim / 2, slabCount = oCount + 4;
  Values state = emitInitialSums();
  state.push_back(p.c(0));
  SmallVector<Type> carried(ValueRange(state).getTypes());
  SmallVector<Location> locs(carried.size(), e.loc);
  auto loop = scf::WhileOp::create(builder, e.loc, carried, state);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&loop.getBefore(), {}, carried, locs);
  Value code = readEntry(block->getArguments().back()).code;
  Value goesOn = arith::CmpIOp::create(builder, e.loc, arith::CmpIPredicate::ne,
                                       code, p.c(kQuit));
  scf::ConditionOp::create(builder, e.loc, goesOn, block->getArguments());

  block = builder.createBlock(&loop.getAfter(), {}, carried, locs);
  Values at(block->getArguments());
  Value index = at.back();
  Entry entry = readEntry(index);
  auto is = [&](int32_t kind) { return p.eq(entry.code, p.c(kind)); };
  e.ifThen(is(kMore), [&] {
    p.syncBlock();
    askThread();
    e.ifThen(p.eq(thread, p.c(0)), [&] { emitWalkMore(); });
    p.syncBlock();
  });
  e.ifThen(is(kEnd), [&] {
    p.waitCopies(); // of a tile without keys
    p.syncBlock();
    askThread();
    for (int32_t m = 0; m < slabs; ++m) {
      ValueRange slab = ValueRange(at).slice(m * slabCount, slabCount);
      selectSlab(m);
      State result;
      llvm::append_range(result.o, slab.take_front(oCount));
      llvm::append_range(result.m, slab.slice(oCount, 2));
      llvm::append_range(result.l, slab.take_back(2));
      emitEpilogue(result);
    }
  });
  Values next = at;
  next.back() = p.select(is(kMore), p.c(0), p.add(index, 1));
  next = ifChanged(is(kBegin), next, [&](Values values) {
    p.syncBlock();
    emitLoadQuery(entry.key);
    // The words are read before the first chunk is waited for.
    p.syncBlock();
    Values fresh = emitInitialSums();
    fresh.push_back(values.back());
    return fresh;
  });
  next = ifChanged(p.lt(p.c(-1), entry.code), next, [&](Values values) {
    values.back() = index;
    return emitRun(values);
  });
  scf::YieldOp::create(builder, e.loc, next);
}
