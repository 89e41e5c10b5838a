"""cuda_rows.py - the rows of run_cuda.py.

A row checks answers against the oracle library at a small ragged size, and 64 rows of the timed size against float64 on
the GPU; then launches of ours and of the peers alternate.
"""
import json
import math
import os
import statistics
import subprocess
import sys

import numpy as np
import torch

import graphs
from binding import Bf16, Runtime
from judge import Judge
from torch_cuda import CudaRun, copy_bandwidth, flex, in_turn, mask_of, mask_of_lists, normal, sdpa

HERE = os.path.dirname(os.path.abspath(__file__))
SAME = 2e-2  # how far apart the bf16 answers of a peer and of ours may be, of their norm
SHOWN = ("tflops", "gb_s", "peer", "peer_tflops", "peer_gb_s", "ratio", "share_by_launch", "share", "share_of", "ms",
         "worst_error_over_limit", "worst_error_over_bound", "note")


def first_line(error):
    return (str(error).strip().splitlines() or [repr(error)])[0][:160]


def cuda(array):
    return torch.from_numpy(array).cuda()


def all_keys(n):
    return lambda h, rows: torch.ones(len(rows), n, dtype=torch.bool, device="cuda")


def causal_keys(n):
    return lambda h, rows: torch.arange(n, device="cuda")[None] <= rows[:, None]


def listed_keys(lists, heads, block, n, causal):
    """Of the first and the last head: those that are looked at."""
    start, count, cols = lists
    tables = {}
    for h in {0, heads - 1}:
        kept = np.zeros((n // block, n // block), bool)
        for row in range(n // block):
            kept[row, cols[start[0, h, row]:start[0, h, row] + count[0, h, row]]] = True
        tables[h] = cuda(kept)

    def allowed(h, rows):
        keys = tables[h][rows // block].repeat_interleave(block, 1)
        return keys & causal_keys(n)(h, rows) if causal else keys
    return allowed


def cut_by_causality(b, h, i, j):
    return j <= i


def named(lists):
    return dict(zip(("keep.start", "keep.count", "keep.cols"), lists))


class Bench:
    def __init__(self, options):
        self.options, self.runtime, self.rows = options, Runtime(options.folder), []
        with open(os.path.join(options.folder, "compile.json")) as file:
            self.compiled = json.load(file)

    # -- checks ---------------------------------------------------------------------------------------------------

    def open(self, artifact, pattern, d, jit=False, **values):
        if artifact in self.compiled["refused"]:
            raise RuntimeError(f"{artifact} was not compiled: {self.compiled['refused'][artifact]}")
        path = os.path.join(self.options.folder, artifact + ".so")
        return CudaRun(self.runtime, path, pattern, f"d{d}_bf16", jit, **values)

    def outputs(self, q):
        return torch.full_like(q, float("nan")), torch.full(q.shape[:3], float("nan"), device="cuda")

    def check_small(self, artifact, pattern, d, heads=4, kv_heads=2, batch=2, n=333, nk=461, jit=False, **tables):
        """Every row of a ragged problem by the numerics rule."""
        q, k, v = normal(batch, heads, n, d), normal(batch, kv_heads, nk, d), normal(batch, kv_heads, nk, d)
        o, lse = self.outputs(q)
        self.open(artifact, pattern, d, jit, q=q, k=k, v=v, o=o, lse=lse,
                  **{name: cuda(table) for name, table in tables.items()})()
        torch.cuda.synchronize()
        host = lambda t: Bf16.of(t.float().cpu().numpy())  # noqa: E731
        oracle = self.runtime.kernel("oracle/" + artifact.replace("sm80_", ""), pattern, f"oracle_d{d}_bf16")
        judge = Judge(oracle, 4, {"q": host(q), "k": host(k), "v": host(v), **tables}, np.arange(n))
        return judge.check(artifact, host(o), lse.cpu().numpy())

    def check_large(self, q, k, v, o, lse, allowed):
        """Rows by float64 on the GPU: first, last, and others; of the first and last head and batch entry."""
        batch, heads, n = q.shape[:3]
        pick = torch.tensor(sorted({0, min(1, n - 1), n - 1, *np.random.default_rng(1).integers(0, n, 61).tolist()}),
                            device="cuda")
        worst = 0.0
        for b, h in sorted({(0, 0), (batch - 1, heads - 1)}):
            kv = h * k.shape[1] // heads
            s = q[b, h, pick].double() @ k[b, kv].double().T / math.sqrt(q.shape[3])
            s = s.masked_fill(~allowed(h, pick), -math.inf)
            exact, logsum = torch.softmax(s, -1) @ v[b, kv].double(), torch.logsumexp(s, -1)
            limit = 4 * 2.0 ** -7 * exact.abs().max()
            error = (o[b, h, pick].double() - exact).abs().max()
            off = (lse[b, h, pick].double() - logsum).abs().max()
            if not (error <= limit and off <= 1e-3 * (1 + logsum.abs().max())):
                raise RuntimeError(f"head {h} is off by {error:.3g} (limit {limit:.3g}), its lse by {off:.3g}")
            worst = max(worst, float(error / limit))
        return round(worst, 3)

    def peers_that_run(self, peers, q, k, v, o, entry):
        """The calls of those whose answer is ours; why others are out goes to the entry."""
        calls = {}
        for name, make in peers:
            try:
                call = make(q, k, v)
                difference = float((call().float() - o.float()).norm() / o.float().norm())
                if not difference <= SAME:
                    raise RuntimeError(f"its answer and ours differ by {difference:.3g} of their norm")
                calls[name] = call
            except Exception as error:  # whatever it is, it is the peer's
                entry.setdefault("peers_out", {})[name] = first_line(error)
        return calls

    # -- measuring ------------------------------------------------------------------------------------------------

    def add(self, entry):
        self.rows.append(entry)
        show = lambda value: f"{value:.3f}" if isinstance(value, float) else str(value)  # noqa: E731
        print(f"{entry['row']:44}" + "".join(f" {key} {show(entry[key])}" for key in SHOWN if key in entry), flush=True)
        for name, reason in entry.get("peers_out", {}).items():
            print(f"    {name} does not run: {reason}")
        return entry

    def own(self, artifact, pattern, heads, n, d=128, tables=None, jit=False):
        """A launch of ours to compare with."""
        q, k, v = (normal(1, heads, n, d) for _ in range(3))
        o, lse = self.outputs(q)
        return self.open(artifact, pattern, d, jit, q=q, k=k, v=v, o=o, lse=lse,
                         **{name: cuda(table) for name, table in (tables or {}).items()})

    def measure(self, row, artifact, pattern, heads, n, allowed, pairs, peers=(), share=None, d=128, kv_heads=None,
                tables=None, jit=False, **more):
        """share: (what of, a launch of ours, its pairs); the rates are compared round by round."""
        kv_heads = kv_heads or heads
        q, k, v = normal(1, heads, n, d), normal(1, kv_heads, n, d), normal(1, kv_heads, n, d)
        o, lse = self.outputs(q)
        run = self.open(artifact, pattern, d, jit, q=q, k=k, v=v, o=o, lse=lse,
                        **{name: cuda(table) for name, table in (tables or {}).items()})
        run()
        torch.cuda.synchronize()
        entry = {"row": row, "worst_error_over_limit": self.check_large(q, k, v, o, lse, allowed), "pairs": pairs}
        calls = self.peers_that_run(peers, q, k, v, o, entry)
        ours, *theirs = in_turn([run, *calls.values()], self.options.repeat)
        rate = lambda times: pairs * 4 * d / statistics.median(times) / 1e9  # noqa: E731
        entry.update(tflops=rate(ours), ms=statistics.median(ours), p10_ms=float(np.percentile(ours, 10)),
                     p90_ms=float(np.percentile(ours, 90)), workspace_bytes=run.workspace_bytes, **more)
        self.compare(entry, ours, dict(zip(calls, theirs)), "tflops", rate)
        if share:
            for name, equal_time in (("share_by_launch", False), ("share", True)):
                own, whole = in_turn([run, share[1]], self.options.repeat, equal_time=equal_time)
                entry[name] = statistics.median(b * pairs / (a * share[2]) for a, b in zip(own, whole))
            entry["share_tflops"] = rate(own)
            entry["share_of"] = f"{share[0]} ({share[2] * 4 * d / statistics.median(whole) / 1e9:.0f} TFLOP/s)"
        return self.add(entry)

    def compare(self, entry, ours, theirs, unit, rate):
        """The best peer counts; the others are in the entry too."""
        if not theirs:
            return
        best = min(theirs, key=lambda name: statistics.median(theirs[name]))
        entry["peers"] = {name: {unit: rate(times), "ratio": statistics.median(b / a for a, b in zip(ours, times))}
                          for name, times in theirs.items()}
        entry.update({"peer": best, "peer_" + unit: entry["peers"][best][unit], "ratio": entry["peers"][best]["ratio"]})

    # -- rows -----------------------------------------------------------------------------------------------------

    def row_small(self):
        for d in (64, 96, 128, 256):
            for pattern in ("dense", "causal_dense", "window_sink"):
                self.add({"row": f"numerics {pattern} D={d}", **self.check_small(pattern, pattern, d)})

    def row_dense(self, causal=False):
        pattern, kind = ("causal_dense", "causal") if causal else ("dense", "dense")
        for d, heads, kv_heads, n in ((128, 16, 16, 16384), (128, 32, 32, 16384), (64, 16, 16, 16384),
                                      (96, 16, 16, 16384), (256, 16, 16, 16384), (128, 32, 8, 16384),
                                      (128, 16, 1, 16384)):
            allowed = causal_keys(n) if causal else all_keys(n)
            pairs = heads * (n * (n + 1) // 2 if causal else n * n)
            self.measure(f"{kind} D={d} heads {heads}/{kv_heads} N={n}", pattern, pattern, heads, n, allowed, pairs,
                         [sdpa("cudnn", causal)], d=d, kv_heads=kv_heads)

    def row_causal(self):
        self.row_dense(causal=True)

    def row_window(self):
        n, heads, window, sink = 65536, 16, 4096, 128

        def allowed(h, rows):
            j, i = torch.arange(n, device="cuda")[None], rows[:, None]
            return (j <= i) & ((i - j < window) | (j < sink))
        mask, seconds = mask_of(lambda b, h, i, j: (j <= i) & ((i - j < window) | (j < sink)), n)
        self.measure(f"window {window} + {sink} sinks N={n} heads {heads}", "window_4096", "window_sink", heads, n,
                     allowed, heads * graphs.window_pairs(n, window, sink), [flex(mask)],
                     ("causal", self.own("causal_dense", "causal_dense", heads, n), heads * n * (n + 1) // 2),
                     peer_mask_seconds=seconds)

    def row_documents(self):
        cuts = np.int32([0, 100, 100, 107, 333])
        self.add({"row": "numerics documents", **self.check_small(
            "documents", "documents", 128, batch=1, nk=333, cu_q=cuts, cu_k=cuts)})
        n, heads = 65536, 16
        share = ("causal N=16384", self.own("causal_dense", "causal_dense", heads, 16384), heads * 16384 * 16385 // 2)
        for kind, step, seed in (("", 128, 3), (" ragged", 1, 4)):
            cuts = graphs.document_cuts(n, 2048, 6144, step, seed)
            of = cuda(np.repeat(np.arange(len(cuts) - 1, dtype=np.int32), np.diff(cuts)))
            mask, seconds = mask_of(lambda b, h, i, j: (j <= i) & (of[i] == of[j]), n)
            self.measure(f"documents of ~4k{kind} N={n} heads {heads}", "documents", "documents", heads, n,
                         lambda h, rows: causal_keys(n)(h, rows) & (of[None] == of[rows][:, None]),
                         heads * graphs.causal_pairs(cuts), [flex(mask)], share, tables={"cu_q": cuts, "cu_k": cuts},
                         peer_mask_seconds=seconds, documents=len(cuts) - 1)

    def measure_lists(self, row, artifact, pattern, lists, heads, n, share, block=128, causal=False, peer=True,
                      **more):
        """Lists that are whole, or cut by causality on their diagonal, which is the last entry of every row."""
        rows, options = n // block, {"BLOCK_M": block, "BLOCK_N": block} if block < 128 else None
        cut, mask_mod = None, None
        if causal:
            mask_mod = cut_by_causality
            diagonal = np.broadcast_to(np.arange(rows, dtype=np.int32)[:, None], (1, heads, rows, rows))
            cut = (np.ones((1, heads, rows), np.int32), np.ascontiguousarray(diagonal))
        mask = mask_of_lists(graphs.padded(*lists, rows, skip_last=causal), cut, block, mask_mod) if peer else None
        pairs = int(lists[1].sum()) * block * block - (heads * rows * block * (block - 1) // 2 if causal else 0)
        return self.measure(row, artifact, pattern, heads, n, listed_keys(lists, heads, block, n, causal), pairs,
                            [flex(mask, options)] if peer else [], share, tables=named(lists), **more)

    def row_lists(self):
        n, heads = 32768, 32
        small = graphs.random_lists(np.array([[1, 3, 0], [4, 1, 2]] * 2), 4, 1)
        for artifact in ("lists", "lists_causal"):
            self.add({"row": f"numerics {artifact}", **self.check_small(artifact, artifact, 128, **named(small))})
        share = ("dense", self.own("dense", "dense", heads, n), heads * n * n)
        for artifact in ("lists", "lists_causal"):
            for density in (0.5, 0.25, 0.1, 0.05):
                lists = graphs.causal_lists(heads, n // 128, density, 5)
                self.measure_lists(f"{artifact} 128 x 128 {density:.0%} N={n} heads {heads}", artifact, artifact, lists,
                                   heads, n, share, causal=artifact == "lists_causal")

    def row_lists64(self):
        n, heads, density = 32768, 16, 0.037
        small = graphs.random_lists(np.array([[1, 3, 0, 8, 2, 1], [4, 1, 2, 0, 0, 7]] * 2), 8, 2)
        self.add({"row": "numerics lists64", **self.check_small("lists64", "lists64", 128, **named(small))})
        self.measure_lists(f"lists 64 x 64 {density:.1%} N={n} heads {heads}", "lists64", "lists64",
                           graphs.causal_lists(heads, n // 64, density, 6), heads, n,
                           ("dense", self.own("dense", "dense", heads, n), heads * n * n), block=64)

    def row_heavy(self):
        n, heads = 32768, 32
        rows = n // 128
        uneven, even = graphs.pareto_counts(heads, rows, rows, heads * rows * rows // 10, 12)
        balanced = named(graphs.random_lists(even, rows, 13))
        share = ("balanced", self.own("lists", "lists", heads, n, tables=balanced), int(even.sum()) * 128 * 128)
        self.measure_lists(f"heavy rows, Pareto(1.2) 10% N={n} heads {heads}", "lists", "lists",
                           graphs.random_lists(uneven, rows, 14), heads, n, share, peer=False,
                           note=f"rows of {uneven.min()} to {uneven.max()} blocks")

    def row_million(self):
        n, heads, window, sink = 1 << 20, 8, 4096, 128

        def allowed(h, rows):
            j, i = torch.arange(n, device="cuda")[None], rows[:, None]
            return (j <= i) & ((i - j < window) | (j < sink))
        q, k, v = (normal(1, heads, n, 128) for _ in range(3))
        o, lse = self.outputs(q)
        share = self.own("window_4096", "window_sink", heads, 65536)
        share()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        before = torch.cuda.mem_get_info()[0]
        run = self.open("window_4096", "window_sink", 128, q=q, k=k, v=v, o=o, lse=lse)
        run()
        torch.cuda.synchronize()
        grown = (before - torch.cuda.mem_get_info()[0]) / 2 ** 20
        entry = {"row": f"window {window} + {sink} sinks N={n} heads {heads}",
                 "worst_error_over_limit": self.check_large(q, k, v, o, lse, allowed),
                 "memory_mib": grown, "workspace_bytes": run.workspace_bytes}
        ours, short = in_turn([run, share], self.options.repeat, equal_time=True)
        pairs, fewer = (graphs.window_pairs(length, window, sink) for length in (n, 65536))
        entry.update(tflops=heads * pairs * 512 / statistics.median(ours) / 1e9, ms=statistics.median(ours),
                     share=statistics.median(b * pairs / (a * fewer) for a, b in zip(ours, short)),
                     share_of="N=65536", note=f"{grown:.1f} MiB beyond inputs and outputs")
        self.add(entry)

    def measure_decode(self, row, runs, q, o, lse, caches, copy):
        """Runs on caches in turn against SDPA on the same caches; q, o [B, heads, 1, D], caches [B, kv heads, N, D]."""
        runs[0]()
        torch.cuda.synchronize()
        size = 2 * caches[0][0].numel() * 2
        entry = {"row": row, "worst_error_over_limit": self.check_large(q, *caches[0], o, lse, all_keys(
            caches[0][0].shape[2]))}
        peers = dict(sdpa(name) for name in ("flash", "cudnn", "efficient"))
        taken = self.peers_that_run(peers.items(), q, *caches[0], o, entry)
        calls = {name: self.turn([taken[name], *(peers[name](q, k, v) for k, v in caches[1:])]) for name in taken}
        ours, *theirs = in_turn([self.turn(runs), *calls.values()], self.options.repeat)
        rate = lambda times: size / statistics.median(times) / 1e6  # noqa: E731
        entry.update(gb_s=rate(ours), ms=statistics.median(ours), caches=len(caches), cache_bytes=size,
                     share=rate(ours) / copy, share_of="copy", workspace_bytes=runs[0].workspace_bytes)
        self.compare(entry, ours, dict(zip(calls, theirs)), "gb_s", rate)
        self.add(entry)

    DECODE = ((1, 32, 8, 131072), (16, 32, 8, 32768))

    @staticmethod
    def caches_for(batch, kv_heads, n, d):
        """As many as exceed every cache of the chip together."""
        return range(max(2, -(-(1 << 30) // (4 * batch * kv_heads * n * d))))

    def row_decode(self):
        self.add({"row": "numerics decode", **self.check_small("decode", "dense", 128, 8, 2, n=1)})
        copy, d = copy_bandwidth(), 128
        self.add({"row": "copy", "gb_s": copy})
        for batch, heads, kv_heads, n in self.DECODE:
            caches = [(normal(batch, kv_heads, n, d), normal(batch, kv_heads, n, d))
                      for _ in self.caches_for(batch, kv_heads, n, d)]
            q = normal(batch, heads, 1, d)
            o, lse = self.outputs(q)
            runs = [self.open("decode", "dense", d, q=q, k=k, v=v, o=o, lse=lse) for k, v in caches]
            self.measure_decode(f"decode Nq=1 heads {heads}/{kv_heads} B={batch} N={n}", runs, q, o, lse, caches, copy)

    def open_paged(self, page, q, lengths, kv_heads):
        """One query of each sequence, q [1, heads, B, D], on a cache in shuffled pages: the run, its arrays, and the
        keys and values of the sequences as they follow each other."""
        d, batch = q.shape[3], q.shape[2]
        most = -(-max(lengths) // page)
        table = torch.randperm(batch * most, device="cuda").view(batch, most).to(torch.int32)
        pools = [normal(batch * most, page, kv_heads, d) for _ in range(2)]
        o, lse = self.outputs(q)
        arrays = {"q": q, "k": pools[0].permute(0, 2, 1, 3), "v": pools[1].permute(0, 2, 1, 3), "o": o, "lse": lse,
                  "cu_q": torch.arange(batch + 1, dtype=torch.int32, device="cuda"), "table": table,
                  "lengths": torch.tensor(lengths, dtype=torch.int32, device="cuda")}
        flat = tuple(pool[table.long()].view(batch, most * page, kv_heads, d).transpose(1, 2).contiguous()
                     for pool in pools)
        return self.open(f"paged{page}", "paged", d, **arrays), arrays, flat

    def row_paged(self):
        copy, d = copy_bandwidth(), 128
        for page in (16, 64):
            if f"paged{page}" not in self.compiled["artifacts"]:
                reason = self.compiled["refused"].get(f"paged{page}", "compile_cuda.sh was not asked")
                self.add({"row": f"paged{page}", "note": f"not compiled: {reason}"})
                continue
            run, arrays, _ = self.open_paged(page, normal(1, 8, 4, d), [461, 1, 64, 70], 2)
            run()
            torch.cuda.synchronize()
            host = lambda t: Bf16.of(t.float().cpu().numpy())  # noqa: E731
            oracle = self.runtime.kernel(f"oracle/paged{page}", "paged", f"oracle_d{d}_bf16")
            judge = Judge(oracle, 4, {**{name: host(arrays[name]) for name in "qkv"}, **{
                name: arrays[name].cpu().numpy() for name in ("cu_q", "table", "lengths")}})
            self.add({"row": f"numerics paged{page}",
                      **judge.check(f"paged{page}", host(arrays["o"]), arrays["lse"].cpu().numpy())})
            for batch, heads, kv_heads, n in self.DECODE:
                q = normal(1, heads, batch, d)
                made = [self.open_paged(page, q, [n] * batch, kv_heads) for _ in self.caches_for(batch, kv_heads, n, d)]
                run, arrays, _ = made[0]
                self.measure_decode(f"decode pages of {page} heads {heads}/{kv_heads} B={batch} N={n}",
                                    [run for run, _, _ in made], q.permute(2, 1, 0, 3).contiguous(),
                                    arrays["o"].permute(2, 1, 0, 3), arrays["lse"].permute(2, 1, 0),
                                    [flat for _, _, flat in made], copy)

    @staticmethod
    def turn(calls):
        """One call after the other, on one cache after the other."""
        step = 0

        def call():
            nonlocal step
            step += 1
            return calls[step % len(calls)]()
        return call

    def row_sm80(self):
        n, heads = 16384, 16
        cases = (("sm80_dense", "dense", all_keys(n), heads * n * n, False),
                 ("sm80_causal_dense", "causal_dense", causal_keys(n), heads * n * (n + 1) // 2, True))
        for name, reason in self.compiled["refused"].items():
            if name.startswith("sm80"):
                self.add({"row": name, "note": f"not compiled: {reason}"})
        for artifact, pattern, allowed, pairs, causal in cases:
            if artifact in self.compiled["artifacts"]:
                self.add({"row": f"numerics {artifact}", **self.check_small(artifact, pattern, 128, jit=True)})
                self.measure(f"{artifact} heads {heads} N={n}", artifact, pattern, heads, n, allowed, pairs,
                             [sdpa("flash", causal)], jit=True)
        if "sm80_lists" in self.compiled["artifacts"]:
            small = graphs.random_lists(np.array([[1, 3, 0], [4, 1, 2]] * 2), 4, 1)
            self.add({"row": "numerics sm80_lists",
                      **self.check_small("sm80_lists", "lists", 128, jit=True, **named(small))})
            self.measure_lists(f"sm80_lists 128 x 128 10% heads {heads} N={n}", "sm80_lists", "lists",
                               graphs.causal_lists(heads, n // 128, 0.1, 5), heads, n,
                               ("dense", self.own("sm80_dense", "dense", heads, n, jit=True), heads * n * n), jit=True)

    def row_numerics(self):
        """Every pattern of test/numerics, by filigree-replay."""
        folder, path = self.options.folder, os.path.join(self.options.folder, "numerics.json")
        if not os.path.exists(os.path.join(folder, "cases.txt")):
            return self.add({"row": "numerics", "note": "no cases.txt, which replay/make_cases.py numerics writes"})
        program, cases = os.path.join(folder, "filigree-replay"), os.path.join(folder, "cases.txt")
        done = subprocess.run([program, cases, "--json", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        print(done.stdout, flush=True)
        with open(path) as file:
            report = json.load(file)
        for pattern, tally in report["patterns"].items():
            self.rows.append({"row": f"numerics of {pattern}", **tally})
        self.rows.append({"row": "numerics failures", "failures": report["failures"]})
        if done.returncode:
            raise RuntimeError(done.stdout.strip().splitlines()[-1])
        return None

    def row_repeat(self):
        """Outputs of three runs, bit by bit; the workspace holds something else each time."""
        n, heads = 8192, 16
        cuts = graphs.document_cuts(n, 500, 2000, 1, 8)
        cases = {"dense": ("dense", "dense", n, {}), "causal": ("causal_dense", "causal_dense", n, {}),
                 "window": ("window_4096", "window_sink", n, {}), "decode": ("decode", "dense", 1, {}),
                 "lists": ("lists", "lists", n, named(graphs.causal_lists(heads, n // 128, 0.1, 5))),
                 "documents": ("documents", "documents", n, {"cu_q": cuts, "cu_k": cuts})}
        for name, (artifact, pattern, queries, tables) in cases.items():
            q, k, v = normal(1, heads, queries, 128), normal(1, heads, n, 128), normal(1, heads, n, 128)
            results = []
            for step in range(3):
                o, lse = self.outputs(q)
                run = self.open(artifact, pattern, 128, q=q, k=k, v=v, o=o, lse=lse,
                                **{key: cuda(table) for key, table in tables.items()})
                if run.memory is not None:
                    run.memory.fill_((0, 255, 90)[step])
                run()
                torch.cuda.synchronize()
                results.append((o.view(torch.int16), lse.view(torch.int32)))
            if o.isnan().any() or lse.isnan().any():
                raise RuntimeError(f"{name}: an output holds what no kernel wrote")
            if not all(torch.equal(a, b) for result in results[1:] for a, b in zip(results[0], result)):
                raise RuntimeError(f"{name}: three runs do not give the same bits")
            self.add({"row": f"repeat {name} N={n}", "note": "the same bits in 3 runs"})

    def row_cold(self):
        """A process that has neither context nor runtime, five times; bars: 30 ms beyond the context, 20 ms in it."""
        lines = []
        for _ in range(5):
            done = subprocess.run([sys.executable, os.path.join(HERE, "cold.py"), self.options.folder], timeout=120,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                raise RuntimeError(f"cold.py: {done.stdout.strip()[-300:]}")
            lines.append(json.loads(done.stdout.splitlines()[-1]))
        median = {key: statistics.median(line[key] for line in lines) for key in lines[0]}
        self.add({"row": "cold start", **median, "within_bars": median["cold_ms"] <= 30 and median["live_ms"] <= 20,
                  "note": f"context {median['context_ms']:.1f} ms, then open to first result "
                          f"{median['cold_ms']:.2f} ms; another kernel in a live context {median['live_ms']:.2f} ms"})

    def row_compile(self):
        for name, made in self.compiled["artifacts"].items():
            if made["variants"] == 1:
                self.add({"row": f"compile {name}", **made, "note": f"{made['seconds']:.2f} s, {made['bytes']} B"})

    ROWS = ["numerics", "small", "repeat", "dense", "causal", "window", "documents", "lists", "lists64", "heavy",
            "million", "decode", "paged", "sm80", "cold", "compile"]
