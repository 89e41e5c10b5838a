//===- HeaderTest.cpp - filigree.h from C++, after the real dlpack.h ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Stands in for dlpack.h with its guard and its own declarations, which must be
// the ones that are used.
//
//===----------------------------------------------------------------------===//
#define DLPACK_DLPACK_H_
#include <cstdint>
typedef enum : int32_t {
  kDLCPU = 1,
  kDLCUDA = 2,
  kDLCUDAHost = 3
} DLDeviceType;
typedef struct {
  DLDeviceType device_type;
  int32_t device_id;
} DLDevice;
typedef enum { kDLInt = 0U, kDLUInt = 1U, kDLFloat = 2U } DLDataTypeCode;
typedef struct {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} DLDataType;
typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
} DLTensor;

#include "runtime/filigree.h"

#include <gtest/gtest.h>

extern "C" uint32_t fil_test_c99(void);

TEST(Header, compilesAsC99) { EXPECT_EQ(fil_test_c99(), fil_version()); }

TEST(Header, compilesAsCxxAfterDlpack) {
  DLTensor tensor = {};
  fil_arg arg = fil_tensor_arg("q", &tensor);
  EXPECT_EQ(arg.tensor, &tensor);
  EXPECT_EQ(fil_version(), uint32_t(FIL_VERSION));
}

TEST(Header, nullHandlesAreAnswered) {
  EXPECT_EQ(fil_kernel_count(nullptr), 0u);
  EXPECT_EQ(fil_kernel_at(nullptr, 0), nullptr);
  EXPECT_STREQ(fil_kernel_name(nullptr), "");
  EXPECT_STREQ(fil_kernel_variant(nullptr), "");
  EXPECT_STREQ(fil_producer(nullptr), "");
  EXPECT_EQ(fil_kernel_arg_count(nullptr), 0u);
  fil_close(nullptr);
  fil_pool_destroy(nullptr);
  EXPECT_EQ(fil_pool_threads(nullptr), 1u);
  EXPECT_EQ(fil_open(nullptr, nullptr, nullptr), FIL_BAD_CALL);
  EXPECT_EQ(fil_run(nullptr, nullptr, 0, nullptr, nullptr, 0, nullptr),
            FIL_BAD_CALL);
}
