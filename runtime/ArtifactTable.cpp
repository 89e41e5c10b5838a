//===- ArtifactTable.cpp - the checks of an artifact's table --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A table that fails here was written by a broken or newer compiler: the file
// itself was intact. Each sentence names the kernel and the member.
//
//===----------------------------------------------------------------------===//
#include "runtime/ArtifactTable.h"

#include "runtime/Status.h"
#include "runtime/TensorCheck.h"

#include <cinttypes>
#include <cstring>

namespace filigree::runtime {
namespace {

/// Checks one kernel; `label` is "kernel 3" until its names are known to be
/// strings, then "kernel `window_sink` variant `d128_f32`".
class KernelCheck {
public:
  KernelCheck(const fil_abi_kernel &kernel, uint32_t index, fil_error *err)
      : kernel(kernel), err(err) {
    label.append("kernel %u", index);
  }

  fil_status run() {
    if (fil_status status = checkHeader())
      return status;
    if (fil_status status = checkDims())
      return status;
    if (fil_status status = checkArgs())
      return status;
    if (fil_status status = checkRelations())
      return status;
    if (fil_status status = checkLearnable())
      return status;
    if (fil_status status = checkCpus())
      return status;
    return checkCudas();
  }

private:
  fil_status checkHeader();
  fil_status checkDims();
  fil_status checkArgs();
  fil_status checkTensorArg(const fil_abi_arg &arg);
  fil_status checkScalarArg(const fil_abi_arg &arg);
  fil_status checkRelations();
  fil_status checkLearnable();
  fil_status checkCpus();
  fil_status checkPhases(const fil_abi_cpu &cpu);
  fil_status checkCudas();
  fil_status checkLaunches(const fil_abi_cuda &cuda);
  fil_status checkTensorMap(const fil_abi_tensor_map &map);

  const fil_abi_kernel &kernel;
  fil_error *err;
  Text label;
  bool slotTaken[kMaxSlots] = {};
  bool dimLearnable[kMaxDims] = {};
};

} // namespace

/// Of a kernel in ABI 1.0.
static constexpr size_t kFirstKernelBytes =
    offsetof(fil_abi_kernel, cuda_count);

/// Of a launch in ABI 1.2.
static constexpr size_t kFirstLaunchBytes = offsetof(fil_abi_launch, image);

/// An array's elements all have the size of the first, which is at least what
/// the struct had when it was new.
template <typename T>
static fil_status checkSizes(const T *array, uint32_t count, const char *what,
                             const char *where, fil_error *err,
                             size_t least = sizeof(T)) {
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t size = i == 0 ? array->size : element(array, i).size;
    if (size < least || size > kMaxStructBytes || size % alignof(T) != 0)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected %s %u of %s to have size %zu, but found %u", what,
                  i, where, least, size);
    if (size != array->size)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected %s %u of %s to have the first one's size %u, but "
                  "found %u",
                  what, i, where, array->size, size);
  }
  return FIL_OK;
}

static bool isName(const char *text) { return text && *text; }

fil_status KernelCheck::checkHeader() {
  if (!isName(kernel.name) || !kernel.variant)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected %s to have a name and a variant, but found none",
                label.str());
  label = Text();
  label.append("kernel `%.64s` variant `%.64s`", kernel.name, kernel.variant);

  struct {
    const char *what;
    uint32_t count, limit;
    const void *array;
  } arrays[] = {
      {"dims", kernel.dim_count, kMaxDims, kernel.dims},
      {"args", kernel.arg_count, kMaxArgs, kernel.args},
      {"relations", kernel.relation_count, kMaxRelations, kernel.relations},
      {"cpu codes", kernel.cpu_count, kMaxCpus, kernel.cpu},
      {"cuda codes", cudaCount(kernel), kMaxCudas,
       cudaCount(kernel) ? kernel.cuda : nullptr},
  };
  for (auto &array : arrays) {
    if (array.count > array.limit)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected at most %u %s in %s, but found %u", array.limit,
                  array.what, label.str(), array.count);
    if (array.count != 0 && !array.array)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected an array of %u %s in %s, but found null",
                  array.count, array.what, label.str());
  }
  if (kernel.slot_count < FIL_ABI_SLOT_DIMS + kernel.dim_count ||
      kernel.slot_count > kMaxSlots)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected %u to %u slots in %s, but found %u",
                FIL_ABI_SLOT_DIMS + kernel.dim_count, kMaxSlots, label.str(),
                kernel.slot_count);
  if (!kernel.ir && kernel.ir_bytes != 0)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected %" PRIu64 " bytes of ir in %s, but found null",
                kernel.ir_bytes, label.str());
  return FIL_OK;
}

fil_status KernelCheck::checkDims() {
  for (uint32_t i = 0; i < kernel.dim_count; ++i) {
    if (!isName(kernel.dims[i]))
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected dim %u of %s to have a name, but found none", i,
                  label.str());
    for (uint32_t j = 0; j < i; ++j)
      if (strcmp(kernel.dims[i], kernel.dims[j]) == 0)
        return fail(err, FIL_BAD_ARTIFACT,
                    "expected unique dims in %s, but found `%.64s` twice",
                    label.str(), kernel.dims[i]);
  }
  return FIL_OK;
}

fil_status KernelCheck::checkArgs() {
  if (fil_status status =
          checkSizes(kernel.args, kernel.arg_count, "arg", label.str(), err))
    return status;
  for (uint32_t i = 0; i < FIL_ABI_SLOT_DIMS + kernel.dim_count; ++i)
    slotTaken[i] = true;

  bool sawOutput = false;
  for (uint32_t i = 0; i < kernel.arg_count; ++i) {
    const fil_abi_arg &arg = element(kernel.args, i);
    if (!isName(arg.name))
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected arg %u of %s to have a name, but found none", i,
                  label.str());
    for (uint32_t j = 0; j < i; ++j)
      if (strcmp(arg.name, element(kernel.args, j).name) == 0)
        return fail(err, FIL_BAD_ARTIFACT,
                    "expected unique args in %s, but found `%.64s` twice",
                    label.str(), arg.name);
    if (arg.kind < FIL_ABI_INPUT || arg.kind > FIL_ABI_SCALAR)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected arg `%.64s` of %s to have kind 1 to 3, but found "
                  "%u",
                  arg.name, label.str(), arg.kind);
    // Inputs bind dimensions first, so that it is the output which is called
    // wrong when both disagree.
    if (sawOutput && arg.kind != FIL_ABI_OUTPUT)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected outputs last in %s, but found `%.64s` after one",
                  label.str(), arg.name);
    sawOutput |= arg.kind == FIL_ABI_OUTPUT;
    if (fil_status status =
            isScalar(arg) ? checkScalarArg(arg) : checkTensorArg(arg))
      return status;

    uint32_t slots = isScalar(arg) ? 1 : FIL_ABI_TENSOR_SLOTS;
    if (arg.slot > kernel.slot_count || kernel.slot_count - arg.slot < slots)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected slots of arg `%.64s` of %s below %u, but found %u "
                  "from %u",
                  arg.name, label.str(), kernel.slot_count, slots, arg.slot);
    for (uint32_t s = arg.slot; s < arg.slot + slots; ++s) {
      if (slotTaken[s])
        return fail(err, FIL_BAD_ARTIFACT,
                    "expected disjoint slots in %s, but arg `%.64s` shares "
                    "slot %u",
                    label.str(), arg.name, s);
      slotTaken[s] = true;
    }
  }
  return FIL_OK;
}

fil_status KernelCheck::checkTensorArg(const fil_abi_arg &arg) {
  if (arg.dtype < FIL_ABI_F32 || arg.dtype > FIL_ABI_F64)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected arg `%.64s` of %s to have dtype 1 to 6, but found "
                "%u",
                arg.name, label.str(), arg.dtype);
  uint32_t lowest = arg.flags & FIL_ABI_LEADING_OPTIONAL ? 2 : 1;
  if (arg.rank < lowest || arg.rank > 4)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected arg `%.64s` of %s to have rank %u to 4, but found %u",
                arg.name, label.str(), lowest, arg.rank);
  if (arg.alignment > 4096 || (arg.alignment & (arg.alignment - 1)) != 0)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected arg `%.64s` of %s to have a power of two up to 4096 "
                "as alignment, but found %u",
                arg.name, label.str(), arg.alignment);
  if (arg.kind == FIL_ABI_OUTPUT && (arg.flags & FIL_ABI_MAY_BROADCAST))
    return fail(err, FIL_BAD_ARTIFACT,
                "expected output `%.64s` of %s without broadcasting, but it "
                "may broadcast",
                arg.name, label.str());
  for (uint32_t d = 0; d < arg.rank; ++d) {
    const fil_abi_dim &dim = arg.dim[d];
    if (dim.symbol < -1 || dim.symbol >= static_cast<int64_t>(kernel.dim_count))
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected dimension %u of arg `%.64s` of %s to have symbol "
                  "-1 to %" PRId64 ", but found %d",
                  d, arg.name, label.str(),
                  static_cast<int64_t>(kernel.dim_count) - 1, dim.symbol);
    if (dim.symbol == -1 && dim.extent < 1)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected dimension %u of arg `%.64s` of %s to have a "
                  "positive extent, but found %d",
                  d, arg.name, label.str(), dim.extent);
    if (dim.symbol >= 0)
      dimLearnable[dim.symbol] = true;
  }
  return FIL_OK;
}

fil_status KernelCheck::checkScalarArg(const fil_abi_arg &arg) {
  if (arg.dtype != FIL_ABI_I64 && arg.dtype != FIL_ABI_F32)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected scalar `%.64s` of %s to have dtype i64 or f32, but "
                "found %u",
                arg.name, label.str(), arg.dtype);
  if (arg.dtype == FIL_ABI_I64 && arg.min > arg.max)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected scalar `%.64s` of %s to have ascending bounds, but "
                "found %" PRId64 " > %" PRId64,
                arg.name, label.str(), arg.min, arg.max);
  return FIL_OK;
}

fil_status KernelCheck::checkRelations() {
  if (fil_status status = checkSizes(kernel.relations, kernel.relation_count,
                                     "relation", label.str(), err))
    return status;
  auto isDim = [&](int32_t index) {
    return index >= 0 && static_cast<uint32_t>(index) < kernel.dim_count;
  };
  for (uint32_t i = 0; i < kernel.relation_count; ++i) {
    const fil_abi_relation &relation = element(kernel.relations, i);
    if (relation.kind < FIL_ABI_MULTIPLE || relation.kind > FIL_ABI_CEIL_DIV)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected relation %u of %s to have kind 1 to 4, but found "
                  "%u",
                  i, label.str(), relation.kind);
    if (!isDim(relation.a) || !isDim(relation.b))
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected relation %u of %s to name dims below %u, but found "
                  "%d and %d",
                  i, label.str(), kernel.dim_count, relation.a, relation.b);
    bool goodC = true;
    if (relation.kind == FIL_ABI_ONE_OF)
      goodC = relation.c == -1 || isDim(relation.c);
    if (relation.kind == FIL_ABI_CEIL_DIV)
      goodC = relation.c >= 1;
    if (!goodC)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected relation %u of %s to have a valid third operand, "
                  "but found %d",
                  i, label.str(), relation.c);
  }
  return FIL_OK;
}

// A dimension that no tensor has must follow from one that some tensor has.
fil_status KernelCheck::checkLearnable() {
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t i = 0; i < kernel.relation_count; ++i) {
      const fil_abi_relation &relation = element(kernel.relations, i);
      if ((relation.kind == FIL_ABI_EQUAL_PLUS ||
           relation.kind == FIL_ABI_CEIL_DIV) &&
          dimLearnable[relation.b] && !dimLearnable[relation.a])
        changed = dimLearnable[relation.a] = true;
    }
  }
  for (uint32_t i = 0; i < kernel.dim_count; ++i)
    if (!dimLearnable[i])
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected dim `%.64s` of %s to follow from an argument, but "
                  "none has it",
                  kernel.dims[i], label.str());
  return FIL_OK;
}

fil_status KernelCheck::checkCpus() {
  if (fil_status status = checkSizes(kernel.cpu, kernel.cpu_count, "cpu code",
                                     label.str(), err))
    return status;
  for (uint32_t i = 0; i < kernel.cpu_count; ++i) {
    const fil_abi_cpu &cpu = element(kernel.cpu, i);
    if (cpu.isa > FIL_ABI_CPU_AVX512)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected cpu code %u of %s to have isa 0 to 2, but found %u",
                  i, label.str(), cpu.isa);
    if (i > 0 && element(kernel.cpu, i - 1).isa >= cpu.isa)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected cpu codes of %s with ascending isa, but found %u "
                  "after %u",
                  label.str(), cpu.isa, element(kernel.cpu, i - 1).isa);
    if (!cpu.scratch_bytes || !cpu.shared_bytes)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected cpu code %u of %s to state its workspace, but "
                  "found null",
                  i, label.str());
    if (fil_status status = checkPhases(cpu))
      return status;
  }
  return FIL_OK;
}

fil_status KernelCheck::checkPhases(const fil_abi_cpu &cpu) {
  if (cpu.phase_count < 1 || cpu.phase_count > kMaxPhases || !cpu.phases)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected 1 to %u phases in %s, but found %u%s", kMaxPhases,
                label.str(), cpu.phase_count, cpu.phases ? "" : " at null");
  if (fil_status status =
          checkSizes(cpu.phases, cpu.phase_count, "phase", label.str(), err))
    return status;
  for (uint32_t i = 0; i < cpu.phase_count; ++i) {
    const fil_abi_phase &phase = element(cpu.phases, i);
    if (!phase.units || !phase.run)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected phase %u of %s to have functions, but found null",
                  i, label.str());
  }
  return FIL_OK;
}

fil_status KernelCheck::checkCudas() {
  uint32_t count = cudaCount(kernel);
  if (count == 0)
    return FIL_OK;
  if (fil_status status =
          checkSizes(kernel.cuda, count, "cuda code", label.str(), err))
    return status;
  for (uint32_t i = 0; i < count; ++i) {
    const fil_abi_cuda &cuda = element(kernel.cuda, i);
    if (cuda.arch < 10 || cuda.arch > 999)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected cuda code %u of %s to have arch 10 to 999, but "
                  "found %u",
                  i, label.str(), cuda.arch);
    if (cuda.arch_flags & ~uint32_t(FIL_ABI_CUDA_EXACT))
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected cuda code %u of %s to have known arch flags, but "
                  "found %#x",
                  i, label.str(), cuda.arch_flags);
    if (i > 0 && element(kernel.cuda, i - 1).arch >= cuda.arch)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected cuda codes of %s with ascending arch, but found %u "
                  "after %u",
                  label.str(), cuda.arch, element(kernel.cuda, i - 1).arch);
    bool hasImage = cuda.image && cuda.image_bytes;
    bool hasPtx = cuda.ptx && cuda.ptx_bytes;
    if ((!cuda.image && cuda.image_bytes) || (!cuda.ptx && cuda.ptx_bytes) ||
        (!hasImage && !hasPtx))
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected cuda code %u of %s to have an image or ptx, but "
                  "found null",
                  i, label.str());
    if (hasPtx && cuda.ptx[cuda.ptx_bytes] != 0)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected the ptx of cuda code %u of %s to end with 0, but "
                  "it goes on",
                  i, label.str());
    if (!cuda.workspace_bytes)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected cuda code %u of %s to state its workspace, but "
                  "found null",
                  i, label.str());
    if (fil_status status = checkLaunches(cuda))
      return status;
  }
  return FIL_OK;
}

static_assert(kMaxTensorMaps * FIL_ABI_TENSOR_MAP_BYTES +
                      (kMaxSlots + 2 + FIL_ABI_PLAN_WORDS) * 8 <=
                  kMaxParameterBytes,
              "no valid table exceeds what a launch can be passed");

fil_status KernelCheck::checkLaunches(const fil_abi_cuda &cuda) {
  if (cuda.launch_count < 1 || cuda.launch_count > kMaxLaunches ||
      !cuda.launches)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected 1 to %u launches in %s, but found %u%s", kMaxLaunches,
                label.str(), cuda.launch_count,
                cuda.launches ? "" : " at null");
  if (fil_status status = checkSizes(cuda.launches, cuda.launch_count, "launch",
                                     label.str(), err, kFirstLaunchBytes))
    return status;
  uint32_t maps = 0;
  for (uint32_t i = 0; i < cuda.launch_count; ++i) {
    const fil_abi_launch &launch = element(cuda.launches, i);
    if (!isName(launch.function) || !launch.units)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected launch %u of %s to have functions, but found null",
                  i, label.str());
    if (planCount(launch) > FIL_ABI_PLAN_WORDS ||
        (planCount(launch) && !launch.plan))
      return fail(
          err, FIL_BAD_ARTIFACT,
          "expected launch %u of %s to have a plan of at most %d words, "
          "but found %u%s",
          i, label.str(), int(FIL_ABI_PLAN_WORDS), planCount(launch),
          launch.plan ? "" : " at null");
    if (launch.size >= offsetof(fil_abi_launch, plan) &&
        (!launch.image != !launch.image_bytes || (launch.image && !cuda.image)))
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected launch %u of %s to have an image beside that of "
                  "its code or none, but found %llu bytes%s",
                  i, label.str(), (unsigned long long)launch.image_bytes,
                  launch.image ? "" : " at null");
    if (launch.threads < 32 || launch.threads > 1024 || launch.threads % 32)
      return fail(
          err, FIL_BAD_ARTIFACT,
          "expected launch %u of %s to have 32 to 1024 threads in whole "
          "warps, but found %u",
          i, label.str(), launch.threads);
    if (launch.ctas_per_sm < 1 || launch.ctas_per_sm > 64)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected launch %u of %s to have 1 to 64 ctas per "
                  "multiprocessor, but found %u",
                  i, label.str(), launch.ctas_per_sm);
    if (launch.shared_bytes > (1u << 20) ||
        (launch.flags &
         ~uint32_t(FIL_ABI_LAUNCH_PERSISTENT | FIL_ABI_LAUNCH_ZEROED |
                   FIL_ABI_LAUNCH_ZEROED_DRAWN | FIL_ABI_LAUNCH_FOLLOWS)))
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected launch %u of %s to have at most 2^20 shared bytes "
                  "and known flags, but found %u and %#x",
                  i, label.str(), launch.shared_bytes, launch.flags);
    if (launch.tensor_map_count > kMaxTensorMaps - maps)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected at most %u tensor maps in %s, but launch %u has "
                  "number %u",
                  kMaxTensorMaps, label.str(), i, kMaxTensorMaps + 1);
    maps += launch.tensor_map_count;
    if (launch.tensor_map_count && !launch.tensor_maps)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected %u tensor maps in launch %u of %s, but found null",
                  launch.tensor_map_count, i, label.str());
    if (launch.tensor_map_count)
      if (fil_status status =
              checkSizes(launch.tensor_maps, launch.tensor_map_count,
                         "tensor map", label.str(), err))
        return status;
    for (uint32_t m = 0; m < launch.tensor_map_count; ++m)
      if (fil_status status = checkTensorMap(element(launch.tensor_maps, m)))
        return status;
  }
  return FIL_OK;
}

fil_status KernelCheck::checkTensorMap(const fil_abi_tensor_map &map) {
  if (map.arg >= kernel.arg_count || isScalar(element(kernel.args, map.arg)))
    return fail(err, FIL_BAD_ARTIFACT,
                "expected a tensor map of %s to name a tensor, but found arg "
                "%u",
                label.str(), map.arg);
  const fil_abi_arg &arg = element(kernel.args, map.arg);
  for (uint32_t axis = 0; axis < 4; ++axis) {
    uint32_t most = axis + arg.rank < 4 ? 1 : 256;
    if (map.box[axis] < 1 || map.box[axis] > most)
      return fail(err, FIL_BAD_ARTIFACT,
                  "expected axis %u of the tensor map of `%.64s` of %s to have "
                  "a box of 1 to %u, but found %u",
                  axis, arg.name, label.str(), most, map.box[axis]);
  }
  if (map.swizzle != 0 && map.swizzle != 32 && map.swizzle != 64 &&
      map.swizzle != 128)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected the tensor map of `%.64s` of %s to have swizzle 0, "
                "32, 64 or 128, but found %u",
                arg.name, label.str(), map.swizzle);
  uint32_t row = map.box[3] * bytesOf(arg.dtype);
  if (row % 16 != 0 || (map.swizzle && row > map.swizzle))
    return fail(err, FIL_BAD_ARTIFACT,
                "expected rows of the tensor map of `%.64s` of %s to be a "
                "multiple of 16 bytes within swizzle %u, but found %u",
                arg.name, label.str(), map.swizzle, row);
  if (map.flags != 0)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected the tensor map of `%.64s` of %s to have flags 0, but "
                "found %#x",
                arg.name, label.str(), map.flags);
  return FIL_OK;
}

fil_status validateTable(const fil_abi_table *table, fil_error *err) {
  if (!table)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected an artifact table, but found null");
  if (table->magic != FIL_ABI_MAGIC)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected table magic %016" PRIx64 ", but found %016" PRIx64,
                static_cast<uint64_t>(FIL_ABI_MAGIC), table->magic);
  if (table->abi_major != FIL_ABI_MAJOR || table->abi_minor > FIL_ABI_MINOR)
    return fail(err, FIL_BAD_VERSION,
                "expected artifact abi %u.%u or lower minor, but found %u.%u",
                FIL_ABI_MAJOR, FIL_ABI_MINOR, table->abi_major,
                table->abi_minor);
  if (table->size < sizeof(fil_abi_table))
    return fail(err, FIL_BAD_ARTIFACT,
                "expected the table to have size %zu, but found %u",
                sizeof(fil_abi_table), table->size);
  if (!table->producer)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected the table to name its producer, but found null");
  if (table->kernel_count < 1 || table->kernel_count > kMaxKernels ||
      !table->kernels)
    return fail(err, FIL_BAD_ARTIFACT,
                "expected 1 to %u kernels, but found %u%s", kMaxKernels,
                table->kernel_count, table->kernels ? "" : " at null");
  if (fil_status status =
          checkSizes(table->kernels, table->kernel_count, "kernel", "the table",
                     err, kFirstKernelBytes))
    return status;

  for (uint32_t i = 0; i < table->kernel_count; ++i) {
    const fil_abi_kernel &kernel = element(table->kernels, i);
    if (fil_status status = KernelCheck(kernel, i, err).run())
      return status;
    for (uint32_t j = 0; j < i; ++j) {
      const fil_abi_kernel &other = element(table->kernels, j);
      if (strcmp(kernel.name, other.name) == 0 &&
          strcmp(kernel.variant, other.variant) == 0)
        return fail(err, FIL_BAD_ARTIFACT,
                    "expected unique kernels, but found `%.64s` variant "
                    "`%.64s` twice",
                    kernel.name, kernel.variant);
    }
  }
  return FIL_OK;
}

} // namespace filigree::runtime
