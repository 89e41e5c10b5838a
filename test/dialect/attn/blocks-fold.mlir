// RUN: filigree-opt %s -canonicalize | FileCheck %s

// A list is known when the kernel runs: nothing to fold.
// CHECK-LABEL: func @blocks_stay
//       CHECK:   attn.blocks
//       CHECK:   attn.blocks
//       CHECK:   attn.union
func.func @blocks_stay(%s: tensor<?x?x?xi32>, %n: tensor<?x?x?xi32>, %c: tensor<?xi32>) -> !attn.graph {
  %g = attn.blocks %s, %n, %c [128, 64] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  %f = attn.blocks %s, %n, %c [64, 128] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  %u = attn.union %g, %f
  return %u : !attn.graph
}

// CHECK-LABEL: func @blocks_unused
//   CHECK-NOT:   attn.blocks
func.func @blocks_unused(%s: tensor<?x?x?xi32>, %n: tensor<?x?x?xi32>, %c: tensor<?xi32>) {
  %g = attn.blocks %s, %n, %c [128, 64] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  return
}
