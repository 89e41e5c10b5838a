// RUN: filigree-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: func @intersect_with_itself
//  CHECK-SAME:   (%[[A:.*]]: !attn.graph)
//  CHECK-NEXT:   return %[[A]]
func.func @intersect_with_itself(%a: !attn.graph) -> !attn.graph {
  %g = attn.intersect %a, %a
  return %g : !attn.graph
}

// CHECK-LABEL: func @intersect_of_two
//       CHECK:   attn.intersect
func.func @intersect_of_two(%a: !attn.graph, %b: !attn.graph) -> !attn.graph {
  %g = attn.intersect %a, %b
  return %g : !attn.graph
}
