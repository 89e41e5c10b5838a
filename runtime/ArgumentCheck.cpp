//===- ArgumentCheck.cpp - names, extents, relations, scalars, slots ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One object per run, on the stack; loops over at most kMaxArgs arguments, so
// that a run of a small kernel stays within a microsecond or two.
//
//===----------------------------------------------------------------------===//
#include "runtime/ArgumentCheck.h"

#include "runtime/Status.h"
#include "runtime/TensorCheck.h"

#include <cinttypes>
#include <cstring>

namespace filigree::runtime {
namespace {

class ArgumentCheck {
public:
  ArgumentCheck(const fil_abi_kernel &kernel, const fil_arg *args,
                uint32_t argCount, CheckMode mode, BoundArguments &bound,
                fil_error *err)
      : kernel(kernel), args(args), argCount(argCount), mode(mode),
        bound(bound), err(err) {}

  fil_status run();

private:
  fil_status matchNames();
  fil_status viewTensors();
  fil_status placeTensor(const fil_abi_arg &arg, DLDevice device);
  fil_status bindExtents();
  fil_status bindDim(const fil_abi_arg &arg, uint32_t d, int64_t extent);
  fil_status checkMagnitudes();
  void learnBackwards();
  void learnFromRelations();
  fil_status checkRelations();
  fil_status checkBounds(const fil_abi_arg &arg, int64_t value);
  fil_status checkScalars();
  fil_status checkOverlaps();
  void fillTensorSlots();

  const fil_abi_arg &argAt(uint32_t i) const { return element(kernel.args, i); }
  fil_status missing(const fil_abi_arg &arg);
  Text describe(int32_t symbol);

  const fil_abi_kernel &kernel;
  const fil_arg *args;
  uint32_t argCount;
  CheckMode mode;
  BoundArguments &bound;
  fil_error *err;
  View views[kMaxArgs];           // of present tensors
  const char *placedBy = nullptr; // the argument that the device came from
};

/// Dimension d of a present argument whose extent 1 stands for any extent.
bool isStretched(const fil_abi_arg &arg, const View &view, uint32_t d) {
  return (arg.flags & FIL_ABI_MAY_BROADCAST) && view.extent[d] == 1;
}

} // namespace

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

static const char *kindName(uint32_t kind) {
  switch (kind) {
  case FIL_TENSOR:
    return "a tensor";
  case FIL_INT:
    return "an integer";
  case FIL_FLOAT:
    return "a float";
  }
  return "a value of unknown kind";
}

fil_status ArgumentCheck::missing(const fil_abi_arg &arg) {
  return fail(err, FIL_BAD_ARGUMENT,
              "expected argument `%s` for kernel `%s`, but got none", arg.name,
              kernel.name);
}

fil_status ArgumentCheck::matchNames() {
  if (argCount > 0 && !args)
    return fail(err, FIL_BAD_CALL, "expected %u arguments, but got null",
                argCount);
  for (uint32_t i = 0; i < kernel.arg_count; ++i)
    bound.given[i] = nullptr;

  for (uint32_t g = 0; g < argCount; ++g) {
    const fil_arg &given = args[g];
    if (!given.name)
      return fail(err, FIL_BAD_CALL,
                  "expected a name for argument %u, but got null", g);
    // Callers mostly pass arguments in the kernel's order.
    uint32_t at = g;
    if (g >= kernel.arg_count || strcmp(argAt(g).name, given.name) != 0)
      for (at = 0; at < kernel.arg_count; ++at)
        if (strcmp(argAt(at).name, given.name) == 0)
          break;
    if (at == kernel.arg_count) {
      Text known;
      for (uint32_t i = 0; i < kernel.arg_count; ++i)
        known.append("%s`%s`", i ? ", " : "", argAt(i).name);
      return fail(err, FIL_NOT_FOUND,
                  "expected arguments of kernel `%s` (%s), but got `%s`",
                  kernel.name, known.str(), given.name);
    }
    if (bound.given[at])
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected argument `%s` once, but got it twice", given.name);
    const fil_abi_arg &arg = argAt(at);
    uint32_t kind = !isScalar(arg)             ? FIL_TENSOR
                    : arg.dtype == FIL_ABI_I64 ? FIL_INT
                                               : FIL_FLOAT;
    if (given.kind != kind)
      return fail(err, FIL_BAD_ARGUMENT, "expected %s for `%s`, but got %s",
                  kindName(kind), arg.name, kindName(given.kind));
    if (kind == FIL_TENSOR && !given.tensor)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected a tensor for `%s`, but got null", arg.name);
    bound.given[at] = &given;
  }
  return FIL_OK;
}

//===----------------------------------------------------------------------===//
// Extents
//===----------------------------------------------------------------------===//

/// Pinned host memory is ordinary memory to the cpu.
static DLDevice placeOf(DLDevice device) {
  return device.device_type == kDLCUDA ? device : DLDevice{kDLCPU, 0};
}

static Text describePlace(DLDevice device) {
  Text text;
  if (device.device_type == kDLCUDA)
    text.append("on cuda:%d", device.device_id);
  else
    text.append("in cpu memory");
  return text;
}

// The first tensor decides where the run takes place.
fil_status ArgumentCheck::placeTensor(const fil_abi_arg &arg, DLDevice given) {
  DLDevice place = placeOf(given);
  if (!placedBy) {
    placedBy = arg.name;
    bound.device = place;
  }
  if (place.device_type == bound.device.device_type &&
      place.device_id == bound.device.device_id)
    return FIL_OK;
  return fail(err, FIL_BAD_ARGUMENT, "expected `%s` %s like `%s`, but it is %s",
              arg.name, describePlace(bound.device).str(), placedBy,
              describePlace(place).str());
}

fil_status ArgumentCheck::viewTensors() {
  bound.leadingDropped = false;
  bound.device = {kDLCPU, 0};
  for (uint32_t i = 0; i < kernel.arg_count; ++i) {
    const fil_abi_arg &arg = argAt(i);
    if (isScalar(arg))
      continue;
    if (!bound.given[i]) {
      if (mode != CheckMode::Infer && !(arg.flags & FIL_ABI_ARG_OPTIONAL))
        return missing(arg);
      continue;
    }
    if (fil_status status = viewTensor(arg, *bound.given[i]->tensor,
                                       mode == CheckMode::Run, views[i], err))
      return status;
    if (fil_status status = placeTensor(arg, bound.given[i]->tensor->device))
      return status;
    bound.leadingDropped |=
        arg.kind == FIL_ABI_INPUT && views[i].leadingDropped;
  }
  return FIL_OK;
}

fil_status ArgumentCheck::bindDim(const fil_abi_arg &arg, uint32_t d,
                                  int64_t extent) {
  int32_t symbol = arg.dim[d].symbol;
  if (symbol < 0) {
    if (extent == arg.dim[d].extent)
      return FIL_OK;
    return fail(err, FIL_BAD_ARGUMENT,
                "expected extent %d in dimension %u of `%s`, but got %" PRId64,
                arg.dim[d].extent, d, arg.name, extent);
  }
  if (bound.dim(symbol) == kUnbound) {
    bound.dim(symbol) = extent;
    bound.boundBy[symbol] = arg.name;
    return FIL_OK;
  }
  if (bound.dim(symbol) == extent)
    return FIL_OK;
  return fail(err, FIL_BAD_ARGUMENT,
              "expected extent %s = %" PRId64
              " (bound by `%s`), but `%s` has %" PRId64,
              kernel.dims[symbol], bound.dim(symbol), bound.boundBy[symbol],
              arg.name, extent);
}

fil_status ArgumentCheck::bindExtents() {
  for (uint32_t i = 0; i < kernel.dim_count; ++i) {
    bound.dim(static_cast<int32_t>(i)) = kUnbound;
    bound.boundBy[i] = nullptr;
  }
  // An extent 1 that may be stretched says nothing while another argument can
  // say what it is stretched to, so those come second.
  for (int round = 0; round < 2; ++round) {
    if (round == 1) {
      learnFromRelations();
      learnBackwards();
    }
    for (uint32_t i = 0; i < kernel.arg_count; ++i) {
      const fil_abi_arg &arg = argAt(i);
      if (isScalar(arg) || !bound.given[i])
        continue;
      for (uint32_t d = 0; d < arg.rank; ++d) {
        bool stretched = isStretched(arg, views[i], d);
        if (stretched != (round == 1))
          continue;
        int32_t symbol = arg.dim[d].symbol;
        if (stretched && (symbol < 0 || bound.dim(symbol) != kUnbound))
          continue;
        if (fil_status status = bindDim(arg, d, views[i].extent[d]))
          return status;
      }
    }
  }
  return FIL_OK;
}

/// What the proofs and the arithmetic of generated code were promised.
fil_status ArgumentCheck::checkMagnitudes() {
  for (uint32_t i = 0; i < kernel.dim_count; ++i) {
    auto symbol = static_cast<int32_t>(i);
    if (bound.dim(symbol) > FIL_ABI_MOST_EXTENT)
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected extent %s of at most %" PRId64 ", but got %s",
                  kernel.dims[i], int64_t(FIL_ABI_MOST_EXTENT),
                  describe(symbol).str());
  }
  return FIL_OK;
}

//===----------------------------------------------------------------------===//
// Relations
//===----------------------------------------------------------------------===//

static int64_t ceilDiv(int64_t value, int64_t divisor) {
  return value / divisor + (value % divisor != 0);
}

/// What an EQUAL_PLUS or CEIL_DIV says about its `a`; false if it is another
/// relation, or overflows.
static bool valueOf(const fil_abi_relation &relation, int64_t b,
                    int64_t &value) {
  if (relation.kind == FIL_ABI_CEIL_DIV) {
    value = ceilDiv(b, relation.c);
    return true;
  }
  return relation.kind == FIL_ABI_EQUAL_PLUS &&
         !__builtin_add_overflow(b, int64_t(relation.c), &value);
}

/// `docs` follows from `docs+1` where a table of extent 1 leaves it open.
void ArgumentCheck::learnBackwards() {
  for (uint32_t i = 0; i < kernel.relation_count; ++i) {
    const fil_abi_relation &relation = element(kernel.relations, i);
    int64_t a = bound.dim(relation.a), value;
    if (relation.kind != FIL_ABI_EQUAL_PLUS || a == kUnbound ||
        bound.dim(relation.b) != kUnbound ||
        __builtin_sub_overflow(a, int64_t(relation.c), &value) || value < 0)
      continue;
    bound.dim(relation.b) = value;
    bound.boundBy[relation.b] = bound.boundBy[relation.a];
  }
}

// Dimensions that only absent arguments have still get a value where a relation
// gives one, so that kernels may use them. At most dim_count rounds.
void ArgumentCheck::learnFromRelations() {
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t i = 0; i < kernel.relation_count; ++i) {
      const fil_abi_relation &relation = element(kernel.relations, i);
      int64_t b = bound.dim(relation.b), value;
      if (bound.dim(relation.a) != kUnbound || b == kUnbound ||
          !valueOf(relation, b, value) || value < 0)
        continue;
      bound.dim(relation.a) = value;
      bound.boundBy[relation.a] = bound.boundBy[relation.b];
      changed = true;
    }
  }
}

Text ArgumentCheck::describe(int32_t symbol) {
  Text text;
  text.append("%s = %" PRId64 " (bound by `%s`)", kernel.dims[symbol],
              bound.dim(symbol), bound.boundBy[symbol]);
  return text;
}

/// Whether the relation holds for known dims; an unknown c (kUnbound) is no
/// alternative.
static bool holds(const fil_abi_relation &relation, int64_t a, int64_t b,
                  int64_t c) {
  switch (relation.kind) {
  case FIL_ABI_MULTIPLE:
    return b == 0 ? a == 0 : a > 0 && a % b == 0;
  case FIL_ABI_ONE_OF:
    return a == 1 || a == b || (c != kUnbound && a == c);
  default: {
    int64_t value;
    return valueOf(relation, b, value) && a == value;
  }
  }
}

fil_status ArgumentCheck::checkRelations() {
  for (uint32_t i = 0; i < kernel.relation_count; ++i) {
    const fil_abi_relation &relation = element(kernel.relations, i);
    int64_t a = bound.dim(relation.a), b = bound.dim(relation.b);
    int64_t c = relation.kind == FIL_ABI_ONE_OF && relation.c >= 0
                    ? bound.dim(relation.c)
                    : kUnbound;
    if (a == kUnbound || b == kUnbound || holds(relation, a, b, c))
      continue; // unbound: of absent arguments

    Text wanted;
    switch (relation.kind) {
    case FIL_ABI_MULTIPLE:
      wanted.append("a positive multiple of %s", describe(relation.b).str());
      break;
    case FIL_ABI_ONE_OF:
      if (c == kUnbound)
        wanted.append("1 or %s", describe(relation.b).str());
      else
        wanted.append("1, %s or %s", describe(relation.b).str(),
                      describe(relation.c).str());
      break;
    case FIL_ABI_EQUAL_PLUS:
      wanted.append("%s plus %d", describe(relation.b).str(), relation.c);
      break;
    case FIL_ABI_CEIL_DIV:
      wanted.append("%" PRId64 ", the blocks of %d in %s",
                    ceilDiv(b, relation.c), relation.c,
                    describe(relation.b).str());
      break;
    }
    return fail(
        err, FIL_BAD_ARGUMENT, "expected extent %s to be %s, but got %s",
        kernel.dims[relation.a], wanted.str(), describe(relation.a).str());
  }
  return FIL_OK;
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

static int64_t floatBits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return static_cast<int64_t>(bits);
}

fil_status ArgumentCheck::checkBounds(const fil_abi_arg &arg, int64_t value) {
  if (value >= arg.min && value <= arg.max)
    return FIL_OK;
  Text range;
  if (arg.max == INT64_MAX)
    range.append("at least %" PRId64, arg.min);
  else if (arg.min == INT64_MIN)
    range.append("at most %" PRId64, arg.max);
  else
    range.append("in [%" PRId64 ", %" PRId64 "]", arg.min, arg.max);
  return fail(err, FIL_BAD_ARGUMENT, "expected `%s` %s, but got %" PRId64,
              arg.name, range.str(), value);
}

fil_status ArgumentCheck::checkScalars() {
  for (uint32_t i = 0; i < kernel.arg_count; ++i) {
    const fil_abi_arg &arg = argAt(i);
    if (!isScalar(arg))
      continue;
    int64_t &slot = bound.slots[arg.slot];
    const fil_arg *given = bound.given[i];
    if (!given) {
      // Shapes do not depend on scalars.
      if (!arg.has_preset && !(arg.flags & FIL_ABI_ARG_OPTIONAL) &&
          mode != CheckMode::Infer)
        return missing(arg);
      slot = arg.has_preset ? arg.preset : 0;
      if (arg.has_preset && arg.dtype == FIL_ABI_I64)
        if (fil_status status = checkBounds(arg, slot))
          return status;
    } else if (arg.dtype == FIL_ABI_F32) {
      // NaN and infinities pass; a finite number must not become infinite.
      auto narrow = static_cast<float>(given->f);
      if (__builtin_isinf(narrow) && !__builtin_isinf(given->f))
        return fail(err, FIL_BAD_ARGUMENT,
                    "expected `%s` within the range of f32, but got %g",
                    arg.name, given->f);
      slot = floatBits(narrow);
    } else {
      if (fil_status status = checkBounds(arg, given->i))
        return status;
      slot = given->i;
    }
  }
  return FIL_OK;
}

//===----------------------------------------------------------------------===//
// Overlap, slots
//===----------------------------------------------------------------------===//

fil_status ArgumentCheck::checkOverlaps() {
  for (uint32_t i = 0; i < kernel.arg_count; ++i) {
    const fil_abi_arg &output = argAt(i);
    if (output.kind != FIL_ABI_OUTPUT || !bound.given[i])
      continue;
    // Outputs come last: everything before is an input or an earlier output.
    for (uint32_t j = 0; j < i; ++j) {
      const fil_abi_arg &other = argAt(j);
      if (isScalar(other) || !bound.given[j] ||
          !mayOverlap(views[i], output.rank, views[j], other.rank))
        continue;
      return fail(err, FIL_BAD_ARGUMENT,
                  "expected output `%s` in memory of its own, but it overlaps "
                  "`%s`",
                  output.name, other.name);
    }
  }
  return FIL_OK;
}

void ArgumentCheck::fillTensorSlots() {
  for (uint32_t i = 0; i < kernel.arg_count; ++i) {
    const fil_abi_arg &arg = argAt(i);
    if (isScalar(arg))
      continue;
    int64_t *slot = bound.slots + arg.slot;
    slot[0] = 0;
    for (uint32_t d = 0; d < 4; ++d) {
      slot[1 + d] = 1;
      slot[5 + d] = 0;
    }
    if (!bound.given[i])
      continue;
    const View &view = views[i];
    slot[0] = view.address ? view.address : kNoData;
    for (uint32_t d = 0; d < arg.rank; ++d) {
      int32_t symbol = arg.dim[d].symbol;
      slot[1 + d] = symbol < 0 ? arg.dim[d].extent : bound.dim(symbol);
      slot[5 + d] = isStretched(arg, view, d) ? 0 : view.stride[d];
    }
  }
}

fil_status ArgumentCheck::run() {
  if (fil_status status = matchNames())
    return status;
  if (fil_status status = viewTensors())
    return status;
  if (fil_status status = bindExtents())
    return status;
  learnFromRelations();
  if (fil_status status = checkMagnitudes())
    return status;
  if (fil_status status = checkRelations())
    return status;
  if (fil_status status = checkScalars())
    return status;
  if (mode == CheckMode::Run)
    if (fil_status status = checkOverlaps())
      return status;
  bound.slots[FIL_ABI_SLOT_STATUS] = 0;
  if (mode == CheckMode::Infer)
    return FIL_OK; // the caller wants the dims, unbound ones included
  for (uint32_t i = 0; i < kernel.dim_count; ++i)
    if (bound.dim(static_cast<int32_t>(i)) == kUnbound)
      bound.dim(static_cast<int32_t>(i)) = 0;
  fillTensorSlots();
  return FIL_OK;
}

fil_status checkArguments(const fil_abi_kernel &kernel, const fil_arg *args,
                          uint32_t argCount, CheckMode mode,
                          BoundArguments &bound, fil_error *err) {
  return ArgumentCheck(kernel, args, argCount, mode, bound, err).run();
}

} // namespace filigree::runtime
