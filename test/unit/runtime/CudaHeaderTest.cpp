//===- CudaHeaderTest.cpp - our numbers of the driver are cuda.h's --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Built where a toolkit is installed: compiling it is the test.
//
//===----------------------------------------------------------------------===//
#include "runtime/cuda/Driver.h"

#include <cuda.h>

#include <gtest/gtest.h>

// cuda.h names some functions by macros.
#undef cuStreamGetCtx

namespace {

namespace cuda = filigree::runtime::cuda;

#define SAME(ours, theirs)                                                     \
  static_assert(static_cast<long>(cuda::ours) == static_cast<long>(theirs))
SAME(kSuccess, CUDA_SUCCESS);
SAME(kInvalidValue, CUDA_ERROR_INVALID_VALUE);
SAME(kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
SAME(kNoDevice, CUDA_ERROR_NO_DEVICE);
SAME(kInvalidDevice, CUDA_ERROR_INVALID_DEVICE);
SAME(kInvalidContext, CUDA_ERROR_INVALID_CONTEXT);
SAME(kNotFound, CUDA_ERROR_NOT_FOUND);
SAME(kMultiprocessorCount, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME(kCapabilityMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME(kCapabilityMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME(kMaxThreads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
SAME(kMaxDynamicShared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME(kMemoryType, CU_POINTER_ATTRIBUTE_MEMORY_TYPE);
SAME(kDevicePointer, CU_POINTER_ATTRIBUTE_DEVICE_POINTER);
SAME(kIsManaged, CU_POINTER_ATTRIBUTE_IS_MANAGED);
SAME(kDeviceOrdinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL);
SAME(kHostMemory, CU_MEMORYTYPE_HOST);
SAME(kDeviceMemory, CU_MEMORYTYPE_DEVICE);
SAME(kErrorLog, CU_JIT_ERROR_LOG_BUFFER);
SAME(kErrorLogBytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
SAME(kMapI32, CU_TENSOR_MAP_DATA_TYPE_INT32);
SAME(kMapI64, CU_TENSOR_MAP_DATA_TYPE_INT64);
SAME(kMapF16, CU_TENSOR_MAP_DATA_TYPE_FLOAT16);
SAME(kMapF32, CU_TENSOR_MAP_DATA_TYPE_FLOAT32);
SAME(kMapF64, CU_TENSOR_MAP_DATA_TYPE_FLOAT64);
SAME(kMapBf16, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
SAME(kL2Promotion128, CU_TENSOR_MAP_L2_PROMOTION_L2_128B);
static_assert(CU_TENSOR_MAP_INTERLEAVE_NONE == 0 &&
              CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE == 0 &&
              CU_TENSOR_MAP_SWIZZLE_NONE == 0 &&
              CU_TENSOR_MAP_SWIZZLE_32B == 1 &&
              CU_TENSOR_MAP_SWIZZLE_64B == 2 &&
              CU_TENSOR_MAP_SWIZZLE_128B == 3);
SAME(kProgrammaticSerialization,
     CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
static_assert(sizeof(cuda::LaunchAttribute) == sizeof(CUlaunchAttribute) &&
              offsetof(cuda::LaunchAttribute, allowed) ==
                  offsetof(CUlaunchAttribute,
                           value.programmaticStreamSerializationAllowed) &&
              sizeof(cuda::LaunchConfig) == sizeof(CUlaunchConfig) &&
              offsetof(cuda::LaunchConfig, block) ==
                  offsetof(CUlaunchConfig, blockDimX) &&
              offsetof(cuda::LaunchConfig, sharedBytes) ==
                  offsetof(CUlaunchConfig, sharedMemBytes) &&
              offsetof(cuda::LaunchConfig, stream) ==
                  offsetof(CUlaunchConfig, hStream) &&
              offsetof(cuda::LaunchConfig, attributes) ==
                  offsetof(CUlaunchConfig, attrs) &&
              offsetof(cuda::LaunchConfig, attributeCount) ==
                  offsetof(CUlaunchConfig, numAttrs));
static_assert(sizeof(cuda::TensorMap) == sizeof(CUtensorMap) &&
              alignof(cuda::TensorMap) >= alignof(CUtensorMap));

/// The parameters of a function as the calling convention sees them: the same
/// number, each as wide.
template <typename A, typename B> struct SameShape;
template <typename... A, typename... B>
struct SameShape<cuda::Result (*)(A...), CUresult (*)(B...)> {
  static constexpr bool value = [] {
    if constexpr (sizeof...(A) == sizeof...(B))
      return ((sizeof(A) == sizeof(B) &&
               std::is_pointer_v<A> == std::is_pointer_v<B>)&&...);
    return false;
  }();
};
#define SHAPE(name)                                                            \
  static_assert(                                                               \
      SameShape<decltype(cuda::Driver::name), decltype(&::name)>::value,       \
      #name)
SHAPE(cuDeviceGet);
SHAPE(cuDeviceGetCount);
SHAPE(cuDeviceGetAttribute);
SHAPE(cuCtxGetCurrent);
SHAPE(cuCtxGetDevice);
SHAPE(cuCtxGetId);
SHAPE(cuStreamGetCtx);
SHAPE(cuStreamIsCapturing);
SHAPE(cuStreamSynchronize);
SHAPE(cuPointerGetAttributes);
SHAPE(cuMemsetD8Async);
SHAPE(cuMemcpyAsync);
SHAPE(cuLibraryLoadData);
SHAPE(cuLibraryUnload);
SHAPE(cuLibraryGetKernel);
SHAPE(cuKernelGetFunction);
SHAPE(cuKernelGetAttribute);
SHAPE(cuKernelSetAttribute);
SHAPE(cuTensorMapEncodeTiled);
SHAPE(cuLaunchKernelEx);
SHAPE(cuFuncLoad);
SHAPE(cuKernelGetParamInfo);
SHAPE(cuGetErrorName);
SHAPE(cuGetErrorString);

TEST(CudaHeader, numbersAndShapes) {
  EXPECT_GE(CUDA_VERSION, cuda::kLeastDriver);
}

} // namespace
