// RUN: filigree-opt %s | filigree-opt | FileCheck %s
// RUN: filigree-opt %s -mlir-print-op-generic | filigree-opt | FileCheck %s

// A stream of all keys, one by a list, and one that gathers the keys of its list.
// CHECK: tile.stream %{{[^ ]+}}, %{{[^ ]+}} scale 1.250000e-01 : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> {
// CHECK-NEXT: tile.case 0{{$}}
// CHECK: tile.stream %{{.*}}, %{{.*}} lists(%{{.*}}) (%{{.*}}) (%{{.*}}) [64, 64] scale 1.250000e-01 :
// CHECK-NEXT: tile.case 1{{$}}
// CHECK: tile.stream %{{.*}}, %{{.*}} lists(%{{.*}}) (%{{.*}}) (%{{.*}}) [64, 1] gather scale 1.250000e-01 :
// CHECK-NEXT: tile.case 1{{$}}
tile.kernel @k [] {
^bb0(%k: tensor<?x?x?x64xf32>, %start: tensor<?x?x?xi32>, %count: tensor<?x?x?xi32>, %cols: tensor<?xi32>):
  %all = tile.stream %k, %k scale 1.250000e-01 : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> {
    tile.case 0
  }
  %blocks = tile.stream %k, %k lists(%start) (%count) (%cols) [64, 64] scale 1.250000e-01 : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, (tensor<?x?x?xi32>), (tensor<?x?x?xi32>), (tensor<?xi32>) {
    tile.case 1
  }
  %columns = tile.stream %k, %k lists(%start) (%count) (%cols) [64, 1] gather scale 1.250000e-01 : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, (tensor<?x?x?xi32>), (tensor<?x?x?xi32>), (tensor<?xi32>) {
    tile.case 1
  }
}
