// RUN: filigree-opt %s -verify-diagnostics -split-input-file

func.func @finalize_c1(%p: !attn.partial<64>) {
  // expected-error@+1 {{'attn.finalize' op expected `output` head size 64, but got 32}}
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x32xf32>, tensor<?x?x?xf32>
  return
}

// -----

func.func @finalize_c1_static(%p: !attn.partial<64>) {
  // expected-error@+1 {{'attn.finalize' op expected a static head size of `output`, but got 'tensor<?x?x?x?xf32>'}}
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x?xf32>, tensor<?x?x?xf32>
  return
}

// -----

func.func @finalize_c2(%p: !attn.partial<64>) {
  // expected-error@+1 {{'attn.finalize' op expected `output` and `lse` to agree but for the head size, but got 'tensor<1x4x?x64xf32>' and 'tensor<1x2x?xf32>'}}
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<1x4x?x64xf32>, tensor<1x2x?xf32>
  return
}

// -----

func.func @finalize_c3(%p: !attn.partial<64>, %sink: tensor<2xf32>) {
  // expected-error@+1 {{'attn.finalize' op expected one `sink` for each of 4 heads, but got 2}}
  %o, %lse = attn.finalize %p sink(%sink : tensor<2xf32>) : !attn.partial<64> -> tensor<1x4x?x64xf32>, tensor<1x4x?xf32>
  return
}
