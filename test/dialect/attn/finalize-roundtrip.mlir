// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @finalize
//  CHECK-SAME:   (%[[P:.*]]: !attn.partial<64>)
//       CHECK:   attn.finalize %[[P]] : <64> -> tensor<?x?x?x64xbf16>, tensor<?x?x?xf32>
func.func @finalize(%p: !attn.partial<64>) -> (tensor<?x?x?x64xbf16>, tensor<?x?x?xf32>) {
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xbf16>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xbf16>, tensor<?x?x?xf32>
}

// CHECK-LABEL: func @sink
//       CHECK:   attn.finalize %{{.*}} sink(%{{.*}} : tensor<?xf32>) :
func.func @sink(%p: !attn.partial<64>, %sink: tensor<?xf32>) -> tensor<?x?x?x64xf32> {
  %o, %lse = attn.finalize %p sink(%sink : tensor<?xf32>) : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o : tensor<?x?x?x64xf32>
}
