//===- Target.cpp - what each target can do, as data ----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/Target.h"
#include "runtime/ArtifactAbi.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace filigree;

static constexpr CpuTarget kCpuTargets[] = {
    {"baseline", FIL_ABI_CPU_BASELINE, "x86-64", "", 4, 16, false, false,
     false},
    {"avx2", FIL_ABI_CPU_AVX2, "x86-64", "+avx2,+fma,+f16c", 8, 16, true, true,
     false},
    {"avx512", FIL_ABI_CPU_AVX512, "x86-64",
     "+avx2,+fma,+f16c,+avx512f,+avx512bw,+avx512dq,+avx512vl,-prefer-256-bit",
     16, 32, true, true, true},
};

llvm::ArrayRef<CpuTarget> filigree::getCpuTargets() { return kCpuTargets; }

llvm::ArrayRef<CpuTarget> filigree::lookupCpuTargets(llvm::StringRef word) {
  if (word == "cpu")
    return kCpuTargets;
  if (!word.consume_front("cpu:"))
    return {};
  for (const CpuTarget &target : kCpuTargets)
    if (target.name == word)
      return llvm::ArrayRef(target);
  return {};
}

// What registers hold: sums of 64 rows of values and of a chunk of scores. With
// little to multiply a pair, a third warpgroup hides exponentials.
static constexpr CudaTile kHopperTiles[] = {
    {64, 64, 192, 96, 0}, {256, 128, 128, 128, 64}, {256, 256, 128, 64, 64}};
// A single warpgroup leaves the tensor cores idle during its softmax, so two
// CTAs of one take turns where shared memory holds both. Few queries wait for
// memory: one CTA, whose loads run the further ahead.
static constexpr CudaRegisters kHopperRegisters[] = {{1, 128, 2, 56, 200},
                                                     {1, 256, 1, 56, 224},
                                                     {2, 256, 1, 56, 224},
                                                     {3, 256, 1, 56, 152}};

// With 32 rows a warp reads keys and values from shared memory half as often as
// with 16, where reading would take as long as multiplying; sums of more than
// 128 dimensions have no room for that. Then scores take what registers are
// left.
static constexpr CudaTile kAmpereTiles[] = {{128, 128, 128, 64, 64},
                                            {256, 256, 64, 32, 32}};

static constexpr CudaTarget kCudaTargets[] = {
    // Shared memory is that of an RTX or L40; the A100 has 163 KiB.
    {"sm_80",
     80,
     false,
     "sm_80",
     "+ptx78",
     /*warpgroups=*/false,
     /*storeMatrix=*/false,
     /*ctas=*/2,
     /*groupWarps=*/4,
     /*groupRows=*/64,
     /*groupTimes=*/2,
     /*loadWarps=*/0,
     {},
     kAmpereTiles,
     /*mostStages=*/2,
     /*lowTileDim=*/128,
     /*mostStagesOfFew=*/2,
     99 * 1024,
     {"A100", 108, 1.41, 2048, 16, 2039}},
    {"sm_90a",
     90,
     true,
     "sm_90a",
     "+ptx87",
     /*warpgroups=*/true,
     /*storeMatrix=*/true,
     /*ctas=*/1,
     /*groupWarps=*/4,
     /*groupRows=*/64,
     /*groupTimes=*/1,
     /*loadWarps=*/4,
     kHopperRegisters,
     kHopperTiles,
     /*mostStages=*/4,
     /*lowTileDim=*/128,
     /*mostStagesOfFew=*/8,
     227 * 1024,
     {"H200", 132, 1.83, 4096, 16, 4800}},
};

llvm::ArrayRef<CudaTarget> filigree::getCudaTargets() { return kCudaTargets; }

const CudaTarget *filigree::lookupCudaTarget(llvm::StringRef word) {
  if (word.consume_front("cuda:"))
    for (const CudaTarget &target : kCudaTargets)
      if (target.name == word)
        return &target;
  return nullptr;
}

std::string filigree::targetWords() {
  llvm::SmallVector<std::string> words;
  for (const CpuTarget &target : kCpuTargets)
    words.push_back(("cpu:" + target.name).str());
  for (const CudaTarget &target : kCudaTargets)
    words.push_back(("cuda:" + target.name).str());
  std::string last = words.pop_back_val();
  return llvm::join(words, ", ") + " or " + last;
}
