//===- RunCommand.cpp - the command line of filigree run ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Driver.h"
#include "frontend/driver/Run.h"

using namespace filigree;

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
