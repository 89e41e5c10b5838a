//===- ScalarProgram.cpp - bodies of graphs and edges, evaluated ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/ScalarProgram.h"
#include "codegen/reference/ScalarCompiler.h"

using namespace mlir;

namespace filigree::reference {

template <typename Real>
llvm::Expected<ScalarProgram<Real>>
ScalarProgram<Real>::compile(Block &body, const Environment &outside,
                             const BodyExtents &extents) {
  ScalarCompiler<Real> compiler(outside, extents);
  if (llvm::Error error = compiler.compileBody(body))
    return std::move(error);
  return std::move(compiler.program);
}

template <typename Real>
typename ScalarProgram<Real>::Frame ScalarProgram<Real>::makeFrame() const {
  Frame frame;
  frame.ints.assign(numInts, std::vector<int64_t>(kStrip));
  frame.reals.assign(numReals, std::vector<Real>(kStrip));
  for (const Step &step : steps[0])
    step(frame, kStrip);
  return frame;
}

template <typename Real>
void ScalarProgram<Real>::beginRow(Frame &frame, const RowPlace &place) const {
  using Compiler = ScalarCompiler<Real>;
  auto fill = [&](unsigned slot, int64_t value) {
    std::fill(frame.ints[slot].begin(), frame.ints[slot].end(), value);
  };
  fill(Compiler::SlotB, place.b);
  fill(Compiler::SlotH, place.h);
  fill(Compiler::SlotI, place.i);
  fill(Compiler::SlotR, place.r);
  for (const Step &step : steps[1])
    step(frame, kStrip);
}

template <typename Real>
void ScalarProgram<Real>::run(Frame &frame, const RowPlace &place,
                              int64_t first, unsigned n) const {
  using Compiler = ScalarCompiler<Real>;
  for (unsigned t = 0; t < n; ++t) {
    frame.ints[Compiler::SlotC][t] = first + t;
    frame.ints[Compiler::SlotJ][t] = first + t - place.keyShift;
  }
  for (const Step &step : steps[2])
    step(frame, n);
}

template <typename Real>
void ScalarProgram<Real>::runEdge(Frame &frame, const RowPlace &place,
                                  llvm::ArrayRef<int64_t> columns,
                                  llvm::MutableArrayRef<Real> values) const {
  using Compiler = ScalarCompiler<Real>;
  for (size_t base = 0; base < columns.size(); base += kStrip) {
    size_t n = std::min<size_t>(kStrip, columns.size() - base);
    for (size_t t = 0; t < n; ++t) {
      frame.ints[Compiler::SlotC][t] = columns[base + t];
      frame.ints[Compiler::SlotJ][t] = columns[base + t] - place.keyShift;
      frame.reals[0][t] = values[base + t];
    }
    for (const Step &step : steps[2])
      step(frame, n);
    std::copy_n(frame.reals[result].begin(), n, values.begin() + base);
  }
}

template class ScalarProgram<double>;
template class ScalarProgram<float>;

llvm::Error evaluateOutside(Operation &op, Environment &environment) {
  BodyExtents none = {0, 0, 0, 0};
  ScalarCompiler<double> compiler(environment, none);
  if (llvm::Error error = compiler.compileOp(op))
    return error;
  auto slot = compiler.slotOf(op.getResult(0));
  if (!slot)
    return slot.takeError();
  auto frame = compiler.program.makeFrame();
  environment.scalars[op.getResult(0)] =
      slot->isReal ? Scalar::ofFloat(frame.reals[slot->index][0])
                   : Scalar::ofInt(frame.ints[slot->index][0]);
  return llvm::Error::success();
}

} // namespace filigree::reference
