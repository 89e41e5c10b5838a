"""Hands an answer to the judge of test/bench: the right one, or a twin of it that must be rejected.

    bench_judge.py LIB PREFIX KIND      LIB has libfiligree.so; PREFIX.oracle.so, PREFIX.causal.so, PREFIX.dense.so
"""
import os
import sys

import numpy as np

sys.dont_write_bytecode = True  # nothing is written beside the sources
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench"))
from binding import Runtime  # noqa: E402
from judge import Judge, sampled_rows  # noqa: E402

folder, prefix, kind = sys.argv[1:]
rng = np.random.default_rng(1)
queries, keys = 300, 280  # the first 20 rows see no key
inputs = {name: rng.standard_normal((1, 2, n, 16), np.float32) for name, n in
          (("q", queries), ("k", keys), ("v", keys))}
runtime = Runtime(folder)
judge = Judge(runtime.kernel(prefix + ".oracle", "causal_dense"), 1, inputs, [] if kind == "nothing" else None)
rows = sampled_rows(queries)
o, lse = np.full((1, 2, queries, 16), np.nan, np.float32), np.full((1, 2, queries), np.nan, np.float32)
pattern = "dense" if kind == "other" else "causal"
runtime.kernel(f"{prefix}.{pattern}", "dense" if kind == "other" else "causal_dense").prepare(
    1, o=o, lse=lse, **inputs)()
if kind == "wrong":
    o[0, 1, rows[-1], 3] += 1e-4
elif kind == "missing":
    o[0, 0, rows[9]] = np.nan
elif kind == "nonzero":
    o[0, 0, rows[2], 5] = 1
elif kind == "lse":
    lse[0, 1, rows[-1]] += 1e-3
elif kind == "finite":
    lse[0, 0, rows[0]] = -1e30
print("accepted:", judge.check("twin", o, lse))
