//===- Bench.cpp - filigree bench: time a compiled pattern ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Random-normal inputs, the same in every run; tables and lists come from
// files. Rates count the pairs the pattern allows, and stand beside the
// multiply-adds that the machine did in the same minute on as many threads.
//
//===----------------------------------------------------------------------===//
#include "codegen/reference/EmitOracle.h"
#include "frontend/driver/Array.h"
#include "frontend/driver/BenchPairs.h"
#include "frontend/driver/BenchTorch.h"
#include "frontend/driver/Check.h"
#include "frontend/driver/Driver.h"
#include "frontend/driver/FmaPeak.h"
#include "frontend/driver/InputFiles.h"
#include "frontend/driver/LoadPattern.h"
#include "frontend/driver/OutputFile.h"
#include "frontend/driver/RunShape.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include <chrono>
#include <random>
#include <sched.h>

using namespace filigree;
using llvm::formatv;
using llvm::StringRef;

namespace {

struct Request {
  std::string artifact, kernel, variant, isa = "auto", json, against;
  std::vector<int64_t> lengths;
  int64_t queries = -1;
  RunShape shape;
  std::vector<std::string> inputs;
  std::vector<Setting> settings;
  unsigned threads = 0, repeat = 10;
  bool pin = false, check = false;
};

/// Seconds of runs, in ascending order.
struct Timing {
  std::vector<double> seconds;
  double at(double part) const {
    double place = part * double(seconds.size() - 1);
    size_t below = size_t(place),
           above = std::min(below + 1, seconds.size() - 1);
    return seconds[below] +
           (place - double(below)) * (seconds[above] - seconds[below]);
  }
};

struct Measurement {
  RunShape shape;
  Timing timing;
  PairTotal pairs;
  uint64_t workspace = 0;
  double flop = 0;
  std::string checked;
};

struct CloseLibrary {
  void operator()(fil_library *library) const { fil_close(library); }
};
struct DestroyPool {
  void operator()(fil_pool *pool) const { fil_pool_destroy(pool); }
};

/// An array bound to an argument.
struct Bound {
  fil_arg_info info;
  Array array;
  DLTensor tensor = {};
};

class Bench {
public:
  Bench(const Request &request, llvm::raw_ostream &os)
      : request(request), os(os) {}
  llvm::Error run();

private:
  llvm::Error open();
  llvm::Error makePool();
  llvm::Error bindArrays(const RunShape &shape);
  llvm::Error bindScalars();
  llvm::Expected<Measurement> measure(int64_t length);
  llvm::Expected<std::string> check();
  llvm::Error writeJson();
  llvm::Error runTorch();
  llvm::Error errorOf(fil_status status) {
    return status == FIL_OK ? llvm::Error::success()
                            : llvm::createStringError(StringRef(error.message));
  }
  reference::Inputs valuesOfRun() const;
  StringRef ir() const {
    size_t bytes = 0;
    const char *text = fil_kernel_ir(kernel, &bytes);
    return text ? StringRef(text, bytes) : StringRef();
  }

  const Request &request;
  llvm::raw_ostream &os;
  fil_error error = FIL_ERROR_INIT;
  std::unique_ptr<fil_library, CloseLibrary> library;
  std::unique_ptr<fil_pool, DestroyPool> pool;
  const fil_kernel *kernel = nullptr;
  std::vector<fil_arg_info> infos;
  std::vector<std::unique_ptr<Bound>> bound;
  std::vector<fil_arg> scalars;
  uint32_t isa = FIL_ISA_AUTO;
  cpu_set_t usable, first; ///< cpus: with --pin, before and after
  double peakOne = 0, peakAll = 0;
  std::vector<Measurement> measurements;
};

} // namespace

template <typename... T>
static llvm::Error sentence(const char *format, T &&...values) {
  return llvm::createStringError(
      formatv(format, std::forward<T>(values)...).str());
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

llvm::Error Bench::open() {
  fil_library *opened = nullptr;
  if (llvm::Error bad =
          errorOf(fil_open(request.artifact.c_str(), &opened, &error)))
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
  if (llvm::Error bad =
          errorOf(fil_find(opened, name.c_str(), variant, &kernel, &error)))
    return bad;
  if (isOracle(fil_kernel_variant(kernel)))
    return sentence("expected compiled code, but `{0}` is an oracle, which "
                    "nobody should time",
                    fil_kernel_variant(kernel));
  auto args = argumentsOf(kernel);
  if (!args)
    return args.takeError();
  infos = std::move(*args);

  isa = llvm::StringSwitch<uint32_t>(request.isa)
            .Case("auto", FIL_ISA_AUTO)
            .Case("baseline", FIL_ISA_BASELINE)
            .Case("avx2", FIL_ISA_AVX2)
            .Case("avx512", FIL_ISA_AVX512)
            .Default(~0u);
  if (isa == ~0u)
    return sentence("expected --isa baseline, avx2, avx512 or auto, but got "
                    "'{0}'",
                    request.isa);
  if (isa > uint32_t(fil_machine_isa()))
    return sentence("expected an instruction set of this machine, but it has "
                    "no {0}",
                    request.isa);
  return llvm::Error::success();
}

llvm::Error Bench::makePool() {
  fil_pool_options options = FIL_POOL_OPTIONS_INIT;
  options.threads = request.threads;
  options.pin = request.pin;
  fil_pool *created = nullptr;
  if (llvm::Error bad = errorOf(fil_pool_create(&options, &created, &error)))
    return bad;
  pool.reset(created);
  if (!request.pin)
    return llvm::Error::success();
  // Thread 0 of a pool is the caller, which the pool does not move.
  CPU_ZERO(&usable);
  CPU_ZERO(&first);
  if (sched_getaffinity(0, sizeof(usable), &usable))
    return sentence("cannot read the cpus of this process");
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &usable)) {
      CPU_SET(cpu, &first);
      break;
    }
  if (sched_setaffinity(0, sizeof(first), &first))
    return sentence("cannot bind the calling thread to a cpu");
  return llvm::Error::success();
}

/// Normal numbers; long arrays repeat a block.
static llvm::Expected<Array> randomArray(llvm::ArrayRef<int64_t> shape,
                                         uint64_t seed) {
  auto array = Array::allocate(DType::F32, shape);
  if (!array)
    return array.takeError();
  size_t count = array->bytes.size() / sizeof(float);
  size_t block = std::min<size_t>(count, size_t(1) << 22);
  auto *values = reinterpret_cast<float *>(array->bytes.data());
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal;
  for (size_t k = 0; k < block; ++k)
    values[k] = normal(generator);
  for (size_t k = block; k < count; ++k)
    values[k] = values[k - block];
  return array;
}

static std::optional<DType> dtypeOf(uint32_t dtype) {
  switch (dtype) {
  case FIL_F32:
    return DType::F32;
  case FIL_BF16:
    return DType::BF16;
  case FIL_F16:
    return DType::F16;
  case FIL_I32:
    return DType::I32;
  }
  return std::nullopt;
}

llvm::Error Bench::bindArrays(const RunShape &shape) {
  bound.clear();
  std::vector<std::string> wanted;
  for (const fil_arg_info &info : infos)
    if (info.kind == FIL_INPUT)
      wanted.push_back(info.name);
  auto files = readInputs(request.inputs, wanted);
  if (!files)
    return files.takeError();
  for (const fil_arg_info &info : infos) {
    if (info.kind == FIL_SCALAR)
      continue;
    std::optional<DType> dtype = dtypeOf(info.dtype);
    if (!dtype)
      return sentence("expected tensors of f32, bf16, f16 or i32");
    auto made = std::make_unique<Bound>();
    made->info = info;
    auto file = files->find(info.name);
    if (file != files->end()) {
      made->array = std::move(file->second);
    } else if (info.kind == FIL_OUTPUT) {
      auto array = Array::allocate(*dtype, shapeOf(info, shape));
      if (!array)
        return array.takeError();
      made->array = std::move(*array);
      std::memset(made->array.bytes.data(), 0xff, made->array.bytes.size());
    } else {
      if (*dtype == DType::I32)
        return sentence("expected --in with `{0}`: tables and lists are not "
                        "made up",
                        info.name);
      auto array =
          randomArray(shapeOf(info, shape), llvm::hash_value(bound.size()));
      if (!array)
        return array.takeError();
      made->array = std::move(*array);
    }
    if (made->array.dtype != *dtype) {
      auto converted = convert(made->array, *dtype);
      if (!converted)
        return converted.takeError();
      made->array = std::move(*converted);
    }
    made->tensor.data = made->array.bytes.data();
    made->tensor.device = {kDLCPU, 0};
    made->tensor.ndim = int32_t(made->array.shape.size());
    made->tensor.dtype = dlTypeOf(info.dtype);
    made->tensor.shape = made->array.shape.data();
    bound.push_back(std::move(made));
  }
  return llvm::Error::success();
}

llvm::Error Bench::bindScalars() {
  for (const Setting &setting : request.settings) {
    auto info = llvm::find_if(infos, [&](const fil_arg_info &arg) {
      return arg.kind == FIL_SCALAR && arg.name == setting.first;
    });
    if (info == infos.end())
      return sentence("expected a run-time parameter of `{0}`, but got '{1}'",
                      fil_kernel_name(kernel), setting.first);
    auto value = parseScalar(setting.first, setting.second);
    if (!value)
      return value.takeError();
    if (info->dtype != FIL_F32 && value->isFloat)
      return sentence("expected an integer for '{0}', but got {1}",
                      setting.first, setting.second);
    scalars.push_back(info->dtype == FIL_F32
                          ? fil_float_arg(info->name, value->f)
                          : fil_int_arg(info->name, value->i));
  }
  return llvm::Error::success();
}

reference::Inputs Bench::valuesOfRun() const {
  reference::Inputs values;
  for (const auto &array : bound)
    if (array->info.kind == FIL_INPUT)
      values.tensors[array->info.name] = array->array.tensor();
  for (const fil_arg &scalar : scalars)
    values.scalars[scalar.name] = scalar.kind == FIL_INT
                                      ? reference::Scalar::ofInt(scalar.i)
                                      : reference::Scalar::ofFloat(scalar.f);
  return values;
}

//===----------------------------------------------------------------------===//
// Measuring
//===----------------------------------------------------------------------===//

llvm::Expected<std::string> Bench::check() {
  if (ir().empty())
    return sentence("expected the pattern in the artifact, to check against, "
                    "but it was compiled without");
  std::vector<std::pair<std::string, reference::Tensor>> outputs;
  for (const auto &array : bound)
    if (array->info.kind == FIL_OUTPUT)
      outputs.push_back({array->info.name, array->array.tensor()});
  auto report = checkOutputs(ir(), valuesOfRun(), outputs, request.threads);
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
  if (llvm::Error bad = bindArrays(result.shape))
    return std::move(bad);
  std::vector<fil_arg> args(scalars);
  for (const auto &array : bound)
    args.push_back(fil_tensor_arg(array->info.name, &array->tensor));
  fil_options options = FIL_OPTIONS_INIT;
  options.isa = isa;
  options.worker_limit = fil_pool_threads(pool.get());
  options.parallel_for = fil_pool_parallel_for;
  options.parallel_for_ctx = pool.get();
  size_t bytes = 0;
  if (llvm::Error bad = errorOf(fil_workspace(kernel, args.data(), args.size(),
                                              &options, &bytes, &error)))
    return std::move(bad);
  AlignedBytes workspace(bytes);
  if (!workspace.data())
    return sentence("no memory for a workspace of {0} bytes", bytes);
  result.workspace = bytes;

  constexpr unsigned warm = 2;
  for (unsigned k = 0; k < request.repeat + warm; ++k) {
    auto start = std::chrono::steady_clock::now();
    fil_status status = fil_run(kernel, args.data(), args.size(), &options,
                                workspace.data(), bytes, &error);
    std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - start;
    if (llvm::Error bad = errorOf(status))
      return std::move(bad);
    if (k >= warm)
      result.timing.seconds.push_back(time.count());
  }
  llvm::sort(result.timing.seconds);
  if (!ir().empty()) {
    auto pairs = pairsOfRun(ir(), result.shape, valuesOfRun());
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

static std::string cpuName() {
  auto file = llvm::MemoryBuffer::getFileAsStream("/proc/cpuinfo");
  if (!file)
    return "unknown";
  StringRef text = (*file)->getBuffer();
  auto [before, after] = text.split("model name");
  return after.split('\n').first.ltrim(" \t:").str();
}

static std::string commandLine() {
  auto file = llvm::MemoryBuffer::getFileAsStream("/proc/self/cmdline");
  std::string text = file ? (*file)->getBuffer().str() : std::string();
  std::replace(text.begin(), text.end(), '\0', ' ');
  return StringRef(text).rtrim().str();
}

static const char *isaName(uint32_t isa) {
  return isa == FIL_ISA_AVX512 ? "avx512"
         : isa == FIL_ISA_AVX2 ? "avx2"
                               : "baseline";
}

llvm::Error Bench::writeJson() {
  uint32_t used = isa ? isa : uint32_t(fil_machine_isa());
  return writeOutputFile(
      request.json, [&](llvm::raw_ostream &file) -> llvm::Error {
        llvm::json::OStream json(file, 1);
        json.object([&] {
          json.attribute("commit", FILIGREE_COMMIT);
          json.attribute("command", commandLine());
          json.attribute("kernel", fil_kernel_name(kernel));
          json.attribute("variant", fil_kernel_variant(kernel));
          json.attribute("target", std::string("cpu:") + isaName(used));
          json.attributeObject("machine", [&] {
            json.attribute("cpu", cpuName());
            json.attribute("isa", isaName(uint32_t(fil_machine_isa())));
            json.attribute("threads", fil_pool_threads(pool.get()));
            json.attribute("pinned", request.pin);
            json.attribute("fma_peak_gflops_1", peakOne / 1e9);
            json.attribute("fma_peak_gflops", peakAll / 1e9);
          });
          json.attributeArray("measurements", [&] {
            for (const Measurement &m : measurements)
              json.object([&] {
                json.attribute("batch", m.shape.batch);
                json.attribute("heads", m.shape.heads);
                json.attribute("kv_heads", m.shape.kvHeads);
                json.attribute("queries", m.shape.queries);
                json.attribute("keys", m.shape.keys);
                json.attribute("runs", int64_t(m.timing.seconds.size()));
                json.attribute("median_ms", 1e3 * m.timing.at(0.5));
                json.attribute("min_ms", 1e3 * m.timing.at(0));
                json.attribute("p10_ms", 1e3 * m.timing.at(0.1));
                json.attribute("p90_ms", 1e3 * m.timing.at(0.9));
                json.attribute("workspace_bytes", m.workspace);
                if (m.pairs.known) {
                  double rate = m.flop / m.timing.at(0.5);
                  json.attribute("pairs", m.pairs.pairs);
                  json.attribute("pairs_exact", m.pairs.exact);
                  json.attribute("gflops", rate / 1e9);
                  json.attribute("of_peak", rate / peakAll);
                }
                if (!m.checked.empty())
                  json.attribute("check", m.checked);
              });
          });
        });
        file << "\n";
        return llvm::Error::success();
      });
}

llvm::Error Bench::runTorch() {
  const Measurement &m = measurements.back();
  TorchRequest torch;
  torch.artifact = request.artifact;
  torch.kernel = fil_kernel_name(kernel);
  torch.variant = fil_kernel_variant(kernel);
  torch.shape = m.shape;
  torch.headDim = m.pairs.keyDim;
  torch.threads = fil_pool_threads(pool.get());
  torch.repeat = request.repeat;
  torch.settings = request.settings;
  torch.json = request.json.empty() ? "" : request.json + ".torch.json";
  auto mask = torchMask(ir(), m.shape, valuesOfRun());
  if (!mask)
    return mask.takeError();
  torch.mask = *mask;
  os.flush();
  // The other program places its threads itself.
  if (request.pin)
    sched_setaffinity(0, sizeof(usable), &usable);
  llvm::Error bad = runTorchPeer(torch);
  if (request.pin)
    sched_setaffinity(0, sizeof(first), &first);
  return bad;
}

llvm::Error Bench::run() {
  if (!request.against.empty() && request.against != "torch")
    return sentence("expected --against torch, but got '{0}'", request.against);
  if (request.repeat < 1)
    return sentence("expected --repeat of at least 1, but got 0");
  if (llvm::Error bad = open())
    return bad;
  if (llvm::Error bad = bindScalars())
    return bad;
  if (!request.against.empty())
    if (llvm::Error bad = requireTorch())
      return bad;
  if (llvm::Error bad = makePool())
    return bad;
  unsigned threads = fil_pool_threads(pool.get());
  uint32_t used = isa ? isa : uint32_t(fil_machine_isa());
  peakOne = measureFmaPeak(used, 1, nullptr, nullptr, 0.1);
  peakAll = threads == 1 ? peakOne
                         : measureFmaPeak(used, threads, fil_pool_parallel_for,
                                          pool.get(), 0.1);
  if (peakOne <= 0 || peakAll <= 0)
    return sentence("the peak loop computed a wrong value");
  os << formatv("{0} {1}, {2}, {3} thread{4}{5}; multiply-adds {6:f1} GFLOP/s "
                "on 1, {7:f1} on all\n",
                fil_kernel_name(kernel), fil_kernel_variant(kernel),
                isaName(used), threads, threads == 1 ? "" : "s",
                request.pin ? ", pinned" : "", peakOne / 1e9, peakAll / 1e9);
  for (int64_t length : request.lengths) {
    auto measured = measure(length);
    if (!measured)
      return measured.takeError();
    measurements.push_back(std::move(*measured));
    const Measurement &m = measurements.back();
    os << formatv("Nq={0} Nk={1} h{2}/{3} b{4}: median {5:f3} ms, min {6:f3}, "
                  "p10 {7:f3}, p90 {8:f3}, {9} runs",
                  m.shape.queries, m.shape.keys, m.shape.heads, m.shape.kvHeads,
                  m.shape.batch, 1e3 * m.timing.at(0.5), 1e3 * m.timing.at(0),
                  1e3 * m.timing.at(0.1), 1e3 * m.timing.at(0.9),
                  m.timing.seconds.size());
    double rate = m.flop / m.timing.at(0.5);
    if (m.pairs.known)
      os << formatv("; {0}{1} pairs, {2:f1} GFLOP/s, {3:f3} of peak",
                    m.pairs.exact ? "" : "about ", m.pairs.pairs, rate / 1e9,
                    rate / peakAll);
    else
      os << "; pairs not counted: " << m.pairs.reason;
    os << "\n";
    if (!m.checked.empty())
      os << "check: " << m.checked << "\n";
    if (!request.against.empty())
      if (llvm::Error bad = runTorch())
        return bad;
  }
  if (request.json.empty())
    return llvm::Error::success();
  if (llvm::Error bad = writeJson())
    return bad;
  os << "wrote " << request.json << "\n";
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Command line
//===----------------------------------------------------------------------===//

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
  Request request;
  request.artifact = options.artifact;
  request.kernel = options.kernel;
  request.variant = options.variant;
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
  int64_t kvHeads = options.kvHeads ? options.kvHeads : options.heads;
  bool negative =
      llvm::any_of(request.lengths, [](int64_t length) { return length < 0; });
  if (negative || options.heads < 1 || kvHeads < 1 || options.batch < 1)
    return report(llvm::createStringError("expected positive extents"));
  request.shape.batch = options.batch;
  request.shape.heads = options.heads;
  request.shape.kvHeads = kvHeads;
  auto settings = parseSettings(std::vector<std::string>(
      options.settings.begin(), options.settings.end()));
  if (!settings)
    return report(settings.takeError());
  request.settings = std::move(*settings);
  return report(Bench(request, llvm::outs()).run());
}
