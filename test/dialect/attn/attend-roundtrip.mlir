// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @one_source
//  CHECK-SAME:   (%[[Q:.*]]: tensor<?x?x?x64xf32>, %[[K:.*]]: tensor<?x?x?x64xf32>, %[[V:.*]]: tensor<?x?x?x32xf32>, %[[G:.*]]: !attn.graph)
//       CHECK:   %[[S:.*]] = attn.source
//       CHECK:   attn.attend %[[Q]], %[[S]] : tensor<?x?x?x64xf32> -> <32>
func.func @one_source(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %v: tensor<?x?x?x32xf32>, %g: !attn.graph) -> !attn.partial<32> {
  %s = attn.source %k, %v over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x32xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<32>
  return %p : !attn.partial<32>
}

// Near tokens and far summaries in one softmax.
// CHECK-LABEL: func @two_sources
//       CHECK:   %[[A:.*]] = attn.source
//       CHECK:   %[[B:.*]] = attn.source
//       CHECK:   attn.attend %{{.*}}, %[[A]], %[[B]] :
func.func @two_sources(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %ks: tensor<?x?x?x64xf32>, %near: !attn.graph, %far: !attn.graph) -> !attn.partial<64> {
  %a = attn.source %k, %k over %near : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %b = attn.source %ks, %ks over %far : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %a, %b : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return %p : !attn.partial<64>
}

// CHECK-LABEL: func @top_left
//       CHECK:   attn.attend %{{.*}}, %{{.*}} align top_left :
func.func @top_left(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph) -> !attn.partial<64> {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s align top_left : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return %p : !attn.partial<64>
}

// CHECK-LABEL: func @documents
//       CHECK:   attn.attend %{{.*}}, %{{.*}} documents(%[[Q:.*]], %[[K:.*]] : tensor<?xi32>, tensor<?xi32>) :
func.func @documents(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph, %cu_q: tensor<?xi32>, %cu_k: tensor<?xi32>) -> !attn.partial<64> {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s documents(%cu_q, %cu_k : tensor<?xi32>, tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return %p : !attn.partial<64>
}

// CHECK-LABEL: func @offsets
//       CHECK:   attn.attend %{{.*}}, %{{.*}} offsets(%{{.*}} : tensor<?xi32>) :
func.func @offsets(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph, %first: tensor<?xi32>) -> !attn.partial<64> {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s offsets(%first : tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return %p : !attn.partial<64>
}

// CHECK-LABEL: func @paged
//       CHECK:   attn.attend %{{.*}}, %{{.*}} paged(%{{.*}}, %{{.*}}, %{{.*}} page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) align top_left :
func.func @paged(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x16x64xf32>, %g: !attn.graph, %cu: tensor<?xi32>, %table: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> !attn.partial<64> {
  %s = attn.source %k, %k over %g : tensor<?x?x16x64xf32>, tensor<?x?x16x64xf32>
  %p = attn.attend %q, %s paged(%cu, %table, %lengths page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) align top_left : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return %p : !attn.partial<64>
}
