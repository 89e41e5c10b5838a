// RUN: filigree-opt %s -verify-diagnostics -pass-pipeline='builtin.module(lower-to-tile,tile.kernel(classify-blocks))'

// expected-error@+1 {{'tile.kernel' op expected a schedule before classify-blocks}}
func.func @no_schedule(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}
