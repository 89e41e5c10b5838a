// RUN: filigree-opt %s -split-input-file -verify-diagnostics -lower-to-tile

// expected-error@+1 {{expected a pattern to return the output and the log-sum-exp of one fold}}
func.func @no_fold(%q: tensor<?x?x?x64xf32>, %l: tensor<?x?x?xf32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  return %q, %l : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

func.func @two_folds(%q: tensor<?x?x?x64xf32>, %r: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %x = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %y = attn.attend %r, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %p = attn.merge %x, %y : !attn.partial<64>
  // expected-error@+1 {{'attn.finalize' op expected one fold; merging folds of different queries is not in this release}}
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

func.func @lists_in_documents(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %cu: tensor<?xi32>, %st: tensor<?x?x?xi32>, %n: tensor<?x?x?xi32>, %c: tensor<?xi32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.blocks %st, %n, %c [64, 64] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  // expected-error@+1 {{'attn.source' op expected no block lists with `documents`: not in this release}}
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s documents(%cu, %cu : tensor<?xi32>, tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

func.func @lists_in_pages(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %cu: tensor<?xi32>, %pages: tensor<?x?xi32>, %n: tensor<?xi32>, %st: tensor<?x?x?xi32>, %m: tensor<?x?x?xi32>, %c: tensor<?xi32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.blocks %st, %m, %c [64, 64] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  // expected-error@+1 {{'attn.source' op expected no block lists with `paged`: not in this release}}
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s paged(%cu, %pages, %n page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

func.func @bias_of_keys_in_pages(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %cu: tensor<?xi32>, %pages: tensor<?x?xi32>, %n: tensor<?xi32>, %t: tensor<?x?xf32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    // expected-error@+1 {{'attn.lookup' op expected no tensor indexed by keys with `paged`: not in this release}}
    %y = attn.lookup %t[%h, %j] : tensor<?x?xf32> -> f32
    %z = arith.addf %x, %y : f32
    attn.yield %z : f32
  }
  %p = attn.attend %q, %s paged(%cu, %pages, %n page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

func.func @one_table_two_ways(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %t: tensor<?xi32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %x = attn.lookup %t[%h] : tensor<?xi32> -> i64
    // expected-error@+1 {{'attn.lookup' op expected one table to be indexed one way}}
    %y = attn.lookup %t[%b] : tensor<?xi32> -> i64
    %c = arith.cmpi sle, %x, %y : i64
    attn.yield %c : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// expected-error@+1 {{expected another name for an argument, but got `o`, which an output has}}
func.func @named_as_output(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32> {attn.name = "o"}) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
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

// -----

func.func @lists_of_itself(%q: tensor<?x?x?x64xf32>, %st: tensor<?x?x?xi32>, %n: tensor<?x?x?xi32>, %c: tensor<?xi32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.blocks %st, %n, %c [64, 64] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  // expected-error@+1 {{'attn.source' op expected keys and values other than the query with block lists}}
  %s = attn.source %q, %q over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

func.func @pages_of_itself(%q: tensor<?x?x4x64xf32>, %cu: tensor<?xi32>, %pages: tensor<?x?xi32>, %n: tensor<?xi32>) -> (tensor<?x?x4x64xf32>, tensor<?x?x4xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  %s = attn.source %q, %q over %g : tensor<?x?x4x64xf32>, tensor<?x?x4x64xf32>
  // expected-error@+1 {{'attn.attend' op expected keys and values other than the query with `paged`}}
  %p = attn.attend %q, %s paged(%cu, %pages, %n page 4 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) : tensor<?x?x4x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x4x64xf32>, tensor<?x?x4xf32>
  return %o, %lse : tensor<?x?x4x64xf32>, tensor<?x?x4xf32>
}
