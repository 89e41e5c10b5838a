// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @intersect
//  CHECK-SAME:   (%[[A:.*]]: !attn.graph, %[[B:.*]]: !attn.graph)
//       CHECK:   attn.intersect %[[A]], %[[B]]
func.func @intersect(%a: !attn.graph, %b: !attn.graph) -> !attn.graph {
  %g = attn.intersect %a, %b
  return %g : !attn.graph
}
