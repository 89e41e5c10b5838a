//===- FakeCuda.cpp - a CUDA driver for tests without a GPU ---------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every function logs its name, then fails if it was told to, then does what
// the driver's manual says as far as a host can. What the manual leaves to the
// driver is refused where a real one may refuse it.
//
//===----------------------------------------------------------------------===//
#include "test/lib/fake-cuda/DriverState.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

using namespace filigree::fakecuda;
using namespace filigree::runtime::cuda;

namespace {

constexpr Result kInvalidHandle = Result(400);
constexpr Result kInvalidImage = Result(200);
constexpr Result kIllegalState = Result(401);
constexpr Result kCaptureUnsupported = Result(900);

/// Logs a call; `error` is what it was told to return.
struct Call {
  explicit Call(const char *name) : held(world().lock) {
    world().calls.push_back(name);
    auto found = world().failures.find(name);
    if (found != world().failures.end())
      error = static_cast<Result>(found->second);
  }
  Held held;
  Result error = kSuccess;
};

} // namespace

#define CU(name, ...)                                                          \
  extern "C" __attribute__((visibility("default"))) Result name(__VA_ARGS__)
#define BEGIN(name)                                                            \
  Call call(name);                                                             \
  if (call.error != kSuccess)                                                  \
  return call.error

//===----------------------------------------------------------------------===//
// Driver, devices, contexts
//===----------------------------------------------------------------------===//

CU(cuInit, unsigned flags) {
  BEGIN("cuInit");
  return world().devices.empty() ? kNoDevice : kSuccess;
}
CU(cuDriverGetVersion, int *version) {
  BEGIN("cuDriverGetVersion");
  *version = world().version;
  return kSuccess;
}
CU(cuGetErrorName, Result error, const char **name) {
  static const std::map<int, const char *> names = {
      {1, "CUDA_ERROR_INVALID_VALUE"},    {2, "CUDA_ERROR_OUT_OF_MEMORY"},
      {200, "CUDA_ERROR_INVALID_IMAGE"},  {218, "CUDA_ERROR_INVALID_PTX"},
      {400, "CUDA_ERROR_INVALID_HANDLE"}, {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}};
  auto found = names.find(error);
  *name = found == names.end() ? nullptr : found->second;
  return *name ? kSuccess : kInvalidValue;
}
CU(cuGetErrorString, Result error, const char **text) {
  *text = error == 700 ? "an illegal memory access was encountered"
          : error == 2 ? "out of memory"
                       : "what the fake was told";
  return kSuccess;
}
CU(cuDeviceGetCount, int *count) {
  BEGIN("cuDeviceGetCount");
  *count = static_cast<int>(world().devices.size());
  return kSuccess;
}
CU(cuDeviceGet, Device *device, int ordinal) {
  BEGIN("cuDeviceGet");
  if (!world().isDevice(ordinal))
    return kInvalidDevice;
  *device = ordinal;
  return kSuccess;
}
CU(cuDeviceGetName, char *name, int bytes, Device device) {
  BEGIN("cuDeviceGetName");
  strncpy(name, "Fake", static_cast<size_t>(bytes));
  return kSuccess;
}
CU(cuDeviceGetAttribute, int *value, DeviceAttribute attribute, Device device) {
  BEGIN("cuDeviceGetAttribute");
  if (!world().isDevice(device))
    return kInvalidDevice;
  const FakeDevice &fake = world().devices[static_cast<size_t>(device)];
  switch (attribute) {
  case kMultiprocessorCount:
    *value = fake.multiprocessors;
    return kSuccess;
  case kCapabilityMajor:
    *value = fake.major;
    return kSuccess;
  case kCapabilityMinor:
    *value = fake.minor;
    return kSuccess;
  }
  return kInvalidValue;
}
CU(cuCtxGetCurrent, Context *context) {
  BEGIN("cuCtxGetCurrent");
  *context = DriverState::current;
  return kSuccess;
}
CU(cuCtxSetCurrent, Context context) {
  BEGIN("cuCtxSetCurrent");
  DriverState::current = context;
  return kSuccess;
}
CU(cuCtxGetDevice, Device *device) {
  BEGIN("cuCtxGetDevice");
  if (!DriverState::current)
    return kInvalidContext;
  *device = DriverState::current->device;
  return kSuccess;
}
CU(cuCtxGetId, Context context, unsigned long long *id) {
  BEGIN("cuCtxGetId");
  *id = context->id;
  return kSuccess;
}
CU(cuDevicePrimaryCtxRetain, Context *context, Device device) {
  BEGIN("cuDevicePrimaryCtxRetain");
  Context &primary = world().primary[device];
  if (!primary)
    primary = world().makeContext(device);
  *context = primary;
  return kSuccess;
}
CU(cuDevicePrimaryCtxRelease_v2, Device device) {
  BEGIN("cuDevicePrimaryCtxRelease_v2");
  return kSuccess;
}

//===----------------------------------------------------------------------===//
// Streams, events
//===----------------------------------------------------------------------===//

CU(cuStreamCreate, Stream *stream, unsigned flags) {
  BEGIN("cuStreamCreate");
  if (!DriverState::current)
    return kInvalidContext;
  *stream = world().makeStream(DriverState::current);
  return kSuccess;
}
CU(cuStreamDestroy_v2, Stream stream) {
  BEGIN("cuStreamDestroy_v2");
  return kSuccess;
}
CU(cuStreamGetCtx, Stream stream, Context *context) {
  BEGIN("cuStreamGetCtx");
  if (!world().isStream(stream))
    return kInvalidHandle;
  *context = reinterpret_cast<uintptr_t>(stream) <= 2 ? DriverState::current
                                                      : stream->context;
  return kSuccess;
}
CU(cuStreamIsCapturing, Stream stream, int *state) {
  BEGIN("cuStreamIsCapturing");
  if (!world().isStream(stream))
    return kInvalidHandle;
  if (reinterpret_cast<uintptr_t>(stream) <= 1 && world().anyCapture())
    return Result(906); // implicit: the legacy stream would join the capture
  *state = DriverState::isCapturing(stream);
  return kSuccess;
}
CU(cuStreamSynchronize, Stream stream) {
  BEGIN("cuStreamSynchronize");
  if (!world().isStream(stream))
    return kInvalidHandle;
  return DriverState::isCapturing(stream) ? kCaptureUnsupported : kSuccess;
}
CU(cuCtxSynchronize) {
  BEGIN("cuCtxSynchronize");
  return world().anyCapture() ? kCaptureUnsupported : kSuccess;
}

// Graphs are what a capture queued, done in order.
CU(cuStreamBeginCapture_v2, Stream stream, int mode) {
  BEGIN("cuStreamBeginCapture_v2");
  if (!world().isStream(stream) || mode < 0 || mode > 2)
    return kInvalidValue;
  if (reinterpret_cast<uintptr_t>(stream) <= 2)
    return kCaptureUnsupported;
  if (stream->capturing)
    return kIllegalState;
  world().beginCapture(stream);
  return kSuccess;
}
CU(cuStreamEndCapture, Stream stream, GraphHandle **graph) {
  BEGIN("cuStreamEndCapture");
  if (!world().isStream(stream) || !DriverState::isCapturing(stream))
    return kIllegalState;
  stream->capturing = false;
  *graph = new GraphHandle(std::exchange(stream->captured, {}));
  return kSuccess;
}
CU(cuGraphInstantiateWithFlags, GraphHandle **executable, GraphHandle *graph,
   unsigned long long flags) {
  BEGIN("cuGraphInstantiateWithFlags");
  if (flags != 0)
    return kInvalidValue;
  *executable = new GraphHandle(*graph);
  return kSuccess;
}
CU(cuGraphLaunch, GraphHandle *executable, Stream stream) {
  BEGIN("cuGraphLaunch");
  if (!world().isStream(stream))
    return kInvalidHandle;
  if (DriverState::isCapturing(stream))
    return kCaptureUnsupported;
  for (const std::function<Result()> &work : executable->work)
    if (Result result = work(); result != kSuccess)
      return result;
  return kSuccess;
}
CU(cuGraphDestroy, GraphHandle *graph) {
  BEGIN("cuGraphDestroy");
  delete graph;
  return kSuccess;
}
CU(cuGraphExecDestroy, GraphHandle *executable) {
  BEGIN("cuGraphExecDestroy");
  delete executable;
  return kSuccess;
}

CU(cuEventCreate, double **event, unsigned flags) {
  BEGIN("cuEventCreate");
  *event = new double(0);
  return kSuccess;
}
CU(cuEventDestroy_v2, double *event) {
  BEGIN("cuEventDestroy_v2");
  delete event;
  return kSuccess;
}
CU(cuEventRecord, double *event, Stream stream) {
  BEGIN("cuEventRecord");
  *event = world().clock += 0.25; // milliseconds
  return kSuccess;
}
CU(cuEventSynchronize, double *event) {
  BEGIN("cuEventSynchronize");
  return kSuccess;
}
CU(cuEventElapsedTime, float *milliseconds, double *from, double *to) {
  BEGIN("cuEventElapsedTime");
  *milliseconds = static_cast<float>(*to - *from);
  return kSuccess;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

CU(cuMemAlloc_v2, Address *address, size_t bytes) {
  BEGIN("cuMemAlloc_v2");
  if (!DriverState::current)
    return kInvalidContext;
  if (world().anyCapture())
    return kCaptureUnsupported;
  if (bytes == 0)
    return kInvalidValue;
  void *memory =
      world().allocate(bytes, MemoryKind::Device, DriverState::current->device);
  *address = reinterpret_cast<Address>(memory);
  return memory ? kSuccess : kOutOfMemory;
}
CU(cuMemFree_v2, Address address) {
  BEGIN("cuMemFree_v2");
  auto found = world().allocations.find(address);
  if (found == world().allocations.end())
    return kInvalidValue;
  free(found->second.memory);
  world().allocations.erase(found);
  return kSuccess;
}

static Result copy(Address to, Address from, size_t bytes) {
  memcpy(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from), bytes);
  return kSuccess;
}
static bool isDeviceRange(Address address, size_t bytes) {
  const Allocation *found = world().find(address);
  return found && found->kind != MemoryKind::Pinned &&
         address + bytes <=
             reinterpret_cast<uintptr_t>(found->memory) + found->bytes;
}
CU(cuMemcpyHtoD_v2, Address to, const void *from, size_t bytes) {
  BEGIN("cuMemcpyHtoD_v2");
  return isDeviceRange(to, bytes)
             ? copy(to, reinterpret_cast<Address>(from), bytes)
             : kInvalidValue;
}
CU(cuMemcpyDtoH_v2, void *to, Address from, size_t bytes) {
  BEGIN("cuMemcpyDtoH_v2");
  return isDeviceRange(from, bytes)
             ? copy(reinterpret_cast<Address>(to), from, bytes)
             : kInvalidValue;
}
CU(cuMemsetD8_v2, Address to, unsigned char value, size_t bytes) {
  BEGIN("cuMemsetD8_v2");
  if (!isDeviceRange(to, bytes))
    return kInvalidValue;
  memset(reinterpret_cast<void *>(to), value, bytes);
  return kSuccess;
}
CU(cuMemcpyAsync, Address to, Address from, size_t bytes, Stream stream) {
  BEGIN("cuMemcpyAsync");
  return DriverState::enqueue(stream, [=] { return copy(to, from, bytes); });
}
CU(cuMemsetD8Async, Address to, unsigned char value, size_t bytes,
   Stream stream) {
  BEGIN("cuMemsetD8Async");
  if (!isDeviceRange(to, bytes))
    return kInvalidValue;
  return DriverState::enqueue(stream, [=] {
    memset(reinterpret_cast<void *>(to), value, bytes);
    return kSuccess;
  });
}
CU(cuPointerGetAttributes, unsigned count, PointerAttribute *attributes,
   void **values, Address address) {
  BEGIN("cuPointerGetAttributes");
  if (!DriverState::current)
    return kInvalidContext;
  const Allocation *found = world().find(address);
  for (unsigned i = 0; i < count; ++i)
    switch (attributes[i]) {
    case kMemoryType:
      *static_cast<unsigned *>(values[i]) = !found ? 0
                                            : found->kind == MemoryKind::Pinned
                                                ? kHostMemory
                                                : kDeviceMemory;
      break;
    case kDevicePointer:
      *static_cast<Address *>(values[i]) = found ? address : 0;
      break;
    case kIsManaged:
      *static_cast<unsigned *>(values[i]) =
          found && found->kind == MemoryKind::Managed;
      break;
    case kDeviceOrdinal:
      *static_cast<int *>(values[i]) = found ? found->device : -2;
      break;
    }
  return kSuccess;
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

CU(cuLibraryLoadData, Library *library, const void *image, JitOption *options,
   void **values, unsigned count, void *, void **, unsigned) {
  DriverState &w = world();
  // The compiler of PTX leaves its log when it fails.
  for (unsigned i = 0; i < count; ++i)
    if (options[i] == kErrorLog)
      strcpy(static_cast<char *>(values[i]), w.compilerLog.c_str());
  BEGIN("cuLibraryLoadData");
  if (w.anyCapture())
    return kCaptureUnsupported;
  if (!image || !w.describe)
    return kInvalidImage;
  w.libraries.push_back({image});
  *library = &w.libraries.back();
  return kSuccess;
}
CU(cuLibraryUnload, Library library) {
  BEGIN("cuLibraryUnload");
  if (!library->loaded)
    return kInvalidHandle;
  library->loaded = false;
  return kSuccess;
}
CU(cuLibraryGetKernel, Kernel *kernel, Library library, const char *name) {
  BEGIN("cuLibraryGetKernel");
  FakeFunction function;
  if (!world().describe(library->image, name, function))
    return kNotFound;
  world().kernels.push_back({library, name, function, {}, {}});
  *kernel = &world().kernels.back();
  return kSuccess;
}
CU(cuKernelGetFunction, Function *function, Kernel kernel) {
  BEGIN("cuKernelGetFunction");
  if (!DriverState::current)
    return kInvalidContext;
  world().functions.push_back({kernel, DriverState::current});
  *function = &world().functions.back();
  return kSuccess;
}
CU(cuFuncLoad, Function function) {
  BEGIN("cuFuncLoad");
  if (world().anyCapture())
    return kCaptureUnsupported;
  function->kernel->loadedIn.insert(function->context);
  return kSuccess;
}
CU(cuKernelGetParamInfo, Kernel kernel, size_t index, size_t *offset,
   size_t *bytes) {
  BEGIN("cuKernelGetParamInfo");
  const std::vector<size_t> &all = kernel->function.parameterBytes;
  if (index >= all.size())
    return kInvalidValue;
  *offset = 0;
  for (size_t i = 0; i <= index; ++i) {
    size_t alignment = all[i] == sizeof(TensorMap) ? 64 : 8;
    *offset = (*offset + alignment - 1) / alignment * alignment;
    *bytes = all[i];
    *offset += i < index ? all[i] : 0;
  }
  return kSuccess;
}
CU(cuKernelGetAttribute, int *value, FunctionAttribute attribute, Kernel kernel,
   Device device) {
  BEGIN("cuKernelGetAttribute");
  if (attribute != kMaxThreads)
    return kInvalidValue;
  *value = kernel->function.maxThreads;
  return kSuccess;
}
CU(cuKernelSetAttribute, FunctionAttribute attribute, int value, Kernel kernel,
   Device device) {
  BEGIN("cuKernelSetAttribute");
  if (attribute != kMaxDynamicShared || !world().isDevice(device) ||
      value > world().devices[static_cast<size_t>(device)].sharedBytes)
    return kInvalidValue;
  kernel->sharedBytes[device] = value;
  return kSuccess;
}

CU(cuTensorMapEncodeTiled, TensorMap *map, TensorMapType type, uint32_t rank,
   void *base, const uint64_t *extents, const uint64_t *strides,
   const uint32_t *box, const uint32_t *steps, int interleave, int swizzle,
   int l2Promotion, int oobFill) {
  BEGIN("cuTensorMapEncodeTiled");
  static const std::map<int, uint64_t> widths = {{kMapI32, 4}, {kMapI64, 8},
                                                 {kMapF16, 2}, {kMapF32, 4},
                                                 {kMapF64, 8}, {kMapBf16, 2}};
  auto address = reinterpret_cast<uintptr_t>(base);
  auto width = widths.find(type);
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0 || width == widths.end() ||
      rank < 1 || rank > 4 || address % 16 != 0 || address == 0 ||
      interleave != 0 || swizzle < 0 || swizzle > 3 || l2Promotion < 0 ||
      l2Promotion > 3 || oobFill != 0)
    return kInvalidValue;
  FakeTensorMap fake = {};
  fake.magic = kMapMagic;
  fake.address = address;
  for (uint32_t axis = 0; axis < rank; ++axis) {
    if (extents[axis] < 1 || extents[axis] > uint64_t(1) << 32 ||
        box[axis] < 1 || box[axis] > 256 || steps[axis] != 1)
      return kInvalidValue;
    fake.extents[axis] = extents[axis];
    fake.box[axis] = box[axis];
    if (axis + 1 == rank)
      continue;
    if (strides[axis] < 16 || strides[axis] % 16 != 0 ||
        strides[axis] >= uint64_t(1) << 40)
      return kInvalidValue;
    fake.strides[axis] = strides[axis];
  }
  uint64_t row = box[0] * width->second;
  if (row % 16 != 0 || (swizzle && row > uint64_t(16) << swizzle))
    return kInvalidValue;
  fake.type = static_cast<uint8_t>(type);
  fake.rank = static_cast<uint8_t>(rank);
  fake.swizzle = static_cast<uint8_t>(swizzle);
  fake.l2Promotion = static_cast<uint8_t>(l2Promotion);
  memset(map, 0, sizeof(*map));
  memcpy(map, &fake, sizeof(fake));
  return kSuccess;
}

CU(cuLaunchKernelEx, const LaunchConfig *config, Kernel kernel,
   void **parameters, void **extra) {
  BEGIN("cuLaunchKernelEx");
  const auto [gridX, gridY, gridZ] = config->grid;
  const auto [blockX, blockY, blockZ] = config->block;
  const unsigned sharedBytes = config->sharedBytes;
  const Stream stream = config->stream;
  bool follows = false;
  for (unsigned k = 0; k < config->attributeCount; ++k) {
    if (config->attributes[k].id != kProgrammaticSerialization)
      return kInvalidValue;
    follows = config->attributes[k].allowed;
  }
  DriverState &w = world();
  Context context = DriverState::current;
  if (!context)
    return kInvalidContext;
  if (!w.isStream(stream) || !w.isOf(stream, context) ||
      !kernel->library->loaded)
    return kInvalidHandle;
  bool capturing = DriverState::isCapturing(stream);
  if (capturing && !kernel->loadedIn.count(context))
    return kCaptureUnsupported; // would be loaded now
  if (gridX < 1 || gridX > 0x7fffffffu || gridY != 1 || gridZ != 1 ||
      blockX < 1 ||
      blockX > static_cast<unsigned>(kernel->function.maxThreads) ||
      blockY != 1 || blockZ != 1 || extra ||
      sharedBytes > static_cast<unsigned>(
                        std::max(49152, kernel->sharedBytes[context->device])))
    return kInvalidValue;
  FakeLaunch launch = {kernel->library->image,
                       kernel->name,
                       gridX,
                       blockX,
                       sharedBytes,
                       follows,
                       stream,
                       {}};
  const std::vector<size_t> &sizes = kernel->function.parameterBytes;
  for (size_t i = 0; i < sizes.size(); ++i) {
    auto *bytes = static_cast<const char *>(parameters[i]);
    launch.parameters.emplace_back(bytes, bytes + sizes[i]);
  }
  if (capturing)
    stream->captured.launches.push_back(launch);
  return DriverState::enqueue(stream, [launch]() -> Result {
    DriverState &w = world();
    w.launches.push_back(launch);
    return w.work ? static_cast<Result>(w.work(launch)) : kSuccess;
  });
}
