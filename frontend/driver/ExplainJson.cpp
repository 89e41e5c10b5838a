//===- ExplainJson.cpp - what filigree explain says, as JSON --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/ExplainReport.h"
#include "llvm/Support/JSON.h"

using namespace filigree;

static void jsonSide(llvm::json::OStream &json, const TileSide &side) {
  json.object([&] {
    json.attribute("exact", side.exact);
    json.attribute("ascending", side.sorted);
    json.attribute("ranges", int64_t(side.clusters.size()));
    if (!side.reason.empty())
      json.attribute("reason", side.reason);
  });
}

static void jsonCount(llvm::json::OStream &json, const PairCount &count) {
  json.object([&] {
    json.attribute("empty", count.empty);
    json.attribute("partial", count.partial);
    json.attribute("full", count.full);
    json.attribute("tiles_exact", count.exactTiles);
    json.attribute("pairs", count.pairs);
    json.attribute("pairs_exact", count.exactPairs);
  });
}

static void jsonCase(llvm::json::OStream &json, const SourceFacts &source,
                     const CaseFacts &one) {
  json.object([&] {
    json.attributeArray("in", [&] {
      for (auto [number, list] : llvm::enumerate(source.lists))
        if (one.members >> number & 1)
          json.value(list);
    });
    json.attribute("predicate", one.masked ? one.predicate : "true");
    if (one.masked) {
      std::string text;
      llvm::raw_string_ostream stream(text);
      one.blocks.print(stream);
      json.attribute("closed_form", text);
      json.attributeBegin("touched");
      jsonSide(json, one.blocks.touched);
      json.attributeEnd();
      json.attributeBegin("not_full");
      jsonSide(json, one.blocks.notFull);
      json.attributeEnd();
      json.attribute("refine", one.refine);
      json.attribute("proof_ms", one.milliseconds);
      json.attributeArray("run_time", [&] {
        for (const std::string &symbol : one.unknown)
          json.value(symbol);
      });
    }
    if (one.count) {
      json.attributeBegin("count");
      jsonCount(json, *one.count);
      json.attributeEnd();
    }
  });
}

static void jsonWork(llvm::json::OStream &json, const ExplainReport &report) {
  const Roofline &roofline = report.roofline;
  json.attribute("bytes", report.bytes);
  // One core, or one chip.
  const char *flops = report.cuda ? "chip_flops" : "core_flops";
  json.attribute(flops, roofline.flops);
  if (report.cuda) {
    json.attribute("chip", roofline.of);
    json.attribute("chip_bytes", roofline.bytes);
    json.attribute("chip_exponentials", roofline.exponentials);
  } else {
    json.attribute("core_flops_measured", roofline.measured);
    json.attribute("core_bytes", roofline.bytes);
  }
  if (std::optional<Bound> bound = report.bound()) {
    PairCount total = *report.facts.total();
    double flop = report.flopOf(total.pairs);
    json.attribute("pairs", total.pairs);
    json.attribute("flop", flop);
    if (std::optional<uint64_t> computed = report.computedPairs())
      json.attribute("computed_flop", report.flopOf(*computed));
    json.attribute("intensity", flop / report.bytes);
    json.attribute("bound", bound->by);
    json.attribute("products_ms", bound->products);
    json.attribute("memory_ms", bound->memory);
    if (roofline.exponentials > 0)
      json.attribute("exponentials_ms", bound->exponentials);
  }
  json.attributeObject("workspace", [&] {
    for (auto [workers, bytes] : report.workspace)
      json.attribute(std::to_string(workers), bytes);
    if (report.cuda) {
      json.attribute("run", report.cuda->workspace);
      json.attribute("checked_run", report.cuda->checkedWorkspace);
    }
  });
}

static llvm::StringRef wordOf(LaunchRole role) {
  switch (role) {
  case LaunchRole::Many:
    return "many";
  case LaunchRole::Few:
    return "few";
  case LaunchRole::Merge:
    return "merge";
  case LaunchRole::Exact:
    return "exact";
  }
  llvm_unreachable("every role has a word");
}

static void jsonSchedule(llvm::json::OStream &json,
                         const ExplainReport &report) {
  const KernelFacts &facts = report.facts;
  json.attribute("rows", facts.rows);
  json.attribute("chunk", facts.chunk);
  json.attribute("masked_chunk", facts.maskedChunk);
  json.attribute("granule", facts.granule);
  json.attribute("reason", facts.reason);
  if (!report.cuda)
    return;
  json.attributeObject("warps", [&] {
    json.attribute("load", facts.warps.getLoad());
    json.attribute("compute", facts.warps.getCompute());
    json.attribute("load_registers", facts.warps.getLoadRegisters());
    json.attribute("compute_registers", facts.warps.getComputeRegisters());
    json.attribute("reason", facts.warps.getReason().getValue());
  });
  json.attributeObject("pipeline", [&] {
    json.attribute("stages", facts.pipeline.getStages());
    json.attribute("reason", facts.pipeline.getReason().getValue());
  });
  json.attributeArray("launches", [&] {
    for (const LaunchSizes &launch : report.cuda->launches)
      json.object([&] {
        json.attribute("role", wordOf(launch.role));
        json.attribute("threads", launch.threads);
        json.attribute("shared_bytes", launch.sharedBytes);
        json.attribute("ctas_per_multiprocessor", launch.ctasPerMultiprocessor);
        json.attribute("persistent", launch.persistent);
        json.attribute("units", launch.units);
      });
  });
}

void filigree::printJson(const ExplainReport &report, llvm::raw_ostream &os) {
  llvm::json::OStream json(os, 2);
  const RunShape &shape = report.shape;
  json.object([&] {
    json.attribute("kernel", report.facts.name);
    json.attribute("variant", report.variant);
    json.attribute("target", report.target);
    json.attributeObject("shape", [&] {
      json.attribute("queries", shape.queries);
      json.attribute("keys", shape.keys);
      json.attribute("heads", shape.heads);
      json.attribute("kv_heads", shape.kvHeads);
      json.attribute("batch", shape.batch);
    });
    json.attributeObject("schedule", [&] { jsonSchedule(json, report); });
    json.attribute("documents", report.facts.packed && !report.facts.page);
    if (report.facts.page)
      json.attribute("page", report.facts.page);
    json.attributeArray("sources", [&] {
      for (const SourceFacts &source : report.facts.sources)
        json.object([&] {
          json.attribute("keys", source.key);
          json.attribute("values", source.value);
          json.attributeArray("lists", [&] {
            for (const std::string &list : source.lists)
              json.value(list);
          });
          json.attributeArray("cases", [&] {
            for (const CaseFacts &one : source.cases)
              jsonCase(json, source, one);
          });
        });
    });
    json.attributeObject("work", [&] { jsonWork(json, report); });
  });
  os << "\n";
}
