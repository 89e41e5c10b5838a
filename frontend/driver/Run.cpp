//===- Run.cpp - filigree run: an artifact on arrays from files -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A client of runtime/filigree.h like any other: find the kernel, bind arrays
// by name, infer output shapes, give it a workspace, run. Outputs start as NaN,
// so that an element nobody wrote cannot pass the check. On cuda, arrays go to
// the device and back; everything else is the same.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Run.h"
#include "codegen/reference/EmitOracle.h"
#include "frontend/driver/Check.h"
#include "frontend/driver/CudaDevice.h"
#include "frontend/driver/Driver.h"
#include "frontend/driver/InputFiles.h"
#include "frontend/driver/LoadPattern.h"
#include "frontend/driver/TensorFile.h"
#include "runtime/filigree.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include <chrono>

using namespace filigree;
using llvm::StringRef;

template <typename... T>
static llvm::Error sentence(const char *format, T &&...values) {
  return llvm::createStringError(
      llvm::formatv(format, std::forward<T>(values)...).str());
}

//===----------------------------------------------------------------------===//
// The C interface, with its objects released
//===----------------------------------------------------------------------===//

namespace {

/// Turns a status and its sentence into an Error.
struct Status {
  fil_error error = FIL_ERROR_INIT;
  llvm::Error operator()(fil_status status) {
    if (status == FIL_OK)
      return llvm::Error::success();
    return llvm::createStringError(StringRef(error.message));
  }
};

struct CloseLibrary {
  void operator()(fil_library *library) const { fil_close(library); }
};
struct DestroyPool {
  void operator()(fil_pool *pool) const { fil_pool_destroy(pool); }
};

/// A kernel and what it says about its arguments.
struct Kernel {
  const fil_kernel *handle;
  std::vector<fil_arg_info> args;

  std::string label() const {
    return (fil_kernel_name(handle) + StringRef(" ") +
            fil_kernel_variant(handle))
        .str();
  }
};

/// An array bound to an argument; DLTensor points into it.
struct Bound {
  std::string name;
  Array array;
  llvm::SmallVector<int64_t, 4> shape;
  DLTensor tensor = {};
};

} // namespace

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
  case FIL_I64:
    return DType::I64;
  case FIL_F64:
    return DType::F64;
  }
  return std::nullopt;
}

static DLDataType dlType(DType dtype) {
  uint8_t code = !reference::isFloat(dtype) ? kDLInt
                 : dtype == DType::BF16     ? kDLBfloat
                                            : kDLFloat;
  return {code, uint8_t(8 * reference::byteWidth(dtype)), 1};
}

static llvm::Expected<std::vector<Kernel>>
listKernels(fil_library *library, const RunRequest &request) {
  std::vector<Kernel> kernels;
  std::string known;
  Status status;
  for (uint32_t k = 0; k < fil_kernel_count(library); ++k) {
    Kernel kernel = {fil_kernel_at(library, k), {}};
    known += (k ? ", " : "") + kernel.label();
    if ((!request.kernel.empty() &&
         request.kernel != fil_kernel_name(kernel.handle)) ||
        (!request.variant.empty() &&
         request.variant != fil_kernel_variant(kernel.handle)))
      continue;
    for (uint32_t a = 0; a < fil_kernel_arg_count(kernel.handle); ++a) {
      fil_arg_info info = FIL_ARG_INFO_INIT;
      if (llvm::Error error =
              status(fil_kernel_arg(kernel.handle, a, &info, &status.error)))
        return std::move(error);
      kernel.args.push_back(info);
    }
    kernels.push_back(std::move(kernel));
  }
  if (kernels.empty())
    return sentence("expected a kernel '{0}{1}{2}', but the artifact has {3}",
                    request.kernel, request.variant.empty() ? "" : " ",
                    request.variant, known.empty() ? "none" : known);
  return kernels;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

/// Could these arrays be the kernel's? Judged by type and fixed extents.
static bool fits(const Kernel &kernel, const llvm::StringMap<Array> &inputs,
                 bool cast) {
  for (const auto &input : inputs) {
    auto info = llvm::find_if(kernel.args, [&](const auto &arg) {
      return arg.name == input.first();
    });
    if (info == kernel.args.end())
      return false;
    const Array &array = input.second;
    std::optional<DType> want = dtypeOf(info->dtype);
    bool isTable = want == DType::I32 && array.dtype == DType::I64;
    if (want != array.dtype && !cast && !isTable)
      return false;
    size_t rank = array.shape.size();
    for (size_t back = 1; back <= std::min<size_t>(rank, info->rank); ++back)
      if (!info->symbol[info->rank - back] &&
          info->extent[info->rank - back] != array.shape[rank - back])
        return false;
  }
  return true;
}

static llvm::Expected<const Kernel *>
chooseKernel(llvm::ArrayRef<Kernel> kernels,
             const llvm::StringMap<Array> &inputs, bool cast) {
  if (kernels.size() == 1)
    return &kernels.front(); // its own checks say what is wrong
  std::vector<const Kernel *> fitting;
  // First those that fit as they are: a cast is the last resort.
  for (bool allowCast : {false, true}) {
    for (const Kernel &kernel : kernels)
      if (fits(kernel, inputs, allowCast))
        fitting.push_back(&kernel);
    if (!fitting.empty() || !cast)
      break;
  }
  if (fitting.size() == 1)
    return fitting.front();
  auto labels = llvm::map_range(
      kernels, [](const Kernel &kernel) { return kernel.label(); });
  return sentence("expected one kernel that fits the inputs, but got {0} of: "
                  "{1}; choose with --kernel and --variant",
                  fitting.size(), llvm::join(labels, ", "));
}

static llvm::Error castTo(Array &array, StringRef name, DType want, bool cast) {
  if (array.dtype == want)
    return llvm::Error::success();
  // Tables lose nothing: every value is checked.
  bool isTable = array.dtype == DType::I64 && want == DType::I32;
  if (!cast && !isTable)
    return sentence("expected '{0}' of type {1}, but got {2}: --cast converts",
                    name, reference::dtypeName(want),
                    reference::dtypeName(array.dtype));
  auto converted = convert(array, want);
  if (!converted)
    return sentence("'{0}': {1}", name, llvm::toString(converted.takeError()));
  array = std::move(*converted);
  return llvm::Error::success();
}

static void finishTensor(Bound &bound) {
  bound.shape = bound.array.shape;
  bound.tensor.data = bound.array.bytes.data();
  bound.tensor.device = {kDLCPU, 0};
  bound.tensor.ndim = int32_t(bound.shape.size());
  bound.tensor.dtype = dlType(bound.array.dtype);
  bound.tensor.shape = bound.shape.data();
}

static llvm::Expected<fil_arg> scalarArgument(const Kernel &kernel,
                                              const Setting &setting) {
  auto info = llvm::find_if(kernel.args, [&](const auto &arg) {
    return arg.name == setting.first && arg.kind == FIL_SCALAR;
  });
  if (info == kernel.args.end())
    return sentence("expected a run-time parameter of {0}, but got '{1}'",
                    kernel.label(), setting.first);
  auto scalar = parseScalar(setting.first, setting.second);
  if (!scalar)
    return scalar.takeError();
  if (info->dtype == FIL_F32)
    return fil_float_arg(info->name,
                         scalar->isFloat ? scalar->f : double(scalar->i));
  if (scalar->isFloat)
    return sentence("expected an integer for '{0}', but got {1}", setting.first,
                    setting.second);
  return fil_int_arg(info->name, scalar->i);
}

static llvm::Expected<uint32_t> parseIsa(StringRef name) {
  auto isa = llvm::StringSwitch<int>(name)
                 .Case("auto", FIL_ISA_AUTO)
                 .Case("baseline", FIL_ISA_BASELINE)
                 .Case("avx2", FIL_ISA_AVX2)
                 .Case("avx512", FIL_ISA_AVX512)
                 .Default(-1);
  if (isa < 0)
    return sentence("expected --isa baseline, avx2, avx512 or auto, but got "
                    "'{0}'",
                    name);
  if (isa > int(fil_machine_isa()))
    return sentence("expected an instruction set of this machine, but it has "
                    "no {0}",
                    name);
  return uint32_t(isa);
}

//===----------------------------------------------------------------------===//
// The run
//===----------------------------------------------------------------------===//

namespace {

class Runner {
public:
  Runner(const RunRequest &request, llvm::raw_ostream &os)
      : request(request), os(os) {}

  llvm::Error run() {
    bool onCuda = request.device == "cuda";
    if (!onCuda && request.device != "cpu")
      return sentence("expected --device cpu or cuda, but got '{0}'",
                      request.device);
    if (request.repeat < 1)
      return sentence("expected --repeat of at least 1, but got 0");
    auto parsed = parseIsa(request.isa);
    if (!parsed)
      return parsed.takeError();
    isa = *parsed;
    if (llvm::Error error = open())
      return error;
    if (llvm::Error error = bind())
      return error;
    if (llvm::Error error = onCuda ? executeOnCuda() : execute())
      return error;
    if (request.check)
      if (llvm::Error error = check())
        return error;
    if (request.output.empty())
      return llvm::Error::success();
    if (llvm::Error error = writeTensorFile(request.output, outputViews()))
      return error;
    os << "wrote " << request.output << "\n";
    return llvm::Error::success();
  }

private:
  llvm::Error open() {
    fil_library *opened = nullptr;
    if (llvm::Error error =
            status(fil_open(request.artifact.c_str(), &opened, &status.error)))
      return error;
    library.reset(opened);
    auto kernels = listKernels(opened, request);
    if (!kernels)
      return kernels.takeError();
    std::vector<std::string> wanted;
    for (const Kernel &candidate : *kernels)
      for (const fil_arg_info &info : candidate.args)
        if (info.kind == FIL_INPUT && !llvm::is_contained(wanted, info.name))
          wanted.push_back(info.name);
    auto arrays = readInputs(request.inputs, wanted);
    if (!arrays)
      return arrays.takeError();
    auto chosen = chooseKernel(*kernels, *arrays, request.cast);
    if (!chosen)
      return chosen.takeError();
    kernel = **chosen;
    if (request.check && isOracle(fil_kernel_variant(kernel.handle)))
      return sentence("expected compiled code with --check, but {0} is an "
                      "oracle, which answers are checked with",
                      kernel.label());
    for (const fil_arg_info &info : kernel.args) {
      auto found = arrays->find(info.name);
      if (found == arrays->end()) {
        if (info.kind == FIL_INPUT && !info.optional)
          return sentence("expected an input '{0}' of {1}: --in gives it",
                          info.name, kernel.label());
        continue;
      }
      auto bound = std::make_unique<Bound>();
      bound->name = info.name;
      bound->array = std::move(found->second);
      if (llvm::Error error = castTo(bound->array, info.name,
                                     *dtypeOf(info.dtype), request.cast))
        return error;
      finishTensor(*bound);
      args.push_back(fil_tensor_arg(info.name, &bound->tensor));
      inputs.push_back(std::move(bound));
    }
    return llvm::Error::success();
  }

  llvm::Error bind() {
    auto settings = parseSettings(request.settings);
    if (!settings)
      return settings.takeError();
    for (const Setting &setting : *settings) {
      auto scalar = scalarArgument(kernel, setting);
      if (!scalar)
        return scalar.takeError();
      args.push_back(*scalar);
    }
    size_t count = llvm::count_if(kernel.args, [](const fil_arg_info &info) {
      return info.kind == FIL_OUTPUT;
    });
    if (!request.output.empty())
      if (llvm::Error error = checkOutputName(request.output, count))
        return error;
    std::string label = kernel.label();
    for (const fil_arg_info &info : kernel.args) {
      if (info.kind != FIL_OUTPUT)
        continue;
      int64_t shape[4];
      uint32_t rank = 0;
      if (llvm::Error error =
              status(fil_infer_shape(kernel.handle, args.data(), args.size(),
                                     info.name, shape, &rank, &status.error)))
        return error;
      auto bound = std::make_unique<Bound>();
      bound->name = info.name;
      auto array = Array::allocate(*dtypeOf(info.dtype), {shape, rank});
      if (!array)
        return array.takeError();
      bound->array = std::move(*array);
      std::memset(bound->array.bytes.data(), 0xff, bound->array.bytes.size());
      finishTensor(*bound);
      label += llvm::formatv("{0} {1} {2} {3}", outputs.empty() ? ":" : ",",
                             info.name, shapeText(bound->shape),
                             reference::dtypeName(bound->array.dtype));
      outputs.push_back(std::move(bound));
    }
    os << label << "\n";
    for (const auto &bound : outputs)
      args.push_back(fil_tensor_arg(bound->name.c_str(), &bound->tensor));
    return llvm::Error::success();
  }

  llvm::Error execute() {
    fil_options options = FIL_OPTIONS_INIT;
    options.isa = isa;
    options.worker_limit = request.threads;
    options.checked = 1;
    fil_pool_options poolOptions = FIL_POOL_OPTIONS_INIT;
    poolOptions.threads = request.threads;
    fil_pool *created = nullptr;
    if (llvm::Error error =
            status(fil_pool_create(&poolOptions, &created, &status.error)))
      return error;
    std::unique_ptr<fil_pool, DestroyPool> pool(created);
    options.parallel_for = fil_pool_parallel_for;
    options.parallel_for_ctx = created;

    size_t bytes = 0;
    if (llvm::Error error =
            status(fil_workspace(kernel.handle, args.data(), args.size(),
                                 &options, &bytes, &status.error)))
      return error;
    AlignedBytes workspace(bytes);
    if (!workspace.data())
      return sentence("no memory for a workspace of {0} bytes", bytes);

    // With --repeat the first run warms up and is not counted.
    std::vector<double> seconds;
    unsigned runs = request.repeat + (request.repeat > 1);
    for (unsigned k = 0; k < runs; ++k) {
      auto start = std::chrono::steady_clock::now();
      fil_status result =
          fil_run(kernel.handle, args.data(), args.size(), &options,
                  workspace.data(), workspace.size(), &status.error);
      std::chrono::duration<double> time =
          std::chrono::steady_clock::now() - start;
      if (llvm::Error error = status(result))
        return error;
      if (k > 0 || runs == 1)
        seconds.push_back(time.count());
    }
    for (double &second : seconds)
      second *= 1e3;
    reportTime(seconds,
               llvm::formatv("{0} thread{1}", fil_pool_threads(created),
                             fil_pool_threads(created) == 1 ? "" : "s")
                   .str(),
               bytes);
    return llvm::Error::success();
  }

  void reportTime(std::vector<double> &milliseconds, StringRef where,
                  size_t workspace) {
    llvm::sort(milliseconds);
    size_t half = milliseconds.size() / 2;
    double median = milliseconds.size() % 2
                        ? milliseconds[half]
                        : (milliseconds[half - 1] + milliseconds[half]) / 2;
    os << llvm::formatv("time: median {0:f3} ms, min {1:f3} ms, {2} run{3}, "
                        "{4}, workspace {5} bytes\n",
                        median, milliseconds.front(), milliseconds.size(),
                        milliseconds.size() == 1 ? "" : "s", where, workspace);
  }

  // The first run is checked, and not timed: a checked run waits for itself.
  llvm::Error executeOnCuda() {
    fil_options options = FIL_OPTIONS_INIT;
    options.allow_jit = request.allowJit;
    fil_cuda_info info = FIL_CUDA_INFO_INIT;
    constexpr int ordinal = 0;
    if (llvm::Error error = status(fil_cuda_code(
            kernel.handle, ordinal, &options, &info, &status.error)))
      return error;
    auto opened = CudaDevice::open(ordinal);
    if (!opened)
      return opened.takeError();
    device = std::move(*opened);
    options.stream = device->stream();

    std::vector<CudaDevice::Memory> memory;
    auto forAll = [&](auto each) -> llvm::Error {
      for (auto *bounds : {&inputs, &outputs})
        for (auto &bound : *bounds)
          if (llvm::Error error = each(*bound))
            return error;
      return llvm::Error::success();
    };
    // Whatever happens, arrays are in cpu memory again afterwards.
    llvm::scope_exit restore([&] {
      llvm::consumeError(forAll([](Bound &bound) {
        finishTensor(bound);
        return llvm::Error::success();
      }));
    });
    if (llvm::Error error = forAll([&](Bound &bound) -> llvm::Error {
          auto place = device->allocate(bound.array.bytes.size(),
                                        "'" + bound.name + "'");
          if (!place)
            return place.takeError();
          bound.tensor.data = place->data();
          bound.tensor.device = {kDLCUDA, ordinal};
          memory.push_back(std::move(*place));
          return device->upload(memory.back(), bound.array.bytes.data());
        }))
      return error;

    options.checked = 1; // needs the larger workspace
    size_t bytes = 0;
    if (llvm::Error error =
            status(fil_workspace(kernel.handle, args.data(), args.size(),
                                 &options, &bytes, &status.error)))
      return error;
    auto workspace = device->allocate(bytes, "the workspace");
    if (!workspace)
      return workspace.takeError();
    std::vector<double> milliseconds;
    for (unsigned k = 0; k <= request.repeat; ++k) {
      options.checked = k == 0;
      if (llvm::Error error = device->startClock())
        return error;
      if (llvm::Error error =
              status(fil_run(kernel.handle, args.data(), args.size(), &options,
                             workspace->data(), bytes, &status.error)))
        return error;
      auto time = device->stopClock();
      if (!time)
        return time.takeError();
      if (k > 0)
        milliseconds.push_back(*time);
    }
    size_t at = inputs.size(); // outputs follow
    for (auto &bound : outputs)
      if (llvm::Error error =
              device->download(bound->array.bytes.data(), memory[at++]))
        return error;

    std::string where = llvm::formatv(
        "cuda:{0} {1}, {2} sm_{3}{4}", ordinal, device->name(),
        info.jit ? "compiled by the driver from ptx for" : "code for",
        info.code_arch, info.exact ? "a" : "");
    reportTime(milliseconds, where, bytes);
    return llvm::Error::success();
  }

  llvm::Error check() {
    size_t bytes = 0;
    const char *ir = fil_kernel_ir(kernel.handle, &bytes);
    if (!ir)
      return sentence("expected the pattern in the artifact, to check against, "
                      "but it was compiled without");
    reference::Inputs values;
    for (const auto &bound : inputs)
      values.tensors[bound->name] = bound->array.tensor();
    for (const fil_arg &arg : args)
      if (arg.kind != FIL_TENSOR)
        values.scalars[arg.name] = arg.kind == FIL_INT
                                       ? reference::Scalar::ofInt(arg.i)
                                       : reference::Scalar::ofFloat(arg.f);
    auto report =
        checkOutputs({ir, bytes}, values, outputViews(), request.threads);
    if (!report)
      return report.takeError();
    std::string rows =
        report->rows == report->allRows
            ? llvm::formatv("all {0} rows", report->allRows).str()
            : llvm::formatv("{0} of {1} rows", report->rows, report->allRows)
                  .str();
    for (const reference::Comparison &comparison : report->comparisons)
      os << "check: " << comparison.str() << " (" << rows << ")\n";
    if (!report->passed())
      return sentence("the outputs differ from the reference by more than the "
                      "rule allows");
    return llvm::Error::success();
  }

  std::vector<std::pair<std::string, reference::Tensor>> outputViews() const {
    std::vector<std::pair<std::string, reference::Tensor>> views;
    for (const auto &bound : outputs)
      views.push_back({bound->name, bound->array.tensor()});
    return views;
  }

  const RunRequest &request;
  llvm::raw_ostream &os;
  Status status;
  uint32_t isa = FIL_ISA_AUTO;
  std::unique_ptr<CudaDevice> device; // outlives what the library loads there
  std::unique_ptr<fil_library, CloseLibrary> library;
  Kernel kernel = {nullptr, {}};
  std::vector<std::unique_ptr<Bound>> inputs, outputs;
  std::vector<fil_arg> args;
};

} // namespace

llvm::Error filigree::runArtifact(const RunRequest &request,
                                  llvm::raw_ostream &os) {
  return Runner(request, os).run();
}

//===----------------------------------------------------------------------===//
// Command line
//===----------------------------------------------------------------------===//

namespace {
namespace cl = llvm::cl;
struct RunOptions {
  cl::SubCommand command{"run", "run an artifact on arrays from files"};
  cl::opt<std::string> artifact{cl::Positional, cl::desc("OUT.so"),
                                cl::Required, cl::sub(command)};
  cl::list<std::string> inputs{
      "in", cl::desc("qkv.npz, all.safetensors, q=FILE.npy; several"),
      cl::value_desc("files"), cl::CommaSeparated, cl::sub(command)};
  cl::opt<std::string> output{"out", cl::desc("o.safetensors, or o.npy"),
                              cl::value_desc("file"), cl::sub(command)};
  cl::opt<std::string> device{"device", cl::desc("cpu or cuda"),
                              cl::init("cpu"), cl::sub(command)};
  cl::opt<bool> allowJit{
      "allow-jit", cl::desc("cuda: the driver may compile PTX for the chip"),
      cl::sub(command)};
  cl::opt<std::string> kernel{"kernel", cl::desc("pattern to run"),
                              cl::sub(command)};
  cl::opt<std::string> variant{"variant", cl::desc("variant of it"),
                               cl::sub(command)};
  cl::opt<bool> check{"check", cl::desc("compare with the float64 reference"),
                      cl::sub(command)};
  cl::opt<bool> cast{"cast", cl::desc("convert inputs to the kernel's types"),
                     cl::sub(command)};
  cl::opt<unsigned> repeat{"repeat", cl::desc("timed runs"), cl::init(1),
                           cl::sub(command)};
  cl::opt<unsigned> threads{"threads", cl::desc("0: one per cpu"), cl::init(0),
                            cl::sub(command)};
  cl::opt<std::string> isa{"isa", cl::desc("baseline, avx2, avx512 or auto"),
                           cl::init("auto"), cl::sub(command)};
  cl::list<std::string> settings{"set", cl::desc("run-time parameter"),
                                 cl::value_desc("name=value"),
                                 cl::sub(command)};
};
} // namespace

static RunOptions &runOptions() {
  static RunOptions options;
  return options;
}

cl::SubCommand &filigree::declareRun() { return runOptions().command; }

int filigree::runMain() {
  RunOptions &options = runOptions();
  RunRequest request;
  request.artifact = options.artifact;
  request.kernel = options.kernel;
  request.variant = options.variant;
  request.inputs.assign(options.inputs.begin(), options.inputs.end());
  request.settings.assign(options.settings.begin(), options.settings.end());
  request.device = options.device;
  request.allowJit = options.allowJit;
  request.isa = options.isa;
  request.output = options.output;
  request.check = options.check;
  request.cast = options.cast;
  request.repeat = options.repeat;
  request.threads = options.threads;
  return report(runArtifact(request, llvm::outs()));
}
