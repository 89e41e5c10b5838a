// RUN: filigree-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: func @union_with_itself
//  CHECK-SAME:   (%[[A:.*]]: !attn.graph)
//  CHECK-NEXT:   return %[[A]]
func.func @union_with_itself(%a: !attn.graph) -> !attn.graph {
  %g = attn.union %a, %a
  return %g : !attn.graph
}

// CHECK-LABEL: func @union_of_two
//       CHECK:   attn.union
func.func @union_of_two(%a: !attn.graph, %b: !attn.graph) -> !attn.graph {
  %g = attn.union %a, %b
  return %g : !attn.graph
}
