/*===- filigree.h - the C interface of the Filigree runtime -----------------*\
|*
|* Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|* Opens a compiled artifact, finds a kernel in it and runs it, on the CPU or on
|* a CUDA device, wherever the tensors are. C99.
|*
|* VERSION    FIL_VERSION is this header's, fil_version() the library's; equal
|*            major numbers work together. Enums are append-only. fil_error,
|*            fil_options, fil_pool_options, fil_arg_info and fil_cuda_info
|*            start with their size, set by the caller (the _INIT macros do it),
|*            and may grow.
|* OWNERSHIP  Tensors, workspace, status word and pool belong to the caller and
|*            live until the call returns, or, of a run on CUDA, until the stream
|*            is done with it. Handles and the strings reached from
|*            a library live until fil_close; fil_pool until fil_pool_destroy.
|*            fil_run allocates nothing, except that the first run that needs
|*            the library's own pool starts its threads, and that the first run
|*            of a kernel in a CUDA context loads its code (see fil_prepare).
|* THREADING  No global state. Every function may be called from any thread.
|*            Runs of one kernel may overlap in time if each has its own
|*            workspace and outputs. fil_close and fil_pool_destroy must come
|*            after the last call that uses the object has returned; fil_close
|*            also after streams are done with its runs and no captured graph
|*            that holds one is launched again.
|* ERRORS     Functions return FIL_OK or a code; the sentence goes to `err`,
|*            which may be null. Nothing aborts, throws or prints.
|* CUDA       The driver, libcuda.so.1 of version 12.0 or later, is looked for
|*            when something first needs it, in the file that the environment
|*            variable FILIGREE_LIBCUDA names, else where the dynamic loader
|*            finds it. Nothing else of CUDA is needed. The calling thread's
|*            current context is used, never changed.
|*
\*===----------------------------------------------------------------------===*/
#ifndef FILIGREE_RUNTIME_FILIGREE_H
#define FILIGREE_RUNTIME_FILIGREE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FIL_API __attribute__((visibility("default")))
#else
#define FIL_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*===--- Version ------------------------------------------------------------*/

#define FIL_VERSION_MAJOR 0
#define FIL_VERSION_MINOR 1
#define FIL_VERSION_PATCH 0
#define FIL_VERSION                                                            \
  ((FIL_VERSION_MAJOR << 16) | (FIL_VERSION_MINOR << 8) | FIL_VERSION_PATCH)

/* major << 16 | minor << 8 | patch of the linked library. */
FIL_API uint32_t fil_version(void);

/*===--- Tensors: DLPack ----------------------------------------------------*/

/* The part of DLPack that is used here, with the same layout. Who needs the
 * whole of DLPack includes dlpack.h before this header. */
#ifndef DLPACK_DLPACK_H_
#ifdef __cplusplus
typedef enum : int32_t { /* fixed, so that any device may stand here */
#else
typedef enum {
#endif
  kDLCPU = 1,
  kDLCUDA = 2,
  kDLCUDAHost = 3
} DLDeviceType;
typedef enum {
  kDLInt = 0U,
  kDLUInt = 1U,
  kDLFloat = 2U,
  kDLBfloat = 4U
} DLDataTypeCode;

typedef struct {
  DLDeviceType device_type;
  int32_t device_id;
} DLDevice;

typedef struct {
  uint8_t code; /* DLDataTypeCode */
  uint8_t bits;
  uint16_t lanes;
} DLDataType;

typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides; /* in elements; null: compact, row-major */
  uint64_t byte_offset;
} DLTensor;
#endif /* DLPACK_DLPACK_H_ */

/*===--- Status and errors --------------------------------------------------*/

typedef enum fil_code {
  FIL_OK = 0,
  FIL_BAD_CALL = 1,      /* null handle, wrong struct size, bad option */
  FIL_BAD_FILE = 2,      /* cannot be read */
  FIL_BAD_ARTIFACT = 3,  /* read, but not an intact artifact */
  FIL_BAD_VERSION = 4,   /* an artifact of another ABI version */
  FIL_NOT_FOUND = 5,     /* no such kernel, variant or argument */
  FIL_BAD_ARGUMENT = 6,  /* an argument of a run fails a check */
  FIL_BAD_WORKSPACE = 7, /* too small, misaligned or null */
  FIL_UNSUPPORTED = 8,   /* device or cpu without the needed support */
  FIL_NO_MEMORY = 9,
  FIL_SYSTEM = 10,    /* the dynamic loader, thread creation or the cuda driver
                         failed; the latter perhaps in earlier work */
  FIL_BAD_INDEX = 11  /* checked run: a kernel met a bad list or table entry */
} fil_code;
typedef int32_t fil_status; /* a fil_code */

typedef struct fil_error {
  uint32_t size;
  fil_status code;
  char message[512]; /* lower case, no full stop; empty after FIL_OK */
} fil_error;
#define FIL_ERROR_INIT {sizeof(fil_error), FIL_OK, {0}}

/* Written by kernels that meet a bad entry in a list, table or cu_seqlens: the
 * entry is dropped, and the first such place is kept. The caller zeroes it. For
 * runs on CUDA it is where the device reaches it: device, managed or pinned
 * memory. */
typedef struct fil_status_word {
  int32_t code; /* 0: none */
  int32_t b, h, row, col;
} fil_status_word;

/* Writes the word's sentence to buffer[0, bytes), always terminated if bytes
 * > 0; returns its whole length, as snprintf does. */
FIL_API size_t fil_status_text(const fil_status_word *word, char *buffer,
                               size_t bytes);

/*===--- Libraries ----------------------------------------------------------*/

typedef struct fil_library fil_library;
typedef struct fil_kernel fil_kernel;
struct fil_abi_table; /* runtime/ArtifactAbi.h */

typedef enum fil_isa {
  FIL_ISA_AUTO = 0,     /* the best that this machine has */
  FIL_ISA_BASELINE = 1, /* x86-64 */
  FIL_ISA_AVX2 = 2,     /* AVX2, FMA, F16C */
  FIL_ISA_AVX512 = 3    /* AVX-512 F, BW, DQ, VL */
} fil_isa;

/* The best instruction set of this machine that the runtime knows of; never
 * FIL_ISA_AUTO. */
FIL_API fil_isa fil_machine_isa(void);

/* Validates all bytes of the file (sizes, versions, checksum) before any of its
 * code is loaded. The checksum proves integrity, not trust: open only files
 * from who may run code in this process. Replace a file that is open by
 * closing it first. */
FIL_API fil_status fil_open(const char *path, fil_library **out_library,
                            fil_error *err);

/* The same for a table linked into the program (`filigree compile --emit
 * object`). */
FIL_API fil_status fil_open_static(const struct fil_abi_table *table,
                                   fil_library **out_library, fil_error *err);

FIL_API void fil_close(fil_library *library); /* null is fine */

/* "filigree 0.1.0": what compiled the artifact. */
FIL_API const char *fil_producer(const fil_library *library);

/*===--- Kernels ------------------------------------------------------------*/

FIL_API uint32_t fil_kernel_count(const fil_library *library);
/* Null if index is out of range. */
FIL_API const fil_kernel *fil_kernel_at(const fil_library *library,
                                        uint32_t index);

/* variant null: the pattern's only variant; it is an error if it has several. */
FIL_API fil_status fil_find(const fil_library *library, const char *name,
                            const char *variant, const fil_kernel **out_kernel,
                            fil_error *err);

FIL_API const char *fil_kernel_name(const fil_kernel *kernel);
FIL_API const char *fil_kernel_variant(const fil_kernel *kernel);
FIL_API uint32_t fil_kernel_arg_count(const fil_kernel *kernel);

/* The pattern as IR text of the compiler, *out_bytes long (out_bytes may be
 * null); for tools that check or explain. Null if the artifact has none. */
FIL_API const char *fil_kernel_ir(const fil_kernel *kernel, size_t *out_bytes);

typedef enum fil_dtype {
  FIL_F32 = 1,
  FIL_BF16 = 2,
  FIL_F16 = 3,
  FIL_I32 = 4,
  FIL_I64 = 5,
  FIL_F64 = 6 /* outputs of oracles */
} fil_dtype;

typedef enum fil_arg_kind {
  FIL_INPUT = 1, /* tensor */
  FIL_OUTPUT = 2, /* tensor */
  FIL_SCALAR = 3 /* by value: FIL_I64 or FIL_F32 */
} fil_arg_kind;

typedef struct fil_arg_info {
  uint32_t size;
  uint32_t kind; /* fil_arg_kind */
  const char *name;
  uint32_t dtype;            /* fil_dtype */
  uint32_t rank;             /* tensors: 1..4; scalars: 0 */
  uint32_t optional;         /* 1: may be left out */
  uint32_t leading_optional; /* 1: rank may be one less; leading extent 1 */
  uint32_t may_broadcast;    /* 1: an extent 1 stands for any */
  uint32_t has_preset;       /* scalars: 1: may be left out */
  const char *symbol[4];     /* "B", "Hq", ...; null: `extent` is fixed */
  int64_t extent[4];         /* -1 where a symbol stands */
  int64_t min, max, preset;  /* FIL_I64 scalars; bounds are inclusive */
  double preset_float;       /* FIL_F32 scalars */
} fil_arg_info;
#define FIL_ARG_INFO_INIT                                                      \
  {sizeof(fil_arg_info), 0, 0, 0, 0, 0, 0, 0, 0,                               \
   {0, 0, 0, 0}, {0, 0, 0, 0}, 0, 0, 0, 0.0}

/* Fills *out_info, of which the caller has set `size`. Outputs come last. */
FIL_API fil_status fil_kernel_arg(const fil_kernel *kernel, uint32_t index,
                                  fil_arg_info *out_info, fil_error *err);

/*===--- Threads ------------------------------------------------------------*/

/* A pool hook: calls fn(arg, i) once for every i in [0, n), in any order and on
 * any threads, and returns when all calls have returned. Serial is legal. */
typedef void (*fil_task)(void *arg, int64_t index);
typedef void (*fil_parallel_for)(void *ctx, int64_t n, fil_task fn, void *arg);

typedef struct fil_pool fil_pool;

typedef struct fil_pool_options {
  uint32_t size;
  uint32_t threads;    /* with the calling thread; 0: one per usable cpu */
  uint32_t pin;        /* 1: bind started thread i to one cpu */
  uint32_t cpu_count;  /* length of `cpus` */
  const int32_t *cpus; /* thread i goes to cpus[i % cpu_count]; null: the i-th
                          usable cpu. Thread 0 is the caller, never moved. */
  uint32_t spin_us;    /* how long an idle thread spins before it sleeps;
                          0: 40. 1 sleeps almost at once. */
  uint32_t reserved;
} fil_pool_options;
#define FIL_POOL_OPTIONS_INIT {sizeof(fil_pool_options), 0, 0, 0, 0, 0, 0}

/* options null: defaults. */
FIL_API fil_status fil_pool_create(const fil_pool_options *options,
                                   fil_pool **out_pool, fil_error *err);
FIL_API void fil_pool_destroy(fil_pool *pool); /* null is fine */
FIL_API uint32_t fil_pool_threads(const fil_pool *pool);

/* The hook of a fil_pool; ctx is the fil_pool. The caller works too. One call
 * runs at a time and others wait, so fn must not call it on the same pool. */
FIL_API void fil_pool_parallel_for(void *ctx, int64_t n, fil_task fn,
                                   void *arg);

/*===--- Runs ---------------------------------------------------------------*/

typedef enum fil_value_kind {
  FIL_TENSOR = 1,
  FIL_INT = 2,
  FIL_FLOAT = 3
} fil_value_kind;

/* One argument of a run, matched by name, in any order. Arrays of it are
 * passed, so its layout never changes. */
typedef struct fil_arg {
  const char *name;
  uint32_t kind; /* fil_value_kind: which of the next fields counts */
  uint32_t reserved;
  const DLTensor *tensor;
  int64_t i;
  double f;
} fil_arg;

static inline fil_arg fil_tensor_arg(const char *name, const DLTensor *tensor) {
  fil_arg arg = {name, FIL_TENSOR, 0, tensor, 0, 0.0};
  return arg;
}
static inline fil_arg fil_int_arg(const char *name, int64_t value) {
  fil_arg arg = {name, FIL_INT, 0, 0, value, 0.0};
  return arg;
}
static inline fil_arg fil_float_arg(const char *name, double value) {
  fil_arg arg = {name, FIL_FLOAT, 0, 0, 0, value};
  return arg;
}

typedef struct fil_options {
  uint32_t size;
  uint32_t worker_limit; /* most workers at a time; 1 never leaves the calling
                            thread; 0: as many as the pool has threads, or one
                            per usable cpu. Never changes a result. */
  fil_parallel_for parallel_for; /* null: the library's own pool */
  void *parallel_for_ctx;
  uint32_t isa;     /* fil_isa: code beyond it is not used */
  uint32_t checked; /* 1: a bad entry makes the run return FIL_BAD_INDEX */
  fil_status_word *status; /* null: bad entries are dropped unreported */
  /* Runs on CUDA: */
  void *stream; /* CUstream or cudaStream_t of the current context; null: the
                   legacy default stream */
  uint32_t allow_jit; /* 1: the driver may compile PTX if the artifact has no
                         code for the chip; fil_cuda_code tells if it does */
  uint32_t reserved;
} fil_options;
#define FIL_OPTIONS_INIT                                                       \
  {sizeof(fil_options), 0, 0, 0, FIL_ISA_AUTO, 0, 0, 0, 0, 0}

/* Bytes that a run with these arguments and options needs: a function of
 * shapes, scalars, instruction set and worker limit only; on CUDA, of shapes,
 * scalars, device and `checked`. Data pointers are not looked at and may be
 * null; no CUDA context is needed. options null: defaults. */
FIL_API fil_status fil_workspace(const fil_kernel *kernel, const fil_arg *args,
                                 uint32_t arg_count, const fil_options *options,
                                 size_t *out_bytes, fil_error *err);

/* Shape of the tensor `name`, usually an output, as the other arguments
 * determine it; tensors that are not given are skipped. If an input was given
 * without its optional leading dimension, so is the result. */
FIL_API fil_status fil_infer_shape(const fil_kernel *kernel,
                                   const fil_arg *args, uint32_t arg_count,
                                   const char *name, int64_t out_shape[4],
                                   uint32_t *out_rank, fil_error *err);

/* Checks all arguments, then runs: on the CPU if the tensors are in its memory
 * (kDLCPU, kDLCUDAHost), on their device if they are kDLCUDA; a mix is refused.
 * The workspace has any contents, for one run at a time; it may be null if 0
 * bytes are needed. If a check fails, nothing has been written.
 *
 * On the CPU it returns when outputs are written. The workspace is 64-byte
 * aligned.
 *
 * On CUDA it returns when the work is queued on options->stream, and can be
 * captured into a graph if the kernel is loaded (fil_prepare). The current
 * context is of the tensors' device; tensors and workspace are in memory of
 * that device or managed; the workspace is 128-byte aligned. Strides may have
 * to be multiples of 16 bytes: errors say where. A checked run waits for the
 * stream and so cannot be captured. options->isa, worker_limit and parallel_for
 * are not looked at. */
FIL_API fil_status fil_run(const fil_kernel *kernel, const fil_arg *args,
                           uint32_t arg_count, const fil_options *options,
                           void *workspace, size_t workspace_bytes,
                           fil_error *err);

/*===--- CUDA ---------------------------------------------------------------*/

/* Loads what a run on the current context's device needs, so that the run
 * itself loads nothing: call it before a capture or a timed run, once per
 * kernel and context. Cheap if it is done already. Of the options, stream and
 * allow_jit count; the stream must not be under capture. */
FIL_API fil_status fil_prepare(const fil_kernel *kernel,
                               const fil_options *options, fil_error *err);

typedef struct fil_cuda_info {
  uint32_t size;
  uint32_t device_arch;     /* 10 x major + minor: 90 */
  uint32_t multiprocessors; /* of the device */
  uint32_t code_arch;       /* what the code was compiled for */
  uint32_t exact;           /* 1: for that chip alone (sm_90a) */
  uint32_t jit;             /* 1: PTX, which the driver compiles when loading */
} fil_cuda_info;
#define FIL_CUDA_INFO_INIT {sizeof(fil_cuda_info), 0, 0, 0, 0, 0}

/* The code that runs of the kernel on this device use (device_id of DLDevice);
 * an error if none fits. Needs no context. Of the options, allow_jit counts. */
FIL_API fil_status fil_cuda_code(const fil_kernel *kernel, int32_t device,
                                 const fil_options *options,
                                 fil_cuda_info *out_info, fil_error *err);

/*===--- Partial results ----------------------------------------------------*/

/* Attention over a part of the keys: with logits s and values v of that part,
 *   m = max s, l = sum exp(s - m), o = sum exp(s - m) v
 * in natural-log units. A row without keys has m = -inf, l = 0, o = 0. Arrays
 * are compact: o[rows][dv], l[rows], m[rows]. */
typedef struct fil_partial {
  float *o;
  float *l;
  float *m;
} fil_partial;

/* *out := the partial of the union of `count` disjoint parts. It may be one of
 * them, and must not overlap them otherwise. count 0 gives rows without keys. */
FIL_API fil_status fil_merge(const fil_partial *parts, uint32_t count,
                             int64_t rows, int64_t dv, const fil_partial *out,
                             fil_error *err);

/* out[rows][dv] := o / l and lse[rows] := m + log l; 0 and -inf for rows without
 * keys. out may be part->o; lse may be null. */
FIL_API fil_status fil_normalize(const fil_partial *part, int64_t rows,
                                 int64_t dv, float *out, float *lse,
                                 fil_error *err);

#ifdef __cplusplus
}
#endif
#endif /* FILIGREE_RUNTIME_FILIGREE_H */
