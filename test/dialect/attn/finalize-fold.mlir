// RUN: filigree-opt %s -canonicalize | FileCheck %s

// The log-sum-exp nobody asks for costs nothing to name; the op stays whole.
// CHECK-LABEL: func @one_result
//       CHECK:   %[[O:.*]], %{{.*}} = attn.finalize
//       CHECK:   return %[[O]]
func.func @one_result(%p: !attn.partial<64>) -> tensor<?x?x?x64xf32> {
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o : tensor<?x?x?x64xf32>
}

// CHECK-LABEL: func @finalize_unused
//  CHECK-NEXT:   return
func.func @finalize_unused(%p: !attn.partial<64>) {
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return
}
