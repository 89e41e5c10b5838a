//===- ExplainText.cpp - what filigree explain says, as text --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/ExplainReport.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace filigree;
using llvm::formatv;
using llvm::StringRef;

namespace {

class TextReport {
public:
  TextReport(const ExplainReport &report, llvm::raw_ostream &os)
      : report(report), facts(report.facts), os(os) {}
  void print();

private:
  void printSource(const SourceFacts &source, size_t number);
  void printCase(const SourceFacts &source, const CaseFacts &one);
  void printSchedule();
  void printRunTime();
  void printWork();
  void printTiles(const SourceFacts &source, size_t number);
  void printBound();
  void printLaunchWork();

  const ExplainReport &report;
  const KernelFacts &facts;
  llvm::raw_ostream &os;
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

/// "1.111 ms", or microseconds where that would be few digits.
static std::string timeOf(double milliseconds) {
  return milliseconds >= 0.1 ? formatv("{0:f3} ms", milliseconds).str()
                             : formatv("{0:f3} us", 1e3 * milliseconds).str();
}

static std::string plural(int64_t count, StringRef noun) {
  return (llvm::Twine(count) + " " + noun + (count == 1 ? "" : "s")).str();
}

static std::string membersOf(const SourceFacts &source, uint64_t members) {
  llvm::SmallVector<std::string> in, out;
  for (auto [number, list] : llvm::enumerate(source.lists))
    (members >> number & 1 ? in : out).push_back("`" + list + "`");
  if (in.empty())
    return "in no list";
  return "in " + llvm::join(in, " and ") +
         (out.empty() ? "" : ", not in " + llvm::join(out, " nor "));
}

/// Every line of `text`, moved to the right.
static void printIndented(llvm::raw_ostream &os, StringRef text,
                          StringRef indent) {
  while (!text.empty()) {
    auto [line, rest] = text.split('\n');
    os << indent << line << "\n";
    text = rest;
  }
}

void TextReport::printCase(const SourceFacts &source, const CaseFacts &one) {
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

void TextReport::printSource(const SourceFacts &source, size_t number) {
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

void TextReport::printRunTime() {
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
  StringRef sequence = facts.page ? "sequence" : "document";
  if (facts.packed)
    line(sequence + "s: the " + sequence +
         " of a tile is found by binary search in the cumulative lengths; "
         "lengths and first rows are symbols");
  if (facts.page)
    line("pages of " + llvm::Twine(facts.page) +
         " keys: each page of a run of keys is looked up in the table once a "
         "tile of queries");
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

void TextReport::printTiles(const SourceFacts &source, size_t number) {
  const RunShape &shape = report.shape;
  for (const CaseFacts &one : source.cases) {
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
    os << formatv(": tiles of {0} x {1}: {2} empty, {3} partial, {4} full of "
                  "{5}{6}\n",
                  facts.rows, facts.granule, grouped(count.empty),
                  grouped(count.partial), grouped(count.full), grouped(all),
                  count.exactTiles ? "" : " (before interval evaluation)");
    os << formatv("    pairs: {0}{1}, {2} of all\n",
                  count.exactPairs ? "" : "about ", grouped(count.pairs),
                  percent(double(count.pairs), double(shape.queries) *
                                                   double(shape.keys) *
                                                   double(shape.heads)));
  }
}

void TextReport::printBound() {
  const Roofline &roofline = report.roofline;
  std::string one = "one " + roofline.of;
  os << formatv("  {0,-16} {1} {2}, {3} memory ({4})\n", one,
                scaled(roofline.flops, "FLOP/s"), roofline.because,
                scaled(roofline.bytes, "B/s"), roofline.nature);
  std::optional<Bound> bound = report.bound();
  if (!bound) {
    bool notCounted = llvm::any_of(facts.sources, [](const auto &source) {
      return llvm::any_of(source.cases, [](const CaseFacts &one) {
        return one.region.tooLarge;
      });
    });
    os << "  FLOP, bound      "
       << (notCounted ? "not known: pairs were not counted\n"
                      : "run time: lists or tables decide the pairs\n");
    return;
  }
  PairCount total = *facts.total();
  double flops = report.flopOf(total.pairs);
  os << formatv("  FLOP             {0}{1} = pairs x 2 x ({2} + {3})\n",
                total.exactPairs ? "" : "about ", scaled(flops, "FLOP"),
                facts.keyDim, facts.valueDim);
  if (std::optional<uint64_t> computed = report.computedPairs())
    os << formatv("  computed         {0}{1}: tiles are computed whole, {2} of "
                  "that for pairs\n",
                  total.exactTiles ? "" : "at most ",
                  scaled(report.flopOf(*computed), "FLOP"),
                  percent(double(total.pairs), double(*computed)));
  os << formatv("  intensity        {0:f2} FLOP a byte\n",
                flops / report.bytes);
  os << formatv("  bound            {0}: {1} of {2}, {3} of memory", bound->by,
                timeOf(bound->products),
                report.cuda ? "products" : "multiply-adds",
                timeOf(bound->memory));
  if (roofline.exponentials > 0)
    os << formatv(", {0} of exponentials", timeOf(bound->exponentials));
  os << " on " << one << "\n";
}

void TextReport::printWork() {
  const RunShape &shape = report.shape;
  os << formatv("\nwork at Nq = {0}, Nk = {1}, {2}{3}\n", shape.queries,
                shape.keys, plural(shape.heads, "query head"),
                shape.kvHeads == shape.heads
                    ? std::string()
                    : " on " + plural(shape.kvHeads, "key head"));
  if (facts.packed)
    os << "  as one " << (facts.page ? "sequence" : "document")
       << " of all tokens; a run has more, and fewer pairs\n";
  for (auto [number, source] : llvm::enumerate(facts.sources))
    printTiles(source, number);
  os << formatv("  bytes at least   {0} (q and the keys and values that are "
                "visited read once, o and lse written once)\n",
                scaled(report.bytes, "B"));
  printBound();
  if (report.cuda) {
    printLaunchWork();
    return;
  }
  if (report.workspace.empty())
    os << "  workspace        not known: " << report.workspaceReason << "\n";
  for (auto [workers, bytes] : report.workspace)
    os << formatv("  workspace        {0} bytes with {1}\n", grouped(bytes),
                  plural(workers, "worker"));
}

void TextReport::printLaunchWork() {
  const CudaSizes &sizes = *report.cuda;
  for (const LaunchSizes &launch : sizes.launches) {
    if (launch.units == 0 || launch.role == LaunchRole::Merge ||
        launch.role == LaunchRole::Exact)
      continue; // a run takes the launch for many queries or that for few
    double resident =
        double(launch.ctasPerMultiprocessor) * report.roofline.multiprocessors;
    os << formatv(
        "  units            {0}, tiles of queries times splits of keys, "
        "{1:f2} for each CTA that "
        "{2} multiprocessors hold\n",
        grouped(launch.units), double(launch.units) / resident,
        report.roofline.multiprocessors);
  }
  os << formatv("  workspace        {0} bytes, {1} of a checked run\n",
                grouped(sizes.workspace), grouped(sizes.checkedWorkspace));
}

void TextReport::printSchedule() {
  os << formatv("\nschedule\n  rows {0}, chunk {1} keys, {2} where masked, "
                "granule {3} keys\n  because {4}\n",
                facts.rows, facts.chunk, facts.maskedChunk, facts.granule,
                facts.reason);
  if (!report.cuda)
    return;
  os << formatv("  {0} load, {1} compute",
                plural(facts.warps.getLoad(), "warp"),
                facts.warps.getCompute());
  if (facts.warps.getComputeRegisters() != 0)
    os << formatv(", {0} and {1} registers a thread",
                  facts.warps.getLoadRegisters(),
                  facts.warps.getComputeRegisters());
  os << formatv("\n  because {0}\n  {1} of keys and of values\n  because "
                "{2}\n",
                facts.warps.getReason().getValue(),
                plural(facts.pipeline.getStages(), "stage"),
                facts.pipeline.getReason().getValue());
  for (const LaunchSizes &launch : report.cuda->launches) {
    if (launch.units == 0)
      continue;
    if (launch.role == LaunchRole::Merge) {
      os << formatv(
          "  and {0} of {1} threads behind it, which merge the splits "
          "of the keys\n",
          plural(launch.units, "CTA"), launch.threads);
      continue;
    }
    if (launch.role == LaunchRole::Exact) {
      os << formatv("  and one of {0} threads behind it, which computes rows "
                    "that are NaN anew, without the keys they do not see\n",
                    launch.threads);
      continue;
    }
    os << formatv("  launch of {0} threads, {1} bytes of shared memory, {2} a "
                  "multiprocessor, {3}\n",
                  launch.threads, grouped(launch.sharedBytes),
                  plural(launch.ctasPerMultiprocessor, "CTA"),
                  launch.persistent ? "persistent: each draws units until "
                                      "there are none"
                                    : "one for each tile");
    if (launch.role == LaunchRole::Few) // machine code is not made here
      os << "    unless ptxas spills registers of it: then the launch for many "
            "queries takes such runs, as filigree compile says\n";
  }
}

void TextReport::print() {
  os << facts.name << " " << report.variant << " for " << report.target << "\n";
  os << "positions: i = row"
     << (facts.offsets   ? " + offset"
         : facts.topLeft ? ""
                         : " + Nk - Nq")
     << ", j = key"
     << (facts.page     ? ", within a sequence"
         : facts.packed ? ", within a document"
                        : "")
     << "\n";
  for (auto [number, source] : llvm::enumerate(facts.sources))
    printSource(source, number);
  printSchedule();
  printRunTime();
  printWork();
}

void filigree::printText(const ExplainReport &report, llvm::raw_ostream &os) {
  TextReport(report, os).print();
}
