//===- Launch.cpp - a run on a CUDA device --------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   driver, device, context, stream      what the caller has set up
//   code                                 ready in this context, or made ready
//   pointers, layouts, tensor maps       what a kernel will follow
//   plan, workspace
//   --- every check is behind us; from here on work is queued ---
//   checked: zero the word
//   for each launch with units: parameters, grid, go
//   checked: wait, read the word
//
// Between the first check and the last launch nothing is allocated, nothing
// waits and no host memory outlives the call: a launch copies its parameters.
//
//===----------------------------------------------------------------------===//
#include "runtime/cuda/Launch.h"

#include "runtime/Status.h"
#include "runtime/TensorCheck.h"
#include "runtime/cuda/TensorMap.h"

#include <cinttypes>

namespace filigree::runtime::cuda {

//===----------------------------------------------------------------------===//
// Plan
//===----------------------------------------------------------------------===//

/// What the status word of a checked run takes of the workspace.
static constexpr size_t kWordBytes = kWorkspaceAlignment;
static_assert(sizeof(fil_status_word) <= kWordBytes);

static int64_t gridOf(const fil_abi_launch &launch, int64_t units,
                      const DeviceInfo &device) {
  if (!(launch.flags & FIL_ABI_LAUNCH_PERSISTENT))
    return units;
  int64_t most = int64_t(device.multiprocessors) * launch.ctas_per_sm;
  return units < most ? units : most;
}

static bool isZeroed(const fil_abi_launch &launch, int64_t units,
                     int64_t grid) {
  return (launch.flags & FIL_ABI_LAUNCH_ZEROED) ||
         ((launch.flags & FIL_ABI_LAUNCH_ZEROED_DRAWN) && units > grid);
}

fil_status planRun(const fil_abi_kernel &kernel, const int64_t *slots,
                   const DeviceInfo &device, const RunOptions &options,
                   Plan &plan, fil_error *err) {
  if (fil_status status =
          chooseCode(kernel, device, options.allowJit, plan.choice, err))
    return status;
  const fil_abi_cuda &code = *plan.choice.code;
  for (uint32_t i = 0; i < code.launch_count; ++i) {
    const fil_abi_launch &launch = element(code.launches, i);
    plan.units[i] = launch.units(slots, device.multiprocessors);
    if (plan.units[i] < 0)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected launch %u of kernel `%s` to have at least 0 units, "
                  "but found %" PRId64,
                  i, kernel.name, plan.units[i]);
    if (gridOf(launch, plan.units[i], device) > INT32_MAX)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected launch %u of kernel `%s` to have fewer than 2^31 "
                  "units, but these shapes give %" PRId64,
                  i, kernel.name, plan.units[i]);
  }
  int64_t bytes = code.workspace_bytes(slots, device.multiprocessors);
  if (bytes < 0 || bytes > int64_t(1) << 62)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected kernel `%s` to need 0 to 2^62 bytes, but found "
                "%" PRId64,
                kernel.name, bytes);
  for (uint32_t i = 0; i < code.launch_count; ++i)
    if ((element(code.launches, i).flags &
         (FIL_ABI_LAUNCH_ZEROED | FIL_ABI_LAUNCH_ZEROED_DRAWN)) &&
        bytes < FIL_ABI_ZEROED_BYTES)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected kernel `%s` to need %d bytes or more, as launch %u "
                  "has some of them zeroed, but found %" PRId64,
                  kernel.name, int(FIL_ABI_ZEROED_BYTES), i, bytes);
  plan.kernelOffset = options.checked ? kWordBytes : 0;
  plan.bytes = plan.kernelOffset + static_cast<size_t>(bytes);
  return FIL_OK;
}

fil_status workspaceBytes(const fil_kernel &kernel, const BoundArguments &bound,
                          const RunOptions &options, size_t &bytes,
                          fil_error *err) {
  const Driver *driver;
  DeviceInfo device;
  Plan plan;
  if (fil_status status = checkHasCode(*kernel.abi, err))
    return status;
  if (fil_status status = cudaDriver(*kernel.library, driver, err))
    return status;
  if (fil_status status =
          describeDevice(*driver, bound.device.device_id, device, err))
    return status;
  if (fil_status status =
          planRun(*kernel.abi, bound.slots, device, options, plan, err))
    return status;
  bytes = plan.bytes;
  return FIL_OK;
}

//===----------------------------------------------------------------------===//
// Readiness
//===----------------------------------------------------------------------===//

namespace {

/// What a run has found ready.
struct Ready {
  const Driver *driver;
  CurrentContext context;
  const Prepared *prepared;
};

} // namespace

/// Whatever device the current context is of.
static constexpr int kAnyDevice = INT32_MIN;

static fil_status checkOrdinal(int wanted, const DeviceInfo &device,
                               fil_error *err) {
  if (wanted == kAnyDevice || wanted == device.ordinal)
    return FIL_OK;
  return fail(err, FIL_BAD_CALL,
              "expected the current cuda context to be of cuda:%d, where the "
              "tensors are, but it is of cuda:%d",
              wanted, device.ordinal);
}

static fil_status makeReady(const fil_kernel &kernel, int ordinal,
                            const RunOptions &options, Ready &ready,
                            fil_error *err) {
  auto stream = static_cast<Stream>(options.stream);
  if (fil_status status = checkHasCode(*kernel.abi, err))
    return status;
  if (fil_status status = cudaDriver(*kernel.library, ready.driver, err))
    return status;
  const Driver &driver = *ready.driver;
  if (fil_status status = currentContext(driver, ready.context, err))
    return status;
  if (fil_status status = checkStream(driver, ready.context, stream, err))
    return status;
  KernelModule &module = *kernel.module;
  ready.prepared = findPrepared(module, ready.context);
  if (ready.prepared)
    return checkOrdinal(ordinal, ready.prepared->device, err);
  DeviceInfo device;
  if (fil_status status =
          describeDevice(driver, ready.context.device, device, err))
    return status;
  if (fil_status status = checkOrdinal(ordinal, device, err))
    return status;
  pthread_mutex_lock(&kernel.library->cudaLock);
  fil_status status =
      prepare(driver, *kernel.abi, module, ready.context, device,
              options.allowJit, stream, ready.prepared, err);
  pthread_mutex_unlock(&kernel.library->cudaLock);
  return status;
}

fil_status prepareCurrent(const fil_kernel &kernel, const RunOptions &options,
                          fil_error *err) {
  Ready ready;
  if (fil_status status = makeReady(kernel, kAnyDevice, options, ready, err))
    return status;
  Choice choice; // what was prepared earlier may not be allowed now
  return chooseCode(*kernel.abi, ready.prepared->device, options.allowJit,
                    choice, err);
}

//===----------------------------------------------------------------------===//
// Pointers
//===----------------------------------------------------------------------===//

static fil_status checkTensors(const Driver &driver,
                               const fil_abi_kernel &kernel,
                               const BoundArguments &bound,
                               const DeviceInfo &device, fil_error *err) {
  for (uint32_t i = 0; i < kernel.arg_count; ++i) {
    const fil_abi_arg &arg = element(kernel.args, i);
    if (isScalar(arg) || !bound.given[i] || bound.slots[arg.slot] == kNoData)
      continue;
    Text what;
    what.append("`%s`", arg.name);
    int64_t onDevice;
    if (fil_status status =
            checkPointer(driver, device, bound.slots[arg.slot], Memory::Device,
                         what.str(), FIL_BAD_ARGUMENT, onDevice, err))
      return status;
  }
  return FIL_OK;
}

/// The status word of the options as the device addresses it.
static fil_status checkStatusWord(const Driver &driver,
                                  const RunOptions &options,
                                  const DeviceInfo &device, int64_t &word,
                                  fil_error *err) {
  word = 0;
  if (!options.status)
    return FIL_OK;
  auto address = reinterpret_cast<int64_t>(options.status);
  if (address % int64_t(alignof(fil_status_word)) != 0)
    return fail(err, FIL_BAD_CALL,
                "expected option status aligned to %zu bytes, but its address "
                "is %" PRId64 " bytes past that",
                alignof(fil_status_word),
                address % int64_t(alignof(fil_status_word)));
  return checkPointer(driver, device, address, Memory::Mapped, "option status",
                      FIL_BAD_CALL, word, err);
}

static fil_status checkWorkspace(const Driver &driver,
                                 const fil_abi_kernel &kernel,
                                 const DeviceInfo &device, const Plan &plan,
                                 const void *workspace, size_t bytes,
                                 fil_error *err) {
  if (plan.bytes == 0)
    return FIL_OK;
  if (!workspace)
    return fail(err, FIL_BAD_WORKSPACE,
                "expected a workspace of %zu bytes for kernel `%s`, but got "
                "null",
                plan.bytes, kernel.name);
  if (bytes < plan.bytes)
    return fail(err, FIL_BAD_WORKSPACE,
                "expected a workspace of %zu bytes for kernel `%s`, but got "
                "%zu",
                plan.bytes, kernel.name, bytes);
  auto address = reinterpret_cast<uintptr_t>(workspace);
  if (size_t past = address % kWorkspaceAlignment)
    return fail(err, FIL_BAD_WORKSPACE,
                "expected a workspace aligned to %zu bytes, but its address is "
                "%zu bytes past that",
                kWorkspaceAlignment, past);
  int64_t onDevice;
  return checkPointer(driver, device, static_cast<int64_t>(address),
                      Memory::Device, "the workspace", FIL_BAD_WORKSPACE,
                      onDevice, err);
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

/// `follows`: may begin while the launch before it ends.
static Result launchOne(const Driver &driver, const fil_abi_launch &launch,
                        Kernel function, unsigned grid, bool follows,
                        Stream stream, void **parameters) {
  LaunchAttribute overlap = {kProgrammaticSerialization, 0, 1, {}};
  LaunchConfig config = {{grid, 1, 1},
                         {launch.threads, 1, 1},
                         launch.shared_bytes,
                         stream,
                         &overlap,
                         follows};
  return driver.cuLaunchKernelEx(&config, function, parameters, nullptr);
}

static fil_status launchAll(const Ready &ready, const fil_abi_kernel &kernel,
                            const Plan &plan, BoundArguments &bound,
                            TensorMap *maps, Address workspace, Stream stream,
                            fil_error *err) {
  const fil_abi_cuda &code = *plan.choice.code;
  const int multiprocessors = ready.prepared->device.multiprocessors;
  bool isFirst = true;
  for (uint32_t i = 0; i < code.launch_count; ++i) {
    const fil_abi_launch &launch = element(code.launches, i);
    int64_t units = plan.units[i], words[FIL_ABI_PLAN_WORDS];
    if (units > 0) {
      void *parameters[kMaxTensorMaps + 4];
      uint32_t count = 0;
      for (; count < launch.tensor_map_count; ++count)
        parameters[count] = &maps[count];
      parameters[count++] = bound.slots;
      parameters[count++] = &workspace;
      parameters[count++] = &units;
      if (planCount(launch) > 0) {
        launch.plan(bound.slots, multiprocessors, words);
        parameters[count++] = words;
      }
      const int64_t grid = gridOf(launch, units, ready.prepared->device);
      if (isZeroed(launch, units, grid)) {
        Result result = ready.driver->cuMemsetD8Async(
            workspace, 0, FIL_ABI_ZEROED_BYTES, stream);
        if (result != kSuccess)
          return driverFailure(*ready.driver, result, err,
                               "the workspace to be cleared");
      }
      const bool follows = (launch.flags & FIL_ABI_LAUNCH_FOLLOWS) &&
                           !isFirst &&
                           ready.driver->version >= kFollowingDriver;
      isFirst = false;
      Result result =
          launchOne(*ready.driver, launch, ready.prepared->image->functions[i],
                    static_cast<unsigned>(grid), follows, stream, parameters);
      if (result != kSuccess) {
        Text what;
        what.append("cuda function `%s` of kernel `%s` to launch",
                    launch.function, kernel.name);
        return driverFailure(*ready.driver, result, err, what.str());
      }
      maps += launch.tensor_map_count;
    }
  }
  return FIL_OK;
}

/// Waits for the run and reads a word of it. The unified address space lets one
/// function copy either way.
static fil_status copyWord(const Driver &driver, int64_t to, int64_t from,
                           Stream stream, fil_error *err) {
  Result result =
      driver.cuMemcpyAsync(static_cast<Address>(to), static_cast<Address>(from),
                           sizeof(fil_status_word), stream);
  if (result == kSuccess)
    result = driver.cuStreamSynchronize(stream);
  if (result == kSuccess)
    return FIL_OK;
  return driverFailure(driver, result, err, "the checked run to finish");
}

static fil_status reportEntry(const Driver &driver,
                              const fil_abi_kernel &kernel, int64_t own,
                              int64_t callers, Stream stream, fil_error *err) {
  fil_status_word word = {0, 0, 0, 0, 0};
  auto host = reinterpret_cast<int64_t>(&word);
  if (fil_status status = copyWord(driver, host, own, stream, err))
    return status;
  if (word.code == FIL_ABI_OK)
    return succeed(err);
  if (callers) { // the first bad entry stays
    fil_status_word before = {0, 0, 0, 0, 0};
    if (fil_status status = copyWord(driver, reinterpret_cast<int64_t>(&before),
                                     callers, stream, err))
      return status;
    if (before.code == FIL_ABI_OK)
      if (fil_status status = copyWord(driver, callers, host, stream, err))
        return status;
  }
  char text[256];
  fil_status_text(&word, text, sizeof(text));
  return fail(err, FIL_BAD_INDEX, "kernel `%s` dropped a bad entry: %s",
              kernel.name, text);
}

fil_status run(const fil_kernel &kernel, BoundArguments &bound,
               const RunOptions &options, void *workspace,
               size_t workspaceBytes, fil_error *err) {
  const fil_abi_kernel &abi = *kernel.abi;
  auto stream = static_cast<Stream>(options.stream);
  Ready ready;
  if (fil_status status =
          makeReady(kernel, bound.device.device_id, options, ready, err))
    return status;
  const Driver &driver = *ready.driver;
  const DeviceInfo &device = ready.prepared->device;
  if (options.checked && isCapturing(driver, stream))
    return fail(err, FIL_BAD_CALL,
                "expected option checked 0 while the stream is captured, but "
                "got 1: a checked run waits for its end");

  if (fil_status status = checkTensors(driver, abi, bound, device, err))
    return status;
  if (fil_status status = checkLayouts(abi, bound, err))
    return status;
  int64_t callers = 0;
  if (fil_status status =
          checkStatusWord(driver, options, device, callers, err))
    return status;

  Plan plan;
  if (fil_status status = planRun(abi, bound.slots, device, options, plan, err))
    return status;
  if (fil_status status = checkWorkspace(driver, abi, device, plan, workspace,
                                         workspaceBytes, err))
    return status;
  auto base = reinterpret_cast<Address>(workspace);
  Address kernelPart =
      plan.bytes > plan.kernelOffset ? base + plan.kernelOffset : 0;
  // A checked run reports what it met itself, not what an earlier run left in
  // the caller's word.
  int64_t word = options.checked ? static_cast<int64_t>(base) : callers;
  bound.slots[FIL_ABI_SLOT_STATUS] = word;

  TensorMap maps[kMaxTensorMaps];
  uint32_t count = 0;
  for (uint32_t i = 0; i < plan.choice.code->launch_count; ++i) {
    const fil_abi_launch &launch = element(plan.choice.code->launches, i);
    if (plan.units[i] == 0)
      continue;
    for (uint32_t m = 0; m < launch.tensor_map_count; ++m)
      if (fil_status status =
              encodeTensorMap(driver, abi, element(launch.tensor_maps, m),
                              bound, maps[count++], err))
        return status;
  }

  if (options.checked)
    if (Result result =
            driver.cuMemsetD8Async(base, 0, sizeof(fil_status_word), stream);
        result != kSuccess)
      return driverFailure(driver, result, err, "to clear the status word");
  if (fil_status status =
          launchAll(ready, abi, plan, bound, maps, kernelPart, stream, err))
    return status;
  if (!options.checked)
    return succeed(err);
  return reportEntry(driver, abi, word, callers, stream, err);
}

} // namespace filigree::runtime::cuda
