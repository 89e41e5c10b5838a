//===- Builtins.cpp - the table of built-in names -------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/Builtins.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace filigree::frontend {

static constexpr Builtin kBuiltins[] = {
    {"causal", BuiltinKind::Causal, "causal: graph",
     "every key at or before the query: j <= i"},
    {"all", BuiltinKind::All, "all: graph", "every pair"},
    {"dense", BuiltinKind::All, "dense: graph",
     "every pair; the same as `all`"},
    {"inf", BuiltinKind::Inf, "inf: float", "positive infinity"},
    {"head_dim", BuiltinKind::HeadDim, "head_dim: int",
     "head size of queries and keys, fixed when the pattern is compiled"},
    {"value_dim", BuiltinKind::ValueDim, "value_dim: int",
     "head size of values, fixed when the pattern is compiled"},
    {"abs", BuiltinKind::Abs, "abs(x)", "absolute value"},
    {"min", BuiltinKind::Min, "min(x, y, ...)", "least of its arguments"},
    {"max", BuiltinKind::Max, "max(x, y, ...)", "greatest of its arguments"},
    {"where", BuiltinKind::Where, "where(condition, a, b)",
     "a where the condition holds, else b"},
    {"float", BuiltinKind::ToFloat, "float(x)", "an integer as a number"},
    {"exp", BuiltinKind::Exp, "exp(x)", "exponential"},
    {"log", BuiltinKind::Log, "log(x)", "natural logarithm"},
    {"sqrt", BuiltinKind::Sqrt, "sqrt(x)", "square root"},
    {"tanh", BuiltinKind::Tanh, "tanh(x)", "hyperbolic tangent"},
    {"softcap", BuiltinKind::Softcap, "softcap(s, cap)",
     "cap * tanh(s / cap): bounds a logit smoothly"},
    {"alibi", BuiltinKind::Alibi, "alibi(slopes)",
     "slopes[h] * (j - i): a bias linear in the distance"},
    {"source", BuiltinKind::Source,
     "source(k, v, over: graph, scale: x, edge: e)",
     "keys and values, who sees them, and what an edge is worth"},
    {"attend", BuiltinKind::Attend,
     "attend(q, k, v, over: graph, ...) or attend(q, source(...), ...)",
     "one softmax per query over the edges of all sources"},
    {"merge", BuiltinKind::Merge, "merge(a, b, ...)",
     "one softmax over the edges of all its arguments"},
};

static constexpr Word kKeywords[] = {
    {"pattern", "pattern name(q, k, v; parameters) { ... }"},
    {"let", "let name = expression"},
    {"return", "return attend(...): the result of the pattern"},
    {"where", "where (i, j) { condition }: the pairs for which it holds"},
    {"param", "param w: int >= 1 = 4096: a value given at run time"},
    {"true", "the condition that holds"},
    {"false", "the condition that does not hold"},
    {"int", "a run-time integer, or with axes a table: int, int[h]"},
    {"float", "a run-time number, or with axes a table: float, float[h, i, j]"},
    {"blocks", "blocks(rows, cols): a block list given at run time"},
};

static constexpr Word kLabels[] = {
    {"over", "the graph: which query sees which key"},
    {"scale", "factor of q . k; 1 / sqrt(head_dim) if left out"},
    {"edge", "what an edge is worth: (s, h, i, j) -> expression"},
    {"sink", "float[h]: one more logit per head, with value zero"},
    {"align", "`bottom_right` (default) or `top_left`: where queries start"},
    {"offsets", "int[b]: the position of the first query of a batch entry"},
    {"documents", "(cu_q, cu_k), both int[doc]: packed documents"},
    {"paged", "(cu_q, table, lengths): int[doc], int[b, page], int[b]: packed "
              "queries, keys in pages"},
    {"page", "keys of a page, a constant"},
};

static constexpr StringLiteral kReservedNouns[] = {
    "score",   "select",    "tree",     "near",         "far",
    "permute", "gather",    "scatter",  "diagonal",     "antidiagonal",
    "column",  "columns",   "row",      "mass",         "topk",
    "top_k",   "threshold", "always",   "tail",         "level",
    "levels",  "summaries", "pool",     "mean",         "sum",
    "moments", "fold",      "space",    "sort",         "hash",
    "lsh",     "buckets",   "codes",    "features",     "spans",
    "route",   "dropout",   "backward", "grad",         "rope",
    "cache",   "append",    "quantize", "multiplicity", "gate",
    "fp8",     "int8",      "or_dense",
};

ArrayRef<Builtin> getBuiltins() { return kBuiltins; }
ArrayRef<Word> getKeywords() { return kKeywords; }
ArrayRef<Word> getLabels() { return kLabels; }

const Builtin *findBuiltin(StringRef name) {
  const Builtin *found =
      find_if(kBuiltins, [&](const Builtin &b) { return b.name == name; });
  return found == std::end(kBuiltins) ? nullptr : found;
}

bool isReservedNoun(StringRef name) {
  return is_contained(kReservedNouns, name);
}

} // namespace filigree::frontend
