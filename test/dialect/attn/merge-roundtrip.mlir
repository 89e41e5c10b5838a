// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @merge
//  CHECK-SAME:   (%[[A:.*]]: !attn.partial<64>, %[[B:.*]]: !attn.partial<64>)
//       CHECK:   attn.merge %[[A]], %[[B]] : <64>
func.func @merge(%a: !attn.partial<64>, %b: !attn.partial<64>) -> !attn.partial<64> {
  %p = attn.merge %a, %b : !attn.partial<64>
  return %p : !attn.partial<64>
}
