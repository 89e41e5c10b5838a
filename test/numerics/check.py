#!/usr/bin/python3
"""check.py - compiled patterns against the float64 reference, shape by shape.

    check.py PATTERN... [--dims D] [--dtypes f32,bf16,f16] [--target T] [--shape B,Hq,Hkv,Nq,Nk]...
                        [--device cuda] [--schedule POLICY,TIMING] [--multiprocessors N] [--value-dim D]

Compiles each pattern of Inputs/patterns.attn and runs it with --check on random
inputs of each shape; the rule by which an answer passes is the tool's
(codegen/reference/Numerics.h). The seed is a hash of the case's name. Prints the
number of cases; exit status 1 if one failed.

With --device cuda the kernels run on the emulator of PTX behind the fake driver
(test/lib), which also finds races, missing fences and deadlocks: no GPU and no
ptxas is needed.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import zlib

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "..", "..", "build")
os.environ["PATH"] += os.pathsep + os.path.join(BUILD, "bin")
# batch, query heads, key heads, queries, keys
SHAPES = [(1, 2, 1, 1, 1), (1, 2, 2, 63, 63), (2, 2, 1, 64, 64), (1, 4, 2, 65, 65), (2, 3, 1, 113, 203),
          (1, 2, 1, 1, 300), (1, 1, 1, 130, 17), (1, 6, 2, 257, 257)]


def block_list(rng, batch, heads, rows, columns):
    """A random list: start, count, cols; some rows of blocks are empty, one is full."""
    start, count, cols = np.zeros((batch, heads, rows), np.int32), np.zeros((batch, heads, rows), np.int32), []
    for place in np.ndindex(start.shape):
        kept = np.flatnonzero(rng.random(columns) < rng.choice([0, 0.3, 1]))
        start[place], count[place] = len(cols), len(kept)
        cols.extend(kept)
    return start, count, np.array(cols or [0], np.int32)


def cuts(rng, total, documents):
    """Cumulative lengths of `documents` documents, one of them empty."""
    inner = rng.integers(0, total + 1, documents - 2)
    return np.sort(np.int32([0, *inner, inner[0], total]))


def paged(rng, kv_heads, queries, keys, dim, value_dim, page):
    """Sequences in shuffled pages of caches laid out as engines do: some decode one row, one has no keys, one no
    rows. Slots that hold no key are NaN; the pages of the table beyond a length do not exist."""
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    prefill = max(queries - 3, 0)
    rows = np.int32([1, prefill // 2, 0, 1, prefill - prefill // 2, 1])
    while rows.sum() > queries:
        rows[len(rows) - 1 - np.argmax(rows[::-1])] -= 1
    lengths = np.array([keys, *rng.integers(1, keys + 1, 2), 0, keys // 2 + 1, 1], np.int32)
    most = -(-keys // page) + 1
    used = -(-lengths // page)
    ids = rng.permutation(used.sum() + 2)
    table = rng.choice([-1, 2**31 - 1, -2**31], (6, most)).astype(np.int32)
    caches = [np.full((len(ids), page, kv_heads, d), np.nan, np.float32) for d in (dim, value_dim)]
    for s, first in enumerate(np.cumsum(used) - used):
        table[s, :used[s]] = ids[first:first + used[s]]
        for cache in caches:
            flat = normal(lengths[s], kv_heads, cache.shape[3])
            for j in range(lengths[s]):
                cache[table[s, j // page], j % page] = flat[j]
    return {"cu_q": np.cumsum([0, *rows]).astype(np.int32), "table": table, "lengths": lengths,
            "k": caches[0].transpose(0, 2, 1, 3), "v": caches[1].transpose(0, 2, 1, 3)}


def tables(pattern, rng, batch, heads, kv_heads, queries, keys, dim, value_dim):
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    made = {}
    if pattern.endswith("_of_head"):
        made = {"local": rng.integers(1, keys + 2, heads).astype(np.int32)}
    if pattern == "prefix":
        return {"prefix": rng.integers(0, keys + 1, batch).astype(np.int32)}
    if pattern == "documents":
        return {"cu_q": cuts(rng, queries, 4), "cu_k": cuts(rng, keys, 4)}
    if pattern == "gaps":
        # Rows and keys before the first document and after the last belong to none.
        within = lambda total: total // 5 + cuts(rng, total // 2, 4)  # noqa: E731
        return {"cu_q": within(queries).astype(np.int32), "cu_k": within(keys).astype(np.int32)}
    if pattern == "far_division":
        return {"far": rng.integers(-2**31, 2**31, heads).astype(np.int32)}
    if pattern == "shared_values":
        return {"kfar": normal(batch, kv_heads, keys, dim)}
    if pattern == "offsets":
        return {"first": rng.integers(-5, keys + 5, batch).astype(np.int32)}
    if pattern.endswith("bias"):
        made = {"bias": normal(heads, queries, keys)}
    if pattern == "paged_window":
        made = {"slopes": normal(heads) * 0.1}
    if pattern == "alibi_softcap":
        return {"slopes": normal(heads) * 0.1}
    if pattern == "sinks":
        return {"logits": normal(heads)}
    if pattern in ("two_sources", "far_positions"):
        return {"kfar": normal(batch, kv_heads, keys // 4 + 1, dim),
                "vfar": normal(batch, kv_heads, keys // 4 + 1, value_dim)}
    # Rows and columns of a block, heads of the list.
    lists = {"lists": [("keep", 32, 16, kv_heads)], "two_lists": [("keep", 32, 16, heads), ("drop", 32, 64, 1)],
             "uneven_lists": [("keep", 128, 16, heads), ("drop", 96, 64, 1)], "low_lists": [("keep", 16, 64, 1)],
             "columns": [("keep", 32, 1, kv_heads)], "columns_causal": [("keep", 32, 1, heads)],
             "columns_bias": [("keep", 32, 4, 1)], "columns_or": [("keep", 32, 1, kv_heads), ("also", 32, 16, 1)],
             "columns_out": [("keep", 32, 16, heads), ("drop", 32, 1, kv_heads)],
             "columns_grid": [("keep", 32, 4, kv_heads)], "columns_of_head": [("keep", 32, 1, kv_heads)],
             "wide_lists": [("keep", 32, 512, kv_heads)]}
    for name, rows, columns, list_heads in lists.get(pattern, []):
        parts = block_list(rng, batch if name == "keep" else 1, list_heads, -(-queries // rows), -(-keys // columns))
        made.update({f"{name}.{part}": value for part, value in zip(("start", "count", "cols"), parts)})
    return made


def allowed_shape(pattern, shape):
    """Packed documents have no batch."""
    return (1, *shape[1:]) if pattern in ("documents", "gaps") or pattern.startswith("paged") else shape


def inputs(case, pattern, shape, dim, value_dim, page=16):
    batch, heads, kv_heads, queries, keys = shape
    rng = np.random.default_rng(zlib.crc32(case.encode()))
    made = {name: rng.standard_normal((batch, h, n, d)).astype(np.float32)
            for name, h, n, d in (("q", heads, queries, dim), ("k", kv_heads, keys, dim),
                                  ("v", kv_heads, keys, value_dim))}
    made.update(tables(pattern, rng, *shape, dim, value_dim))
    if pattern == "itself":
        return {"q": made["q"]}
    if pattern.startswith("paged"):
        made.update(paged(rng, kv_heads, queries, keys, dim, value_dim, page))
    return made


def make_huge(arrays):
    """Logits far beyond what exp can take, whose sums are exact in f32 in any order: q in steps of 64, k of
    1/16. With inexact sums, the few near-ties of a head make its largest error a matter of luck."""
    arrays["q"] = np.round(arrays["q"] * 4) * 64
    arrays["k"] = np.round(arrays["k"] * 16) / 16


def make_special(arrays):
    """Keys and values that are no numbers, late enough that under most masks some rows of a chunk do not see them."""
    tokens = arrays["k"].shape[2]
    if "table" in arrays:  # pages: slots that hold a key, in the order of the cache
        pages, slots = np.nonzero(np.isfinite(arrays["k"][:, 0, :, 0]))
        place = lambda share: (pages[int(share * len(pages))], slice(None), slots[int(share * len(slots))])  # noqa: E731
    else:
        place = lambda share: (slice(None), slice(None), int(share * tokens))  # noqa: E731
    arrays["v"][place(0.55)] = np.nan
    arrays["v"][place(0.65)][..., 0] = np.inf
    arrays["v"][place(0.7)][..., -1] = -np.inf
    arrays["k"][place(0.8)][..., 1] = np.nan
    arrays["k"][place(0.9)][..., 2] = np.inf
    arrays["k"][place(0.95)][..., 3] = -np.inf


def run(*command, env=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          env=dict(os.environ, **(env or {})))
    return done.returncode, done.stdout


def best_target():
    """The instruction set that the runtime would choose: code for lesser ones need not be compiled."""
    with open("/proc/cpuinfo") as file:
        flags = next((set(line.split()) for line in file if line.startswith("flags")), set())
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl", "fma", "f16c"} <= flags:
        return "cpu:avx512"
    return "cpu:avx2" if {"avx2", "fma", "f16c"} <= flags else "cpu:baseline"


def compile_command(pattern, dtypes, dims, output, *more, value_dim=None):
    """Compiles a pattern of Inputs/patterns.attn; `more` names the target or what else to emit."""
    return ["filigree", "compile", os.path.join(HERE, "Inputs", "patterns.attn"), "--pattern", pattern, "--dtype", dtypes,
            "--head-dim", str(dims), *(["--value-dim", str(value_dim)] if value_dim else []), *more, "-o", output]


class Kernels:
    """Compiles one artifact at a time into `folder`, runs cases on it and counts."""

    def __init__(self, folder, target="cpu", device="cpu", schedule="random,random", huge=False, page=16,
                 multiprocessors=None, launches=False, special=False):
        self.artifact, self.data = os.path.join(folder, "a.so"), os.path.join(folder, "in.npz")
        self.target, self.device, self.schedule, self.huge, self.page = target, device, schedule, huge, page
        self.passed, self.failed, self.launches, self.special = 0, 0, launches, special
        self.env = {}
        if device == "cuda":
            self.target = target if target.startswith("cuda") else "cuda:sm_90a"
            ptx = os.path.join(folder, "a.ptx")
            # A tile's words are copied whole, those that its pattern does not use too.
            self.env = {"FILIGREE_EMULATE_UNWRITTEN": "1",
                        "FILIGREE_PTXAS": os.path.join(HERE, "..", "lib", "ptx-emulator", "keep_ptx.sh"),
                        "FILIGREE_KEEP_PTX": ptx, "FILIGREE_EMULATE_PTX": ptx,
                        "FILIGREE_LIBCUDA": os.path.join(BUILD, "test", "lib", "fake-cuda", "libcuda.so.1"),
                        "FAKE_CUDA_PLUGIN": os.path.join(BUILD, "test", "lib", "ptx-emulator",
                                                         "filigree_emulating_plugin.so")}
        if multiprocessors:
            self.env["FILIGREE_EMULATE_MULTIPROCESSORS"] = str(multiprocessors)
        if launches:
            self.env["FILIGREE_EMULATE_VERBOSE"] = "1"

    def compile(self, pattern, dtype, dim, value_dim=None):
        pages = ["--set", f"page={self.page}"] if pattern.startswith("paged") else []
        status, text = run(*compile_command(pattern, dtype, dim, self.artifact, "--target", self.target, *pages,
                                            value_dim=value_dim), env=self.env)
        if status:
            print(f"{pattern} {dtype} d{dim}: does not compile\n{text}", flush=True)
            self.failed += 1
        return status == 0

    def check(self, pattern, dtype, dim, shape, value_dim=None):
        shape = allowed_shape(pattern, shape)
        case = f"{pattern} {dtype} d{dim} {shape}"
        arrays = inputs(case, pattern, shape, dim, value_dim or dim, self.page)
        if self.huge:
            make_huge(arrays)
        if self.special:
            make_special(arrays)
        np.savez(self.data, **arrays)
        schedule = f"{self.schedule},{zlib.crc32(case.encode()) % 1000}"
        status, text = run("filigree", "run", self.artifact, "--in", self.data, "--cast", "--check", "--device",
                           self.device, env=dict(self.env, FILIGREE_EMULATE_SCHEDULE=schedule))
        self.passed += status == 0
        self.failed += status != 0
        if status:
            print(f"{case}: exit status {status}\n{text}", flush=True)
        if self.launches:
            for name, ctas in re.findall(r"(\w+): (\d+) CTAs", text):
                kind = next((kind for kind in ("few", "merge", "exact") if f"_{kind}_kernel" in name), "many")
                print(f"{case}: {kind}, {ctas} CTAs", flush=True)

    def report(self):
        print(f"{self.passed} cases agree, {self.failed} do not")
        return 1 if self.failed or not self.passed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="+")
    parser.add_argument("--dims", default="64")
    parser.add_argument("--dtypes", help="f32,bf16,f16; on cuda bf16,f16")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--schedule", default="random,random", help="of the emulator: who runs next, when copies land")
    parser.add_argument("--multiprocessors", type=int, help="of the emulated device: more of them, more splits")
    parser.add_argument("--launches", action="store_true", help="say of each case which launch of a kernel it takes")
    parser.add_argument("--value-dim", type=int)
    parser.add_argument("--target", default=best_target(), help="default: what a run on this machine would use")
    parser.add_argument("--shape", action="append", type=lambda text: tuple(map(int, text.split(","))),
                        help="instead of the usual ones")
    parser.add_argument("--page", type=int, default=16, help="keys of a page of the paged patterns")
    parser.add_argument("--huge", action="store_true", help="logits far beyond what exp can take")
    parser.add_argument("--special", action="store_true", help="NaN and infinities among keys and values")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kernels = Kernels(folder, options.target, options.device, options.schedule, options.huge, options.page,
                          options.multiprocessors, options.launches, options.special)
        dtypes = options.dtypes or ("bf16,f16" if options.device == "cuda" else "f32,bf16,f16")
        for pattern in options.patterns:
            for dim in map(int, options.dims.split(",")):
                for dtype in dtypes.split(","):
                    if kernels.compile(pattern, dtype, dim, options.value_dim):
                        for shape in options.shape or SHAPES:
                            kernels.check(pattern, dtype, dim, shape, options.value_dim)
        return kernels.report()


if __name__ == "__main__":
    sys.exit(main())
