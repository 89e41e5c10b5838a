// RUN: filigree-opt %s | FileCheck %s

// CHECK-LABEL: func @causal
func.func @causal() -> !attn.graph {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  return %g : !attn.graph
}
