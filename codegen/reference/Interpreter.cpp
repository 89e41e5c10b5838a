//===- Interpreter.cpp - the oracle: attn functions in plain loops --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Per row: mask -> columns -> logits -> softmax -> output. Rows are
// independent, so threads change nothing but the time.
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/Interpreter.h"
#include "codegen/reference/Plan.h"
#include "llvm/Support/FormatVariadic.h"
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

using namespace filigree::reference;

namespace {

//===----------------------------------------------------------------------===//
// One row
//===----------------------------------------------------------------------===//

/// Rows of a (b, kv head) slice as Real, row-major; of a sequence if there are
/// pages, without those of pages that do not exist.
template <typename Real> struct Slice {
  int64_t b = -1, h = -1;
  std::vector<Real> values;

  void load(const Tensor &tensor, const std::optional<Paging> &paging,
            int64_t batch, int64_t head) {
    if (b == batch && h == head)
      return;
    b = batch;
    h = head;
    int64_t rows = paging ? paging->lengths[batch] : tensor.shape[2];
    int64_t width = tensor.shape[3];
    values.resize(rows * width);
    for (int64_t n = 0; n < rows; ++n) {
      int64_t entry = paging ? paging->pageOf(batch, n) : batch;
      if (entry < 0 || entry >= tensor.shape[0])
        continue;
      int64_t base =
          tensor.offset({entry, head, paging ? n % paging->slots : n, 0});
      for (int64_t d = 0; d < width; ++d)
        values[n * width + d] = Real(tensor.real(base + d * tensor.strides[3]));
    }
  }
};

/// Sum of products in eight interleaved partial sums.
template <typename Real>
Real dotInLanes(const Real *a, const Real *b, int64_t width) {
  Real lane[8] = {};
  int64_t d = 0;
  for (; d + 8 <= width; d += 8)
    for (int k = 0; k < 8; ++k)
      lane[k] += a[d + k] * b[d + k];
  for (; d < width; ++d)
    lane[0] += a[d] * b[d];
  return ((lane[0] + lane[4]) + (lane[1] + lane[5])) +
         ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

double dot(const double *a, const double *b, int64_t width, SumOrder) {
  return dotInLanes(a, b, width);
}

/// Naive code: one product after the other, unless the order is in lanes.
float dot(const float *a, const float *b, int64_t width, SumOrder order) {
  if (order == SumOrder::EightLanes)
    return dotInLanes(a, b, width);
  float sum = 0;
  if (order == SumOrder::Backward)
    for (int64_t d = width; d-- > 0;)
      sum += a[d] * b[d];
  else
    for (int64_t d = 0; d < width; ++d)
      sum += a[d] * b[d];
  return sum;
}

/// NaN if either is.
template <typename Real> Real maximum(Real a, Real b) {
  return a > b || std::isnan(a) ? a : b;
}

/// One thread's memory for one source.
template <typename Real> struct SourceState {
  PairGraph::State graph;
  typename ScalarProgram<Real>::Frame edge;
  Slice<Real> key, value;
  std::vector<int64_t> columns;
  std::vector<Real> logits;
};

/// Computes rows of one finalize.
template <typename Real> class RowFolder {
public:
  RowFolder(const FinalizePlan<Real> &plan, SumOrder order)
      : plan(plan), order(order) {
    for (const AttendPlan<Real> *attend : plan.attends)
      for (const SourcePlan<Real> &source : attend->sources) {
        states.emplace_back();
        states.back().graph = source.graph.makeState();
        if (source.edge)
          states.back().edge = source.edge->makeFrame();
      }
  }

  /// Writes valueDim numbers to `output` and one to `lse`.
  void fold(const Row &row, double *output, double *lse) {
    constexpr Real inf = std::numeric_limits<Real>::infinity();
    Real m = -inf, sink = -inf;
    if (plan.sink)
      m = sink = Real(plan.sink->real(plan.sink->offset({row.h})));
    size_t number = 0;
    for (const AttendPlan<Real> *attend : plan.attends)
      for (const SourcePlan<Real> &source : attend->sources) {
        SourceState<Real> &state = states[number++];
        edges(*attend, source, row, state);
        for (Real logit : state.logits)
          m = maximum(m, logit);
      }
    sum.assign(plan.valueDim, 0);
    std::fill_n(output, plan.valueDim, 0.0);
    *lse = -std::numeric_limits<double>::infinity();
    if (m == -inf)
      return;

    Real l = std::exp(sink - m);
    for (SourceState<Real> &state : states)
      for (Real &logit : state.logits) {
        logit = std::exp(logit - m); // now a weight
        l += logit;
      }
    for (SourceState<Real> &state : states)
      for (size_t t = 0; t < state.columns.size(); ++t) {
        Real weight = state.logits[t];
        if constexpr (std::is_same_v<Real, float>)
          weight = float(roundTo(plan.valueType, weight / l));
        const Real *v =
            state.value.values.data() + state.columns[t] * plan.valueDim;
        for (int64_t d = 0; d < plan.valueDim; ++d)
          sum[d] += weight * v[d];
      }
    for (int64_t d = 0; d < plan.valueDim; ++d)
      output[d] = std::is_same_v<Real, float> ? roundTo(plan.outputType, sum[d])
                                              : sum[d] / l;
    *lse = m + std::log(l);
  }

private:
  /// Fills columns and logits.
  void edges(const AttendPlan<Real> &attend, const SourcePlan<Real> &source,
             const Row &row, SourceState<Real> &state) {
    state.columns.clear();
    state.logits.clear();
    RowPlace place = attend.place(row.b, row.h, row.r, source.keys);
    llvm::ArrayRef<uint8_t> mask = attend.seenKeys(source, state.graph, place);
    for (int64_t c = place.lo; c < place.hi; ++c)
      if (mask[c])
        state.columns.push_back(c);
    if (state.columns.empty())
      return;

    int64_t kvHead = row.h / (attend.query.shape[1] / source.kvHeads());
    int64_t entry = attend.paging ? place.b : row.b;
    state.key.load(source.key, attend.paging, entry, kvHead);
    state.value.load(source.value, attend.paging, entry, kvHead);
    int64_t width = attend.query.shape[3];
    query.resize(width);
    int64_t base = attend.query.offset({row.b, row.h, row.r, 0});
    for (int64_t d = 0; d < width; ++d)
      query[d] = Real(attend.query.real(base + d * attend.query.strides[3]));
    for (int64_t c : state.columns)
      state.logits.push_back(
          Real(source.scale) *
          dot(query.data(), state.key.values.data() + c * width, width, order));
    if (source.edge) {
      source.edge->beginRow(state.edge, place);
      source.edge->runEdge(state.edge, place, state.columns, state.logits);
    }
  }

  const FinalizePlan<Real> &plan;
  SumOrder order;
  std::vector<SourceState<Real>> states;
  std::vector<Real> query, sum;
};

//===----------------------------------------------------------------------===//
// All rows
//===----------------------------------------------------------------------===//

llvm::Error checkRows(llvm::ArrayRef<Row> rows, int64_t batches, int64_t heads,
                      int64_t queries) {
  for (const Row &row : rows)
    if (row.b < 0 || row.b >= batches || row.h < 0 || row.h >= heads ||
        row.r < 0 || row.r >= queries)
      return llvm::createStringError(
          llvm::formatv("expected a row inside [{0}, {1}, {2}], but got "
                        "({3}, {4}, {5})",
                        batches, heads, queries, row.b, row.h, row.r)
              .str());
  return llvm::Error::success();
}

std::vector<Row> allRows(int64_t batches, int64_t heads, int64_t queries) {
  std::vector<Row> rows;
  rows.reserve(batches * heads * queries);
  for (int64_t b = 0; b < batches; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t r = 0; r < queries; ++r)
        rows.push_back({b, h, r});
  return rows;
}

template <typename Real>
void foldRows(const FinalizePlan<Real> &plan, llvm::ArrayRef<Row> rows,
              const InterpretOptions &options, std::vector<double> &output,
              std::vector<double> &lse) {
  constexpr size_t chunk = 16;
  size_t chunks = (rows.size() + chunk - 1) / chunk;
  output.assign(rows.size() * plan.valueDim, 0);
  lse.assign(rows.size(), 0);

  std::atomic<size_t> next{0};
  auto work = [&] {
    RowFolder<Real> folder(plan, options.sumOrder);
    for (size_t c; (c = next.fetch_add(1)) < chunks;)
      for (size_t k = c * chunk; k < std::min(rows.size(), (c + 1) * chunk);
           ++k)
        folder.fold(rows[k], output.data() + k * plan.valueDim, &lse[k]);
  };
  unsigned threads = options.threads;
  if (threads == 0)
    threads = std::max(1u, std::thread::hardware_concurrency());
  threads = unsigned(std::min<size_t>(threads, chunks));
  std::vector<std::thread> pool;
  for (unsigned t = 1; t < threads; ++t)
    pool.emplace_back(work);
  work();
  for (std::thread &thread : pool)
    thread.join();
}

template <typename Real>
llvm::Expected<std::vector<Result>> run(mlir::func::FuncOp function,
                                        const Inputs &inputs,
                                        const InterpretOptions &options) {
  auto plan = Plan<Real>::bind(function, inputs, /*needData=*/true);
  if (!plan)
    return plan.takeError();
  std::vector<Result> results(function.getNumResults());
  for (const FinalizePlan<Real> &finalize : plan->finalizes) {
    if (finalize.outputResult < 0 && finalize.lseResult < 0)
      continue;
    llvm::ArrayRef<int64_t> shape = finalize.query().shape;
    std::vector<Row> rows = options.rows;
    if (rows.empty())
      rows = allRows(shape[0], shape[1], shape[2]);
    if (llvm::Error error = checkRows(rows, shape[0], shape[1], shape[2]))
      return std::move(error);
    std::vector<double> output, lse;
    foldRows(finalize, rows, options, output, lse);
    if (finalize.lseResult >= 0) {
      Result &result = results[finalize.lseResult];
      result.isLse = true;
      result.shape.assign(shape.begin(), shape.begin() + 3);
      result.rows = rows;
      result.values = std::move(lse);
    }
    if (finalize.outputResult >= 0) {
      Result &result = results[finalize.outputResult];
      result.dtype = finalize.outputType;
      result.shape.assign(shape.begin(), shape.begin() + 3);
      result.shape.push_back(finalize.valueDim);
      result.width = finalize.valueDim;
      result.rows = std::move(rows);
      result.values = std::move(output);
    }
  }
  for (size_t k = 0; k < results.size(); ++k)
    results[k].name = plan->resultNames[k];
  return results;
}

} // namespace

llvm::Expected<std::vector<Result>>
filigree::reference::interpret(mlir::func::FuncOp function,
                               const Inputs &inputs,
                               const InterpretOptions &options) {
  if (options.arithmetic == Arithmetic::Naive)
    return run<float>(function, inputs, options);
  return run<double>(function, inputs, options);
}

//===----------------------------------------------------------------------===//
// Graphs alone
//===----------------------------------------------------------------------===//

llvm::Expected<std::vector<GraphShape>>
filigree::reference::graphShapes(mlir::func::FuncOp function,
                                 const Inputs &inputs) {
  auto plan = Plan<double>::bind(function, inputs, /*needData=*/false);
  if (!plan)
    return plan.takeError();
  std::vector<GraphShape> shapes;
  for (const auto &attend : plan->attends)
    for (const SourcePlan<double> &source : attend->sources) {
      llvm::ArrayRef<int64_t> query = attend->query.shape;
      shapes.push_back({query[0], query[1], query[2], source.keys});
    }
  return shapes;
}

llvm::Error filigree::reference::visitGraph(
    mlir::func::FuncOp function, const Inputs &inputs, llvm::ArrayRef<Row> rows,
    llvm::function_ref<void(unsigned, const Row &, llvm::ArrayRef<uint8_t>)>
        visit) {
  auto plan = Plan<double>::bind(function, inputs, /*needData=*/false);
  if (!plan)
    return plan.takeError();
  unsigned number = 0;
  for (const auto &attend : plan->attends)
    for (const SourcePlan<double> &source : attend->sources) {
      llvm::ArrayRef<int64_t> query = attend->query.shape;
      if (llvm::Error error = checkRows(rows, query[0], query[1], query[2]))
        return error;
      PairGraph::State state = source.graph.makeState();
      for (const Row &row : rows) {
        RowPlace place = attend->place(row.b, row.h, row.r, source.keys);
        visit(number, row, attend->seenKeys(source, state, place));
      }
      ++number;
    }
  return llvm::Error::success();
}
