// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @complement
//  CHECK-SAME:   (%[[A:.*]]: !attn.graph)
//       CHECK:   attn.complement %[[A]]
func.func @complement(%a: !attn.graph) -> !attn.graph {
  %g = attn.complement %a
  return %g : !attn.graph
}
