//===- OracleInterface.cpp - the arguments of an oracle's kernel ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/OracleInterface.h"
#include "codegen/reference/EmitOracle.h"
#include "codegen/reference/OracleBody.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/SetVector.h"

using namespace filigree;
using namespace filigree::oracle;
using mlir::Attribute;
using mlir::BlockArgument;
using mlir::RankedTensorType;

namespace {

using Dims = llvm::SmallVector<std::string, 4>;

class Reader {
public:
  explicit Reader(mlir::func::FuncOp function)
      : function(function), builder(function.getContext()) {}

  llvm::FailureOr<Fold> run();

private:
  llvm::LogicalResult findFold();
  llvm::LogicalResult collect(mlir::Value partial);
  llvm::LogicalResult nameExtents();
  llvm::LogicalResult nameGraph(mlir::Value graph, const std::string &suffix,
                                llvm::SetVector<mlir::Operation *> &lists);
  llvm::LogicalResult nameLookups(mlir::Region &region, llvm::StringRef keys);
  llvm::LogicalResult set(mlir::Value tensor, const Dims &dims);
  std::string nameOf(BlockArgument argument);
  Attribute describe(llvm::StringRef name, llvm::StringRef kind,
                     const Dims &dims, llvm::StringRef flag = {});
  llvm::LogicalResult describeAll();

  mlir::func::FuncOp function;
  mlir::Builder builder;
  Fold fold;
  std::string batch;
  bool packed = false;
  llvm::DenseMap<BlockArgument, Dims> dimsOf;
};

int64_t widthOf(mlir::Value tensor) {
  return mlir::cast<RankedTensorType>(tensor.getType()).getDimSize(3);
}

} // namespace

const InterfaceArg &Fold::added(Added which) const {
  return interface.args[patternArgs + unsigned(which)];
}

//===----------------------------------------------------------------------===//
// The fold
//===----------------------------------------------------------------------===//

/// Walks the tree of merges: edges of all leaves fold together.
llvm::LogicalResult Reader::collect(mlir::Value partial) {
  if (auto merge = partial.getDefiningOp<attn::MergeOp>())
    return llvm::success(mlir::succeeded(collect(merge.getLhs())) &&
                         mlir::succeeded(collect(merge.getRhs())));
  auto attend = partial.getDefiningOp<attn::AttendOp>();
  if (!attend)
    return function.emitError("expected a partial result made in the function");
  for (mlir::Value source : attend.getSources())
    fold.sources.push_back({attend, source.getDefiningOp<attn::SourceOp>()});
  return llvm::success();
}

llvm::LogicalResult Reader::findFold() {
  mlir::Operation *end = function.getBody().front().getTerminator();
  if (end->getNumOperands() == 2)
    fold.finalize = end->getOperand(0).getDefiningOp<attn::FinalizeOp>();
  if (!fold.finalize || end->getOperand(1) != fold.finalize.getLse())
    return function.emitError("expected a pattern to return the output and the "
                              "log-sum-exp of one fold");
  if (mlir::failed(collect(fold.finalize.getPartial())))
    return llvm::failure();
  packed = bool(fold.sources.front().attend.getCuQuery());
  bool paged = bool(fold.sources.front().attend.getPageTable());
  for (SourceOfFold each : fold.sources) {
    if (bool(each.attend.getPageTable()) != paged)
      return each.attend.emitOpError(
          "expected `paged` in all merged folds or in none");
    if (bool(each.attend.getCuQuery()) != packed)
      return each.attend.emitOpError(
          "expected `documents` in all merged folds or in none");
  }
  batch = packed ? "1" : "B";
  return llvm::success();
}

//===----------------------------------------------------------------------===//
// Extents
//===----------------------------------------------------------------------===//

std::string Reader::nameOf(BlockArgument argument) {
  if (auto name = function.getArgAttrOfType<mlir::StringAttr>(
          argument.getArgNumber(), attn::kNameAttr))
    return name.str();
  return "arg" + std::to_string(argument.getArgNumber());
}

/// The first use names the extents; a table may be indexed in one way only.
llvm::LogicalResult Reader::set(mlir::Value tensor, const Dims &dims) {
  BlockArgument argument = argumentOf(tensor);
  if (!argument)
    return function.emitError("expected tensors that are pattern arguments");
  dimsOf.try_emplace(argument, dims);
  return llvm::success();
}

llvm::LogicalResult Reader::nameLookups(mlir::Region &region,
                                        llvm::StringRef keys) {
  auto result = region.walk([&](attn::LookupOp op) {
    unsigned first = op->getBlock()->getNumArguments() - 4;
    const std::string letters[] = {packed ? "docs" : "B", "Hq", "Nq",
                                   keys.str()};
    Dims dims;
    for (mlir::Value index : op.getIndices())
      dims.push_back(
          letters[mlir::cast<BlockArgument>(index).getArgNumber() - first]);
    if (llvm::is_contained(dims, "")) {
      op.emitOpError("expected no tensor indexed by keys with `paged`: not in "
                     "this release");
      return mlir::WalkResult::interrupt();
    }
    if (mlir::failed(set(op.getTable(), dims)))
      return mlir::WalkResult::interrupt();
    if (dimsOf[argumentOf(op.getTable())] == dims)
      return mlir::WalkResult::advance();
    op.emitOpError("expected one table to be indexed one way");
    return mlir::WalkResult::interrupt();
  });
  return llvm::failure(result.wasInterrupted());
}

llvm::LogicalResult
Reader::nameGraph(mlir::Value graph, const std::string &suffix,
                  llvm::SetVector<mlir::Operation *> &lists) {
  mlir::Operation *op = graph.getDefiningOp();
  if (!op)
    return function.emitError("expected a graph made in the function");
  if (auto where = mlir::dyn_cast<attn::WhereOp>(op))
    return nameLookups(where.getBody(), "Nk");
  auto blocks = mlir::dyn_cast<attn::BlocksOp>(op);
  if (!blocks) {
    for (mlir::Value operand : op->getOperands())
      if (mlir::failed(nameGraph(operand, suffix, lists)))
        return llvm::failure();
    return llvm::success();
  }
  if (!lists.insert(op))
    return llvm::success();
  std::string number = suffix + std::to_string(lists.size() - 1);
  Dims dims = {"Bg" + number, "Hg" + number,
               "ceil(Nq/" + std::to_string(blocks.getBlockRows()) + ")"};
  if (mlir::failed(set(blocks.getStart(), dims)))
    return llvm::failure();
  // A list used twice keeps its names.
  dims = dimsOf[argumentOf(blocks.getStart())];
  return llvm::success(
      mlir::succeeded(set(blocks.getCount(), dims)) &&
      mlir::succeeded(set(blocks.getCols(), {"entries" + number})));
}

llvm::LogicalResult Reader::nameExtents() {
  // Tensors that sources share make their keys as many; a query among them has
  // the heads and the length of keys.
  llvm::EquivalenceClasses<mlir::Value> asLong;
  std::string heads = "Hkv";
  for (SourceOfFold each : fold.sources) {
    asLong.unionSets(each.source.getKey(), each.source.getValue());
    for (SourceOfFold other : fold.sources)
      if (llvm::is_contained({each.source.getKey(), each.source.getValue()},
                             other.attend.getQuery()))
        heads = "Hq";
  }
  llvm::DenseMap<mlir::Value, std::string> lengths;
  if (heads == "Hq")
    for (SourceOfFold each : fold.sources)
      lengths[asLong.getOrInsertLeaderValue(each.attend.getQuery())] = "Nq";
  unsigned sources = 0;
  for (SourceOfFold each : fold.sources) {
    attn::AttendOp attend = each.attend;
    attn::SourceOp source = each.source;
    bool paged = bool(attend.getPageTable());
    if (paged && heads == "Hq")
      return attend.emitOpError("expected keys and values other than the query "
                                "with `paged`");
    std::string extent = paged ? "pages" : "Nk";
    if (sources > 0)
      extent += std::to_string(sources + 1);
    extent = lengths.try_emplace(asLong.getLeaderValue(source.getKey()), extent)
                 .first->second;
    auto width = [](mlir::Value tensor) {
      return std::to_string(widthOf(tensor));
    };
    auto stored = [&](mlir::Value tensor) -> Dims {
      if (paged)
        return {extent, heads, std::to_string(int64_t(*attend.getPage())),
                width(tensor)};
      return {batch, heads, extent, width(tensor)};
    };
    std::pair<mlir::Value, Dims> named[] = {
        {attend.getQuery(), {batch, "Hq", "Nq", width(attend.getQuery())}},
        {source.getKey(), stored(source.getKey())},
        {source.getValue(), stored(source.getValue())},
        {attend.getCuQuery(), {"docs+1"}},
        {attend.getCuKey(), {"docs+1"}},
        {attend.getPageTable(), {"docs", "doc_pages"}},
        {attend.getLengths(), {"docs"}},
        {attend.getOffsets(), {"B"}},
        {fold.finalize.getSink(), {"Hq"}}};
    for (const auto &[tensor, dims] : named)
      if (tensor && mlir::failed(set(tensor, dims)))
        return llvm::failure();
    llvm::SetVector<mlir::Operation *> lists;
    if (mlir::failed(nameGraph(source.getGraph(),
                               std::to_string(sources++) + "_", lists)))
      return llvm::failure();
    if (heads == "Hq" && !lists.empty())
      return source.emitOpError("expected keys and values other than the query "
                                "with block lists");
    if (mlir::failed(nameLookups(source.getEdge(), paged ? "" : extent)))
      return llvm::failure();
  }
  return llvm::success();
}

//===----------------------------------------------------------------------===//
// The interface
//===----------------------------------------------------------------------===//

Attribute Reader::describe(llvm::StringRef name, llvm::StringRef kind,
                           const Dims &dims, llvm::StringRef flag) {
  mlir::NamedAttrList attrs;
  attrs.set("name", builder.getStringAttr(name));
  attrs.set("kind", builder.getStringAttr(kind));
  llvm::SmallVector<llvm::StringRef> texts(dims.begin(), dims.end());
  attrs.set("dims", builder.getStrArrayAttr(texts));
  if (!flag.empty())
    attrs.set("flags", builder.getStrArrayAttr({flag}));
  return attrs.getDictionary(builder.getContext());
}

llvm::LogicalResult Reader::describeAll() {
  llvm::SmallVector<Attribute> args;
  llvm::SmallVector<mlir::Type> types;
  for (BlockArgument argument : function.getArguments()) {
    types.push_back(argument.getType());
    std::string name = nameOf(argument);
    if (name == "rows")
      return function.emitError("expected no argument `rows` in a pattern of "
                                "an oracle, which has one of its own");
    auto tensor = mlir::dyn_cast<RankedTensorType>(argument.getType());
    if (!tensor) {
      mlir::NamedAttrList attrs;
      attrs.set("name", builder.getStringAttr(name));
      attrs.set("kind", builder.getStringAttr("scalar"));
      unsigned number = argument.getArgNumber();
      if (Attribute value = function.getArgAttr(number, attn::kMinAttr))
        attrs.set("min", value);
      if (Attribute value = function.getArgAttr(number, attn::kMaxAttr))
        attrs.set("max", value);
      if (Attribute value = function.getArgAttr(number, attn::kPresetAttr))
        attrs.set("preset", value);
      args.push_back(attrs.getDictionary(builder.getContext()));
      continue;
    }
    auto dims = dimsOf.find(argument);
    if (dims == dimsOf.end()) { // without a use: its own extents
      Dims own;
      for (auto [axis, extent] : llvm::enumerate(tensor.getShape()))
        own.push_back(mlir::ShapedType::isDynamic(extent)
                          ? name + "." + std::to_string(axis)
                          : std::to_string(extent));
      dims = dimsOf.try_emplace(argument, own).first;
    }
    // Bounds of documents, offsets and sinks have all their entries.
    bool isLookedUp =
        !argument.use_empty() &&
        llvm::all_of(argument.getUsers(), [](mlir::Operation *user) {
          return mlir::isa<attn::LookupOp>(user);
        });
    args.push_back(
        describe(name, "input", dims->second, isLookedUp ? "broadcast" : ""));
  }
  fold.patternArgs = args.size();

  std::string o = "o", lse = "lse";
  if (auto given =
          function.getResultAttrOfType<mlir::StringAttr>(0, attn::kNameAttr))
    o = given.str();
  if (auto given =
          function.getResultAttrOfType<mlir::StringAttr>(1, attn::kNameAttr))
    lse = given.str();
  Dims ofLse = {batch, "Hq", "R"}, ofO = ofLse;
  ofO.push_back(std::to_string(widthOf(fold.finalize.getOutput())));
  auto add = [&](llvm::StringRef name, llvm::StringRef kind, const Dims &dims,
                 mlir::Type element, llvm::StringRef flag = {}) {
    args.push_back(describe(name, kind, dims, flag));
    types.push_back(RankedTensorType::get(
        llvm::SmallVector<int64_t>(dims.size(), mlir::ShapedType::kDynamic),
        element));
  };
  mlir::Type f64 = builder.getF64Type();
  add("rows", "input", {"R"}, builder.getI32Type()); // in the order of Added
  add(o, "output", ofO, f64);
  add(lse, "output", ofLse, f64);
  add(o + ".naive", "output", ofO, f64, "optional");
  add(lse + ".naive", "output", ofLse, f64, "optional");
  add(o + ".naive_backward", "output", ofO, f64, "optional");
  add(o + ".naive_lanes", "output", ofO, f64, "optional");
  fold.interface =
      interfaceOf(function.getName(), builder.getArrayAttr(args), types);
  return llvm::success();
}

llvm::FailureOr<Fold> Reader::run() {
  if (mlir::failed(findFold()) || mlir::failed(nameExtents()) ||
      mlir::failed(describeAll()))
    return llvm::failure();
  attn::SourceOp source = fold.sources.front().source;
  int64_t keyDim = widthOf(source.getKey());
  int64_t valueDim = widthOf(source.getValue());
  mlir::Type element = mlir::getElementTypeOrSelf(source.getKey().getType());
  fold.variant = (kOraclePrefix + "d" + std::to_string(keyDim)).str();
  if (keyDim != valueDim)
    fold.variant += "x" + std::to_string(valueDim);
  fold.variant += element.isF32()    ? "_f32"
                  : element.isBF16() ? "_bf16"
                                     : "_f16";
  return std::move(fold);
}

llvm::FailureOr<Fold> oracle::readFold(mlir::func::FuncOp function) {
  return Reader(function).run();
}
