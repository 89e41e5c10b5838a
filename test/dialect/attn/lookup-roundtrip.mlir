// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// A window of its own for every head.
// CHECK-LABEL: func @window_of_head
//  CHECK-SAME:   (%[[T:.*]]: tensor<?xi32>)
//       CHECK:   ^bb0(%{{.*}}: i64, %[[H:.*]]: i64, %{{.*}}: i64, %{{.*}}: i64):
//       CHECK:     attn.lookup %[[T]][%[[H]]] : tensor<?xi32> -> i64
func.func @window_of_head(%window: tensor<?xi32>) -> !attn.graph {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %w = attn.lookup %window[%h] : tensor<?xi32> -> i64
    %d = arith.subi %i, %j : i64
    %c = arith.cmpi slt, %d, %w : i64
    attn.yield %c : i1
  }
  return %g : !attn.graph
}

// CHECK-LABEL: func @bias
//  CHECK-SAME:   %[[T:[a-z0-9]*]]: tensor<1x?x?x?xbf16>
//       CHECK:     attn.lookup %[[T]][%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}] : tensor<1x?x?x?xbf16> -> f32
func.func @bias(%bias: tensor<1x?x?x?xbf16>, %g: !attn.graph, %k: tensor<?x?x?x64xf32>) -> !attn.source {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    %y = attn.lookup %bias[%b, %h, %i, %j] : tensor<1x?x?x?xbf16> -> f32
    %z = arith.addf %x, %y : f32
    attn.yield %z : f32
  }
  return %s : !attn.source
}
