// RUN: not filigree compile %s -o %t.so 2>&1 | FileCheck %s
// RUN: not ls %t.so
// Keys and values of two types, in one source or in two, are refused by name.
// CHECK: error: {{.*}}expected keys and values of one type on target `cpu`, but got 'f32' and 'bf16'
func.func @mixed(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %v: tensor<?x?x?x64xbf16>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  %s = attn.source %k, %v over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xbf16>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}
