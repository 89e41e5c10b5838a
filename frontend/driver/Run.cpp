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
#include "frontend/driver/BoundArray.h"
#include "frontend/driver/Check.h"
#include "frontend/driver/Handles.h"
#include "frontend/driver/InputFiles.h"
#include "frontend/driver/KernelChoice.h"
#include "frontend/driver/LoadPattern.h"
#include "frontend/driver/Sentence.h"
#include "frontend/driver/TensorFile.h"
#include "llvm/ADT/STLExtras.h"
#include <chrono>

using namespace filigree;
using llvm::StringRef;

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// The run
//===----------------------------------------------------------------------===//

namespace {

class Runner {
public:
  Runner(const RunRequest &request, llvm::raw_ostream &os)
      : request(request), os(os) {}

  llvm::Error run() {
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
    if (llvm::Error error =
            request.device == "cuda" ? executeOnCuda() : execute())
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
    auto kernels = listKernels(opened, request.kernel, request.variant);
    if (!kernels)
      return kernels.takeError();
    std::vector<std::string> wanted;
    for (const Kernel &candidate : *kernels)
      for (const fil_arg_info &info : candidate.args)
        if (info.kind == FIL_INPUT && !llvm::is_contained(wanted, info.name))
          wanted.push_back(info.name);
    auto files = readInputs(request.inputs, wanted);
    if (!files)
      return files.takeError();
    auto chosen = chooseKernel(*kernels, *files, request.cast);
    if (!chosen)
      return chosen.takeError();
    kernel = **chosen;
    if (llvm::Error error = checkDevice(kernel.handle, request.device))
      return error;
    if (request.check && isOracle(fil_kernel_variant(kernel.handle)))
      return sentence("expected compiled code with --check, but {0} is an "
                      "oracle, which answers are checked with",
                      kernel.label());
    for (const fil_arg_info &info : kernel.args) {
      auto found = files->find(info.name);
      if (found == files->end()) {
        if (info.kind == FIL_INPUT && !info.optional)
          return sentence("expected an input '{0}' of {1}: --in gives it",
                          info.name, kernel.label());
        continue;
      }
      if (llvm::Error error = castTo(found->second, info.name,
                                     *dtypeOf(info.dtype), request.cast))
        return error;
      arrays.push_back(
          std::make_unique<BoundArray>(info, std::move(found->second)));
      args.push_back(fil_tensor_arg(info.name, &arrays.back()->tensor));
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
    BoundArrays outputs; // none is an argument of inference
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
      auto array = Array::allocate(*dtypeOf(info.dtype), {shape, rank});
      if (!array)
        return array.takeError();
      std::memset(array->bytes.data(), 0xff, array->bytes.size());
      outputs.push_back(std::make_unique<BoundArray>(info, std::move(*array)));
      const Array &made = outputs.back()->array;
      label += llvm::formatv("{0} {1} {2} {3}", outputs.size() == 1 ? ":" : ",",
                             info.name, shapeText(made.shape),
                             reference::dtypeName(made.dtype));
    }
    os << label << "\n";
    for (auto &bound : outputs) {
      args.push_back(fil_tensor_arg(bound->info.name, &bound->tensor));
      arrays.push_back(std::move(bound));
    }
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
    OwnedPool pool(created);
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

    // Whatever happens, arrays are in cpu memory again afterwards.
    DeviceCopies copies(*device);
    if (llvm::Error error = copies.upload(arrays))
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
    if (llvm::Error error = copies.download())
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
    for (const auto &bound : arrays)
      if (bound->info.kind == FIL_INPUT)
        values.tensors[bound->info.name] = bound->array.tensor();
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
    for (const auto &bound : arrays)
      if (bound->info.kind == FIL_OUTPUT)
        views.push_back({bound->info.name, bound->array.tensor()});
    return views;
  }

  const RunRequest &request;
  llvm::raw_ostream &os;
  Status status;
  uint32_t isa = FIL_ISA_AUTO;
  std::unique_ptr<CudaDevice> device; // outlives what the library loads there
  OwnedLibrary library;
  Kernel kernel = {nullptr, {}};
  BoundArrays arrays; // outputs last
  std::vector<fil_arg> args;
};

} // namespace

llvm::Error filigree::runArtifact(const RunRequest &request,
                                  llvm::raw_ostream &os) {
  return Runner(request, os).run();
}
