//===- Panel.cpp - the arithmetic of one panel of queries -----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   scores      for R keys at a time:   acc[R][2] = 0
//                 for d < Dk:           acc[r] += k[j+r][d] * q[d]
//                                       s[j+r] = acc[r]
//   accumulate  for R dims at a time:   acc[R][2] = o[d+r] * alpha
//                 for j < n:            acc[r] += v[j][d+r] * s[j]
//                                       o[d+r] = acc[r]
//
// R x 2 accumulators, 2 vectors of the panel and the broadcast element fill
// the register file: R = 12 of 32 registers (24 + 2 + 1), R = 6 of 16.
//
//===----------------------------------------------------------------------===//
#include "codegen/cpu/Panel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cpu;

func::FuncOp
cpu::arithmetic(Emitter &e, StringRef name, ArrayRef<Type> inputs,
                ArrayRef<Type> results,
                llvm::function_ref<SmallVector<Value>(ArrayRef<Value>)> body) {
  func::FuncOp function = e.function(name, inputs, results, body);
  function->setAttr("passthrough", e.b.getStrArrayAttr({"noinline"}));
  return function;
}

Value cpu::shiftOf(Emitter &e, Value top) {
  bool vector = isa<VectorType>(top.getType());
  auto constant = [&](float value) {
    return vector ? e.splat(value) : e.cf(value);
  };
  Value none = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ, top,
                                     constant(kNoScore));
  return e.select(none, constant(0.0f), top);
}

std::pair<Value, Value> cpu::exchangeLanes(Emitter &e, Value a, Value b,
                                           int64_t width) {
  int64_t lanes = e.lanes();
  SmallVector<int64_t> low(lanes), high(lanes);
  for (int64_t lane = 0; lane < lanes; ++lane) {
    bool upper = lane & width;
    low[lane] = upper ? lanes + lane - width : lane;
    high[lane] = upper ? lanes + lane : lane + width;
  }
  Value first = vector::ShuffleOp::create(e.b, e.loc, a, b, low);
  return {first, vector::ShuffleOp::create(e.b, e.loc, a, b, high)};
}

static int64_t microRows(const CpuTarget &target) {
  return target.registers >= 32 ? 12 : 6;
}
int64_t cpu::scoreGroup(const CpuTarget &target) { return microRows(target); }

/// Loads `count` vectors that follow each other.
static SmallVector<Value> loadPanel(Emitter &e, Value pointer) {
  SmallVector<Value> result;
  for (int64_t v = 0; v < kPanelVectors; ++v)
    result.push_back(e.loadVec(e.at(pointer, 4 * v * e.lanes())));
  return result;
}

static void storePanel(Emitter &e, ArrayRef<Value> values, Value pointer) {
  for (auto [v, value] : llvm::enumerate(values))
    e.store(value, e.at(pointer, 4 * int64_t(v) * e.lanes()), 4);
}

static SmallVector<Value> zeros(Emitter &e, int64_t count) {
  return SmallVector<Value>(count, e.splat(0.0f));
}

/// acc[r][v] += sum over u < steps of element(r, u) * panel[u][v]; elements
/// lie r * rowBytes + u * stepBytes behind `elements`, vectors of the panel
/// follow each other from `panel` on.
static void multiplyAdd(Emitter &e, SmallVectorImpl<Value> &acc, int64_t steps,
                        Value elements, int64_t rowBytes, int64_t stepBytes,
                        Value panel) {
  int64_t rows = acc.size() / kPanelVectors;
  // An element is broadcast into a register, or loaded by each multiply-add
  // itself, which takes an instruction less and a load more. Every fourth is,
  // where instructions can: then loads do not yet rule, and a core whose issue
  // slots another thread shares has a tenth less to issue. Two addresses of
  // which LLVM does not know that they are one keep it from loading once.
  constexpr int64_t itself = 4;
  std::array<Value, kPanelVectors> at;
  at.fill(elements);
  for (int64_t u = 0; u < steps; ++u) {
    if (e.target.registers >= 32 && rows >= itself)
      for (Value &other : at)
        other = elements = e.opaque(elements);
    SmallVector<Value> vectors =
        loadPanel(e, e.at(panel, u * 4 * panelWidth(e.target)));
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t v = 0; v < kPanelVectors; ++v) {
        Value from = r % itself == itself - 1 ? at[v] : at[0];
        Value a = e.load(e.f32(), e.at(from, r * rowBytes + u * stepBytes), 4);
        Value &slot = acc[r * kPanelVectors + v];
        slot = e.fma(e.splat(a), vectors[v], slot);
      }
  }
}

//===----------------------------------------------------------------------===//
// The two products
//===----------------------------------------------------------------------===//

/// `rowsAhead(arguments, j)` yields what asks for elements from d on of those
/// rows of the next chunk that the keys from j on bring near.
static func::FuncOp emitScoresAsking(
    Emitter &e, StringRef name, const HeadDims &shape, ArrayRef<Type> inputs,
    llvm::function_ref<std::function<void(Value)>(ArrayRef<Value>, Value)>
        rowsAhead) {
  int64_t rowBytes = 4 * panelWidth(e.target), dim = shape.keyDim;
  return arithmetic(
      e, name, inputs, {}, [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value q = args[0], k = args[1], n = args[2], s = args[3];
        // One long chain of roundings a score would cost digits: the head
        // dimension is summed in segments.
        int64_t segment = dim >= 128 ? 64 : 32;
        auto micro = [&](Value j, int64_t rows) {
          Value kRow = e.at(k, e.mul(j, 4 * dim));
          Value sRow = e.at(s, e.mul(j, rowBytes));
          auto rowAt = [&](int64_t r) { return e.at(sRow, r * rowBytes); };
          std::function<void(Value)> ask = rowsAhead(args, j);
          // Dimensions [from, from + length); all but the first segment add to
          // what the one before left.
          auto sumSegment = [&](Value from, int64_t length, Value isFirst) {
            // A line of a row is asked for, then used in steps of 4: a core
            // keeps few decoded instructions, and its two threads share them.
            int64_t line = 16;
            while (length % line != 0)
              line /= 2;
            int64_t unroll = std::min<int64_t>(line, 4);
            bool asks = line == 16 && rows == microRows(e.target);
            SmallVector<Value> acc = e.loop(
                from, e.add(from, length), line, zeros(e, rows * kPanelVectors),
                [&](Value first, ValueRange before) {
                  // This panel's share of the next chunk comes as far as the
                  // L2.
                  if (asks)
                    ask(first);
                  return e.loop(first, e.add(first, line), unroll, before,
                                [&](Value d, ValueRange carried) {
                                  SmallVector<Value> next(carried);
                                  multiplyAdd(e, next, unroll,
                                              e.at(kRow, e.mul(d, 4)), 4 * dim,
                                              4, e.at(q, e.mul(d, rowBytes)));
                                  return next;
                                });
                });
            auto store = [&](bool adds) {
              for (int64_t r = 0; r < rows; ++r) {
                SmallVector<Value> sum(
                    ArrayRef(acc).slice(r * kPanelVectors, kPanelVectors));
                if (adds)
                  for (auto [v, old] : llvm::enumerate(loadPanel(e, rowAt(r))))
                    sum[v] = e.fadd(sum[v], old);
                storePanel(e, sum, rowAt(r));
              }
            };
            e.ifThen(
                isFirst, [&] { store(false); }, [&] { store(true); });
          };
          int64_t whole = dim / segment * segment;
          e.loop(e.c(0), e.c(whole), segment, [&](Value from) {
            sumSegment(from, segment, e.eq(from, e.c(0)));
          });
          if (whole < dim)
            sumSegment(e.c(whole), dim - whole, e.truth(whole == 0));
        };
        // Whole groups, then smaller ones: 128 = 10 * 12 + 8.
        Value done = e.c(0);
        for (int64_t rows :
             {microRows(e.target), int64_t(8), int64_t(4), int64_t(1)}) {
          if (rows > microRows(e.target))
            continue;
          Value groups = e.udiv(e.sub(n, done), e.c(rows));
          Value end = e.add(done, e.mul(groups, rows));
          e.loop(done, end, rows, [&](Value j) { micro(j, rows); });
          done = end;
        }
        return {};
      });
}

func::FuncOp cpu::emitScores(Emitter &e, StringRef name,
                             const HeadDims &shape) {
  return emitScoresAsking(
      e, name, shape, {e.ptr(), e.ptr(), e.i64(), e.ptr(), e.ptr(), e.i64()},
      [&](ArrayRef<Value> args, Value j) {
        Value next = args[4], stride = args[5];
        return [&e, next, stride, j](Value d) {
          for (int64_t r = 0; r < kAheadRows; ++r)
            e.prefetch(
                e.at(e.at(next, e.mul(e.add(j, r), stride)), e.mul(d, 4)),
                /*locality=*/2);
        };
      });
}

func::FuncOp cpu::emitScoresOfGathered(Emitter &e, StringRef name,
                                       const HeadDims &shape, int64_t ahead,
                                       int64_t bytes) {
  return emitScoresAsking(
      e, name, shape,
      {e.ptr(), e.ptr(), e.i64(), e.ptr(), e.ptr(), e.i64(), e.ptr(), e.i64(),
       e.ptr()},
      [&](ArrayRef<Value> args, Value j) {
        SmallVector<Value> rows;
        for (int64_t r = 0; r < ahead; ++r) {
          Value position =
              e.load(e.i64(), e.at(args[8], e.mul(e.add(j, r), 8)), 8);
          rows.push_back(e.at(args[4], e.mul(position, args[5])));
          rows.push_back(e.at(args[6], e.mul(position, args[7])));
        }
        return [&e, rows, bytes](Value d) {
          for (Value row : rows)
            e.prefetch(e.at(row, e.mul(d, bytes)), /*locality=*/2);
        };
      });
}

/// Keys between that whose values are used and that whose are brought near.
static constexpr int64_t kNearKeys = 8;

func::FuncOp cpu::emitAccumulate(Emitter &e, StringRef name,
                                 const HeadDims &shape) {
  int64_t rowBytes = 4 * panelWidth(e.target), dim = shape.valueDim;
  return arithmetic(
      e, name, {e.ptr(), e.ptr(), e.i64(), e.ptr(), e.ptr(), e.ptr(), e.i64()},
      {}, [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value s = args[0], v = args[1], n = args[2], o = args[3];
        SmallVector<Value> alpha = loadPanel(e, args[4]);
        auto micro = [&](Value d, int64_t rows) {
          Value oRow = e.at(o, e.mul(d, rowBytes));
          SmallVector<Value> acc;
          for (int64_t r = 0; r < rows; ++r)
            for (auto [i, value] :
                 llvm::enumerate(loadPanel(e, e.at(oRow, r * rowBytes))))
              acc.push_back(e.fmul(value, alpha[i]));
          Value vCol = e.at(v, e.mul(d, 4));
          // One line of the next chunk's row for every group of dimensions.
          Value ahead = e.at(args[5], e.mul(e.udiv(d, e.c(rows)), 64));
          Value done = e.c(0);
          for (int64_t keys : {2, 1}) {
            Value end = e.mul(e.udiv(n, e.c(keys)), keys);
            acc =
                e.loop(done, end, keys, acc, [&](Value j, ValueRange carried) {
                  SmallVector<Value> next(carried);
                  Value row = e.at(vCol, e.mul(j, 4 * dim));
                  for (int64_t u = 0; u < keys; ++u)
                    e.prefetch(e.at(row, 4 * dim * (kNearKeys + u)));
                  e.prefetch(e.at(ahead, e.mul(j, args[6])), /*locality=*/2);
                  multiplyAdd(e, next, keys, row, 4, 4 * dim,
                              e.at(s, e.mul(j, rowBytes)));
                  return next;
                });
            done = end;
          }
          for (int64_t r = 0; r < rows; ++r)
            storePanel(e, ArrayRef(acc).slice(r * kPanelVectors, kPanelVectors),
                       e.at(oRow, r * rowBytes));
        };
        // Even groups: 128 = 10 * 12 + 8, 64 = 5 * 11 + 9.
        int64_t most = microRows(e.target);
        int64_t groups = (dim + most - 1) / most;
        int64_t rows = (dim + groups - 1) / groups;
        int64_t whole = dim / rows * rows;
        e.loop(e.c(0), e.c(whole), rows, [&](Value d) { micro(d, rows); });
        if (whole < dim)
          micro(e.c(whole), dim - whole);
        return {};
      });
}

Value cpu::isNoEdge(Emitter &e, Value weight) {
  auto vector = dyn_cast<VectorType>(weight.getType());
  Type word = vector ? Type(e.vec(e.i32())) : e.i32();
  APInt bits(32, 0x80000000u);
  TypedAttr minusZero =
      vector ? TypedAttr(DenseElementsAttr::get(cast<VectorType>(word), bits))
             : TypedAttr(IntegerAttr::get(word, bits));
  return e.eq(arith::BitcastOp::create(e.b, e.loc, word, weight),
              arith::ConstantOp::create(e.b, e.loc, minusZero));
}

func::FuncOp cpu::emitAccumulateSafe(Emitter &e, StringRef name,
                                     const HeadDims &shape) {
  int64_t rowBytes = 4 * panelWidth(e.target), dim = shape.valueDim;
  return arithmetic(
      e, name, {e.ptr(), e.ptr(), e.i64(), e.ptr(), e.ptr(), e.ptr(), e.i64()},
      {}, [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value s = args[0], v = args[1], n = args[2], o = args[3];
        SmallVector<Value> alpha = loadPanel(e, args[4]);
        e.loop(e.c(0), e.c(dim), 1, [&](Value d) {
          Value row = e.at(o, e.mul(d, rowBytes));
          SmallVector<Value> acc = loadPanel(e, row);
          for (auto [x, value] : llvm::enumerate(acc))
            value = e.fmul(value, alpha[x]);
          acc = e.loop(e.c(0), n, 1, acc, [&](Value j, ValueRange carried) {
            SmallVector<Value> next(carried);
            Value a = e.splat(e.load(
                e.f32(), e.at(e.at(v, e.mul(j, 4 * dim)), e.mul(d, 4)), 4));
            for (auto [x, weight] :
                 llvm::enumerate(loadPanel(e, e.at(s, e.mul(j, rowBytes))))) {
              next[x] = e.select(isNoEdge(e, weight), next[x],
                                 e.fma(a, weight, next[x]));
            }
            return next;
          });
          storePanel(e, acc, row);
        });
        return {};
      });
}

func::FuncOp cpu::emitFinite(Emitter &e, StringRef name,
                             const HeadDims &shape) {
  int64_t lanes = e.lanes();
  return e.function(
      name, {e.ptr(), e.i64()}, {e.i1()},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        // 0 * x is 0 but for inf and NaN, and NaN stays in a sum.
        Value count = e.mul(args[1], shape.valueDim);
        Value whole = e.mul(e.udiv(count, e.c(lanes)), lanes);
        Value zero = e.splat(0.0f);
        SmallVector<Value> sum =
            e.loop(e.c(0), whole, lanes, {zero},
                   [&](Value k, ValueRange carried) -> SmallVector<Value> {
                     Value values = e.loadVec(e.at(args[0], e.mul(k, 4)));
                     return {e.fma(values, zero, carried[0])};
                   });
        Value total =
            vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::ADD,
                                        sum[0], arith::FastMathFlags::reassoc);
        SmallVector<Value> rest =
            e.loop(whole, count, 1, {total},
                   [&](Value k, ValueRange carried) -> SmallVector<Value> {
                     Value value =
                         e.load(e.f32(), e.at(args[0], e.mul(k, 4)), 4);
                     return {e.fadd(carried[0], e.fmul(value, e.cf(0.0f)))};
                   });
        return {arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ,
                                      rest[0], e.cf(0.0f))};
      });
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

func::FuncOp cpu::emitSoftmax(Emitter &e, StringRef name, float c) {
  int64_t rowBytes = 4 * panelWidth(e.target);
  constexpr int64_t unroll = 4;
  return arithmetic(
      e, name, {e.ptr(), e.i64(), e.ptr(), e.ptr(), e.ptr()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value s = args[0], n = args[1], m = args[2], l = args[3];
        Value whole = e.mul(e.udiv(n, e.c(unroll)), unroll);
        auto rowAt = [&](Value j, int64_t u) {
          return e.at(s, e.add(e.mul(j, rowBytes), u * rowBytes));
        };

        // Maxima. A NaN score may be lost here; exp2 below keeps it.
        SmallVector<Value> old = loadPanel(e, m), top;
        for (int64_t u = 0; u < unroll; ++u)
          llvm::append_range(top, old);
        auto takeMax = [&](Value j, int64_t u, MutableArrayRef<Value> into) {
          for (auto [v, value] : llvm::enumerate(loadPanel(e, rowAt(j, u))))
            into[v] = e.fmaxRaw(value, into[v]);
        };
        top = e.loop(e.c(0), whole, unroll, top,
                     [&](Value j, ValueRange carried) {
                       SmallVector<Value> next(carried);
                       for (int64_t u = 0; u < unroll; ++u)
                         takeMax(j, u,
                                 MutableArrayRef<Value>(next).slice(
                                     u * kPanelVectors, kPanelVectors));
                       return next;
                     });
        SmallVector<Value> best(top.begin(), top.begin() + kPanelVectors);
        for (int64_t u = 1; u < unroll; ++u)
          for (int64_t v = 0; v < kPanelVectors; ++v)
            best[v] = e.fmaxRaw(top[u * kPanelVectors + v], best[v]);
        best = e.loop(whole, n, 1, best, [&](Value j, ValueRange carried) {
          SmallVector<Value> next(carried);
          takeMax(j, 0, next);
          return next;
        });
        storePanel(e, best, m);

        SmallVector<Value> shift, alpha;
        for (int64_t v = 0; v < kPanelVectors; ++v) {
          shift.push_back(shiftOf(e, best[v]));
          alpha.push_back(e.exp2(e.fsub(old[v], shift[v]), c));
        }
        storePanel(e, alpha, args[4]);

        // Weights and their sums.
        auto weigh = [&](Value j, int64_t u, MutableArrayRef<Value> sums) {
          Value row = rowAt(j, u);
          SmallVector<Value> weights;
          for (auto [v, value] : llvm::enumerate(loadPanel(e, row))) {
            weights.push_back(e.exp2(e.fsub(value, shift[v]), c));
            sums[v] = e.fadd(sums[v], weights.back());
          }
          storePanel(e, weights, row);
        };
        constexpr int64_t pair = 2;
        Value even = e.mul(e.udiv(n, e.c(pair)), pair);
        SmallVector<Value> sums =
            e.loop(e.c(0), even, pair, zeros(e, pair * kPanelVectors),
                   [&](Value j, ValueRange carried) {
                     SmallVector<Value> next(carried);
                     for (int64_t u = 0; u < pair; ++u)
                       weigh(j, u,
                             MutableArrayRef<Value>(next).slice(
                                 u * kPanelVectors, kPanelVectors));
                     return next;
                   });
        SmallVector<Value> total;
        for (int64_t v = 0; v < kPanelVectors; ++v)
          total.push_back(e.fadd(sums[v], sums[kPanelVectors + v]));
        total = e.loop(even, n, 1, total, [&](Value j, ValueRange carried) {
          SmallVector<Value> next(carried);
          weigh(j, 0, next);
          return next;
        });
        SmallVector<Value> denominator = loadPanel(e, l);
        for (int64_t v = 0; v < kPanelVectors; ++v)
          denominator[v] = e.fma(denominator[v], alpha[v], total[v]);
        storePanel(e, denominator, l);
        return {};
      });
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

/// Transposes lanes x lanes values held as one vector per row.
static SmallVector<Value> transpose(Emitter &e, ArrayRef<Value> rows) {
  int64_t lanes = e.lanes();
  // log2(lanes) rounds; round k exchanges the k-th bit of row and lane.
  SmallVector<Value> current(rows);
  for (int64_t width = 1; width < lanes; width *= 2) {
    SmallVector<Value> next(lanes);
    for (int64_t row = 0; row < lanes; ++row)
      if (!(row & width))
        std::tie(next[row], next[row + width]) =
            exchangeLanes(e, current[row], current[row + width], width);
    current = next;
  }
  return current;
}

func::FuncOp cpu::emitPackQueries(Emitter &e, StringRef name, Type element,
                                  int64_t dim) {
  int64_t lanes = e.lanes(), size = Emitter::bytesOf(element);
  int64_t rowBytes = 4 * panelWidth(e.target);
  return arithmetic(
      e, name, {e.ptr(), e.i64(), e.i64(), e.ptr(), e.f32()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value src = args[0], stride = args[1], last = args[2], dst = args[3];
        Value scale = e.splat(args[4]);
        e.loop(e.c(0), e.c(panelWidth(e.target)), lanes, [&](Value first) {
          // Rows beyond the last repeat it; nobody reads their results.
          SmallVector<Value> rowAt;
          for (int64_t r = 0; r < lanes; ++r)
            rowAt.push_back(
                e.at(src, e.mul(e.min(e.add(first, r), last), stride)));
          Value column = e.at(dst, e.mul(first, 4));
          int64_t whole = dim / lanes * lanes;
          e.loop(e.c(0), e.c(whole), lanes, [&](Value d) {
            SmallVector<Value> rows;
            for (Value row : rowAt)
              rows.push_back(e.fmul(
                  e.loadWideVec(element, e.at(row, e.mul(d, size))), scale));
            for (auto [k, value] : llvm::enumerate(transpose(e, rows)))
              e.store(value, e.at(column, e.mul(e.add(d, k), rowBytes)), 4);
          });
          for (int64_t d = whole; d < dim; ++d)
            for (int64_t r = 0; r < lanes; ++r)
              e.store(e.fmul(e.loadWide(element, e.at(rowAt[r], d * size)),
                             args[4]),
                      e.at(column, d * rowBytes + 4 * r), 4);
        });
        return {};
      });
}

func::FuncOp cpu::emitUnpackOutput(Emitter &e, StringRef name, Type element,
                                   int64_t dim) {
  int64_t lanes = e.lanes(), size = Emitter::bytesOf(element);
  int64_t rowBytes = 4 * panelWidth(e.target);
  return arithmetic(
      e, name, {e.ptr(), e.ptr(), e.ptr(), e.i64(), e.i64()}, {},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value src = args[0], inv = args[1], dst = args[2], stride = args[3],
              rows = args[4];
        e.loop(e.c(0), rows, lanes, [&](Value first) {
          Value column = e.at(src, e.mul(first, 4));
          Value factor = e.loadVec(e.at(inv, e.mul(first, 4)));
          // A row without edges is 0, even if inf or NaN was reached with a
          // logit of -inf.
          Value empty = isNoEdge(e, factor), zero = e.splat(0.0f);
          int64_t whole = dim / lanes * lanes;
          e.loop(e.c(0), e.c(whole), lanes, [&](Value d) {
            SmallVector<Value> columns;
            for (int64_t k = 0; k < lanes; ++k)
              columns.push_back(e.select(
                  empty, zero,
                  e.fmul(e.loadVec(e.at(column, e.mul(e.add(d, k), rowBytes))),
                         factor)));
            for (auto [r, value] : llvm::enumerate(transpose(e, columns))) {
              Value row = e.add(first, r);
              e.ifThen(e.lt(row, rows), [&, r = r, value = value] {
                (void)r;
                e.storeNarrow(
                    element, value,
                    e.at(e.at(dst, e.mul(row, stride)), e.mul(d, size)));
              });
            }
          });
          e.loop(first, e.min(rows, e.add(first, lanes)), 1, [&](Value row) {
            Value out = e.at(dst, e.mul(row, stride));
            Value scale = e.load(e.f32(), e.at(inv, e.mul(row, 4)), 4);
            Value empty = isNoEdge(e, scale);
            for (int64_t d = whole; d < dim; ++d) {
              Value sum = e.load(
                  e.f32(), e.at(src, e.add(e.mul(row, 4), d * rowBytes)), 4);
              e.storeNarrow(element,
                            e.select(empty, e.cf(0.0f), e.fmul(sum, scale)),
                            e.at(out, d * size));
            }
          });
        });
        return {};
      });
}

func::FuncOp cpu::emitWiden(Emitter &e, StringRef name, Type element,
                            int64_t dim) {
  int64_t lanes = e.lanes(), size = Emitter::bytesOf(element);
  return arithmetic(e, name, {e.ptr(), e.i64(), e.i64(), e.ptr()}, {},
                    [&](ArrayRef<Value> args) -> SmallVector<Value> {
                      Value src = args[0], stride = args[1], n = args[2],
                            dst = args[3];
                      e.loop(e.c(0), n, 1, [&](Value j) {
                        Value from = e.at(src, e.mul(j, stride));
                        Value to = e.at(dst, e.mul(j, 4 * dim));
                        int64_t whole = dim / lanes * lanes;
                        for (int64_t d = 0; d < whole; d += lanes)
                          e.store(e.loadWideVec(element, e.at(from, d * size)),
                                  e.at(to, 4 * d), 4);
                        for (int64_t d = whole; d < dim; ++d)
                          e.store(e.loadWide(element, e.at(from, d * size)),
                                  e.at(to, 4 * d), 4);
                      });
                      return {};
                    });
}
