//===- Explain.cpp - filigree explain: what was proved and chosen ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One report a kernel, as text or JSON: the proofs, the schedule and its
// reason, what is left for run time, and the work at a length. What only a run
// knows (lists, tables, documents) is said to be so, never guessed.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Driver.h"
#include "frontend/driver/FmaPeak.h"
#include "frontend/driver/LoadPattern.h"
#include "frontend/driver/RunShape.h"
#include "passes/Pipelines.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <thread>

using namespace filigree;
using llvm::formatv;
using llvm::StringRef;

namespace {

/// One core, as far as the roofline is concerned. Lanes are in
/// codegen/Target.h.
struct CoreRates {
  StringRef target;
  double multiplyAdds; ///< of a vector, a cycle
};
constexpr CoreRates kCoreRates[] = {
    {"baseline", 1}, // two units, a multiplication and an addition
    {"avx2", 2},
    {"avx512", 2},
};

struct Request {
  LoadRequest pattern;
  RunShape shape;
  const CpuTarget *target = nullptr;
  double gigahertz = 2.5, gigabytes = 10;
  bool measure = false, json = false;
};

struct Roofline {
  double flops = 0, bytes = 0; ///< a second
  bool measured = false;
};

class Report {
public:
  Report(const Request &request, llvm::raw_ostream &os)
      : request(request), os(os) {}
  llvm::Error run();

private:
  void setRoofline();
  void countBytes();
  void printText();
  void printSource(const SourceFacts &source, size_t number);
  void printCase(const SourceFacts &source, const CaseFacts &one);
  void printRunTime();
  void printWork();
  void printJson();
  void jsonSide(llvm::json::OStream &json, const TileSide &side);
  void jsonCase(llvm::json::OStream &json, const SourceFacts &source,
                const CaseFacts &one);
  std::string membersOf(const SourceFacts &source, uint64_t members);
  double flopsOf(uint64_t pairs) {
    return double(pairs) * 2 * double(facts.keyDim + facts.valueDim) *
           double(request.shape.batch);
  }

  const Request &request;
  llvm::raw_ostream &os;
  KernelFacts facts;
  std::string variant;
  Roofline roofline;
  double bytes = 0;
  std::vector<unsigned> workers;
  std::vector<uint64_t> workspace;
  std::string workspaceReason;
};

} // namespace

static std::string grouped(uint64_t value) {
  std::string digits = std::to_string(value), text;
  for (size_t k = 0; k < digits.size(); ++k) {
    if (k && (digits.size() - k) % 3 == 0)
      text += ',';
    text += digits[k];
  }
  return text;
}

static std::string percent(double part, double whole) {
  return whole > 0 ? formatv("{0:f3} %", 100 * part / whole).str() : "0 %";
}

/// "1.25 GFLOP": three digits and a prefix.
static std::string scaled(double value, StringRef unit) {
  const char *prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
  size_t step = 0;
  while (value >= 1000 && step + 1 < std::size(prefixes)) {
    value /= 1000;
    ++step;
  }
  return formatv("{0:f2} {1}{2}", value, prefixes[step], unit).str();
}

static std::string plural(int64_t count, StringRef noun) {
  return (llvm::Twine(count) + " " + noun + (count == 1 ? "" : "s")).str();
}

//===----------------------------------------------------------------------===//
// Facts
//===----------------------------------------------------------------------===//

void Report::setRoofline() {
  const CpuTarget &target = *request.target;
  const CoreRates *rates = llvm::find_if(kCoreRates, [&](const CoreRates &row) {
    return row.target == target.name;
  });
  roofline.bytes = request.gigabytes * 1e9;
  if (request.measure && target.isa < unsigned(fil_machine_isa())) {
    double peak = measureFmaPeak(target.isa + 1, 1, nullptr, nullptr, 0.05);
    if (peak > 0) {
      roofline.flops = peak;
      roofline.measured = true;
      return;
    }
  }
  roofline.flops =
      2 * rates->multiplyAdds * target.lanes * request.gigahertz * 1e9;
}

void Report::countBytes() {
  const RunShape &shape = request.shape;
  double queries = double(shape.batch * shape.heads * shape.queries);
  bytes = queries * double(facts.keyDim * facts.elementBytes +
                           facts.valueDim * facts.outputBytes + 4);
  // Keys that no tile visits are not read; two sources may share theirs.
  llvm::StringMap<uint64_t> keys;
  for (const SourceFacts &source : facts.sources)
    for (const CaseFacts &one : source.cases) {
      uint64_t visited = one.count && source.lists.empty()
                             ? one.count->keys
                             : uint64_t(shape.keys);
      keys[source.key] = std::max(keys[source.key], visited);
    }
  for (const auto &entry : keys)
    bytes += double(shape.batch * shape.kvHeads) * double(entry.second) *
             double((facts.keyDim + facts.valueDim) * facts.elementBytes);
}

std::string Report::membersOf(const SourceFacts &source, uint64_t members) {
  llvm::SmallVector<std::string> in, out;
  for (auto [number, list] : llvm::enumerate(source.lists))
    (members >> number & 1 ? in : out).push_back("`" + list + "`");
  if (in.empty())
    return "in no list";
  return "in " + llvm::join(in, " and ") +
         (out.empty() ? "" : ", not in " + llvm::join(out, " nor "));
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

/// Every line of `text`, moved to the right.
static void printIndented(llvm::raw_ostream &os, StringRef text,
                          StringRef indent) {
  while (!text.empty()) {
    auto [line, rest] = text.split('\n');
    os << indent << line << "\n";
    text = rest;
  }
}

void Report::printCase(const SourceFacts &source, const CaseFacts &one) {
  if (!source.lists.empty())
    os << "  blocks " << membersOf(source, one.members) << "\n";
  if (!one.masked) {
    os << "    predicate   true: no mask is evaluated\n";
    return;
  }
  os << "    predicate   " << one.predicate << "\n";
  std::string text;
  llvm::raw_string_ostream stream(text);
  one.blocks.print(stream);
  printIndented(os, text, "    ");
  os << formatv("    proved in {0:f2} ms: {1} + {2} disjuncts, {3} questions "
                "to the prover\n",
                one.milliseconds, one.blocks.stats.touchedDisjuncts,
                one.blocks.stats.notFullDisjuncts, one.blocks.stats.queries);
  if (one.refine) {
    os << "    unproved: ";
    llvm::SmallVector<std::string> sides;
    if (!one.blocks.touched.exact)
      sides.push_back("which tiles are empty");
    if (!one.blocks.notFull.exact)
      sides.push_back("which tiles are full");
    os << llvm::join(sides, " and ")
       << "; the kernel classifies those it visits by interval evaluation, one "
          "at a time\n";
  } else {
    os << "    at run time  the closed forms are the loops; only partial tiles "
          "evaluate the predicate\n";
  }
}

void Report::printSource(const SourceFacts &source, size_t number) {
  os << "\nsource " << number + 1 << ": keys `" << source.key << "`, values `"
     << source.value << "`" << (source.edge ? ", edge evaluated per pair" : "")
     << "\n";
  for (auto [index, list] : llvm::enumerate(source.lists))
    os << "  list `" << list << "`: blocks of " << source.blocks[2 * index]
       << " x " << source.blocks[2 * index + 1] << "\n";
  if (source.cases.empty())
    os << "  no pair is an edge\n";
  for (const CaseFacts &one : source.cases)
    printCase(source, one);
}

void Report::printRunTime() {
  os << "\nfound at run time\n";
  bool any = false;
  auto line = [&](const llvm::Twine &text) {
    os << "  " << text << "\n";
    any = true;
  };
  llvm::StringSet<> seen;
  for (const SourceFacts &source : facts.sources) {
    if (!source.lists.empty())
      line("lists: each row of blocks is walked once, lists side by side, and "
           "cuts the keys into segments of one case");
    for (const CaseFacts &one : source.cases)
      for (const std::string &symbol : one.unknown)
        if (seen.insert(symbol).second)
          line("table `" + llvm::Twine(symbol) +
               "`: its entry is a symbol of the closed forms, read once a "
               "tile of queries");
  }
  if (facts.packed)
    line("documents: the document of a tile is found by binary search in the "
         "cumulative lengths; lengths and first rows are symbols");
  if (facts.offsets && !seen.contains("offset"))
    line("offsets: the position of the first query is read once a tile");
  if (facts.sink)
    line("sink logits: one read a head");
  for (const auto &[name, value] : facts.scalars)
    line("`" + llvm::Twine(name) + "` = " + value +
         ": passed by value with the run");
  if (!any)
    os << "  nothing but the lengths\n";
}

void Report::printWork() {
  const RunShape &shape = request.shape;
  os << formatv("\nwork at Nq = {0}, Nk = {1}, {2}{3}\n", shape.queries,
                shape.keys, plural(shape.heads, "query head"),
                shape.kvHeads == shape.heads
                    ? std::string()
                    : " on " + plural(shape.kvHeads, "key head"));
  if (facts.packed)
    os << "  as one document of all tokens; a run has more, and fewer pairs\n";
  bool notCounted = false;
  for (auto [number, source] : llvm::enumerate(facts.sources))
    for (const CaseFacts &one : source.cases) {
      notCounted |= one.region.tooLarge;
      os << "  source " << number + 1;
      if (!source.lists.empty())
        os << ", were all blocks " << membersOf(source, one.members);
      if (one.region.tooLarge) {
        os << ": pairs not counted, the predicate is too large\n";
        continue;
      }
      if (!one.count) {
        os << ": run time, by " << llvm::join(one.unknown, ", ") << "\n";
        continue;
      }
      const PairCount &count = *one.count;
      uint64_t all = count.empty + count.partial + count.full;
      os << formatv(": tiles of {0} x {1}: {2} empty, {3} partial, {4} full "
                    "of {5}{6}\n",
                    facts.rows, facts.granule, grouped(count.empty),
                    grouped(count.partial), grouped(count.full), grouped(all),
                    count.exactTiles ? "" : " (before interval evaluation)");
      os << formatv("    pairs: {0}{1}, {2} of all\n",
                    count.exactPairs ? "" : "about ", grouped(count.pairs),
                    percent(double(count.pairs), double(shape.queries) *
                                                     double(shape.keys) *
                                                     double(shape.heads)));
    }
  os << formatv("  bytes at least   {0} (q and the keys and values that are "
                "visited read once, o and lse written once)\n",
                scaled(bytes, "B"));
  os << formatv("  one core         {0} {1}, {2} memory (assumed)\n",
                scaled(roofline.flops, "FLOP/s"),
                roofline.measured
                    ? std::string("measured here")
                    : formatv("= {0} x {1} multiply-adds a cycle at {2:f2} GHz "
                              "(assumed)",
                              roofline.flops / (2e9 * request.gigahertz *
                                                request.target->lanes),
                              request.target->lanes, request.gigahertz)
                          .str(),
                scaled(roofline.bytes, "B/s"));
  std::optional<PairCount> total = facts.total();
  if (!total) {
    os << "  FLOP, bound      "
       << (notCounted ? "not known: pairs were not counted\n"
                      : "run time: lists or tables decide the pairs\n");
  } else {
    double flops = flopsOf(total->pairs);
    double compute = 1e3 * flops / roofline.flops;
    double memory = 1e3 * bytes / roofline.bytes;
    os << formatv("  FLOP             {0}{1} = pairs x 2 x ({2} + {3})\n",
                  total->exactPairs ? "" : "about ", scaled(flops, "FLOP"),
                  facts.keyDim, facts.valueDim);
    os << formatv("  intensity        {0:f2} FLOP a byte\n", flops / bytes);
    os << formatv("  bound            {0}: {1:f3} ms of multiply-adds, {2:f3} "
                  "ms of memory on one core\n",
                  compute >= memory ? "compute" : "memory", compute, memory);
  }
  if (workspace.empty()) {
    os << "  workspace        not known: " << workspaceReason << "\n";
    return;
  }
  for (size_t k = 0; k < workers.size(); ++k)
    os << formatv("  workspace        {0} bytes with {1}\n",
                  grouped(workspace[k]), plural(workers[k], "worker"));
}

void Report::printText() {
  os << facts.name << " " << variant << " for cpu:" << request.target->name
     << "\n";
  os << "positions: i = row"
     << (facts.offsets   ? " + offset"
         : facts.topLeft ? ""
                         : " + Nk - Nq")
     << ", j = key" << (facts.packed ? ", within a document" : "") << "\n";
  for (auto [number, source] : llvm::enumerate(facts.sources))
    printSource(source, number);
  os << formatv("\nschedule\n  rows {0}, chunk {1} keys, {2} where masked, "
                "granule {3} keys\n  because {4}\n",
                facts.rows, facts.chunk, facts.maskedChunk, facts.granule,
                facts.reason);
  printRunTime();
  printWork();
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

void Report::jsonSide(llvm::json::OStream &json, const TileSide &side) {
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

void Report::jsonCase(llvm::json::OStream &json, const SourceFacts &source,
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

void Report::printJson() {
  llvm::json::OStream json(os, 2);
  const RunShape &shape = request.shape;
  json.object([&] {
    json.attribute("kernel", facts.name);
    json.attribute("variant", variant);
    json.attribute("target", ("cpu:" + request.target->name).str());
    json.attributeObject("shape", [&] {
      json.attribute("queries", shape.queries);
      json.attribute("keys", shape.keys);
      json.attribute("heads", shape.heads);
      json.attribute("kv_heads", shape.kvHeads);
      json.attribute("batch", shape.batch);
    });
    json.attributeObject("schedule", [&] {
      json.attribute("rows", facts.rows);
      json.attribute("chunk", facts.chunk);
      json.attribute("masked_chunk", facts.maskedChunk);
      json.attribute("granule", facts.granule);
      json.attribute("reason", facts.reason);
    });
    json.attribute("documents", facts.packed);
    json.attributeArray("sources", [&] {
      for (const SourceFacts &source : facts.sources)
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
    json.attributeObject("work", [&] {
      json.attribute("bytes", bytes);
      json.attribute("core_flops", roofline.flops);
      json.attribute("core_flops_measured", roofline.measured);
      json.attribute("core_bytes", roofline.bytes);
      if (std::optional<PairCount> total = facts.total()) {
        double flops = flopsOf(total->pairs);
        json.attribute("pairs", total->pairs);
        json.attribute("flop", flops);
        json.attribute("intensity", flops / bytes);
        json.attribute("bound", flops / roofline.flops >= bytes / roofline.bytes
                                    ? "compute"
                                    : "memory");
      }
      json.attributeObject("workspace", [&] {
        for (size_t k = 0; k < workspace.size(); ++k)
          json.attribute(std::to_string(workers[k]), workspace[k]);
      });
    });
  });
  os << "\n";
}

//===----------------------------------------------------------------------===//
// The command
//===----------------------------------------------------------------------===//

llvm::Error Report::run() {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry);
  auto loaded = loadPattern(request.pattern, context);
  if (!loaded)
    return loaded.takeError();
  if (mlir::failed(lowerToKernel(*loaded->module)))
    return llvm::createStringError("the pattern could not be compiled");
  auto kernels = loaded->module->getOps<tile::KernelOp>();
  tile::KernelOp kernel = *kernels.begin();
  for (tile::KernelOp other : kernels) // --pattern chooses in attn IR
    if (other.getSymName() == request.pattern.pattern)
      kernel = other;
  variant = variantName(kernel);

  FactsRequest wanted;
  wanted.queries = request.shape.queries;
  wanted.keys = request.shape.keys;
  wanted.heads = request.shape.heads;
  for (const auto &scalar : loaded->scalars)
    wanted.scalars[scalar.first()] = scalar.second;
  auto found = factsOf(kernel, wanted);
  if (!found)
    return found.takeError();
  facts = std::move(*found);
  setRoofline();
  countBytes();
  workers = {1};
  if (unsigned cpus = std::thread::hardware_concurrency(); cpus > 1)
    workers.push_back(cpus);
  auto sizes = workspaceBytes(*loaded->module, *request.target, request.shape,
                              wanted.scalars, workers);
  if (sizes)
    workspace = std::move(*sizes);
  else
    workspaceReason = llvm::toString(sizes.takeError());
  request.json ? printJson() : printText();
  return llvm::Error::success();
}

namespace {
namespace cl = llvm::cl;
struct ExplainOptions {
  cl::SubCommand command{"explain", "what was proved and chosen"};
  cl::opt<std::string> path{cl::Positional, cl::desc("F.attn"), cl::Required,
                            cl::sub(command)};
  cl::opt<std::string> pattern{"pattern", cl::desc("pattern of the file"),
                               cl::sub(command)};
  cl::list<std::string> settings{"set", cl::desc("parameter"),
                                 cl::value_desc("name=value"),
                                 cl::sub(command)};
  cl::opt<int64_t> keys{"n", cl::desc("keys, and queries without --nq"),
                        cl::Required, cl::sub(command)};
  cl::opt<int64_t> queries{"nq", cl::desc("queries"), cl::init(-1),
                           cl::sub(command)};
  cl::opt<int64_t> heads{"heads", cl::desc("query heads"), cl::init(1),
                         cl::sub(command)};
  cl::opt<int64_t> kvHeads{"kv-heads", cl::desc("key heads (default: --heads)"),
                           cl::init(0), cl::sub(command)};
  cl::opt<int64_t> batch{"batch", cl::desc("batch entries"), cl::init(1),
                         cl::sub(command)};
  cl::opt<std::string> target{"target", cl::desc("cpu:avx512 (default), ..."),
                              cl::init("cpu:avx512"), cl::sub(command)};
  cl::opt<std::string> dtype{"dtype", cl::desc("f32, bf16 or f16"),
                             cl::init("f32"), cl::sub(command)};
  cl::opt<unsigned> headDim{"head-dim", cl::desc("head size of q and k"),
                            cl::init(64), cl::sub(command)};
  cl::opt<unsigned> valueDim{"value-dim", cl::desc("head size of v and o"),
                             cl::init(0), cl::sub(command)};
  cl::opt<double> gigahertz{"ghz", cl::desc("clock to assume"), cl::init(2.5),
                            cl::sub(command)};
  cl::opt<double> gigabytes{"gb-per-s",
                            cl::desc("memory rate of one core to assume"),
                            cl::init(10), cl::sub(command)};
  cl::opt<bool> measure{"measure",
                        cl::desc("measure the multiply-adds of this machine"),
                        cl::sub(command)};
  cl::opt<bool> json{"json", cl::desc("as JSON"), cl::sub(command)};
};
} // namespace

static ExplainOptions &explainOptions() {
  static ExplainOptions options;
  return options;
}

cl::SubCommand &filigree::declareExplain() { return explainOptions().command; }

static llvm::Error explain() {
  ExplainOptions &options = explainOptions();
  Request request;
  request.pattern.path = options.path;
  request.pattern.pattern = options.pattern;
  auto settings = parseSettings(std::vector<std::string>(
      options.settings.begin(), options.settings.end()));
  if (!settings)
    return settings.takeError();
  request.pattern.settings = std::move(*settings);
  if (options.headDim < 1 || options.headDim > 256 || options.valueDim > 256)
    return llvm::createStringError("expected head sizes between 1 and 256");
  request.pattern.headDim = options.headDim;
  request.pattern.valueDim = options.valueDim;
  if (options.dtype == "bf16")
    request.pattern.dtype = reference::DType::BF16;
  else if (options.dtype == "f16")
    request.pattern.dtype = reference::DType::F16;
  else if (options.dtype != "f32")
    return llvm::createStringError(
        "expected dtype f32, bf16 or f16, but got `" + options.dtype + "`");
  llvm::ArrayRef<CpuTarget> targets = lookupCpuTargets(options.target);
  if (targets.empty())
    return llvm::createStringError("expected target cpu:baseline, cpu:avx2 or "
                                   "cpu:avx512, but got `" +
                                   options.target + "`");
  request.target = &targets.back();
  int64_t kvHeads = options.kvHeads ? options.kvHeads : options.heads;
  int64_t queries = options.queries < 0 ? options.keys : options.queries;
  constexpr int64_t longest = int64_t(1) << 31;
  if (options.keys < 0 || options.keys >= longest || queries >= longest)
    return llvm::createStringError("expected lengths from 0 to 2^31 - 1");
  if (options.heads < 1 || options.heads > 1 << 16 || kvHeads < 1 ||
      options.heads % kvHeads || options.batch < 1)
    return llvm::createStringError("expected query heads in groups, one a key "
                                   "head, and at least one batch entry");
  if (!(options.gigahertz > 0) || !(options.gigabytes > 0))
    return llvm::createStringError("expected positive rates of a core");
  request.shape = {
      options.batch, options.heads, kvHeads, queries, options.keys, 1, 1};
  request.gigahertz = options.gigahertz;
  request.gigabytes = options.gigabytes;
  request.measure = options.measure;
  request.json = options.json;
  return Report(request, llvm::outs()).run();
}

int filigree::explainMain() { return report(explain()); }
