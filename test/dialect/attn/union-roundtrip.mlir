// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @union
//  CHECK-SAME:   (%[[A:.*]]: !attn.graph, %[[B:.*]]: !attn.graph)
//       CHECK:   attn.union %[[A]], %[[B]]
func.func @union(%a: !attn.graph, %b: !attn.graph) -> !attn.graph {
  %g = attn.union %a, %b
  return %g : !attn.graph
}
