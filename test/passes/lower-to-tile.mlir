// RUN: filigree-opt %s -split-input-file -lower-to-tile | FileCheck %s

// One predicate: one stream, one case of member set 0, the arguments by name.
// CHECK-LABEL: tile.kernel @window
//  CHECK-SAME:   {dims = ["B", "Hq", "Nq", "64"], kind = "input", name = "q"}
//  CHECK-SAME:   {dims = ["B", "Hkv", "Nk", "64"], kind = "input", name = "k"}
//  CHECK-SAME:   {kind = "scalar", min = 1 : i64, name = "window", preset = 128 : i64}
//  CHECK-SAME:   {dims = ["B", "Hq", "Nq", "64"], kind = "output", name = "o"}
//  CHECK-SAME:   {dims = ["B", "Hq", "Nq"], kind = "output", name = "lse"}
//       CHECK:   tile.stream %{{[^ ]+}}, %{{[^ ]+}} scale 1.250000e-01
//       CHECK:     tile.case 0 mask {
//       CHECK:     ^bb0(%{{.*}}: i64, %{{.*}}: i64, %[[I:.*]]: i64, %[[J:.*]]: i64):
//       CHECK:       %[[D:.*]] = arith.subi %[[I]], %[[J]]
//       CHECK:       %[[C:.*]] = arith.cmpi slt, %[[D]], %{{.*}} : i64
//       CHECK:       tile.yield %[[C]] : i1
//       CHECK:   tile.fold {{.*}} top_left = false
//       CHECK:   tile.store
//   CHECK-NOT:   attn.
func.func @window(%q: tensor<?x?x?x64xf32> {attn.name = "q"}, %k: tensor<?x?x?x64xf32> {attn.name = "k"}, %w: i64 {attn.name = "window", attn.min = 1 : i64, attn.preset = 128 : i64}) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %d = arith.subi %i, %j : i64
    %c = arith.cmpi slt, %d, %w : i64
    attn.yield %c : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// (l & causal) | m over two lists: a segment in neither has no case, in l alone
// it is causal, in m it is whole. A pair counts once.
// CHECK-LABEL: tile.kernel @two_lists
//       CHECK:   tile.stream {{.*}} [64, 64, 32, 32]
//   CHECK-NOT:     tile.case 0
//       CHECK:     tile.case 1 mask {
//       CHECK:       arith.cmpi sle
//       CHECK:     tile.case 2{{$}}
//       CHECK:     tile.case 3{{$}}
func.func @two_lists(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %s0: tensor<?x?x?xi32>, %n0: tensor<?x?x?xi32>, %c0: tensor<?xi32>, %s1: tensor<?x?x?xi32>, %n1: tensor<?x?x?xi32>, %c1: tensor<?xi32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %l = attn.blocks %s0, %n0, %c0 [64, 64] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  %m = attn.blocks %s1, %n1, %c1 [32, 32] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
  %causal = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  %lc = attn.intersect %l, %causal
  %g = attn.union %lc, %m
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// What every pair satisfies needs no mask, what none does needs no case.
// CHECK-LABEL: tile.kernel @constants
//       CHECK:   tile.stream
//  CHECK-NEXT:     tile.case 0{{$}}
//       CHECK:   tile.stream
//   CHECK-NOT:     tile.case
//       CHECK:   tile.fold
func.func @constants(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %all = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %true = arith.constant true
    attn.yield %true : i1
  }
  %none = attn.complement %all
  %s = attn.source %k, %k over %all : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %t = attn.source %k, %k over %none : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s, %t : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// Documents, an edge and a sink; packed input has batch extent 1.
// CHECK-LABEL: tile.kernel @documents
//  CHECK-SAME:   {dims = ["1", "Hq", "Nq", "64"], kind = "input", name = "arg0"}
//  CHECK-SAME:   {dims = ["docs+1"], kind = "input", name = "arg2"}
//  CHECK-SAME:   {dims = ["Hq"], kind = "input", name = "arg3"}
//       CHECK:   tile.edge {
//       CHECK:     math.tanh
//       CHECK:     tile.yield %{{.*}} : f32
//       CHECK:   tile.fold {{.*}} documents(
//       CHECK:   tile.store {{.*}} sink
func.func @documents(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %cu: tensor<?xi32>, %sink: tensor<?xf32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
  ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
    %y = math.tanh %x : f32
    attn.yield %y : f32
  }
  %p = attn.attend %q, %s documents(%cu, %cu : tensor<?xi32>, tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p sink(%sink : tensor<?xf32>) : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// Keys in pages; two sources of one cache, and one of another.
// CHECK-LABEL: tile.kernel @paged
//  CHECK-SAME:   {dims = ["1", "Hq", "Nq", "64"], kind = "input", name = "arg0"}
//  CHECK-SAME:   {dims = ["pages", "Hkv", "16", "64"], kind = "input", name = "arg1"}
//  CHECK-SAME:   {dims = ["docs+1"], kind = "input", name = "arg2"}
//  CHECK-SAME:   {dims = ["docs", "doc_pages"], kind = "input", name = "arg3"}
//  CHECK-SAME:   {dims = ["docs"], kind = "input", name = "arg4"}
//  CHECK-SAME:   {dims = ["pages3", "Hkv", "16", "64"], kind = "input", name = "arg5"}
//       CHECK:   tile.fold {{.*}} paged(%{{.*}}, %{{.*}}, %{{.*}} page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) top_left = false
func.func @paged(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %cu: tensor<?xi32>, %pages: tensor<?x?xi32>, %n: tensor<?xi32>, %l: tensor<?x?x?x64xf32>) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
  %g = attn.where {
  ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
    %c = arith.cmpi sle, %j, %i : i64
    attn.yield %c : i1
  }
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %t = attn.source %l, %l over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  %p = attn.attend %q, %s, %s, %t paged(%cu, %pages, %n page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  %o, %lse = attn.finalize %p : !attn.partial<64> -> tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?x64xf32>, tensor<?x?x?xf32>
}

// -----

// A table that folding left without a use keeps an extent of its own.
// CHECK-LABEL: tile.kernel @unused_table
//  CHECK-SAME:   {dims = ["unused.0"], kind = "input", name = "unused"}
func.func @unused_table(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %t: tensor<?xi32> {attn.name = "unused"}) -> (tensor<?x?x?x64xf32>, tensor<?x?x?xf32>) {
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
