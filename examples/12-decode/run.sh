#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# The last query of 1,024.
/usr/bin/python3 - "$data" "$out" <<'PY'
import sys, numpy as np
qkv = dict(np.load(sys.argv[1] + "/qkv-1024.npz"))
np.savez(sys.argv[2] + "/in.npz", **{**qkv, "q": qkv["q"][:, -1:]})
PY
filigree compile decode.attn --dtype f16 --head-dim 128 -o "$out/decode.so"
filigree run "$out/decode.so" --in "$out/in.npz" --set window=100 --check --threads 1
# CHECK: decode d128_f16: o [4, 1, 128] f16, lse [4, 1] f32
# CHECK: check: o: passed
# CHECK: check: lse: passed

# The same bits for any number of threads.
filigree run "$out/decode.so" --in "$out/in.npz" --threads 1 --out "$out/one.safetensors" >/dev/null
filigree run "$out/decode.so" --in "$out/in.npz" --threads 2 --out "$out/two.safetensors" >/dev/null
cmp "$out/one.safetensors" "$out/two.safetensors" && echo "the same bits"
# CHECK: the same bits
