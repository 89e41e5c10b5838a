//===- TensorMap.cpp - what 128 bytes say about a tensor ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// encodeTiled refuses what the CUDA driver documents that it refuses, so that a
// host program which passes here is not surprised on a GPU.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/TensorMap.h"

#include "test/lib/ptx-emulator/PtxEmulator.h"

#include <algorithm>
#include <cstring>

namespace filigree::ptx {

namespace {

/// The blob: 120 bytes, and a tail that no other bytes have by chance.
struct Blob {
  uint64_t base;
  uint64_t strides[4];
  uint32_t dimensions[5]; ///< less 1, for 2^32 is allowed
  uint16_t box[5];
  uint8_t elementStrides[5];
  uint8_t rank, dataType, swizzle, fill;
  uint8_t reserved[39];
  uint64_t magic;
};
static_assert(sizeof(Blob) == 128, "the size of CUtensorMap");
constexpr uint64_t magicNumber = 0x70614d726f736e54;

/// Bytes of CUtensorMapDataType: uint8, uint16, uint32, int32, uint64, int64,
/// float16, float32, float64, bfloat16, float32_ftz, tfloat32, tfloat32_ftz.
constexpr uint8_t bytesOfDataType[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};

} // namespace

int encodeTiled(void *tensorMap, unsigned dataType, uint32_t rank, void *base,
                const uint64_t *dimensions, const uint64_t *strides,
                const uint32_t *box, const uint32_t *elementStrides,
                unsigned interleave, unsigned swizzle, unsigned l2Promotion,
                unsigned outOfBoundsFill, std::string *error) {
  auto refuse = [&](const std::string &sentence) {
    if (error)
      *error = sentence;
    return 1;
  };
  if (!tensorMap || reinterpret_cast<uintptr_t>(tensorMap) % 64)
    return refuse("expected the tensor map at a multiple of 64 bytes");
  if (dataType >= sizeof(bytesOfDataType))
    return refuse("unknown data type " + std::to_string(dataType));
  if (rank < 1 || rank > 5)
    return refuse("expected a rank from 1 to 5, but got " +
                  std::to_string(rank));
  if (!base || reinterpret_cast<uintptr_t>(base) % 16)
    return refuse("expected a base address at a multiple of 16 bytes");
  if (interleave != 0)
    return refuse("unsupported: interleaved layout");
  if (swizzle > 3)
    return refuse("unknown swizzle " + std::to_string(swizzle));
  if (l2Promotion > 3)
    return refuse("unknown promotion " + std::to_string(l2Promotion));
  bool isFloat = dataType >= 6;
  if (outOfBoundsFill > 1 || (outOfBoundsFill == 1 && !isFloat))
    return refuse("unknown fill for this data type");
  uint32_t bytes = bytesOfDataType[dataType];
  Blob blob{};
  for (uint32_t d = 0; d < rank; ++d) {
    std::string which = " of dimension " + std::to_string(d);
    if (dimensions[d] < 1 || dimensions[d] > 1ull << 32)
      return refuse("expected an extent from 1 to 2^32, but got " +
                    std::to_string(dimensions[d]) + which);
    if (box[d] < 1 || box[d] > 256)
      return refuse("expected a box from 1 to 256, but got " +
                    std::to_string(box[d]) + which);
    if (elementStrides[d] < 1 || elementStrides[d] > 8)
      return refuse("expected an element stride from 1 to 8, but got " +
                    std::to_string(elementStrides[d]) + which);
    if (d && (strides[d - 1] % 16 || strides[d - 1] >= 1ull << 40))
      return refuse(
          "expected a stride that is a multiple of 16 below 2^40, but got " +
          std::to_string(strides[d - 1]) + which);
    blob.dimensions[d] = static_cast<uint32_t>(dimensions[d] - 1);
    blob.box[d] = static_cast<uint16_t>(box[d]);
    blob.elementStrides[d] = static_cast<uint8_t>(elementStrides[d]);
    if (d)
      blob.strides[d - 1] = strides[d - 1];
  }
  uint32_t inner = box[0] * bytes;
  if (inner % 16)
    return refuse(
        "expected a box whose rows are a multiple of 16 bytes, but got " +
        std::to_string(inner));
  if (swizzle && inner > 16u << swizzle)
    return refuse("expected box rows of at most " +
                  std::to_string(16u << swizzle) +
                  " bytes for this swizzle, but got " + std::to_string(inner));
  blob.base = reinterpret_cast<uint64_t>(base);
  blob.rank = static_cast<uint8_t>(rank);
  blob.dataType = static_cast<uint8_t>(dataType);
  blob.swizzle = static_cast<uint8_t>(swizzle);
  blob.fill = static_cast<uint8_t>(outOfBoundsFill);
  blob.magic = magicNumber;
  memcpy(tensorMap, &blob, sizeof(blob));
  return 0;
}

bool readTensorMap(const void *bytes, TensorMap &map) {
  Blob blob;
  memcpy(&blob, bytes, sizeof(blob));
  if (blob.magic != magicNumber)
    return false;
  map.base = blob.base;
  map.rank = blob.rank;
  map.elementBytes = bytesOfDataType[blob.dataType];
  map.strides[0] = map.elementBytes;
  for (uint32_t d = 0; d < map.rank; ++d) {
    map.dimensions[d] = static_cast<uint64_t>(blob.dimensions[d]) + 1;
    map.box[d] = blob.box[d];
    map.elementStrides[d] = blob.elementStrides[d];
    if (d)
      map.strides[d] = blob.strides[d - 1];
  }
  map.swizzle = blob.swizzle ? 16u << blob.swizzle : 0;
  map.fillNaN = blob.fill == 1;
  map.isBFloat = blob.dataType == 9;
  map.isFloat = blob.dataType >= 6;
  return true;
}

} // namespace filigree::ptx
