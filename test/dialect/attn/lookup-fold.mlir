// RUN: filigree-opt %s -canonicalize -cse | FileCheck %s

// One entry read twice is read once.
// CHECK-LABEL: func @lookup_once
//       CHECK:   %[[W:.*]] = attn.lookup
//   CHECK-NOT:   attn.lookup
//       CHECK:   arith.addi %[[W]], %[[W]]
func.func @lookup_once(%t: tensor<?xi32>) -> !attn.graph {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %w = attn.lookup %t[%h] : tensor<?xi32> -> i64
    %v = attn.lookup %t[%h] : tensor<?xi32> -> i64
    %s = arith.addi %w, %v : i64
    %c = arith.cmpi slt, %j, %s : i64
    attn.yield %c : i1
  }
  return %g : !attn.graph
}
