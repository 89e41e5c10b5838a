//===- FakeCudaPlugin.cpp - the fake driver's kernels on the emulator -----===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A plugin of test/lib/fake-cuda: whole programs that drive CUDA then run
// their kernels on the emulator. An artifact holds machine code, so the PTX of
// the same compilation is named beside it:
//
//   FILIGREE_LIBCUDA=.../libcuda.so.1 FAKE_CUDA_PLUGIN=.../this
//   FILIGREE_EMULATE_PTX=FILE.ptx[:FILE.ptx]...   kernels are found by name
//   FILIGREE_EMULATE_SCHEDULE=POLICY,TIMING,SEED  as of filigree-ptx-emulate
//   FILIGREE_EMULATE_UNWRITTEN=1     loads of shared bytes that nobody wrote
//   pass FILIGREE_EMULATE_LOCKSTEP=1      Options::lanesReleaseTogether
//   FILIGREE_EMULATE_MULTIPROCESSORS=N            of the device, 4; then
//                                                 CTAs of a launch run in turns
//   FILIGREE_EMULATE_VERBOSE=1                    a line about every launch
//
// The device is what the last module is made for; an 8.x has the shared memory
// that all of them have.
//
// A finding is printed and fails the launch, as an illegal access would.
//
//===----------------------------------------------------------------------===//
#include "test/lib/fake-cuda/FakeCuda.h"
#include "test/lib/ptx-emulator/PtxEmulator.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

using namespace filigree;
using namespace filigree::fakecuda;

namespace {

constexpr int launchFailed = 719; // CUDA_ERROR_LAUNCH_FAILED

struct Module {
  ptx::Emulator emulator;
  std::vector<std::string> kernels;
};

std::vector<Module> &modules() {
  static std::vector<Module> all;
  return all;
}

Module *moduleOf(const std::string &kernel) {
  for (Module &module : modules())
    if (std::count(module.kernels.begin(), module.kernels.end(), kernel))
      return &module;
  return nullptr;
}

ptx::Options options() {
  ptx::Options result;
  const char *schedule = getenv("FILIGREE_EMULATE_SCHEDULE");
  std::stringstream words(schedule ? schedule : "");
  std::string policy, timing, seed;
  std::getline(words, policy, ',');
  std::getline(words, timing, ',');
  std::getline(words, seed, ',');
  result.policy = policy == "random"       ? ptx::Policy::Random
                  : policy == "last-first" ? ptx::Policy::LastFirst
                                           : ptx::Policy::RoundRobin;
  result.timing = timing == "random"  ? ptx::Timing::Random
                  : timing == "eager" ? ptx::Timing::Eager
                                      : ptx::Timing::Late;
  result.seed = strtoull(seed.c_str(), nullptr, 0);
  result.reportUnwrittenLoads = !getenv("FILIGREE_EMULATE_UNWRITTEN");
  result.lanesReleaseTogether = getenv("FILIGREE_EMULATE_LOCKSTEP") != nullptr;
  if (const char *count = getenv("FILIGREE_EMULATE_MULTIPROCESSORS"))
    result.residentCtas = static_cast<unsigned>(atoi(count));
  return result;
}

/// The fake driver's tensor map becomes the emulator's, in place.
bool translateMap(std::vector<char> &bytes) {
  FakeTensorMap fake;
  if (bytes.size() != 128)
    return true;
  memcpy(&fake, bytes.data(), sizeof(fake));
  if (fake.magic != kMapMagic)
    return true;
  alignas(64) char map[128];
  const uint32_t ones[5] = {1, 1, 1, 1, 1};
  std::string why;
  if (ptx::encodeTiled(map, fake.type, fake.rank,
                       reinterpret_cast<void *>(fake.address), fake.extents,
                       fake.strides, fake.box, ones, 0, fake.swizzle,
                       fake.l2Promotion, 0, &why) != 0) {
    fprintf(stderr, "tensor map: %s\n", why.c_str());
    return false;
  }
  memcpy(bytes.data(), map, 128);
  return true;
}

int work(World &world, const FakeLaunch &launch) {
  Module *module = moduleOf(launch.function);
  if (!module) {
    fprintf(stderr, "no PTX for kernel `%s`\n", launch.function.c_str());
    return launchFailed;
  }
  std::vector<std::vector<char>> parameters = launch.parameters;
  std::vector<const void *> arguments;
  for (std::vector<char> &parameter : parameters) {
    if (!translateMap(parameter))
      return launchFailed;
    arguments.push_back(parameter.data());
  }
  module->emulator.clearBuffers();
  for (auto &[base, bytes] : world.allocated())
    module->emulator.addBuffer(base, bytes, "device memory");
  ptx::Options how = options();
  how.follows = launch.follows;
  ptx::LaunchResult result = module->emulator.launch(
      launch.function, {launch.grid, 1, 1}, {launch.threads, 1, 1},
      launch.sharedBytes, arguments.data(), how);
  fprintf(stderr, "%s", result.describe().c_str());
  if (getenv("FILIGREE_EMULATE_VERBOSE"))
    fprintf(stderr, "%s: %u CTAs, %llu warp instructions, %llu wgmmas\n",
            launch.function.c_str(), launch.grid,
            (unsigned long long)result.counters.warpInstructions,
            (unsigned long long)result.counters.wgmmas);
  return result.ok() ? 0 : launchFailed;
}

} // namespace

extern "C" __attribute__((visibility("default"))) void
fake_cuda_plugin(World *world) {
  const char *list = getenv("FILIGREE_EMULATE_PTX");
  std::stringstream files(list ? list : "");
  std::string file, why;
  while (std::getline(files, file, ':')) {
    std::ifstream stream(file);
    std::string text(std::istreambuf_iterator<char>(stream), {});
    Module module;
    if (!stream.is_open() || !module.emulator.load(text, &why)) {
      fprintf(stderr, "%s, %s\n", file.c_str(), why.c_str());
      continue;
    }
    module.kernels = module.emulator.kernels();
    if (int arch = atoi(module.emulator.target().c_str() + strlen("sm_"))) {
      FakeDevice &device = world->devices[0];
      device.major = arch / 10;
      device.minor = arch % 10;
      if (device.major == 8)
        device.sharedBytes = 99 * 1024;
    }
    modules().push_back(std::move(module));
  }
  if (const char *count = getenv("FILIGREE_EMULATE_MULTIPROCESSORS"))
    for (FakeDevice &device : world->devices)
      device.multiprocessors = atoi(count);
  world->describe = [](const void *, const std::string &name,
                       FakeFunction &function) {
    Module *module = moduleOf(name);
    if (!module)
      return false;
    for (uint32_t bytes : module->emulator.parameterSizes(name))
      function.parameterBytes.push_back(bytes);
    return true;
  };
  world->work = [world](const FakeLaunch &launch) {
    return work(*world, launch);
  };
}
