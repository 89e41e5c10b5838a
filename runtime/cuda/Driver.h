//===- Driver.h - the CUDA driver, found at run time ----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The functions of libcuda.so.1 that the runtime calls, by their names there,
// with the few types and numbers of them, so that neither a toolkit nor a GPU
// is needed to build. Streams without a suffix: null is the legacy stream.
//
// A Driver belongs to one fil_library; nothing here is global. The library
// stays mapped once it was found, since the driver's own threads outlive us.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_CUDA_DRIVER_H
#define FILIGREE_RUNTIME_CUDA_DRIVER_H

#include "runtime/filigree.h"

#include <cstddef>
#include <cstdint>

namespace filigree::runtime::cuda {

/// Environment variable: path of the driver library, instead of libcuda.so.1
/// where the dynamic loader finds it.
inline constexpr const char *kDriverVariable = "FILIGREE_LIBCUDA";

/// 12.0: libraries that belong to no context, and tensor maps.
inline constexpr int kLeastDriver = 12000;
/// 12.3: launches that begin while others end can be captured.
inline constexpr int kFollowingDriver = 12030;

using Device = int; ///< CUdevice
using Address = unsigned long long;
using Context = struct ContextHandle *;
using Stream = struct StreamHandle *;
using Library = struct LibraryHandle *;
using Kernel = struct KernelHandle *;
using Function = struct FunctionHandle *;

enum Result : int { // CUresult
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidContext = 201,
  kNotFound = 500
};

enum DeviceAttribute : int { // CUdevice_attribute
  kMultiprocessorCount = 16,
  kCapabilityMajor = 75,
  kCapabilityMinor = 76
};

enum FunctionAttribute : int { // CUfunction_attribute
  kMaxThreads = 0,
  kMaxDynamicShared = 8
};

enum PointerAttribute : int { // CUpointer_attribute
  kMemoryType = 2,
  kDevicePointer = 3,
  kIsManaged = 8,
  kDeviceOrdinal = 9
};

enum MemoryType : unsigned { // CUmemorytype
  kHostMemory = 1,
  kDeviceMemory = 2
};

enum JitOption : int { // CUjit_option
  kErrorLog = 5,
  kErrorLogBytes = 6
};

enum TensorMapType : int { // CUtensorMapDataType
  kMapI32 = 3,
  kMapI64 = 5,
  kMapF16 = 6,
  kMapF32 = 7,
  kMapF64 = 8,
  kMapBf16 = 9
};

enum LaunchAttributeId : int { // CUlaunchAttributeID
  kProgrammaticSerialization = 6
};

struct LaunchAttribute { // CUlaunchAttribute
  LaunchAttributeId id;
  int unused;
  int allowed;
  char rest[60];
};

struct LaunchConfig { // CUlaunchConfig
  unsigned grid[3], block[3];
  unsigned sharedBytes;
  Stream stream;
  LaunchAttribute *attributes;
  unsigned attributeCount;
};

inline constexpr int kL2Promotion128 = 2; // CUtensorMapL2promotion

struct alignas(128) TensorMap { // CUtensorMap; 64 would do
  unsigned char bytes[128];
};

struct Driver {
  void *handle;   ///< of the dynamic loader
  int version;    ///< 12040 is 12.4
  char path[256]; ///< as it was asked for

  Result (*cuGetErrorName)(Result, const char **);
  Result (*cuGetErrorString)(Result, const char **);
  Result (*cuDeviceGet)(Device *, int ordinal);
  Result (*cuDeviceGetCount)(int *);
  Result (*cuDeviceGetAttribute)(int *, DeviceAttribute, Device);
  Result (*cuCtxGetCurrent)(Context *);
  Result (*cuCtxGetDevice)(Device *);
  Result (*cuCtxGetId)(Context, unsigned long long *);
  Result (*cuStreamGetCtx)(Stream, Context *);
  Result (*cuStreamIsCapturing)(Stream, int *);
  Result (*cuStreamSynchronize)(Stream);
  Result (*cuPointerGetAttributes)(unsigned, PointerAttribute *, void **,
                                   Address);
  Result (*cuMemsetD8Async)(Address, unsigned char, size_t, Stream);
  Result (*cuMemcpyAsync)(Address, Address, size_t, Stream);
  Result (*cuLibraryLoadData)(Library *, const void *, JitOption *, void **,
                              unsigned, void *, void **, unsigned);
  Result (*cuLibraryUnload)(Library);
  Result (*cuLibraryGetKernel)(Kernel *, Library, const char *);
  Result (*cuKernelGetFunction)(Function *, Kernel);
  Result (*cuKernelGetAttribute)(int *, FunctionAttribute, Kernel, Device);
  Result (*cuKernelSetAttribute)(FunctionAttribute, int, Kernel, Device);
  Result (*cuTensorMapEncodeTiled)(TensorMap *, TensorMapType, uint32_t rank,
                                   void *, const uint64_t *extents,
                                   const uint64_t *strides, const uint32_t *box,
                                   const uint32_t *steps, int interleave,
                                   int swizzle, int l2Promotion, int oobFill);
  Result (*cuLaunchKernelEx)(const LaunchConfig *, Kernel, void **parameters,
                             void **extra);
  // Since 12.4; null before.
  Result (*cuFuncLoad)(Function);
  Result (*cuKernelGetParamInfo)(Kernel, size_t, size_t *offset, size_t *bytes);
};

/// Finds the library, its functions and a device, and initialises it.
fil_status openDriver(Driver &driver, fil_error *err);
void closeDriver(Driver &driver);

/// A function that only some client needs; null if the driver has none.
void *symbolOf(const Driver &driver, const char *name);

/// Fails with "expected <what>, but the cuda driver says <name>: <text>".
[[gnu::cold]] fil_status driverFailure(const Driver &driver, Result result,
                                       fil_error *err, const char *what);

} // namespace filigree::runtime::cuda

#endif // FILIGREE_RUNTIME_CUDA_DRIVER_H
