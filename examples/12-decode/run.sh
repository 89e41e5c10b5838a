#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

/usr/bin/python3 - "$data" "$out" <<'PY'
import sys, numpy as np
qkv = dict(np.load(sys.argv[1] + "/qkv-1024.npz"))
np.savez(sys.argv[2] + "/in.npz", **{**qkv, "q": qkv["q"][:, -1:]})
PY
filigree compile decode.attn --head-dim 128 -o "$out/decode.so"
filigree run "$out/decode.so" --in "$out/in.npz" --check
