"""Runs keys in pages on good and bad tables and lengths: what is said of each, and whether the answer is the oracle's.

    paged_status.py KERNEL.so ORACLE.so [--planted]

With --planted the oracle is given other pages than the kernel, which must be seen.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "examples", "15-python-ctypes"))
sys.dont_write_bytecode = True
import filigree  # noqa: E402

filigree.CODES["float64"] = (2, 64)
PAGES, SLOTS, HEADS, KV_HEADS, DIM = 40, 16, 4, 2, 32
ROWS, LENGTHS = np.int32([1, 30, 0, 1, 9]), np.int32([200, 77, 5, 0, 9])
rng = np.random.default_rng(1)
CU = np.cumsum([0, *ROWS]).astype(np.int32)
TABLE = rng.permutation(PAGES)[:5 * 8].reshape(5, 8).astype(np.int32)
TABLE = np.concatenate([TABLE, TABLE[::-1, :6]], axis=1)  # pages may be shared


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


CASES = {
    "good": {},
    "beyond the length": {"table": changed(TABLE, (1, 5), 999)},
    "the first page": {"table": changed(TABLE, (1, 0), PAGES)},
    "inside": {"table": changed(TABLE, (0, 6), -1)},
    "the last page": {"table": changed(TABLE, (0, 12), 2**31 - 1)},
    "all pages": {"table": np.full_like(TABLE, -2**31)},
    "a length below 0": {"lengths": changed(LENGTHS, 3, -7)},
    "a length beyond the table": {"lengths": changed(LENGTHS, 0, 225)},
    "the largest length": {"lengths": changed(LENGTHS, 0, 2**31 - 1)},
    "bounds that fall": {"cu_q": changed(CU, 2, 0)},
    "other tables": {"lengths": LENGTHS[:4]},
}


PLANTED = {  # places of the table, or lengths, that the kernel sees otherwise
    "two pages change places": {"table": changed(TABLE, (1, [2, 3]), TABLE[1, [3, 2]])},
    "one page is another": {"table": changed(TABLE, (1, 1), TABLE[1, 7])},
    "one key less": {"lengths": changed(LENGTHS, 1, LENGTHS[1] - 1)},
}


def answers(kernel, arrays, rows):
    """o and lse of a kernel, or of an oracle."""
    dtype = np.float64 if rows else np.float32
    o, lse = np.full((1, HEADS, CU[-1], DIM), 7, dtype), np.full((1, HEADS, CU[-1]), 7, dtype)
    kernel(**arrays, **({"rows": np.arange(CU[-1], dtype=np.int32)} if rows else {}), o=o, lse=lse)
    return o, lse


def main(folder):
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    # Laid out as engines do, with other data between: [pages, slots, heads, head size].
    caches = {name: normal(PAGES, SLOTS, KV_HEADS, 2 * DIM)[..., :DIM].transpose(0, 2, 1, 3) for name in "kv"}
    good = {"q": normal(1, HEADS, CU[-1], DIM), **caches, "cu_q": CU, "table": TABLE, "lengths": LENGTHS}
    runtime = os.path.join(ROOT, "build", "lib", "libfiligree.so")
    kernel, oracle = (filigree.Kernel(runtime, artifact, "paged") for artifact in sys.argv[1:3])
    agree = lambda arrays: all(np.allclose(got, want, rtol=1e-4, atol=1e-5) for got, want in zip(  # noqa: E731
        answers(kernel, arrays, False), answers(oracle, {**good, **arrays, **planted}, True)))
    planted = {}
    if sys.argv[3:]:
        for name, planted in PLANTED.items():
            print(f"{name}: {'right' if agree(good) else 'WRONG'}")
        return
    path = os.path.join(folder, "in.npz")
    for name, case in CASES.items():
        arrays = {**good, **case}
        np.savez(path, **arrays)
        done = subprocess.run(["filigree", "run", sys.argv[1], "--in", path], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        said = "ran" if done.returncode == 0 else done.stderr.strip().removeprefix("filigree: error: ")
        if "expected" in said or "bounds" in said:
            print(f"{name}: {said}")
            continue
        print(f"{name}: {'right' if agree(arrays) else 'WRONG'}; {said}")


with tempfile.TemporaryDirectory() as made:
    main(made)
