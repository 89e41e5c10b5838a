//===- BenchPairs.cpp - the pairs of a run, from the artifact's pattern ---===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/BenchPairs.h"
#include "codegen/Compiler.h"
#include "frontend/driver/Explanation.h"
#include "frontend/driver/LoadPattern.h"
#include "mlir/Parser/Parser.h"
#include "passes/Pipelines.h"
#include <map>

using namespace filigree;
using llvm::StringRef;
using reference::Tensor;

namespace {
/// The pattern and its kernel, in a context of their own.
struct Loaded {
  mlir::DialectRegistry registry;
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> pattern, lowered;
  mlir::func::FuncOp function;
  tile::KernelOp kernel;
};
} // namespace

static llvm::Error load(StringRef ir, Loaded &into) {
  registerDialects(into.registry);
  into.context = std::make_unique<mlir::MLIRContext>(into.registry);
  loadDialects(*into.context);
  into.pattern =
      mlir::parseSourceString<mlir::ModuleOp>(ir, into.context.get());
  if (!into.pattern)
    return llvm::createStringError("expected attn IR in the artifact");
  auto function = reference::findPattern(*into.pattern);
  if (!function)
    return function.takeError();
  into.function = *function;
  into.lowered = into.pattern->clone();
  if (mlir::failed(lowerToKernel(*into.lowered)))
    return llvm::createStringError("the artifact's pattern cannot be lowered");
  into.kernel = *into.lowered->getOps<tile::KernelOp>().begin();
  return llvm::Error::success();
}

static FactsRequest requestOf(const RunShape &shape,
                              const reference::Inputs &inputs) {
  FactsRequest request;
  request.queries = shape.queries;
  request.keys = shape.keys;
  request.heads = shape.heads;
  for (const auto &scalar : inputs.scalars)
    request.scalars[scalar.first()] = scalar.second;
  return request;
}

//===----------------------------------------------------------------------===//
// Pairs
//===----------------------------------------------------------------------===//

static const int32_t *integers(const Tensor &tensor) {
  return static_cast<const int32_t *>(tensor.data);
}

/// The names of the cumulative lengths of queries, and of those of keys or, in
/// pages, of their lengths.
static std::pair<std::string, std::string>
documentTables(tile::KernelOp kernel) {
  tile::FoldOp fold = *kernel.getOps<tile::FoldOp>().begin();
  auto nameOf = [&](mlir::Value value) {
    unsigned number = mlir::cast<mlir::BlockArgument>(value).getArgNumber();
    return mlir::cast<mlir::DictionaryAttr>(kernel.getArgs()[number])
        .getAs<mlir::StringAttr>("name")
        .str();
  };
  return {nameOf(fold.getCuQuery()),
          nameOf(fold.getPageTable() ? fold.getLengths() : fold.getCuKey())};
}

/// Documents of equal lengths count once.
static llvm::Error countDocuments(Loaded &loaded, const RunShape &shape,
                                  const reference::Inputs &inputs,
                                  PairTotal &total) {
  auto [queryName, keyName] = documentTables(loaded.kernel);
  auto query = inputs.tensors.find(queryName);
  auto key = inputs.tensors.find(keyName);
  if (query == inputs.tensors.end() || key == inputs.tensors.end())
    return llvm::createStringError("expected cumulative lengths");
  tile::FoldOp fold = *loaded.kernel.getOps<tile::FoldOp>().begin();
  std::map<std::pair<int64_t, int64_t>, int64_t> documents;
  for (int64_t d = 0; d + 1 < query->second.shape[0]; ++d) {
    const int32_t *queries = integers(query->second) + d;
    const int32_t *keys = integers(key->second) + d;
    ++documents[{queries[1] - queries[0],
                 fold.getPageTable() ? keys[0] : keys[1] - keys[0]}];
  }
  for (auto [lengths, count] : documents) {
    FactsRequest request = requestOf(shape, inputs);
    request.queries = lengths.first;
    request.keys = lengths.second;
    auto facts = factsOf(loaded.kernel, request);
    if (!facts)
      return facts.takeError();
    std::optional<PairCount> one = facts->total();
    if (!one) {
      total.reason = "tables decide them in every document";
      return llvm::Error::success();
    }
    total.pairs += one->pairs * uint64_t(count);
    total.exact &= one->exactPairs;
  }
  total.known = true;
  return llvm::Error::success();
}

/// One list and no predicate: whole blocks, cut at the edges.
static bool countWholeBlocks(const KernelFacts &facts, const RunShape &shape,
                             const reference::Inputs &inputs,
                             PairTotal &total) {
  if (facts.sources.size() != 1 || facts.sources[0].lists.size() != 1)
    return false;
  const SourceFacts &source = facts.sources[0];
  if (source.cases.size() != 1 || source.cases[0].masked ||
      source.cases[0].members != 1)
    return false;
  auto tensor = [&](const char *part) {
    return inputs.tensors.lookup(source.lists[0] + "." + part);
  };
  Tensor start = tensor("start"), count = tensor("count"),
         cols = tensor("cols");
  if (!start.data || !count.data || !cols.data || count.rank() < 2)
    return false;
  int64_t rows = count.shape.back();
  int64_t heads = count.shape[count.rank() - 2];
  int64_t batches = count.rank() > 2 ? count.shape[count.rank() - 3] : 1;
  int64_t entries = cols.shape.back();
  uint64_t sum = 0;
  for (int64_t place = 0; place < batches * heads * rows; ++place) {
    int64_t row = place % rows;
    uint64_t height =
        std::min(source.blocks[0], shape.queries - row * source.blocks[0]);
    int64_t first = integers(start)[place], number = integers(count)[place];
    if (first < 0 || number < 0 || first + number > entries)
      return false; // evaluation knows what becomes of bad entries
    for (int64_t k = first; k < first + number; ++k) {
      int64_t left = shape.keys - integers(cols)[k] * source.blocks[1];
      if (integers(cols)[k] < 0 || left <= 0)
        return false;
      sum += height * uint64_t(std::min(source.blocks[1], left));
    }
  }
  total.pairs =
      sum * uint64_t(shape.batch / batches) * uint64_t(shape.heads / heads);
  total.known = true;
  return true;
}

static llvm::Error countByEvaluation(Loaded &loaded,
                                     const reference::Inputs &inputs,
                                     PairTotal &total) {
  auto shapes = reference::graphShapes(loaded.function, inputs);
  if (!shapes)
    return shapes.takeError();
  double all = 0;
  for (const reference::GraphShape &shape : *shapes)
    all += double(shape.batches) * double(shape.heads) * double(shape.queries) *
           double(shape.keys);
  if (shapes->empty() || all > 0x1p32) {
    total.reason = "lists or tables decide them, and there are too many to "
                   "look at each";
    return llvm::Error::success();
  }
  const reference::GraphShape &shape = shapes->front();
  for (int64_t b = 0; b < shape.batches; ++b)
    for (int64_t h = 0; h < shape.heads; ++h) {
      std::vector<reference::Row> rows;
      for (int64_t r = 0; r < shape.queries; ++r)
        rows.push_back({b, h, r});
      if (llvm::Error error =
              reference::visitGraph(loaded.function, inputs, rows,
                                    [&](unsigned, const reference::Row &,
                                        llvm::ArrayRef<uint8_t> mask) {
                                      for (uint8_t bit : mask)
                                        total.pairs += bit;
                                    }))
        return error;
    }
  total.known = true;
  return llvm::Error::success();
}

llvm::Expected<PairTotal>
filigree::pairsOfRun(StringRef ir, const RunShape &shape,
                     const reference::Inputs &inputs) {
  Loaded loaded;
  if (llvm::Error error = load(ir, loaded))
    return std::move(error);
  auto facts = factsOf(loaded.kernel, requestOf(shape, inputs));
  if (!facts)
    return facts.takeError();
  PairTotal total;
  total.keyDim = facts->keyDim;
  total.valueDim = facts->valueDim;
  if (facts->packed) {
    if (llvm::Error error = countDocuments(loaded, shape, inputs, total))
      return std::move(error);
    return total;
  }
  if (std::optional<PairCount> sum = facts->total()) {
    total.known = true;
    total.exact = sum->exactPairs;
    total.pairs = sum->pairs * uint64_t(shape.batch);
    return total;
  }
  if (countWholeBlocks(*facts, shape, inputs, total))
    return total;
  if (llvm::Error error = countByEvaluation(loaded, inputs, total))
    return std::move(error);
  return total;
}

//===----------------------------------------------------------------------===//
// Python
//===----------------------------------------------------------------------===//

static void printPython(llvm::raw_ostream &os, const Predicate &predicate,
                        llvm::ArrayRef<std::string> names) {
  switch (predicate.kind()) {
  case Predicate::Kind::True:
    os << "(j >= 0)";
    return;
  case Predicate::Kind::False:
    os << "(j < 0)";
    return;
  case Predicate::Kind::Compare: {
    std::string text = predicate.str(names);
    os << '(';
    for (char letter : text) // floor division
      os << (letter == '/' ? "//" : StringRef(&letter, 1));
    os << ')';
    return;
  }
  case Predicate::Kind::Not:
    os << "(~";
    printPython(os, predicate.lhs(), names);
    os << ')';
    return;
  case Predicate::Kind::And:
  case Predicate::Kind::Or:
    os << '(';
    printPython(os, predicate.lhs(), names);
    os << (predicate.kind() == Predicate::Kind::And ? " & " : " | ");
    printPython(os, predicate.rhs(), names);
    os << ')';
  }
}

llvm::Expected<std::string>
filigree::torchMask(StringRef ir, const RunShape &shape,
                    const reference::Inputs &inputs) {
  auto refuse = [](StringRef what) {
    return llvm::createStringError("expected a pattern that PyTorch can be "
                                   "given as one mask, but it has " +
                                   what);
  };
  if (ir.empty())
    return llvm::createStringError("expected the pattern in the artifact, but "
                                   "it was compiled without");
  Loaded loaded;
  if (llvm::Error error = load(ir, loaded))
    return std::move(error);
  auto facts = factsOf(loaded.kernel, requestOf(shape, inputs));
  if (!facts)
    return facts.takeError();
  if (facts->packed)
    return refuse("documents");
  if (facts->sources.size() != 1)
    return refuse("several sources");
  if (facts->offsets || facts->topLeft || facts->sink)
    return refuse("offsets, another alignment or sink logits");
  const SourceFacts &source = facts->sources.front();
  if (!source.lists.empty() || source.cases.size() != 1)
    return refuse("block lists");
  if (source.edge)
    return refuse("an edge");
  const CaseFacts &one = source.cases.front();
  if (!one.masked)
    return std::string("dense");
  if (!one.unknown.empty())
    return refuse("tables");
  if (one.region.tooLarge)
    return refuse("a predicate too large to spell");
  llvm::SmallVector<std::string> names = one.region.domain.symbolNames();
  names[symNq] = std::to_string(shape.queries);
  names[symNk] = std::to_string(shape.keys);
  for (const auto &[name, text] : facts->scalars)
    for (std::string &known : names)
      if (known == name)
        known = "(" + StringRef(text).split(' ').first.str() + ")";
  if (one.predicate == "j <= i")
    return std::string("causal");
  std::string text;
  llvm::raw_string_ostream os(text);
  printPython(os, one.region.predicate, names);
  return text;
}
