// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @plain
//  CHECK-SAME:   (%[[K:.*]]: tensor<?x?x?x64xbf16>, %[[V:.*]]: tensor<?x?x?x32xf16>, %[[G:.*]]: !attn.graph)
//       CHECK:   attn.source %[[K]], %[[V]] over %[[G]] : tensor<?x?x?x64xbf16>, tensor<?x?x?x32xf16>
func.func @plain(%k: tensor<?x?x?x64xbf16>, %v: tensor<?x?x?x32xf16>, %g: !attn.graph) -> !attn.source {
  %s = attn.source %k, %v over %g : tensor<?x?x?x64xbf16>, tensor<?x?x?x32xf16>
  return %s : !attn.source
}

// CHECK-LABEL: func @scaled
//       CHECK:   attn.source %{{.*}}, %{{.*}} over %{{.*}} scale 2.500000e-01 :
func.func @scaled(%k: tensor<?x?x?x64xf32>, %g: !attn.graph) -> !attn.source {
  %s = attn.source %k, %k over %g scale 0.25 : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  return %s : !attn.source
}

// ALiBi with a slope for every head, under a soft cap of 30.
// CHECK-LABEL: func @edge
//       CHECK:   attn.source {{.*}} edge {
//       CHECK:   ^bb0(%[[X:.*]]: f32, %{{.*}}: i64, %[[H:.*]]: i64, %[[I:.*]]: i64, %[[J:.*]]: i64):
//       CHECK:     attn.lookup %{{.*}}[%[[H]]] : tensor<?xf32> -> f32
//       CHECK:     math.tanh
//       CHECK:     attn.yield %{{.*}} : f32
func.func @edge(%k: tensor<?x?x?x64xf32>, %g: !attn.graph, %slope: tensor<?xf32>) -> !attn.source {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    %cap = arith.constant 30.0 : f32
    %m = attn.lookup %slope[%h] : tensor<?xf32> -> f32
    %d = arith.subi %j, %i : i64
    %f = arith.sitofp %d : i64 to f32
    %a = arith.mulf %m, %f : f32
    %y = arith.addf %x, %a : f32
    %z = arith.divf %y, %cap : f32
    %t = math.tanh %z : f32
    %r = arith.mulf %t, %cap : f32
    attn.yield %r : f32
  }
  return %s : !attn.source
}
