/*===- main.c - runs a compiled attention pattern from C --------------------*\
|*
|* Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|* embed-c ARTIFACT.so [N]: fills q, k, v [H, N, D] of f32 with numbers that are
|* the same everywhere, runs the artifact's first kernel and prints the sums of
|* o and lse. cc main.c -lfiligree is all it takes to build.
|*
\*===----------------------------------------------------------------------===*/
#include "runtime/filigree.h"

#include <stdio.h>
#include <stdlib.h>

enum { Q, K, V, O, LSE, COUNT };
static const char *const names[COUNT] = {"q", "k", "v", "o", "lse"};
static fil_error err = FIL_ERROR_INIT;

static void check(fil_status status) {
  if (status == FIL_OK)
    return;
  fprintf(stderr, "embed-c: %s\n", err.message);
  exit(1);
}

/* Numbers in [-1, 1) of a linear congruential generator. */
static float next(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return (float)(*state >> 8) / 8388608.0f - 1.0f;
}

int main(int argc, char **argv) {
  fil_library *library = NULL;
  const fil_kernel *kernel;
  fil_arg_info info = FIL_ARG_INFO_INIT;
  DLTensor tensors[COUNT];
  fil_arg args[COUNT];
  int64_t shape[3] = {4, argc > 2 ? atoll(argv[2]) : 256, 0}; /* H, N, D */
  size_t rows, bytes;
  uint32_t seed = 1;
  if (argc < 2 || shape[1] < 1) {
    fprintf(stderr, "expected embed-c ARTIFACT.so [N]\n");
    return 1;
  }
  check(fil_open(argv[1], &library, &err));
  kernel = fil_kernel_at(library, 0);
  check(fil_kernel_arg(kernel, 0, &info, &err)); /* q [B, H, N, D] comes first */
  shape[2] = info.extent[3];
  rows = (size_t)(shape[0] * shape[1]);

  for (int i = 0; i < COUNT; ++i) {
    size_t elements = i == LSE ? rows : rows * (size_t)shape[2];
    float *values = malloc(elements * sizeof(float));
    if (!values)
      return 1;
    for (size_t e = 0; i < O && e < elements; ++e)
      values[e] = next(&seed);
    tensors[i] = (DLTensor){.data = values,
                            .device = {kDLCPU, 0},
                            .ndim = i == LSE ? 2 : 3,
                            .dtype = {kDLFloat, 32, 1},
                            .shape = shape};
    args[i] = fil_tensor_arg(names[i], &tensors[i]);
  }

  check(fil_workspace(kernel, args, COUNT, NULL, &bytes, &err));
  void *workspace = aligned_alloc(64, bytes / 64 * 64 + 64);
  check(fil_run(kernel, args, COUNT, NULL, workspace, bytes, &err));

  printf("%s %s\n", fil_kernel_name(kernel), fil_kernel_variant(kernel));
  for (int i = O; i <= LSE; ++i) {
    size_t elements = i == LSE ? rows : rows * (size_t)shape[2];
    double sum = 0;
    for (size_t e = 0; e < elements; ++e)
      sum += (double)((float *)tensors[i].data)[e];
    printf("sum of %s: %.6g\n", names[i], sum);
  }
  for (int i = 0; i < COUNT; ++i)
    free(tensors[i].data);
  free(workspace);
  fil_close(library);
  return 0;
}
