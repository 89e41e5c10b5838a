// RUN: filigree-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: func @complement_twice
//  CHECK-SAME:   (%[[A:.*]]: !attn.graph)
//  CHECK-NEXT:   return %[[A]]
func.func @complement_twice(%a: !attn.graph) -> !attn.graph {
  %n = attn.complement %a
  %g = attn.complement %n
  return %g : !attn.graph
}

// CHECK-LABEL: func @complement_once
//       CHECK:   attn.complement
func.func @complement_once(%a: !attn.graph) -> !attn.graph {
  %g = attn.complement %a
  return %g : !attn.graph
}
