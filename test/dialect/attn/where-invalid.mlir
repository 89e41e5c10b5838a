// RUN: filigree-opt %s -verify-diagnostics -split-input-file

func.func @where_c1() {
  // expected-note@+1 {{the predicate is here}}
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'arith.maxsi' op is not allowed in a predicate: expected integer arithmetic, comparisons, and, or, xor}}
    %m = arith.maxsi %i, %j : i64
    %c = arith.cmpi sle, %m, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @where_c2(%w: i64) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'arith.muli' op expected a constant factor in a predicate, but neither operand is constant}}
    %p = arith.muli %w, %j : i64
    %c = arith.cmpi sle, %p, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @where_c3(%w: i64) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'arith.floordivsi' op expected a positive constant divisor}}
    %p = arith.floordivsi %j, %w : i64
    %c = arith.cmpi sle, %p, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @where_c4(%t: tensor<?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'attn.lookup' op expected an integer table in a predicate, but got 'tensor<?xf32>'}}
    %x = attn.lookup %t[%h] : tensor<?xf32> -> f32
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @where_c5() {
  // expected-error@+1 {{'attn.where' op expected body arguments ('i64', 'i64', 'i64', 'i64'), but got ('i64', 'i64')}}
  %g = attn.where {
  ^bb0(%i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @where_c6() {
  // expected-error@+1 {{'attn.where' op expected the body to yield one 'i1', but it yields ()}}
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    attn.yield
  }
  return
}

// -----

func.func @where_c7_arithmetic(%w: i32) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'arith.addi' op expected i64 in a predicate, but got 'i32'}}
    %p = arith.addi %w, %w : i32
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @where_c7_logic() {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'arith.andi' op expected i1 in a predicate, but got 'i64'}}
    %p = arith.andi %i, %j : i64
    %c = arith.cmpi sle, %p, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @where_c7_constant() {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'arith.constant' op expected i64 or i1 in a predicate, but got 'f32'}}
    %p = arith.constant 1.0 : f32
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  return
}

// -----

func.func @where_c8() {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'arith.cmpi' op expected a signed comparison in a predicate}}
    %c = arith.cmpi ule, %j, %i : i64
    attn.yield %c : i1
  }
  return
}
