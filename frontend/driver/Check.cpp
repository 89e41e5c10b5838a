//===- Check.cpp - compare the outputs of a run with the reference --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Check.h"
#include "dialect/Attn/Attn.h"
#include "frontend/driver/LoadPattern.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/STLExtras.h"

using namespace filigree;
using namespace filigree::reference;

bool CheckReport::passed() const {
  return !comparisons.empty() &&
         llvm::all_of(comparisons,
                      [](const Comparison &c) { return c.passed; });
}

/// Floating-point operations of all pairs, allowed or not.
static double denseWork(mlir::func::FuncOp function,
                        llvm::ArrayRef<GraphShape> shapes) {
  double work = 0;
  size_t number = 0;
  for (auto attend : function.getOps<attn::AttendOp>()) {
    auto query =
        mlir::cast<mlir::RankedTensorType>(attend.getQuery().getType());
    double width = double(query.getDimSize(3)) +
                   double(attend.getPartial().getType().getValueDim());
    for (size_t k = 0; k < attend.getSources().size(); ++k) {
      const GraphShape &s = shapes[number++];
      work += 2 * width * double(s.batches) * double(s.heads) *
              double(s.queries) * double(s.keys);
    }
  }
  return work;
}

llvm::Expected<CheckReport>
filigree::checkOutputs(llvm::StringRef ir, const Inputs &inputs,
                       llvm::ArrayRef<std::pair<std::string, Tensor>> outputs,
                       unsigned threads) {
  mlir::MLIRContext context;
  loadDialects(context);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(ir, &context);
  if (!module)
    return llvm::createStringError("expected valid attn ir in the artifact");
  auto function = findPattern(*module);
  if (!function)
    return function.takeError();
  auto shapes = graphShapes(*function, inputs);
  if (!shapes)
    return shapes.takeError();

  CheckReport report;
  InterpretOptions options;
  options.threads = threads;
  const GraphShape &shape = shapes->front();
  report.rows = report.allRows = shape.batches * shape.heads * shape.queries;
  if (denseWork(*function, *shapes) > 1e11) {
    options.rows = sampleRows(shape.batches, shape.heads, shape.queries);
    report.rows = options.rows.size();
  }
  auto oracle = interpret(*function, inputs, options);
  if (!oracle)
    return oracle.takeError();
  // naive[k]: result k, once per order of summation.
  std::vector<std::vector<Result>> naive(oracle->size());
  auto addNaive = [&](SumOrder order) -> llvm::Error {
    options.arithmetic = Arithmetic::Naive;
    options.sumOrder = order;
    auto results = interpret(*function, inputs, options);
    if (!results)
      return results.takeError();
    for (auto [orders, result] : llvm::zip_equal(naive, *results))
      orders.push_back(std::move(result));
    return llvm::Error::success();
  };
  if (llvm::Error error = addNaive(SumOrder::Forward))
    return std::move(error);

  DType precision = DType::F32;
  for (const Result &result : *oracle)
    if (!result.isLse)
      precision = result.dtype;
  for (size_t k = 0; k < oracle->size(); ++k) {
    const Result &want = (*oracle)[k];
    const auto *got = llvm::find_if(
        outputs, [&](const auto &output) { return output.first == want.name; });
    if (got == outputs.end())
      return llvm::createStringError("expected an output '" + want.name +
                                     "' of the artifact");
    Tensor tensor = got->second;
    if (tensor.rank() + 1 == int64_t(want.shape.size())) {
      tensor.shape.insert(tensor.shape.begin(), 1);
      tensor.strides.insert(tensor.strides.begin(), 0);
    }
    if (tensor.shape != want.shape)
      return llvm::createStringError("expected '" + want.name +
                                     "' of the shape the reference has");
    Comparison comparison = compare(want, naive[k], tensor, precision);
    // The other orders can only raise the limit of an output, so they are
    // computed for those that need it.
    if (!comparison.passed && !want.isLse) {
      if (naive[k].size() == 1)
        for (SumOrder order : {SumOrder::Backward, SumOrder::EightLanes})
          if (llvm::Error error = addNaive(order))
            return std::move(error);
      comparison = compare(want, naive[k], tensor, precision);
    }
    report.comparisons.push_back(std::move(comparison));
  }
  return report;
}
