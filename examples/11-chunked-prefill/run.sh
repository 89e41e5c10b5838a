#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# The last 512 queries of 1,024.
/usr/bin/python3 - "$data" "$out" <<'PY'
import sys, numpy as np
qkv = dict(np.load(sys.argv[1] + "/qkv-1024.npz"))
np.savez(sys.argv[2] + "/in.npz", **{**qkv, "q": qkv["q"][:, 512:]})
PY
filigree compile chunked.attn --head-dim 128 -o "$out/chunked.so"
filigree run "$out/chunked.so" --in "$out/in.npz" --check
