// RUN: filigree-opt %s -canonicalize -cse | FileCheck %s

// Sources add: the same source twice counts twice, and stays twice.
// CHECK-LABEL: func @twice
//       CHECK:   %[[S:.*]] = attn.source
//       CHECK:   attn.attend %{{.*}}, %[[S]], %[[S]] :
func.func @twice(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph) -> !attn.partial<64> {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return %p : !attn.partial<64>
}

// CHECK-LABEL: func @attend_unused
//  CHECK-NEXT:   return
func.func @attend_unused(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return
}
