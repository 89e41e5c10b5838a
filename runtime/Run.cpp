//===- Run.cpp - fil_run and the questions about a run --------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Options, then arguments, then plan, then workspace: everything is checked
// before the first unit runs, and nothing is allocated on the way. Where the
// tensors are decides where the run takes place: here, or in cuda/Launch.cpp.
//
//===----------------------------------------------------------------------===//
#include "runtime/ArgumentCheck.h"
#include "runtime/Launch.h"
#include "runtime/Library.h"
#include "runtime/Status.h"
#include "runtime/ThreadPool.h"
#include "runtime/cuda/Launch.h"

#include <cinttypes>
#include <cstring>

using namespace filigree::runtime;

static fil_status readOptions(const fil_library &library,
                              const fil_options *given, RunOptions &options,
                              fil_error *err) {
  fil_options chosen = FIL_OPTIONS_INIT;
  if (given) {
    // A caller of an older header has no stream, one of a newer header more
    // than is known here.
    constexpr size_t first = offsetof(fil_options, stream);
    if (given->size < first)
      return fail(err, FIL_BAD_CALL,
                  "expected fil_options of size %zu, but got %u", first,
                  given->size);
    memcpy(&chosen, given,
           given->size < sizeof(chosen) ? given->size : sizeof(chosen));
  }
  if (chosen.isa > FIL_ISA_AVX512)
    return fail(err, FIL_BAD_CALL, "expected option isa of 0 to 3, but got %u",
                chosen.isa);
  if (chosen.worker_limit > kMaxWorkers)
    return fail(err, FIL_BAD_CALL,
                "expected option worker_limit of at most %u, but got %u",
                kMaxWorkers, chosen.worker_limit);

  options.isa = library.isa;
  if (chosen.isa != FIL_ISA_AUTO && chosen.isa - FIL_ISA_BASELINE < options.isa)
    options.isa = chosen.isa - FIL_ISA_BASELINE;
  options.parallelFor = chosen.parallel_for;
  options.context = chosen.parallel_for_ctx;
  options.workerLimit = chosen.worker_limit;
  if (options.workerLimit == 0) {
    uint32_t cpus = library.cpus < kMaxWorkers ? library.cpus : kMaxWorkers;
    options.workerLimit =
        options.parallelFor == fil_pool_parallel_for
            ? fil_pool_threads(static_cast<fil_pool *>(options.context))
            : cpus;
  }
  options.checked = chosen.checked != 0;
  options.status = chosen.status;
  options.stream = chosen.stream;
  options.allowJit = chosen.allow_jit != 0;
  return FIL_OK;
}

extern "C" fil_status fil_workspace(const fil_kernel *kernel,
                                    const fil_arg *args, uint32_t arg_count,
                                    const fil_options *options,
                                    size_t *out_bytes, fil_error *err) {
  if (!kernel || !out_bytes)
    return fail(err, FIL_BAD_CALL,
                "expected a kernel and a place for the size, but got null");
  *out_bytes = 0;
  RunOptions chosen;
  if (fil_status status = readOptions(*kernel->library, options, chosen, err))
    return status;
  BoundArguments bound;
  if (fil_status status = checkArguments(*kernel->abi, args, arg_count,
                                         CheckMode::Query, bound, err))
    return status;
  if (bound.device.device_type == kDLCUDA) {
    if (fil_status status =
            cuda::workspaceBytes(*kernel, bound, chosen, *out_bytes, err))
      return status;
    return succeed(err);
  }
  Plan plan;
  if (fil_status status = planRun(*kernel->abi, bound.slots, chosen, plan, err))
    return status;
  *out_bytes = plan.bytes;
  return succeed(err);
}

extern "C" fil_status fil_infer_shape(const fil_kernel *kernel,
                                      const fil_arg *args, uint32_t arg_count,
                                      const char *name, int64_t out_shape[4],
                                      uint32_t *out_rank, fil_error *err) {
  if (!kernel || !name || !out_shape || !out_rank)
    return fail(err, FIL_BAD_CALL,
                "expected a kernel, a name and places for shape and rank, but "
                "got null");
  *out_rank = 0;
  const fil_abi_kernel &abi = *kernel->abi;
  const fil_abi_arg *wanted = nullptr;
  for (uint32_t i = 0; i < abi.arg_count; ++i)
    if (strcmp(element(abi.args, i).name, name) == 0)
      wanted = &element(abi.args, i);
  if (!wanted || isScalar(*wanted))
    return fail(err, FIL_NOT_FOUND,
                "expected a tensor argument of kernel `%s`, but got `%s`",
                abi.name, name);

  BoundArguments bound;
  if (fil_status status =
          checkArguments(abi, args, arg_count, CheckMode::Infer, bound, err))
    return status;
  bool dropped =
      bound.leadingDropped && (wanted->flags & FIL_ABI_LEADING_OPTIONAL);
  uint32_t rank = 0;
  for (uint32_t d = dropped ? 1 : 0; d < wanted->rank; ++d) {
    int32_t symbol = wanted->dim[d].symbol;
    int64_t extent = symbol < 0 ? wanted->dim[d].extent : bound.dim(symbol);
    if (extent == kUnbound)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected arguments that determine extent %s of `%s`, but "
                  "none has it",
                  abi.dims[symbol], name);
    out_shape[rank++] = extent;
  }
  *out_rank = rank;
  return succeed(err);
}

static fil_status checkWorkspace(const fil_kernel &kernel, const Plan &plan,
                                 const void *workspace, size_t bytes,
                                 fil_error *err) {
  if (plan.bytes == 0)
    return FIL_OK;
  if (!workspace)
    return fail(err, FIL_BAD_WORKSPACE,
                "expected a workspace of %zu bytes for kernel `%s`, but got "
                "null",
                plan.bytes, kernel.abi->name);
  if (bytes < plan.bytes)
    return fail(err, FIL_BAD_WORKSPACE,
                "expected a workspace of %zu bytes for kernel `%s`, but got "
                "%zu",
                plan.bytes, kernel.abi->name, bytes);
  auto past = reinterpret_cast<uintptr_t>(workspace) % 64;
  if (past != 0)
    return fail(err, FIL_BAD_WORKSPACE,
                "expected a workspace aligned to 64 bytes, but its address is "
                "%zu bytes past that",
                static_cast<size_t>(past));
  return FIL_OK;
}

/// In checked mode a bad entry is an error of the run.
static fil_status reportEntry(const fil_kernel &kernel,
                              const fil_status_word &word,
                              const RunOptions &options, fil_error *err) {
  if (word.code == FIL_ABI_OK)
    return succeed(err);
  if (options.status && options.status->code == FIL_ABI_OK)
    *options.status = word;
  char text[256];
  fil_status_text(&word, text, sizeof(text));
  return fail(err, FIL_BAD_INDEX, "kernel `%s` dropped a bad entry: %s",
              kernel.abi->name, text);
}

extern "C" fil_status fil_run(const fil_kernel *kernel, const fil_arg *args,
                              uint32_t arg_count, const fil_options *options,
                              void *workspace, size_t workspace_bytes,
                              fil_error *err) {
  if (!kernel)
    return fail(err, FIL_BAD_CALL, "expected a kernel, but got null");
  RunOptions chosen;
  if (fil_status status = readOptions(*kernel->library, options, chosen, err))
    return status;
  BoundArguments bound;
  if (fil_status status = checkArguments(*kernel->abi, args, arg_count,
                                         CheckMode::Run, bound, err))
    return status;
  if (bound.device.device_type == kDLCUDA)
    return cuda::run(*kernel, bound, chosen, workspace, workspace_bytes, err);

  // A checked run reports what it met itself, not what an earlier run left in
  // the caller's word.
  fil_status_word own = {0, 0, 0, 0, 0};
  fil_status_word *word = chosen.checked ? &own : chosen.status;
  bound.slots[FIL_ABI_SLOT_STATUS] = reinterpret_cast<int64_t>(word);

  Plan plan;
  if (fil_status status = planRun(*kernel->abi, bound.slots, chosen, plan, err))
    return status;
  if (fil_status status =
          checkWorkspace(*kernel, plan, workspace, workspace_bytes, err))
    return status;
  if (plan.workers > 1 && !chosen.parallelFor) {
    chosen.parallelFor = fil_pool_parallel_for;
    fil_pool *pool;
    if (fil_status status = ownPool(*kernel->library, pool, err))
      return status;
    chosen.context = pool;
  }

  runPlan(plan, bound.slots, chosen, workspace);
  return reportEntry(*kernel, own, chosen, err);
}

extern "C" fil_status fil_prepare(const fil_kernel *kernel,
                                  const fil_options *options, fil_error *err) {
  if (!kernel)
    return fail(err, FIL_BAD_CALL, "expected a kernel, but got null");
  RunOptions chosen;
  if (fil_status status = readOptions(*kernel->library, options, chosen, err))
    return status;
  if (fil_status status = cuda::prepareCurrent(*kernel, chosen, err))
    return status;
  return succeed(err);
}

extern "C" fil_status fil_cuda_code(const fil_kernel *kernel, int32_t device,
                                    const fil_options *options,
                                    fil_cuda_info *out_info, fil_error *err) {
  if (!kernel || !out_info)
    return fail(err, FIL_BAD_CALL,
                "expected a kernel and a place for the answer, but got null");
  if (out_info->size < sizeof(fil_cuda_info))
    return fail(err, FIL_BAD_CALL,
                "expected fil_cuda_info of size %zu, but got %u",
                sizeof(fil_cuda_info), out_info->size);
  RunOptions chosen;
  if (fil_status status = readOptions(*kernel->library, options, chosen, err))
    return status;
  const cuda::Driver *driver;
  if (fil_status status = cuda::checkHasCode(*kernel->abi, err))
    return status;
  if (fil_status status = cudaDriver(*kernel->library, driver, err))
    return status;
  cuda::DeviceInfo info;
  if (fil_status status = cuda::describeDevice(*driver, device, info, err))
    return status;
  cuda::Choice choice;
  if (fil_status status =
          cuda::chooseCode(*kernel->abi, info, chosen.allowJit, choice, err))
    return status;
  out_info->device_arch = info.arch;
  out_info->multiprocessors = static_cast<uint32_t>(info.multiprocessors);
  out_info->code_arch = choice.code->arch;
  out_info->exact = (choice.code->arch_flags & FIL_ABI_CUDA_EXACT) != 0;
  out_info->jit = choice.jit;
  return succeed(err);
}
