//===- IRGen.cpp - from a checked pattern to the attn dialect -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Graphs, sources and attentions; BodyGen.cpp has what stands in bodies.
//
//===----------------------------------------------------------------------===//
#include "frontend/IRGen.h"
#include "frontend/BodyGen.h"
#include "frontend/Checker.h"
#include "llvm/ADT/DenseMap.h"

using namespace llvm;
using mlir::Value;

namespace filigree::frontend {

mlir::Location Locator::operator()(SMLoc loc) const {
  unsigned buffer = sources.getMainFileID();
  auto [line, column] = sources.getLineAndColumn(loc, buffer);
  return mlir::FileLineColLoc::get(
      context, sources.getMemoryBuffer(buffer)->getBufferIdentifier(), line,
      column);
}

namespace {
class Generator {
public:
  Generator(const Pattern &pattern, const Locator &locate, HeadTypes types)
      : pattern(pattern), locate(locate),
        builder(pattern.name.name, types, locate(pattern.name.range.Start)) {}

  mlir::OwningOpRef<mlir::ModuleOp> run() {
    for (const Decl *input : pattern.inputs) {
      at(input->nameRange.Start);
      values[input] = input->role == Role::Value
                          ? builder.addValues(input->name)
                          : builder.addKeyLike(input->name);
    }
    for (const Decl *param : pattern.params)
      if (param->kind == DeclKind::RunTime)
        addParam(*param);
    for (const Decl *decl : pattern.lets)
      if (decl->isUsed)
        generateLet(*decl);
    Attention result = generateAttention(*pattern.result);
    at(pattern.result->loc);
    return builder.finish(result);
  }

private:
  void at(SMLoc loc) { builder.setLoc(locate(loc)); }

  void addParam(const Decl &decl);
  void generateLet(const Decl &decl);
  Value generateGraph(const Expr &expr);
  Value generateWhere(const WhereExpr &expr);
  Attention generateAttention(const Expr &expr);
  Attention generateAttend(const CallExpr &call);
  Value generateSource(const CallExpr &call, const CallExpr *defaults);

  const Pattern &pattern;
  const Locator &locate;
  PatternBuilder builder;
  DenseMap<const Decl *, Value> values; ///< arguments and graphs
  DenseMap<const Decl *, Attention> attentions;
};
} // namespace

static mlir::Type getElementType(const ParamType &spec,
                                 mlir::MLIRContext *context) {
  if (spec.elementType.name == "bf16")
    return mlir::BFloat16Type::get(context);
  if (spec.elementType.name == "f16")
    return mlir::Float16Type::get(context);
  return mlir::Float32Type::get(context);
}

void Generator::addParam(const Decl &decl) {
  at(decl.nameRange.Start);
  unsigned rank = decl.axes.size();
  Value &value = values[&decl];
  switch (decl.type) {
  case Type::Int: {
    IntParam param{int64_t(decl.bounds.lo), int64_t(decl.bounds.hi), {}};
    if (decl.constant)
      param.preset = decl.constant->integer;
    value = builder.addInt(decl.name, param);
    return;
  }
  case Type::Float:
    value = builder.addFloat(decl.name, decl.constant
                                            ? std::optional(decl.constant->real)
                                            : std::nullopt);
    return;
  case Type::IntTable:
    value = builder.addIntTable(decl.name, rank);
    return;
  case Type::FloatTable:
    value = builder.addFloatTable(decl.name, rank,
                                  getElementType(*decl.spec, locate.context));
    return;
  default:
    assert(decl.type == Type::Blocks && "the checker refused other types");
    value = builder.addBlocks(decl.name, decl.rows, decl.cols);
  }
}

/// Numbers, edges and sources have no IR outside of bodies and `attend`.
void Generator::generateLet(const Decl &decl) {
  if (decl.type == Type::Graph || decl.type == Type::Blocks)
    values[&decl] = generateGraph(*decl.init);
  else if (decl.type == Type::Attention)
    attentions[&decl] = generateAttention(*decl.init);
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

Value Generator::generateGraph(const Expr &expr) {
  if (auto *where = dyn_cast<WhereExpr>(&expr))
    return generateWhere(*where);
  if (auto *name = dyn_cast<NameExpr>(&expr)) {
    if (name->decl)
      return values.lookup(name->decl);
    at(name->loc);
    return name->builtin->kind == BuiltinKind::Causal ? builder.causal()
                                                      : builder.all();
  }
  if (auto *unary = dyn_cast<UnaryExpr>(&expr)) {
    Value operand = generateGraph(*unary->operand);
    at(unary->loc);
    return builder.complement(operand);
  }
  if (auto *call = dyn_cast<CallExpr>(&expr)) {
    // where(constant, a, b)
    bool truth = call->args[0].value->constant->truth;
    return generateGraph(*call->args[truth ? 1 : 2].value);
  }
  const auto &binary = cast<BinaryExpr>(expr);
  Value lhs = generateGraph(*binary.lhs);
  Value rhs = generateGraph(*binary.rhs);
  at(binary.loc);
  switch (binary.op) {
  case Tok::Pipe:
    return builder.unite(lhs, rhs);
  case Tok::Amp:
    return builder.intersect(lhs, rhs);
  default:
    return builder.subtract(lhs, rhs);
  }
}

Value Generator::generateWhere(const WhereExpr &expr) {
  at(expr.loc);
  return builder.where([&](Body &body) {
    return BodyGen(pattern, body, values, locate)
        .generateCondition(expr.variables, expr.body);
  });
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// Looks through names bound by `let`.
template <typename T> static const T *resolve(const Expr *expr) {
  while (auto *name = dyn_cast<NameExpr>(expr))
    expr = name->decl->init;
  return cast<T>(expr);
}

static const Decl *getDecl(const Expr *expr) {
  return cast<NameExpr>(expr)->decl;
}

/// What `call` does not say, `defaults` says, if anything does.
Value Generator::generateSource(const CallExpr &call,
                                const CallExpr *defaults) {
  auto find = [&](StringRef label) -> const Expr * {
    const Argument *arg = findLabel(call, label);
    if (!arg && defaults)
      arg = findLabel(*defaults, label);
    return arg ? arg->value : nullptr;
  };
  // In attend(q, k, v) the key comes second.
  unsigned key = call.builtin->kind == BuiltinKind::Attend ? 1 : 0;
  Value k = values.lookup(getDecl(getPositional(call, key)));
  Value v = values.lookup(getDecl(getPositional(call, key + 1)));
  Value graph = generateGraph(*find("over"));
  std::optional<double> scale;
  if (const Expr *value = find("scale"))
    scale = value->constant->asReal();
  at(call.loc);
  const Expr *edgeValue = find("edge");
  if (!edgeValue)
    return builder.source(k, v, graph, scale);
  const auto *edge = resolve<EdgeExpr>(edgeValue);
  return builder.source(k, v, graph, scale, [&](Body &body) {
    return BodyGen(pattern, body, values, locate)
        .generateEdge(edge->variables, edge->body);
  });
}

Attention Generator::generateAttend(const CallExpr &call) {
  SmallVector<Value> sources;
  if (getPositional(call, 1)->type == Type::Tensor)
    sources.push_back(generateSource(call, nullptr));
  else
    for (unsigned index = 1, e = getNumPositional(call); index < e; ++index)
      sources.push_back(generateSource(
          *resolve<CallExpr>(getPositional(call, index)), &call));

  Placement placement;
  if (const Argument *align = findLabel(call, "align"))
    if (cast<NameExpr>(align->value)->name == "top_left")
      placement.align = attn::Align::top_left;
  if (const Argument *offsets = findLabel(call, "offsets"))
    placement.offsets = values.lookup(getDecl(offsets->value));
  if (const Argument *documents = findLabel(call, "documents")) {
    const Expr *query = documents->value, *key = query;
    if (auto *tuple = dyn_cast<TupleExpr>(query)) {
      query = tuple->elements[0];
      key = tuple->elements[1];
    }
    placement.cuQuery = values.lookup(getDecl(query));
    placement.cuKey = values.lookup(getDecl(key));
  }
  if (const Argument *paged = findLabel(call, "paged")) {
    ArrayRef<Expr *> tables = cast<TupleExpr>(paged->value)->elements;
    placement.cuQuery = values.lookup(getDecl(tables[0]));
    placement.pageTable = values.lookup(getDecl(tables[1]));
    placement.lengths = values.lookup(getDecl(tables[2]));
    placement.page = findLabel(call, "page")->value->constant->integer;
  }
  Value sink;
  if (const Argument *arg = findLabel(call, "sink"))
    sink = values.lookup(getDecl(arg->value));
  Value query = values.lookup(getDecl(getPositional(call, 0)));
  at(call.loc);
  return builder.attend(query, sources, placement, sink);
}

Attention Generator::generateAttention(const Expr &expr) {
  if (auto *name = dyn_cast<NameExpr>(&expr))
    return attentions.lookup(name->decl);
  const auto &call = cast<CallExpr>(expr);
  if (call.builtin->kind == BuiltinKind::Attend)
    return generateAttend(call);
  Attention result = generateAttention(*call.args.front().value);
  for (const Argument &arg : call.args.drop_front()) {
    Attention next = generateAttention(*arg.value);
    at(call.loc);
    result = builder.merge(result, next);
  }
  return result;
}

mlir::OwningOpRef<mlir::ModuleOp> generate(const Pattern &pattern,
                                           const SourceMgr &sources,
                                           HeadTypes types,
                                           mlir::MLIRContext *context) {
  Locator locate{sources, context};
  return Generator(pattern, locate, types).run();
}

} // namespace filigree::frontend
