// RUN: filigree-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: func @same_taken_twice
//  CHECK-SAME:   (%[[A:.*]]: !attn.graph, %[[B:.*]]: !attn.graph)
//  CHECK-NEXT:   %[[D:.*]] = attn.difference %[[A]], %[[B]]
//  CHECK-NEXT:   return %[[D]]
func.func @same_taken_twice(%a: !attn.graph, %b: !attn.graph) -> !attn.graph {
  %d = attn.difference %a, %b
  %g = attn.difference %d, %b
  return %g : !attn.graph
}

// The order matters: nothing to fold.
// CHECK-LABEL: func @others_stay
//       CHECK:   attn.difference
//       CHECK:   attn.difference
func.func @others_stay(%a: !attn.graph, %b: !attn.graph) -> !attn.graph {
  %d = attn.difference %a, %b
  %g = attn.difference %b, %d
  return %g : !attn.graph
}
