#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# 24 columns for every row of 64 queries, one list for all heads.
/usr/bin/python3 - "$data" "$out" <<'PY'
import sys, numpy as np
rng = np.random.default_rng(0)
rows = np.sort([rng.choice(1024, 24, replace=False) for row in range(16)])
lists = {"keep.start": np.arange(0, 16 * 24, 24).reshape(1, 1, 16), "keep.count": np.full((1, 1, 16), 24),
         "keep.cols": rows.ravel()}
np.savez(sys.argv[2] + "/in.npz", **np.load(sys.argv[1] + "/qkv-1024.npz"),
         **{name: array.astype(np.int32) for name, array in lists.items()})
PY
filigree compile columns.attn --dtype f16 --head-dim 128 -o "$out/columns.so"
filigree run "$out/columns.so" --in "$out/in.npz" --check
# CHECK: columns d128_f16
# CHECK: check: o: passed
# CHECK: check: lse: passed

filigree explain columns.attn --n 1024 --head-dim 128 --target cpu:baseline
# CHECK: because a tile lies in one row of blocks of 64 rows; keys in blocks of 1 are gathered into whole chunks
