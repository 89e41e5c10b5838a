#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# 16 x 16 blocks of 64 x 64, one list for all heads: every row of blocks sees the
# first block, and the four before it.
/usr/bin/python3 - "$data" "$out" <<'PY'
import sys, numpy as np
rows = [sorted({0} | set(range(max(0, row - 4), row))) for row in range(16)]
count = np.int32([len(row) for row in rows])
lists = {"keep.start": np.int32(np.cumsum(count) - count).reshape(1, 1, 16), "keep.count": count.reshape(1, 1, 16),
         "keep.cols": np.int32(sum(rows, []))}
np.savez(sys.argv[2] + "/in.npz", **np.load(sys.argv[1] + "/qkv-1024.npz"), **lists)
PY
filigree compile block_lists.attn --dtype f16 --head-dim 128 -o "$out/block_lists.so"
filigree run "$out/block_lists.so" --in "$out/in.npz" --check
# CHECK: block_lists d128_f16
# CHECK: check: o: passed
# CHECK: check: lse: passed

filigree show block_lists.attn --n 1024 --tile 64 --in "keep.start=$out/in.npz,keep.count=$out/in.npz,keep.cols=$out/in.npz"
# CHECK: 1024 x 1024, tiles of 64: 28.56 % of the pairs; 175 tiles empty, 16 partial, 65 full
