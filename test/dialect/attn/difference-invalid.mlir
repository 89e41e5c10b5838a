// RUN: filigree-opt %s -verify-diagnostics -split-input-file

func.func @difference_c1(%a: !attn.graph, %b: tensor<8xi32>) {
  // expected-error@+1 {{'attn.difference' op operand #1 must be a set of (b, h, i, j): query i of head h in batch b sees key j, but got 'tensor<8xi32>'}}
  %g = "attn.difference"(%a, %b) : (!attn.graph, tensor<8xi32>) -> !attn.graph
  return
}
