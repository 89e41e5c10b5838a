//===- LowerToTile.cpp - turn each pattern function into a tile.kernel ----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A graph is a boolean combination of predicates and block lists. Along the
// key axis the lists are constant on segments, so for each of the 2^L member
// sets the graph is a plain predicate: the residual. One case of the stream
// holds one residual; this is what keeps the pairs of a source disjoint.
//
// Before: one attend and one finalize per function (merges joined).
// After: no attn operation but lookups inside bodies.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

namespace filigree {
#define GEN_PASS_DEF_LOWERTOTILE
#include "passes/Passes.h.inc"
} // namespace filigree

using namespace mlir;
using namespace filigree;

namespace {

/// More lists in one graph than this is refused: 2^L cases.
constexpr unsigned kMaxLists = 4;

//===----------------------------------------------------------------------===//
// Residual predicates
//===----------------------------------------------------------------------===//

/// A condition under construction: a known truth value or an i1.
struct Residual {
  std::optional<bool> known;
  Value value;
};

class GraphLowering {
public:
  GraphLowering(Value graph, IRMapping &outer) : graph(graph), outer(outer) {
    collectLists(graph);
  }

  SmallVector<attn::BlocksOp> getLists() const {
    return SmallVector<attn::BlocksOp>(lists.begin(), lists.end());
  }

  /// Adds the case of `members`, unless no pair satisfies its residual.
  void buildCase(OpBuilder &builder, Location loc, uint64_t members) {
    auto op = tile::CaseOp::create(builder, loc, members, tile::RunsAttr(),
                                   /*refine=*/false);
    Block *mask = new Block();
    op.getMask().push_back(mask);
    Type i64 = builder.getI64Type();
    mask->addArguments({i64, i64, i64, i64}, {loc, loc, loc, loc});
    OpBuilder inner = OpBuilder::atBlockEnd(mask);
    Residual residual = lower(graph, members, inner, loc);
    if (residual.known) {
      if (!*residual.known)
        op.erase();
      else
        mask->erase();
      return;
    }
    tile::YieldOp::create(inner, loc, residual.value);
  }

private:
  void collectLists(Value value) {
    Operation *op = value.getDefiningOp();
    if (auto blocks = dyn_cast<attn::BlocksOp>(op))
      lists.insert(blocks);
    else if (!isa<attn::WhereOp>(op))
      for (Value operand : op->getOperands())
        collectLists(operand);
  }

  Residual negate(Residual a, OpBuilder &b, Location loc) {
    if (a.known)
      return {!*a.known, {}};
    Value one = arith::ConstantIntOp::create(b, loc, 1, 1);
    return {std::nullopt, arith::XOrIOp::create(b, loc, a.value, one)};
  }

  /// a AND b, or a OR b; `absorbing` is false for AND, true for OR.
  Residual combine(Residual a, Residual b, bool absorbing, OpBuilder &builder,
                   Location loc) {
    for (auto [x, y] : {std::pair{&a, &b}, {&b, &a}})
      if (x->known)
        return *x->known == absorbing ? *x : *y;
    Value value =
        absorbing
            ? Value(arith::OrIOp::create(builder, loc, a.value, b.value))
            : Value(arith::AndIOp::create(builder, loc, a.value, b.value));
    return {std::nullopt, value};
  }

  Residual lower(Value value, uint64_t members, OpBuilder &b, Location loc) {
    Operation *op = value.getDefiningOp();
    if (auto blocks = dyn_cast<attn::BlocksOp>(op)) {
      size_t index = llvm::find(lists, blocks) - lists.begin();
      return {bool((members >> index) & 1), {}};
    }
    if (auto where = dyn_cast<attn::WhereOp>(op))
      return inlineBody(where, b);
    if (auto complement = dyn_cast<attn::ComplementOp>(op))
      return negate(lower(complement.getOperand(), members, b, loc), b, loc);
    Residual lhs = lower(op->getOperand(0), members, b, loc);
    Residual rhs = lower(op->getOperand(1), members, b, loc);
    if (isa<attn::UnionOp>(op))
      return combine(lhs, rhs, /*absorbing=*/true, b, loc);
    if (isa<attn::DifferenceOp>(op))
      rhs = negate(rhs, b, loc);
    return combine(lhs, rhs, /*absorbing=*/false, b, loc);
  }

  Residual inlineBody(attn::WhereOp where, OpBuilder &b) {
    IRMapping map(outer);
    Block &body = where.getBody().front();
    map.map(body.getArguments(), b.getBlock()->getArguments());
    for (Operation &op : body.without_terminator())
      b.clone(op, map);
    Value yielded = body.getTerminator()->getOperand(0);
    Value result = map.lookupOrDefault(yielded);
    if (auto constant = result.getDefiningOp<arith::ConstantOp>())
      if (auto attr = dyn_cast<IntegerAttr>(constant.getValue()))
        return {!attr.getValue().isZero(), {}};
    return {std::nullopt, result};
  }

  Value graph;
  IRMapping &outer;
  llvm::SetVector<attn::BlocksOp> lists;
};

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

/// Named extents of the kernel's arguments, from how each is used.
class ArgumentTable {
public:
  ArgumentTable(func::FuncOp func) : func(func), builder(func.getContext()) {}

  /// Each dim is a name, or a number as text for a constant extent.
  void setDims(Value value, ArrayRef<std::string> dims) {
    if (auto argument = dyn_cast<BlockArgument>(value))
      dimsOf.try_emplace(argument, SmallVector<std::string>(dims));
  }
  bool has(Value value) const {
    return dimsOf.contains(cast<BlockArgument>(value));
  }
  void setFlag(Value value, StringRef flag) {
    flagsOf[cast<BlockArgument>(value)].push_back(flag.str());
  }
  ArrayRef<std::string> dims(Value value) {
    return dimsOf[cast<BlockArgument>(value)];
  }

  std::string nameOf(BlockArgument argument) {
    if (auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      attn::kNameAttr))
      return name.str();
    return ("arg" + Twine(argument.getArgNumber())).str();
  }

  FailureOr<ArrayAttr> build(ArrayRef<std::pair<std::string, Value>> outputs,
                             ArrayRef<SmallVector<std::string>> outputDims) {
    SmallVector<Attribute> args;
    for (BlockArgument argument : func.getArguments()) {
      NamedAttrList attrs;
      attrs.set("name", builder.getStringAttr(nameOf(argument)));
      if (!isa<RankedTensorType>(argument.getType())) {
        attrs.set("kind", builder.getStringAttr("scalar"));
        for (auto [from, to] :
             {std::pair<StringRef, StringRef>{attn::kMinAttr, "min"},
              {attn::kMaxAttr, "max"},
              {attn::kPresetAttr, "preset"}})
          if (Attribute value = func.getArgAttr(argument.getArgNumber(), from))
            attrs.set(to, value);
      } else {
        attrs.set("kind", builder.getStringAttr("input"));
        auto dims = dimsOf.find(argument);
        if (dims == dimsOf.end())
          dims = dimsOf.try_emplace(argument, freshDims(argument)).first;
        attrs.set("dims", strings(dims->second));
        if (auto flags = flagsOf.find(argument); flags != flagsOf.end())
          attrs.set("flags", strings(flags->second));
      }
      args.push_back(attrs.getDictionary(builder.getContext()));
    }
    for (auto [output, dims] : llvm::zip(outputs, outputDims)) {
      NamedAttrList attrs;
      attrs.set("name", builder.getStringAttr(output.first));
      attrs.set("kind", builder.getStringAttr("output"));
      attrs.set("dims", strings(dims));
      args.push_back(attrs.getDictionary(builder.getContext()));
    }
    return builder.getArrayAttr(args);
  }

private:
  /// Extents of an argument that folding left without a use: its own.
  SmallVector<std::string> freshDims(BlockArgument argument) {
    SmallVector<std::string> dims;
    auto type = cast<RankedTensorType>(argument.getType());
    for (auto [axis, extent] : llvm::enumerate(type.getShape()))
      dims.push_back(ShapedType::isDynamic(extent)
                         ? nameOf(argument) + "." + std::to_string(axis)
                         : std::to_string(extent));
    return dims;
  }

  ArrayAttr strings(ArrayRef<std::string> list) {
    SmallVector<Attribute> attrs;
    for (const std::string &entry : list)
      attrs.push_back(builder.getStringAttr(entry));
    return builder.getArrayAttr(attrs);
  }

  func::FuncOp func;
  Builder builder;
  llvm::DenseMap<BlockArgument, SmallVector<std::string>> dimsOf;
  llvm::DenseMap<BlockArgument, SmallVector<std::string>> flagsOf;
};

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

class LowerToTile : public filigree::impl::LowerToTileBase<LowerToTile> {
  void runOnOperation() override {
    SmallVector<func::FuncOp> funcs(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp func : funcs)
      if (failed(lower(func)))
        return signalPassFailure();
  }

  LogicalResult lower(func::FuncOp func);
  LogicalResult nameLookups(Region &region, bool packed, StringRef keyExtent,
                            ArgumentTable &table);
};

/// Extents of tables and biases follow from the body arguments that index them.
LogicalResult LowerToTile::nameLookups(Region &region, bool packed,
                                       StringRef keyExtent,
                                       ArgumentTable &table) {
  WalkResult result = region.walk([&](attn::LookupOp op) {
    Block *body = op->getBlock();
    unsigned first = body->getNumArguments() - 4;
    const std::string names[] = {packed ? "docs" : "B", "Hq", "Nq",
                                 keyExtent.str()};
    SmallVector<std::string> dims;
    for (Value index : op.getIndices())
      dims.push_back(names[cast<BlockArgument>(index).getArgNumber() - first]);
    if (llvm::is_contained(dims, ""))
      return op.emitOpError("expected no tensor indexed by keys with `paged`: "
                            "not in this release"),
             WalkResult::interrupt();
    Value tensor = op.getTable();
    if (!isa<BlockArgument>(tensor))
      return op.emitOpError("expected a table that is a pattern argument"),
             WalkResult::interrupt();
    if (table.has(tensor) && table.dims(tensor) != ArrayRef(dims))
      return op.emitOpError("expected one table to be indexed one way"),
             WalkResult::interrupt();
    if (!table.has(tensor))
      table.setFlag(tensor, "broadcast");
    table.setDims(tensor, dims);
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

LogicalResult LowerToTile::lower(func::FuncOp func) {
  auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
  auto finalize = ret.getNumOperands() == 2
                      ? ret.getOperand(0).getDefiningOp<attn::FinalizeOp>()
                      : attn::FinalizeOp();
  if (!finalize || ret.getOperand(1) != finalize.getLse())
    return func.emitError("expected a pattern to return the output and the "
                          "log-sum-exp of one fold");
  auto attend = finalize.getPartial().getDefiningOp<attn::AttendOp>();
  if (!attend)
    return finalize.emitOpError(
        "expected one fold; merging folds of different queries is not in "
        "this release");

  // Extents.
  bool packed = bool(attend.getCuQuery());
  bool paged = bool(attend.getPageTable());
  ArgumentTable table(func);
  std::string batch = packed ? "1" : "B";
  auto sizeOf = [](Value v) {
    return std::to_string(cast<RankedTensorType>(v.getType()).getDimSize(3));
  };
  table.setDims(attend.getQuery(),
                {batch, "Hq", "Nq", sizeOf(attend.getQuery())});
  // Keys and values of one source are as long, and so are all that sources
  // share; where the query is among them, its extents are theirs.
  llvm::EquivalenceClasses<unsigned> asLong;
  auto numberOf = [](Value tensor) {
    return cast<BlockArgument>(tensor).getArgNumber();
  };
  unsigned query = numberOf(attend.getQuery());
  asLong.insert(query);
  bool attendsItself = false;
  for (Value value : attend.getSources()) {
    auto source = value.getDefiningOp<attn::SourceOp>();
    unsigned key = numberOf(source.getKey());
    unsigned held = numberOf(source.getValue());
    asLong.unionSets(key, held);
    attendsItself |= key == query || held == query;
  }
  if (attendsItself && paged)
    return attend.emitOpError("expected keys and values other than the query "
                              "with `paged`");
  std::string heads = attendsItself ? "Hq" : "Hkv";
  llvm::DenseMap<unsigned, std::string> lengths; // by leader of those as long
  if (attendsItself)
    lengths[asLong.getLeaderValue(query)] = "Nq";
  SmallVector<std::string> keyExtents;
  for (Value value : attend.getSources()) {
    auto source = value.getDefiningOp<attn::SourceOp>();
    // Named are the keys of a tensor, or its pages.
    std::string extent = paged ? "pages" : "Nk";
    if (!keyExtents.empty())
      extent += std::to_string(keyExtents.size() + 1);
    extent = lengths
                 .try_emplace(asLong.getLeaderValue(numberOf(source.getKey())),
                              extent)
                 .first->second;
    keyExtents.push_back(paged ? "" : extent); // what biases are indexed by
    std::string slots =
        paged ? std::to_string(int64_t(*attend.getPage())) : extent;
    for (Value tensor : {source.getKey(), source.getValue()})
      table.setDims(tensor,
                    {paged ? extent : batch, heads, slots, sizeOf(tensor)});
  }
  if (packed)
    table.setDims(attend.getCuQuery(), {"docs+1"});
  if (attend.getCuKey())
    table.setDims(attend.getCuKey(), {"docs+1"});
  if (paged) {
    table.setDims(attend.getPageTable(), {"docs", "doc_pages"});
    table.setDims(attend.getLengths(), {"docs"});
  }
  if (attend.getOffsets())
    table.setDims(attend.getOffsets(), {"B"});
  if (finalize.getSink())
    table.setDims(finalize.getSink(), {"Hq"});

  // The kernel's block has the pattern's arguments, then the outputs.
  OpBuilder builder(func);
  Location loc = func.getLoc();
  SmallVector<Type> types(func.getArgumentTypes());
  types.append({finalize.getOutput().getType(), finalize.getLse().getType()});
  SmallVector<std::pair<std::string, Value>> outputs = {
      {"o", finalize.getOutput()}, {"lse", finalize.getLse()}};
  for (auto [index, output] : llvm::enumerate(outputs))
    if (auto name =
            func.getResultAttrOfType<StringAttr>(index, attn::kNameAttr))
      output.first = name.str();
  // A run finds its arguments by name.
  llvm::StringSet<> names;
  for (BlockArgument argument : func.getArguments())
    names.insert(table.nameOf(argument));
  for (const auto &output : outputs)
    if (!names.insert(output.first).second)
      return func.emitError("expected another name for an argument, but got `")
             << output.first << "`, which an output has";

  auto kernel = tile::KernelOp::create(
      builder, loc, func.getName(), builder.getArrayAttr({}),
      tile::ScheduleAttr(), tile::WarpsAttr(), tile::PipelineAttr());
  Block *body = new Block();
  kernel.getBody().push_back(body);
  for (Type type : types)
    body->addArgument(type, loc);
  IRMapping map;
  for (auto [from, to] : llvm::zip(func.getArguments(), body->getArguments()))
    map.map(from, to);
  builder.setInsertionPointToStart(body);
  // Constants outside the bodies (compile-time parameters) come along.
  for (Operation &op : func.getBody().front())
    if (isa<arith::ConstantOp>(op))
      builder.clone(op, map);

  SmallVector<Value> streams;
  for (size_t index = 0; index < attend.getSources().size(); ++index) {
    auto source = attend.getSources()[index].getDefiningOp<attn::SourceOp>();
    GraphLowering graph(source.getGraph(), map);
    SmallVector<attn::BlocksOp> lists = graph.getLists();
    if (lists.size() > kMaxLists)
      return source.emitOpError("expected at most ")
             << kMaxLists << " block lists in one graph, but got "
             << lists.size();
    if (packed && !lists.empty())
      return source.emitOpError("expected no block lists with `")
             << (paged ? "paged" : "documents") << "`: not in this release";
    if (attendsItself && !lists.empty())
      return source.emitOpError("expected keys and values other than the query "
                                "with block lists");
    SmallVector<Value> starts, counts, cols;
    SmallVector<int64_t> shapes;
    for (auto [number, list] : llvm::enumerate(lists)) {
      std::string suffix = std::to_string(index) + "_" + std::to_string(number);
      SmallVector<std::string> dims = {
          "Bg" + suffix, "Hg" + suffix,
          "ceil(Nq/" + std::to_string(list.getBlockRows()) + ")"};
      if (table.has(list.getStart()))
        dims.assign(table.dims(list.getStart()).begin(),
                    table.dims(list.getStart()).end());
      table.setDims(list.getStart(), dims);
      table.setDims(list.getCount(), dims);
      table.setDims(list.getCols(), {"entries" + suffix});
      starts.push_back(map.lookup(list.getStart()));
      counts.push_back(map.lookup(list.getCount()));
      cols.push_back(map.lookup(list.getCols()));
      shapes.append(
          {int64_t(list.getBlockRows()), int64_t(list.getBlockCols())});
    }
    WalkResult walked = func.walk([&](attn::WhereOp where) {
      return failed(
                 nameLookups(where.getBody(), packed, keyExtents[index], table))
                 ? WalkResult::interrupt()
                 : WalkResult::advance();
    });
    if (walked.wasInterrupted() ||
        failed(nameLookups(source.getEdge(), packed, keyExtents[index], table)))
      return failure();

    int64_t headDim =
        cast<RankedTensorType>(source.getKey().getType()).getDimSize(3);
    double scale = source.getScale() ? source.getScale()->convertToDouble()
                                     : 1.0 / std::sqrt(double(headDim));
    auto stream = tile::StreamOp::create(
        builder, source.getLoc(), tile::StreamType::get(&getContext()),
        map.lookup(source.getKey()), map.lookup(source.getValue()), starts,
        counts, cols, builder.getDenseI64ArrayAttr(shapes),
        builder.getF64FloatAttr(scale), /*gather=*/UnitAttr());
    Block *streamBody = new Block();
    stream.getBody().push_back(streamBody);
    OpBuilder inner = OpBuilder::atBlockEnd(streamBody);
    for (uint64_t members = 0; members < (uint64_t(1) << lists.size());
         ++members)
      graph.buildCase(inner, source.getLoc(), members);
    if (!source.getEdge().empty()) {
      auto edge = tile::EdgeOp::create(inner, source.getLoc());
      IRMapping edgeMap(map);
      source.getEdge().cloneInto(&edge.getBody(), edgeMap);
      Operation *yield = edge.getBody().front().getTerminator();
      OpBuilder atYield(yield);
      tile::YieldOp::create(atYield, yield->getLoc(), yield->getOperands());
      yield->erase();
    }
    streams.push_back(stream);
  }

  auto lookupOrNull = [&](Value v) { return v ? map.lookup(v) : Value(); };
  auto fold = tile::FoldOp::create(
      builder, attend.getLoc(), tile::StateType::get(&getContext()),
      map.lookup(attend.getQuery()), streams, lookupOrNull(attend.getCuQuery()),
      lookupOrNull(attend.getCuKey()), lookupOrNull(attend.getPageTable()),
      lookupOrNull(attend.getLengths()), lookupOrNull(attend.getOffsets()),
      attend.getPageAttr(),
      builder.getBoolAttr(attend.getAlign() == attn::Align::top_left));
  unsigned numInputs = func.getNumArguments();
  tile::StoreOp::create(
      builder, finalize.getLoc(), fold, body->getArgument(numInputs),
      body->getArgument(numInputs + 1), lookupOrNull(finalize.getSink()));

  FailureOr<ArrayAttr> args =
      table.build(outputs, {{batch, "Hq", "Nq", sizeOf(finalize.getOutput())},
                            {batch, "Hq", "Nq"}});
  if (failed(args))
    return failure();
  kernel.setArgsAttr(*args);
  func.erase();
  return success();
}

} // namespace
