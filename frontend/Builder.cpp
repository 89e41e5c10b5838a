//===- Builder.cpp - patterns written in C++ ------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/Builder.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;

namespace filigree::frontend {

static MLIRContext *loadDialects(MLIRContext *context) {
  context->loadDialect<attn::AttnDialect, arith::ArithDialect,
                       func::FuncDialect, math::MathDialect>();
  return context;
}

PatternBuilder::PatternBuilder(StringRef name, HeadTypes types, Location loc)
    : types(types), loc(loc), builder(loadDialects(loc.getContext())) {
  module = ModuleOp::create(loc);
  builder.setInsertionPointToStart(module->getBody());
  func =
      func::FuncOp::create(builder, loc, name, builder.getFunctionType({}, {}));
  builder.setInsertionPointToStart(func.addEntryBlock());
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Value PatternBuilder::addArgument(StringRef name, mlir::Type type,
                                  ArrayRef<NamedAttribute> attrs) {
  SmallVector<NamedAttribute> all(attrs);
  all.push_back(
      builder.getNamedAttr(attn::kNameAttr, builder.getStringAttr(name)));
  unsigned index = func.getNumArguments();
  // Only fails for functions whose type is not settable.
  (void)func.insertArgument(index, type, builder.getDictionaryAttr(all), loc);
  return func.getArgument(index);
}

RankedTensorType PatternBuilder::tensorOf(unsigned rank,
                                          mlir::Type elementType) {
  SmallVector<int64_t> shape(rank, ShapedType::kDynamic);
  return RankedTensorType::get(shape, elementType);
}

RankedTensorType PatternBuilder::headsOf(int64_t headSize) {
  return RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic,
                                ShapedType::kDynamic, headSize},
                               types.elementType);
}

Value PatternBuilder::addKeyLike(StringRef name) {
  return addArgument(name, headsOf(types.headDim));
}

Value PatternBuilder::addValues(StringRef name) {
  return addArgument(name, headsOf(types.valueDim));
}

Value PatternBuilder::addInt(StringRef name, IntParam param) {
  SmallVector<NamedAttribute> attrs = {
      builder.getNamedAttr(attn::kMinAttr,
                           builder.getI64IntegerAttr(param.min)),
      builder.getNamedAttr(attn::kMaxAttr,
                           builder.getI64IntegerAttr(param.max))};
  if (param.preset)
    attrs.push_back(builder.getNamedAttr(
        attn::kPresetAttr, builder.getI64IntegerAttr(*param.preset)));
  return addArgument(name, builder.getI64Type(), attrs);
}

Value PatternBuilder::addFloat(StringRef name, std::optional<double> preset) {
  SmallVector<NamedAttribute> attrs;
  if (preset)
    attrs.push_back(builder.getNamedAttr(
        attn::kPresetAttr, builder.getF32FloatAttr(float(*preset))));
  return addArgument(name, builder.getF32Type(), attrs);
}

Value PatternBuilder::addIntTable(StringRef name, unsigned rank) {
  return addArgument(name, tensorOf(rank, builder.getI32Type()));
}

Value PatternBuilder::addFloatTable(StringRef name, unsigned rank,
                                    mlir::Type elementType) {
  return addArgument(name, tensorOf(rank, elementType));
}

Value PatternBuilder::addBlocks(StringRef name, int64_t rows, int64_t cols) {
  mlir::Type i32 = builder.getI32Type();
  Value start = addArgument((name + ".start").str(), tensorOf(3, i32));
  Value count = addArgument((name + ".count").str(), tensorOf(3, i32));
  Value list = addArgument((name + ".cols").str(), tensorOf(1, i32));
  return attn::BlocksOp::create(builder, loc,
                                attn::GraphType::get(builder.getContext()),
                                start, count, list, rows, cols);
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

Value PatternBuilder::where(llvm::function_ref<Bool(Body &)> condition) {
  auto op = attn::WhereOp::create(builder, loc,
                                  attn::GraphType::get(builder.getContext()));
  Body body(op.getBody().emplaceBlock(), /*isEdge=*/false, loc);
  body.yield(condition(body));
  failed |= body.hasFailed();
  return op;
}

Value PatternBuilder::causal() {
  return where([](Body &x) { return x.j <= x.i; });
}

Value PatternBuilder::all() {
  return where([](Body &) { return Bool(true); });
}

Value PatternBuilder::unite(Value a, Value b) {
  return attn::UnionOp::create(builder, loc, a.getType(), a, b);
}
Value PatternBuilder::intersect(Value a, Value b) {
  return attn::IntersectOp::create(builder, loc, a.getType(), a, b);
}
Value PatternBuilder::subtract(Value a, Value b) {
  return attn::DifferenceOp::create(builder, loc, a.getType(), a, b);
}
Value PatternBuilder::complement(Value a) {
  return attn::ComplementOp::create(builder, loc, a.getType(), a);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

Value PatternBuilder::source(Value key, Value value, Value graph,
                             std::optional<double> scale,
                             llvm::function_ref<Float(Body &)> edge) {
  FloatAttr scaleAttr = scale ? builder.getF64FloatAttr(*scale) : FloatAttr();
  auto op = attn::SourceOp::create(builder, loc,
                                   attn::SourceType::get(builder.getContext()),
                                   key, value, graph, scaleAttr);
  if (edge) {
    Body body(op.getEdge().emplaceBlock(), /*isEdge=*/true, loc);
    body.yield(edge(body));
    failed |= body.hasFailed();
  }
  return op;
}

Attention PatternBuilder::attend(Value query, ValueRange sources,
                                 Placement placement, Value sink) {
  auto type = attn::PartialType::get(builder.getContext(), types.valueDim);
  IntegerAttr page;
  if (placement.page)
    page = builder.getI64IntegerAttr(*placement.page);
  auto op = attn::AttendOp::create(builder, loc, type, query, sources,
                                   placement.cuQuery, placement.cuKey,
                                   placement.pageTable, placement.lengths,
                                   placement.offsets, page, placement.align);
  return {op.getPartial(), sink};
}

Attention PatternBuilder::merge(Attention a, Attention b) {
  assert(!(a.sink && b.sink) && "sink logits join a softmax once");
  auto op = attn::MergeOp::create(builder, loc, a.partial, b.partial);
  return {op.getPartial(), a.sink ? a.sink : b.sink};
}

OwningOpRef<ModuleOp> PatternBuilder::finish(Attention result) {
  auto output = headsOf(types.valueDim);
  auto lse = tensorOf(3, builder.getF32Type());
  auto finalize = attn::FinalizeOp::create(builder, loc, output, lse,
                                           result.partial, result.sink);
  func::ReturnOp::create(builder, loc, finalize.getResults());
  func.setType(builder.getFunctionType(func.getArgumentTypes(), {output, lse}));
  func.setResultAttr(0, attn::kNameAttr, builder.getStringAttr("o"));
  func.setResultAttr(1, attn::kNameAttr, builder.getStringAttr("lse"));
  if (failed || mlir::failed(verify(*module)))
    return nullptr;
  return std::move(module);
}

} // namespace filigree::frontend
