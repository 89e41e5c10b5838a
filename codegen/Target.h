//===- Target.h - what each target can do, as data ------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One table. No pass and no emitter asks "which chip is this"; they ask for a
// property by name.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_TARGET_H
#define FILIGREE_CODEGEN_TARGET_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace filigree {

struct CpuTarget {
  llvm::StringRef name;     ///< as in --target cpu:<name>, and in symbol names
  unsigned isa;             ///< FIL_ABI_CPU_*
  llvm::StringRef cpu;      ///< LLVM's -mcpu
  llvm::StringRef features; ///< LLVM's -mattr
  unsigned lanes;           ///< f32 lanes of a vector
  unsigned registers;       ///< vector registers
  bool fma;                 ///< fused multiply-add in one instruction
  bool f16Convert;          ///< f16 <-> f32 in one instruction
  bool scalef;              ///< x * 2^n in one instruction
  /// 2^x and log2 x of a scalar in one instruction: code for a CUDA thread.
  bool ex2 = false;
};

/// A chip that has a target, with the rates that its maker names.
struct CudaChip {
  llvm::StringRef name;
  unsigned multiprocessors;
  double gigahertz;      ///< boost
  unsigned tensorFlops;  ///< a cycle of a multiprocessor: 16-bit, dense
  unsigned exponentials; ///< likewise
  double gigabytes;      ///< of memory, a second
};

/// A tile of queries and the keys of a chunk, for head sizes up to these.
struct CudaTile {
  int keyDim, valueDim;
  int rows, keys;
  int edgeKeys; ///< where edges compute; 0: not then
};

/// Registers of a thread that loads and of one that computes.
struct CudaRegisters {
  int groups;      ///< of warps that compute
  int64_t mostDim; ///< larger of the head sizes
  int ctas;        ///< that share a multiprocessor
  int load, compute;
};

struct CudaTarget {
  llvm::StringRef name;     ///< as in --target cuda:<name>
  unsigned arch;            ///< 90 for compute capability 9.0
  bool exact;               ///< runs on exactly that capability
  llvm::StringRef cpu;      ///< LLVM's -mcpu and ptxas' -arch
  llvm::StringRef features; ///< LLVM's -mattr: the PTX version
  /// Wgmma, loads of whole tiles, registers that warps give each other; without
  /// them, mma.sync and copies by the threads that compute.
  bool warpgroups;
  bool storeMatrix; ///< stmatrix
  int ctas;         ///< that share a multiprocessor
  int groupWarps,
      groupRows;  ///< warps that multiply together, and rows of theirs
  int groupTimes; ///< most times as many rows that they take
  int loadWarps;  ///< that walk and load for those that compute
  /// By the number of groups that compute, from one; none: all keep those that
  /// they start with.
  llvm::ArrayRef<CudaRegisters> registers;
  llvm::ArrayRef<CudaTile> tiles; ///< the largest that fits is taken
  int mostStages;                 ///< of a ring of loads; a power of two
  /// Few queries have a launch of their own, up to these head sizes with the
  /// rows of one group, and at most so many stages.
  int lowTileDim, mostStagesOfFew;
  int sharedBytes; ///< most shared memory of a CTA, `ctas` of which fit
  /// The same where `count` share a multiprocessor: each costs 1 KiB more.
  int sharedOf(int count) const {
    return count <= ctas ? sharedBytes : (sharedBytes + 1024) / count - 1024;
  }
  /// Whether a launch can begin while the one before it ends.
  bool launchesFollow() const { return arch >= 90; }
  CudaChip chip; ///< that `explain` reckons with
};

/// Ascending arch.
llvm::ArrayRef<CudaTarget> getCudaTargets();

/// The target named by a word of --target ("cuda:sm_90a"), or null.
const CudaTarget *lookupCudaTarget(llvm::StringRef word);

/// Ascending isa.
llvm::ArrayRef<CpuTarget> getCpuTargets();

/// Targets named by one word of --target ("cpu", "cpu:avx2"); empty if the word
/// names none.
llvm::ArrayRef<CpuTarget> lookupCpuTargets(llvm::StringRef word);

/// Every target as a word of --target, for errors: "cpu:baseline, ... or
/// cuda:sm_90a".
std::string targetWords();

} // namespace filigree

#endif // FILIGREE_CODEGEN_TARGET_H
