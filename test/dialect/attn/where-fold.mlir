// RUN: filigree-opt %s -canonicalize | FileCheck %s

// Arithmetic on constants goes, the condition stays.
// CHECK-LABEL: func @constants
//       CHECK:   attn.where {
//       CHECK:   ^bb0(%{{.*}}: i64, %{{.*}}: i64, %[[I:.*]]: i64, %[[J:.*]]: i64):
//  CHECK-NEXT:     %[[C:.*]] = arith.cmpi sle, %[[J]], %[[I]] : i64
//  CHECK-NEXT:     attn.yield %[[C]] : i1
func.func @constants() -> !attn.graph {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c0 = arith.constant 0 : i64
    %c4 = arith.constant 4 : i64
    %true = arith.constant true
    %zero = attn.mod %c4, %c4
    %k = arith.addi %j, %zero : i64
    %c = arith.cmpi sle, %k, %i : i64
    %d = arith.andi %c, %true : i1
    attn.yield %d : i1
  }
  return %g : !attn.graph
}

// A constant that moves out of the body is still a constant factor.
// CHECK-LABEL: func @hoisted
//       CHECK:   %[[C3:.*]] = arith.constant 3 : i64
//       CHECK:   attn.where {
//       CHECK:     arith.muli %{{.*}}, %[[C3]] : i64
func.func @hoisted() -> !attn.graph {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c3 = arith.constant 3 : i64
    %p = arith.muli %j, %c3 : i64
    %c = arith.cmpi sle, %p, %i : i64
    attn.yield %c : i1
  }
  return %g : !attn.graph
}

// Nobody uses it: gone.
// CHECK-LABEL: func @unused
//   CHECK-NOT:   attn.where
func.func @unused() {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  return
}
