#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# Two batch entries with prefixes of 40 and 200 tokens.
/usr/bin/python3 - "$data" "$out" <<'PY'
import sys, numpy as np
qkv = np.load(sys.argv[1] + "/qkv-256.npz")
np.savez(sys.argv[2] + "/in.npz", prefix=np.int32([40, 200]),
         **{name: np.stack([qkv[name], qkv[name][:, ::-1]]) for name in "qkv"})
PY
filigree compile prefix_lm.attn --dtype f16 --head-dim 128 -o "$out/prefix_lm.so"
filigree run "$out/prefix_lm.so" --in "$out/in.npz" --check
# CHECK: prefix_lm d128_f16: o [2, 4, 256, 128] f16, lse [2, 4, 256] f32
# CHECK: check: o: passed, 262144 elements
# CHECK: check: lse: passed, 2048 elements
