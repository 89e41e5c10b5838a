//===- CudaDevice.cpp - a GPU as the tools use it -------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/CudaDevice.h"
#include "runtime/cuda/Device.h"
#include "llvm/Support/FormatVariadic.h"

using namespace filigree;
namespace cuda = filigree::runtime::cuda;
using cuda::Address;
using cuda::Result;

namespace {
using Event = struct EventHandle *;
}

struct CudaDevice::State {
  cuda::Driver driver = {};
  cuda::DeviceInfo info = {};
  cuda::Context context = nullptr;
  cuda::Stream stream = nullptr;
  Event begin = nullptr, end = nullptr;

  // What the runtime itself has no use for.
  Result (*deviceGetName)(char *, int, cuda::Device);
  Result (*retainContext)(cuda::Context *, cuda::Device);
  Result (*releaseContext)(cuda::Device);
  Result (*setCurrent)(cuda::Context);
  Result (*memAlloc)(Address *, size_t);
  Result (*memFree)(Address);
  Result (*copyToDevice)(Address, const void *, size_t);
  Result (*copyToHost)(void *, Address, size_t);
  Result (*streamCreate)(cuda::Stream *, unsigned);
  Result (*streamDestroy)(cuda::Stream);
  Result (*eventCreate)(Event *, unsigned);
  Result (*eventDestroy)(Event);
  Result (*eventRecord)(Event, cuda::Stream);
  Result (*eventSynchronize)(Event);
  Result (*eventElapsedTime)(float *, Event, Event);

  llvm::Error look();
  llvm::Error check(Result result, const llvm::Twine &what) {
    if (result == cuda::kSuccess)
      return llvm::Error::success();
    fil_error error = FIL_ERROR_INIT;
    cuda::driverFailure(driver, result, &error, what.str().c_str());
    return llvm::createStringError(error.message);
  }
};

llvm::Error CudaDevice::State::look() {
  const char *missing = nullptr;
  auto find = [&](auto &function, const char *name) {
    using Pointer = std::remove_reference_t<decltype(function)>;
    function = reinterpret_cast<Pointer>(cuda::symbolOf(driver, name));
    if (!function)
      missing = name;
  };
  find(deviceGetName, "cuDeviceGetName");
  find(retainContext, "cuDevicePrimaryCtxRetain");
  find(releaseContext, "cuDevicePrimaryCtxRelease_v2");
  find(setCurrent, "cuCtxSetCurrent");
  find(memAlloc, "cuMemAlloc_v2");
  find(memFree, "cuMemFree_v2");
  find(copyToDevice, "cuMemcpyHtoD_v2");
  find(copyToHost, "cuMemcpyDtoH_v2");
  find(streamCreate, "cuStreamCreate");
  find(streamDestroy, "cuStreamDestroy_v2");
  find(eventCreate, "cuEventCreate");
  find(eventDestroy, "cuEventDestroy_v2");
  find(eventRecord, "cuEventRecord");
  find(eventSynchronize, "cuEventSynchronize");
  find(eventElapsedTime, "cuEventElapsedTime");
  if (!missing)
    return llvm::Error::success();
  return llvm::createStringError(
      llvm::formatv("expected function {0} in the cuda driver `{1}`, but found "
                    "none",
                    missing, driver.path)
          .str());
}

//===----------------------------------------------------------------------===//
// Context and stream
//===----------------------------------------------------------------------===//

CudaDevice::CudaDevice(std::unique_ptr<State> state)
    : state(std::move(state)) {}

CudaDevice::~CudaDevice() {
  // Errors of an end are of no use.
  if (state->begin)
    state->eventDestroy(state->begin);
  if (state->end)
    state->eventDestroy(state->end);
  if (state->stream)
    state->streamDestroy(state->stream);
  if (state->context) {
    state->setCurrent(nullptr);
    state->releaseContext(state->info.device);
  }
  cuda::closeDriver(state->driver);
}

llvm::Expected<std::unique_ptr<CudaDevice>> CudaDevice::open(int ordinal) {
  std::unique_ptr<CudaDevice> device(new CudaDevice(std::make_unique<State>()));
  State &s = *device->state;
  fil_error error = FIL_ERROR_INIT;
  if (cuda::openDriver(s.driver, &error) != FIL_OK ||
      cuda::describeDevice(s.driver, ordinal, s.info, &error) != FIL_OK)
    return llvm::createStringError(error.message);
  if (llvm::Error bad = s.look())
    return std::move(bad);
  Result result = s.retainContext(&s.context, s.info.device);
  if (result == cuda::kSuccess)
    result = s.setCurrent(s.context);
  // Copies go through the legacy stream, which a default stream waits for.
  if (result == cuda::kSuccess)
    result = s.streamCreate(&s.stream, /*CU_STREAM_DEFAULT*/ 0);
  if (result == cuda::kSuccess)
    result = s.eventCreate(&s.begin, 0);
  if (result == cuda::kSuccess)
    result = s.eventCreate(&s.end, 0);
  if (llvm::Error bad = s.check(result, llvm::Twine("a context on cuda:") +
                                            llvm::Twine(ordinal)))
    return std::move(bad);
  return std::move(device);
}

int CudaDevice::ordinal() const { return state->info.ordinal; }

std::string CudaDevice::name() const {
  char name[256] = {};
  if (state->deviceGetName(name, sizeof(name) - 1, state->info.device) !=
      cuda::kSuccess)
    return "unknown";
  return name;
}

void *CudaDevice::stream() const { return state->stream; }

llvm::Error CudaDevice::synchronize() {
  return state->check(state->driver.cuStreamSynchronize(state->stream),
                      "the work on cuda to finish");
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

CudaDevice::Memory &CudaDevice::Memory::operator=(Memory &&other) {
  std::swap(device, other.device);
  std::swap(address, other.address);
  std::swap(bytes, other.bytes);
  return *this;
}

CudaDevice::Memory::~Memory() {
  if (address)
    device->state->memFree(reinterpret_cast<Address>(address));
}

llvm::Expected<CudaDevice::Memory> CudaDevice::allocate(size_t bytes,
                                                        llvm::StringRef what) {
  Memory memory;
  memory.device = this;
  if (bytes == 0)
    return std::move(memory);
  Address address = 0;
  if (llvm::Error bad = state->check(
          state->memAlloc(&address, bytes),
          llvm::formatv("{0} bytes on cuda:{1} for {2}", bytes, ordinal(), what)
              .str()))
    return std::move(bad);
  memory.address = reinterpret_cast<void *>(address);
  memory.bytes = bytes;
  return std::move(memory);
}

llvm::Error CudaDevice::upload(const Memory &to, const void *from) {
  if (to.size() == 0)
    return llvm::Error::success();
  auto address = reinterpret_cast<Address>(to.data());
  return state->check(state->copyToDevice(address, from, to.size()),
                      "to copy to cuda");
}

llvm::Error CudaDevice::download(void *to, const Memory &from) {
  if (from.size() == 0)
    return llvm::Error::success();
  auto address = reinterpret_cast<Address>(from.data());
  return state->check(state->copyToHost(to, address, from.size()),
                      "to copy from cuda");
}

//===----------------------------------------------------------------------===//
// Time
//===----------------------------------------------------------------------===//

llvm::Error CudaDevice::startClock() {
  return state->check(state->eventRecord(state->begin, state->stream),
                      "an event on cuda");
}

llvm::Expected<double> CudaDevice::stopClock() {
  float milliseconds = 0;
  Result result = state->eventRecord(state->end, state->stream);
  if (result == cuda::kSuccess)
    result = state->eventSynchronize(state->end);
  if (result == cuda::kSuccess)
    result = state->eventElapsedTime(&milliseconds, state->begin, state->end);
  if (llvm::Error bad = state->check(result, "the work on cuda to finish"))
    return std::move(bad);
  return double(milliseconds);
}
