/*===- fake_kernels.c - an artifact written by hand -------------------------*\
|*
|* Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|* What the compiler would have emitted for a few kernels that each show one
|* duty of the runtime. Built twice: as a shared object without any import, and
|* into the test program for fil_open_static.
|*
\*===----------------------------------------------------------------------===*/
#include "runtime/ArtifactAbi.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SIZED(type) (uint32_t)sizeof(type)

static int64_t none(const int64_t *slots) {
  (void)slots;
  return 0;
}
static int64_t one(const int64_t *slots) {
  (void)slots;
  return 1;
}

/*===--- attend: every kind of argument and relation -------------------------*/

/* o[row] = scale * q[row] + window + gain + sum over keys of v, and lse[row] is
 * that sum. A unit is one (b, h, row); the sum grows in scratch, so that
 * scratch shared by two workers would show. */
enum { B, HQ, HKV, NQ, NK, BG, HG, TQ, TQ1, AttendDims };
static const char *const attendDims[] = {"B",  "Hq", "Hkv", "Nq", "Nk",
                                         "Bg", "Hg", "Tq",  "Tq1"};
enum {
  SlotQ = 1 + AttendDims,
  SlotK = SlotQ + 9,
  SlotV = SlotK + 9,
  SlotBias = SlotV + 9,
  SlotStart = SlotBias + 9,
  SlotPtr = SlotStart + 9,
  SlotWindow = SlotPtr + 9,
  SlotScale,
  SlotGain,
  SlotO,
  SlotLse = SlotO + 9,
  AttendSlots = SlotLse + 9
};
#define TENSOR(name, kind, dtype, flags, alignment, rank, slot, ...)           \
  {                                                                            \
    SIZED(fil_abi_arg), kind, name, dtype, flags, rank, slot, __VA_ARGS__, 0,  \
        0, 0, 0, alignment                                                     \
  }
#define SCALAR(name, dtype, slot, min, max, preset, hasPreset)                 \
  {                                                                            \
    SIZED(fil_abi_arg), FIL_ABI_SCALAR, name, dtype, 0, 0, slot, {{0, 0}},     \
        min, max, preset, hasPreset, 0                                         \
  }
#define SYM(s)                                                                 \
  { s, 0 }
#define FIXED(e)                                                               \
  { -1, e }
enum {
  Lead = FIL_ABI_LEADING_OPTIONAL,
  Opt = FIL_ABI_ARG_OPTIONAL,
  Wide = FIL_ABI_MAY_BROADCAST,
  In = FIL_ABI_INPUT,
  Out = FIL_ABI_OUTPUT,
  Half = 0x3f000000 /* 0.5f */
};
static const fil_abi_arg attendArgs[] = {
    TENSOR("q", In, FIL_ABI_F32, Lead, 0, 4, SlotQ,
           {SYM(B), SYM(HQ), SYM(NQ), FIXED(8)}),
    TENSOR("k", In, FIL_ABI_F32, Lead, 0, 4, SlotK,
           {SYM(B), SYM(HKV), SYM(NK), FIXED(8)}),
    TENSOR("v", In, FIL_ABI_F32, Lead, 16, 4, SlotV,
           {SYM(B), SYM(HKV), SYM(NK), FIXED(8)}),
    TENSOR("bias", In, FIL_ABI_BF16, Lead | Opt | Wide, 0, 4, SlotBias,
           {SYM(B), SYM(HQ), SYM(NQ), SYM(NK)}),
    TENSOR("start", In, FIL_ABI_I32, Opt, 0, 3, SlotStart,
           {SYM(BG), SYM(HG), SYM(TQ)}),
    TENSOR("ptr", In, FIL_ABI_I32, Opt, 0, 1, SlotPtr, {SYM(TQ1)}),
    SCALAR("window", FIL_ABI_I64, SlotWindow, 1, INT64_MAX, 3, 1),
    SCALAR("scale", FIL_ABI_F32, SlotScale, 0, 0, Half, 1),
    SCALAR("gain", FIL_ABI_I64, SlotGain, -2, 2, 0, 0),
    TENSOR("o", Out, FIL_ABI_F32, Lead, 0, 4, SlotO,
           {SYM(B), SYM(HQ), SYM(NQ), FIXED(8)}),
    TENSOR("lse", Out, FIL_ABI_F32, Lead | Opt, 0, 3, SlotLse,
           {SYM(B), SYM(HQ), SYM(NQ)}),
};
static const fil_abi_relation attendRelations[] = {
    {SIZED(fil_abi_relation), FIL_ABI_MULTIPLE, HQ, HKV, 0, 0},
    {SIZED(fil_abi_relation), FIL_ABI_ONE_OF, BG, B, -1, 0},
    {SIZED(fil_abi_relation), FIL_ABI_ONE_OF, HG, HKV, HQ, 0},
    {SIZED(fil_abi_relation), FIL_ABI_CEIL_DIV, TQ, NQ, 16, 0},
    {SIZED(fil_abi_relation), FIL_ABI_EQUAL_PLUS, TQ1, TQ, 1, 0},
};

static float *row(const int64_t *slots, int slot, int64_t b, int64_t h,
                  int64_t n) {
  const int64_t *stride = slots + slot + 5;
  return (float *)slots[slot] + b * stride[0] + h * stride[1] + n * stride[2];
}
static int64_t attendUnits(const int64_t *slots) {
  return slots[1 + B] * slots[1 + HQ] * slots[1 + NQ];
}
static int64_t attendCost(const int64_t *slots, int64_t unit) {
  return unit % slots[1 + NQ];
}
static int64_t attendScratch(const int64_t *slots) {
  (void)slots;
  return 8 * sizeof(float);
}
static void attendRun(const int64_t *slots, int64_t unit, void *scratch,
                      void *shared) {
  int64_t n = unit % slots[1 + NQ], bh = unit / slots[1 + NQ];
  int64_t h = bh % slots[1 + HQ], b = bh / slots[1 + HQ];
  int64_t group = slots[1 + HQ] / slots[1 + HKV];
  union {
    uint32_t bits;
    float value;
  } scale;
  volatile float *sum = scratch;
  (void)shared;
  scale.bits = (uint32_t)slots[SlotScale];
  for (int d = 0; d < 8; ++d)
    sum[d] = (float)(slots[SlotWindow] + slots[SlotGain]);
  for (int64_t j = 0; j < slots[1 + NK]; ++j)
    for (int d = 0; d < 8; ++d)
      sum[d] = sum[d] + row(slots, SlotV, b, h / group, j)[d];
  for (int d = 0; d < 8; ++d)
    row(slots, SlotO, b, h, n)[d] =
        sum[d] + scale.value * row(slots, SlotQ, b, h, n)[d];
  if (slots[SlotLse])
    ((float *)
         slots[SlotLse])[b * slots[SlotLse + 5] + h * slots[SlotLse + 6] + n] =
        sum[0];
}
static const fil_abi_phase attendPhases[] = {
    {SIZED(fil_abi_phase), 0, attendUnits, attendCost, attendRun}};

/*===--- order: writes when each unit began ----------------------------------*/

/* seq[u] = rank of unit u, counted in `shared`, which phase 0 must zero. */
enum { SlotCost = 2, SlotSeq = SlotCost + 9, OrderSlots = SlotSeq + 9 };
static const char *const orderDims[] = {"N"};
static const fil_abi_arg orderArgs[] = {
    TENSOR("cost", In, FIL_ABI_I64, 0, 0, 1, SlotCost, {SYM(0)}),
    TENSOR("seq", Out, FIL_ABI_I64, 0, 0, 1, SlotSeq, {SYM(0)}),
};
static int64_t orderUnits(const int64_t *slots) { return slots[1]; }
static int64_t orderCost(const int64_t *slots, int64_t unit) {
  return ((const int64_t *)slots[SlotCost])[unit];
}
static void orderReset(const int64_t *slots, int64_t unit, void *scratch,
                       void *shared) {
  (void)slots, (void)unit, (void)scratch;
  *(int64_t *)shared = 0;
}
static void orderRun(const int64_t *slots, int64_t unit, void *scratch,
                     void *shared) {
  (void)scratch;
  ((int64_t *)slots[SlotSeq])[unit] =
      __atomic_fetch_add((int64_t *)shared, 1, __ATOMIC_RELAXED);
}
static int64_t eight(const int64_t *slots) {
  (void)slots;
  return 8;
}
static const fil_abi_phase orderPhases[] = {
    {SIZED(fil_abi_phase), 0, one, 0, orderReset},
    {SIZED(fil_abi_phase), 0, orderUnits, orderCost, orderRun}};

/*===--- barrier: phase 1 reads what other units of phase 0 wrote ------------*/

enum { SlotX = 2, SlotY = SlotX + 9, BarrierSlots = SlotY + 9 };
static const fil_abi_arg barrierArgs[] = {
    TENSOR("x", In, FIL_ABI_F32, 0, 0, 1, SlotX, {SYM(0)}),
    TENSOR("y", Out, FIL_ABI_F32, 0, 0, 1, SlotY, {SYM(0)}),
};
static int64_t barrierShared(const int64_t *slots) { return slots[1] * 4; }
static void barrierFirst(const int64_t *slots, int64_t unit, void *scratch,
                         void *shared) {
  (void)scratch;
  ((float *)shared)[unit] = 2 * ((const float *)slots[SlotX])[unit];
}
static void barrierSecond(const int64_t *slots, int64_t unit, void *scratch,
                          void *shared) {
  (void)scratch;
  ((float *)slots[SlotY])[unit] = ((float *)shared)[slots[1] - 1 - unit];
}
static const fil_abi_phase barrierPhases[] = {
    {SIZED(fil_abi_phase), 0, orderUnits, 0, barrierFirst},
    {SIZED(fil_abi_phase), 0, orderUnits, 0, barrierSecond}};

/*===--- which: writes the instruction set of the chosen code ----------------*/

enum { SlotWhich = 2, WhichSlots = SlotWhich + 9 };
static const fil_abi_arg whichArgs[] = {
    TENSOR("isa", Out, FIL_ABI_I32, 0, 0, 1, SlotWhich, {SYM(0)})};
#define WHICH(number)                                                          \
  static void which##number(const int64_t *slots, int64_t unit, void *scratch, \
                            void *shared) {                                    \
    (void)scratch, (void)shared;                                               \
    ((int32_t *)slots[SlotWhich])[unit] = number;                              \
  }                                                                            \
  static const fil_abi_phase whichPhase##number[] = {                          \
      {SIZED(fil_abi_phase), 0, orderUnits, 0, which##number}};
WHICH(0)
WHICH(1)
WHICH(2)
#define CPU(isa, scratch, shared, phases)                                      \
  { SIZED(fil_abi_cpu), isa, scratch, shared, COUNT(phases), 0, phases }
static const fil_abi_cpu whichCpus[] = {CPU(0, none, none, whichPhase0),
                                        CPU(1, none, none, whichPhase1),
                                        CPU(2, none, none, whichPhase2)};
static const fil_abi_cpu highCpus[] = {CPU(1, none, none, whichPhase1),
                                       CPU(2, none, none, whichPhase2)};

/*===--- report: meets a bad entry -------------------------------------------*/

static void reportRun(const int64_t *slots, int64_t unit, void *scratch,
                      void *shared) {
  fil_abi_status_word *word = (fil_abi_status_word *)slots[0];
  int32_t expected = 0;
  (void)scratch, (void)shared;
  ((int32_t *)slots[SlotWhich])[unit] = 7;
  if (word && unit == 2 &&
      __atomic_compare_exchange_n(&word->code, &expected,
                                  FIL_ABI_COLUMN_OUT_OF_RANGE, 0,
                                  __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    word->b = 0;
    word->h = 1;
    word->row = 2;
    word->col = 99;
  }
}
static const fil_abi_phase reportPhases[] = {
    {SIZED(fil_abi_phase), 0, orderUnits, 0, reportRun}};

/*===--- The table -----------------------------------------------------------*/

static const fil_abi_cpu attendCpu[] = {
    CPU(0, attendScratch, none, attendPhases)};
static const fil_abi_cpu orderCpu[] = {CPU(0, none, eight, orderPhases)};
static const fil_abi_cpu barrierCpu[] = {
    CPU(0, none, barrierShared, barrierPhases)};
static const fil_abi_cpu reportCpu[] = {CPU(0, none, none, reportPhases)};

#define KERNEL(name, variant, slots, dims, args, cpus)                         \
  {                                                                            \
    SIZED(fil_abi_kernel), slots, name, variant, COUNT(dims), COUNT(args),     \
        dims, args, 0, COUNT(cpus), 0, cpus, 0, 0, 0, 0, 0                     \
  }
static const char attendIr[] = "attn.pattern @attend";
static const fil_abi_kernel kernels[] = {
    {SIZED(fil_abi_kernel), AttendSlots, "attend", "d8_f32", COUNT(attendDims),
     COUNT(attendArgs), attendDims, attendArgs, COUNT(attendRelations),
     COUNT(attendCpu), attendRelations, attendCpu, attendIr,
     sizeof(attendIr) - 1, 0, 0, 0},
    KERNEL("order", "i64", OrderSlots, orderDims, orderArgs, orderCpu),
    KERNEL("barrier", "f32", BarrierSlots, orderDims, barrierArgs, barrierCpu),
    KERNEL("which", "all", WhichSlots, orderDims, whichArgs, whichCpus),
    KERNEL("which", "high", WhichSlots, orderDims, whichArgs, highCpus),
    KERNEL("report", "i32", WhichSlots, orderDims, whichArgs, reportCpu),
};

#ifdef FAKE_IMPORT /* a symbol that nobody has */
extern int fake_import;
int *const fakeImport = &fake_import;
#endif
#ifndef FAKE_MAGIC
#define FAKE_MAGIC FIL_ABI_MAGIC
#endif
#ifndef FAKE_SYMBOL
#define FAKE_SYMBOL filigree_artifact
#endif

__attribute__((visibility("default"))) extern const fil_abi_table FAKE_SYMBOL;
const fil_abi_table FAKE_SYMBOL = {
    FAKE_MAGIC,     SIZED(fil_abi_table), FIL_ABI_MAJOR, FIL_ABI_MINOR,
    COUNT(kernels), "hand-written",       kernels};
