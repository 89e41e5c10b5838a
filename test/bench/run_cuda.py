#!/usr/bin/env python3
"""run_cuda.py - measures compiled patterns on a GPU, beside PyTorch.

    run_cuda.py --from FOLDER [--rows dense,causal,...] [--repeat R] [--json FILE]

FOLDER is what compile_cuda.sh wrote. Needs PyTorch with CUDA, nothing else. Every row first checks answers against the
oracle library at a small ragged size, and 64 rows of the timed size against float64 on the GPU; then launches of ours
and of the peer alternate on the same random-normal tensors, and the figure is the median of paired ratios. Work is
exact allowed pairs x 2 (Dk + Dv).
"""
import argparse
import ctypes as c
import json
import math
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

sys.dont_write_bytecode = True  # nothing is written beside the sources
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from binding import Arg, Bf16, DLTensor, Error, Options, Runtime  # noqa: E402
from judge import Judge  # noqa: E402

DTYPES = {torch.bfloat16: (4, 16), torch.float16: (2, 16), torch.float32: (2, 32), torch.int32: (0, 32)}


class CudaOptions(c.Structure):
    _fields_ = Options._fields_ + [("stream", c.c_void_p), ("allow_jit", c.c_uint32), ("reserved", c.c_uint32)]


def view(tensor):
    code, bits = DTYPES[tensor.dtype]
    ints = c.c_int64 * tensor.dim()
    return DLTensor(tensor.data_ptr(), 2, tensor.device.index or 0, tensor.dim(), code, bits, 1, ints(*tensor.shape),
                    ints(*tensor.stride()), 0)


class CudaRun:
    """One kernel with its arguments; a call launches it on the current stream."""

    def __init__(self, runtime, path, name, variant, checked=False, **values):
        self.runtime, self.lib, self.keep = runtime, runtime.lib, values
        library, self.handle = c.c_void_p(), c.c_void_p()
        runtime.call(self.lib.fil_open, path.encode(), c.byref(library))
        runtime.call(self.lib.fil_find, library, name.encode(), variant.encode(), c.byref(self.handle))
        self.args = (Arg * len(values))()
        for arg, (key, value) in zip(self.args, values.items()):
            arg.name = key.encode()
            if isinstance(value, torch.Tensor):
                arg.kind, arg.tensor = 1, c.pointer(view(value))
            else:
                arg.kind, arg.i = 2, value
        self.count = c.c_uint32(len(values))
        self.options = CudaOptions(c.sizeof(CudaOptions), 0, None, None, 0, checked, None,
                                   torch.cuda.current_stream().cuda_stream, 0, 0)
        size = c.c_size_t()
        runtime.call(self.lib.fil_workspace, self.handle, self.args, self.count, c.byref(self.options), c.byref(size))
        self.memory = torch.empty(size.value + 256, dtype=torch.uint8, device="cuda")
        self.start = c.c_void_p((self.memory.data_ptr() + 127) & ~127 if size.value else None)
        self.size, self.error = size, Error(c.sizeof(Error))

    def __call__(self):
        if self.lib.fil_run(self.handle, self.args, self.count, c.byref(self.options), self.start, self.size,
                            c.byref(self.error)):
            raise RuntimeError(self.error.message.decode())


def normal(*shape):
    return torch.randn(*shape, device="cuda", dtype=torch.float32).to(torch.bfloat16)


def block_lists(heads, rows, density, seed):
    """Causal lists of 128 x 128 blocks: the diagonal, and `density` of the strict lower triangle, another a head."""
    rng = np.random.default_rng(seed)
    start, count, cols = np.zeros((1, heads, rows), np.int32), np.zeros((1, heads, rows), np.int32), []
    for h in range(heads):
        for row in range(rows):
            kept = np.sort(rng.choice(row, round(density * row), replace=False)) if row else np.zeros(0, int)
            start[0, h, row], count[0, h, row] = len(cols), len(kept) + 1
            cols.extend([*kept, row])
    return start, count, np.array(cols, np.int32)


class Bench:
    def __init__(self, options):
        self.options, self.runtime, self.rows = options, Runtime(options.folder), []

    def path(self, name):
        return os.path.join(self.options.folder, name + ".so")

    def check_small(self, name, pattern, d, heads, kv_heads, **more):
        """Every row of a ragged problem by the numerics rule."""
        n, nk = 333, 461
        q, k, v = normal(2, heads, n, d), normal(2, kv_heads, nk, d), normal(2, kv_heads, nk, d)
        o, lse = torch.full_like(q, float("nan")), torch.full((2, heads, n), float("nan"), device="cuda")
        CudaRun(self.runtime, self.path(name), pattern, f"d{d}_bf16", q=q, k=k, v=v, o=o, lse=lse, **more)()
        torch.cuda.synchronize()
        host = lambda t: Bf16.of(t.float().cpu().numpy())  # noqa: E731
        oracle = self.runtime.kernel("oracle/" + pattern, pattern, f"oracle_d{d}_bf16")
        judge = Judge(oracle, 4, {"q": host(q), "k": host(k), "v": host(v), **more}, np.arange(n))
        return judge.check(name, host(o), lse.cpu().numpy())

    def check_large(self, q, k, v, o, lse, allowed):
        """Rows by float64 on the GPU: first, last, and others."""
        heads, n = q.shape[1:3]
        pick = torch.tensor(sorted({0, 1, n - 1, *np.random.default_rng(1).integers(0, n, 61).tolist()}), device="cuda")
        worst = 0.0
        for h in (0, heads - 1):
            kv = h * k.shape[1] // heads
            s = q[0, h, pick].double() @ k[0, kv].double().T / math.sqrt(q.shape[3])
            s = s.masked_fill(~allowed(h, pick), -math.inf)
            exact = torch.softmax(s, -1) @ v[0, kv].double()
            limit = 4 * 2.0 ** -7 * exact.abs().max()
            error = (o[0, h, pick].double() - exact).abs().max()
            off = (lse[0, h, pick].double() - torch.logsumexp(s, -1)).abs().max()
            if not (error <= limit and off <= 1e-3 * (1 + torch.logsumexp(s, -1).abs().max())):
                raise RuntimeError(f"head {h} is off by {error:.3g} (limit {limit:.3g}), its lse by {off:.3g}")
            worst = max(worst, float(error / limit))
        return worst

    def pairs_of_seconds(self, ours, peer):
        for f in (ours, peer):
            if f:
                for _ in range(5):
                    f()
        times = ([], [])
        for _ in range(self.options.repeat):
            for k, f in enumerate((ours, peer)):
                if f is None:
                    continue
                begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                begin.record()
                f()
                end.record()
                end.synchronize()
                times[k].append(begin.elapsed_time(end))
        return times

    def measure(self, row, name, pattern, d, heads, kv_heads, n, allowed, pairs, peer, **more):
        q, k, v = normal(1, heads, n, d), normal(1, kv_heads, n, d), normal(1, kv_heads, n, d)
        o, lse = torch.full_like(q, float("nan")), torch.full((1, heads, n), float("nan"), device="cuda")
        run = CudaRun(self.runtime, self.path(name), pattern, f"d{d}_bf16", q=q, k=k, v=v, o=o, lse=lse, **more)
        run()
        torch.cuda.synchronize()
        worst = self.check_large(q, k, v, o, lse, allowed)
        call = peer(q, k, v) if peer else None
        ours, theirs = self.pairs_of_seconds(run, call)
        entry = {"row": row, "tflops": pairs * 4 * d / statistics.median(ours) / 1e9, "ms": statistics.median(ours),
                 "worst_error_over_limit": round(worst, 3), "pairs": pairs}
        if theirs:
            entry["peer_tflops"] = pairs * 4 * d / statistics.median(theirs) / 1e9
            entry["ratio"] = statistics.median(b / a for a, b in zip(ours, theirs))
        self.add(entry)

    def add(self, entry):
        self.rows.append(entry)
        print(f"{entry['row']:44}" + "".join(
            f" {key} {entry[key]:.3f}" for key in ("tflops", "peer_tflops", "ratio", "ms", "worst_error_over_bound")
            if key in entry),
            flush=True)

    # -- rows -----------------------------------------------------------------------------------------------------

    @staticmethod
    def sdpa(causal, gqa=False):
        from torch.nn.attention import SDPBackend, sdpa_kernel
        def make(q, k, v):
            def call():
                with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
                    torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=gqa)
            return call
        return make

    @staticmethod
    def all_keys(n):
        return lambda h, rows: torch.ones(len(rows), n, dtype=torch.bool, device="cuda")

    @staticmethod
    def causal_keys(n):
        return lambda h, rows: torch.arange(n, device="cuda")[None] <= rows[:, None]

    def row_small(self):
        for d in (64, 96, 128, 256):
            for pattern in ("dense", "causal_dense", "window_sink"):
                found = self.check_small(pattern, pattern, d, 4, 2)
                self.add({"row": f"numerics {pattern} D={d}", **found})

    def row_dense(self, causal=False):
        pattern = "causal_dense" if causal else "dense"
        for d, heads, kv_heads, n in ((128, 16, 16, 16384), (128, 32, 32, 16384), (64, 16, 16, 16384),
                                      (96, 16, 16, 16384), (256, 16, 16, 16384), (128, 32, 8, 16384),
                                      (128, 16, 1, 16384)):
            allowed = self.causal_keys(n) if causal else self.all_keys(n)
            pairs = heads * (n * (n + 1) // 2 if causal else n * n)
            self.measure(f"{'causal' if causal else 'dense'} D={d} heads {heads}/{kv_heads} N={n}", pattern, pattern, d,
                         heads, kv_heads, n, allowed, pairs, self.sdpa(causal, heads != kv_heads))

    def row_causal(self):
        self.row_dense(causal=True)

    def row_window(self):
        n, window, sink = 65536, 4096, 128
        def allowed(h, rows):
            j, i = torch.arange(n, device="cuda")[None], rows[:, None]
            return (j <= i) & ((i - j < window) | (j < sink))
        i = np.arange(n, dtype=np.int64)
        pairs = int((np.minimum(i + 1, window) + np.clip(i + 1 - window, 0, sink)).sum())
        for heads, length in ((16, n),):
            self.measure(f"window {window} + {sink} sinks N={length}", "window_4096", "window_sink", 128, heads, heads,
                         length, allowed, heads * pairs, None)

    def row_lists(self):
        n, heads = 32768, 32
        blocks = n // 128
        for density in (0.5, 0.25, 0.1, 0.05):
            start, count, cols = block_lists(heads, blocks, density, 5)
            to = lambda a: torch.from_numpy(a).cuda()  # noqa: E731
            kept = [np.zeros((blocks, blocks), bool) for _ in range(heads)]
            for h in (0, heads - 1):
                for row in range(blocks):
                    kept[h][row, cols[start[0, h, row]:start[0, h, row] + count[0, h, row]]] = True
            tables = [torch.from_numpy(x).cuda() for x in kept]
            def allowed(h, rows):
                return tables[h][rows // 128].repeat_interleave(128, 1)
            self.measure(f"lists 128 x 128 {density:.0%} N={n} heads {heads}", "lists", "lists", 128, heads, heads, n,
                         allowed, int(count.sum()) * 128 * 128, None,
                         **{"keep.start": to(start), "keep.count": to(count), "keep.cols": to(cols)})

    ROWS = ["small", "dense", "causal", "window", "lists"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", required=True)
    parser.add_argument("--rows", default=",".join(Bench.ROWS))
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--json", default="bench_cuda.json")
    options = parser.parse_args()
    torch.manual_seed(1)
    torch.zeros(1, device="cuda")
    bench, failed, begin = Bench(options), 0, time.time()
    for name in options.rows.split(","):
        if name not in Bench.ROWS:
            parser.error(f"expected rows out of {','.join(Bench.ROWS)}, but got `{name}`")
        try:
            getattr(bench, "row_" + name)()
        except RuntimeError as error:
            failed += 1
            bench.add({"row": f"{name} FAILED: {error}"})
    smi = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,clocks.sm,power.draw,temperature.gpu",
                          "--format=csv,noheader"], stdout=subprocess.PIPE, text=True).stdout.strip()
    with open(os.path.join(options.folder, "compile.json")) as file:
        compiled = json.load(file)
    with open(options.json, "w") as file:
        json.dump({"compiled": compiled, "command": sys.argv, "seconds": time.time() - begin, "gpu": smi,
                   "torch": torch.__version__, "failed": failed, "rows": bench.rows}, file, indent=1)
    print(f"{len(bench.rows)} measurements, {failed} failed; {smi}; wrote {options.json}")
    return 1 if failed or not bench.rows else 0


if __name__ == "__main__":
    sys.exit(main())
