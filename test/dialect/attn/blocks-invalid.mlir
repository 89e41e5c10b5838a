// RUN: filigree-opt %s -verify-diagnostics -split-input-file

func.func @blocks_c1(%s: tensor<1x1x8xi32>, %c: tensor<?xi32>) {
  // expected-error@+1 {{'attn.blocks' op expected at least 1 row in a block, but got 0}}
  %g = attn.blocks %s, %s, %c [0, 64] : tensor<1x1x8xi32>, tensor<1x1x8xi32>, tensor<?xi32>
  return
}

// -----

func.func @blocks_c2(%s: tensor<1x1x8xi32>, %c: tensor<?xi32>) {
  // expected-error@+1 {{'attn.blocks' op expected at least 1 column in a block, but got -64}}
  %g = attn.blocks %s, %s, %c [64, -64] : tensor<1x1x8xi32>, tensor<1x1x8xi32>, tensor<?xi32>
  return
}

// -----

func.func @blocks_c3(%s: tensor<1x1x8xi32>, %n: tensor<1x2x8xi32>, %c: tensor<?xi32>) {
  // expected-error@+1 {{'attn.blocks' op expected `start` and `count` to agree in shape, but got 'tensor<1x1x8xi32>' and 'tensor<1x2x8xi32>'}}
  %g = attn.blocks %s, %n, %c [64, 64] : tensor<1x1x8xi32>, tensor<1x2x8xi32>, tensor<?xi32>
  return
}
