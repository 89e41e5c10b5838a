// RUN: filigree-opt %s -canonicalize | FileCheck %s

// Two folds over the same queries are one fold over both sources.
// CHECK-LABEL: func @one_fold
//       CHECK:   %[[A:.*]] = attn.source
//       CHECK:   %[[B:.*]] = attn.source
//       CHECK:   %[[P:.*]] = attn.attend %{{.*}}, %[[A]], %[[B]] :
//   CHECK-NOT:   attn.merge
//       CHECK:   return %[[P]]
func.func @one_fold(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %near: !attn.graph, %far: !attn.graph) -> !attn.partial<64> {
  %a = attn.source %k, %k over %near : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %b = attn.source %k, %k over %far : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %x = attn.attend %q, %a : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %y = attn.attend %q, %b : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %p = attn.merge %x, %y : !attn.partial<64>
  return %p : !attn.partial<64>
}

// Other queries.
// CHECK-LABEL: func @other_queries
//       CHECK:   attn.merge
func.func @other_queries(%q: tensor<?x?x?x64xf32>, %r: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph) -> !attn.partial<64> {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %x = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %y = attn.attend %r, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %p = attn.merge %x, %y : !attn.partial<64>
  return %p : !attn.partial<64>
}

// Other positions.
// CHECK-LABEL: func @other_alignment
//       CHECK:   attn.merge
func.func @other_alignment(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph) -> !attn.partial<64> {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %x = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %y = attn.attend %q, %s align top_left : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %p = attn.merge %x, %y : !attn.partial<64>
  return %p : !attn.partial<64>
}

// Other element types: one fold takes one (`attend` C7).
// CHECK-LABEL: func @other_types
//       CHECK:   attn.merge
func.func @other_types(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %l: tensor<?x?x?x64xbf16>, %g: !attn.graph) -> !attn.partial<64> {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %t = attn.source %l, %l over %g : tensor<?x?x?x64xbf16>, tensor<?x?x?x64xbf16>
  %x = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %y = attn.attend %q, %t : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %p = attn.merge %x, %y : !attn.partial<64>
  return %p : !attn.partial<64>
}

// Pages of one table are one fold, those of two are not.
// CHECK-LABEL: func @pages
//       CHECK:   %[[S:.*]] = attn.source
//       CHECK:   attn.attend %{{.*}}, %[[S]] paged(
//       CHECK:   attn.attend %{{.*}}, %[[S]], %[[S]] paged(%{{.*}}, %{{.*}}, %{{.*}} page 16
//       CHECK:   attn.merge
//   CHECK-NOT:   attn.merge
func.func @pages(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph, %cu: tensor<?xi32>, %t: tensor<?x?xi32>, %u: tensor<?x?xi32>, %n: tensor<?xi32>) -> !attn.partial<64> {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %x = attn.attend %q, %s paged(%cu, %t, %n page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %y = attn.attend %q, %s paged(%cu, %t, %n page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %z = attn.attend %q, %s paged(%cu, %u, %n page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %p = attn.merge %x, %y : !attn.partial<64>
  %r = attn.merge %p, %z : !attn.partial<64>
  return %r : !attn.partial<64>
}
