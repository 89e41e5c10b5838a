//===- Plan.cpp - a pattern function bound to concrete inputs -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/Plan.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace mlir;
using namespace filigree;
using namespace filigree::reference;

template <typename... T>
static llvm::Error sentence(const char *format, T &&...values) {
  return llvm::createStringError(
      llvm::formatv(format, std::forward<T>(values)...).str());
}

static std::optional<DType> dtypeOf(Type element) {
  if (element.isF32())
    return DType::F32;
  if (element.isBF16())
    return DType::BF16;
  if (element.isF16())
    return DType::F16;
  if (element.isInteger(32))
    return DType::I32;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

std::string reference::argumentName(func::FuncOp function, unsigned number) {
  if (auto name =
          function.getArgAttrOfType<StringAttr>(number, attn::kNameAttr))
    return name.str();
  return "arg" + std::to_string(number);
}

/// `attn.name`, else "o" and "lse", numbered from the second on.
static std::vector<std::string> resultNames(func::FuncOp function) {
  std::vector<std::string> names;
  unsigned outputs = 0, lses = 0;
  for (auto [number, type] : llvm::enumerate(function.getResultTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    bool isLse = tensor && tensor.getRank() == 3;
    unsigned &count = isLse ? lses : outputs;
    std::string name = isLse ? "lse" : "o";
    if (count)
      name += std::to_string(count);
    ++count;
    if (auto given =
            function.getResultAttrOfType<StringAttr>(number, attn::kNameAttr))
      name = given.str();
    names.push_back(std::move(name));
  }
  return names;
}

llvm::Expected<func::FuncOp> reference::findPattern(Operation *module,
                                                    llvm::StringRef name) {
  func::FuncOp found;
  std::string known;
  unsigned count = 0;
  module->walk([&](func::FuncOp function) {
    if (function.isDeclaration())
      return;
    known += (count++ ? ", " : "") + function.getName().str();
    if (name.empty() || function.getName() == name)
      found = function;
  });
  if (!name.empty() && !found)
    return sentence("expected a pattern named '{0}', but got {1}", name,
                    count ? known : "none");
  if (name.empty() && count != 1)
    return sentence("expected one pattern, but got {0}: name one of them",
                    count ? known : "none");
  return found;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

static llvm::Expected<Tensor>
bindTensor(const Tensor &given, llvm::StringRef name, RankedTensorType type) {
  Tensor tensor = given;
  if (tensor.rank() + 1 == type.getRank()) {
    tensor.shape.insert(tensor.shape.begin(), 1);
    tensor.strides.insert(tensor.strides.begin(), 0);
  }
  if (tensor.rank() != type.getRank())
    return sentence("expected '{0}' of rank {1}, but got rank {2}", name,
                    type.getRank(), given.rank());
  std::optional<DType> want = dtypeOf(type.getElementType());
  if (!want || tensor.dtype != *want)
    return sentence("expected '{0}' of type {1}, but got {2}", name,
                    want ? dtypeName(*want) : "f32, bf16, f16 or i32",
                    dtypeName(tensor.dtype));
  for (int64_t axis = 0; axis < type.getRank(); ++axis) {
    if (tensor.shape[axis] < 0 || (!type.isDynamicDim(axis) &&
                                   tensor.shape[axis] != type.getDimSize(axis)))
      return sentence("expected extent {0} of '{1}' to be {2}, but got {3}",
                      axis, name,
                      type.isDynamicDim(axis) ? 0 : type.getDimSize(axis),
                      tensor.shape[axis]);
  }
  return tensor;
}

static llvm::Expected<Scalar> bindScalar(func::FuncOp function, unsigned number,
                                         llvm::StringRef name,
                                         const Inputs &inputs) {
  bool wantFloat = isa<FloatType>(function.getArgument(number).getType());
  auto attribute = [&](llvm::StringRef key) {
    return function.getArgAttr(number, key);
  };
  auto given = inputs.scalars.find(name);
  Scalar scalar;
  if (given != inputs.scalars.end())
    scalar = given->second;
  else if (auto preset =
               dyn_cast_or_null<IntegerAttr>(attribute(attn::kPresetAttr)))
    scalar = Scalar::ofInt(preset.getInt());
  else if (auto preset =
               dyn_cast_or_null<FloatAttr>(attribute(attn::kPresetAttr)))
    scalar = Scalar::ofFloat(preset.getValueAsDouble());
  else
    return sentence("expected a value for '{0}'", name);
  if (wantFloat)
    return Scalar::ofFloat(
        roundTo(DType::F32, scalar.isFloat ? scalar.f : double(scalar.i)));
  if (scalar.isFloat)
    return sentence("expected an integer for '{0}', but got {1}", name,
                    scalar.f);
  auto min = dyn_cast_or_null<IntegerAttr>(attribute(attn::kMinAttr));
  auto max = dyn_cast_or_null<IntegerAttr>(attribute(attn::kMaxAttr));
  if (min && scalar.i < min.getInt())
    return sentence("expected '{0}' to be at least {1}, but got {2}", name,
                    min.getInt(), scalar.i);
  if (max && scalar.i > max.getInt())
    return sentence("expected '{0}' to be at most {1}, but got {2}", name,
                    max.getInt(), scalar.i);
  return scalar;
}

/// Arguments and everything computed outside of bodies.
static llvm::Expected<Environment> bindEnvironment(func::FuncOp function,
                                                   const Inputs &inputs) {
  Environment outside;
  llvm::StringMap<char> scalarNames;
  for (auto [number, argument] : llvm::enumerate(function.getArguments())) {
    std::string name = argumentName(function, number);
    outside.names[argument] = name;
    if (auto type = dyn_cast<RankedTensorType>(argument.getType())) {
      auto given = inputs.tensors.find(name);
      if (given == inputs.tensors.end()) {
        if (argument.use_empty())
          continue;
        return sentence("expected an input '{0}'", name);
      }
      auto tensor = bindTensor(given->second, name, type);
      if (!tensor)
        return tensor.takeError();
      outside.tensors[argument] = std::move(*tensor);
      continue;
    }
    if (!argument.getType().isIntOrIndexOrFloat())
      return sentence("expected '{0}' to be a tensor or a number", name);
    scalarNames[name];
    auto scalar = bindScalar(function, number, name, inputs);
    if (!scalar)
      return scalar.takeError();
    outside.scalars[argument] = *scalar;
  }
  for (const auto &given : inputs.scalars)
    if (!scalarNames.contains(given.first()))
      return sentence("expected no parameter '{0}': the pattern has none of "
                      "this name",
                      given.first());
  for (Operation &op : function.getBody().front()) {
    if (isa<attn::AttnDialect>(op.getDialect()) || isa<func::ReturnOp>(op))
      continue;
    if (auto cast = dyn_cast<tensor::CastOp>(op)) {
      auto tensor = outside.tensors.find(cast.getSource());
      if (tensor != outside.tensors.end()) {
        Tensor copy = tensor->second;
        outside.tensors[cast] = copy;
        outside.names[cast] = outside.names.lookup(cast.getSource());
        continue;
      }
    }
    if (op.getNumResults() == 1 &&
        op.getResult(0).getType().isIntOrIndexOrFloat()) {
      if (llvm::Error error = evaluateOutside(op, outside))
        return std::move(error);
      continue;
    }
    return sentence("operation '{0}' has no meaning in the reference",
                    op.getName().getStringRef());
  }
  return outside;
}

//===----------------------------------------------------------------------===//
// Attends
//===----------------------------------------------------------------------===//

namespace {

template <typename Real> class Binder {
public:
  Binder(func::FuncOp function, Environment outside, bool needData)
      : function(function), outside(std::move(outside)), needData(needData) {}

  llvm::Expected<Plan<Real>> run() {
    plan.resultNames = resultNames(function);
    for (auto attend : function.getOps<attn::AttendOp>())
      if (llvm::Error error = bindAttend(attend))
        return std::move(error);
    for (auto finalize : function.getOps<attn::FinalizeOp>())
      if (llvm::Error error = bindFinalize(finalize))
        return std::move(error);
    Operation *terminator = function.getBody().front().getTerminator();
    for (auto [number, value] : llvm::enumerate(terminator->getOperands()))
      if (!value.template getDefiningOp<attn::FinalizeOp>())
        return sentence("expected result {0} to be made by attn.finalize",
                        number);
    return std::move(plan);
  }

private:
  llvm::Expected<Tensor> tensor(Value value, bool data) {
    auto found = outside.tensors.find(value);
    if (found == outside.tensors.end()) {
      Operation *op = value.getDefiningOp();
      return sentence("expected an argument of the function, but got the "
                      "result of '{0}'",
                      op ? op->getName().getStringRef() : "?");
    }
    if (data && !found->second.data && found->second.numElements() > 0)
      return sentence("expected data for '{0}'", outside.names.lookup(value));
    return found->second;
  }

  llvm::Expected<std::vector<int64_t>> integers(Value value) {
    auto found = tensor(value, /*data=*/true);
    if (!found)
      return found.takeError();
    std::vector<int64_t> list;
    for (int64_t k = 0; k < found->shape[0]; ++k)
      list.push_back(found->integer(found->offset({k})));
    return list;
  }

  /// Cumulative lengths into `list`.
  llvm::Error bindBounds(Value value, std::vector<int64_t> &list) {
    auto read = integers(value);
    if (!read)
      return read.takeError();
    list = std::move(*read);
    std::string name = outside.names.lookup(value);
    if (list.empty())
      return sentence("expected at least 1 entry in '{0}'", name);
    for (size_t k = 0; k < list.size(); ++k) {
      int64_t least = k ? list[k - 1] : 0;
      if (list[k] < least)
        return sentence("expected entry {0} of '{1}' to be at least {2}, but "
                        "got {3}",
                        k, name, least, list[k]);
    }
    return llvm::Error::success();
  }

  /// A length beyond the table is cut, as kernels do.
  llvm::Error bindPages(attn::AttendOp op, AttendPlan<Real> &attend) {
    auto table = tensor(op.getPageTable(), /*data=*/true);
    if (!table)
      return table.takeError();
    auto lengths = integers(op.getLengths());
    if (!lengths)
      return lengths.takeError();
    int64_t sequences = int64_t(attend.cuQuery.size()) - 1;
    for (auto [value, extent] :
         {std::pair<Value, int64_t>{op.getPageTable(), table->shape[0]},
          {op.getLengths(), int64_t(lengths->size())}})
      if (extent != sequences)
        return sentence("expected extent 0 of '{0}' to be {1}, the sequences "
                        "of '{2}', but got {3}",
                        outside.names.lookup(value), sequences,
                        outside.names.lookup(op.getCuQuery()), extent);
    Paging &paging = attend.paging.emplace();
    paging.slots = int64_t(*op.getPage());
    paging.table = std::move(*table);
    for (int64_t length : *lengths)
      paging.lengths.push_back(
          std::clamp<int64_t>(length, 0, paging.mostKeys()));
    return llvm::Error::success();
  }

  llvm::Error bindPacking(attn::AttendOp op, AttendPlan<Real> &attend) {
    if (llvm::Error error = bindBounds(op.getCuQuery(), attend.cuQuery))
      return error;
    if (op.getPageTable()) {
      if (llvm::Error error = bindPages(op, attend))
        return error;
    } else if (llvm::Error error = bindBounds(op.getCuKey(), attend.cuKey)) {
      return error;
    } else if (attend.cuQuery.size() != attend.cuKey.size()) {
      return sentence("expected '{0}' and '{1}' of one length, but got {2} and "
                      "{3}",
                      outside.names.lookup(op.getCuQuery()),
                      outside.names.lookup(op.getCuKey()),
                      attend.cuQuery.size(), attend.cuKey.size());
    }
    if (attend.query.shape[0] != 1)
      return sentence("expected batch extent 1 with {0}, but got {1}",
                      op.getPageTable() ? "pages" : "documents",
                      attend.query.shape[0]);
    if (attend.cuQuery.back() > attend.query.shape[2])
      return sentence("expected '{0}' to end at {1} or before, but got {2}",
                      outside.names.lookup(op.getCuQuery()),
                      attend.query.shape[2], attend.cuQuery.back());
    return llvm::Error::success();
  }

  llvm::Error bindSource(attn::SourceOp op, AttendPlan<Real> &attend) {
    SourcePlan<Real> source;
    struct Side {
      Value value;
      Tensor &tensor;
    };
    for (auto [value, into] :
         {Side{op.getKey(), source.key}, Side{op.getValue(), source.value}}) {
      auto found = tensor(value, needData);
      if (!found)
        return found.takeError();
      into = std::move(*found);
    }
    std::string keyName = outside.names.lookup(op.getKey());
    std::string valueName = outside.names.lookup(op.getValue());
    for (int64_t axis : {0, 1, 2})
      if (source.key.shape[axis] != source.value.shape[axis])
        return sentence("expected extent {0} of '{1}' to be {2}, as in '{3}', "
                        "but got {4}",
                        axis, valueName, source.key.shape[axis], keyName,
                        source.value.shape[axis]);
    int64_t batches = attend.query.shape[0], heads = attend.query.shape[1];
    source.keys = source.key.shape[2];
    if (attend.paging) {
      if (source.keys != attend.paging->slots)
        return sentence("expected extent 2 of '{0}' to be {1}, the slots of a "
                        "page, but got {2}",
                        keyName, attend.paging->slots, source.keys);
      source.keys = attend.paging->mostKeys();
    } else if (source.key.shape[0] != batches) {
      if (source.key.shape[0] != 1)
        return sentence("expected batch extent {0} of '{1}', but got {2}",
                        batches, keyName, source.key.shape[0]);
      source.key.strides[0] = source.value.strides[0] = 0;
    }
    // Without heads there is nothing to compute, and nothing to divide.
    if (source.kvHeads() < 1 ? heads != 0 : heads % source.kvHeads() != 0)
      return sentence("expected the {0} query heads to be a multiple of the "
                      "heads of '{1}', but got {2}",
                      heads, keyName, source.kvHeads());
    source.scale = op.getScale() ? op.getScale()->convertToDouble()
                                 : 1 / std::sqrt(double(attend.query.shape[3]));
    // In packed input b counts documents.
    int64_t entries =
        attend.cuQuery.empty() ? batches : int64_t(attend.cuQuery.size()) - 1;
    BodyExtents extents = {entries, heads, attend.query.shape[2], source.keys};
    auto graph = PairGraph::compile(op.getGraph(), outside, extents, batches,
                                    source.kvHeads());
    if (!graph)
      return graph.takeError();
    source.graph = std::move(*graph);
    if (needData && !op.getEdge().empty()) {
      auto edge =
          ScalarProgram<Real>::compile(op.getEdge().front(), outside, extents);
      if (!edge)
        return edge.takeError();
      source.edge = std::move(*edge);
    }
    attend.sources.push_back(std::move(source));
    return llvm::Error::success();
  }

  llvm::Error bindAttend(attn::AttendOp op) {
    auto attend = std::make_unique<AttendPlan<Real>>();
    auto query = tensor(op.getQuery(), needData);
    if (!query)
      return query.takeError();
    attend->query = std::move(*query);
    attend->topLeft = op.getAlign() == attn::Align::top_left;
    if (op.getCuQuery())
      if (llvm::Error error = bindPacking(op, *attend))
        return error;
    for (Value source : op.getSources())
      if (llvm::Error error =
              bindSource(source.getDefiningOp<attn::SourceOp>(), *attend))
        return error;
    for (const SourcePlan<Real> &source : attend->sources)
      if (op.getCuKey() && attend->cuKey.back() > source.keys)
        return sentence("expected '{0}' to end at {1} or before, but got {2}",
                        outside.names.lookup(op.getCuKey()), source.keys,
                        attend->cuKey.back());
    if (op.getOffsets()) {
      auto offsets = integers(op.getOffsets());
      if (!offsets)
        return offsets.takeError();
      attend->offsets = std::move(*offsets);
      int64_t batches = attend->query.shape[0];
      if (attend->offsets.size() == 1)
        attend->offsets.resize(std::max<int64_t>(batches, 1),
                               attend->offsets[0]);
      if (int64_t(attend->offsets.size()) < batches)
        return sentence("expected {0} entries in '{1}', but got {2}", batches,
                        outside.names.lookup(op.getOffsets()),
                        attend->offsets.size());
    }
    numbers[op] = attend.get();
    plan.attends.push_back(std::move(attend));
    return llvm::Error::success();
  }

  /// Walks the tree of merges; edges of all leaves fold together.
  llvm::Error collect(Value partial, FinalizePlan<Real> &finalize) {
    if (auto merge = partial.getDefiningOp<attn::MergeOp>()) {
      if (llvm::Error error = collect(merge.getLhs(), finalize))
        return error;
      return collect(merge.getRhs(), finalize);
    }
    auto attend = partial.getDefiningOp<attn::AttendOp>();
    if (!attend)
      return sentence("expected a partial result made in the function");
    finalize.attends.push_back(numbers.lookup(attend));
    llvm::ArrayRef<int64_t> first = finalize.query().shape;
    llvm::ArrayRef<int64_t> shape = finalize.attends.back()->query.shape;
    if (first.take_front(3) != shape.take_front(3))
      return sentence("expected merged results of one shape, but got "
                      "[{0}, {1}, {2}] and [{3}, {4}, {5}]",
                      first[0], first[1], first[2], shape[0], shape[1],
                      shape[2]);
    return llvm::Error::success();
  }

  llvm::Error bindFinalize(attn::FinalizeOp op) {
    FinalizePlan<Real> finalize;
    if (llvm::Error error = collect(op.getPartial(), finalize))
      return error;
    finalize.valueDim = op.getPartial().getType().getValueDim();
    auto type = cast<RankedTensorType>(op.getOutput().getType());
    finalize.outputType = *dtypeOf(type.getElementType());
    finalize.valueType = finalize.attends.front()->sources.front().value.dtype;
    if (op.getSink()) {
      auto sink = tensor(op.getSink(), needData);
      if (!sink)
        return sink.takeError();
      if (sink->shape[0] == 1)
        sink->strides[0] = 0;
      else if (sink->shape[0] != finalize.query().shape[1])
        return sentence("expected {0} entries in '{1}', but got {2}",
                        finalize.query().shape[1],
                        outside.names.lookup(op.getSink()), sink->shape[0]);
      finalize.sink = std::move(*sink);
    }
    Operation *terminator = function.getBody().front().getTerminator();
    for (auto [number, value] : llvm::enumerate(terminator->getOperands())) {
      if (value == op.getOutput())
        finalize.outputResult = number;
      if (value == op.getLse())
        finalize.lseResult = number;
    }
    plan.finalizes.push_back(std::move(finalize));
    return llvm::Error::success();
  }

  func::FuncOp function;
  Environment outside;
  bool needData;
  Plan<Real> plan;
  llvm::DenseMap<Operation *, const AttendPlan<Real> *> numbers;
};

} // namespace

template <typename Real>
llvm::Expected<Plan<Real>>
Plan<Real>::bind(func::FuncOp function, const Inputs &inputs, bool needData) {
  auto outside = bindEnvironment(function, inputs);
  if (!outside)
    return outside.takeError();
  return Binder<Real>(function, std::move(*outside), needData).run();
}

template <typename Real>
RowPlace AttendPlan<Real>::place(int64_t b, int64_t h, int64_t r,
                                 int64_t keys) const {
  RowPlace place;
  place.b = b;
  place.h = h;
  place.r = r;
  int64_t queries = query.shape[2];
  if (cuQuery.empty()) {
    place.hi = keys;
    place.i = r + (!offsets.empty() ? offsets[b]
                   : topLeft        ? 0
                                    : keys - queries);
    return place;
  }
  // The last document that starts at or before r; an empty one holds no row.
  auto next = std::upper_bound(cuQuery.begin(), cuQuery.end(), r);
  if (next == cuQuery.begin() || next == cuQuery.end())
    return place; // before, between or after the documents: no key exists
  size_t d = next - cuQuery.begin() - 1;
  place.b = int64_t(d);
  queries = cuQuery[d + 1] - cuQuery[d];
  place.lo = place.keyShift = paging ? 0 : cuKey[d];
  place.hi = paging ? paging->lengths[d] : cuKey[d + 1];
  keys = place.hi - place.lo;
  place.i = r - cuQuery[d] + (topLeft ? 0 : keys - queries);
  return place;
}

template <typename Real>
llvm::ArrayRef<uint8_t>
AttendPlan<Real>::seenKeys(const SourcePlan<Real> &source,
                           PairGraph::State &state,
                           const RowPlace &place) const {
  llvm::MutableArrayRef<uint8_t> mask = source.graph.row(state, place);
  if (paging)
    for (int64_t c = place.lo; c < place.hi; ++c) {
      int64_t page = paging->pageOf(place.b, c);
      if (page < 0 || page >= source.key.shape[0])
        mask[c] = 0;
    }
  return mask;
}

template struct filigree::reference::AttendPlan<double>;
template struct filigree::reference::AttendPlan<float>;
template struct filigree::reference::Plan<double>;
template struct filigree::reference::Plan<float>;
