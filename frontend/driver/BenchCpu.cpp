//===- BenchCpu.cpp - benchmarks on the CPU -------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rates stand beside the multiply-adds that the machine did in the same minute
// on as many threads.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/BenchDevice.h"
#include "frontend/driver/FmaPeak.h"
#include "frontend/driver/Handles.h"
#include "frontend/driver/Sentence.h"
#include "llvm/Support/MemoryBuffer.h"
#include <chrono>
#include <sched.h>

using namespace filigree;
using llvm::formatv;
using llvm::StringRef;

namespace {

class BenchCpu final : public BenchDevice {
public:
  llvm::Error open(const BenchRequest &request);
  std::string target() const override;
  std::string describe() const override;
  void describe(llvm::json::OStream &json) const override;
  double peak() const override { return peakAll; }
  StringRef peakName() const override { return "peak"; }
  unsigned threads() const override { return fil_pool_threads(pool.get()); }
  llvm::Expected<Timing> time(const fil_kernel *kernel,
                              llvm::ArrayRef<fil_arg> scalars,
                              const BoundArrays &arrays,
                              unsigned repeat) override;
  llvm::Error stepAside(llvm::function_ref<llvm::Error()> body) override;

private:
  llvm::Error pinCaller();

  Status status;
  OwnedPool pool;
  uint32_t isa = FIL_ISA_AUTO, used = FIL_ISA_BASELINE;
  bool pin = false;
  cpu_set_t usable, first; ///< cpus: with --pin, before and after
  double peakOne = 0, peakAll = 0;
};

} // namespace

static const char *isaName(uint32_t isa) {
  return isa == FIL_ISA_AVX512 ? "avx512"
         : isa == FIL_ISA_AVX2 ? "avx2"
                               : "baseline";
}

static std::string cpuName() {
  auto file = llvm::MemoryBuffer::getFileAsStream("/proc/cpuinfo");
  if (!file)
    return "unknown";
  StringRef text = (*file)->getBuffer();
  auto [before, after] = text.split("model name");
  return after.split('\n').first.ltrim(" \t:").str();
}

/// Thread 0 of a pool is the caller, which the pool does not move.
llvm::Error BenchCpu::pinCaller() {
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

llvm::Error BenchCpu::open(const BenchRequest &request) {
  auto parsed = parseIsa(request.isa);
  if (!parsed)
    return parsed.takeError();
  isa = *parsed;
  used = isa ? isa : uint32_t(fil_machine_isa());
  pin = request.pin;
  fil_pool_options options = FIL_POOL_OPTIONS_INIT;
  options.threads = request.threads;
  options.pin = pin;
  fil_pool *created = nullptr;
  if (llvm::Error bad =
          status(fil_pool_create(&options, &created, &status.error)))
    return bad;
  pool.reset(created);
  if (pin)
    if (llvm::Error bad = pinCaller())
      return bad;
  peakOne = measureFmaPeak(used, 1, nullptr, nullptr, 0.1);
  peakAll = threads() == 1
                ? peakOne
                : measureFmaPeak(used, threads(), fil_pool_parallel_for,
                                 pool.get(), 0.1);
  if (peakOne <= 0 || peakAll <= 0)
    return sentence("the peak loop computed a wrong value");
  return llvm::Error::success();
}

std::string BenchCpu::target() const {
  return std::string("cpu:") + isaName(used);
}

std::string BenchCpu::describe() const {
  return formatv("{0}, {1} thread{2}{3}; multiply-adds {4:f1} GFLOP/s on 1, "
                 "{5:f1} on all",
                 isaName(used), threads(), threads() == 1 ? "" : "s",
                 pin ? ", pinned" : "", peakOne / 1e9, peakAll / 1e9)
      .str();
}

void BenchCpu::describe(llvm::json::OStream &json) const {
  json.attribute("cpu", cpuName());
  json.attribute("isa", isaName(uint32_t(fil_machine_isa())));
  json.attribute("threads", threads());
  json.attribute("pinned", pin);
  json.attribute("fma_peak_gflops_1", peakOne / 1e9);
  json.attribute("fma_peak_gflops", peakAll / 1e9);
}

llvm::Expected<Timing> BenchCpu::time(const fil_kernel *kernel,
                                      llvm::ArrayRef<fil_arg> scalars,
                                      const BoundArrays &arrays,
                                      unsigned repeat) {
  std::vector<fil_arg> args = argumentsOf(scalars, arrays);
  fil_options options = FIL_OPTIONS_INIT;
  options.isa = isa;
  options.worker_limit = threads();
  options.parallel_for = fil_pool_parallel_for;
  options.parallel_for_ctx = pool.get();
  size_t bytes = 0;
  if (llvm::Error bad = status(fil_workspace(kernel, args.data(), args.size(),
                                             &options, &bytes, &status.error)))
    return std::move(bad);
  AlignedBytes workspace(bytes);
  if (!workspace.data())
    return sentence("no memory for a workspace of {0} bytes", bytes);
  Timing timing;
  timing.workspace = bytes;
  constexpr unsigned warm = 2;
  for (unsigned k = 0; k < repeat + warm; ++k) {
    auto start = std::chrono::steady_clock::now();
    fil_status result = fil_run(kernel, args.data(), args.size(), &options,
                                workspace.data(), bytes, &status.error);
    std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - start;
    if (llvm::Error bad = status(result))
      return std::move(bad);
    if (k >= warm)
      timing.seconds.push_back(time.count());
  }
  llvm::sort(timing.seconds);
  return timing;
}

llvm::Error BenchCpu::stepAside(llvm::function_ref<llvm::Error()> body) {
  // The other program places its threads itself.
  if (pin)
    sched_setaffinity(0, sizeof(usable), &usable);
  llvm::Error bad = body();
  if (pin)
    sched_setaffinity(0, sizeof(first), &first);
  return bad;
}

llvm::Expected<std::unique_ptr<BenchDevice>>
BenchDevice::openCpu(const BenchRequest &request) {
  auto device = std::make_unique<BenchCpu>();
  if (llvm::Error bad = device->open(request))
    return std::move(bad);
  return std::move(device);
}
