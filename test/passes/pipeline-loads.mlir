// RUN: filigree-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(tile.kernel(pipeline-loads{target=cuda:sm_90a}))' | FileCheck %s
// RUN: filigree-opt %s -split-input-file -verify-diagnostics -pass-pipeline='builtin.module(tile.kernel(pipeline-loads{target=cuda:sm_90a few=true}))' | FileCheck %s --check-prefix=FEW

// Three stages would fit: two do, as stage and phase of a number are its bits.
// CHECK-LABEL: tile.kernel @two
//  CHECK-SAME:   pipeline <stages = 2, "stages of 65536 bytes, beside 40960 of queries and outputs, in 232448">
tile.kernel @two [] schedule <rows = 128, chunk = 128, masked_chunk = 128, granule = 128, "">
    warps <ctas = 1, load = 4, compute = 8, load_registers = 56, compute_registers = 224, ""> {
^bb0(%k: tensor<?x?x?x128xbf16>, %v: tensor<?x?x?x128xbf16>):
  %s = tile.stream %k, %v scale 1.250000e-01 : tensor<?x?x?x128xbf16>, tensor<?x?x?x128xbf16> {
    tile.case 0
  }
}

// -----

// More than four gain nothing. Heads fill up blocks of 64 dimensions.
// CHECK-LABEL: tile.kernel @four
//  CHECK-SAME:   pipeline <stages = 4, "stages of 24576 bytes, beside 36864 of queries and outputs, in 232448">
tile.kernel @four [] schedule <rows = 192, chunk = 96, masked_chunk = 96, granule = 96, "">
    warps <ctas = 1, load = 4, compute = 12, load_registers = 56, compute_registers = 152, ""> {
^bb0(%k: tensor<?x?x?x8xbf16>, %v: tensor<?x?x?x64xbf16>):
  %s = tile.stream %k, %v scale 1.250000e-01 : tensor<?x?x?x8xbf16>, tensor<?x?x?x64xbf16> {
    tile.case 0
  }
}

// -----

// Wide heads: the tile of queries takes 64 KiB, outputs 8, a stage 64.
// CHECK-LABEL: tile.kernel @wide
//  CHECK-SAME:   pipeline <stages = 2, "stages of 65536 bytes, beside 73728 of queries and outputs, in 232448">
tile.kernel @wide [] schedule <rows = 128, chunk = 64, masked_chunk = 64, granule = 64, "">
    warps <ctas = 1, load = 4, compute = 8, load_registers = 56, compute_registers = 224, ""> {
^bb0(%k: tensor<?x?x?x256xbf16>, %v: tensor<?x?x?x256xbf16>):
  %s = tile.stream %k, %v scale 1.250000e-01 : tensor<?x?x?x256xbf16>, tensor<?x?x?x256xbf16> {
    tile.case 0
  }
}

// -----

// Four stages leave 3 KiB, which do not hold the words of the walk, or 19 KiB.
// CHECK-LABEL: tile.kernel @words
//  CHECK-SAME:   pipeline <stages = 2, "stages of 49152 bytes
tile.kernel @words [] schedule <rows = 128, chunk = 128, masked_chunk = 128, granule = 128, "">
    warps <ctas = 1, load = 4, compute = 8, load_registers = 56, compute_registers = 224, ""> {
^bb0(%k: tensor<?x?x?x128xbf16>, %v: tensor<?x?x?x64xbf16>):
  %s = tile.stream %k, %v scale 1.250000e-01 : tensor<?x?x?x128xbf16>, tensor<?x?x?x64xbf16> {
    tile.case 0
  }
}
// CHECK-LABEL: tile.kernel @fewer_rows
//  CHECK-SAME:   pipeline <stages = 4, "stages of 49152 bytes
// For few queries as many as fit, up to eight.
// FEW-LABEL: tile.kernel @four
//  FEW-SAME:   pipeline <stages = 7, "stages of 24576 bytes
// FEW-LABEL: tile.kernel @words
//  FEW-SAME:   pipeline <stages = 3, "stages of 49152 bytes
tile.kernel @fewer_rows [] schedule <rows = 64, chunk = 128, masked_chunk = 128, granule = 128, "">
    warps <ctas = 1, load = 4, compute = 4, load_registers = 56, compute_registers = 224, ""> {
^bb0(%k: tensor<?x?x?x128xbf16>, %v: tensor<?x?x?x64xbf16>):
  %s = tile.stream %k, %v scale 1.250000e-01 : tensor<?x?x?x128xbf16>, tensor<?x?x?x64xbf16> {
    tile.case 0
  }
}

// -----

// expected-error @+1 {{'tile.kernel' op expected warps and a CUDA target, but got `cuda:sm_90a`}}
tile.kernel @without_warps [] schedule <rows = 128, chunk = 64, masked_chunk = 64, granule = 64, ""> {
}
