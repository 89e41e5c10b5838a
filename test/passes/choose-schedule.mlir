// RUN: filigree-opt %s -split-input-file -pass-pipeline='builtin.module(lower-to-tile,tile.kernel(choose-schedule))' | FileCheck %s
// RUN: filigree-opt %s -split-input-file -pass-pipeline='builtin.module(lower-to-tile,tile.kernel(choose-schedule{target=cuda:sm_90a}))' | FileCheck %s --check-prefix=CUDA
// RUN: filigree-opt %s -split-input-file -pass-pipeline='builtin.module(lower-to-tile,tile.kernel(choose-schedule{target=cuda:sm_90a most-chunk=512}))' | FileCheck %s --check-prefix=CUDA
// RUN: filigree-opt %s -split-input-file -pass-pipeline='builtin.module(lower-to-tile,tile.kernel(choose-schedule{target=cuda:sm_90a most-chunk=48}))' | FileCheck %s --check-prefix=HALF
// RUN: filigree-opt %s -split-input-file -pass-pipeline='builtin.module(lower-to-tile,tile.kernel(choose-schedule{target=cuda:sm_90a few=true}))' | FileCheck %s --check-prefix=FEW
// RUN: not filigree-opt %s -split-input-file -pass-pipeline='builtin.module(lower-to-tile,tile.kernel(choose-schedule{target=cuda}))' 2>&1 | FileCheck %s --check-prefix=OTHER

// Every decision comes with its reason.
// CHECK-LABEL: tile.kernel @dense
//  CHECK-SAME:   schedule <rows = {{[0-9]+}}, chunk = {{[0-9]+}}, masked_chunk = {{[0-9]+}}, granule = {{[0-9]+}}, "{{.+}}">
func.func @dense(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %true = arith.constant true
    attn.yield %true : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// A tile lies in one row of blocks: its rows divide those of the block.
// CHECK-LABEL: tile.kernel @lists
//  CHECK-SAME:   schedule <rows = 32, {{.*}} "a tile lies in one row of blocks of 32 rows; keys in blocks of 64 are gathered into whole chunks">
func.func @lists(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %st: tensor<?x?x?xi32>, %n: tensor<?x?x?xi32>, %c: tensor<?xi32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.blocks %st, %n, %c [32, 64] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// Single keys are gathered; the narrowest list decides.
// CHECK-LABEL: tile.kernel @columns
//  CHECK-SAME:   "queries of 128 rows re-read keys least often; keys in blocks of 1 are gathered into whole chunks">
//       CHECK:   tile.stream {{.*}} [128, 512, 128, 1] gather scale
func.func @columns(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %st: tensor<?x?x?xi32>, %n: tensor<?x?x?xi32>, %c: tensor<?xi32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %w = attn.blocks %st, %n, %c [128, 512] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  %l = attn.blocks %st, %n, %c [128, 1] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  %g = attn.difference %w, %l
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// Blocks of several chunks are folded where they are.
// CHECK-LABEL: tile.kernel @wide
//  CHECK-SAME:   "queries of 128 rows re-read keys least often">
//       CHECK:   tile.stream {{.*}} [128, 512] scale
func.func @wide(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %st: tensor<?x?x?xi32>, %n: tensor<?x?x?xi32>, %c: tensor<?xi32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.blocks %st, %n, %c [128, 512] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// On CUDA what registers hold decides, from the target's table.
// CUDA-LABEL: tile.kernel @dense
//  CUDA-SAME:   schedule <rows = 192, chunk = 96, masked_chunk = 96, granule = 96, "heads of 64 and 64 dimensions leave registers for 192 rows and chunks of 96">
// A tile lies in one row of blocks, and a chunk in a block, if that is wide enough for a product.
// CUDA-LABEL: tile.kernel @lists
//  CUDA-SAME:   schedule <rows = 32, chunk = 64, masked_chunk = 64, granule = 64, "{{.*}} 128 rows and chunks of 128; blocks of the lists, for 32 rows; blocks of the lists, for chunks of 64">
// CUDA-LABEL: tile.kernel @columns
//  CUDA-SAME:   schedule <rows = 128, chunk = 128,
//   CUDA-NOT:   gather
// CUDA-LABEL: tile.kernel @wide
//  CUDA-SAME:   schedule <rows = 128, chunk = 128,
// A limit on chunks that registers hold anyway changes nothing; a lower one is named as what it is, and blocks divide it.
// HALF-LABEL: tile.kernel @dense
//  HALF-SAME:   schedule <rows = 192, chunk = 48, {{.*}}; a wider one spilled, so 48">
// HALF-LABEL: tile.kernel @lists
//  HALF-SAME:   schedule <rows = 32, chunk = 16, masked_chunk = 16, granule = 16, "{{.*}}; a wider one spilled, so 48; blocks of the lists, for 32 rows; blocks of the lists, for chunks of 16">
// HALF-LABEL: tile.kernel @columns
//  HALF-SAME:   schedule <rows = 128, chunk = 48, {{.*}}; a wider one spilled, so 48">
// Few queries: the rows of one warpgroup, and keys as registers allow.
// FEW-LABEL: tile.kernel @dense
//  FEW-SAME:   schedule <rows = 64, chunk = 128, {{.*}}; few queries, for 64 rows">
// FEW-LABEL: tile.kernel @lists
//  FEW-SAME:   schedule <rows = 32, chunk = 64, {{.*}}; blocks of the lists, for 32 rows;
// OTHER: error: 'tile.kernel' op expected target cpu or one of CUDA, but got `cuda`
