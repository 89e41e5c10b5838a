//===- CudaTensorMapTest.cpp - descriptors of tensors, and layouts --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "CudaSupport.h"

using namespace filigree::runtime;
using namespace filigree::runtime::test;

namespace {

class CudaTensorMap : public Cuda {
protected:
  FakeTensorMap mapOf(size_t launch, size_t parameter) {
    std::vector<char> bytes = world.launches[launch].parameters[parameter];
    EXPECT_EQ(bytes.size(), 128u);
    FakeTensorMap map;
    memcpy(&map, bytes.data(), sizeof(map));
    return map;
  }
};

template <typename T, size_t Count>
std::vector<T> list(const T (&array)[Count]) {
  return {array, array + Count};
}

TEST_F(CudaTensorMap, mapOfACompactTensor) {
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
  FakeTensorMap map = mapOf(0, 0);
  EXPECT_EQ(map.magic, filigree::fakecuda::kMapMagic);
  EXPECT_EQ(map.address, static_cast<uint64_t>(x.address()));
  EXPECT_EQ(list(map.extents), (std::vector<uint64_t>{8, 5, 3, 2}));
  EXPECT_EQ(list(map.strides), (std::vector<uint64_t>{32, 160, 480}));
  EXPECT_EQ(list(map.box), (std::vector<uint32_t>{8, 2, 1, 1}));
  EXPECT_EQ(map.type, cuda::kMapF32);
  EXPECT_EQ(map.rank, 4);
  EXPECT_EQ(map.swizzle, 1);
  EXPECT_EQ(map.l2Promotion, 2); // 128 bytes
  // `y` is absent.
  EXPECT_EQ(world.launches[0].parameters[1], std::vector<char>(128, 0));
}

TEST_F(CudaTensorMap, mapOfATransposedSlice) {
  // [B, N, H, D] in memory, 16 columns of which 8 are used, from the second row
  DeviceTensor memory(world, {2, 6, 3, 16}), o(world, {2, 3, 5, 8});
  DLTensor x = memory.dl;
  int64_t shape[] = {2, 3, 5, 8}, strides[] = {288, 16, 48, 1};
  x.shape = shape;
  x.strides = strides;
  x.byte_offset = 48 * 4;
  DeviceTensor y(world, {2, 3, 4, 8});
  EXPECT_OK(go(argsOf(x, o.dl, 3, &y.dl), &err));
  FakeTensorMap map = mapOf(0, 0);
  EXPECT_EQ(map.address, static_cast<uint64_t>(memory.address()) + 192);
  EXPECT_EQ(list(map.extents), (std::vector<uint64_t>{8, 5, 3, 2}));
  EXPECT_EQ(list(map.strides), (std::vector<uint64_t>{192, 64, 1152}));
  EXPECT_EQ(o.data()[8], 2 * memory.data()[48 + 48] + 3);
  map = mapOf(0, 1);
  EXPECT_EQ(map.address, static_cast<uint64_t>(y.address()));
  EXPECT_EQ(list(map.extents), (std::vector<uint64_t>{8, 4, 3, 2}));
  EXPECT_EQ(list(map.box), (std::vector<uint32_t>{8, 4, 1, 1}));
  EXPECT_EQ(map.swizzle, 0);
}

TEST_F(CudaTensorMap, mapWithoutTheLeadingDimension) {
  DeviceTensor x(world, {3, 5, 8}), o(world, {3, 5, 8});
  EXPECT_OK(go(argsOf(x.dl, o.dl), &err));
  FakeTensorMap map = mapOf(0, 0);
  EXPECT_EQ(list(map.extents), (std::vector<uint64_t>{8, 5, 3, 1}));
  EXPECT_EQ(list(map.strides), (std::vector<uint64_t>{32, 160, 32}))
      << "an axis of extent 1 has a legal stride";
}

TEST_F(CudaTensorMap, mapOfALowerRank) {
  t.args[1].rank = 2; // [M, 8]
  t.args[1].dim[0] = {blend::M, 0};
  t.args[1].dim[1] = {-1, 8};
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  DeviceTensor y(world, {7, 8});
  EXPECT_OK(go(argsOf(x.dl, o.dl, 3, &y.dl), &err));
  FakeTensorMap map = mapOf(0, 1);
  EXPECT_EQ(list(map.extents), (std::vector<uint64_t>{8, 7, 1, 1}));
  EXPECT_EQ(list(map.strides), (std::vector<uint64_t>{32, 32, 32}));
  EXPECT_EQ(list(map.box), (std::vector<uint32_t>{8, 4, 1, 1}));
}

TEST_F(CudaTensorMap, mapsOfEveryLaunch) {
  fil_abi_tensor_map ofOutput = {
      sizeof(fil_abi_tensor_map), 3, {1, 1, 16, 8}, 0, 0};
  t.launches[1].tensor_map_count = 1;
  t.launches[1].tensor_maps = &ofOutput;
  auto describe = world.describe;
  world.describe = [=](const void *image, const std::string &name,
                       FakeFunction &function) {
    bool known = describe(image, name, function);
    if (name == "second")
      function.parameterBytes = {128, blend::Slots * 8, 8, 8};
    return known;
  };
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  DeviceTensor y(world, {2, 3, 5, 8});
  EXPECT_OK(go(argsOf(x.dl, o.dl, 3, &y.dl), &err));
  EXPECT_EQ(mapOf(0, 0).address, static_cast<uint64_t>(x.address()));
  EXPECT_EQ(mapOf(0, 1).address, static_cast<uint64_t>(y.address()));
  EXPECT_EQ(mapOf(1, 0).address, static_cast<uint64_t>(o.address()));
  EXPECT_EQ(mapOf(1, 0).box[1], 16u);
  EXPECT_EQ(o.data()[9], 21.0f);
}

TEST_F(CudaTensorMap, mapOfAnEmptyTensor) {
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  DeviceTensor y(world, {2, 3, 0, 8});
  y.dl.data = nullptr;
  EXPECT_OK(go(argsOf(x.dl, o.dl, 3, &y.dl), &err));
  FakeTensorMap map = mapOf(0, 1);
  EXPECT_EQ(map.magic, filigree::fakecuda::kMapMagic);
  EXPECT_EQ(list(map.extents), (std::vector<uint64_t>{8, 1, 3, 2}));
  EXPECT_EQ(o.data()[0], 3.0f);
}

TEST_F(CudaTensorMap, mapTypes) {
  DeviceTensor x(world, {1, 1, 5, 8}), o(world, {1, 1, 5, 8});
  struct {
    uint32_t dtype;
    DLDataType type;
    int expected;
  } rows[] = {{FIL_ABI_BF16, {kDLBfloat, 16, 1}, cuda::kMapBf16},
              {FIL_ABI_F16, {kDLFloat, 16, 1}, cuda::kMapF16},
              {FIL_ABI_I32, {kDLInt, 32, 1}, cuda::kMapI32},
              {FIL_ABI_I64, {kDLInt, 64, 1}, cuda::kMapI64},
              {FIL_ABI_F64, {kDLFloat, 64, 1}, cuda::kMapF64}};
  for (auto &row : rows) {
    t.args[1].dtype = row.dtype;
    DeviceTensor y(world, {1, 1, 2, 16});
    int64_t shape[] = {1, 1, 2, 8};
    y.dl.shape = shape;
    y.dl.dtype = row.type;
    world.launches.clear();
    EXPECT_OK(go(argsOf(x.dl, o.dl, 3, &y.dl), &err));
    EXPECT_EQ(mapOf(0, 1).type, row.expected);
  }
}

TEST_F(CudaTensorMap, layoutsThatLoadsCannotDo) {
  DeviceTensor x(world, {2, 3, 5, 8}), o(world, {2, 3, 5, 8});
  DeviceTensor y(world, {2, 3, 5, 8});
  // In this order in memory: y's strides will lead far away.
  auto *memory =
      static_cast<float *>(world.allocate(1 << 14, MemoryKind::Device, 0));
  x.dl.data = memory;
  o.dl.data = memory + 1024;
  y.dl.data = memory + 2048;
  std::vector<fil_arg> args = argsOf(x.dl, o.dl, 3, &y.dl);
  y.setStrides({120, 0, 8, 1});
  EXPECT_FAILS(go(args, &err), FIL_BAD_ARGUMENT,
               "expected stride 1 of `y` to be at least 1 for extent 3, but "
               "got 0: this kernel's loads on cuda do not broadcast");
  y.setStrides({120, 42, 8, 1});
  EXPECT_FAILS(go(args, &err), FIL_BAD_ARGUMENT,
               "expected stride 1 of `y` to be a multiple of 16 bytes, but got "
               "42 elements of 4 bytes");
  y.setStrides({int64_t(1) << 38, 40, 8, 1});
  EXPECT_FAILS(go(args, &err), FIL_BAD_ARGUMENT,
               "expected stride 0 of `y` below 2^40 bytes on cuda, but got "
               "274877906944 elements of 4 bytes");
  y.setStrides({120, 40, 8, 1});
  y.dl.byte_offset = 4;
  EXPECT_FAILS(go(args, &err), FIL_BAD_ARGUMENT,
               "expected `y` aligned to 16 bytes, but its address is 4 bytes "
               "past that");
  y.dl.byte_offset = 0;
  t.args[1].flags |= FIL_ABI_MAY_BROADCAST; // then the last stride is free
  y.setStrides({120, 40, 8, 2});
  EXPECT_FAILS(go(args, &err), FIL_BAD_ARGUMENT,
               "expected the last dimension of `y` to be contiguous on cuda "
               "(stride 1), but got stride 2");
  // A stretched extent 1 is a stride of 0 as well; dimensions are the caller's.
  DeviceTensor narrow(world, {3, 1, 8}), wide(world, {3, 5, 8});
  EXPECT_FAILS(go(argsOf(narrow.dl, wide.dl), &err), FIL_BAD_ARGUMENT,
               "expected stride 1 of `x` to be at least 1 for extent 5, but "
               "got 0: this kernel's loads on cuda do not broadcast");
  EXPECT_EQ(world.launches.size(), 0u);
}

TEST_F(CudaTensorMap, layoutsThatFlagsRefuse) {
  DeviceTensor x(world, {1, 2, 5, 8}), o(world, {1, 2, 5, 16});
  int64_t shape[] = {1, 2, 5, 8};
  o.dl.shape = shape;
  o.setStrides({80, 43, 8, 1});
  std::vector<fil_arg> args = argsOf(x.dl, o.dl);
  EXPECT_FAILS(go(args, &err), FIL_BAD_ARGUMENT,
               "expected stride 1 of `o` to be a multiple of 16 bytes, but got "
               "43 elements of 4 bytes");
  // The last element is 2^31 + 40 - 8 + 7 - 1 away; inputs come before outputs
  // in memory, or the two would be said to overlap.
  o.setStrides({80, int64_t(1) << 31, 8, 1});
  if (o.address() < x.address()) {
    std::swap(o.dl.data, x.dl.data);
  }
  EXPECT_FAILS(go(args, &err), FIL_BAD_ARGUMENT,
               "expected all elements of `o` within 2^31 of the first, but the "
               "last is 2147483687 after it");
  o.setStrides({80, 40, 8, 1});
  EXPECT_OK(go(args, &err));
}

TEST_F(CudaTensorMap, lastStridesOfTables) {
  DeviceTensor x(world, {1, 2, 5, 8}), o(world, {1, 2, 5, 8});
  x.setStrides({80, 40, 8, int64_t(1) << 23});
  if (x.address() < o.address()) // or the two would be said to overlap
    std::swap(o.dl.data, x.dl.data);
  EXPECT_FAILS(go(argsOf(x.dl, o.dl), &err), FIL_BAD_ARGUMENT,
               "expected stride 3 of `x` below 2^23 elements on cuda, but got "
               "8388608");
}

} // namespace
