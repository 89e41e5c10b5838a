//===- BenchCommand.cpp - the command line of filigree bench --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Bench.h"
#include "frontend/driver/Driver.h"
#include "llvm/Support/raw_ostream.h"

using namespace filigree;

namespace {
namespace cl = llvm::cl;
struct BenchOptions {
  cl::SubCommand command{"bench", "time a compiled pattern"};
  cl::opt<std::string> artifact{cl::Positional, cl::desc("OUT.so"),
                                cl::Required, cl::sub(command)};
  cl::list<int64_t> lengths{"n",
                            cl::desc("keys, and queries without --nq"),
                            cl::value_desc("N,..."),
                            cl::CommaSeparated,
                            cl::OneOrMore,
                            cl::sub(command)};
  cl::opt<int64_t> queries{"nq", cl::desc("queries"), cl::init(-1),
                           cl::sub(command)};
  cl::opt<int64_t> heads{"heads", cl::desc("query heads (default: 8)"),
                         cl::init(8), cl::sub(command)};
  cl::opt<int64_t> kvHeads{"kv-heads", cl::desc("key heads (default: --heads)"),
                           cl::init(0), cl::sub(command)};
  cl::opt<int64_t> batch{"batch", cl::desc("batch entries"), cl::init(1),
                         cl::sub(command)};
  cl::opt<unsigned> threads{"threads", cl::desc("0: one per cpu"), cl::init(0),
                            cl::sub(command)};
  cl::opt<bool> pin{"pin", cl::desc("bind threads to cpus"), cl::sub(command)};
  cl::opt<unsigned> repeat{"repeat", cl::desc("timed runs (default: 10)"),
                           cl::init(10), cl::sub(command)};
  cl::opt<std::string> device{"device", cl::desc("cpu or cuda"),
                              cl::init("cpu"), cl::sub(command)};
  cl::opt<bool> allowJit{
      "allow-jit", cl::desc("cuda: the driver may compile PTX for the chip"),
      cl::sub(command)};
  cl::opt<std::string> isa{"isa", cl::desc("baseline, avx2, avx512 or auto"),
                           cl::init("auto"), cl::sub(command)};
  cl::opt<std::string> kernel{"kernel", cl::desc("pattern to run"),
                              cl::sub(command)};
  cl::opt<std::string> variant{"variant", cl::desc("variant of it"),
                               cl::sub(command)};
  cl::list<std::string> settings{"set", cl::desc("run-time parameter"),
                                 cl::value_desc("name=value"),
                                 cl::sub(command)};
  cl::list<std::string> inputs{"in", cl::desc("files of lists and tables"),
                               cl::value_desc("files"), cl::CommaSeparated,
                               cl::sub(command)};
  cl::opt<bool> check{"check", cl::desc("compare with the float64 reference"),
                      cl::sub(command)};
  cl::opt<std::string> json{"json", cl::desc("write the figures"),
                            cl::value_desc("file"), cl::sub(command)};
  cl::opt<std::string> against{"against", cl::desc("torch"), cl::sub(command)};
};
} // namespace

static BenchOptions &benchOptions() {
  static BenchOptions options;
  return options;
}

cl::SubCommand &filigree::declareBench() { return benchOptions().command; }

int filigree::benchMain() {
  BenchOptions &options = benchOptions();
  BenchRequest request;
  request.artifact = options.artifact;
  request.kernel = options.kernel;
  request.variant = options.variant;
  request.device = options.device;
  request.allowJit = options.allowJit;
  request.isa = options.isa;
  request.json = options.json;
  request.against = options.against;
  request.lengths.assign(options.lengths.begin(), options.lengths.end());
  request.queries = options.queries;
  request.inputs.assign(options.inputs.begin(), options.inputs.end());
  request.threads = options.threads;
  request.repeat = options.repeat;
  request.pin = options.pin;
  request.check = options.check;
  bool hasKvHeads = options.kvHeads.getNumOccurrences();
  int64_t kvHeads = hasKvHeads ? options.kvHeads : options.heads;
  for (int64_t length : request.lengths)
    if (llvm::Error error = checkOption("n", length, 0))
      return report(std::move(error));
  if (options.queries.getNumOccurrences())
    if (llvm::Error error = checkOption("nq", request.queries, 0))
      return report(std::move(error));
  if (llvm::Error error = checkOption("heads", options.heads, 1))
    return report(std::move(error));
  if (llvm::Error error = checkOption("kv-heads", kvHeads, 1))
    return report(std::move(error));
  if (llvm::Error error = checkOption("batch", options.batch, 1))
    return report(std::move(error));
  request.shape.batch = options.batch;
  request.shape.heads = options.heads;
  request.shape.kvHeads = kvHeads;
  auto settings = parseSettings(std::vector<std::string>(
      options.settings.begin(), options.settings.end()));
  if (!settings)
    return report(settings.takeError());
  request.settings = std::move(*settings);
  return report(benchArtifact(request, llvm::outs()));
}
