//===- Checker.cpp - parameters, lets and the result ----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/CheckerImpl.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace llvm;

namespace filigree::frontend {

StringRef describe(Type type) {
  switch (type) {
  case Type::Error:
    return "an error";
  case Type::Int:
    return "an integer";
  case Type::Float:
    return "a float";
  case Type::Bool:
    return "a condition";
  case Type::Graph:
    return "a graph";
  case Type::Blocks:
    return "a block list";
  case Type::IntTable:
    return "an integer table";
  case Type::FloatTable:
    return "a float table";
  case Type::Tensor:
    return "a tensor";
  case Type::Edge:
    return "an edge";
  case Type::Source:
    return "a source";
  case Type::Attention:
    return "an attention";
  }
  llvm_unreachable("all types are described");
}

std::string spellType(const Decl &decl) {
  std::string text;
  raw_string_ostream os(text);
  if (decl.kind != DeclKind::RunTime || decl.isBroken)
    return describe(decl.type)
        .drop_until([](char c) { return c == ' '; })
        .trim()
        .str();
  const ParamType &spec = *decl.spec;
  os << spec.base.name;
  if (!spec.axes.empty()) {
    os << '[';
    interleaveComma(spec.axes, os, [&](const Ident &axis) { os << axis.name; });
    os << ']';
    if (!spec.elementType.name.empty())
      os << ": " << spec.elementType.name;
  } else if (decl.type == Type::Blocks) {
    os << '(' << decl.rows << ", " << decl.cols << ')';
  } else if (decl.type == Type::Int) {
    if (spec.min)
      os << " >= " << int64_t(decl.bounds.lo);
    if (spec.max)
      os << " <= " << int64_t(decl.bounds.hi);
  }
  return text;
}

void check(Pattern &pattern, File &file, const InstantiateOptions &options,
           Reporter &reporter) {
  Checker(pattern, file, options, reporter).run();
}

void Checker::run() {
  for (Decl *input : pattern.inputs) {
    input->type = Type::Tensor;
    input->isChecked = true;
    declare(*input);
  }
  for (Decl *param : pattern.params) {
    if (param->isBroken)
      param->type = Type::Error;
    else if (param->kind == DeclKind::CompileTime)
      checkCompileTime(*param);
    else
      checkRunTime(*param);
    param->isChecked = true;
    declare(*param);
  }
  checkSetNames();
  for (Decl *decl : pattern.lets) {
    checkLet(*decl);
    declare(*decl);
  }
  if (pattern.result)
    checkResult();
  if (!reporter.hasErrors())
    warnUnused();
}

void Checker::declare(Decl &decl) {
  // A run finds its arguments by name, and two are the function's results.
  bool isArgument =
      decl.kind == DeclKind::Input || decl.kind == DeclKind::RunTime;
  if (isArgument && (decl.name == "o" || decl.name == "lse"))
    reporter.error(decl.nameRange, "expected another name for an argument, but "
                                   "got `" +
                                       decl.name + "`, which an output has");
  auto [at, isNew] = names.try_emplace(decl.name, &decl);
  if (isNew)
    return;
  reporter.error(decl.nameRange, "expected a new name, but `" + decl.name +
                                     "` already has a meaning");
  reporter.note(at->second->nameRange, "it is declared here");
}

//===----------------------------------------------------------------------===//
// Compile-time parameters
//===----------------------------------------------------------------------===//

void Checker::checkSetNames() {
  for (const auto &set : options.sets) {
    StringRef name = set.first;
    const auto *found =
        find_if(pattern.params, [&](const Decl *d) { return d->name == name; });
    if (found == pattern.params.end()) {
      SmallVector<StringRef> candidates;
      for (const Decl *decl : pattern.params)
        if (decl->kind == DeclKind::CompileTime)
          candidates.push_back(decl->name);
      unknown({name, pattern.name.range},
              "pattern `" + pattern.name.name.str() +
                  "` has no parameter to set called",
              candidates);
    } else if ((*found)->kind != DeclKind::CompileTime) {
      reporter.error((*found)->nameRange,
                     "expected a compile-time parameter to set, but `" +
                         (*found)->name + "` is given at run time");
    }
  }
}

void Checker::checkCompileTime(Decl &decl) {
  checkExpr(*decl.init);
  if (decl.init->type == Type::Error)
    return;
  if (!decl.init->constant) {
    reporter.error(decl.init->range, "expected a constant as default of `" +
                                         decl.name + "`, but got " +
                                         describe(decl.init->type));
    return;
  }
  decl.type = decl.init->type;
  decl.constant = decl.init->constant;
  for (const auto &[name, value] : options.sets)
    if (decl.name == name)
      decl.constant = parseSet(decl, value);
  if (!decl.constant)
    decl.type = Type::Error;
  else if (decl.type == Type::Int)
    decl.bounds = {decl.constant->integer, decl.constant->integer};
}

/// The text of --set, read as the type of the default.
std::optional<Constant> Checker::parseSet(const Decl &decl, StringRef text) {
  int64_t integer = 0;
  double real = 0;
  switch (decl.type) {
  case Type::Int:
    if (!text.getAsInteger(10, integer))
      return Constant::ofInt(integer);
    break;
  case Type::Float:
    if (!text.getAsDouble(real) && !std::isnan(real) &&
        (std::isinf(real) ||
         std::fabs(real) <= std::numeric_limits<float>::max()))
      return Constant::ofFloat(real);
    break;
  default:
    if (text == "true" || text == "false")
      return Constant::ofBool(text == "true");
    break;
  }
  reporter.error(decl.nameRange, "expected " + describe(decl.type) + " for `" +
                                     decl.name + "`, but --set gives `" + text +
                                     "`");
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Run-time parameters
//===----------------------------------------------------------------------===//

void Checker::checkRunTime(Decl &decl) {
  if (decl.spec->base.name == "blocks")
    checkBlocksParam(decl);
  else if (!decl.spec->axes.empty())
    checkTableParam(decl);
  else
    checkScalarParam(decl);
}

std::optional<int64_t> Checker::checkConstantInt(Expr &expr, StringRef what) {
  checkExpr(expr);
  if (expr.type == Type::Error)
    return std::nullopt;
  if (expr.type == Type::Int && expr.constant)
    return expr.constant->integer;
  reporter.error(expr.range, "expected a constant integer as " + what +
                                 ", but got " + describe(expr.type) +
                                 (expr.constant ? "" : " known at run time"));
  return std::nullopt;
}

void Checker::checkScalarParam(Decl &decl) {
  ParamType &spec = *decl.spec;
  bool isInt = spec.base.name == "int";
  // A bound left out is that of a 32-bit integer.
  int64_t min = INT32_MIN, max = INT32_MAX;
  for (auto [expr, bound] :
       {std::pair<Expr *, int64_t *>{spec.min, &min}, {spec.max, &max}}) {
    if (!expr)
      continue;
    if (!isInt) {
      reporter.error(expr->range, "expected no bounds for a float parameter");
      return;
    }
    auto value = checkConstantInt(*expr, "a bound");
    if (!value)
      return;
    if (*value < INT32_MIN || *value > INT32_MAX) {
      reporter.error(expr->range, "expected a bound within 32 bits, but got " +
                                      Twine(*value));
      return;
    }
    *bound = *value;
  }
  if (min > max) {
    reporter.error(decl.nameRange,
                   "expected the least value of `" + decl.name +
                       "` to be at most its greatest, but got " + Twine(min) +
                       " and " + Twine(max));
    return;
  }
  if (decl.init) {
    checkExpr(*decl.init);
    if (decl.init->type == Type::Error)
      return;
    Type got = decl.init->type;
    if (!decl.init->constant ||
        !(got == Type::Int || (got == Type::Float && !isInt))) {
      reporter.error(decl.init->range,
                     "expected " + Twine(isInt ? "an integer" : "a float") +
                         " constant as preset of `" + decl.name +
                         "`, but got " + describe(got));
      return;
    }
    decl.constant = isInt ? *decl.init->constant
                          : Constant::ofFloat(decl.init->constant->asReal());
    int64_t preset = decl.constant->integer;
    if (isInt && (preset < min || preset > max)) {
      reporter.error(decl.init->range, "expected a preset from " + Twine(min) +
                                           " to " + Twine(max) + ", but got " +
                                           Twine(preset));
      return;
    }
  }
  decl.type = isInt ? Type::Int : Type::Float;
  decl.bounds = {min, max};
}

void Checker::checkTableParam(Decl &decl) {
  ParamType &spec = *decl.spec;
  bool isInt = spec.base.name == "int";
  SmallVector<Axis> axes;
  for (const Ident &ident : spec.axes) {
    auto axis = StringSwitch<std::optional<Axis>>(ident.name)
                    .Case("b", Axis::B)
                    .Case("h", Axis::H)
                    .Case("i", Axis::I)
                    .Case("j", Axis::J)
                    .Case("doc", Axis::Doc)
                    .Case("page", Axis::Page)
                    .Default(std::nullopt);
    if (!axis) {
      reporter.error(ident.range,
                     "expected an axis (b, h, i, j, doc or page), but got `" +
                         ident.name + "`");
      return;
    }
    if (!axes.empty() && axes.back() >= *axis) {
      reporter.error(ident.range,
                     "expected each axis once, in the order b, h, i, j, but "
                     "`" +
                         ident.name + "` follows `" + (&ident - 1)->name + "`");
      return;
    }
    bool isPairAxis = *axis == Axis::I || *axis == Axis::J;
    if (isInt && isPairAxis) {
      reporter.error(ident.range, "expected an integer table to be indexed by "
                                  "b and h only, but got `" +
                                      ident.name + "`");
      return;
    }
    if (*axis == Axis::Doc && (!isInt || spec.axes.size() != 1)) {
      reporter.error(ident.range,
                     "expected `doc` alone in an integer table: int[doc]");
      return;
    }
    bool isPageTable =
        isInt && spec.axes.size() == 2 && axes == SmallVector<Axis>{Axis::B};
    if (*axis == Axis::Page && !isPageTable) {
      reporter.error(ident.range,
                     "expected `page` in a page table: int[b, page]");
      return;
    }
    axes.push_back(*axis);
  }
  if (!spec.elementType.name.empty()) {
    bool isKnown = is_contained({"f32", "bf16", "f16"}, spec.elementType.name);
    if (isInt || !isKnown) {
      reporter.error(spec.elementType.range,
                     (isInt ? "expected no element type on an integer table"
                            : "expected `f32`, `bf16` or `f16`") +
                         Twine(", but got `") + spec.elementType.name + "`");
      return;
    }
  }
  decl.axes = file.copy<Axis>(axes);
  decl.type = isInt ? Type::IntTable : Type::FloatTable;
}

void Checker::checkBlocksParam(Decl &decl) {
  for (auto [expr, size, what] :
       {std::tuple<Expr *, int64_t *, StringRef>{decl.spec->rows, &decl.rows,
                                                 "the rows of a block"},
        {decl.spec->cols, &decl.cols, "the columns of a block"}}) {
    auto value = checkConstantInt(*expr, what);
    if (!value)
      return;
    if (*value < 1 || *value > INT32_MAX) {
      reporter.error(expr->range, "expected from 1 to 2147483647 as " + what +
                                      ", but got " + Twine(*value));
      return;
    }
    *size = *value;
  }
  decl.type = Type::Blocks;
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

void Checker::checkLet(Decl &decl) {
  if (!decl.isBroken)
    checkExpr(*decl.init);
  decl.isChecked = true;
  if (decl.isBroken)
    return;
  Type type = decl.init->type;
  if (type == Type::Tensor || type == Type::IntTable ||
      type == Type::FloatTable) {
    reporter.error(decl.init->range,
                   "expected a graph, a number, an edge, a source or an "
                   "attention after `let`, but got " +
                       describe(type));
    return;
  }
  decl.type = type;
  decl.constant = decl.init->constant;
  decl.bounds = decl.init->bounds;
}

void Checker::checkResult() {
  checkExpr(*pattern.result);
  expectType(*pattern.result, Type::Attention);
}

void Checker::warnUnused() {
  for (ArrayRef<Decl *> decls : {pattern.inputs, pattern.params, pattern.lets})
    for (const Decl *decl : decls)
      if (!decl->isUsed && !decl->name.starts_with("_"))
        reporter.warning(decl->nameRange, "`" + decl->name + "` is never used");
}

} // namespace filigree::frontend
