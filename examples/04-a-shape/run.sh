#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

/usr/bin/python3 - "$out" <<'PY'
import sys, numpy as np
np.save(sys.argv[1] + "/sink.npy", np.int32([4, 64, 0, 128]))
np.save(sys.argv[1] + "/local.npy", np.int32([128, 32, 500, 1]))
PY
filigree compile a_shape.attn --dtype f16 --head-dim 128 -o "$out/a_shape.so"
filigree run "$out/a_shape.so" --in "$data/qkv-1024.npz,sink=$out/sink.npy,local=$out/local.npy" --check
# CHECK: a_shape d128_f16: o [4, 1024, 128] f16
# CHECK: check: o: passed
# CHECK: check: lse: passed

for head in 0 3; do
  filigree show a_shape.attn --n 1024 --head $head --in "sink=$out/sink.npy,local=$out/local.npy" | tail -n 1
done
# CHECK: 1024 x 1024, tiles of 32: 12.07 % of the pairs; 847 tiles empty, 87 partial, 90 full
# CHECK: 1024 x 1024, tiles of 32: 11.81 % of the pairs; 874 tiles empty, 32 partial, 118 full
