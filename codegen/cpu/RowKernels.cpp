//===- RowKernels.cpp - scores, softmax and sums of held rows -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The micro kernels of Rows.cpp, as Panel.cpp has those of panels. Keys and
// values are used as they are stored, with the head dimension in the lanes:
//
//   row_scores:      s[r][j] = q[r] . k[j]                4 keys x R rows
//   row_softmax:     weights of each row, keys in the lanes; m, l, alpha
//   row_accumulate:  o[r] = alpha[r] o[r] + sum_j s[r][j] v[j]
//
// Two bf16 are widened by one shift and one mask of the word that holds both,
// which leaves the even elements of a block in one vector and the odd ones in
// the next. q and o are kept in that order too, see `placeInRow`.
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
    SmallVector<Value> next;
    for (size_t k = 0; k < vectors.size(); k += 2) {
      // A vector without a partner is its own.
      Value other = vectors[k + 1 < vectors.size() ? k + 1 : k];
      auto [low, high] = exchangeLanes(e, vectors[k], other, width);
      next.push_back(e.fadd(low, high));
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
  return arithmetic(
      e, named("row_scores_" + Twine(rows)),
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
  return arithmetic(
      e, named("row_accumulate_" + Twine(rows) + (safe ? "_safe" : "")),
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
  return arithmetic(
      e, named("row_softmax_" + Twine(rows)),
      {e.ptr(), e.i64(), e.i64(), e.ptr(), e.ptr(), e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value n = args[2];
        auto at = [&](int64_t r, Value j) {
          return e.at(args[0], e.add(e.mul(args[1], e.c(r)), e.mul(j, 4)));
        };
        auto ofRow = [&](int64_t arg, int64_t r) {
          return e.at(args[arg], 4 * r);
        };
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
          shift.push_back(e.splat(shiftOf(e, best)));
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
