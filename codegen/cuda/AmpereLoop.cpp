//===- AmpereLoop.cpp - the loop over entries and chunks ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A long chunk is folded in two parts. What is not asked of the tensor cores in
// between is put between products that do not need it:
//
//   S0 = Q K0^T;  S1 = Q K1^T, weights of S0;  rescale
//   O += P0 V0, weights of S1;  rescale;  O += P1 V1
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/AmpereKernel.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

Value AmpereKernel::rowWarp() { return p.add(p.mul(warp, slabs), slabAtHand); }

void AmpereKernel::selectSlab(int32_t m) {
  slabAtHand = m;
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

void AmpereKernel::emitLoadFirst(const Entry &run) {
  Value n = arith::MinSIOp::create(builder, e.loc, run.n, p.c(keys));
  emitLoadChunk(p.c(0), {run.key, n, run.code});
}

/// `state`: sums, the entry's index, whether its first chunk is being loaded.
/// Returns the same behind the last run.
Values AmpereKernel::emitRun(ValueRange state) {
  size_t oCount = shape.valueDim / 2, slabCount = oCount + 4;
  size_t sumCount = slabs * slabCount;
  auto least = [&](Value a, Value x) -> Value {
    return arith::MinSIOp::create(builder, e.loc, a, x);
  };
  // The chunk at hand: its first key, the entry's index and, above it, the
  // stage; whether it is of a run, and a full one.
  enum { kKey, kPlace, kRun, kFull };
  struct Chunk {
    Entry entry; ///< the keys of its run from there on
    Value index, stage;
  };
  auto chunkOf = [&](ValueRange at) -> Chunk {
    Value index = p.bitAnd(at[kPlace], kStageBit - 1);
    Entry entry = readEntry(index);
    Value past = p.sub(at[kKey], entry.key);
    return {{at[kKey], p.sub(entry.n, past), entry.code},
            index,
            p.shr(at[kPlace], llvm::Log2_32(kStageBit))};
  };
  // More of the run, or the next entry.
  auto nextOf = [&](const Chunk &chunk) -> Chunk {
    const Entry &run = chunk.entry;
    Value goesOn = p.lt(p.c(keys), run.n);
    Value index = p.add(chunk.index, 1);
    Entry entry = readEntry(index);
    return {{p.select(goesOn, p.add(run.key, keys), entry.key),
             p.select(goesOn, p.add(run.n, -keys), entry.n),
             p.select(goesOn, run.code, entry.code)},
            p.select(goesOn, chunk.index, index),
            p.bitXor(chunk.stage, p.c(stages - 1))};
  };
  auto stateOf = [&](const Chunk &chunk) -> Values {
    Value code = chunk.entry.code;
    Value plain = arith::CmpIOp::create(
        builder, e.loc, arith::CmpIPredicate::ult, code, p.c(256));
    return {chunk.entry.key, p.add(chunk.index, p.mul(chunk.stage, kStageBit)),
            p.lt(p.c(-1), code),
            e.band(p.lt(p.c(keys - 1), chunk.entry.n), plain)};
  };
  Values init(state.take_front(sumCount));
  shared = sharedBase;
  Entry run = readEntry(state[sumCount]);
  if (stages > 1)
    e.ifThen(e.bnot(state[sumCount + 1]), [&] { emitLoadFirst(run); });
  shared = sharedBase;
  llvm::append_range(init, stateOf({run, state[sumCount], p.c(0)}));

  // One more chunk; `masked`: it may need a mask.
  auto foldChunk = [&](ValueRange at, bool masked) -> Values {
    ValueRange words = at.drop_front(sumCount);
    askThread();
    if (stages == 1) {
      p.syncBlock();
      emitLoadFirst(chunkOf(words).entry);
    }
    // Where the next chunk is, is found out before this one is waited for.
    Chunk chunk = chunkOf(words), following = nextOf(chunk);
    Value stage = chunk.stage;
    SmallVector<Copy> copies;
    if (stages > 1) {
      const Entry &left = following.entry;
      // What is no run has no keys: zeros, that nobody reads.
      Value n =
          p.select(p.lt(p.c(-1), left.code), least(left.n, p.c(keys)), p.c(0));
      for (bool isValue : {false, true})
        copies.push_back(
            beginChunkCopy(following.stage, {left.key, n, left.code}, isValue));
    }
    p.waitCopies();
    p.syncBlock();
    for (Copy &copy : copies)
      emitCopy(copy);
    Value count = least(chunk.entry.n, p.c(keys));
    chunkCode = chunk.entry.code;
    SmallVector<Slab, 0> slab(slabs);
    for (int32_t m = 0; m < slabs; ++m) {
      ValueRange from = at.slice(m * slabCount, slabCount);
      slab[m].o = Values(from.take_front(oCount));
      slab[m].top = Values(from.slice(oCount, 2));
      slab[m].total = Values(from.take_back(2));
    }
    SmallVector<Weighed, 0> weighed;
    Steps steps;
    auto score = [&](int32_t part) {
      SmallVector<Values> scores = emitScores(stage, part, steps);
      steps.finish();
      chunkKey = p.add(chunk.entry.key, part * partKeys);
      chunkCount = p.add(count, -part * partKeys);
      for (int32_t m = 0; m < slabs; ++m) {
        selectSlab(m);
        slab[m].scores = emitLogits(scores[m], masked);
      }
    };
    auto weigh = [&] {
      weighed.assign(slabs, Weighed());
      steps = Steps();
      for (int32_t m = 0; m < slabs; ++m)
        addWeights(slab[m], weighed[m], steps);
    };
    auto multiply = [&](int32_t part) {
      SmallVector<Values> weights;
      for (Weighed &of : weighed)
        weights.push_back(of.weights);
      if (part + 1 < parts)
        weigh();
      emitProduct(slab, weights, stage, part, steps);
      steps.finish();
    };
    score(0);
    weigh();
    if (parts > 1)
      score(1);
    steps.finish();
    emitRescale(slab, weighed);
    for (int32_t part = 0; part < parts; ++part) {
      multiply(part);
      if (part + 1 < parts)
        emitRescale(slab, weighed);
    }
    Values next;
    for (Slab &of : slab)
      for (Values *values : {&of.o, &of.top, &of.total})
        llvm::append_range(next, *values);
    // Found out once more: it need not be kept.
    Values anew = {p.here(words[kKey]), p.here(words[kPlace])};
    llvm::append_range(next, stateOf(nextOf(chunkOf(anew))));
    return next;
  };
  auto isRun = [&](ValueRange at) { return at[sumCount + kRun]; };
  auto isFull = [&](ValueRange at) { return at[sumCount + kFull]; };
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
  after.push_back(p.bitAnd(done[sumCount + kPlace], kStageBit - 1));
  after.push_back(e.truth(false));
  return after;
}

Values AmpereKernel::emitBoundary(ValueRange state) {
  size_t oCount = shape.valueDim / 2, slabCount = oCount + 4;
  size_t sumCount = slabs * slabCount;
  shared = sharedBase;
  Value index = state[sumCount], code = readEntry(index).code;
  Value isEnd = p.eq(code, p.c(kEnd));
  Value after = readEntry(p.add(index, 1)).code;
  Value more = p.eq(p.select(isEnd, after, code), p.c(kMore));
  Value isWalked = e.band(more, p.eq(fillWord(kStopped), p.c(0)));
  p.waitCopies(); // of what is no run
  p.syncBlock();
  askThread();
  Values staged = ifElse(
      isEnd,
      [&]() -> Values {
        Value draws = e.band(isWalked, p.eq(thread, p.c(0)));
        Value drawn = ifChanged(draws, {p.c(0)}, [&](Values) -> Values {
          return {emitNextTile()};
        })[0];
        Staged staged;
        for (int32_t m = 0; m < slabs; ++m) {
          ValueRange slab = state.slice(m * slabCount, slabCount);
          selectSlab(m);
          State result;
          llvm::append_range(result.o, slab.take_front(oCount));
          llvm::append_range(result.m, slab.slice(oCount, 2));
          llvm::append_range(result.l, slab.take_back(2));
          if (few)
            emitResult(result);
          else
            staged = emitStage(result);
        }
        e.ifThen(draws, [&] { setFillWord(kTile, drawn); });
        if (few)
          return {e.c(0), p.c(0)};
        return {e.asInt(staged.base), staged.count};
      },
      [&]() -> Values {
        return {e.c(0), p.c(0)};
      });
  auto store = [&] {
    if (few)
      return; // done
    askThread();
    e.ifThen(isEnd, [&] {
      // In global memory, which its number does not say.
      Value base = LLVM::AddrSpaceCastOp::create(
          builder, e.loc, e.ptr(),
          LLVM::IntToPtrOp::create(
              builder, e.loc,
              LLVM::LLVMPointerType::get(builder.getContext(), 1), staged[0]));
      for (int32_t m = 0; m < slabs; ++m) {
        selectSlab(m);
        emitStore({base, staged[1]});
      }
    });
  };
  if (!ahead)
    store();
  e.ifThen(more, [&] {
    askThread();
    e.ifThen(p.eq(thread, p.c(0)), [&] { emitWalkMore(); });
    p.syncBlock();
  });
  shared = sharedBase;
  Value place = p.select(more, p.c(0), p.add(index, 1));
  Values next(state.take_front(sumCount));
  llvm::append_range(next, Values{place, e.truth(false)});
  Entry entry = readEntry(place);
  next = ifChanged(p.eq(entry.code, p.c(kBegin)), next, [&](Values) {
    e.ifThen(e.bnot(more), [&] { p.syncBlock(); });
    emitLoadQuery(entry.key);
    p.syncBlock(); // the words are there
    Value behind = p.add(place, 1);
    Entry run = readEntry(behind);
    Value loaded = e.truth(false);
    if (stages > 1) {
      loaded = p.lt(p.c(-1), run.code);
      e.ifThen(loaded, [&] { emitLoadFirst(run); });
    }
    Values fresh = emitInitialSums();
    llvm::append_range(fresh, Values{behind, loaded});
    return fresh;
  });
  if (ahead)
    store();
  return next;
}

void AmpereKernel::emitLoop() {
  Values state = emitInitialSums();
  llvm::append_range(state, Values{p.c(0), e.truth(false)});
  size_t sumCount = state.size() - 2;
  auto codeAt = [&](ValueRange at) {
    shared = sharedBase;
    return readEntry(at[sumCount]).code;
  };
  e.whileLoop(
      state,
      [&](ValueRange at) -> Value {
        return arith::CmpIOp::create(builder, e.loc, arith::CmpIPredicate::ne,
                                     codeAt(at), p.c(kQuit));
      },
      [&](ValueRange at) -> Values {
        return ifElse(
            p.lt(p.c(-1), codeAt(at)), [&] { return emitRun(at); },
            [&] { return emitBoundary(at); });
      });
}
