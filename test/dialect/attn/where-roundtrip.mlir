// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @causal
//       CHECK:   attn.where {
//       CHECK:   ^bb0(%[[B:.*]]: i64, %[[H:.*]]: i64, %[[I:.*]]: i64, %[[J:.*]]: i64):
//       CHECK:     %[[C:.*]] = arith.cmpi sle, %[[J]], %[[I]] : i64
//       CHECK:     attn.yield %[[C]] : i1
func.func @causal() -> !attn.graph {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  return %g : !attn.graph
}

// A run-time parameter, a constant factor, a division, a table.
// CHECK-LABEL: func @everything
//  CHECK-SAME:   (%[[W:.*]]: i64, %[[T:.*]]: tensor<?x?xi32>)
//       CHECK:   attn.where {
//       CHECK:     arith.muli
//       CHECK:     arith.floordivsi
//       CHECK:     attn.mod
//       CHECK:     attn.lookup %[[T]][%{{.*}}, %{{.*}}] : tensor<?x?xi32> -> i64
//       CHECK:     arith.subi %{{.*}}, %[[W]] : i64
//       CHECK:     arith.xori
//       CHECK:     attn.yield %{{.*}} : i1
func.func @everything(%w: i64, %t: tensor<?x?xi32>) -> !attn.graph {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c2 = arith.constant 2 : i64
    %c64 = arith.constant 64 : i64
    %true = arith.constant true
    %twice = arith.muli %j, %c2 : i64
    %group = arith.floordivsi %twice, %c64 : i64
    %slot = attn.mod %i, %c64
    %limit = attn.lookup %t[%b, %h] : tensor<?x?xi32> -> i64
    %low = arith.subi %slot, %w : i64
    %sum = arith.addi %group, %low : i64
    %near = arith.cmpi slt, %sum, %limit : i64
    %equal = arith.cmpi eq, %i, %j : i64
    %either = arith.ori %near, %equal : i1
    %both = arith.andi %either, %near : i1
    %not = arith.xori %both, %true : i1
    attn.yield %not : i1
  }
  return %g : !attn.graph
}
