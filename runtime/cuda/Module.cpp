//===- Module.cpp - the device code of a kernel, chosen and loaded --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loading forces what the driver would put off until a first launch, so that a
// prepared kernel can be captured; and compares the functions with the launches
// that the artifact states, since a launch itself checks no parameter.
//
//===----------------------------------------------------------------------===//
#include "runtime/cuda/Module.h"

#include "runtime/Status.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace filigree::runtime::cuda {

//===----------------------------------------------------------------------===//
// Choice
//===----------------------------------------------------------------------===//

static bool isExact(const fil_abi_cuda &code) {
  return code.arch_flags & FIL_ABI_CUDA_EXACT;
}

ArchName archName(const fil_abi_cuda &code) {
  ArchName name;
  snprintf(name.chars, sizeof(name.chars), "sm_%u%s", code.arch,
           isExact(code) ? "a" : "");
  return name;
}

fil_status checkHasCode(const fil_abi_kernel &kernel, fil_error *err) {
  if (cudaCount(kernel) > 0)
    return FIL_OK;
  return fail(err, FIL_UNSUPPORTED,
              "expected cuda code in kernel `%s` variant `%s`, but found none",
              kernel.name, kernel.variant);
}

fil_status chooseCode(const fil_abi_kernel &kernel, const DeviceInfo &device,
                      bool allowJit, Choice &choice, fil_error *err) {
  uint32_t count = cudaCount(kernel);
  choice = {nullptr, false};
  const fil_abi_cuda *ptx = nullptr;
  Text archs;
  for (uint32_t i = 0; i < count; ++i) { // ascending: the last that fits
    const fil_abi_cuda &code = element(kernel.cuda, i);
    bool runs =
        isExact(code) ? code.arch == device.arch : code.arch <= device.arch;
    // An image runs within its major; the driver translates PTX for any.
    if (runs && code.image_bytes && code.arch / 10 == device.arch / 10)
      choice.code = &code;
    if (runs && code.ptx_bytes)
      ptx = &code;
    if (code.image_bytes)
      archs.append("%s%s", *archs.str() ? ", " : "", archName(code).chars);
    if (code.ptx_bytes)
      archs.append("%sptx for %s", *archs.str() ? ", " : "",
                   archName(code).chars);
  }
  if (choice.code)
    return FIL_OK;
  if (ptx && allowJit) {
    choice = {ptx, true};
    return FIL_OK;
  }
  return fail(err, FIL_UNSUPPORTED,
              "expected code for sm_%u, the chip of cuda:%d, in kernel `%s` "
              "variant `%s`, but found %s%s",
              device.arch, device.ordinal, kernel.name, kernel.variant,
              archs.str(),
              ptx ? ", which option allow_jit has the driver compile" : "");
}

//===----------------------------------------------------------------------===//
// Images
//===----------------------------------------------------------------------===//

static fil_status loadPtx(const Driver &driver, const fil_abi_cuda &code,
                          Library &library, const char *what, fil_error *err) {
  char log[256] = {};
  JitOption options[] = {kErrorLog, kErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log) - 1)};
  Result result = driver.cuLibraryLoadData(&library, code.ptx, options, values,
                                           2, nullptr, nullptr, 0);
  if (result == kSuccess)
    return FIL_OK;
  library = nullptr;
  Text text; // with what the compiler says, on one line
  for (char *c = log; *c; ++c)
    *c = *c == '\n' ? ' ' : *c;
  text.append("%s%s%s", what, *log ? ", whose compiler says " : "", log);
  return driverFailure(driver, result, err, text.str());
}

/// Parameters as ArtifactAbi.h lists them, or the artifact is broken.
static fil_status checkParameters(const Driver &driver,
                                  const fil_abi_kernel &kernel,
                                  const fil_abi_launch &launch, Kernel function,
                                  fil_error *err) {
  if (!driver.cuKernelGetParamInfo)
    return FIL_OK;
  const size_t maps = launch.tensor_map_count, plan = maps + 3;
  const size_t count = plan + (planCount(launch) > 0);
  for (size_t i = 0; i < count; ++i) {
    size_t expected = i < maps    ? size_t(FIL_ABI_TENSOR_MAP_BYTES)
                      : i == maps ? kernel.slot_count * sizeof(int64_t)
                      : i == plan ? planCount(launch) * sizeof(int64_t)
                                  : sizeof(int64_t);
    size_t offset = 0, bytes = 0;
    Result result = driver.cuKernelGetParamInfo(function, i, &offset, &bytes);
    if (result != kSuccess || bytes != expected)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected parameter %zu of cuda function `%s` of kernel `%s` "
                  "to have %zu bytes, but found %zu",
                  i, launch.function, kernel.name, expected,
                  result == kSuccess ? bytes : 0);
  }
  size_t offset, bytes;
  if (driver.cuKernelGetParamInfo(function, count, &offset, &bytes) == kSuccess)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected %zu parameters of cuda function `%s` of kernel `%s`, "
                "but found more",
                count, launch.function, kernel.name);
  return FIL_OK;
}

static fil_status findFunctions(const Driver &driver,
                                const fil_abi_kernel &kernel, Image &image,
                                fil_error *err) {
  const fil_abi_cuda &code = *image.choice.code;
  for (uint32_t i = 0; i < code.launch_count; ++i) {
    const fil_abi_launch &launch = element(code.launches, i);
    Library library = image.own[i] ? image.own[i] : image.library;
    Result result = driver.cuLibraryGetKernel(&image.functions[i], library,
                                              launch.function);
    if (result == kNotFound)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected cuda function `%s` in the %s code of kernel `%s`, "
                  "but found none",
                  launch.function, archName(code).chars, kernel.name);
    if (result != kSuccess) {
      Text text;
      text.append("cuda function `%s`", launch.function);
      return driverFailure(driver, result, err, text.str());
    }
    if (fil_status status =
            checkParameters(driver, kernel, launch, image.functions[i], err))
      return status;
  }
  return FIL_OK;
}

static fil_status loadCubin(const Driver &driver, const void *bytes,
                            Library &library, const char *what,
                            fil_error *err) {
  Result result = driver.cuLibraryLoadData(&library, bytes, nullptr, nullptr, 0,
                                           nullptr, nullptr, 0);
  if (result == kSuccess)
    return FIL_OK;
  library = nullptr;
  return driverFailure(driver, result, err, what);
}

/// Errors are of no use here: at the end of a process the driver may be gone.
static void discard(const Driver &driver, Image *image) {
  for (Library library : image->own)
    if (library)
      driver.cuLibraryUnload(library);
  if (image->library)
    driver.cuLibraryUnload(image->library);
  free(image);
}

/// The loaded image of the choice; loads it if it is the first time.
static fil_status imageOf(const Driver &driver, const fil_abi_kernel &kernel,
                          KernelModule &module, const Choice &choice,
                          const Image *&found, fil_error *err) {
  for (Image *image = module.images; image; image = image->next)
    if (image->choice.code == choice.code && image->choice.jit == choice.jit) {
      found = image;
      return FIL_OK;
    }
  auto *image = static_cast<Image *>(calloc(1, sizeof(Image)));
  if (!image)
    return fail(err, FIL_NO_MEMORY,
                "expected memory for the cuda functions of kernel `%s`, but "
                "got none",
                kernel.name);
  image->choice = choice;
  Text what;
  what.append("to load the %s%s code of kernel `%s`", choice.jit ? "ptx " : "",
              archName(*choice.code).chars, kernel.name);
  const fil_abi_cuda &code = *choice.code;
  fil_status status =
      choice.jit
          ? loadPtx(driver, code, image->library, what.str(), err)
          : loadCubin(driver, code.image, image->library, what.str(), err);
  for (uint32_t i = 0; i < code.launch_count && !choice.jit; ++i)
    if (const void *own = ownImage(element(code.launches, i));
        own && status == FIL_OK)
      status = loadCubin(driver, own, image->own[i], what.str(), err);
  if (status == FIL_OK)
    status = findFunctions(driver, kernel, *image, err);
  if (status != FIL_OK) {
    discard(driver, image);
    return status;
  }
  image->next = module.images;
  module.images = image;
  found = image;
  return FIL_OK;
}

//===----------------------------------------------------------------------===//
// Contexts
//===----------------------------------------------------------------------===//

const Prepared *findPrepared(const KernelModule &module,
                             const CurrentContext &context) {
  const Prepared *prepared = module.prepared.load(std::memory_order_acquire);
  while (prepared && prepared->context != context.id)
    prepared = prepared->next;
  return prepared;
}

/// What each launch needs on this device and in this context.
static fil_status readyFunction(const Driver &driver,
                                const fil_abi_launch &launch, Kernel kernel,
                                const DeviceInfo &device, fil_error *err) {
  Text what;
  int threads = 0;
  Result result =
      driver.cuKernelGetAttribute(&threads, kMaxThreads, kernel, device.device);
  if (result == kSuccess && launch.threads > static_cast<uint32_t>(threads))
    return fail(err, FIL_BAD_ARTIFACT,
                "expected cuda function `%s` to run %u threads, but it is "
                "limited to %d",
                launch.function, launch.threads, threads);
  what.append("cuda function `%s` to load", launch.function);
  Function function;
  if (result == kSuccess)
    result = driver.cuKernelGetFunction(&function, kernel);
  if (result == kSuccess && driver.cuFuncLoad)
    result = driver.cuFuncLoad(function);
  if (result != kSuccess)
    return driverFailure(driver, result, err, what.str());
  result = driver.cuKernelSetAttribute(kMaxDynamicShared,
                                       static_cast<int>(launch.shared_bytes),
                                       kernel, device.device);
  if (result == kSuccess)
    return FIL_OK;
  what = Text();
  what.append("cuda function `%s` to get %u bytes of shared memory on cuda:%d",
              launch.function, launch.shared_bytes, device.ordinal);
  return driverFailure(driver, result, err, what.str());
}

fil_status prepare(const Driver &driver, const fil_abi_kernel &kernel,
                   KernelModule &module, const CurrentContext &context,
                   const DeviceInfo &device, bool allowJit, Stream stream,
                   const Prepared *&prepared, fil_error *err) {
  if ((prepared = findPrepared(module, context)))
    return FIL_OK; // by another thread, while this one waited for the lock
  Choice choice;
  if (fil_status status = chooseCode(kernel, device, allowJit, choice, err))
    return status;
  if (isCapturing(driver, stream))
    return fail(err, FIL_BAD_CALL,
                "expected kernel `%s` to be loaded before its stream is "
                "captured, but it is not: call fil_prepare first",
                kernel.name);
  const Image *image = nullptr;
  if (fil_status status = imageOf(driver, kernel, module, choice, image, err))
    return status;
  for (uint32_t i = 0; i < choice.code->launch_count; ++i)
    if (fil_status status =
            readyFunction(driver, element(choice.code->launches, i),
                          image->functions[i], device, err))
      return status;
  auto *memory = static_cast<Prepared *>(malloc(sizeof(Prepared)));
  if (!memory)
    return fail(err, FIL_NO_MEMORY,
                "expected memory to prepare kernel `%s`, but got none",
                kernel.name);
  *memory = {context.id, device, image,
             module.prepared.load(std::memory_order_relaxed)};
  module.prepared.store(memory, std::memory_order_release);
  prepared = memory;
  return FIL_OK;
}

void unload(const Driver &driver, KernelModule &module) {
  Prepared *prepared = module.prepared.load(std::memory_order_acquire);
  while (prepared) {
    Prepared *next = prepared->next;
    free(prepared);
    prepared = next;
  }
  for (Image *image = module.images; image;) {
    Image *next = image->next;
    discard(driver, image);
    image = next;
  }
}

} // namespace filigree::runtime::cuda
