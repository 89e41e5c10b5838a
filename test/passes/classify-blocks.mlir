// RUN: filigree-opt %s -split-input-file -pass-pipeline='builtin.module(lower-to-tile,tile.kernel(choose-schedule,classify-blocks))' | FileCheck %s

// Causal, all lengths: proved, two closed forms, no refinement.
// CHECK-LABEL: tile.kernel @causal
//       CHECK:   tile.case 0 runs <granule = {{[0-9]+}}, touched = <{{.*}}, exact = true, sorted = true>, not_full = <{{.*}}, exact = true, sorted = true>> symbols {
func.func @causal(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// A window from a table: still closed forms; the entry is a symbol.
// CHECK-LABEL: tile.kernel @window_of_head
//       CHECK:   tile.case 0 runs <{{.*}}exact = true{{.*}}exact = true{{.*}}> symbols {
//       CHECK:   ^bb0(%{{.*}}: i64, %[[H:.*]]: i64):
//       CHECK:     %[[W:.*]] = attn.lookup %{{.*}}[%[[H]]] : tensor<?xi32> -> i64
//       CHECK:     tile.yield %[[W]] : i64
func.func @window_of_head(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %t: tensor<?xi32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %w = attn.lookup %t[%h] : tensor<?xi32> -> i64
    %d = arith.subi %i, %j : i64
    %c = arith.cmpi slt, %d, %w : i64
    attn.yield %c : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// Every fourth tile: an unbounded number of ranges, so tiles are refined.
// CHECK-LABEL: tile.kernel @comb
//       CHECK:   tile.case 0 runs <{{.*}}touched = <{{.*}}exact = false{{.*}}> refine symbols {
func.func @comb(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c512 = arith.constant 512 : i64
    %c64 = arith.constant 64 : i64
    %m = attn.mod %j, %c512
    %c = arith.cmpi slt, %m, %c64 : i64
    attn.yield %c : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}
