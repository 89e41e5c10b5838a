//===- CheckCall.cpp - functions of numbers, source, attend, merge --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/CheckerImpl.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace llvm;

namespace filigree::frontend {

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

const Argument *findLabel(const CallExpr &call, StringRef label) {
  for (const Argument &arg : call.args)
    if (arg.label.name == label)
      return &arg;
  return nullptr;
}

unsigned getNumPositional(const CallExpr &call) {
  return count_if(call.args,
                  [](const Argument &arg) { return arg.label.name.empty(); });
}

Expr *getPositional(const CallExpr &call, unsigned index) {
  for (const Argument &arg : call.args)
    if (arg.label.name.empty() && index-- == 0)
      return arg.value;
  return nullptr;
}

bool Checker::checkLabels(CallExpr &call, ArrayRef<StringRef> allowed) {
  bool ok = true;
  for (const Argument &arg : call.args) {
    StringRef label = arg.label.name;
    if (label.empty())
      continue;
    if (!is_contained(allowed, label)) {
      if (isReservedNoun(label))
        reporter.error(arg.label.range,
                       "`" + label + "` is not in this release");
      else
        unknown(arg.label,
                "`" + call.callee.name.str() + "` has no argument called",
                allowed);
      ok = false;
    } else if (findLabel(call, label) != &arg) {
      reporter.error(arg.label.range, "expected `" + label + "` once");
      ok = false;
    }
  }
  return ok;
}

/// Checks the arguments of a function of numbers; false if one is in error.
bool Checker::checkCount(CallExpr &call, unsigned min, unsigned max) {
  bool ok = checkLabels(call, {});
  for (const Argument &arg : call.args) {
    checkExpr(*arg.value);
    ok &= arg.value->type != Type::Error;
  }
  unsigned got = call.args.size();
  if (ok && (got < min || got > max)) {
    reporter.error(call.callee.range,
                   "expected " + call.builtin->signature + ", but got " +
                       Twine(got) + (got == 1 ? " argument" : " arguments"));
    return false;
  }
  return ok;
}

void Checker::checkCall(CallExpr &call) {
  if (Decl *decl = lookUp(call.callee)) {
    if (decl->type == Type::Error)
      return;
    reporter.error(call.callee.range, "expected a function before `(`, but `" +
                                          decl->name + "` is " +
                                          describe(decl->type));
    reporter.note(decl->nameRange, "it is declared here");
    return;
  }
  call.builtin = findBuiltin(call.callee.name);
  if (!call.builtin) {
    unknownName(call.callee, /*asFunction=*/true);
    return;
  }
  bool isAttention = call.builtin->kind >= BuiltinKind::Source;
  if (isAttention && place != Place::Top) {
    reporter.error(call.callee.range, "expected `" + call.callee.name +
                                          "` outside graphs and edges");
    return;
  }
  switch (call.builtin->kind) {
  case BuiltinKind::Min:
  case BuiltinKind::Max:
    return checkMinMax(call);
  case BuiltinKind::Abs:
    return checkAbs(call);
  case BuiltinKind::Where:
    return checkChoice(call);
  case BuiltinKind::ToFloat:
  case BuiltinKind::Exp:
  case BuiltinKind::Log:
  case BuiltinKind::Sqrt:
  case BuiltinKind::Tanh:
  case BuiltinKind::Softcap:
    return checkFloatFunction(call);
  case BuiltinKind::Alibi:
    return checkAlibi(call);
  case BuiltinKind::Source:
    return checkSource(call);
  case BuiltinKind::Attend:
    return checkAttend(call);
  case BuiltinKind::Merge:
    return checkMerge(call);
  default:
    reporter.error(call.callee.range, "expected a function before `(`, but `" +
                                          call.callee.name +
                                          "` takes no arguments");
  }
}

//===----------------------------------------------------------------------===//
// Functions of numbers
//===----------------------------------------------------------------------===//

void Checker::checkMinMax(CallExpr &call) {
  if (!checkCount(call, 2, 16))
    return;
  bool isMax = call.builtin->kind == BuiltinKind::Max;
  bool anyFloat = false, allConstant = true;
  for (const Argument &arg : call.args) {
    if (!expectNumber(*arg.value))
      return;
    anyFloat |= arg.value->type == Type::Float;
    allConstant &= arg.value->constant.has_value();
  }
  if (anyFloat) {
    std::optional<double> value;
    if (allConstant)
      for (const Argument &arg : call.args) {
        double next = arg.value->constant->asReal();
        value = !value  ? next
                : isMax ? std::max(*value, next)
                        : std::min(*value, next);
      }
    setFloat(call, value);
    return checkFloatInGraph(call);
  }
  Range range = call.args.front().value->bounds;
  for (const Argument &arg : call.args.drop_front()) {
    Range next = arg.value->bounds;
    range =
        isMax ? Range{std::max(range.lo, next.lo), std::max(range.hi, next.hi)}
              : Range{std::min(range.lo, next.lo), std::min(range.hi, next.hi)};
  }
  if (setInt(call, range) && allConstant)
    call.constant = Constant::ofInt(int64_t(range.lo));
}

void Checker::checkAbs(CallExpr &call) {
  if (!checkCount(call, 1, 1))
    return;
  const Expr &arg = *call.args.front().value;
  if (!expectNumber(*call.args.front().value))
    return;
  if (arg.type == Type::Float) {
    setFloat(call, arg.constant ? std::optional(std::fabs(arg.constant->real))
                                : std::nullopt);
    return checkFloatInGraph(call);
  }
  __int128 high = std::max(-arg.bounds.lo, arg.bounds.hi);
  __int128 low = arg.bounds.lo > 0   ? arg.bounds.lo
                 : arg.bounds.hi < 0 ? -arg.bounds.hi
                                     : 0;
  if (setInt(call, {low, high}) && arg.constant)
    call.constant = Constant::ofInt(int64_t(high));
}

/// where(condition, a, b). Between graphs the condition must be a constant.
void Checker::checkChoice(CallExpr &call) {
  if (!checkCount(call, 3, 3))
    return;
  Expr &condition = *call.args[0].value;
  Expr &a = *call.args[1].value, &b = *call.args[2].value;
  if (!expectType(condition, Type::Bool))
    return;
  auto isGraph = [](const Expr &e) {
    return e.type == Type::Graph || e.type == Type::Blocks;
  };
  bool graphs = isGraph(a) && isGraph(b);
  bool numbers = (a.type == Type::Int || a.type == Type::Float) &&
                 (b.type == Type::Int || b.type == Type::Float);
  bool conditions = a.type == Type::Bool && b.type == Type::Bool;
  if (!graphs && !numbers && !conditions) {
    reporter.error(call.callee.range,
                   "expected two numbers, two conditions or two graphs to "
                   "choose from, but got " +
                       describe(a.type) + " and " + describe(b.type));
    return;
  }
  if (graphs && !condition.constant) {
    reporter.error(condition.range, "expected a constant condition to choose "
                                    "a graph");
    return;
  }
  if (graphs || conditions) {
    call.type = graphs ? Type::Graph : Type::Bool;
    if (conditions && condition.constant)
      call.constant = condition.constant->truth ? a.constant : b.constant;
    return;
  }
  // A constant condition makes a constant only of constants.
  std::optional<Constant> chosen;
  if (condition.constant)
    chosen = condition.constant->truth ? a.constant : b.constant;
  if (a.type == Type::Float || b.type == Type::Float) {
    setFloat(call, chosen ? std::optional(chosen->asReal()) : std::nullopt);
    return checkFloatInGraph(call);
  }
  if (chosen)
    return setConstant(call, *chosen);
  setInt(call, {std::min(a.bounds.lo, b.bounds.lo),
                std::max(a.bounds.hi, b.bounds.hi)});
}

void Checker::checkFloatFunction(CallExpr &call) {
  BuiltinKind kind = call.builtin->kind;
  unsigned count = kind == BuiltinKind::Softcap ? 2 : 1;
  if (!checkCount(call, count, count))
    return;
  SmallVector<double, 2> values;
  for (const Argument &arg : call.args) {
    if (!expectNumber(*arg.value))
      return;
    if (arg.value->constant)
      values.push_back(arg.value->constant->asReal());
  }
  if (kind == BuiltinKind::Softcap && call.args[1].value->constant &&
      !(values.back() > 0)) {
    reporter.error(call.args[1].value->range,
                   "expected a positive cap, but got " +
                       std::to_string(values.back()));
    return;
  }
  if (values.size() != count) {
    setFloat(call, std::nullopt);
    return checkFloatInGraph(call);
  }
  double x = values.front();
  setFloat(call, kind == BuiltinKind::Exp    ? std::exp(x)
                 : kind == BuiltinKind::Log  ? std::log(x)
                 : kind == BuiltinKind::Sqrt ? std::sqrt(x)
                 : kind == BuiltinKind::Tanh ? std::tanh(x)
                 : kind == BuiltinKind::Softcap
                     ? values[1] * std::tanh(x / values[1])
                     : x);
}

void Checker::checkAlibi(CallExpr &call) {
  if (!checkCount(call, 1, 1))
    return;
  if (place != Place::Edge) {
    reporter.error(call.callee.range, "expected `alibi` inside an edge");
    return;
  }
  if (checkTable(*call.args.front().value, Type::FloatTable, {Axis::H},
                 "float[h]"))
    call.type = Type::Float;
}

//===----------------------------------------------------------------------===//
// source, attend, merge
//===----------------------------------------------------------------------===//

/// The parameter that `expr`, already checked, names, if it is a table of this
/// type and axes.
Decl *Checker::checkTable(Expr &expr, Type type, ArrayRef<Axis> axes,
                          StringRef spelled) {
  if (expr.type == Type::Error)
    return nullptr;
  auto *name = dyn_cast<NameExpr>(&expr);
  if (name && name->decl && expr.type == type && name->decl->axes == axes)
    return name->decl;
  std::string got = name && name->decl && name->decl->kind == DeclKind::RunTime
                        ? spellType(*name->decl)
                        : describe(expr.type).str();
  reporter.error(expr.range, "expected a parameter of type " + spelled +
                                 ", but got " + got);
  return nullptr;
}

bool Checker::checkTensor(Expr &expr, Role role) {
  checkExpr(expr);
  if (!expectType(expr, Type::Tensor))
    return false;
  Decl &decl = *cast<NameExpr>(expr).decl;
  if (decl.role != Role::Unknown && decl.role != role &&
      options.headDim != options.valueDim) {
    reporter.error(expr.range,
                   "expected `" + decl.name +
                       "` to be used either with keys or as values, as their "
                       "head sizes differ: " +
                       Twine(options.headDim) + " and " +
                       Twine(options.valueDim));
    return false;
  }
  if (decl.role == Role::Unknown)
    decl.role = role;
  return true;
}

/// over, scale and edge.
void Checker::checkSourceLabels(CallExpr &call) {
  if (const Argument *over = findLabel(call, "over")) {
    checkExpr(*over->value);
    expectType(*over->value, Type::Graph);
  }
  if (const Argument *scale = findLabel(call, "scale")) {
    checkExpr(*scale->value);
    if (expectNumber(*scale->value)) {
      const auto &constant = scale->value->constant;
      if (!constant)
        reporter.error(scale->value->range,
                       "expected a constant as `scale`, but it is known at run "
                       "time; multiply inside `edge`");
      else if (!std::isfinite(constant->asReal()))
        reporter.error(scale->value->range, "expected a finite `scale`");
    }
  }
  if (const Argument *edge = findLabel(call, "edge")) {
    checkExpr(*edge->value);
    expectType(*edge->value, Type::Edge);
  }
}

void Checker::checkSource(CallExpr &call) {
  bool ok = checkLabels(call, {"over", "scale", "edge"});
  unsigned before = reporter.getNumErrors();
  checkSourceLabels(call);
  if (getNumPositional(call) != 2) {
    reporter.error(call.callee.range,
                   "expected " + call.builtin->signature + ", but got " +
                       Twine(getNumPositional(call)) + " tensors");
    return;
  }
  ok &= checkTensor(*getPositional(call, 0), Role::Key);
  ok &= checkTensor(*getPositional(call, 1), Role::Value);
  if (ok && reporter.getNumErrors() == before)
    call.type = Type::Source;
}

/// The call behind a name bound by `let`, or the expression itself.
static const CallExpr *findSourceCall(const Expr *expr) {
  while (auto *name = dyn_cast<NameExpr>(expr))
    expr = name->decl->init;
  return dyn_cast<CallExpr>(expr);
}

void Checker::checkAttend(CallExpr &call) {
  bool ok = checkLabels(call, {"over", "scale", "edge", "sink", "align",
                               "offsets", "documents", "paged", "page"});
  unsigned before = reporter.getNumErrors();
  checkSourceLabels(call);
  checkPlacement(call);
  unsigned count = getNumPositional(call);
  if (count < 2) {
    reporter.error(call.callee.range, "expected " + call.builtin->signature +
                                          ", but got " + Twine(count) +
                                          (count == 1 ? " value" : " values"));
    return;
  }
  ok &= checkTensor(*getPositional(call, 0), Role::Key);
  Expr &first = *getPositional(call, 1);
  checkExpr(first);
  auto missingGraph = [&](SMRange range) {
    reporter.error(range, "expected `over:` and a graph; dense attention is "
                          "spelled `over: all`");
    return false;
  };
  if (first.type == Type::Tensor) {
    if (count != 3) {
      reporter.error(call.callee.range,
                     "expected a query, a key and a value, but got " +
                         Twine(count) + " tensors");
      return;
    }
    ok &= checkTensor(first, Role::Key);
    ok &= checkTensor(*getPositional(call, 2), Role::Value);
    if (ok && !findLabel(call, "over"))
      ok = missingGraph(call.callee.range);
  } else {
    for (unsigned index = 1; index < count; ++index) {
      Expr &source = *getPositional(call, index);
      if (index != 1)
        checkExpr(source);
      if (!expectType(source, Type::Source)) {
        ok = false;
        continue;
      }
      if (!findLabel(call, "over") &&
          !findLabel(*findSourceCall(&source), "over"))
        ok = missingGraph(source.range);
    }
  }
  if (ok && reporter.getNumErrors() == before)
    call.type = Type::Attention;
}

/// sink, align, offsets, documents, paged and page.
void Checker::checkPlacement(CallExpr &call) {
  if (const Argument *sink = findLabel(call, "sink")) {
    checkExpr(*sink->value);
    Decl *table =
        checkTable(*sink->value, Type::FloatTable, {Axis::H}, "float[h]");
    if (table && !is_contained({"", "f32"}, table->spec->elementType.name))
      reporter.error(sink->value->range,
                     "expected sink logits of type f32, but got " +
                         table->spec->elementType.name);
    call.sink = table;
  }
  const Argument *align = findLabel(call, "align");
  if (align) {
    auto *name = dyn_cast<NameExpr>(align->value);
    if (!name || !is_contained({"top_left", "bottom_right"}, name->name))
      reporter.error(align->value->range,
                     "expected `top_left` or `bottom_right`");
  }
  const Argument *offsets = findLabel(call, "offsets");
  if (offsets) {
    checkExpr(*offsets->value);
    checkTable(*offsets->value, Type::IntTable, {Axis::B}, "int[b]");
    if (align)
      reporter.error(align->label.range,
                     "expected `align` or `offsets`, but got both");
  }
  const Argument *documents = findLabel(call, "documents");
  const Argument *paged = findLabel(call, "paged");
  if (offsets && (documents || paged))
    reporter.error(offsets->label.range,
                   Twine("expected no `offsets` with `") +
                       (documents ? "documents" : "paged") +
                       "`: positions restart at 0 in each");
  if (documents && paged)
    reporter.error(paged->label.range,
                   "expected `documents` or `paged`, but got both");
  checkPages(call);
  if (documents)
    checkDocuments(*documents->value);
}

/// (cu_q, cu_k) or one table for both.
void Checker::checkDocuments(Expr &expr) {
  SmallVector<Expr *, 2> tables = {&expr};
  if (auto *tuple = dyn_cast<TupleExpr>(&expr))
    tables.assign(tuple->elements.begin(), tuple->elements.end());
  if (tables.size() > 2) {
    reporter.error(expr.range, "expected (cu_q, cu_k), but got " +
                                   Twine(tables.size()) + " tables");
    return;
  }
  for (Expr *table : tables) {
    checkExpr(*table);
    checkTable(*table, Type::IntTable, {Axis::Doc}, "int[doc]");
  }
}

/// `paged: (cu_q, table, lengths)` and `page: 16`, which need each other.
void Checker::checkPages(CallExpr &call) {
  const Argument *paged = findLabel(call, "paged");
  const Argument *page = findLabel(call, "page");
  if (page)
    if (auto keys = checkConstantInt(*page->value, "the keys of a page");
        keys && (*keys < 1 || *keys > INT32_MAX))
      reporter.error(page->value->range,
                     "expected from 1 to 2147483647 as the keys of a page, but "
                     "got " +
                         Twine(*keys));
  if (bool(paged) != bool(page)) {
    reporter.error((paged ? paged : page)->label.range,
                   "expected `paged` and `page` together: paged: (cu_q, table, "
                   "lengths), page: 16");
    return;
  }
  if (!paged)
    return;
  auto *tuple = dyn_cast<TupleExpr>(paged->value);
  if (!tuple || tuple->elements.size() != 3) {
    reporter.error(paged->value->range,
                   "expected (cu_q, table, lengths), but got " +
                       Twine(tuple ? tuple->elements.size() : 1) +
                       (tuple ? " tables" : " table"));
    return;
  }
  for (Expr *table : tuple->elements)
    checkExpr(*table);
  checkTable(*tuple->elements[0], Type::IntTable, {Axis::Doc}, "int[doc]");
  checkTable(*tuple->elements[1], Type::IntTable, {Axis::B, Axis::Page},
             "int[b, page]");
  checkTable(*tuple->elements[2], Type::IntTable, {Axis::B}, "int[b]");
}

void Checker::checkMerge(CallExpr &call) {
  if (!checkCount(call, 2, UINT_MAX))
    return;
  for (const Argument &arg : call.args) {
    if (!expectType(*arg.value, Type::Attention))
      return;
    if (call.sink && arg.value->sink) {
      reporter.error(arg.value->range,
                     "expected sink logits on one argument of `merge`, but got "
                     "a second");
      return;
    }
    if (arg.value->sink)
      call.sink = arg.value->sink;
  }
  call.type = Type::Attention;
}

} // namespace filigree::frontend
