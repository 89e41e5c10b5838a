"""compare.py A B ROW: outputs of two runs, before a row and from it on."""
import json
import sys

import numpy as np


def load(path):
    raw = open(path, "rb").read()
    size = int.from_bytes(raw[:8], "little")
    entry = json.loads(raw[8:8 + size])["o"]
    begin, end = entry["data_offsets"]
    return np.frombuffer(raw[8 + size:][begin:end], np.float32).reshape(entry["shape"])


a, b, row = load(sys.argv[1]), load(sys.argv[2]), int(sys.argv[3])
same = np.array_equal(a[:, :row], b[:, :row]) and np.isfinite(a[:, :row]).all()
print(f"rows before {row}: {'the same bits, finite' if same else 'differ'}")
print(f"rows from {row} on: {'nan' if np.isnan(b[:, row:]).all() else 'finite'}")
