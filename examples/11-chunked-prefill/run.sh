#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# The last 512 queries of 1,024.
/usr/bin/python3 - "$data" "$out" <<'PY'
import sys, numpy as np
qkv = dict(np.load(sys.argv[1] + "/qkv-1024.npz"))
np.savez(sys.argv[2] + "/half.npz", **{**qkv, "q": qkv["q"][:, 512:]})
PY
filigree compile chunked.attn --dtype f16 --head-dim 128 -o "$out/chunked.so"
filigree run "$out/chunked.so" --in "$out/half.npz" --check --out "$out/half.safetensors"
# CHECK: chunked d128_f16: o [4, 512, 128] f16, lse [4, 512] f32
# CHECK: check: o: passed
# CHECK: check: lse: passed

# They get what they would get among all 1,024, bit by bit in o.
filigree run "$out/chunked.so" --in "$data/qkv-1024.npz" --out "$out/whole.safetensors"
/usr/bin/python3 - "$out" <<'PY'
import sys, json, numpy as np
def load(path):
    raw = open(path, "rb").read()
    size = int.from_bytes(raw[:8], "little")
    entry = json.loads(raw[8:8 + size])["o"]
    a, b = entry["data_offsets"]
    return np.frombuffer(raw[8 + size:][a:b], np.float16).reshape(entry["shape"])
half, whole = load(sys.argv[1] + "/half.safetensors"), load(sys.argv[1] + "/whole.safetensors")
print("largest difference", np.abs(half.astype(float) - whole[:, 512:]).max())
PY
# CHECK: largest difference 0.0
filigree show chunked.attn --n 1024 --nq 512
# CHECK: 512 x 1024, tiles of 32: 50.00 % of the pairs; 240 tiles empty, 32 partial, 240 full
