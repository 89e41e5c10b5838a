// RUN: filigree-opt %s -verify-diagnostics -split-input-file

func.func @yield_c1(%c: i1) {
  // expected-error@+1 {{'attn.yield' op expects parent op to be one of 'attn.where, attn.source'}}
  attn.yield %c : i1
}

// -----

// What it must yield is the parent's to say.
func.func @yield_c2() {
  // expected-error@+1 {{'attn.where' op expected the body to yield one 'i1', but it yields ('i1', 'i1')}}
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c, %c : i1, i1
  }
  return
}
