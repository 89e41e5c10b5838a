/*===- header_c99.c - filigree.h is C99 --------------------------------------*\
|*
|* Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|* Compiled as C99 -pedantic; also keeps the layouts that callers of an older
|* header rely on, and the initialisers.
|*
\*===----------------------------------------------------------------------===*/
#include "runtime/filigree.h"

#include "runtime/ArtifactAbi.h"

#define LAYOUT(name, condition) typedef char layout_##name[(condition) ? 1 : -1]
LAYOUT(tensor, sizeof(DLTensor) == 48);
LAYOUT(tensor_dtype, offsetof(DLTensor, dtype) == 20);
LAYOUT(tensor_offset, offsetof(DLTensor, byte_offset) == 40);
LAYOUT(arg, sizeof(fil_arg) == 40);
LAYOUT(error, sizeof(fil_error) == 520);
LAYOUT(options, sizeof(fil_options) == 56);
LAYOUT(options_first, offsetof(fil_options, stream) == 40);
LAYOUT(cuda_info, sizeof(fil_cuda_info) == 24);
LAYOUT(word, sizeof(fil_status_word) == 20);

/* Used by HeaderTest.cpp, so that it is compiled and linked. */
uint32_t fil_test_c99(void);
uint32_t fil_test_c99(void) {
  fil_error err = FIL_ERROR_INIT;
  fil_options options = FIL_OPTIONS_INIT;
  fil_pool_options pool = FIL_POOL_OPTIONS_INIT;
  fil_arg_info info = FIL_ARG_INFO_INIT;
  fil_cuda_info cuda = FIL_CUDA_INFO_INIT;
  fil_arg args[3];
  args[0] = fil_tensor_arg("q", NULL);
  args[1] = fil_int_arg("window", 4096);
  args[2] = fil_float_arg("scale", 0.5);
  if (err.size != sizeof(err) || options.size != sizeof(options) ||
      pool.size != sizeof(pool) || info.size != sizeof(info) ||
      cuda.size != sizeof(cuda) || args[1].i != 4096 || args[2].kind != FIL_FLOAT)
    return 0;
  return fil_version();
}
