// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @mod
//       CHECK:   %[[C:.*]] = arith.constant 64 : i64
//       CHECK:   attn.mod %{{.*}}, %[[C]]
func.func @mod() -> !attn.graph {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c64 = arith.constant 64 : i64
    %m = attn.mod %j, %c64
    %c = arith.cmpi sle, %m, %i : i64
    attn.yield %c : i1
  }
  return %g : !attn.graph
}
