//===- BenchDevice.h - where a benchmark runs -----------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The CPU with a pool of threads, or a GPU with a stream: how launches are made
// and timed, and what rates are compared with.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_BENCHDEVICE_H
#define FILIGREE_FRONTEND_DRIVER_BENCHDEVICE_H

#include "frontend/driver/Bench.h"
#include "frontend/driver/BoundArray.h"
#include "llvm/Support/JSON.h"

namespace filigree {

/// Seconds of a run, of several samples in ascending order.
struct Timing {
  std::vector<double> seconds;
  unsigned runsASample = 1; ///< of which a sample is the mean
  uint64_t workspace = 0;   ///< bytes
  double at(double part) const {
    double place = part * double(seconds.size() - 1);
    size_t below = size_t(place),
           above = std::min(below + 1, seconds.size() - 1);
    return seconds[below] +
           (place - double(below)) * (seconds[above] - seconds[below]);
  }
};

class BenchDevice {
public:
  virtual ~BenchDevice() = default;

  virtual std::string target() const = 0;   ///< "cpu:avx512"
  virtual std::string describe() const = 0; ///< for the first line
  virtual void describe(llvm::json::OStream &json) const = 0;
  /// FLOP a second, and what it is: "peak", "nominal". 0: not known.
  virtual double peak() const = 0;
  virtual llvm::StringRef peakName() const = 0;
  /// Of the threads that the answer is checked on, and that peers get.
  virtual unsigned threads() const = 0;

  /// Runs the kernel a few times to warm up, then `repeat` times or more;
  /// outputs are in their arrays afterwards.
  virtual llvm::Expected<Timing> time(const fil_kernel *kernel,
                                      llvm::ArrayRef<fil_arg> scalars,
                                      const BoundArrays &arrays,
                                      unsigned repeat) = 0;
  /// Lets another program have the device while `body` runs.
  virtual llvm::Error stepAside(llvm::function_ref<llvm::Error()> body) {
    return body();
  }

  static llvm::Expected<std::unique_ptr<BenchDevice>>
  openCpu(const BenchRequest &request);
  static llvm::Expected<std::unique_ptr<BenchDevice>>
  openCuda(const BenchRequest &request, const fil_kernel *kernel);
};

/// Scalars, then tensors.
std::vector<fil_arg> argumentsOf(llvm::ArrayRef<fil_arg> scalars,
                                 const BoundArrays &arrays);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_BENCHDEVICE_H
