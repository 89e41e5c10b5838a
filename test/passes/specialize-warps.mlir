// RUN: filigree-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(tile.kernel(specialize-warps{target=cuda:sm_90a}))' | FileCheck %s
// RUN: filigree-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(tile.kernel(specialize-warps{target=cuda:sm_90a few=true}))' | FileCheck %s --check-prefix=FEW

// Two warpgroups of 64 rows compute, and get registers of the one that loads.
// CHECK-LABEL: tile.kernel @tile
//  CHECK-SAME:   warps <ctas = 1, load = 4, compute = 8, load_registers = [[LOAD:[0-9]+]], compute_registers = [[COMPUTE:[0-9]+]], "2 groups of 4 warps compute 64 rows each; those that load give registers to them">
tile.kernel @tile [] schedule <rows = 128, chunk = 128, masked_chunk = 128, granule = 128, ""> {
}

// -----

// A tile that lies in a row of narrow blocks has fewer, and two CTAs take turns.
// For few queries one has the multiprocessor to itself.
// FEW-LABEL: tile.kernel @narrow
//  FEW-SAME:   warps <ctas = 1, load = 4, compute = 4, load_registers = 56, compute_registers = 200, "1 group of 4 warps compute 64 rows each; those that load give registers to them">
// CHECK-LABEL: tile.kernel @narrow
//  CHECK-SAME:   warps <ctas = 2, load = 4, compute = 4, {{.*}} "1 group of 4 warps compute{{.*}}; 2 CTAs a multiprocessor take turns">
tile.kernel @narrow [] schedule <rows = 48, chunk = 128, masked_chunk = 128, granule = 128, ""> {
}

// -----

// Three share what there is: fewer registers each.
// CHECK-LABEL: tile.kernel @tall
//  CHECK-SAME:   warps <ctas = 1, load = 4, compute = 12, load_registers = 56, compute_registers = 152,
tile.kernel @tall [] schedule <rows = 192, chunk = 96, masked_chunk = 96, granule = 96, ""> {
}

// -----

// expected-error @+1 {{'tile.kernel' op expected a schedule and a CUDA target, but got `cuda:sm_90a`}}
tile.kernel @unscheduled [] {
}
