// RUN: filigree-opt %s -canonicalize | FileCheck %s

// An edge body folds as any other code.
// CHECK-LABEL: func @edge_of_constants
//       CHECK:   %[[C:.*]] = arith.constant 6.000000e+00 : f32
//       CHECK:   ^bb0(%[[X:.*]]: f32,
//  CHECK-NEXT:     arith.mulf %[[X]], %[[C]] : f32
//  CHECK-NEXT:     attn.yield
func.func @edge_of_constants(%k: tensor<?x?x?x64xf32>, %g: !attn.graph) -> !attn.source {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    %two = arith.constant 2.0 : f32
    %three = arith.constant 3.0 : f32
    %six = arith.mulf %two, %three : f32
    %y = arith.mulf %x, %six : f32
    attn.yield %y : f32
  }
  return %s : !attn.source
}

// CHECK-LABEL: func @source_unused
//   CHECK-NOT:   attn.source
func.func @source_unused(%k: tensor<?x?x?x64xf32>, %g: !attn.graph) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  return
}
