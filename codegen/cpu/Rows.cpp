//===- Rows.cpp - few queries against many keys: head dims in the lanes ---===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decoding holds one query a head, or a few: a panel would be mostly empty, and
// the time is that of reading the keys. Here a row of queries lies along its
// head dimension, and the query heads that share a key head are held together:
// row r is row r % kRows of the tile, of head kHead + r / kRows.
//
// Two bf16 are widened by one shift and one mask of the word that holds both,
// which leaves the even elements of a block in one vector and the odd ones in
// the next. q and o are kept in that order too, see `placeInRow`.
//
//   row_chunk(scratch, key, n):
//     K, V rows of [key, key + n); of keys in pages, page by page where they
//     are for R rows at a time:   s[r][j] = q[r] . k[j]      4 keys x R rows
//       edge; mask; softmax of each row, keys in the lanes
//       o[r] = alpha[r] o[r] + sum_j s[r][j] v[j]
//
//===----------------------------------------------------------------------===//
#include "codegen/cpu/KernelEmitter.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cpu;

/// Keys of the score kernel.
static int64_t keyGroup(const CpuTarget &target) {
  return target.registers >= 32 ? 4 : 2;
}

/// Sum of the lanes, as a tree.
static Value sumLanes(Emitter &e, Value vector) {
  return vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::ADD,
                                     vector, arith::FastMathFlags::reassoc);
}

/// Sums of the lanes of several vectors, a power of two, at most `lanes`: lane
/// x of the result is the sum of vectors[x]. Each round adds lanes that differ
/// in one bit, first those that make room for another vector.
static Value sumLanesOfAll(Emitter &e, SmallVector<Value> vectors) {
  int64_t lanes = e.lanes();
  for (int64_t width = 1; width < lanes; width *= 2) {
    SmallVector<int64_t> low(lanes), high(lanes);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      bool upper = lane & width;
      low[lane] = upper ? lanes + lane - width : lane;
      high[lane] = upper ? lanes + lane : lane + width;
    }
    SmallVector<Value> next;
    for (size_t k = 0; k < vectors.size(); k += 2) {
      // A vector without a partner is its own.
      Value a = vectors[k], x = vectors[k + 1 < vectors.size() ? k + 1 : k];
      next.push_back(e.fadd(vector::ShuffleOp::create(e.b, e.loc, a, x, low),
                            vector::ShuffleOp::create(e.b, e.loc, a, x, high)));
    }
    vectors = next;
  }
  return vectors[0];
}

/// Whether rows of `dim` elements are widened by pairs.
bool KernelEmitter::inPairs(int64_t dim) const {
  return keyType.isBF16() && dim % (2 * e.target.lanes) == 0;
}

/// Where element `d` of a row of `dim` is kept.
Value KernelEmitter::placeInRow(Value d, int64_t dim) {
  if (!inPairs(dim))
    return d;
  int64_t lanes = e.lanes();
  Value inner = e.urem(d, e.c(2 * lanes));
  Value odd = e.urem(inner, e.c(2));
  return e.add(e.add(e.sub(d, inner), e.mul(odd, lanes)),
               e.udiv(inner, e.c(2)));
}

/// `count` vectors of a stored row of `dim` elements, in the order of
/// `placeInRow`.
SmallVector<Value> KernelEmitter::loadRow(Value at, int64_t count,
                                          int64_t dim) {
  int64_t lanes = e.lanes(), bytes = Emitter::bytesOf(keyType);
  SmallVector<Value> vectors;
  for (int64_t x = 0; x < count; x += inPairs(dim) ? 2 : 1) {
    Value from = e.at(at, bytes * x * lanes);
    if (inPairs(dim))
      llvm::append_range(vectors, e.loadWidePair(from));
    else
      vectors.push_back(e.loadWideVec(keyType, from));
  }
  return vectors;
}

//===----------------------------------------------------------------------===//
// The two products
//===----------------------------------------------------------------------===//

/// row_scores_<rows>(q, k, k_stride, n, s, s_stride, ahead): dot products of
/// `rows` queries, keyDim floats apart, with n keys as they are stored; strides
/// in bytes. The keys `ahead` bytes on, of the next chunk, are asked for on the
/// way: one core alone waits for memory longer than it computes.
func::FuncOp KernelEmitter::emitRowScores(int64_t rows) {
  int64_t dim = shape.keyDim, lanes = e.lanes();
  int64_t whole = dim / lanes * lanes, bytes = Emitter::bytesOf(keyType);
  return e.function(
      named("row_scores_" + Twine(rows)),
      {e.ptr(), e.ptr(), e.i64(), e.i64(), e.ptr(), e.i64(), e.i64()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value q = args[0], k = args[1], stride = args[2], n = args[3],
              s = args[4], ahead = args[6];
        auto micro = [&](Value j, int64_t keys) {
          SmallVector<Value> keyAt;
          for (int64_t x = 0; x < keys; ++x)
            keyAt.push_back(e.at(k, e.mul(e.add(j, x), stride)));
          SmallVector<Value> acc(rows * keys, e.splat(0.0f));
          // Dense rows are asked for in the order of their addresses, as the
          // hardware's own prefetcher expects them; others row by row.
          Value nextAt = e.at(keyAt[0], ahead);
          Value dense = e.eq(stride, e.c(dim * bytes));
          Value rowStep = e.select(dense, e.c(64), stride);
          Value columnStep = e.select(dense, e.c(keys * bytes), e.c(bytes));
          // 64 bytes of every key a step.
          int64_t step =
              std::min<int64_t>(std::max<int64_t>(whole, lanes),
                                std::max<int64_t>(lanes, 64 / bytes));
          int64_t held = inPairs(dim) ? 2 : 1;
          while (step > held * lanes && whole % step != 0)
            step -= held * lanes;
          acc = e.loop(
              e.c(0), e.c(whole), step, acc, [&](Value d, ValueRange carried) {
                SmallVector<Value> next(carried);
                for (size_t x = 0; x < keyAt.size(); ++x)
                  e.prefetch(e.at(e.at(nextAt, e.mul(d, columnStep)),
                                  e.mul(rowStep, e.c(int64_t(x)))),
                             /*locality=*/2);
                int64_t vectors = step / lanes;
                for (int64_t u = 0; u < vectors; u += held) {
                  SmallVector<Value> queries;
                  for (int64_t r = 0; r < rows; ++r)
                    for (int64_t y = u; y < u + held; ++y)
                      queries.push_back(e.loadVec(e.at(
                          e.at(q, e.mul(d, 4)), 4 * (r * dim + y * lanes))));
                  for (int64_t x = 0; x < keys; ++x) {
                    SmallVector<Value> key =
                        loadRow(e.at(e.at(keyAt[x], e.mul(d, bytes)),
                                     bytes * u * lanes),
                                held, dim);
                    for (int64_t y = 0; y < held; ++y)
                      for (int64_t r = 0; r < rows; ++r)
                        next[r * keys + x] = e.fma(queries[r * held + y],
                                                   key[y], next[r * keys + x]);
                  }
                }
                return next;
              });
          // What the vectors leave over of the head dimension.
          auto tail = [&](Value sum, int64_t r, int64_t x) {
            for (int64_t d = whole; d < dim; ++d)
              sum = e.fadd(
                  sum, e.fmul(e.load(e.f32(), e.at(q, 4 * (r * dim + d)), 4),
                              e.loadWide(keyType, e.at(keyAt[x], bytes * d))));
            return sum;
          };
          auto rowAt = [&](int64_t r) {
            return e.at(s, e.add(e.mul(args[5], e.c(r)), e.mul(j, 4)));
          };
          if (keys == 1 || whole < dim) {
            for (int64_t x = 0; x < keys; ++x)
              for (int64_t r = 0; r < rows; ++r)
                e.store(tail(sumLanes(e, acc[r * keys + x]), r, x),
                        e.at(rowAt(r), 4 * x), 4);
            return;
          }
          for (size_t first = 0; first < acc.size(); first += lanes) {
            int64_t count = std::min<int64_t>(lanes, acc.size() - first);
            Value sums = sumLanesOfAll(
                e, SmallVector<Value>(ArrayRef(acc).slice(first, count)));
            for (int64_t x = 0; x < count; x += keys) {
              Value part = vector::ExtractStridedSliceOp::create(
                  e.b, e.loc, sums, ArrayRef<int64_t>{x},
                  ArrayRef<int64_t>{keys}, ArrayRef<int64_t>{1});
              e.store(part, rowAt((first + x) / keys), 4);
            }
          }
        };
        int64_t group = keyGroup(e.target);
        Value even = e.mul(e.udiv(n, e.c(group)), group);
        e.loop(e.c(0), even, group, [&](Value j) { micro(j, group); });
        e.loop(even, n, 1, [&](Value j) { micro(j, 1); });
        return {};
      });
}

/// row_accumulate_<rows>(s, s_stride, v, v_stride, n, o, alpha, ahead): o[r] =
/// alpha[r] o[r] + sum_j s[r][j] v[j]; a weight of kNoEdge contributes nothing,
/// even of inf and NaN, if `safe`.
func::FuncOp KernelEmitter::emitRowAccumulate(int64_t rows, bool safe) {
  int64_t dim = shape.valueDim, lanes = e.lanes();
  int64_t whole = dim / lanes * lanes, bytes = Emitter::bytesOf(keyType);
  return e.function(
      named("row_accumulate_" + Twine(rows) + (safe ? "_safe" : "")),
      {e.ptr(), e.i64(), e.ptr(), e.i64(), e.i64(), e.ptr(), e.ptr(), e.i64()},
      {}, [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value s = args[0], v = args[2], stride = args[3], n = args[4],
              o = args[5], ahead = args[7];
        Value dense = e.eq(stride, e.c(dim * bytes));
        SmallVector<Value> alpha;
        for (int64_t r = 0; r < rows; ++r)
          alpha.push_back(e.load(e.f32(), e.at(args[6], 4 * r), 4));
        auto weight = [&](int64_t r, Value j) {
          return e.load(e.f32(),
                        e.at(s, e.add(e.mul(args[1], e.c(r)), e.mul(j, 4))), 4);
        };
        auto add = [&](Value p, Value value, Value sum) -> Value {
          Value next = e.fma(p, value, sum);
          if (!safe)
            return next;
          return e.select(isNoEdge(e, p), sum, next);
        };
        // `width` vectors of the value dimension at a time.
        int64_t width = e.target.registers >= 32 ? 4 : 2;
        for (int64_t d = 0; d < whole; d += width * lanes) {
          int64_t count = std::min(width, (whole - d) / lanes);
          // From zero: a sum of few terms, then of few sums, loses less.
          SmallVector<Value> acc(rows * count, e.splat(0.0f));
          acc = e.loop(e.c(0), n, 1, acc, [&](Value j, ValueRange carried) {
            SmallVector<Value> next(carried), values;
            Value vAt = e.at(e.at(v, e.mul(j, stride)), bytes * d);
            int64_t part = count * lanes * bytes;
            Value nextAt =
                e.select(dense,
                         e.at(e.at(v, ahead),
                              e.add(e.mul(n, d * bytes), e.mul(j, part))),
                         e.at(vAt, ahead));
            for (int64_t at = 0; at < part; at += 64)
              e.prefetch(e.at(nextAt, at), /*locality=*/2);
            llvm::append_range(values, loadRow(vAt, count, dim));
            for (int64_t r = 0; r < rows; ++r) {
              Value p = e.splat(weight(r, j));
              for (int64_t x = 0; x < count; ++x)
                next[r * count + x] = add(p, values[x], next[r * count + x]);
            }
            return next;
          });
          for (int64_t r = 0; r < rows; ++r)
            for (int64_t x = 0; x < count; ++x) {
              Value at = e.at(o, 4 * (r * dim + d + x * lanes));
              e.store(
                  e.fma(e.loadVec(at), e.splat(alpha[r]), acc[r * count + x]),
                  at, 4);
            }
        }
        for (int64_t d = whole; d < dim; ++d)
          for (int64_t r = 0; r < rows; ++r) {
            Value at = e.at(o, 4 * (r * dim + d));
            SmallVector<Value> sum = e.loop(
                e.c(0), n, 1, {e.cf(0.0f)},
                [&](Value j, ValueRange carried) -> SmallVector<Value> {
                  Value value = e.loadWide(
                      keyType, e.at(e.at(v, e.mul(j, stride)), bytes * d));
                  return {add(weight(r, j), value, carried[0])};
                });
            e.store(e.fma(e.load(e.f32(), at, 4), alpha[r], sum[0]), at, 4);
          }
        return {};
      });
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// row_softmax_<rows>(s, s_stride, n, m, l, alpha): as softmax of a panel, keys
/// in the lanes; s beyond n, up to a whole vector, is -inf. Rows go side by
/// side, so that one does not wait for the other's chain.
func::FuncOp KernelEmitter::emitRowSoftmax(int64_t rows) {
  int64_t lanes = e.lanes();
  return e.function(
      named("row_softmax_" + Twine(rows)),
      {e.ptr(), e.i64(), e.i64(), e.ptr(), e.ptr(), e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value n = args[2];
        auto at = [&](int64_t r, Value j) {
          return e.at(args[0], e.add(e.mul(args[1], e.c(r)), e.mul(j, 4)));
        };
        auto ofRow = [&](int64_t arg, int64_t r) {
          return e.at(args[arg], 4 * r);
        };
        Value minusInf = e.cf(-std::numeric_limits<float>::infinity());
        SmallVector<Value> old;
        for (int64_t r = 0; r < rows; ++r)
          old.push_back(e.splat(e.load(e.f32(), ofRow(3, r), 4)));
        SmallVector<Value> top =
            e.loop(e.c(0), n, lanes, old, [&](Value j, ValueRange carried) {
              SmallVector<Value> next;
              for (int64_t r = 0; r < rows; ++r)
                next.push_back(e.fmaxRaw(e.loadVec(at(r, j)), carried[r]));
              return next;
            });
        SmallVector<Value> shift, alpha;
        for (int64_t r = 0; r < rows; ++r) {
          // maxnum: a NaN score may be lost here; exp2 below keeps it.
          Value best = vector::ReductionOp::create(
              e.b, e.loc, vector::CombiningKind::MAXNUMF, top[r],
              arith::FastMathFlags::none);
          e.store(best, ofRow(3, r), 4);
          Value none = arith::CmpFOp::create(
              e.b, e.loc, arith::CmpFPredicate::OEQ, best, minusInf);
          shift.push_back(e.splat(e.select(none, e.cf(0.0f), best)));
          alpha.push_back(vector::ExtractOp::create(
              e.b, e.loc, e.exp2(e.fsub(old[r], shift[r]), logitFactor),
              ArrayRef<int64_t>{0}));
          e.store(alpha[r], ofRow(5, r), 4);
        }
        SmallVector<Value> sums =
            e.loop(e.c(0), n, lanes, SmallVector<Value>(rows, e.splat(0.0f)),
                   [&](Value j, ValueRange carried) {
                     SmallVector<Value> next;
                     for (int64_t r = 0; r < rows; ++r) {
                       Value weight = e.exp2(
                           e.fsub(e.loadVec(at(r, j)), shift[r]), logitFactor);
                       e.store(weight, at(r, j), 4);
                       next.push_back(e.fadd(carried[r], weight));
                     }
                     return next;
                   });
        for (int64_t r = 0; r < rows; ++r) {
          Value l = e.load(e.f32(), ofRow(4, r), 4);
          e.store(e.fadd(e.fmul(l, alpha[r]), sumLanes(e, sums[r])),
                  ofRow(4, r), 4);
        }
        return {};
      });
}

//===----------------------------------------------------------------------===//
// Chunks
//===----------------------------------------------------------------------===//

Value KernelEmitter::storageRow(Value scratch, Value row) {
  Value first = e.add(frame(scratch, kRow0), frame(scratch, kQueryBase));
  return e.add(first, e.urem(row, frame(scratch, kRows)));
}

/// Edge and mask of one row over [key, key + n), keys in the lanes. A mask also
/// leaves signs: -0 where a pair is no edge, else 0.
void KernelEmitter::emitRowBodies(size_t s, int caseIndex, Value scratch,
                                  Value row, Value scoreRow, Value signs,
                                  Value key, Value n) {
  bool masked = caseIndex >= 0;
  if (!masked && plainScores)
    return;
  float scale = streams[s].op.getScale().convertToDouble();
  Value minusInf = e.splat(-std::numeric_limits<float>::infinity());
  e.loop(e.c(0), n, e.lanes(), [&](Value j) {
    Value rows = frame(scratch, kRows);
    Value lane = positionsOf(s, caseIndex, scratch, e.add(key, j));
    Value lastKey = e.splat(e.add(stream(scratch, s, kNk), -1));
    Value inside = arith::MinSIOp::create(e.b, e.loc, lane, lastKey);
    PairPlace place;
    place.b = frame(scratch, kDocument);
    place.h = e.add(frame(scratch, kHead), e.udiv(row, rows));
    place.row = storageRow(scratch, row);
    place.i = e.add(stream(scratch, s, kPosition), e.urem(row, rows));
    place.j = lane;
    place.col = e.add(inside, e.splat(stream(scratch, s, kKeyBase)));
    Value at = e.at(scoreRow, e.mul(j, 4));
    Value logit = e.loadVec(at);
    BodyEmitter bodies(e, interface, slotsOf(scratch));
    auto asVector = [&](Value value) {
      return isa<VectorType>(value.getType()) ? value : e.splat(value);
    };
    if (!plainScores) {
      logit = e.fmul(logit, e.splat(scale));
      if (streams[s].edge)
        logit = asVector(
            bodies.evaluate(streams[s].edge.getBody().front(), place, logit));
    }
    if (masked) {
      Value edge = asVector(bodies.evaluate(
          streams[s].cases[caseIndex].getMask().front(), place));
      logit = e.select(edge, logit, minusInf);
      e.store(e.select(edge, e.splat(0.0f), e.splat(kNoEdge)),
              e.at(signs, e.mul(j, 4)), 4);
    }
    e.store(logit, at, 4);
  });
}

/// Weights of pairs that are no edges, +0 so far, become kNoEdge.
void KernelEmitter::markUnseen(Value weights, Value signs, Value n) {
  Type words = e.vec(e.i32());
  auto loadBits = [&](Value at) { return e.load(words, at, 4); };
  e.loop(e.c(0), n, e.lanes(), [&](Value j) {
    Value offset = e.mul(j, 4), at = e.at(weights, offset);
    e.store(e.bor(loadBits(at), loadBits(e.at(signs, offset))), at, 4);
  });
}

KernelEmitter::StoredRows KernelEmitter::storedRows(size_t s, int caseIndex,
                                                    Value scratch, Value key,
                                                    Value n, bool values) {
  Value stride = stream(scratch, s, values ? kValueStride : kKeyStride);
  Value at;
  if (streams[s].op.getGather())
    std::tie(at, stride) =
        gatherRows(s, caseIndex, scratch, n, /*stored=*/true, values);
  else
    at = keyAt(s, scratch, key, values);
  return {e.c(0), n, at, stride, e.mul(stride, rowChunk())};
}

void KernelEmitter::forRowsOfPages(size_t s, Value scratch, Value key, Value n,
                                   bool values,
                                   llvm::function_ref<void(StoredRows)> body) {
  Value stride = stream(scratch, s, values ? kValueStride : kKeyStride);
  Value slots = e.c(pageSlots());
  e.whileLoop(
      {e.c(0)}, [&](ValueRange done) { return e.lt(done[0], n); },
      [&](ValueRange done) -> SmallVector<Value> {
        Value from = e.add(key, done[0]);
        Value rest = e.sub(slots, e.urem(from, slots));
        Value count = e.min(rest, e.sub(n, done[0]));
        Value at = keyAt(s, scratch, from, values);
        Value next = nextKeyAt(s, scratch, e.add(from, rowChunk()), values);
        body({done[0], count, at, stride, e.sub(e.asInt(next), e.asInt(at))});
        return {e.add(done[0], count)};
      });
}

func::FuncOp KernelEmitter::emitRowChunk(size_t s, int caseIndex) {
  std::string name =
      named("row_chunk_" + Twine(s) + "_" +
            (caseIndex >= 0 ? Twine(caseIndex).str() : std::string("full")));
  return e.function(
      name, {e.ptr(), e.i64(), e.i64()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], key = args[1], n = args[2];
        StoredRows inOnePlace[2];
        if (!isPaged())
          for (bool values : {false, true})
            inOnePlace[values] =
                storedRows(s, caseIndex, scratch, key, n, values);
        auto forRows = [&](bool values,
                           llvm::function_ref<void(StoredRows)> body) {
          if (isPaged())
            forRowsOfPages(s, scratch, key, n, values, body);
          else
            body(inOnePlace[values]);
        };
        bool masked = caseIndex >= 0;
        Value held = frame(scratch, kHeld);
        Value scoresAt = e.at(scratch, layout.rowScores);
        Value signs = e.at(scratch, layout.rowSigns);
        int64_t strideBytes = 4 * rowChunk();
        auto fold = [&](Value row, int64_t rows) {
          Value first = e.at(scoresAt, e.mul(row, strideBytes));
          Value alpha = e.at(scratch, layout.alpha);
          bool single = rows == 1;
          Value queries =
              e.at(e.at(scratch, layout.query), e.mul(row, 4 * shape.keyDim));
          forRows(/*values=*/false, [&](StoredRows keys) {
            e.call(single ? rowScoresOne : rowScoresMany,
                   {queries, keys.at, keys.stride, keys.count,
                    e.at(first, e.mul(keys.first, 4)), e.c(strideBytes),
                    keys.ahead});
          });
          for (int64_t r = 0; r < rows; ++r) {
            Value scoreRow = e.at(first, r * strideBytes);
            Value number = e.add(row, r);
            emitRowBodies(s, caseIndex, scratch, number, scoreRow,
                          e.at(signs, r * strideBytes), key, n);
            // Whole vectors only: what lies beyond n weighs nothing.
            Value padded = e.mul(e.ceilDiv(n, e.lanes()), e.lanes());
            e.loop(n, padded, 1, [&](Value j) {
              e.store(e.cf(-std::numeric_limits<float>::infinity()),
                      e.at(scoreRow, e.mul(j, 4)), 4);
            });
          }
          Value width = e.mul(row, 4);
          e.call(single ? rowSoftmaxOne : rowSoftmaxMany,
                 {first, e.c(strideBytes), n,
                  e.at(e.at(scratch, layout.top), width),
                  e.at(e.at(scratch, layout.sum), width), alpha});
          if (masked)
            for (int64_t r = 0; r < rows; ++r)
              markUnseen(e.at(first, r * strideBytes),
                         e.at(signs, r * strideBytes), n);
          Value output = e.at(e.at(scratch, layout.output),
                              e.mul(row, 4 * shape.valueDim));
          forRows(/*values=*/true, [&](StoredRows values) {
            e.call(single ? rowAccumulateOne[masked]
                          : rowAccumulateMany[masked],
                   {e.at(first, e.mul(values.first, 4)), e.c(strideBytes),
                    values.at, values.stride, values.count, output, alpha,
                    values.ahead});
            // What the next page adds to has the new maximum.
            if (isPaged())
              for (int64_t r = 0; r < rows; ++r)
                e.store(e.cf(1.0f), e.at(alpha, 4 * r), 4);
          });
        };
        Value groups = e.mul(e.udiv(held, e.c(kRowGroup)), kRowGroup);
        e.loop(e.c(0), groups, kRowGroup,
               [&](Value row) { fold(row, kRowGroup); });
        e.loop(groups, held, 1, [&](Value row) { fold(row, 1); });
        return {};
      });
}

//===----------------------------------------------------------------------===//
// Begin and end
//===----------------------------------------------------------------------===//

/// row_begin(scratch): q rows as f32, scaled; o, l, m = 0, 0, -inf.
func::FuncOp KernelEmitter::emitRowBegin() {
  return e.function(
      named("row_begin"), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], slots = slotsOf(scratch);
        Value query = fold.getQuery(), rows = frame(scratch, kRows);
        int64_t dim = shape.keyDim, bytes = Emitter::bytesOf(queryType);
        Value scale = e.cf(queryFactor);
        e.loop(e.c(0), frame(scratch, kHeld), 1, [&](Value row) {
          Value src = tensorAt(slots, query,
                               {frame(scratch, kBatch),
                                e.add(frame(scratch, kHead), e.udiv(row, rows)),
                                storageRow(scratch, row)});
          Value dst = e.at(e.at(scratch, layout.query), e.mul(row, 4 * dim));
          e.loop(e.c(0), e.c(dim), 1, [&](Value d) {
            e.store(e.fmul(e.loadWide(queryType, e.at(src, e.mul(d, bytes))),
                           scale),
                    e.at(dst, e.mul(placeInRow(d, dim), 4)), 4);
          });
          Value out = e.at(e.at(scratch, layout.output),
                           e.mul(row, 4 * shape.valueDim));
          e.loop(e.c(0), e.c(shape.valueDim), 1, [&](Value d) {
            e.store(e.cf(0.0f), e.at(out, e.mul(d, 4)), 4);
          });
          e.store(e.cf(-std::numeric_limits<float>::infinity()),
                  e.at(e.at(scratch, layout.top), e.mul(row, 4)), 4);
          e.store(e.cf(0.0f), e.at(e.at(scratch, layout.sum), e.mul(row, 4)),
                  4);
        });
        return {};
      });
}

/// row_finish(scratch): as finish, o in rows.
func::FuncOp KernelEmitter::emitRowFinish() {
  return e.function(
      named("row_finish"), {e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], slots = slotsOf(scratch);
        Value rows = frame(scratch, kRows);
        int64_t bytes = Emitter::bytesOf(outputType);
        e.loop(e.c(0), frame(scratch, kHeld), 1, [&](Value row) {
          Value head = e.add(frame(scratch, kHead), e.udiv(row, rows));
          Value at = e.mul(row, 4);
          auto load = [&](int64_t offset) {
            return e.splat(e.load(e.f32(), e.at(e.at(scratch, offset), at), 4));
          };
          auto [inverse, lse] =
              emitLastStep(slots, head, load(layout.top), load(layout.sum));
          auto first = [&](Value vector) -> Value {
            return vector::ExtractOp::create(e.b, e.loc, vector,
                                             ArrayRef<int64_t>{0});
          };
          SmallVector<Value> place = {frame(scratch, kBatch), head,
                                      storageRow(scratch, row)};
          e.store(first(lse), tensorAt(slots, storeOp.getLse(), place), 4);
          Value to = tensorAt(slots, storeOp.getOutput(), place);
          Value from = e.at(e.at(scratch, layout.output),
                            e.mul(row, 4 * shape.valueDim));
          Value scale = first(inverse), empty = isNoEdge(e, scale);
          e.loop(e.c(0), e.c(shape.valueDim), 1, [&](Value d) {
            Value at = e.mul(placeInRow(d, shape.valueDim), 4);
            Value sum = e.load(e.f32(), e.at(from, at), 4);
            e.storeNarrow(outputType,
                          e.select(empty, e.cf(0.0f), e.fmul(sum, scale)),
                          e.at(to, e.mul(d, bytes)));
          });
        });
        return {};
      });
}

/// row_merge(scratch, partials, stride, splits): folds the partials of a tile
/// into o, m, l.
func::FuncOp KernelEmitter::emitRowMerge() {
  int64_t span = spanRows * 4;
  return e.function(
      named("row_merge"), {e.ptr(), e.ptr(), e.i64()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], splits = args[2];
        e.loop(e.c(0), frame(scratch, kHeld), 1, [&](Value row) {
          Value at = e.mul(row, 4);
          auto partial = [&](Value split, int64_t offset) {
            return e.at(e.at(args[1], e.mul(split, partialBytes())), offset);
          };
          auto scalar = [&](Value split, int64_t offset) {
            return e.load(e.f32(), e.at(partial(split, offset), at), 4);
          };
          Value minusInf = e.cf(-std::numeric_limits<float>::infinity());
          SmallVector<Value> top = e.loop(
              e.c(0), splits, 1, {minusInf},
              [&](Value split, ValueRange m) -> SmallVector<Value> {
                return {e.fmaxRaw(scalar(split, span * shape.valueDim), m[0])};
              });
          Value none = arith::CmpFOp::create(
              e.b, e.loc, arith::CmpFPredicate::OEQ, top[0], minusInf);
          Value shift = e.splat(e.select(none, e.cf(0.0f), top[0]));
          Value out = e.at(e.at(scratch, layout.output),
                           e.mul(row, 4 * shape.valueDim));
          e.loop(e.c(0), e.c(shape.valueDim), 1, [&](Value d) {
            e.store(e.cf(0.0f), e.at(out, e.mul(d, 4)), 4);
          });
          SmallVector<Value> sum = e.loop(
              e.c(0), splits, 1, {e.cf(0.0f)},
              [&](Value split, ValueRange l) -> SmallVector<Value> {
                Value m = scalar(split, span * shape.valueDim);
                Value weight = vector::ExtractOp::create(
                    e.b, e.loc, e.exp2(e.fsub(e.splat(m), shift), logitFactor),
                    ArrayRef<int64_t>{0});
                Value from =
                    e.at(partial(split, 0), e.mul(row, 4 * shape.valueDim));
                e.loop(e.c(0), e.c(shape.valueDim), 1, [&](Value d) {
                  Value slot = e.at(out, e.mul(d, 4));
                  Value o = e.load(e.f32(), e.at(from, e.mul(d, 4)), 4);
                  e.store(e.fadd(e.fmul(o, weight), e.load(e.f32(), slot, 4)),
                          slot, 4);
                });
                Value part = scalar(split, span * (shape.valueDim + 1));
                return {e.fadd(e.fmul(part, weight), l[0])};
              });
          e.store(top[0], e.at(e.at(scratch, layout.top), at), 4);
          e.store(sum[0], e.at(e.at(scratch, layout.sum), at), 4);
        });
        return {};
      });
}

void KernelEmitter::emitRowFunctions() {
  rowScoresMany = emitRowScores(kRowGroup);
  rowScoresOne = emitRowScores(1);
  for (bool safe : {false, true}) {
    rowAccumulateMany[safe] = emitRowAccumulate(kRowGroup, safe);
    rowAccumulateOne[safe] = emitRowAccumulate(1, safe);
  }
  rowSoftmaxMany = emitRowSoftmax(kRowGroup);
  rowSoftmaxOne = emitRowSoftmax(1);
  rowBegin = emitRowBegin();
  rowFinish = emitRowFinish();
  rowMerge = emitRowMerge();
  for (size_t s = 0; s < streams.size(); ++s) {
    streams[s].rowFullChunk = emitRowChunk(s, -1);
    for (size_t k = 0; k < streams[s].cases.size(); ++k) {
      size_t twin = twinOf(s, k);
      streams[s].rowMaskedChunk.push_back(
          twin != k ? streams[s].rowMaskedChunk[twin]
          : streams[s].cases[k].getMask().empty() ? func::FuncOp()
                                                  : emitRowChunk(s, k));
    }
  }
}
