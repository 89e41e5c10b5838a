"""Runs artifacts with tables and biases of extent 1 on each set of axes, and with their expansions."""
import itertools
import os
import subprocess
import sys
import tempfile

import numpy as np

rng = np.random.default_rng(1)


def run(folder, artifact, arrays, *more):
    data, out = os.path.join(folder, "in.npz"), os.path.join(folder, "o.safetensors")
    np.savez(data, **arrays)
    done = subprocess.run(["filigree", "run", artifact, "--in", data, "--out", out, *more], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr, open(out, "rb").read() if done.returncode == 0 else b""


def inputs(queries):
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    return {"q": normal(2, 4, queries, 16), "k": normal(2, 2, 50, 16), "v": normal(2, 2, 50, 16)}


def compare(folder, artifact, arrays, tables, full):
    """`tables` with extents of 1, against what they stand for."""
    status, text, narrow = run(folder, artifact, {**arrays, **tables}, "--check")
    expanded = {name: np.ascontiguousarray(np.broadcast_to(table, full[name])) for name, table in tables.items()}
    status2, text2, wide = run(folder, artifact, {**arrays, **expanded})
    if status or status2 or narrow != wide:
        print([table.shape for table in tables.values()], status, status2, narrow == wide, text, text2)
        return False
    return True


def main(folder):
    if sys.argv[-1] == "--wrong":
        arrays = {**inputs(40), "window": np.int32([[5]]), "start": np.int32([0]),
                  "bias": np.zeros((2, 4, 40, 2), np.float32)}
        print(run(folder, sys.argv[1], arrays)[1].strip())
        arrays.update(start=np.int32([0, 1, 2]), bias=np.zeros((1, 1, 1, 1), np.float32))
        print(run(folder, sys.argv[1], arrays)[1].strip())
        return
    count = 0
    for queries in (40, 3):
        full = {"window": (2, 4), "start": (2,), "bias": (2, 4, queries, 50)}
        for axes in itertools.product((True, False), repeat=4):
            shape = lambda name: [1 if one else n for one, n in zip(axes, full[name])]  # noqa: E731
            tables = {"window": rng.integers(1, 40, shape("window")).astype(np.int32),
                      "start": rng.integers(0, 20, shape("start")).astype(np.int32),
                      "bias": rng.standard_normal(shape("bias")).astype(np.float32)}
            count += compare(folder, sys.argv[1], inputs(queries), tables, full)
    print(f"{count} shapes give the bits of their expansions and agree with the reference")
    count = 0
    for extent in (1, 3):
        arrays = {name: rng.standard_normal((2, 70, 16)).astype(np.float32) for name in "qkv"}
        arrays["cu"] = np.int32([0, 20, 50, 70])
        tables = {"window": rng.integers(1, 30, extent).astype(np.int32)}
        count += compare(folder, sys.argv[2], arrays, tables, {"window": (3,)})
    print(f"documents: {count} shapes give the bits of their expansions and agree with the reference")


with tempfile.TemporaryDirectory() as made:
    main(made)
