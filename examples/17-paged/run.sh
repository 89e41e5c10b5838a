#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# The tokens of three sequences, in pages dealt at random.
/usr/bin/python3 - "$data" "$out" <<'PY'
import sys, numpy as np
qkv = np.load(sys.argv[1] + "/qkv-1024.npz")
rows, lengths, page = np.int32([1, 200, 1]), np.int32([600, 300, 100]), 16
used = -(-lengths // page)
ids = iter(np.random.default_rng(0).permutation(used.sum()))
table = np.array([[next(ids) if p < n else -1 for p in range(used.max())] for n in used], np.int32)
caches = {name: np.zeros((used.sum(), len(qkv[name]), page, 128), np.float16) for name in "kv"}
first = np.cumsum(lengths) - lengths
for s, length in enumerate(lengths):
    for j in range(length):
        for name, cache in caches.items():
            cache[table[s, j // page], :, j % page] = qkv[name][:, first[s] + j]
# The last queries of each sequence.
q = np.concatenate([qkv["q"][:, f + n - r:f + n] for f, n, r in zip(first, lengths, rows)], axis=1)
arrays = {"q": q, **caches, "cu_q": np.cumsum([0, *rows]).astype(np.int32), "table": table, "lengths": lengths}
np.savez(sys.argv[2] + "/in.npz", **arrays)
np.savez(sys.argv[2] + "/bad.npz", **{**arrays, "table": np.where(table == table[1, 3], 999, table)})
PY
filigree compile paged.attn --dtype f16 --head-dim 128 -o "$out/paged.so"
filigree run "$out/paged.so" --in "$out/in.npz" --check
# CHECK: paged d128_f16: o [4, 202, 128] f16
# CHECK: check: o: passed
# CHECK: check: lse: passed

filigree run "$out/paged.so" --in "$out/bad.npz" 2>&1 || true
# CHECK: error: {{.*}}the page table names a page outside the keys (at b = 1, h = {{[0-3]}}, row {{[0-9]+}}, col 999)

# Each sequence sees keys of its own; columns count them from its first.
/usr/bin/python3 -c 'import sys, numpy as np
arrays = np.load(sys.argv[1] + "/in.npz")
np.savez(sys.argv[1] + "/tables.npz", **{name: arrays[name] for name in ("cu_q", "table", "lengths")})' "$out"
filigree show paged.attn --n 600 --nq 202 --in "$out/tables.npz"
# CHECK: 202 x 608, tiles of 32: {{.*}} % of the pairs

# Pages of another size are another kernel; 16 is only the default.
filigree compile paged.attn --dtype f16 --head-dim 128 --set page=64 -o "$out/paged64.so"
filigree run "$out/paged64.so" --in "$out/in.npz" 2>&1 || true
# CHECK: error: {{.*}}expected extent 64 in dimension 2 of `k`, but got 16
