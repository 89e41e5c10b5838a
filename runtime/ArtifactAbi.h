/*===- ArtifactAbi.h - what a compiled artifact exports ----------------------*\
|*
|* Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|* The contract between generated code and the runtime. An artifact exports one
|* symbol, `filigree_artifact`, a constant `fil_abi_table`; everything else is
|* reached from it. codegen/Artifact.cpp writes these structs, runtime/ reads
|* them: a change here is a change of FIL_ABI_MAJOR or FIL_ABI_MINOR.
|*
|* Rules: every struct starts with its size in bytes, enums are append-only,
|* unknown trailing bytes are ignored, a higher minor is refused. Pointers are
|* relocated by the dynamic loader; an artifact imports no symbol.
|*
\*===----------------------------------------------------------------------===*/
#ifndef FILIGREE_RUNTIME_ARTIFACTABI_H
#define FILIGREE_RUNTIME_ARTIFACTABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FIL_ABI_MAJOR 1u
#define FIL_ABI_MINOR 5u
#define FIL_ABI_MAGIC 0x454552474c494631ull /* "1FILGREE" read as bytes */
#define FIL_ABI_SYMBOL "filigree_artifact"

/* The trailer stands after the last byte of the ELF file: integrity, not
 * trust. `hash` is XXH3_64bits over the `elf_bytes` bytes before it. */
typedef struct fil_abi_trailer {
  char magic[8]; /* "FILTRAIL" */
  uint32_t abi_major, abi_minor;
  uint64_t elf_bytes;
  uint64_t hash;
} fil_abi_trailer;

typedef enum fil_abi_dtype {
  FIL_ABI_F32 = 1,
  FIL_ABI_BF16 = 2,
  FIL_ABI_F16 = 3,
  FIL_ABI_I32 = 4,
  FIL_ABI_I64 = 5,
  FIL_ABI_F64 = 6 /* since 1.1: outputs of oracles */
} fil_abi_dtype;

typedef enum fil_abi_arg_kind {
  FIL_ABI_INPUT = 1,  /* tensor the kernel reads */
  FIL_ABI_OUTPUT = 2, /* tensor the kernel writes, every element */
  FIL_ABI_SCALAR = 3 /* run-time scalar by value: i64, or f32 in the low bits */
} fil_abi_arg_kind;

enum {
  FIL_ABI_LEADING_OPTIONAL = 1u
                             << 0, /* rank may be one less: leading extent 1 */
  FIL_ABI_ARG_OPTIONAL = 1u << 1,  /* may be absent: pointer slot 0 */
  FIL_ABI_MAY_BROADCAST = 1u << 2, /* an extent 1 stands for any, and the last
                                      stride may be any */
  /* Since 1.2, for runs on cuda: no element is 2^31 or more elements after the
   * first; the address and all strides but the last, which is 1, are multiples
   * of 16 bytes. */
  FIL_ABI_CUDA_OFFSETS_32 = 1u << 3,
  FIL_ABI_CUDA_ROWS_16 = 1u << 4
};

/* No dimension is larger: proofs and generated code rely on it. Scalars of
 * dtype I64 have bounds of their own, within 2^31. */
#define FIL_ABI_MOST_EXTENT 0x7fffffff

/* How the runtime learns an extent. Dimension `d` of the kernel is a named
 * unknown ("B", "Hq", "Nk"); its first use binds it, later uses must agree. */
typedef struct fil_abi_dim {
  int32_t symbol; /* index into fil_abi_kernel.dims, or -1: `extent` */
  int32_t extent; /* used when symbol is -1 */
} fil_abi_dim;

typedef struct fil_abi_arg {
  uint32_t size;
  uint32_t kind;    /* fil_abi_arg_kind */
  const char *name; /* "q", "k", "window": unique in the kernel */
  uint32_t dtype;   /* fil_abi_dtype */
  uint32_t flags;
  uint32_t rank;      /* tensors: 1..4, the canonical rank */
  uint32_t slot;      /* first slot of this argument */
  fil_abi_dim dim[4]; /* canonical extents, [0, rank) in use */
  int64_t min, max;   /* SCALAR of dtype I64: inclusive bounds */
  int64_t preset;     /* SCALAR: value when the caller gives none (f32: bits) */
  uint32_t has_preset;
  uint32_t alignment; /* bytes; 0 or 1: the element's own */
} fil_abi_arg;

typedef enum fil_abi_relation_kind {
  FIL_ABI_MULTIPLE = 1,   /* dims[a] is a positive multiple of dims[b] */
  FIL_ABI_ONE_OF = 2,     /* dims[a] is 1, dims[b] or dims[c] (c may be -1) */
  FIL_ABI_EQUAL_PLUS = 3, /* dims[a] == dims[b] + c */
  FIL_ABI_CEIL_DIV = 4    /* dims[a] == ceil(dims[b] / c) */
} fil_abi_relation_kind;

typedef struct fil_abi_relation {
  uint32_t size;
  uint32_t kind;
  int32_t a, b, c;
  uint32_t reserved;
} fil_abi_relation;

/* Slots: the flat int64 array a kernel reads.
 *   slot 0            pointer to a fil_abi_status_word, or 0
 *   slots [1, 1+n)    the kernel's n bound dims, in order
 *   then per argument, at arg.slot:
 *     tensor: data pointer, extents[4], strides[4]  (9 slots; in elements;
 *             dimensions beyond the rank read extent 1, stride 0; a broadcast
 *             dimension reads its full bound extent and stride 0)
 *     scalar: the value                              (1 slot) */
enum {
  FIL_ABI_SLOT_STATUS = 0,
  FIL_ABI_SLOT_DIMS = 1,
  FIL_ABI_TENSOR_SLOTS = 9
};

/* First bad entry met by a kernel; code 0 = none. Written once, atomically on
 * `code` by compare-and-swap, and then the rest. */
typedef struct fil_abi_status_word {
  int32_t code;
  int32_t b, h, row, col;
} fil_abi_status_word;

typedef enum fil_abi_status_code {
  FIL_ABI_OK = 0,
  FIL_ABI_LIST_OUT_OF_ARRAY = 1,   /* start or count leave `cols` */
  FIL_ABI_COLUMN_OUT_OF_RANGE = 2, /* block id < 0 or >= number of key blocks */
  FIL_ABI_COLUMN_NOT_ASCENDING = 3,
  FIL_ABI_DOCUMENT_BOUNDS = 4,  /* cu_seqlens not ascending or beyond T */
  FIL_ABI_ROW_OUT_OF_RANGE = 5, /* since 1.1: `rows` of an oracle */
  /* Since 1.3, of keys in pages; b is the sequence, col the entry. */
  FIL_ABI_PAGE_OUT_OF_RANGE = 6,  /* page id < 0 or >= number of pages */
  FIL_ABI_LENGTH_OUT_OF_RANGE = 7 /* < 0 or more than the page table holds */
} fil_abi_status_code;

/* A phase is a set of independent units of work; all units of a phase finish
 * before the next phase begins. `run` is called once per unit, from any
 * thread; `scratch` is private to the calling worker, `shared` to the run. */
typedef struct fil_abi_phase {
  uint32_t size;
  uint32_t reserved;
  int64_t (*units)(const int64_t *slots);
  /* Work of one unit in key tokens; null: units cost alike or fall from first
   * to last, and are taken in order. Otherwise: longest first. */
  int64_t (*cost)(const int64_t *slots, int64_t unit);
  void (*run)(const int64_t *slots, int64_t unit, void *scratch, void *shared);
} fil_abi_phase;

enum { /* fil_abi_cpu.isa: features the code needs, all of them */
       FIL_ABI_CPU_BASELINE = 0,
       FIL_ABI_CPU_AVX2 = 1,  /* AVX2 + FMA + F16C */
       FIL_ABI_CPU_AVX512 = 2 /* AVX-512 F, BW, DQ, VL + the above */
};

typedef struct fil_abi_cpu {
  uint32_t size;
  uint32_t isa;
  int64_t (*scratch_bytes)(const int64_t *slots); /* per worker, 64-aligned */
  int64_t (*shared_bytes)(const int64_t *slots);  /* per run, 64-aligned */
  uint32_t phase_count;
  uint32_t reserved;
  const fil_abi_phase *phases;
} fil_abi_cpu;

/* A descriptor of the tensor memory accelerator (TMA), since 1.2. The runtime
 * encodes it for every run from the slots of `arg`: always four axes, innermost
 * first (d, n, h, b), the argument's last dimension being d; an axis beyond the
 * rank has extent 1. Loads outside the tensor give zero; L2 promotion is 128
 * bytes. An axis of extent 0 is encoded as extent 1, and nothing may be loaded
 * then; of an absent argument all 128 bytes are zero. Refused are, where the
 * extent is above 1, a stride of 0 (no axis broadcasts), one that is no
 * multiple of 16 bytes, and for d one other than 1. Extents fit an int32
 * coordinate. */
enum { FIL_ABI_TENSOR_MAP_BYTES = 128, FIL_ABI_TENSOR_MAP_ALIGNMENT = 64 };

typedef struct fil_abi_tensor_map {
  uint32_t size;
  uint32_t arg;    /* index into fil_abi_kernel.args: a tensor */
  uint32_t box[4]; /* elements along b, h, n, d: 1..256 each; 1 beyond the rank.
                      box[3] x element is a multiple of 16 bytes and, swizzled,
                      no more than the swizzle */
  uint32_t swizzle; /* bytes: 0, 32, 64 or 128 */
  uint32_t flags;   /* 0 */
} fil_abi_tensor_map;

enum { /* fil_abi_launch.flags */
       FIL_ABI_LAUNCH_PERSISTENT = 1u
                                   << 0, /* CTAs = min(units, SMs *
                                            ctas_per_sm), else CTAs = units */
       FIL_ABI_LAUNCH_ZEROED = 1u
                               << 1, /* the first FIL_ABI_ZEROED_BYTES of the
                                        workspace are 0 as the launch begins */
       /* Since 1.5. */
       FIL_ABI_LAUNCH_ZEROED_DRAWN =
           1u << 2, /* the same where there are more units than CTAs */
       FIL_ABI_LAUNCH_FOLLOWS =
           1u << 3 /* waits by itself (griddepcontrol.wait) for what goes
                      before, and so may begin while that ends */
};
enum {
  FIL_ABI_ZEROED_BYTES = 8192,
  FIL_ABI_PLAN_WORDS = 16,
  FIL_ABI_TENSOR_MAPS = 64 /* at most, of a kernel's launches together; before
                              1.5 32 */
};

/* One function on the device. Launches of a run follow each other on its
 * stream. Parameters of the function, in order, each at its own alignment:
 *   the tensor maps      128 bytes each, 64-byte aligned, by value
 *   the slots            int64_t[slot_count] by value; tensor slots hold device
 *                        addresses, slot 0 that of the status word or 0
 *   the workspace        address, 128-byte aligned, or 0 if it has no bytes
 *   units                int64_t
 *   the plan             int64_t[plan_count] by value, if there is one
 * The grid is one-dimensional; with no units nothing is launched. */
typedef struct fil_abi_launch {
  uint32_t size;
  uint32_t threads;      /* of a CTA: a multiple of 32, at most 1024 */
  uint32_t shared_bytes; /* dynamic shared memory of a CTA */
  uint32_t ctas_per_sm;  /* at least 1; counts for persistent launches */
  uint32_t flags;
  uint32_t tensor_map_count;
  const char *function; /* in the image or PTX */
  const fil_abi_tensor_map *tensor_maps;
  /* Of a run, on a device of so many multiprocessors; runs on the host. */
  int64_t (*units)(const int64_t *slots, int64_t multiprocessors);
  /* Since 1.4, beside an image of the code: another cubin, which has the
   * function; null: it is in that of the code. PTX has all functions. */
  const void *image;
  uint64_t image_bytes;
  /* Since 1.5: numbers of a run that the host finds once for all CTAs. Fills
   * plan_count, at most FIL_ABI_PLAN_WORDS; null: 0. As `units` otherwise. */
  void (*plan)(const int64_t *slots, int64_t multiprocessors, int64_t *plan);
  uint32_t plan_count;
  uint32_t reserved; /* 0 */
} fil_abi_launch;

enum { /* fil_abi_cuda.arch_flags */
       FIL_ABI_CUDA_EXACT =
           1u << 0 /* sm_90a: runs on that architecture alone;
                      otherwise on it and later ones of its major */
};

typedef struct fil_abi_cuda {
  uint32_t size;
  uint32_t arch; /* compute capability, 10 x major + minor: 80, 90 */
  uint32_t arch_flags;
  uint32_t launch_count;
  const void *image; /* cubin; null if there is only ptx */
  uint64_t image_bytes;
  const char *ptx; /* for chips that no image fits, if the caller allows it */
  uint64_t ptx_bytes; /* without the 0 that follows; 0: none */
  /* Of a run, on a device of so many multiprocessors; runs on the host. */
  int64_t (*workspace_bytes)(const int64_t *slots, int64_t multiprocessors);
  const fil_abi_launch *launches;
} fil_abi_cuda;

typedef struct fil_abi_kernel {
  uint32_t size;
  uint32_t slot_count;
  const char *name;    /* pattern name: "window_sink" */
  const char *variant; /* "d128_f32", unique with `name`; "oracle_d128_f32" */
  uint32_t dim_count;
  uint32_t arg_count;
  const char *const *dims; /* names of the unknown extents */
  const fil_abi_arg *args; /* outputs last */
  uint32_t relation_count;
  uint32_t cpu_count;
  const fil_abi_relation *relations;
  const fil_abi_cpu *cpu; /* ascending isa */
  const char *ir; /* the pattern as attn IR text, for checks and explain */
  uint64_t ir_bytes;
  /* Since 1.2; without them a kernel has cpu code only. */
  uint32_t cuda_count;
  uint32_t reserved;
  const fil_abi_cuda *cuda; /* ascending arch */
} fil_abi_kernel;

typedef struct fil_abi_table {
  uint64_t magic;
  uint32_t size;
  uint32_t abi_major, abi_minor;
  uint32_t kernel_count;
  const char *producer; /* "filigree 0.1.0" */
  const fil_abi_kernel *kernels;
} fil_abi_table;

#ifdef __cplusplus
}
#endif
#endif /* FILIGREE_RUNTIME_ARTIFACTABI_H */
