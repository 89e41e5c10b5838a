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
#include "frontend/driver/ExplainReport.h"
#include "frontend/driver/LoadPattern.h"
#include "passes/Pipelines.h"
#include <thread>

using namespace filigree;

namespace {

struct Request {
  LoadRequest pattern;
  RunShape shape;
  std::string targetName;
  const CpuTarget *cpu = nullptr; ///< one of the two
  const CudaTarget *cuda = nullptr;
  double gigahertz = 2.5, gigabytes = 10;
  bool measure = false, json = false;
};

} // namespace

//===----------------------------------------------------------------------===//
// Facts
//===----------------------------------------------------------------------===//

std::optional<uint64_t> ExplainReport::computedPairs() const {
  std::optional<PairCount> total = facts.total();
  // On the CPU, panels of a tile are classified again.
  if (!total || !cuda)
    return std::nullopt;
  return (total->partial + total->full) * uint64_t(facts.rows * facts.granule);
}

std::optional<Bound> ExplainReport::bound() const {
  std::optional<PairCount> total = facts.total();
  if (!total)
    return std::nullopt;
  return boundOf(roofline, flopOf(total->pairs), bytes,
                 double(total->pairs) * double(shape.batch));
}

static double leastBytes(const KernelFacts &facts, const RunShape &shape) {
  double queries = double(shape.batch * shape.heads * shape.queries);
  double bytes = queries * double(facts.keyDim * facts.elementBytes +
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
  return bytes;
}

/// Sizes of the code that a target gets.
static llvm::Error addSizes(mlir::ModuleOp kernels, const CudaKernels &ofCuda,
                            const Request &request,
                            const llvm::StringMap<reference::Scalar> &scalars,
                            ExplainReport &report) {
  if (request.cuda) {
    auto sizes = cudaSizes(ofCuda, *request.cuda, report.shape, scalars);
    if (!sizes)
      return sizes.takeError();
    report.cuda = std::move(*sizes);
    return llvm::Error::success();
  }
  std::vector<unsigned> workers = {1};
  if (unsigned cpus = std::thread::hardware_concurrency(); cpus > 1)
    workers.push_back(cpus);
  auto sizes =
      workspaceBytes(kernels, *request.cpu, report.shape, scalars, workers);
  if (!sizes) {
    report.workspaceReason = llvm::toString(sizes.takeError());
    return llvm::Error::success();
  }
  for (auto [count, bytes] : llvm::zip_equal(workers, *sizes))
    report.workspace.push_back({count, bytes});
  return llvm::Error::success();
}

/// The report holds affine maps, so the context outlives it.
static llvm::Expected<ExplainReport> explain(const Request &request,
                                             mlir::MLIRContext &context) {
  auto loaded = loadPattern(request.pattern, context);
  if (!loaded)
    return loaded.takeError();
  mlir::FailureOr<CudaKernels> ofCuda = CudaKernels();
  if (request.cuda)
    ofCuda = lowerToCudaKernels(*loaded->module, *request.cuda);
  if (mlir::failed(ofCuda) ||
      mlir::failed(lowerToKernel(*loaded->module,
                                 request.cuda ? request.targetName : "cpu")))
    return llvm::createStringError("the pattern could not be compiled");
  auto kernels = loaded->module->getOps<tile::KernelOp>();
  tile::KernelOp kernel = *kernels.begin();
  for (tile::KernelOp other : kernels) // --pattern chooses in attn IR
    if (other.getSymName() == request.pattern.pattern)
      kernel = other;

  ExplainReport report;
  report.target = request.targetName;
  report.variant = variantName(kernel);
  report.shape = request.shape;
  FactsRequest wanted;
  wanted.queries = request.shape.queries;
  wanted.keys = request.shape.keys;
  wanted.heads = request.shape.heads;
  for (const auto &scalar : loaded->scalars)
    wanted.scalars[scalar.first()] = scalar.second;
  auto found = factsOf(kernel, wanted);
  if (!found)
    return found.takeError();
  report.facts = std::move(*found);
  report.shape.page = std::max<int64_t>(report.facts.page, 1);
  report.bytes = leastBytes(report.facts, report.shape);
  report.roofline = request.cuda
                        ? rooflineOfChip(*request.cuda)
                        : rooflineOfCore(*request.cpu, request.gigahertz,
                                         request.gigabytes, request.measure);
  if (llvm::Error error =
          addSizes(*loaded->module, *ofCuda, request, wanted.scalars, report))
    return std::move(error);
  return std::move(report);
}

//===----------------------------------------------------------------------===//
// Command line
//===----------------------------------------------------------------------===//

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
  cl::opt<std::string> target{
      "target", cl::desc("cpu:avx512 (default), cuda:sm_90a, ..."),
      cl::init("cpu:avx512"), cl::sub(command)};
  cl::opt<std::string> dtype{
      "dtype", cl::desc("f32, bf16 or f16 (default: f32; bf16 on cuda)"),
      cl::sub(command)};
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

static llvm::Expected<Request> parseRequest() {
  ExplainOptions &options = explainOptions();
  Request request;
  request.pattern.path = options.path;
  request.pattern.pattern = options.pattern;
  auto settings = parseSettings(std::vector<std::string>(
      options.settings.begin(), options.settings.end()));
  if (!settings)
    return settings.takeError();
  request.pattern.settings = std::move(*settings);
  if (llvm::Error error = checkOption("head-dim", options.headDim, 1, 256))
    return std::move(error);
  if (options.valueDim.getNumOccurrences())
    if (llvm::Error error = checkOption("value-dim", options.valueDim, 1, 256))
      return std::move(error);
  request.pattern.headDim = options.headDim;
  request.pattern.valueDim = options.valueDim;
  request.targetName = options.target;
  if (const CudaTarget *cuda = lookupCudaTarget(options.target)) {
    request.cuda = cuda;
  } else {
    llvm::ArrayRef<CpuTarget> targets = lookupCpuTargets(options.target);
    if (targets.empty())
      return llvm::createStringError("expected target " + targetWords() +
                                     ", but got `" + options.target + "`");
    request.cpu = &targets.back();
    request.targetName = ("cpu:" + request.cpu->name).str();
  }
  std::string dtype = options.dtype;
  if (dtype.empty())
    dtype = request.cuda ? "bf16" : "f32";
  if (dtype == "bf16")
    request.pattern.dtype = reference::DType::BF16;
  else if (dtype == "f16")
    request.pattern.dtype = reference::DType::F16;
  else if (dtype != "f32")
    return llvm::createStringError(
        "expected dtype f32, bf16 or f16, but got `" + dtype + "`");
  if (request.cuda &&
      (options.measure || options.gigahertz.getNumOccurrences() ||
       options.gigabytes.getNumOccurrences()))
    return llvm::createStringError(
        "expected no --measure, --ghz or --gb-per-s with a CUDA target: its "
        "rates are those of its chip");
  bool hasQueries = options.queries.getNumOccurrences();
  bool hasKvHeads = options.kvHeads.getNumOccurrences();
  int64_t kvHeads = hasKvHeads ? options.kvHeads : options.heads;
  int64_t queries = hasQueries ? options.queries : options.keys;
  if (llvm::Error error = checkOption("n", options.keys, 0))
    return std::move(error);
  if (llvm::Error error = checkOption("nq", queries, 0))
    return std::move(error);
  if (llvm::Error error = checkOption("heads", options.heads, 1, 1 << 16))
    return std::move(error);
  if (llvm::Error error = checkOption("kv-heads", kvHeads, 1, 1 << 16))
    return std::move(error);
  if (llvm::Error error = checkOption("batch", options.batch, 1))
    return std::move(error);
  if (options.heads % kvHeads)
    return llvm::createStringError(
        "expected --heads to be a multiple of --kv-heads, but got " +
        llvm::Twine(options.heads) + " and " + llvm::Twine(kvHeads));
  if (!(options.gigahertz > 0) || !(options.gigabytes > 0))
    return llvm::createStringError("expected positive rates of a core");
  request.shape = {
      options.batch, options.heads, kvHeads, queries, options.keys, 1, 1};
  request.gigahertz = options.gigahertz;
  request.gigabytes = options.gigabytes;
  request.measure = options.measure;
  request.json = options.json;
  return std::move(request);
}

static llvm::Error run() {
  auto request = parseRequest();
  if (!request)
    return request.takeError();
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry);
  auto report = explain(*request, context);
  if (!report)
    return report.takeError();
  request->json ? printJson(*report, llvm::outs())
                : printText(*report, llvm::outs());
  return llvm::Error::success();
}

int filigree::explainMain() { return report(run()); }
