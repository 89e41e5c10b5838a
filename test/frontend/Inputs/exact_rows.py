"""exact_rows.py QKV.npz OUT.safetensors ROWS - causal attention of some rows in float64, against a file of outputs."""
import json
import sys

import numpy as np

q, k, v = (np.load(sys.argv[1])[name].astype(np.float64) for name in "qkv")
rows = [int(row) for row in sys.argv[3].split(",")]
raw = open(sys.argv[2], "rb").read()
size = int.from_bytes(raw[:8], "little")
header = json.loads(raw[8:8 + size])


def read(name):
    begin, end = header[name]["data_offsets"]
    assert header[name]["dtype"] == "F64"
    return np.frombuffer(raw[8 + size:][begin:end], np.float64).reshape(header[name]["shape"])


o, lse, naive, compared = read("o"), read("lse"), read("o.naive"), 0
group = q.shape[0] // k.shape[0]
for h in range(q.shape[0]):
    for t, r in enumerate(rows):
        logits = k[h // group, :r + 1] @ q[h, r] / np.sqrt(q.shape[2])
        weights = np.exp(logits - logits.max())
        assert np.abs(o[h, t] - weights @ v[h // group, :r + 1] / weights.sum()).max() < 1e-12
        assert abs(lse[h, t] - logits.max() - np.log(weights.sum())) < 1e-12
        assert np.abs(naive[h, t] - o[h, t]).max() < 1e-5  # near, and not the same
        assert r == 0 or np.abs(naive[h, t] - o[h, t]).max() > 1e-9
        compared += 1
print(f"{compared} rows, within 1e-12")
