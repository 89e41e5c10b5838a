// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @difference
//  CHECK-SAME:   (%[[A:.*]]: !attn.graph, %[[B:.*]]: !attn.graph)
//       CHECK:   attn.difference %[[A]], %[[B]]
func.func @difference(%a: !attn.graph, %b: !attn.graph) -> !attn.graph {
  %g = attn.difference %a, %b
  return %g : !attn.graph
}
