// RUN: filigree-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func @blocks
//  CHECK-SAME:   (%[[S:.*]]: tensor<?x?x?xi32>, %[[N:.*]]: tensor<?x?x?xi32>, %[[C:.*]]: tensor<?xi32>)
//       CHECK:   attn.blocks %[[S]], %[[N]], %[[C]][128, 64] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
func.func @blocks(%start: tensor<?x?x?xi32>, %count: tensor<?x?x?xi32>, %cols: tensor<?xi32>) -> !attn.graph {
  %g = attn.blocks %start, %count, %cols [128, 64] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  return %g : !attn.graph
}
