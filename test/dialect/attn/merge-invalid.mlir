// RUN: filigree-opt %s -verify-diagnostics -split-input-file

func.func @merge_c1(%a: !attn.partial<64>, %b: !attn.partial<32>) {
  // expected-error@+1 {{'attn.merge' op requires the same type for all operands and results}}
  %p = "attn.merge"(%a, %b) : (!attn.partial<64>, !attn.partial<32>) -> !attn.partial<64>
  return
}
