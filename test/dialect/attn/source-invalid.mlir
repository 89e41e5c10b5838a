// RUN: filigree-opt %s -verify-diagnostics -split-input-file

func.func @source_c1(%k: tensor<1x2x100x64xf32>, %v: tensor<1x2x99x64xf32>, %g: !attn.graph) {
  // expected-error@+1 {{'attn.source' op expected `key` and `value` to agree in extent 2, but got 'tensor<1x2x100x64xf32>' and 'tensor<1x2x99x64xf32>'}}
  %s = attn.source %k, %v over %g : tensor<1x2x100x64xf32>, tensor<1x2x99x64xf32>
  return
}

// -----

func.func @source_c2_key(%k: tensor<?x?x?x?xf32>, %v: tensor<?x?x?x64xf32>, %g: !attn.graph) {
  // expected-error@+1 {{'attn.source' op expected a static head size of `key`, but got 'tensor<?x?x?x?xf32>'}}
  %s = attn.source %k, %v over %g : tensor<?x?x?x?xf32>, tensor<?x?x?x64xf32>
  return
}

// -----

func.func @source_c2_value(%k: tensor<?x?x?x64xf32>, %v: tensor<?x?x?x0xf32>, %g: !attn.graph) {
  // expected-error@+1 {{'attn.source' op expected a static head size of `value`, but got 'tensor<?x?x?x0xf32>'}}
  %s = attn.source %k, %v over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x0xf32>
  return
}

// -----

func.func @source_c3_arguments(%k: tensor<?x?x?x64xf32>, %g: !attn.graph) {
  // expected-error@+1 {{'attn.source' op expected body arguments ('f32', 'i64', 'i64', 'i64', 'i64'), but got ('f32')}}
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32):
    attn.yield %x : f32
  }
  return
}

// -----

func.func @source_c3_yield(%k: tensor<?x?x?x64xf32>, %g: !attn.graph) {
  // expected-error@+1 {{'attn.source' op expected the body to yield one 'f32', but it yields ('i1')}}
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @source_c4_operation(%k: tensor<?x?x?x64xf32>, %g: !attn.graph) {
  // expected-note@+1 {{the source is here}}
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'attn.complement' op is not allowed in an edge: expected scalar arithmetic}}
    %n = attn.complement %g
    attn.yield %x : f32
  }
  return
}

// -----

func.func @source_c4_vector(%k: tensor<?x?x?x64xf32>, %g: !attn.graph) {
  // expected-note@+1 {{the source is here}}
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'arith.constant' op is not allowed in an edge: expected scalar arithmetic}}
    %n = arith.constant dense<1.0> : vector<4xf32>
    attn.yield %x : f32
  }
  return
}

// -----

func.func @source_c5_mod(%k: tensor<?x?x?x64xf32>, %g: !attn.graph) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'attn.mod' op expected a positive constant divisor}}
    %n = attn.mod %i, %j
    attn.yield %x : f32
  }
  return
}

// -----

func.func @source_c5_division(%k: tensor<?x?x?x64xf32>, %g: !attn.graph) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'arith.divsi' op expected a positive constant divisor}}
    %n = arith.divsi %i, %j : i64
    attn.yield %x : f32
  }
  return
}
