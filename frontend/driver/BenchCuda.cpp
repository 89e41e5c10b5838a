//===- BenchCuda.cpp - benchmarks on a GPU --------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Time is the device's, between events in the stream. A run that is too short
// to hide the host's time to queue the next is sampled with others behind it: a
// sample is the mean of as many runs as take about a millisecond.
//
//===----------------------------------------------------------------------===//
#include "codegen/Target.h"
#include "frontend/driver/BenchDevice.h"
#include "frontend/driver/Handles.h"
#include "frontend/driver/Sentence.h"

using namespace filigree;
using llvm::formatv;
using llvm::StringRef;

namespace {

constexpr int kOrdinal = 0;
constexpr double kSampleMilliseconds = 1;
constexpr unsigned kMostRunsASample = 100;

class BenchCuda final : public BenchDevice {
public:
  llvm::Error open(const BenchRequest &request, const fil_kernel *kernel);
  std::string target() const override {
    return formatv("cuda:sm_{0}{1}", info.code_arch, info.exact ? "a" : "");
  }
  std::string describe() const override;
  void describe(llvm::json::OStream &json) const override;
  double peak() const override { return nominal; }
  StringRef peakName() const override { return "nominal"; }
  unsigned threads() const override { return checkThreads; }
  llvm::Expected<Timing> time(const fil_kernel *kernel,
                              llvm::ArrayRef<fil_arg> scalars,
                              const BoundArrays &arrays,
                              unsigned repeat) override;

private:
  Status status;
  std::unique_ptr<CudaDevice> device;
  fil_options options = FIL_OPTIONS_INIT;
  fil_cuda_info info = FIL_CUDA_INFO_INIT;
  double nominal = 0; ///< FLOP a second of products
  unsigned checkThreads = 0;
};

} // namespace

/// Nominal FLOP a second of the device called `name`; 0 if no target's table
/// has it.
static double nominalFlops(StringRef name) {
  for (const CudaTarget &target : getCudaTargets())
    if (name.contains(target.chip.name))
      return target.chip.multiprocessors * target.chip.gigahertz * 1e9 *
             target.chip.tensorFlops;
  return 0;
}

llvm::Error BenchCuda::open(const BenchRequest &request,
                            const fil_kernel *kernel) {
  if (request.pin || request.isa != "auto")
    return sentence("expected no --pin and no --isa with --device cuda");
  checkThreads = request.threads;
  options.allow_jit = request.allowJit;
  if (llvm::Error bad = status(
          fil_cuda_code(kernel, kOrdinal, &options, &info, &status.error)))
    return bad;
  auto opened = CudaDevice::open(kOrdinal);
  if (!opened)
    return opened.takeError();
  device = std::move(*opened);
  options.stream = device->stream();
  nominal = nominalFlops(device->name());
  return status(fil_prepare(kernel, &options, &status.error));
}

std::string BenchCuda::describe() const {
  std::string text =
      formatv("cuda:{0} {1}, {2} {3}", kOrdinal, device->name(),
              info.jit ? "compiled by the driver from ptx for" : "code for",
              StringRef(target()).drop_front(strlen("cuda:")));
  if (nominal > 0)
    text += formatv("; nominal {0:f1} TFLOP/s", nominal / 1e12);
  return text;
}

void BenchCuda::describe(llvm::json::OStream &json) const {
  json.attribute("gpu", device->name());
  json.attribute("multiprocessors", info.multiprocessors);
  json.attribute("arch", info.device_arch);
  json.attribute("jit", info.jit != 0);
  if (nominal > 0)
    json.attribute("nominal_gflops", nominal / 1e9);
}

llvm::Expected<Timing> BenchCuda::time(const fil_kernel *kernel,
                                       llvm::ArrayRef<fil_arg> scalars,
                                       const BoundArrays &arrays,
                                       unsigned repeat) {
  DeviceCopies copies(*device);
  if (llvm::Error bad = copies.upload(arrays))
    return std::move(bad);
  std::vector<fil_arg> args = argumentsOf(scalars, arrays);
  options.checked = 1; // needs the larger workspace
  size_t bytes = 0;
  if (llvm::Error bad = status(fil_workspace(kernel, args.data(), args.size(),
                                             &options, &bytes, &status.error)))
    return std::move(bad);
  auto workspace = device->allocate(bytes, "the workspace");
  if (!workspace)
    return workspace.takeError();

  /// Milliseconds of `count` runs behind each other.
  auto runs = [&](unsigned count) -> llvm::Expected<double> {
    if (llvm::Error bad = device->startClock())
      return std::move(bad);
    for (unsigned k = 0; k < count; ++k)
      if (llvm::Error bad =
              status(fil_run(kernel, args.data(), args.size(), &options,
                             workspace->data(), bytes, &status.error)))
        return std::move(bad);
    return device->stopClock();
  };
  // A checked run waits for itself: it is not timed.
  for (bool checked : {true, false, false}) {
    options.checked = checked;
    if (auto time = runs(1); !time)
      return time.takeError();
  }
  auto one = runs(1);
  if (!one)
    return one.takeError();
  Timing timing;
  timing.workspace = bytes;
  timing.runsASample =
      std::clamp(unsigned(kSampleMilliseconds / std::max(*one, 1e-3)), 1u,
                 kMostRunsASample);
  for (unsigned k = 0; k < repeat; ++k) {
    auto time = runs(timing.runsASample);
    if (!time)
      return time.takeError();
    timing.seconds.push_back(*time / 1e3 / timing.runsASample);
  }
  llvm::sort(timing.seconds);
  if (llvm::Error bad = copies.download())
    return std::move(bad);
  return timing;
}

llvm::Expected<std::unique_ptr<BenchDevice>>
BenchDevice::openCuda(const BenchRequest &request, const fil_kernel *kernel) {
  auto device = std::make_unique<BenchCuda>();
  if (llvm::Error bad = device->open(request, kernel))
    return std::move(bad);
  return std::move(device);
}
