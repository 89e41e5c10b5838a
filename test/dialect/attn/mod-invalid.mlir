// RUN: filigree-opt %s -verify-diagnostics -split-input-file

func.func @mod_c1_variable(%w: i64) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'attn.mod' op expected a positive constant divisor}}
    %p = attn.mod %j, %w
    %c = arith.cmpi sle, %p, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @mod_c1_zero() {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c0 = arith.constant 0 : i64
    // expected-error@+1 {{'attn.mod' op expected a positive constant divisor}}
    %p = attn.mod %j, %c0
    %c = arith.cmpi sle, %p, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @mod_c1_negative() {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c0 = arith.constant -8 : i64
    // expected-error@+1 {{'attn.mod' op expected a positive constant divisor}}
    %p = attn.mod %j, %c0
    %c = arith.cmpi sle, %p, %i : i64
    attn.yield %c : i1
  }
  return
}
