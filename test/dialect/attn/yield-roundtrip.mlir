// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @yield
func.func @yield(%k: tensor<?x?x?x64xf32>) -> !attn.source {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %true = arith.constant true
    // CHECK: attn.yield %{{.*}} : i1
    attn.yield %true : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    // CHECK: attn.yield %{{.*}} : f32
    attn.yield %x : f32
  }
  return %s : !attn.source
}
