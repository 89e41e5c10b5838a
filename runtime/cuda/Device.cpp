//===- Device.cpp - devices, contexts, streams and pointers of a run ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/cuda/Device.h"

#include "runtime/Status.h"

namespace filigree::runtime::cuda {

fil_status describeDevice(const Driver &driver, int ordinal, DeviceInfo &info,
                          fil_error *err) {
  int count = 0, major = 0, minor = 0;
  info.ordinal = ordinal;
  Result result = driver.cuDeviceGetCount(&count);
  if (result == kSuccess && (ordinal < 0 || ordinal >= count))
    return fail(err, FIL_UNSUPPORTED,
                "expected a device below cuda:%d, but got cuda:%d", count,
                ordinal);
  if (result == kSuccess)
    result = driver.cuDeviceGet(&info.device, ordinal);
  if (result == kSuccess)
    result = driver.cuDeviceGetAttribute(&major, kCapabilityMajor, info.device);
  if (result == kSuccess)
    result = driver.cuDeviceGetAttribute(&minor, kCapabilityMinor, info.device);
  if (result == kSuccess)
    result = driver.cuDeviceGetAttribute(&info.multiprocessors,
                                         kMultiprocessorCount, info.device);
  if (result != kSuccess)
    return driverFailure(driver, result, err, "to examine the cuda device");
  info.arch = static_cast<uint32_t>(10 * major + minor);
  return FIL_OK;
}

fil_status currentContext(const Driver &driver, CurrentContext &context,
                          fil_error *err) {
  context.handle = nullptr;
  Result result = driver.cuCtxGetCurrent(&context.handle);
  if (result == kSuccess && !context.handle)
    return fail(err, FIL_BAD_CALL,
                "expected a current cuda context on the calling thread, but "
                "found none");
  unsigned long long id = 0;
  if (result == kSuccess)
    result = driver.cuCtxGetDevice(&context.device);
  if (result == kSuccess)
    result = driver.cuCtxGetId(context.handle, &id);
  context.id = id;
  if (result != kSuccess)
    return driverFailure(driver, result, err, "a usable cuda context");
  return FIL_OK;
}

/// Null, CU_STREAM_LEGACY and CU_STREAM_PER_THREAD are of any context.
static bool isSpecial(Stream stream) {
  return reinterpret_cast<uintptr_t>(stream) <= 2;
}

fil_status checkStream(const Driver &driver, const CurrentContext &context,
                       Stream stream, fil_error *err) {
  if (isSpecial(stream))
    return FIL_OK;
  Context owner = nullptr;
  Result result = driver.cuStreamGetCtx(stream, &owner);
  if (result != kSuccess)
    return driverFailure(driver, result, err,
                         "option stream to be a stream of the current context");
  if (owner != context.handle)
    return fail(err, FIL_BAD_CALL,
                "expected option stream to be of the current cuda context, but "
                "it is of another");
  return FIL_OK;
}

bool isCapturing(const Driver &driver, Stream stream) {
  int state = 0;
  return driver.cuStreamIsCapturing(stream, &state) != kSuccess || state != 0;
}

fil_status checkPointer(const Driver &driver, const DeviceInfo &device,
                        int64_t address, Memory wanted, const char *what,
                        fil_code code, int64_t &onDevice, fil_error *err) {
  unsigned type = 0, managed = 0;
  Address mapped = 0;
  int ordinal = -1;
  PointerAttribute attributes[] = {kMemoryType, kIsManaged, kDevicePointer,
                                   kDeviceOrdinal};
  void *values[] = {&type, &managed, &mapped, &ordinal};
  Result result = driver.cuPointerGetAttributes(4, attributes, values,
                                                static_cast<Address>(address));
  if (result != kSuccess) {
    Text text;
    text.append("%s to be at an address that the cuda driver knows", what);
    return driverFailure(driver, result, err, text.str());
  }
  onDevice = static_cast<int64_t>(mapped);
  bool pinned = type == kHostMemory && wanted == Memory::Mapped && mapped;
  if (managed || pinned)
    return FIL_OK;
  const char *may = wanted == Memory::Mapped ? " or pinned memory" : "";
  if (type == kDeviceMemory && ordinal == device.ordinal)
    return FIL_OK;
  if (type == kDeviceMemory)
    return fail(err, code,
                "expected %s in memory of cuda:%d%s, but its address is of "
                "cuda:%d",
                what, device.ordinal, may, ordinal);
  return fail(err, code,
              "expected %s in memory of cuda:%d%s, but its address is %s", what,
              device.ordinal, may,
              type == kHostMemory ? "of pinned host memory"
                                  : "unknown to the cuda driver");
}

} // namespace filigree::runtime::cuda
