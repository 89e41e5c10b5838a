//===- Driver.h - the part of the CUDA driver that the example calls ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions of libcuda.so.1 by their names there. A program that has cuda.h
// includes that instead.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_EXAMPLES_18_EMBED_CUDA_DRIVER_H
#define FILIGREE_EXAMPLES_18_EMBED_CUDA_DRIVER_H

#include <cstddef>
#include <cstdlib>
#include <dlfcn.h>
#include <stdexcept>
#include <string>

/// No GPU, or none that can run the artifact.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Context = struct CUctx_st *;
using Stream = struct CUstream_st *;
using Graph = struct CUgraph_st *;
using Executable = struct CUgraphExec_st *;
using Address = unsigned long long;
enum { kCaptureThreadLocal = 1 };

class Driver {
public:
  Driver() {
    const char *path = std::getenv("FILIGREE_LIBCUDA");
    handle = dlopen(path ? path : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
      throw Unsupported(dlerror());
    find(cuInit, "cuInit");
    find(cuDeviceGet, "cuDeviceGet");
    find(cuPrimaryContextRetain, "cuDevicePrimaryCtxRetain");
    find(cuPrimaryContextRelease, "cuDevicePrimaryCtxRelease_v2");
    find(cuContextSetCurrent, "cuCtxSetCurrent");
    find(cuMemAlloc, "cuMemAlloc_v2");
    find(cuMemFree, "cuMemFree_v2");
    find(cuCopyToDevice, "cuMemcpyHtoD_v2");
    find(cuCopyToHost, "cuMemcpyDtoH_v2");
    find(cuStreamCreate, "cuStreamCreate");
    find(cuStreamDestroy, "cuStreamDestroy_v2");
    find(cuStreamSynchronize, "cuStreamSynchronize");
    find(cuStreamBeginCapture, "cuStreamBeginCapture_v2");
    find(cuStreamEndCapture, "cuStreamEndCapture");
    find(cuGraphInstantiate, "cuGraphInstantiateWithFlags");
    find(cuGraphLaunch, "cuGraphLaunch");
    find(cuGraphDestroy, "cuGraphDestroy");
    find(cuGraphExecDestroy, "cuGraphExecDestroy");
    if (int result = cuInit(0))
      throw Unsupported("cuInit fails with " + std::to_string(result));
  }

  int (*cuInit)(unsigned);
  int (*cuDeviceGet)(int *, int ordinal);
  int (*cuPrimaryContextRetain)(Context *, int device);
  int (*cuPrimaryContextRelease)(int device);
  int (*cuContextSetCurrent)(Context);
  int (*cuMemAlloc)(Address *, size_t);
  int (*cuMemFree)(Address);
  int (*cuCopyToDevice)(Address, const void *, size_t);
  int (*cuCopyToHost)(void *, Address, size_t);
  int (*cuStreamCreate)(Stream *, unsigned flags);
  int (*cuStreamDestroy)(Stream);
  int (*cuStreamSynchronize)(Stream);
  int (*cuStreamBeginCapture)(Stream, int mode);
  int (*cuStreamEndCapture)(Stream, Graph *);
  int (*cuGraphInstantiate)(Executable *, Graph, unsigned long long flags);
  int (*cuGraphLaunch)(Executable, Stream);
  int (*cuGraphDestroy)(Graph);
  int (*cuGraphExecDestroy)(Executable);

private:
  template <typename F> void find(F &function, const char *name) {
    function = reinterpret_cast<F>(dlsym(handle, name));
    if (!function)
      throw Unsupported(std::string("the driver has no ") + name);
  }
  void *handle; // stays mapped: the driver's threads outlive us
};

#endif // FILIGREE_EXAMPLES_18_EMBED_CUDA_DRIVER_H
