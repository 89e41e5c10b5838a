// RUN: filigree-opt %s | filigree-opt | FileCheck %s
// RUN: filigree-opt %s -mlir-print-op-generic | filigree-opt | FileCheck %s

// What the passes decide about a kernel, in the order in which they run.
// CHECK: tile.kernel @k [] schedule <rows = 128, chunk = 96, masked_chunk = 64, granule = 32, "why"> warps <ctas = 1, load = 4, compute = 8, load_registers = 56, compute_registers = 224, "who"> pipeline <stages = 2, "how far"> {
tile.kernel @k [] schedule <rows = 128, chunk = 96, masked_chunk = 64, granule = 32, "why"> warps <ctas = 1, load = 4, compute = 8, load_registers = 56, compute_registers = 224, "who"> pipeline <stages = 2, "how far"> {
}
// CHECK: tile.kernel @bare [] {
tile.kernel @bare [] {
}
