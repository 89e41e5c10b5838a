//===- Replay.cpp - filigree-replay: artifacts checked and timed on a GPU -===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   filigree-replay CASES... [--jobs N] [--only PATTERN] [--repeat R] [--once]
//                   [--jit] [--json FILE] [--short-outputs]
//
// Needs libfiligree.so, a driver and what the files of cases name (Cases.h);
// no compiler and no other library. For every kernel and case:
//
//   run; run again, checked, with other bytes in outputs and workspace
//   the bits of both runs are the same
//   the rows agree with the oracle library (Judge.h)
//
// Of more than 512 rows of a head some 40 are compared: first, last, sides of
// tile edges, others evenly. --once leaves out the second run. --short-outputs
// gives each output 64 bytes less than it needs: a twin that a checker of
// memory must reject. Cases with `pairs` come last and alone, and the median of
// R launches is taken. Status: 0 if all agree, 1 if one does not, 2 if nothing
// could be run.
//
//===----------------------------------------------------------------------===//
#include "test/bench/replay/Cases.h"
#include "test/bench/replay/Gpu.h"
#include "test/bench/replay/Judge.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>

using namespace filigree::replay;

namespace {

struct Request {
  std::vector<std::string> files;
  std::string only, json;
  unsigned jobs = 0, repeat = 20;
  bool once = false, jit = false, shortOutputs = false;
};

void expectOk(fil_status status, const fil_error &error) {
  if (status != FIL_OK)
    throw std::runtime_error(error.message);
}

struct CloseLibrary {
  void operator()(fil_library *library) const { fil_close(library); }
};

//===----------------------------------------------------------------------===//
// Kernels and their arguments
//===----------------------------------------------------------------------===//

/// An open kernel of a compiled pattern or of an oracle.
class Kernel {
public:
  Kernel(const std::string &path, const std::string &name,
         const std::string &variant) {
    fil_error error = FIL_ERROR_INIT;
    fil_library *opened = nullptr;
    expectOk(fil_open(path.c_str(), &opened, &error), error);
    library.reset(opened);
    expectOk(fil_find(opened, name.c_str(), variant.c_str(), &handle, &error),
             error);
    for (uint32_t k = 0; k < fil_kernel_arg_count(handle); ++k) {
      args.push_back(FIL_ARG_INFO_INIT);
      expectOk(fil_kernel_arg(handle, k, &args.back(), &error), error);
    }
  }
  std::unique_ptr<fil_library, CloseLibrary> library;
  const fil_kernel *handle = nullptr;
  std::vector<fil_arg_info> args;
};

/// Arguments of a run: arrays by name, and where their bytes are.
class Bound {
public:
  void add(const char *name, Array &array, void *data, DLDeviceType where) {
    tensors.push_back(std::make_unique<DLTensor>());
    DLTensor &tensor = *tensors.back();
    uint8_t code = array.dtype == FIL_BF16 ? kDLBfloat
                   : array.dtype == FIL_I32 || array.dtype == FIL_I64
                       ? kDLInt
                       : kDLFloat;
    tensor.data = data;
    tensor.device = {where, 0};
    tensor.ndim = int32_t(array.shape.size());
    tensor.dtype = {code, uint8_t(8 * widthOf(array.dtype)), 1};
    tensor.shape = array.shape.data();
    args.push_back(fil_tensor_arg(name, &tensor));
  }
  Array shaped(const Kernel &kernel, const fil_arg_info &info) const {
    fil_error error = FIL_ERROR_INIT;
    int64_t shape[4];
    uint32_t rank = 0;
    expectOk(fil_infer_shape(kernel.handle, args.data(), uint32_t(args.size()),
                             info.name, shape, &rank, &error),
             error);
    return makeArray(info.dtype, {shape, shape + rank});
  }
  std::vector<fil_arg> args;

private:
  std::vector<std::unique_ptr<DLTensor>> tensors;
};

std::map<std::string, Array> inputsOf(const Kernel &kernel, const Case &the) {
  std::map<std::string, Array> inputs;
  for (const fil_arg_info &info : kernel.args)
    if (info.kind == FIL_INPUT &&
        (!info.optional || the.arguments.count(info.name)))
      inputs.emplace(info.name, the.arrayOf(info));
  return inputs;
}

Verdicts askOracle(const KernelCases &which,
                   std::map<std::string, Array> inputs,
                   const std::vector<int32_t> &rows, uint32_t workers) {
  Kernel oracle(which.oracle, which.pattern, "oracle_" + which.variant);
  inputs["rows"] = makeArray(FIL_I32, {int64_t(rows.size())});
  memcpy(inputs["rows"].bytes.data(), rows.data(),
         rows.size() * sizeof(rows[0]));
  Bound bound;
  for (auto &[name, array] : inputs)
    bound.add(name.c_str(), array, array.bytes.data(), kDLCPU);
  Verdicts verdicts;
  for (const fil_arg_info &info : oracle.args)
    if (info.kind == FIL_OUTPUT)
      verdicts[info.name] = bound.shaped(oracle, info);
  for (auto &[name, array] : verdicts)
    bound.add(name.c_str(), array, array.bytes.data(), kDLCPU);
  fil_error error = FIL_ERROR_INIT;
  fil_options options = FIL_OPTIONS_INIT;
  options.worker_limit = workers;
  size_t size = 0;
  auto count = uint32_t(bound.args.size());
  expectOk(fil_workspace(oracle.handle, bound.args.data(), count, &options,
                         &size, &error),
           error);
  std::vector<char> workspace(size + 64);
  auto start = (reinterpret_cast<uintptr_t>(workspace.data()) + 63) / 64 * 64;
  expectOk(fil_run(oracle.handle, bound.args.data(), count, &options,
                   reinterpret_cast<void *>(start), size, &error),
           error);
  return verdicts;
}

/// A kernel with the arrays of a case on the device.
class DeviceRun {
public:
  DeviceRun(const Gpu &gpu, const Kernel &kernel,
            std::map<std::string, Array> &inputs, void *stream,
            const Request &request)
      : gpu(gpu), kernel(kernel), stream(stream), request(request) {
    for (auto &[name, array] : inputs) {
      place(name.c_str(), array, array.bytes.size());
      gpu.upload(memory.back()->data, array.bytes.data(), array.bytes.size());
    }
    for (const fil_arg_info &info : kernel.args)
      if (info.kind == FIL_OUTPUT)
        outputs.emplace(info.name, bound.shaped(kernel, info));
    for (auto &[name, array] : outputs) {
      size_t bytes = array.bytes.size();
      place(name.c_str(), array,
            request.shortOutputs && bytes > 64 ? bytes - 64 : bytes);
      onDevice[name] = memory.back().get();
    }
  }

  /// Queues a launch. The workspace is as it was allocated, or holds `byte`.
  void launch(bool checked, int byte = -1) {
    fil_error error = FIL_ERROR_INIT;
    fil_options options = FIL_OPTIONS_INIT;
    options.stream = stream;
    options.checked = checked;
    options.allow_jit = request.jit;
    auto count = uint32_t(bound.args.size());
    if (!workspace || checked != lastChecked) {
      size_t size = 0;
      expectOk(fil_workspace(kernel.handle, bound.args.data(), count, &options,
                             &size, &error),
               error);
      workspace = std::make_unique<DeviceMemory>(gpu, size);
      lastChecked = checked;
    }
    if (byte >= 0)
      gpu.fill(workspace->data, uint8_t(byte), workspace->bytes);
    expectOk(fil_run(kernel.handle, bound.args.data(), count, &options,
                     workspace->data, workspace->bytes, &error),
             error);
  }

  /// The outputs of a run that starts with NaN in them.
  std::map<std::string, Array> run(bool checked, int byte) {
    for (auto &[name, place] : onDevice)
      gpu.fill(place->data, 0xff, place->bytes);
    launch(checked, byte);
    gpu.synchronize(stream);
    std::map<std::string, Array> got = outputs;
    for (auto &[name, array] : got)
      gpu.download(array.bytes.data(), onDevice[name]->data,
                   onDevice[name]->bytes);
    return got;
  }

private:
  void place(const char *name, Array &array, size_t bytes) {
    memory.push_back(std::make_unique<DeviceMemory>(gpu, bytes));
    bound.add(name, array, memory.back()->data, kDLCUDA);
  }
  const Gpu &gpu;
  const Kernel &kernel;
  void *stream;
  const Request &request;
  bool lastChecked = false;
  Bound bound;
  std::vector<std::unique_ptr<DeviceMemory>> memory;
  std::unique_ptr<DeviceMemory> workspace;
  std::map<std::string, Array> outputs;
  std::map<std::string, const DeviceMemory *> onDevice;
};

//===----------------------------------------------------------------------===//
// The replay
//===----------------------------------------------------------------------===//

struct Tally {
  int passed = 0, failed = 0;
  double worst = 0;
};

struct Timing {
  std::string what;
  double milliseconds, tflops;
};

class Replay {
public:
  Replay(const Request &request) : request(request) {
    for (const std::string &path : request.files)
      files.push_back(readCases(path));
  }

  int run() {
    std::vector<const KernelCases *> kernels;
    for (const CaseFile &file : files)
      for (const KernelCases &kernel : file.kernels)
        if (request.only.empty() || request.only == kernel.pattern)
          kernels.push_back(&kernel);
    std::atomic<size_t> next{0};
    auto work = [&] {
      gpu.enter();
      void *stream = gpu.createStream();
      for (size_t k; (k = next++) < kernels.size();)
        visit(*kernels[k], stream, false);
    };
    unsigned jobs = request.jobs
                        ? request.jobs
                        : std::max(1u, std::thread::hardware_concurrency());
    std::vector<std::thread> threads;
    for (unsigned k = 1; k < jobs; ++k)
      threads.emplace_back(work);
    work();
    for (std::thread &thread : threads)
      thread.join();
    void *stream = gpu.createStream();
    for (const KernelCases *kernel : kernels)
      visit(*kernel, stream, true);
    return report();
  }

private:
  void visit(const KernelCases &which, void *stream, bool timed) {
    std::unique_ptr<Kernel> kernel;
    for (const Case *the : which.cases) {
      if (timed != (the->pairs > 0))
        continue;
      std::string what = which.pattern + " " + which.variant + " " + the->name;
      if (broken) {
        ++notRun;
        continue;
      }
      try {
        if (!kernel)
          kernel = std::make_unique<Kernel>(which.artifact, which.pattern,
                                            which.variant);
        double worst = check(which, *kernel, *the, what, stream, timed);
        std::lock_guard<std::mutex> hold(lock);
        Tally &tally = tallies[which.pattern];
        ++tally.passed;
        tally.worst = std::max(tally.worst, worst);
      } catch (const std::exception &error) {
        std::lock_guard<std::mutex> hold(lock);
        ++tallies[which.pattern].failed;
        failures.push_back(what + ": " + error.what());
        printf("%s\n", failures.back().c_str());
        fflush(stdout);
        try { // what a kernel did to the context stays
          gpu.synchronize(stream);
        } catch (const std::exception &) {
          broken = true;
        }
      }
    }
  }

  double check(const KernelCases &which, const Kernel &kernel, const Case &the,
               const std::string &what, void *stream, bool timed) {
    std::map<std::string, Array> inputs = inputsOf(kernel, the);
    DeviceRun run(gpu, kernel, inputs, stream, request);
    std::map<std::string, Array> got = run.run(false, -1);
    if (!request.once)
      for (auto &[name, again] : run.run(true, 0xff))
        if (again.bytes != got[name].bytes)
          throw std::runtime_error("two runs give `" + name +
                                   "` with other bits");
    std::vector<int32_t> rows = rowsOf(inputs.at("q").shape[2]);
    double worst = judge(askOracle(which, inputs, rows, timed ? 0 : 1), rows,
                         got.at("o"), got.at("lse"));
    if (!timed)
      return worst;
    std::vector<double> times;
    for (unsigned k = 0; k < request.repeat + 5; ++k) {
      double time = gpu.time(stream, [&] { run.launch(false); });
      if (k >= 5)
        times.push_back(time);
    }
    std::nth_element(times.begin(), times.begin() + long(times.size() / 2),
                     times.end());
    double median = times[times.size() / 2];
    int64_t dims = inputs.at("q").shape[3] + inputs.at("v").shape[3];
    timings.push_back(
        {what, median, double(the.pairs) * 2 * double(dims) / median / 1e9});
    return worst;
  }

  static std::vector<int32_t> rowsOf(int64_t queries) {
    std::set<int32_t> rows;
    int64_t step = queries > 512 ? queries / 29 : 1;
    for (int64_t row = 0; row < queries; row += step)
      rows.insert(int32_t(row));
    for (int32_t row : {63, 64, 127, 128, 191, 192, 383, 384})
      if (row < queries)
        rows.insert(row);
    if (queries)
      rows.insert(int32_t(queries - 1));
    return {rows.begin(), rows.end()};
  }

  int report() {
    int passed = 0, failed = 0;
    printf("%-24s %8s %8s   worst error over its limit\n", "pattern", "agree",
           "do not");
    for (const auto &[pattern, tally] : tallies) {
      printf("%-24s %8d %8d   %.3f\n", pattern.c_str(), tally.passed,
             tally.failed, tally.worst);
      passed += tally.passed;
      failed += tally.failed;
    }
    for (const Timing &timing : timings)
      printf("%-64s %10.4f ms %8.1f TFLOP/s\n", timing.what.c_str(),
             timing.milliseconds, timing.tflops);
    std::string gpuName = gpu.describe();
    if (!request.json.empty())
      writeJson(gpuName, passed, failed);
    if (notRun)
      printf("%d cases not run: a kernel broke the context\n", notRun.load());
    printf("%s: %d cases agree, %d do not\n", gpuName.c_str(), passed, failed);
    return failed || notRun || !passed;
  }

  void writeJson(const std::string &gpuName, int passed, int failed) {
    FILE *file = fopen(request.json.c_str(), "w");
    if (!file)
      throw std::runtime_error("cannot write `" + request.json + "`");
    auto quoted = [](const std::string &text) {
      std::string result = "\"";
      for (char c : text)
        result += c == '"' || c == '\\' ? std::string("\\") + c
                  : c < ' '             ? std::string(" ")
                                        : std::string(1, c);
      return result + "\"";
    };
    fprintf(file,
            "{\"gpu\": %s,\n \"agree\": %d, \"do_not\": %d, \"not_run\": %d,\n "
            "\"patterns\": {",
            quoted(gpuName).c_str(), passed, failed, notRun.load());
    const char *comma = "";
    for (const auto &[pattern, tally] : tallies) {
      fprintf(file,
              "%s\n  %s: {\"agree\": %d, \"do_not\": %d, "
              "\"worst_error_over_bound\": %.4f}",
              comma, quoted(pattern).c_str(), tally.passed, tally.failed,
              tally.worst);
      comma = ",";
    }
    fprintf(file, "},\n \"failures\": [");
    comma = "";
    for (const std::string &failure : failures) {
      fprintf(file, "%s\n  %s", comma, quoted(failure).c_str());
      comma = ",";
    }
    fprintf(file, "],\n \"times\": [");
    comma = "";
    for (const Timing &timing : timings) {
      fprintf(file, "%s\n  {\"row\": %s, \"ms\": %.5f, \"tflops\": %.2f}",
              comma, quoted(timing.what).c_str(), timing.milliseconds,
              timing.tflops);
      comma = ",";
    }
    fprintf(file, "]}\n");
    fclose(file);
  }

  const Request &request;
  Gpu gpu;
  std::vector<CaseFile> files;
  std::mutex lock; ///< of what follows
  std::map<std::string, Tally> tallies;
  std::vector<std::string> failures;
  std::vector<Timing> timings;
  std::atomic<bool> broken{false};
  std::atomic<int> notRun{0};
};

Request parse(int argc, char **argv) {
  Request request;
  for (int k = 1; k < argc; ++k) {
    std::string word = argv[k];
    auto value = [&] {
      if (k + 1 >= argc)
        throw std::runtime_error("expected a value after " + word);
      return std::string(argv[++k]);
    };
    if (word == "--jobs")
      request.jobs = unsigned(std::stoul(value()));
    else if (word == "--repeat")
      request.repeat = std::max(1u, unsigned(std::stoul(value())));
    else if (word == "--only")
      request.only = value();
    else if (word == "--json")
      request.json = value();
    else if (word == "--once")
      request.once = true;
    else if (word == "--jit")
      request.jit = true;
    else if (word == "--short-outputs")
      request.shortOutputs = true;
    else if (word.compare(0, 1, "-") == 0)
      throw std::runtime_error("expected --jobs, --repeat, --only, --json, "
                               "--once, --jit or --short-outputs, but got " +
                               word);
    else
      request.files.push_back(word);
  }
  if (request.files.empty())
    throw std::runtime_error("expected a file of cases");
  return request;
}

} // namespace

int main(int argc, char **argv) {
  try {
    Request request = parse(argc, argv);
    return Replay(request).run();
  } catch (const std::exception &error) {
    fprintf(stderr, "filigree-replay: %s\n", error.what());
    return 2;
  }
}
