//===- Library.cpp - open, find, close ------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The file is read and validated as bytes first; only then does the dynamic
// loader map it, all symbols at once and visible to nobody else. It is read,
// not mapped, for validation: a file that shrinks meanwhile must not kill the
// process.
//
//===----------------------------------------------------------------------===//
#include "runtime/Library.h"

#include "runtime/ArtifactBytes.h"
#include "runtime/ArtifactTable.h"
#include "runtime/CpuFeatures.h"
#include "runtime/Status.h"
#include "runtime/ThreadPool.h"
#include "runtime/cuda/Module.h"

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <new>
#include <sys/stat.h>
#include <unistd.h>

using namespace filigree::runtime;

//===----------------------------------------------------------------------===//
// Reading and validating the file
//===----------------------------------------------------------------------===//

/// strerror into our own memory: strerror's is shared between threads.
static Text systemText(int error) {
  char buffer[128];
  Text text;
  text.append("%s", strerror_r(error, buffer, sizeof(buffer)));
  return text;
}

/// Reads up to `size` bytes; fewer only at the end of the file.
static bool readAll(int file, char *bytes, size_t size, size_t &length) {
  length = 0;
  while (length < size) {
    ssize_t got = read(file, bytes + length, size - length);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return false;
    if (got == 0)
      break;
    length += static_cast<size_t>(got);
  }
  return true;
}

static fil_status validateOpenFile(int file, const char *path, fil_error *err) {
  struct stat info;
  if (fstat(file, &info) != 0)
    return fail(err, FIL_BAD_FILE, "expected to examine `%s`, but: %s", path,
                systemText(errno).str());
  if (!S_ISREG(info.st_mode))
    return fail(err, FIL_BAD_FILE,
                "expected `%s` to be a regular file, but it is not", path);
  auto size = static_cast<size_t>(info.st_size);
  auto *bytes = static_cast<char *>(malloc(size ? size : 1));
  if (!bytes)
    return fail(err, FIL_NO_MEMORY,
                "expected %zu bytes of memory to validate `%s`, but got none",
                size, path);
  size_t length = 0;
  fil_status status = FIL_OK;
  if (!readAll(file, bytes, size, length))
    status = fail(err, FIL_BAD_FILE, "expected to read `%s`, but: %s", path,
                  systemText(errno).str());
  else if (fil_status bad = validateArtifactBytes(bytes, length, err))
    status = failIn(err, bad, path);
  free(bytes);
  return status;
}

static fil_status validateFile(const char *path, fil_error *err) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0)
    return fail(err, FIL_BAD_FILE, "expected to open `%s`, but: %s", path,
                systemText(errno).str());
  fil_status status = validateOpenFile(file, path, err);
  close(file);
  return status;
}

/// The dynamic loader searches its own folders for a name without a slash.
static void *loadFile(const char *path) {
  if (strchr(path, '/'))
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
  size_t bytes = strlen(path) + 3;
  auto *local = static_cast<char *>(malloc(bytes));
  if (!local)
    return nullptr;
  snprintf(local, bytes, "./%s", path);
  void *handle = dlopen(local, RTLD_NOW | RTLD_LOCAL);
  free(local);
  return handle;
}

//===----------------------------------------------------------------------===//
// Opening and closing
//===----------------------------------------------------------------------===//

/// Takes ownership of `handle` if it succeeds.
static fil_status makeLibrary(const fil_abi_table *table, void *handle,
                              fil_library **out_library, fil_error *err) {
  if (fil_status status = validateTable(table, err))
    return status;
  uint32_t count = table->kernel_count, cudas = 0;
  for (uint32_t i = 0; i < count; ++i)
    cudas += cudaCount(element(table->kernels, i)) ? 1 : 0;
  auto *memory = static_cast<fil_library *>(malloc(sizeof(fil_library)));
  auto *kernels = static_cast<fil_kernel *>(malloc(count * sizeof(fil_kernel)));
  auto *modules = static_cast<cuda::KernelModule *>(
      malloc((cudas ? cudas : 1) * sizeof(cuda::KernelModule)));
  if (!memory || !kernels || !modules) {
    free(memory);
    free(kernels);
    free(modules);
    return fail(err, FIL_NO_MEMORY,
                "expected memory for %u kernels, but got none", count);
  }
  auto *library = new (memory) fil_library{};
  library->table = table;
  library->handle = handle;
  library->kernels = kernels;
  library->modules = modules;
  library->kernelCount = count;
  library->isa = machineIsa();
  library->cpus = usableCpus();
  pthread_mutex_init(&library->poolLock, nullptr);
  pthread_mutex_init(&library->cudaLock, nullptr);
  for (uint32_t i = 0; i < count; ++i) {
    const fil_abi_kernel &abi = element(table->kernels, i);
    auto *module =
        cudaCount(abi) ? new (modules++) cuda::KernelModule{} : nullptr;
    kernels[i] = {&abi, library, module};
  }
  *out_library = library;
  return succeed(err);
}

extern "C" fil_status fil_open(const char *path, fil_library **out_library,
                               fil_error *err) {
  if (!path || !out_library)
    return fail(err, FIL_BAD_CALL, "expected a %s, but got null",
                path ? "place for the library" : "path");
  *out_library = nullptr;
  if (fil_status status = validateFile(path, err))
    return status;

  void *handle = loadFile(path);
  if (!handle) {
    const char *reason = dlerror();
    return fail(err, FIL_SYSTEM, "expected to load `%s`, but: %s", path,
                reason ? reason : "no memory");
  }
  auto *table =
      static_cast<const fil_abi_table *>(dlsym(handle, FIL_ABI_SYMBOL));
  fil_status status =
      table ? makeLibrary(table, handle, out_library, err)
            : fail(err, FIL_BAD_ARTIFACT,
                   "expected symbol `" FIL_ABI_SYMBOL "`, but found none");
  if (status == FIL_OK)
    return status;
  dlclose(handle);
  return failIn(err, status, path);
}

extern "C" fil_status fil_open_static(const fil_abi_table *table,
                                      fil_library **out_library,
                                      fil_error *err) {
  if (!out_library)
    return fail(err, FIL_BAD_CALL,
                "expected a place for the library, but got null");
  *out_library = nullptr;
  return makeLibrary(table, nullptr, out_library, err);
}

extern "C" void fil_close(fil_library *library) {
  if (!library)
    return;
  fil_pool_destroy(library->pool.load(std::memory_order_acquire));
  if (auto *driver = library->driver.load(std::memory_order_acquire)) {
    for (uint32_t i = 0; i < library->kernelCount; ++i)
      if (library->kernels[i].module)
        cuda::unload(*driver, *library->kernels[i].module);
    cuda::closeDriver(*driver);
    free(driver);
  }
  pthread_mutex_destroy(&library->poolLock);
  pthread_mutex_destroy(&library->cudaLock);
  if (library->handle)
    dlclose(library->handle);
  free(library->kernels);
  free(library->modules);
  library->~fil_library();
  free(library);
}

fil_status filigree::runtime::ownPool(fil_library &library, fil_pool *&pool,
                                      fil_error *err) {
  pool = library.pool.load(std::memory_order_acquire);
  if (pool)
    return FIL_OK;
  fil_status status = FIL_OK;
  pthread_mutex_lock(&library.poolLock);
  pool = library.pool.load(std::memory_order_relaxed);
  if (!pool) {
    fil_pool_options options = FIL_POOL_OPTIONS_INIT;
    options.threads = library.cpus < kMaxWorkers ? library.cpus : kMaxWorkers;
    status = fil_pool_create(&options, &pool, err);
    library.pool.store(pool, std::memory_order_release);
  }
  pthread_mutex_unlock(&library.poolLock);
  return status;
}

fil_status filigree::runtime::cudaDriver(fil_library &library,
                                         const cuda::Driver *&driver,
                                         fil_error *err) {
  driver = library.driver.load(std::memory_order_acquire);
  if (driver)
    return FIL_OK;
  fil_status status = FIL_OK;
  pthread_mutex_lock(&library.cudaLock);
  auto *opened = library.driver.load(std::memory_order_relaxed);
  if (!opened) {
    opened = static_cast<cuda::Driver *>(malloc(sizeof(cuda::Driver)));
    status = opened ? cuda::openDriver(*opened, err)
                    : fail(err, FIL_NO_MEMORY,
                           "expected memory for the cuda driver, but got none");
    if (status == FIL_OK)
      library.driver.store(opened, std::memory_order_release);
    else
      free(opened);
  }
  pthread_mutex_unlock(&library.cudaLock);
  driver = opened;
  return status;
}

//===----------------------------------------------------------------------===//
// Looking around
//===----------------------------------------------------------------------===//

extern "C" const char *fil_producer(const fil_library *library) {
  return library ? library->table->producer : "";
}

extern "C" uint32_t fil_kernel_count(const fil_library *library) {
  return library ? library->kernelCount : 0;
}

extern "C" const fil_kernel *fil_kernel_at(const fil_library *library,
                                           uint32_t index) {
  if (!library || index >= library->kernelCount)
    return nullptr;
  return &library->kernels[index];
}

static fil_status notFound(const fil_library &library, const char *name,
                           const char *variant, fil_error *err) {
  Text variants, names;
  const char *last = nullptr;
  for (uint32_t i = 0; i < library.kernelCount; ++i) {
    const fil_abi_kernel &kernel = *library.kernels[i].abi;
    if (strcmp(kernel.name, name) == 0)
      variants.append("%s`%s`", *variants.str() ? ", " : "", kernel.variant);
    if (!last || strcmp(last, kernel.name) != 0) // variants mostly adjoin
      names.append("%s`%s`", last ? ", " : "", kernel.name);
    last = kernel.name;
  }
  if (!*variants.str())
    return fail(err, FIL_NOT_FOUND, "expected one of kernels %s, but got `%s`",
                names.str(), name);
  if (variant)
    return fail(err, FIL_NOT_FOUND,
                "expected one of variants %s of kernel `%s`, but got `%s`",
                variants.str(), name, variant);
  return fail(err, FIL_NOT_FOUND,
              "expected a choice among variants %s of kernel `%s`, but got "
              "none",
              variants.str(), name);
}

extern "C" fil_status fil_find(const fil_library *library, const char *name,
                               const char *variant,
                               const fil_kernel **out_kernel, fil_error *err) {
  if (!library || !name || !out_kernel)
    return fail(err, FIL_BAD_CALL,
                "expected a library, a name and a place for the kernel, but "
                "got null");
  *out_kernel = nullptr;
  const fil_kernel *found = nullptr;
  uint32_t matches = 0;
  for (uint32_t i = 0; i < library->kernelCount; ++i) {
    const fil_abi_kernel &kernel = *library->kernels[i].abi;
    if (strcmp(kernel.name, name) != 0 ||
        (variant && strcmp(kernel.variant, variant) != 0))
      continue;
    found = &library->kernels[i];
    ++matches;
  }
  if (matches != 1)
    return notFound(*library, name, variant, err);
  *out_kernel = found;
  return succeed(err);
}

extern "C" const char *fil_kernel_name(const fil_kernel *kernel) {
  return kernel ? kernel->abi->name : "";
}

extern "C" const char *fil_kernel_variant(const fil_kernel *kernel) {
  return kernel ? kernel->abi->variant : "";
}

extern "C" uint32_t fil_kernel_arg_count(const fil_kernel *kernel) {
  return kernel ? kernel->abi->arg_count : 0;
}

extern "C" const char *fil_kernel_ir(const fil_kernel *kernel,
                                     size_t *out_bytes) {
  if (out_bytes)
    *out_bytes = kernel ? static_cast<size_t>(kernel->abi->ir_bytes) : 0;
  return kernel ? kernel->abi->ir : nullptr;
}

extern "C" fil_status fil_kernel_arg(const fil_kernel *kernel, uint32_t index,
                                     fil_arg_info *out_info, fil_error *err) {
  if (!kernel || !out_info)
    return fail(err, FIL_BAD_CALL,
                "expected a kernel and a place for the answer, but got null");
  if (out_info->size < sizeof(fil_arg_info))
    return fail(err, FIL_BAD_CALL,
                "expected fil_arg_info of size %zu, but got %u",
                sizeof(fil_arg_info), out_info->size);
  if (index >= kernel->abi->arg_count)
    return fail(err, FIL_BAD_CALL,
                "expected an argument index below %u, but got %u",
                kernel->abi->arg_count, index);

  const fil_abi_arg &arg = element(kernel->abi->args, index);
  uint32_t size = out_info->size;
  *out_info = FIL_ARG_INFO_INIT;
  out_info->size = size;
  out_info->kind = arg.kind;
  out_info->name = arg.name;
  out_info->dtype = arg.dtype;
  out_info->optional = (arg.flags & FIL_ABI_ARG_OPTIONAL) != 0;
  for (int d = 0; d < 4; ++d)
    out_info->extent[d] = 1;
  if (isScalar(arg)) {
    out_info->min = arg.min;
    out_info->max = arg.max;
    out_info->has_preset = arg.has_preset != 0;
    out_info->preset = arg.preset;
    if (arg.dtype == FIL_ABI_F32) {
      auto bits = static_cast<uint32_t>(arg.preset);
      float value;
      memcpy(&value, &bits, sizeof(value));
      out_info->preset_float = static_cast<double>(value);
    }
    return succeed(err);
  }
  out_info->rank = arg.rank;
  out_info->leading_optional = (arg.flags & FIL_ABI_LEADING_OPTIONAL) != 0;
  out_info->may_broadcast = (arg.flags & FIL_ABI_MAY_BROADCAST) != 0;
  for (uint32_t d = 0; d < arg.rank; ++d) {
    int32_t symbol = arg.dim[d].symbol;
    out_info->symbol[d] = symbol < 0 ? nullptr : kernel->abi->dims[symbol];
    out_info->extent[d] = symbol < 0 ? arg.dim[d].extent : -1;
  }
  return succeed(err);
}
