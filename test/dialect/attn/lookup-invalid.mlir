// RUN: filigree-opt %s -verify-diagnostics -split-input-file

func.func @lookup_c1(%t: tensor<?xi64>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'attn.lookup' op expected a table of i32, f32, bf16 or f16, but got 'tensor<?xi64>'}}
    %w = attn.lookup %t[%h] : tensor<?xi64> -> i64
    %c = arith.cmpi slt, %j, %w : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @lookup_c1_double(%t: tensor<?xf64>, %g: !attn.graph, %k: tensor<?x?x?x64xf32>) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'attn.lookup' op expected a table of i32, f32, bf16 or f16, but got 'tensor<?xf64>'}}
    %y = attn.lookup %t[%h] : tensor<?xf64> -> f32
    attn.yield %y : f32
  }
  return
}

// -----

func.func @lookup_c2_indices(%t: tensor<?x?xi32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'attn.lookup' op expected 2 indices, but got 1}}
    %w = attn.lookup %t[%h] : tensor<?x?xi32> -> i64
    %c = arith.cmpi slt, %j, %w : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @lookup_c2_rank(%t: tensor<?x?x?xi32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'attn.lookup' op expected a table of rank 1 to 2, but got 'tensor<?x?x?xi32>'}}
    %w = attn.lookup %t[%b, %h, %h] : tensor<?x?x?xi32> -> i64
    %c = arith.cmpi slt, %j, %w : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @lookup_c3(%t: tensor<?xi32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'attn.lookup' op expected a value of type i64, but got 'f32'}}
    %w = attn.lookup %t[%h] : tensor<?xi32> -> f32
    %c = arith.cmpi slt, %j, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @lookup_c4_outside(%t: tensor<?xi32>, %h: i64) {
  // expected-error@+1 {{'attn.lookup' op expected to stand in the body of a graph or an edge}}
  %w = attn.lookup %t[%h] : tensor<?xi32> -> i64
  return
}

// -----

func.func @lookup_c4_computed(%t: tensor<?xi32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %n = arith.addi %h, %h : i64
    // expected-error@+1 {{'attn.lookup' op expected indices out of the body's b, h, i, j}}
    %w = attn.lookup %t[%n] : tensor<?xi32> -> i64
    %c = arith.cmpi slt, %j, %w : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @lookup_c4_positions(%t: tensor<?xi32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'attn.lookup' op expected an integer table to be indexed by b and h only}}
    %w = attn.lookup %t[%j] : tensor<?xi32> -> i64
    %c = arith.cmpi slt, %j, %w : i64
    attn.yield %c : i1
  }
  return
}
