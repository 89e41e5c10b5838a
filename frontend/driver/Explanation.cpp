//===- Explanation.cpp - what was proved about a kernel, and its work -----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The proofs are made again, with the tiling that the pass used: they are
// quick, and an attribute does not say why one was not exact.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Explanation.h"
#include "dialect/Attn/Attn.h"
#include "passes/Analysis/CaseProof.h"
#include "llvm/Support/FormatVariadic.h"
#include <chrono>

using namespace mlir;
using namespace filigree;

std::optional<PairCount> KernelFacts::total() const {
  PairCount sum;
  for (const SourceFacts &source : sources) {
    if (!source.lists.empty())
      return std::nullopt;
    for (const CaseFacts &one : source.cases) {
      if (!one.count)
        return std::nullopt;
      sum += *one.count;
    }
  }
  return sum;
}

namespace {

class Collector {
public:
  Collector(tile::KernelOp kernel, const FactsRequest &request)
      : kernel(kernel), request(request) {}

  llvm::Expected<KernelFacts> collect();

private:
  DictionaryAttr describe(Value argument) {
    return cast<DictionaryAttr>(
        kernel.getArgs()[cast<BlockArgument>(argument).getArgNumber()]);
  }
  std::string nameOf(Value argument) {
    return describe(argument).getAs<StringAttr>("name").str();
  }
  llvm::Error bindScalars();
  void collectCase(tile::CaseOp op, CaseFacts &into);

  tile::KernelOp kernel;
  const FactsRequest &request;
  KernelFacts facts;
  llvm::StringMap<int64_t> integers;
};

} // namespace

llvm::Error Collector::bindScalars() {
  llvm::StringMap<bool> used;
  for (Attribute attr : kernel.getArgs()) {
    auto info = cast<DictionaryAttr>(attr);
    if (info.getAs<StringAttr>("kind") != "scalar")
      continue;
    std::string name = info.getAs<StringAttr>("name").str();
    used[name] = true;
    auto preset = info.get("preset");
    auto given = request.scalars.find(name);
    if (given == request.scalars.end() && !preset)
      return llvm::createStringError("expected --set " + name +
                                     "=...: it is a parameter of the run "
                                     "without a preset");
    if (given != request.scalars.end() && given->second.isFloat) {
      facts.scalars.push_back(
          {name, llvm::formatv("{0}", given->second.f).str()});
      continue;
    }
    if (given == request.scalars.end() && isa<FloatAttr>(preset)) {
      facts.scalars.push_back(
          {name,
           llvm::formatv("{0} (preset)",
                         cast<FloatAttr>(preset).getValue().convertToDouble())
               .str()});
      continue;
    }
    int64_t value = given != request.scalars.end()
                        ? given->second.i
                        : cast<IntegerAttr>(preset).getInt();
    auto min = info.getAs<IntegerAttr>("min");
    auto max = info.getAs<IntegerAttr>("max");
    if (min && value < min.getInt())
      return llvm::createStringError(
          llvm::formatv("expected `{0}` of at least {1}, but got {2}", name,
                        min.getInt(), value)
              .str());
    if (max && value > max.getInt())
      return llvm::createStringError(
          llvm::formatv("expected `{0}` of at most {1}, but got {2}", name,
                        max.getInt(), value)
              .str());
    integers[name] = value;
    facts.scalars.push_back(
        {name, std::to_string(value) +
                   (given == request.scalars.end() ? " (preset)" : "")});
  }
  for (const auto &entry : request.scalars)
    if (!used.contains(entry.first()))
      return llvm::createStringError("expected a parameter of `" +
                                     kernel.getSymName() + "`, but got '" +
                                     entry.first() + "'");
  return llvm::Error::success();
}

void Collector::collectCase(tile::CaseOp op, CaseFacts &into) {
  Tiling tiling = facts.packed ? Tiling::rows(facts.rows, facts.granule)
                               : Tiling::tiles(facts.rows, facts.granule);
  into.members = op.getMembers();
  into.masked = !op.getMask().empty();
  if (!into.masked) {
    into.blocks.tiling = tiling;
    PairCount one = countAll(tiling, request.queries, request.keys), sum;
    for (int64_t h = 0; h < request.heads; ++h)
      sum += one;
    into.count = sum;
    return;
  }
  auto start = std::chrono::steady_clock::now();
  into.region = predicateOfCase(op);
  into.blocks = blocksOfCase(into.region, tiling, kernel.getContext());
  into.milliseconds = std::chrono::duration<double, std::milli>(
                          std::chrono::steady_clock::now() - start)
                          .count();
  into.refine = op.getRefine();
  const PairDomain &domain = into.region.domain;
  into.blocks.symbolNames = domain.symbolNames();
  if (into.region.tooLarge) {
    into.predicate = "too large to show";
    return; // and to count
  }
  into.predicate = into.region.predicate.str(domain.symbolNames());

  SmallVector<int64_t> symbols = {request.queries, request.keys};
  std::optional<unsigned> headSymbol;
  for (Value symbol : into.region.symbols) {
    unsigned number = symbols.size();
    symbols.push_back(0);
    auto argument = symbol ? dyn_cast<BlockArgument>(symbol) : BlockArgument();
    if (argument && argument.getOwner() == &op.getMask().front()) {
      if (argument.getArgNumber() == 1)
        headSymbol = number;
      continue; // the first batch entry stands for all
    }
    if (argument)
      symbols.back() = integers.lookup(nameOf(argument));
    else
      into.unknown.push_back(domain.symbols[number].name);
  }
  if (!into.unknown.empty())
    return;
  PairCount sum, one;
  for (int64_t h = 0; h < request.heads; ++h) {
    if (headSymbol)
      symbols[*headSymbol] = h;
    if (h == 0 || headSymbol)
      one = countPairs(into.region.predicate, domain, into.blocks, symbols,
                       kernel.getContext());
    sum += one;
  }
  into.count = sum;
}

llvm::Expected<KernelFacts> Collector::collect() {
  tile::ScheduleAttr schedule = *kernel.getSchedule();
  tile::FoldOp fold = *kernel.getOps<tile::FoldOp>().begin();
  tile::StoreOp store = *kernel.getOps<tile::StoreOp>().begin();
  auto key = cast<RankedTensorType>(fold.getQuery().getType());
  auto output = cast<RankedTensorType>(store.getOutput().getType());
  facts.name = kernel.getSymName().str();
  facts.reason = schedule.getReason().str();
  if (kernel.getWarps())
    facts.warps = *kernel.getWarps();
  if (kernel.getPipeline())
    facts.pipeline = *kernel.getPipeline();
  facts.rows = schedule.getRows();
  facts.chunk = schedule.getChunk();
  facts.maskedChunk = schedule.getMaskedChunk();
  facts.granule = schedule.getGranule();
  facts.keyDim = key.getDimSize(3);
  facts.valueDim = output.getDimSize(3);
  facts.elementBytes = key.getElementTypeBitWidth() / 8;
  facts.outputBytes = output.getElementTypeBitWidth() / 8;
  facts.packed = bool(fold.getCuQuery());
  facts.page = fold.getPage() ? int64_t(*fold.getPage()) : 0;
  facts.offsets = bool(fold.getOffsets());
  facts.topLeft = fold.getTopLeft();
  facts.sink = bool(store.getSink());
  if (llvm::Error error = bindScalars())
    return std::move(error);
  for (Value value : fold.getStreams()) {
    auto stream = value.getDefiningOp<tile::StreamOp>();
    SourceFacts &source = facts.sources.emplace_back();
    source.key = nameOf(stream.getKey());
    source.value = nameOf(stream.getValue());
    for (Value start : stream.getStarts())
      source.lists.push_back(StringRef(nameOf(start)).rsplit('.').first.str());
    source.blocks.assign(stream.getBlocks().begin(), stream.getBlocks().end());
    for (Operation &op : stream.getBody().front()) {
      source.edge |= isa<tile::EdgeOp>(op);
      if (auto one = dyn_cast<tile::CaseOp>(op))
        collectCase(one, source.cases.emplace_back());
    }
  }
  return std::move(facts);
}

llvm::Expected<KernelFacts> filigree::factsOf(tile::KernelOp kernel,
                                              const FactsRequest &request) {
  return Collector(kernel, request).collect();
}
