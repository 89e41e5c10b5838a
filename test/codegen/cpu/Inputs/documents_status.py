"""Runs an artifact of packed documents on good and bad cumulative lengths; prints what is said of each."""
import os
import subprocess
import sys
import tempfile

import numpy as np

CASES = {
    "good": ([0, 100, 200, 300], [0, 50, 250, 300]),
    "gaps at both ends": ([10, 100, 200, 250], [5, 50, 250, 299]),
    "below 0": ([-1, 100, 200, 300], [0, 50, 250, 300]),
    "beyond the queries": ([0, 100, 200, 301], [0, 50, 250, 300]),
    "beyond the keys": ([0, 100, 200, 300], [0, 50, 250, 2**31 - 1]),
    "falling inside": ([0, 100, 90, 300], [0, 50, 250, 300]),
    "falling behind the last row": ([0, 300, 299, 300], [0, 50, 250, 300]),
    "falling keys of documents without rows": ([0, 300, 300, 300], [0, 200, 50, 300]),
    "least integer": ([0, -2**31, 2**31 - 1, 300], [0, 50, 250, 300]),
    "other lengths": ([0, 100, 200, 300], [0, 50, 300]),
}
rng = np.random.default_rng(1)
arrays = {name: rng.standard_normal((2, 300, 64)).astype(np.float32) for name in "qkv"}
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "in.npz")
    for name, (cu_q, cu_k) in CASES.items():
        np.savez(path, cu_q=np.int32(cu_q), cu_k=np.int32(cu_k), **arrays)
        done = subprocess.run(["filigree", "run", sys.argv[1], "--in", path], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        print(f"{name}: {'ran' if done.returncode == 0 else done.stderr.strip().removeprefix('filigree: error: ')}")
