#!/usr/bin/env python3
"""run.py - measures compiled patterns on this machine.

    run.py [--from FOLDER] [--rows dense,window,...] [--threads T] [--quick] [--json FILE]

FOLDER is what compile.sh wrote (build/bench): artifacts, libfiligree.so, libbench.so; no compiler is needed here.
Needs NumPy; PyTorch for the rows `torch`. Every measurement checks its answer, warms up, and gives the median and the
10th and 90th percentile; rates are exact allowed pairs x 2 (Dk + Dv) a second. One JSON is written and a table
printed. Rows:

  fma         multiply-adds on registers, 1, 2 and all threads: the yardstick of "of peak"; again at the end
  dense       N=4096 f32, 1, 2 and all threads; causal: the same
  window      1024 + 128 sinks, N=65,536 against the dense rate; workspace and growth of memory at N=262,144
  lists       128 x 128, N=32,768, 50 to 1 % of all blocks, another list a head; pareto: uneven rows against even ones
  columns     lists of blocks 128 x 1, 4, 16 and 64, N=32,768, 10 % of the keys, against the dense rate; one query too
  decode      one query, N=131,072, 8 heads on 2, over 1 GiB of caches in turn, against a sum that reads the same bytes
  paged       the same of 16 sequences of 32,768, keys in shuffled pages of 16 and 64, in turn with the same keys in a row
  overhead    a call without work
  mask        all but the scores at N=1,048,576
  compile     times and sizes as compile.sh took
  torch       SDPA and compiled FlexAttention, where PyTorch is there
"""
import argparse
import ctypes
import json
import os
import platform
import resource
import subprocess
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its idle threads spin beside what is timed
import numpy as np  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # nothing is written beside the sources
sys.path.insert(0, HERE)
from binding import ISAS, Bf16, Runtime, Spy  # noqa: E402
from graphs import pareto_counts, window_pairs  # noqa: E402
from judge import Judge  # noqa: E402

D = 128
FLOP_A_PAIR = 2 * (D + D)
WINDOW, SINK, BLOCK = 1024, 128, 128


def status_kib(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key + ":"))


def normal(seed, *shape):
    """Standard normal f32; long arrays repeat a block of 16M numbers."""
    count = int(np.prod(shape))
    block = np.random.default_rng(seed).standard_normal(min(count, 1 << 24), np.float32)
    return block.reshape(shape) if count == block.size else np.resize(block, count).reshape(shape)


class Bench:
    def __init__(self, options):
        self.options, self.quick = options, options.quick
        self.runtime = Runtime(options.folder)
        usable = len(self.runtime.cpus)
        self.most = min(options.threads or usable, usable)
        self.rows, self.peaks, self.dense_rates = [], {}, {}
        self.begin = time.perf_counter()

    # -- measuring ------------------------------------------------------------------------------------------------

    def thread_counts(self, *wanted):
        return sorted({t for t in wanted if t <= self.most})

    def peak(self, threads):
        if threads not in self.peaks:
            self.peaks[threads] = self.runtime.fma_peak(threads, 0.1 if self.quick else 0.2)
        return self.peaks[threads]

    def time(self, run, budget=None, fewest=3, most=40):
        """Seconds of single runs after a warm-up, until the budget is spent."""
        budget = budget or (1.0 if self.quick else 4.0)
        warm, seconds = run(), []
        if self.quick and warm > budget:
            fewest = 1
        begin = time.perf_counter()
        while len(seconds) < fewest or (len(seconds) < most and time.perf_counter() - begin < budget):
            seconds.append(run())
        return seconds

    def add(self, row, seconds=None, threads=None, pairs=None, note="", **more):
        entry = {"row": row, "threads": threads, "note": note, **more}
        if seconds is not None:
            low, median, high = np.percentile(seconds, [10, 50, 90])
            entry.update(median_ms=1e3 * median, p10_ms=1e3 * low, p90_ms=1e3 * high, min_ms=1e3 * min(seconds),
                         runs=len(seconds))
            if pairs:
                rate = pairs * FLOP_A_PAIR / median / 1e9
                entry.update(pairs=int(pairs), gflops=rate, of_peak=rate / self.peak(threads))
        self.rows.append(entry)
        print(f"[{time.perf_counter() - self.begin:6.1f} s] {row}" + (f" x{threads}" if threads else ""),
              file=sys.stderr, flush=True)
        return entry

    def attention(self, heads, n, seed=1, kv_heads=None):
        kv_heads = kv_heads or heads
        return (normal(seed, 1, heads, n, D), normal(seed + 1, 1, kv_heads, n, D), normal(seed + 2, 1, kv_heads, n, D),
                np.full((1, heads, n, D), np.nan, np.float32), np.full((1, heads, n), np.nan, np.float32))

    def judge(self, pattern, variant="d128_f32", rows=None, artifact=None, **inputs):
        """The oracle library's answers for these inputs: 256 rows a head, or those named."""
        oracle = self.runtime.kernel("oracle/" + (artifact or pattern), pattern, "oracle_" + variant)
        return Judge(oracle, self.most, inputs, rows)

    def dense_rate(self, threads, n=8192, heads=2):
        """GFLOP/s of the dense pattern, which ratios of sparse rows refer to."""
        if threads not in self.dense_rates:
            n = 4096 if self.quick else n
            q, k, v, o, lse = self.attention(heads, n)
            run = self.runtime.kernel("dense", "dense", "d128_f32").prepare(threads, q=q, k=k, v=v, o=o, lse=lse)
            seconds = self.time(run)
            checked = self.judge("dense", q=q, k=k, v=v).check("dense", o, lse)
            entry = self.add(f"dense N={n} h{heads} (reference)", seconds, threads, n * n * heads, **checked)
            self.dense_rates[threads] = entry["gflops"]
        return self.dense_rates[threads]

    # -- rows -----------------------------------------------------------------------------------------------------

    def row_fma(self):
        for threads in self.thread_counts(1, 2, self.most):
            self.add("FMA peak", threads=threads, gflops=self.peak(threads), of_peak=1.0,
                     note=ISAS.get(self.runtime.isa, "?"))

    def row_dense(self, causal=False):
        n, heads = 4096, 2 if self.quick else 8
        q, k, v, o, lse = self.attention(heads, n)
        name, pattern = ("causal", "causal_dense") if causal else ("dense", "dense")
        kernel = self.runtime.kernel(name, pattern, "d128_f32")
        judge = self.judge(pattern, q=q, k=k, v=v)
        for threads in self.thread_counts(1, 2, self.most):
            run = kernel.prepare(threads, q=q, k=k, v=v, o=o, lse=lse)
            seconds = self.time(run)
            checked = judge.check(name, o, lse)
            pairs = heads * (n * (n + 1) // 2 if causal else n * n)
            self.add(f"{name} N={n} h{heads}", seconds, threads, pairs, **checked)

    def row_causal(self):
        self.row_dense(causal=True)

    def row_window(self):
        n, heads, threads = 65536, 1 if self.quick else 4, self.most
        kernel = self.runtime.kernel("window_sink", "window_sink", "d128_f32")
        q, k, v, o, lse = self.attention(heads, n)
        run = kernel.prepare(threads, q=q, k=k, v=v, o=o, lse=lse)
        seconds = self.time(run)
        checked = self.judge("window_sink", q=q, k=k, v=v).check("window", o, lse)
        pairs = heads * window_pairs(n, WINDOW, SINK)
        entry = self.add(f"window+sinks N={n} h{heads}", seconds, threads, pairs, **checked)
        dense = self.dense_rate(threads)
        entry["time_over_ideal"] = dense / entry["gflops"]
        entry["note"] = f"{entry['time_over_ideal']:.3f} x (pairs / all pairs) x dense time, at the dense rate"
        del q, k, v, o, lse, run

        n, heads = 262144, 1
        q, k, v, o, lse = self.attention(heads, n)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak starts again at what is in use now
        before = status_kib("VmRSS")
        run = kernel.prepare(threads, q=q, k=k, v=v, o=o, lse=lse)
        seconds = [run()]
        grown = status_kib("VmHWM") - before
        checked = self.judge("window_sink", q=q, k=k, v=v).check("window", o, lse)
        self.add(f"window+sinks N={n} h{heads}", seconds, threads, heads * window_pairs(n, WINDOW, SINK), **checked,
                 workspace_bytes=run.workspace_bytes, rss_growth_bytes=1024 * grown,
                 note=f"workspace {run.workspace_bytes} B, memory grew by {grown} KiB")

    @staticmethod
    def list_arrays(counts, blocks, rng):
        """Lists with counts[h, row] random blocks: start, count, cols."""
        cols = [np.sort(rng.choice(blocks, count, replace=False)) for count in counts.ravel()]
        start = np.cumsum(counts.ravel()) - counts.ravel()
        return {"keep.start": start.reshape(1, *counts.shape).astype(np.int32),
                "keep.count": counts.reshape(1, *counts.shape).astype(np.int32),
                "keep.cols": np.concatenate(cols).astype(np.int32)}

    def time_lists(self, name, counts, arrays, threads, seed, columns=BLOCK):
        q, k, v, o, lse = arrays
        rows, blocks = min(BLOCK, q.shape[2]), k.shape[2] // columns
        lists = self.list_arrays(counts, blocks, np.random.default_rng(seed))
        artifact, pattern = ("lists", "lists") if columns == BLOCK else (f"columns_{columns}", "columns")
        run = self.runtime.kernel(artifact, pattern).prepare(threads, q=q, k=k, v=v, o=o, lse=lse, **lists)
        seconds = self.time(run)
        checked = self.judge(pattern, artifact=artifact, q=q, k=k, v=v, **lists).check(name, o, lse)
        entry = self.add(name, seconds, threads, int(counts.sum()) * rows * columns, **checked)
        entry["density"] = float(counts.sum()) / (counts.size * blocks)
        return entry

    def row_lists(self):
        n, heads, threads = 32768, 1 if self.quick else 2, self.most
        arrays = self.attention(heads, n)
        blocks = n // BLOCK
        for percent in (10, 1) if self.quick else (50, 25, 10, 5, 1):
            # Every row has its share of blocks, to within one, another set in every head.
            total = round(blocks * blocks * percent / 100)
            counts = np.full((heads, blocks), total // blocks)
            counts[:, :total % blocks] += 1
            entry = self.time_lists(f"lists N={n} h{heads} {percent} %", counts, arrays, threads, percent)
            entry["of_dense_rate"] = entry["gflops"] / self.dense_rate(threads)
            entry["note"] = f"{entry['of_dense_rate']:.3f} of the dense rate"

    def row_columns(self):
        n, heads, threads = 32768, 1 if self.quick else 2, self.most
        q, k, v, o, lse = self.attention(heads, n)
        for queries in (n, 1):
            arrays = q[:, :, -queries:], k, v, o[:, :, :queries], lse[:, :, :queries]
            arrays = [np.ascontiguousarray(array) for array in arrays]
            for columns in (1, 4, 16, 64):
                counts = np.full((heads, -(-queries // BLOCK)), n // columns // 10)
                entry = self.time_lists(f"columns Nq={queries} N={n} h{heads} by {columns}", counts, arrays, threads,
                                        columns, columns)
                if queries == n:
                    entry["of_dense_rate"] = entry["gflops"] / self.dense_rate(threads)
                    entry["note"] = f"{entry['of_dense_rate']:.3f} of the dense rate"

    def row_pareto(self):
        n, heads, threads = 32768, 1 if self.quick else 2, self.most
        arrays = self.attention(heads, n)
        blocks = n // BLOCK
        uneven, even = pareto_counts(heads, blocks, blocks, heads * blocks * blocks // 10, 12)
        balanced = self.time_lists(f"lists N={n} h{heads} balanced", even, arrays, threads, 1)
        pareto = self.time_lists(f"lists N={n} h{heads} Pareto(1.2)", uneven, arrays, threads, 2)
        pareto["time_over_balanced"] = pareto["median_ms"] / balanced["median_ms"]
        pareto["note"] = f"{pareto['time_over_balanced']:.3f} x balanced, same pairs; longest row {uneven.max()} blocks"

    def row_decode(self):
        n, heads, kv_heads = 131072, 8, 2
        kernel = {name: self.runtime.kernel("decode", "dense", f"d128_{name}") for name in ("f32", "bf16")}
        for name, kernel in kernel.items():
            cache_bytes = 2 * kv_heads * n * D * (2 if name == "bf16" else 4)
            count = max(2, -(-(1 << (28 if self.quick else 30)) // cache_bytes) + 1)
            make = Bf16.of if name == "bf16" else (lambda x: x)
            caches = [(make(normal(10 + 2 * c, 1, kv_heads, n, D)), make(normal(11 + 2 * c, 1, kv_heads, n, D)))
                      for c in range(count)]
            q = make(normal(5, 1, heads, 1, D))
            o, lse = make(np.full((1, heads, 1, D), np.nan, np.float32)), np.full((1, heads, 1), np.nan, np.float32)
            words = [x.bits if name == "bf16" else x for x in caches[0]]
            judge = self.judge("dense", f"d128_{name}", q=q, k=caches[0][0], v=caches[0][1])
            expected = sum(int(x.ravel().view(np.uint64).sum(dtype=np.uint64)) for x in words) % 2 ** 64
            for threads in self.thread_counts(1, 2, self.most):
                if self.runtime.read(*caches[0], threads)[1] != expected:
                    raise RuntimeError("the read-only sum is wrong")
                runs = [kernel.prepare(threads, q=q, k=k, v=v, o=o, lse=lse) for k, v in caches]
                for run in runs:
                    run()
                ours, reads, begin = [], [], time.perf_counter()
                for step in range(3 * count if self.quick else 6 * count):
                    if step >= 3 and time.perf_counter() - begin > (4 if self.quick else 20):
                        break
                    ours.append(runs[step % count]())
                    reads.append(self.runtime.read(*caches[(step + count // 2) % count], threads)[0])
                runs[0]()
                checked = judge.check("decode", o, lse)
                ratio = float(np.median(np.array(reads) / np.array(ours)))
                rate, limit = (cache_bytes / np.median(x) / 1e9 for x in (ours, reads))
                self.add(f"decode N={n} h8/2 {name}", ours, threads, n * heads, **checked, gb_per_s=rate,
                         read_gb_per_s=limit, of_read=ratio, caches=count, cache_bytes=cache_bytes,
                         note=f"{rate:.1f} GB/s of {limit:.1f} read: {ratio:.3f}")
            del caches, runs, run

    def row_paged(self):
        n, batch, heads, kv_heads = 32768, 4 if self.quick else 16, 8, 2
        for name in ("f32", "bf16"):
            variant, make = f"d128_{name}", Bf16.of if name == "bf16" else (lambda x: x)
            q = normal(5, batch, heads, 1, D)
            k, v = (make(normal(seed, batch, kv_heads, n, D)) for seed in (10, 11))
            judge = self.judge("dense", variant, q=make(q), k=k, v=v)

            def outputs(*places):
                return {"o": make(np.full((*places, D), np.nan, np.float32)), "lse": np.full(places, np.nan, np.float32)}

            flat = outputs(batch, heads, 1)
            rows = self.runtime.kernel("decode", "dense", variant)
            rows = {t: rows.prepare(t, q=make(q), k=k, v=v, **flat) for t in self.thread_counts(1, 2, self.most)}
            for page, slots_first in ((16, False), (16, True), (64, False), (64, True)):
                kernel, pages = self.runtime.kernel(f"paged_{page}", "paged", variant), n // page
                ids = np.random.default_rng(page).permutation(batch * pages)
                order = np.argsort(ids)

                def cache(array):
                    """[pages, key heads, slots, D]; in memory slots lie before heads, or heads before slots."""
                    bits = array.bits if isinstance(array, Bf16) else array
                    bits = bits.reshape(batch, kv_heads, pages, page, D).transpose(0, 2, 1, 3, 4)
                    bits = bits.reshape(-1, kv_heads, page, D)
                    if slots_first:
                        bits = bits.transpose(0, 2, 1, 3)[order].transpose(0, 2, 1, 3)
                    else:
                        bits = bits[order]
                    return Bf16(bits) if isinstance(array, Bf16) else bits

                packed = outputs(1, heads, batch)
                values = {"q": make(q.transpose(2, 1, 0, 3).copy()), "k": cache(k), "v": cache(v),
                          "cu_q": np.arange(batch + 1, dtype=np.int32), "lengths": np.full(batch, n, np.int32),
                          "table": ids.reshape(batch, pages).astype(np.int32), **packed}
                for threads, row in rows.items():
                    run, seconds, peers = kernel.prepare(threads, **values), [], []
                    for _ in range(1 + (5 if self.quick else 15)):
                        peers.append(row())
                        seconds.append(run())
                    o = packed["o"].bits if name == "bf16" else packed["o"]
                    o = o.transpose(2, 1, 0, 3)
                    judge.check("in a row", **flat)
                    checked = judge.check("paged", Bf16(o) if name == "bf16" else o, packed["lse"].transpose(2, 1, 0))
                    ratio = float(np.median(np.array(peers[1:]) / np.array(seconds[1:])))
                    cache_bytes = k.nbytes + v.nbytes
                    rate = cache_bytes / np.median(seconds[1:]) / 1e9
                    order_name = "slots, heads" if slots_first else "heads, slots"
                    self.add(f"paged {page} b{batch} h8/2 {name} [{order_name}]", seconds[1:], threads, n * heads * batch,
                             **checked, gb_per_s=rate, of_row=ratio, cache_bytes=cache_bytes,
                             note=f"{rate:.1f} GB/s, {ratio:.3f} of the same keys in a row")
                del values, run

    def row_overhead(self):
        kernel = self.runtime.kernel("dense", "dense", "d128_f32")
        for what, queries, keys in (("no query", 0, 1), ("one pair", 1, 1)):
            q, o, lse = normal(1, 1, 1, queries, D), np.zeros((1, 1, queries, D), np.float32), np.zeros(
                (1, 1, queries), np.float32)
            k, v = normal(2, 1, 1, keys, D), normal(3, 1, 1, keys, D)
            run = kernel.prepare(1, q=q, k=k, v=v, o=o, lse=lse)
            run.runs(1000)
            seconds = run.runs(20000)
            if queries and not np.array_equal(o, v):
                raise RuntimeError("expected the value of the only key")
            self.add(f"call: {what}", seconds, 1, note=f"{1e6 * np.median(seconds):.2f} us a call")

    def spied(self, kernel, threads, small, values):
        """A run in which the computing tasks return at once: what is left is the cost of the mask."""
        runtime = self.runtime
        spy = Spy(runtime.address(runtime.lib, "fil_pool_parallel_for"), runtime.pool(threads), None, None, 0, 0)
        hook = (runtime.address(runtime.bench, "bench_spy"), ctypes.addressof(spy))
        kernel.prepare(threads, hook=hook, **small)()  # few units: no task but the computing one
        if not spy.last:
            raise RuntimeError("expected a run of several workers")
        spy.skip, spy.calls = spy.last, 0
        run = kernel.prepare(threads, hook=hook, **values)
        run()
        return run, spy

    def row_mask(self):
        """What a mask costs besides scores. On the host: a run whose computing tasks return at once. In the units:
        heads of 8 numbers and no key that a query sees leave packing, closed forms and zeros to write; the dense
        pattern without keys does the same but for the closed forms, so the difference is theirs."""
        n, threads = 1 << 20, max(2, self.most)  # one worker orders nothing
        lengths = np.random.default_rng(3).pareto(1.2, 1024) + 1
        cu = np.concatenate([[0], np.round(np.cumsum(lengths) / lengths.sum() * n)]).astype(np.int32)
        lengths = np.diff(cu).astype(np.int64)
        cases = [("window_sink", window_pairs(n, WINDOW, SINK), {}, {}, {}),
                 ("documents", int((lengths * (lengths + 1) // 2).sum()), {"cu_q": cu, "cu_k": cu},
                  {"cu_q": cu, "cu_k": np.zeros_like(cu)}, {"cu_q": np.int32([0, 512]), "cu_k": np.int32([0, 512])})]
        values = dict(zip(("q", "k", "v", "o", "lse"), self.attention(1, n)))
        small = dict(zip(("q", "k", "v", "o", "lse"), self.attention(1, 512)))
        tiny = {"q": np.ones((1, 1, n, 8), np.float32), "k": np.ones((1, 1, 0, 8), np.float32),
                "v": np.ones((1, 1, 0, 8), np.float32), "o": np.ones((1, 1, n, 8), np.float32),
                "lse": np.ones((1, 1, n), np.float32)}
        without = self.runtime.kernel("dense", "dense", "d8_f32").prepare(threads, **tiny)
        for name, pairs, extra, no_keys, small_extra in cases:
            whole = pairs * FLOP_A_PAIR / (self.dense_rate(threads) * 1e9)
            run, spy = self.spied(self.runtime.kernel(name, name, "d128_f32"), threads, {**small, **small_extra},
                                  {**values, **extra})
            seconds = self.time(run, budget=0.5)
            size = run.workspace_seconds(200)
            self.add(f"mask on the host: {name} N={n}", seconds, threads, workspace_us=1e6 * size,
                     workspace_bytes=run.workspace_bytes, of_ideal_run=float(np.median(seconds)) / whole,
                     note=f"{100 * np.median(seconds) / whole:.4f} % of the run at the dense rate; fil_workspace "
                          f"{1e6 * size:.1f} us, {run.workspace_bytes} B")
            bare = self.runtime.kernel(name, name, "d8_f32").prepare(threads, **tiny, **no_keys)
            if bare() < 0 or tiny["o"].any() or not np.isneginf(tiny["lse"]).all():
                raise RuntimeError("expected 0 and -inf in rows without keys")
            pairs_of_runs = [(bare(), without()) for _ in range(6 if self.quick else 20)]
            seconds = [max(0.0, ours - base) for ours, base in pairs_of_runs]
            self.add(f"mask in the units: {name}", seconds, threads, of_ideal_run=float(np.median(seconds)) / whole,
                     note=f"{100 * np.median(seconds) / whole:.4f} % of the run at the dense rate")

    def row_compile(self):
        with open(os.path.join(self.options.folder, "compile.json")) as file:
            made = json.load(file)
        for name, entry in made["artifacts"].items():
            if not name.startswith("one_variant/"):
                continue
            self.add(f"compile: {name.split('/')[1]}", [entry["seconds"]], bytes=entry["bytes"],
                     note=f"{entry['bytes']} B, {made['target']}")
        runtime = made["runtime"]
        self.rows[-1]["note"] += f", all on {made['cpu']}"
        self.add("libfiligree.so", bytes=runtime["bytes"], needs=runtime["needs"],
                 note=f"{runtime['bytes']} B, needs {' '.join(os.path.basename(n) for n in runtime['needs'])}")

    def row_torch(self):
        try:
            import importlib.util
            if not importlib.util.find_spec("torch"):
                raise ImportError
        except ImportError:
            self.add("torch", note="skipped: PyTorch cannot be imported")
            return
        failed = []
        for mask, name in (("dense", "dense"), ("causal", "causal_dense")):
            command = [sys.executable, os.path.join(HERE, "torch_peer.py"), os.path.join(
                self.options.folder, ("dense" if mask == "dense" else "causal") + ".so"), "--from",
                self.options.folder, "--kernel", name, "--variant", "d128_f32", "--mask", mask, "--n", "4096", "--heads", "2" if self.quick
                else "8", "--threads", str(self.most), "--repeat", "5" if self.quick else "15", "--json", "-"]
            os.sched_setaffinity(0, self.runtime.cpus)  # this thread was bound to one cpu, and the child inherits
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                failed.append(mask)
                continue
            for peer in json.loads(done.stdout)["peers"]:
                self.add(f"{peer['peer']} {mask} N=4096", threads=self.most, note=peer["note"], **{
                    key: value for key, value in peer.items() if key != "note"})
        if failed:
            raise RuntimeError(f"the comparison of {' and '.join(failed)} ended with an error")

    ROWS = ["fma", "dense", "causal", "window", "lists", "columns", "pareto", "decode", "paged", "overhead", "mask", "compile", "torch"]

    def run(self):
        before = {t: self.peak(t) for t in self.thread_counts(1, self.most)}
        failed = 0
        for name in self.options.rows:
            try:
                getattr(self, "row_" + name)()
            except (RuntimeError, OSError) as error:
                failed += 1
                self.add(name, note=f"FAILED: {error}")
        # Clocks move: a rate means little if the peak at the end is another one.
        after = {t: self.runtime.fma_peak(t, 0.1) for t in before}
        self.drift = {str(t): after[t] / before[t] for t in before}
        return failed


def machine(runtime):
    with open("/proc/cpuinfo") as file:
        info = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
    info = {key.strip(): value.strip() for key, value in info.items()}
    return {"cpu": info.get("model name", platform.machine()), "mhz_now": info.get("cpu MHz"), "cpus": runtime.cpus,
            "isa": ISAS.get(runtime.isa), "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "kernel": platform.release(), "python": platform.python_version(), "numpy": np.__version__}


def commit():
    done = subprocess.run(["git", "-C", HERE, "rev-parse", "HEAD"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True)
    return done.stdout.strip() or "unknown"


def table(bench):
    print(f"{'':38}{'thr':>4}{'median ms':>11}{'p10..p90 ms':>20}{'GFLOP/s':>9}{'of peak':>8}  ")
    for row in bench.rows:
        def number(key, form):
            return format(row[key], form) if row.get(key) is not None else ""
        spread = f"{row['p10_ms']:.3f}..{row['p90_ms']:.3f}" if "p10_ms" in row and row["runs"] > 1 else ""
        print(f"{row['row']:38}{row['threads'] or '':>4}{number('median_ms', '.3f'):>11}{spread:>20}"
              f"{number('gflops', '.1f'):>9}{number('of_peak', '.3f'):>8}  {row['note']}".rstrip())
    print("peak at the end over peak at the start: "
          + ", ".join(f"{t} thread{'s' * (t != '1')} {ratio:.3f}" for t, ratio in bench.drift.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", default=os.path.join(HERE, "..", "..", "build", "bench"),
                        help="what compile.sh wrote")
    parser.add_argument("--rows", default=",".join(Bench.ROWS), help=",".join(Bench.ROWS))
    parser.add_argument("--threads", type=int, default=0, help="the most; default: all usable cpus")
    parser.add_argument("--quick", action="store_true", help="smaller, fewer runs; about a minute")
    parser.add_argument("--json", default="bench.json")
    options = parser.parse_args()
    options.rows = options.rows.split(",")
    for name in options.rows:
        if name not in Bench.ROWS:
            parser.error(f"expected rows out of {','.join(Bench.ROWS)}, but got `{name}`")
    bench = Bench(options)
    failed = bench.run()
    with open(options.json, "w") as file:
        json.dump({"commit": commit(), "command": sys.argv, "seconds": round(time.perf_counter() - bench.begin, 1),
                   "machine": machine(bench.runtime), "peak_drift": bench.drift, "failed": failed,
                   "max_rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "rows": bench.rows}, file, indent=1)
    table(bench)
    print(f"{len(bench.rows)} measurements, {failed} failed; wrote {options.json}")
    return 1 if failed or not bench.rows else 0


if __name__ == "__main__":
    sys.exit(main())
