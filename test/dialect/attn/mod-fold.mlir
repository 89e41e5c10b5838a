// RUN: filigree-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: func @positive
//       CHECK:   %[[C:.*]] = arith.constant 2 : i64
//       CHECK:   return %[[C]]
func.func @positive() -> i64 {
  %x = arith.constant 10 : i64
  %c = arith.constant 4 : i64
  %m = attn.mod %x, %c
  return %m : i64
}

// Towards minus infinity: -3 = -1 * 4 + 1.
// CHECK-LABEL: func @negative
//       CHECK:   %[[C:.*]] = arith.constant 1 : i64
//       CHECK:   return %[[C]]
func.func @negative() -> i64 {
  %x = arith.constant -3 : i64
  %c = arith.constant 4 : i64
  %m = attn.mod %x, %c
  return %m : i64
}

// CHECK-LABEL: func @multiple
//       CHECK:   %[[C:.*]] = arith.constant 0 : i64
//       CHECK:   return %[[C]]
func.func @multiple() -> i64 {
  %x = arith.constant -8 : i64
  %c = arith.constant 4 : i64
  %m = attn.mod %x, %c
  return %m : i64
}

// CHECK-LABEL: func @variable
//       CHECK:   attn.mod
func.func @variable(%x: i64) -> i64 {
  %c = arith.constant 4 : i64
  %m = attn.mod %x, %c
  return %m : i64
}
