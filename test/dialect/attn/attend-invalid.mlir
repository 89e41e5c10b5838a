// RUN: filigree-opt %s -verify-diagnostics -split-input-file

func.func @attend_c1(%q: tensor<?x?x?x64xf32>) {
  // expected-error@+1 {{'attn.attend' op expected at least one source}}
  %p = "attn.attend"(%q) {operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0>} : (tensor<?x?x?x64xf32>) -> !attn.partial<64>
  return
}

// -----

func.func @attend_c2(%q: tensor<?x?x?x64xf32>, %s: !attn.source) {
  // expected-error@+1 {{'attn.attend' op expected source 0 to be made by `attn.source`}}
  %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return
}

// -----

func.func @attend_c3(%q: tensor<?x?x?x128xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph) {
  // expected-note@+1 {{source 0 is here}}
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected `key` head size 128, but got 64}}
  %p = attn.attend %q, %s : tensor<?x?x?x128xf32> -> !attn.partial<64>
  return
}

// -----

func.func @attend_c3_static(%q: tensor<?x?x?x?xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected a static head size of `query`, but got 'tensor<?x?x?x?xf32>'}}
  %p = attn.attend %q, %s : tensor<?x?x?x?xf32> -> !attn.partial<64>
  return
}

// -----

func.func @attend_c4(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %v: tensor<?x?x?x32xf32>, %g: !attn.graph) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-note@+1 {{source 1 is here}}
  %t = attn.source %k, %v over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x32xf32>
  // expected-error@+1 {{'attn.attend' op expected `value` head size 64, but got 32}}
  %p = attn.attend %q, %s, %t : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return
}

// -----

func.func @attend_c5(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph, %cu: tensor<?xi32>) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected both cumulative length tensors or neither}}
  %p = "attn.attend"(%q, %s, %cu) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0>} : (tensor<?x?x?x64xf32>, !attn.source, tensor<?xi32>) -> !attn.partial<64>
  return
}

// -----

func.func @attend_c6(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph, %cu: tensor<?xi32>) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected no `offsets` with `documents`: positions restart at 0 in each}}
  %p = attn.attend %q, %s documents(%cu, %cu : tensor<?xi32>, tensor<?xi32>) offsets(%cu : tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return
}

// -----

func.func @attend_c7_key(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %h: tensor<?x?x?x64xf16>, %g: !attn.graph) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-note@+1 {{source 1 is here}}
  %t = attn.source %h, %k over %g : tensor<?x?x?x64xf16>, tensor<?x?x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected `key` element type 'f32', but got 'f16'}}
  %p = attn.attend %q, %s, %t : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return
}

// -----

func.func @attend_c7_value(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %h: tensor<?x?x?x64xf16>, %g: !attn.graph) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-note@+1 {{source 1 is here}}
  %t = attn.source %k, %h over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf16>
  // expected-error@+1 {{'attn.attend' op expected `value` element type 'f32', but got 'f16'}}
  %p = attn.attend %q, %s, %t : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return
}

// -----

func.func @attend_c8(%q: tensor<2x4x?x64xf32>, %k: tensor<3x4x?x64xf32>, %g: !attn.graph) {
  // expected-note@+1 {{source 0 is here}}
  %s = attn.source %k, %k over %g : tensor<3x4x?x64xf32>, tensor<3x4x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected `key` batch 2, but got 3}}
  %p = attn.attend %q, %s : tensor<2x4x?x64xf32> -> !attn.partial<64>
  return
}

// -----

func.func @attend_c9(%q: tensor<2x4x?x64xf32>, %k: tensor<2x3x?x64xf32>, %g: !attn.graph) {
  // expected-note@+1 {{source 0 is here}}
  %s = attn.source %k, %k over %g : tensor<2x3x?x64xf32>, tensor<2x3x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected a number of `key` heads that divides 4, but got 3}}
  %p = attn.attend %q, %s : tensor<2x4x?x64xf32> -> !attn.partial<64>
  return
}

// -----

func.func @attend_c6_paged(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph, %cu: tensor<?xi32>, %t: tensor<?x?xi32>) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected no `offsets` with `paged`: positions restart at 0 in each}}
  %p = attn.attend %q, %s paged(%cu, %t, %cu page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) offsets(%cu : tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return
}

// -----

// With pages, axis 0 of keys counts pages.
func.func @attend_c8_paged(%q: tensor<1x4x?x64xf32>, %k: tensor<30x4x16x64xf32>, %g: !attn.graph, %cu: tensor<?xi32>, %t: tensor<?x?xi32>) {
  %s = attn.source %k, %k over %g : tensor<30x4x16x64xf32>, tensor<30x4x16x64xf32>
  %p = attn.attend %q, %s paged(%cu, %t, %cu page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) : tensor<1x4x?x64xf32> -> !attn.partial<64>
  return
}

// -----

func.func @attend_c10(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph, %cu: tensor<?xi32>, %t: tensor<?x?xi32>) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected `documents` or `paged`, but got both}}
  %p = "attn.attend"(%q, %s, %cu, %cu, %t, %cu) {page = 16 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 0>} : (tensor<?x?x?x64xf32>, !attn.source, tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) -> !attn.partial<64>
  return
}

// -----

func.func @attend_c11(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph, %cu: tensor<?xi32>, %t: tensor<?x?xi32>) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected cumulative lengths of queries, a page table, lengths and a page with `paged`}}
  %p = "attn.attend"(%q, %s, %cu, %t) {page = 16 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0, 0>} : (tensor<?x?x?x64xf32>, !attn.source, tensor<?xi32>, tensor<?x?xi32>) -> !attn.partial<64>
  return
}

// -----

func.func @attend_c11_no_page(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph, %cu: tensor<?xi32>, %t: tensor<?x?xi32>) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected cumulative lengths of queries, a page table, lengths and a page with `paged`}}
  %p = "attn.attend"(%q, %s, %cu, %t, %cu) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 1, 0>} : (tensor<?x?x?x64xf32>, !attn.source, tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) -> !attn.partial<64>
  return
}

// -----

func.func @attend_c12(%q: tensor<?x?x?x64xf32>, %k: tensor<?x?x?x64xf32>, %g: !attn.graph, %cu: tensor<?xi32>, %t: tensor<?x?xi32>) {
  %s = attn.source %k, %k over %g : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>
  // expected-error@+1 {{'attn.attend' op expected at least 1 slot in a page, but got 0}}
  %p = attn.attend %q, %s paged(%cu, %t, %cu page 0 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) : tensor<?x?x?x64xf32> -> !attn.partial<64>
  return
}

// -----

func.func @attend_c13(%q: tensor<1x4x?x64xf32>, %k: tensor<?x4x32x64xf32>, %g: !attn.graph, %cu: tensor<?xi32>, %t: tensor<?x?xi32>) {
  // expected-note@+1 {{source 0 is here}}
  %s = attn.source %k, %k over %g : tensor<?x4x32x64xf32>, tensor<?x4x32x64xf32>
  // expected-error@+1 {{'attn.attend' op expected `key` slots in a page 16, but got 32}}
  %p = attn.attend %q, %s paged(%cu, %t, %cu page 16 : tensor<?xi32>, tensor<?x?xi32>, tensor<?xi32>) : tensor<1x4x?x64xf32> -> !attn.partial<64>
  return
}
