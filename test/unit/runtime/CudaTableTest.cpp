//===- CudaTableTest.cpp - tables whose cuda part is refused --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "CudaSupport.h"

#include "runtime/ArtifactTable.h"

using namespace filigree::runtime;
using namespace filigree::runtime::test;

namespace {

#define EXPECT_REFUSED(change, text)                                           \
  do {                                                                         \
    BlendTable t;                                                              \
    change;                                                                    \
    EXPECT_FAILS(validateTable(&t.table, &err), FIL_BAD_ARTIFACT, text);       \
  } while (false)

TEST(CudaTable, goodIsAccepted) {
  BlendTable t;
  fil_error err = FIL_ERROR_INIT;
  EXPECT_EQ(validateTable(&t.table, &err), FIL_OK) << err.message;
  t.cudas[0].image = nullptr; // ptx alone is code as well
  t.cudas[0].image_bytes = 0;
  EXPECT_EQ(validateTable(&t.table, &err), FIL_OK) << err.message;
}

TEST(CudaTable, kernelsOfAnOlderAbi) {
  BlendTable t;
  t.kernel.size = offsetof(fil_abi_kernel, cuda_count);
  t.kernel.cuda = nullptr; // not looked at: the struct ends before it
  EXPECT_EQ(validateTable(&t.table, nullptr), FIL_OK);
  EXPECT_EQ(cudaCount(t.kernel), 0u);
}

TEST(CudaTable, launchesOfAnOlderAbi) {
  for (uint32_t bytes :
       {offsetof(fil_abi_launch, image), offsetof(fil_abi_launch, plan)}) {
    BlendTable t;
    alignas(fil_abi_launch) char launches[2 * sizeof(fil_abi_launch)];
    for (uint32_t i = 0; i < 2; ++i) {
      t.launches[i].size = bytes;
      t.launches[i].plan_count = 17; // not looked at: the struct ends before it
      memcpy(launches + i * bytes, &t.launches[i], bytes);
    }
    for (fil_abi_cuda &cuda : t.cudas)
      cuda.launches = reinterpret_cast<fil_abi_launch *>(launches);
    fil_error err = FIL_ERROR_INIT;
    EXPECT_EQ(validateTable(&t.table, &err), FIL_OK) << err.message;
    EXPECT_EQ(planCount(t.launches[1]), 0u);
    t.launches[1].image = "image";
    bool has = bytes > offsetof(fil_abi_launch, image);
    EXPECT_EQ(ownImage(t.launches[1]) != nullptr, has);
  }
}

TEST(CudaTable, codes) {
  EXPECT_REFUSED(t.kernel.cuda = nullptr,
                 "expected an array of 2 cuda codes in kernel `blend` variant "
                 "`d8_f32`, but found null");
  EXPECT_REFUSED(t.kernel.cuda_count = 17,
                 "expected at most 16 cuda codes in kernel `blend` variant "
                 "`d8_f32`, but found 17");
  EXPECT_REFUSED(t.cudas[1].size = 8,
                 "expected cuda code 1 of kernel `blend` variant `d8_f32` to "
                 "have size 64, but found 8");
  EXPECT_REFUSED(t.cudas[0].arch = 8,
                 "expected cuda code 0 of kernel `blend` variant `d8_f32` to "
                 "have arch 10 to 999, but found 8");
  EXPECT_REFUSED(t.cudas[0].arch_flags = 6,
                 "expected cuda code 0 of kernel `blend` variant `d8_f32` to "
                 "have known arch flags, but found 0x6");
  EXPECT_REFUSED(t.cudas[1].arch = 80,
                 "expected cuda codes of kernel `blend` variant `d8_f32` with "
                 "ascending arch, but found 80 after 80");
  const char *empty = "expected cuda code 1 of kernel `blend` variant `d8_f32` "
                      "to have an image or ptx, but found null";
  EXPECT_REFUSED(t.cudas[1].image = nullptr, empty);
  EXPECT_REFUSED(t.cudas[1].image_bytes = 0, empty);
  EXPECT_REFUSED(t.cudas[1].ptx_bytes = 4, empty);
  EXPECT_REFUSED(t.cudas[0].ptx_bytes = 3,
                 "expected the ptx of cuda code 0 of kernel `blend` variant "
                 "`d8_f32` to end with 0, but it goes on");
  EXPECT_REFUSED(t.cudas[0].workspace_bytes = nullptr,
                 "expected cuda code 0 of kernel `blend` variant `d8_f32` to "
                 "state its workspace, but found null");
  EXPECT_REFUSED(t.cudas[0].launch_count = 0,
                 "expected 1 to 32 launches in kernel `blend` variant "
                 "`d8_f32`, but found 0");
  EXPECT_REFUSED(t.cudas[0].launches = nullptr,
                 "expected 1 to 32 launches in kernel `blend` variant "
                 "`d8_f32`, but found 2 at null");
}

TEST(CudaTable, launches) {
  EXPECT_REFUSED(t.launches[1].size = 40,
                 "expected launch 1 of kernel `blend` variant `d8_f32` to have "
                 "size 48, but found 40");
  const char *functions = "expected launch 1 of kernel `blend` variant "
                          "`d8_f32` to have functions, but found null";
  EXPECT_REFUSED(t.launches[1].function = "", functions);
  EXPECT_REFUSED(t.launches[1].units = nullptr, functions);
  EXPECT_REFUSED(t.launches[0].threads = 100,
                 "expected launch 0 of kernel `blend` variant `d8_f32` to have "
                 "32 to 1024 threads in whole warps, but found 100");
  EXPECT_REFUSED(t.launches[0].threads = 2048,
                 "expected launch 0 of kernel `blend` variant `d8_f32` to have "
                 "32 to 1024 threads in whole warps, but found 2048");
  EXPECT_REFUSED(t.launches[0].ctas_per_sm = 0,
                 "expected launch 0 of kernel `blend` variant `d8_f32` to have "
                 "1 to 64 ctas per multiprocessor, but found 0");
  EXPECT_REFUSED(t.launches[0].flags = 16,
                 "expected launch 0 of kernel `blend` variant `d8_f32` to have "
                 "at most 2^20 shared bytes and known flags, but found 100000 "
                 "and 0x10");
  EXPECT_REFUSED(t.launches[1].plan_count = 2,
                 "expected launch 1 of kernel `blend` variant `d8_f32` to have "
                 "a plan of at most 16 words, but found 2 at null");
  EXPECT_REFUSED(
      (t.launches[1].plan = blend::plan, t.launches[1].plan_count = 17),
      "expected launch 1 of kernel `blend` variant `d8_f32` to have "
      "a plan of at most 16 words, but found 17");
  EXPECT_REFUSED(t.launches[1].image = "image",
                 "expected launch 1 of kernel `blend` variant `d8_f32` to have "
                 "an image beside that of its code or none, but found 0 bytes");
  EXPECT_REFUSED(t.launches[1].image_bytes = 5,
                 "expected launch 1 of kernel `blend` variant `d8_f32` to have "
                 "an image beside that of its code or none, but found 5 bytes "
                 "at null");
  EXPECT_REFUSED((t.launches[1].image = "image", t.launches[1].image_bytes = 5,
                  t.cudas[0].image = nullptr, t.cudas[0].image_bytes = 0),
                 "expected launch 1 of kernel `blend` variant `d8_f32` to have "
                 "an image beside that of its code or none, but found 5 bytes");
  EXPECT_REFUSED(t.launches[0].tensor_maps = nullptr,
                 "expected 2 tensor maps in launch 0 of kernel `blend` variant "
                 "`d8_f32`, but found null");
  EXPECT_REFUSED(t.launches[1].tensor_map_count = 63,
                 "expected at most 64 tensor maps in kernel `blend` variant "
                 "`d8_f32`, but launch 1 has number 65");
}

TEST(CudaTable, tensorMaps) {
  EXPECT_REFUSED(t.maps[1].size = 0,
                 "expected tensor map 1 of kernel `blend` variant `d8_f32` to "
                 "have size 32, but found 0");
  EXPECT_REFUSED(t.maps[0].arg = 2, // a scalar
                 "expected a tensor map of kernel `blend` variant `d8_f32` to "
                 "name a tensor, but found arg 2");
  EXPECT_REFUSED(t.maps[0].arg = 4,
                 "expected a tensor map of kernel `blend` variant `d8_f32` to "
                 "name a tensor, but found arg 4");
  EXPECT_REFUSED(t.maps[0].box[1] = 0,
                 "expected axis 1 of the tensor map of `x` of kernel `blend` "
                 "variant `d8_f32` to have a box of 1 to 256, but found 0");
  EXPECT_REFUSED(t.maps[0].box[2] = 257,
                 "expected axis 2 of the tensor map of `x` of kernel `blend` "
                 "variant `d8_f32` to have a box of 1 to 256, but found 257");
  EXPECT_REFUSED((t.args[0].rank = 3, t.maps[0].box[0] = 2),
                 "expected axis 0 of the tensor map of `x` of kernel `blend` "
                 "variant `d8_f32` to have a box of 1 to 1, but found 2");
  EXPECT_REFUSED(t.maps[0].swizzle = 16,
                 "expected the tensor map of `x` of kernel `blend` variant "
                 "`d8_f32` to have swizzle 0, 32, 64 or 128, but found 16");
  EXPECT_REFUSED(t.maps[0].box[3] = 16,
                 "expected rows of the tensor map of `x` of kernel `blend` "
                 "variant `d8_f32` to be a multiple of 16 bytes within swizzle "
                 "32, but found 64");
  EXPECT_REFUSED(t.maps[1].box[3] = 3,
                 "expected rows of the tensor map of `y` of kernel `blend` "
                 "variant `d8_f32` to be a multiple of 16 bytes within swizzle "
                 "0, but found 12");
  EXPECT_REFUSED(t.maps[1].flags = 1,
                 "expected the tensor map of `y` of kernel `blend` variant "
                 "`d8_f32` to have flags 0, but found 0x1");
}

} // namespace
