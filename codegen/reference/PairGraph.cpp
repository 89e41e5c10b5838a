//===- PairGraph.cpp - is this pair in the graph? -------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/PairGraph.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace filigree::reference;
using llvm::createStringError;
using llvm::formatv;

//===----------------------------------------------------------------------===//
// Compilation
//===----------------------------------------------------------------------===//

llvm::Expected<PairGraph> PairGraph::compile(Value graph,
                                             const Environment &outside,
                                             const BodyExtents &extents,
                                             int64_t batches, int64_t kvHeads) {
  PairGraph result;
  result.extents = extents;
  result.batches = batches;
  result.kvHeads = kvHeads;
  auto root = result.add(graph, outside);
  if (!root)
    return root.takeError();
  return std::move(result);
}

llvm::Expected<unsigned> PairGraph::add(Value graph,
                                        const Environment &outside) {
  auto known = numbers.find(graph);
  if (known != numbers.end())
    return known->second;
  Operation *op = graph.getDefiningOp();
  if (!op)
    return createStringError(
        "expected a graph made in the function, but got an argument");
  Node node;
  if (auto where = dyn_cast<attn::WhereOp>(op)) {
    node.kind = Kind::Where;
    node.lhs = programs.size();
    auto program = ScalarProgram<double>::compile(where.getBody().front(),
                                                  outside, extents);
    if (!program)
      return program.takeError();
    programs.push_back(std::move(*program));
  } else if (auto blocks = dyn_cast<attn::BlocksOp>(op)) {
    node.kind = Kind::Blocks;
    if (llvm::Error error = addBlocks(blocks, outside, node))
      return std::move(error);
  } else if (isa<attn::UnionOp, attn::IntersectOp, attn::DifferenceOp,
                 attn::ComplementOp>(op)) {
    node.kind = isa<attn::UnionOp>(op)        ? Kind::Union
                : isa<attn::IntersectOp>(op)  ? Kind::Intersect
                : isa<attn::DifferenceOp>(op) ? Kind::Difference
                                              : Kind::Complement;
    auto lhs = add(op->getOperand(0), outside);
    if (!lhs)
      return lhs.takeError();
    auto rhs = add(op->getOperands().back(), outside);
    if (!rhs)
      return rhs.takeError();
    node.lhs = *lhs;
    node.rhs = *rhs;
  } else {
    return createStringError("operation '" + op->getName().getStringRef() +
                             "' has no meaning in the reference");
  }
  nodes.push_back(std::move(node));
  return numbers[graph] = nodes.size() - 1;
}

llvm::Error PairGraph::addBlocks(attn::BlocksOp op, const Environment &outside,
                                 Node &node) {
  node.blockRows = op.getBlockRows();
  node.blockCols = op.getBlockCols();
  struct Operand {
    Value value;
    Tensor &tensor;
  };
  for (auto [value, tensor] :
       {Operand{op.getStart(), node.start}, Operand{op.getCount(), node.count},
        Operand{op.getCols(), node.cols}}) {
    auto found = outside.tensors.find(value);
    if (found == outside.tensors.end())
      return createStringError(
          "expected the lists of blocks to be arguments of the function");
    tensor = found->second;
    if (!tensor.data && tensor.numElements() > 0)
      return createStringError("expected data for '" +
                               outside.names.lookup(value) + "'");
  }
  int64_t rowBlocks = llvm::divideCeil(extents.queries, node.blockRows);
  for (Operand operand : {Operand{op.getStart(), node.start},
                          Operand{op.getCount(), node.count}}) {
    llvm::ArrayRef<int64_t> shape = operand.tensor.shape;
    std::string name = outside.names.lookup(operand.value);
    if (shape[0] != 1 && shape[0] != batches)
      return createStringError(formatv("expected extent 0 of '{0}' to be 1 or "
                                       "{1}, but got {2}",
                                       name, batches, shape[0])
                                   .str());
    if (shape[1] != 1 && shape[1] != kvHeads && shape[1] != extents.heads)
      return createStringError(formatv("expected extent 1 of '{0}' to be 1, "
                                       "{1} or {2}, but got {3}",
                                       name, kvHeads, extents.heads, shape[1])
                                   .str());
    if (shape[2] != rowBlocks)
      return createStringError(
          formatv("expected extent 2 of '{0}' to be {1}, {2} queries in "
                  "blocks of {3}, but got {4}",
                  name, rowBlocks, extents.queries, node.blockRows, shape[2])
              .str());
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

PairGraph::State PairGraph::makeState() const {
  State state;
  for (const ScalarProgram<double> &program : programs)
    state.frames.push_back(program.makeFrame());
  state.masks.assign(nodes.size(), std::vector<uint8_t>(extents.keys));
  return state;
}

void PairGraph::expandBlocks(const Node &node, const RowPlace &place,
                             std::vector<uint8_t> &mask) const {
  int64_t block = place.r / node.blockRows;
  auto entry = [&](const Tensor &tensor) {
    int64_t b = tensor.shape[0] == 1 ? 0 : place.b;
    int64_t h = place.h / (extents.heads / tensor.shape[1]);
    return tensor.integer(tensor.offset({b, h, block}));
  };
  int64_t start = entry(node.start), count = entry(node.count);
  if (start < 0 || count < 0 || start + count > node.cols.shape[0])
    return;
  int64_t columnBlocks = llvm::divideCeil(extents.keys, node.blockCols);
  int64_t previous = -1;
  for (int64_t t = 0; t < count; ++t) {
    int64_t column = node.cols.integer(node.cols.offset({start + t}));
    if (column >= columnBlocks || column <= previous)
      continue;
    previous = column;
    int64_t lo = std::max(column * node.blockCols, place.lo);
    int64_t hi = std::min((column + 1) * node.blockCols, place.hi);
    for (int64_t c = lo; c < hi; ++c)
      mask[c] = 1;
  }
}

llvm::MutableArrayRef<uint8_t> PairGraph::row(State &state,
                                              const RowPlace &place) const {
  for (auto [number, node] : llvm::enumerate(nodes)) {
    std::vector<uint8_t> &mask = state.masks[number];
    std::fill(mask.begin(), mask.end(), 0);
    if (node.kind == Kind::Where) {
      const ScalarProgram<double> &program = programs[node.lhs];
      ScalarProgram<double>::Frame &frame = state.frames[node.lhs];
      program.beginRow(frame, place);
      for (int64_t c = place.lo; c < place.hi; c += kStrip) {
        unsigned n = std::min(kStrip, place.hi - c);
        program.run(frame, place, c, n);
        const int64_t *condition = program.condition(frame);
        for (unsigned t = 0; t < n; ++t)
          mask[c + t] = uint8_t(condition[t]);
      }
      continue;
    }
    if (node.kind == Kind::Blocks) {
      expandBlocks(node, place, mask);
      continue;
    }
    const std::vector<uint8_t> &a = state.masks[node.lhs];
    const std::vector<uint8_t> &b = state.masks[node.rhs];
    for (int64_t c = place.lo; c < place.hi; ++c)
      mask[c] = node.kind == Kind::Union        ? a[c] | b[c]
                : node.kind == Kind::Intersect  ? a[c] & b[c]
                : node.kind == Kind::Difference ? a[c] & !b[c]
                                                : !a[c];
  }
  return state.masks.back();
}
