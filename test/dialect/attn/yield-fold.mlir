// RUN: filigree-opt %s -canonicalize | FileCheck %s

// A terminator: nothing to fold, what it yields is.
// CHECK-LABEL: func @yield_constant
//       CHECK:   %[[TRUE:.*]] = arith.constant true
//       CHECK:   attn.yield %[[TRUE]] : i1
func.func @yield_constant() -> !attn.graph {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %i, %i : i64
    attn.yield %c : i1
  }
  return %g : !attn.graph
}
