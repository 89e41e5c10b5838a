//===- Driver.cpp - the CUDA driver, found at run time --------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The version is asked before functions are looked up, so that an old driver is
// called old and not said to lack a function.
//
//===----------------------------------------------------------------------===//
#include "runtime/cuda/Driver.h"

#include "runtime/Status.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

namespace filigree::runtime::cuda {

void *symbolOf(const Driver &driver, const char *name) {
  return dlsym(driver.handle, name);
}

fil_status driverFailure(const Driver &driver, Result result, fil_error *err,
                         const char *what) {
  const char *name = nullptr, *text = nullptr;
  if (driver.cuGetErrorName(result, &name) != kSuccess || !name)
    name = "an unknown error";
  if (driver.cuGetErrorString(result, &text) != kSuccess || !text)
    text = "no description";
  fil_code code = result == kOutOfMemory ? FIL_NO_MEMORY : FIL_SYSTEM;
  return fail(err, code, "expected %s, but the cuda driver says %s (%d): %s",
              what, name, static_cast<int>(result), text);
}

template <typename T>
static bool look(const Driver &driver, T *&function, const char *name) {
  function = reinterpret_cast<T *>(dlsym(driver.handle, name));
  return function != nullptr;
}

/// The name of a function that the driver should have and has not, or null.
static const char *lookAll(Driver &d) {
#define FIL_LOOK(name, symbol)                                                 \
  if (!look(d, d.name, symbol))                                                \
  return symbol
  FIL_LOOK(cuGetErrorName, "cuGetErrorName");
  FIL_LOOK(cuGetErrorString, "cuGetErrorString");
  FIL_LOOK(cuDeviceGet, "cuDeviceGet");
  FIL_LOOK(cuDeviceGetCount, "cuDeviceGetCount");
  FIL_LOOK(cuDeviceGetAttribute, "cuDeviceGetAttribute");
  FIL_LOOK(cuCtxGetCurrent, "cuCtxGetCurrent");
  FIL_LOOK(cuCtxGetDevice, "cuCtxGetDevice");
  FIL_LOOK(cuCtxGetId, "cuCtxGetId");
  FIL_LOOK(cuStreamGetCtx, "cuStreamGetCtx");
  FIL_LOOK(cuStreamIsCapturing, "cuStreamIsCapturing");
  FIL_LOOK(cuStreamSynchronize, "cuStreamSynchronize");
  FIL_LOOK(cuPointerGetAttributes, "cuPointerGetAttributes");
  FIL_LOOK(cuMemsetD8Async, "cuMemsetD8Async");
  FIL_LOOK(cuMemcpyAsync, "cuMemcpyAsync");
  FIL_LOOK(cuLibraryLoadData, "cuLibraryLoadData");
  FIL_LOOK(cuLibraryUnload, "cuLibraryUnload");
  FIL_LOOK(cuLibraryGetKernel, "cuLibraryGetKernel");
  FIL_LOOK(cuKernelGetFunction, "cuKernelGetFunction");
  FIL_LOOK(cuKernelGetAttribute, "cuKernelGetAttribute");
  FIL_LOOK(cuKernelSetAttribute, "cuKernelSetAttribute");
  FIL_LOOK(cuTensorMapEncodeTiled, "cuTensorMapEncodeTiled");
  FIL_LOOK(cuLaunchKernelEx, "cuLaunchKernelEx");
#undef FIL_LOOK
  look(d, d.cuFuncLoad, "cuFuncLoad");
  look(d, d.cuKernelGetParamInfo, "cuKernelGetParamInfo");
  return nullptr;
}

static fil_status start(Driver &driver, fil_error *err) {
  Result (*getVersion)(int *);
  Result (*init)(unsigned);
  if (!look(driver, getVersion, "cuDriverGetVersion") ||
      !look(driver, init, "cuInit"))
    return fail(err, FIL_UNSUPPORTED,
                "expected `%s` to be a cuda driver, but it has no cuInit",
                driver.path);
  if (getVersion(&driver.version) != kSuccess)
    driver.version = 0;
  if (driver.version < kLeastDriver)
    return fail(err, FIL_UNSUPPORTED,
                "expected a cuda driver of version %d.%d or later, but `%s` "
                "is of %d.%d",
                kLeastDriver / 1000, kLeastDriver % 1000 / 10, driver.path,
                driver.version / 1000, driver.version % 1000 / 10);
  if (const char *missing = lookAll(driver))
    return fail(err, FIL_UNSUPPORTED,
                "expected function %s in the cuda driver `%s`, but found none",
                missing, driver.path);
  Result result = init(0);
  if (result == kNoDevice)
    return fail(err, FIL_UNSUPPORTED,
                "expected a cuda device, but the driver finds none");
  if (result != kSuccess)
    return driverFailure(driver, result, err, "the cuda driver to start");
  return FIL_OK;
}

fil_status openDriver(Driver &driver, fil_error *err) {
  driver = Driver{};
  const char *path = secure_getenv(kDriverVariable);
  snprintf(driver.path, sizeof(driver.path), "%s",
           path && *path ? path : "libcuda.so.1");
  // Unmapping a driver whose threads still run would be the end of the process.
  driver.handle = dlopen(driver.path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!driver.handle) {
    const char *reason = dlerror();
    return fail(err, FIL_UNSUPPORTED, "expected the cuda driver `%s`, but: %s",
                driver.path, reason ? reason : "no memory");
  }
  fil_status status = start(driver, err);
  if (status != FIL_OK)
    closeDriver(driver);
  return status;
}

void closeDriver(Driver &driver) {
  if (driver.handle)
    dlclose(driver.handle);
  driver.handle = nullptr;
}

} // namespace filigree::runtime::cuda
