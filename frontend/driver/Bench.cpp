//===- Bench.cpp - filigree bench: time a compiled pattern ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rates count the pairs the pattern allows. The answer that is checked is one
// of the timed runs.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Bench.h"
#include "codegen/reference/EmitOracle.h"
#include "frontend/driver/BenchDevice.h"
#include "frontend/driver/BenchInputs.h"
#include "frontend/driver/BenchPairs.h"
#include "frontend/driver/BenchTorch.h"
#include "frontend/driver/Check.h"
#include "frontend/driver/Handles.h"
#include "frontend/driver/OutputFile.h"
#include "frontend/driver/Sentence.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace filigree;
using llvm::formatv;
using llvm::StringRef;

namespace {

struct Measurement {
  RunShape shape;
  Timing timing;
  PairTotal pairs;
  double flop = 0;
  std::string checked;
  double rate() const { return flop / timing.at(0.5); }
};

class Bench {
public:
  Bench(const BenchRequest &request, llvm::raw_ostream &os)
      : request(request), os(os) {}
  llvm::Error run();

private:
  llvm::Error open();
  llvm::Expected<Measurement> measure(int64_t length);
  llvm::Expected<std::string> check();
  void print(const Measurement &m);
  llvm::Error writeJson();
  void writeJson(llvm::json::OStream &json, const Measurement &m);
  llvm::Error runTorch(const Measurement &m);
  StringRef ir() const {
    size_t bytes = 0;
    const char *text = fil_kernel_ir(kernel, &bytes);
    return text ? StringRef(text, bytes) : StringRef();
  }

  const BenchRequest &request;
  llvm::raw_ostream &os;
  std::unique_ptr<BenchDevice> device; // outlives what the library loads there
  OwnedLibrary library;
  const fil_kernel *kernel = nullptr;
  std::vector<fil_arg_info> infos;
  BoundArrays arrays;
  std::vector<fil_arg> scalars;
  std::vector<Measurement> measurements;
};

} // namespace

std::vector<fil_arg> filigree::argumentsOf(llvm::ArrayRef<fil_arg> scalars,
                                           const BoundArrays &arrays) {
  std::vector<fil_arg> args = scalars.vec();
  for (const auto &bound : arrays)
    args.push_back(fil_tensor_arg(bound->info.name, &bound->tensor));
  return args;
}

llvm::Error Bench::open() {
  Status status;
  fil_library *opened = nullptr;
  if (llvm::Error bad =
          status(fil_open(request.artifact.c_str(), &opened, &status.error)))
    return bad;
  library.reset(opened);
  std::string name = request.kernel;
  if (name.empty()) {
    if (fil_kernel_count(opened) == 0)
      return sentence("expected an artifact with a kernel");
    name = fil_kernel_name(fil_kernel_at(opened, 0));
  }
  const char *variant =
      request.variant.empty() ? nullptr : request.variant.c_str();
  if (llvm::Error bad = status(
          fil_find(opened, name.c_str(), variant, &kernel, &status.error)))
    return bad;
  if (isOracle(fil_kernel_variant(kernel)))
    return sentence("expected compiled code, but `{0}` is an oracle, which "
                    "nobody should time",
                    fil_kernel_variant(kernel));
  if (llvm::Error bad = checkDevice(kernel, request.device))
    return bad;
  auto args = argumentsOf(kernel);
  if (!args)
    return args.takeError();
  infos = std::move(*args);
  auto values = benchScalars(infos, request.settings, fil_kernel_name(kernel));
  if (!values)
    return values.takeError();
  scalars = std::move(*values);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Measuring
//===----------------------------------------------------------------------===//

llvm::Expected<std::string> Bench::check() {
  if (ir().empty())
    return sentence("expected the pattern in the artifact, to check against, "
                    "but it was compiled without");
  std::vector<std::pair<std::string, reference::Tensor>> outputs;
  for (const auto &bound : arrays)
    if (bound->info.kind == FIL_OUTPUT)
      outputs.push_back({bound->info.name, bound->array.tensor()});
  auto report =
      checkOutputs(ir(), valuesOf(arrays, scalars), outputs, request.threads);
  if (!report)
    return report.takeError();
  if (!report->passed())
    return sentence("the outputs differ from the reference by more than the "
                    "rule allows");
  return formatv("{0} of {1} rows agree with the reference", report->rows,
                 report->allRows)
      .str();
}

llvm::Expected<Measurement> Bench::measure(int64_t length) {
  Measurement result;
  result.shape = request.shape;
  result.shape.keys = length;
  result.shape.queries = request.queries < 0 ? length : request.queries;
  auto bound = benchArrays(infos, result.shape, request.inputs);
  if (!bound)
    return bound.takeError();
  arrays = std::move(*bound);
  auto timing = device->time(kernel, scalars, arrays, request.repeat);
  if (!timing)
    return timing.takeError();
  result.timing = std::move(*timing);
  if (!ir().empty()) {
    auto pairs = pairsOfRun(ir(), result.shape, valuesOf(arrays, scalars));
    if (!pairs)
      return pairs.takeError();
    result.pairs = *pairs;
    if (result.pairs.known)
      result.flop = double(result.pairs.pairs) * 2 *
                    double(result.pairs.keyDim + result.pairs.valueDim);
  }
  if (request.check) {
    auto checked = check();
    if (!checked)
      return checked.takeError();
    result.checked = *checked;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

static std::string commandLine() {
  auto file = llvm::MemoryBuffer::getFileAsStream("/proc/self/cmdline");
  std::string text = file ? (*file)->getBuffer().str() : std::string();
  std::replace(text.begin(), text.end(), '\0', ' ');
  return StringRef(text).rtrim().str();
}

void Bench::writeJson(llvm::json::OStream &json, const Measurement &m) {
  json.attribute("batch", m.shape.batch);
  json.attribute("heads", m.shape.heads);
  json.attribute("kv_heads", m.shape.kvHeads);
  json.attribute("queries", m.shape.queries);
  json.attribute("keys", m.shape.keys);
  json.attribute("runs", int64_t(m.timing.seconds.size()));
  if (m.timing.runsASample > 1)
    json.attribute("runs_a_sample", m.timing.runsASample);
  json.attribute("median_ms", 1e3 * m.timing.at(0.5));
  json.attribute("min_ms", 1e3 * m.timing.at(0));
  json.attribute("p10_ms", 1e3 * m.timing.at(0.1));
  json.attribute("p90_ms", 1e3 * m.timing.at(0.9));
  json.attribute("workspace_bytes", m.timing.workspace);
  if (m.pairs.known) {
    json.attribute("pairs", m.pairs.pairs);
    json.attribute("pairs_exact", m.pairs.exact);
    json.attribute("gflops", m.rate() / 1e9);
    if (device->peak() > 0)
      json.attribute(("of_" + device->peakName()).str(),
                     m.rate() / device->peak());
  }
  if (!m.checked.empty())
    json.attribute("check", m.checked);
}

llvm::Error Bench::writeJson() {
  return writeOutputFile(
      request.json, [&](llvm::raw_ostream &file) -> llvm::Error {
        llvm::json::OStream json(file, 1);
        json.object([&] {
          json.attribute("commit", FILIGREE_COMMIT);
          json.attribute("command", commandLine());
          json.attribute("kernel", fil_kernel_name(kernel));
          json.attribute("variant", fil_kernel_variant(kernel));
          json.attribute("target", device->target());
          json.attributeObject("machine", [&] { device->describe(json); });
          json.attributeArray("measurements", [&] {
            for (const Measurement &m : measurements)
              json.object([&] { writeJson(json, m); });
          });
        });
        file << "\n";
        return llvm::Error::success();
      });
}

llvm::Error Bench::runTorch(const Measurement &m) {
  TorchRequest torch;
  torch.artifact = request.artifact;
  torch.kernel = fil_kernel_name(kernel);
  torch.variant = fil_kernel_variant(kernel);
  torch.device = request.device;
  torch.shape = m.shape;
  torch.headDim = m.pairs.keyDim;
  torch.threads = device->threads();
  torch.repeat = request.repeat;
  torch.settings = request.settings;
  torch.json = request.json.empty() ? "" : request.json + ".torch.json";
  auto mask = torchMask(ir(), m.shape, valuesOf(arrays, scalars));
  if (!mask)
    return mask.takeError();
  torch.mask = *mask;
  os.flush();
  return device->stepAside([&] { return runTorchPeer(torch); });
}

void Bench::print(const Measurement &m) {
  std::string sampled = m.timing.runsASample > 1
                            ? formatv(" of {0}", m.timing.runsASample).str()
                            : "";
  os << formatv("Nq={0} Nk={1} h{2}/{3} b{4}: median {5:f3} ms, min {6:f3}, "
                "p10 {7:f3}, p90 {8:f3}, {9} runs{10}",
                m.shape.queries, m.shape.keys, m.shape.heads, m.shape.kvHeads,
                m.shape.batch, 1e3 * m.timing.at(0.5), 1e3 * m.timing.at(0),
                1e3 * m.timing.at(0.1), 1e3 * m.timing.at(0.9),
                m.timing.seconds.size(), sampled);
  if (m.pairs.known)
    os << formatv("; {0}{1} pairs, {2:f1} GFLOP/s",
                  m.pairs.exact ? "" : "about ", m.pairs.pairs, m.rate() / 1e9);
  else
    os << "; pairs not counted: " << m.pairs.reason;
  if (m.pairs.known && device->peak() > 0)
    os << formatv(", {0:f3} of {1}", m.rate() / device->peak(),
                  device->peakName());
  os << "\n";
  if (!m.checked.empty())
    os << "check: " << m.checked << "\n";
}

llvm::Error Bench::run() {
  if (!request.against.empty() && request.against != "torch")
    return sentence("expected --against torch, but got '{0}'", request.against);
  if (request.repeat < 1)
    return sentence("expected --repeat of at least 1, but got 0");
  if (llvm::Error bad = open())
    return bad;
  if (!request.against.empty())
    if (llvm::Error bad = requireTorch(request.device))
      return bad;
  auto opened = request.device == "cuda"
                    ? BenchDevice::openCuda(request, kernel)
                    : BenchDevice::openCpu(request);
  if (!opened)
    return opened.takeError();
  device = std::move(*opened);
  os << fil_kernel_name(kernel) << " " << fil_kernel_variant(kernel) << ", "
     << device->describe() << "\n";
  for (int64_t length : request.lengths) {
    auto measured = measure(length);
    if (!measured)
      return measured.takeError();
    measurements.push_back(std::move(*measured));
    print(measurements.back());
    if (!request.against.empty())
      if (llvm::Error bad = runTorch(measurements.back()))
        return bad;
  }
  if (request.json.empty())
    return llvm::Error::success();
  if (llvm::Error bad = writeJson())
    return bad;
  os << "wrote " << request.json << "\n";
  return llvm::Error::success();
}

llvm::Error filigree::benchArtifact(const BenchRequest &request,
                                    llvm::raw_ostream &os) {
  return Bench(request, os).run();
}
