#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

/usr/bin/python3 - "$out" <<'PY'
import sys, numpy as np
np.save(sys.argv[1] + "/sink.npy", np.int32([4, 64, 0, 128]))
np.save(sys.argv[1] + "/local.npy", np.int32([128, 32, 500, 1]))
PY
filigree compile a_shape.attn --head-dim 128 -o "$out/a_shape.so"
filigree run "$out/a_shape.so" --in "$data/qkv-1024.npz,sink=$out/sink.npy,local=$out/local.npy" --check
