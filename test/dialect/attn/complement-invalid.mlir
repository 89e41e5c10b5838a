// RUN: filigree-opt %s -verify-diagnostics -split-input-file

func.func @complement_c1(%a: i64) {
  // expected-error@+1 {{'attn.complement' op operand #0 must be a set of (b, h, i, j): query i of head h in batch b sees key j, but got 'i64'}}
  %g = "attn.complement"(%a) : (i64) -> !attn.graph
  return
}
