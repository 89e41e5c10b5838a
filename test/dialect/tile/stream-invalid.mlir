// RUN: filigree-opt %s -split-input-file -verify-diagnostics

tile.kernel @gather_without_list [] {
^bb0(%k: tensor<?x?x?x64xf32>):
  // expected-error @+1 {{'tile.stream' op expected a list to gather keys by, but got none}}
  %s = tile.stream %k, %k gather scale 1.250000e-01 : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> {
    tile.case 0
  }
}

// -----

tile.kernel @members_beyond_lists [] {
^bb0(%k: tensor<?x?x?x64xf32>, %start: tensor<?x?x?xi32>, %count: tensor<?x?x?xi32>, %cols: tensor<?xi32>):
  %s = tile.stream %k, %k lists(%start) (%count) (%cols) [64, 1] gather scale 1.250000e-01 : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32>, (tensor<?x?x?xi32>), (tensor<?x?x?xi32>), (tensor<?xi32>) {
    // expected-error @+1 {{'tile.case' op expected a member set below 2, but got 2}}
    tile.case 2
  }
}
