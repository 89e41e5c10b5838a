#!/usr/bin/env python3
"""torch_peer.py - an artifact and PyTorch in one process, launch by launch in turn.

    torch_peer.py OUT.so --from FOLDER --kernel NAME [--variant V] --mask dense|causal|EXPRESSION --n N [--nq NQ]
                  [--device cpu|cuda] [--heads H] [--kv-heads H] [--batch B] [--threads T] [--repeat R]
                  [--set name=value]... [--json FILE]

EXPRESSION is Python over the positions i and j and the indices b and h: `(j <= i) & (i - j < 1024)`. Peers are
scaled_dot_product_attention and flex_attention under torch.compile with the block mask of the expression. All see the
same random-normal tensors; the figure is the median of the ratios of neighbouring launches, above 1 where the artifact
is the faster one. A peer that cannot run is listed with its reason. FOLDER has libfiligree.so and, for times on the
CPU without Python's share, libbench.so.
"""
import argparse
import json
import os
import sys
import time

import numpy as np

sys.dont_write_bytecode = True  # nothing is written beside the sources
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from binding import Runtime  # noqa: E402

TOLERANCE = {"f32": 2e-5, "bf16": 2e-2, "f16": 3e-3}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact")
    parser.add_argument("--from", dest="folder", required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--variant")
    parser.add_argument("--mask", default="dense")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--n", type=int, required=True)
    parser.add_argument("--nq", type=int, default=-1)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--kv-heads", type=int, default=0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--head-dim", type=int, default=128)
    parser.add_argument("--dtype", choices=sorted(TOLERANCE), default="f32")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--set", dest="sets", action="append", default=[])
    parser.add_argument("--json", default="-")
    return parser.parse_args()


def peers_of(torch, options, q, k, v, offset):
    """(name, function or an exception) of every peer."""
    gqa = q.shape[1] != k.shape[1]
    attention = torch.nn.functional.scaled_dot_product_attention
    rows, keys = q.shape[2], k.shape[2]
    allowed = None
    if options.mask not in ("dense", "causal"):
        code = compile(options.mask, "mask", "eval")
        allowed = lambda b, h, row, j: eval(code, {"b": b, "h": h, "i": row + offset, "j": j})  # noqa: E731
    elif options.mask == "causal":
        allowed = lambda b, h, row, j: j <= row + offset  # noqa: E731

    def scaled_dot_product():
        if allowed is None:
            return lambda: attention(q, k, v, enable_gqa=gqa)
        if options.mask == "causal" and rows == keys:
            return lambda: attention(q, k, v, is_causal=True, enable_gqa=gqa)
        if rows * keys > 1 << 28:
            raise RuntimeError("its mask tensor would have more than 2^28 elements")
        i, j = torch.arange(rows, device=q.device)[:, None], torch.arange(keys, device=q.device)
        mask = torch.ones(rows, keys, dtype=torch.bool, device=q.device) & allowed(0, 0, i, j)
        return lambda: attention(q, k, v, attn_mask=mask, enable_gqa=gqa)

    def flex():
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention
        blocks = None if allowed is None else create_block_mask(allowed, None, None, rows, keys, device=q.device)
        compiled = torch.compile(flex_attention)
        function = lambda: compiled(q, k, v, block_mask=blocks, enable_gqa=gqa)  # noqa: E731
        function()
        return function

    for name, make in (("torch sdpa", scaled_dot_product), ("torch flex", flex)):
        try:
            function = make()
            function()
            yield name, function
        except Exception as error:  # whatever it is, it is the peer's
            yield name, RuntimeError(str(error).strip().splitlines()[0][:100] if str(error).strip() else repr(error))


def timed_on_cpu(run, function, repeat):
    """Milliseconds of both, in turn; and what the peer gave last."""
    ours, theirs = [], []
    for step in range(repeat + 2):
        time.sleep(0.25)  # the other's idle threads stop spinning
        first = run()
        time.sleep(0.25)
        begin = time.perf_counter()
        out = function()
        second = time.perf_counter() - begin
        if step >= 2:
            ours.append(1e3 * first)
            theirs.append(1e3 * second)
    return ours, theirs, out


def timed_on_cuda(run, function, repeat):
    from torch_cuda import in_turn
    ours, theirs = in_turn([run, function], repeat)
    return ours, theirs, function()


def prepare(options, runtime, threads, **values):
    """The artifact's kernel as a call."""
    path = os.path.abspath(options.artifact)
    if options.device == "cuda":
        from torch_cuda import CudaRun
        return CudaRun(runtime, path, options.kernel, options.variant, **values)
    return runtime.kernel(path[:-3], options.kernel, options.variant).prepare(threads, **values)


def main():
    options = arguments()
    runtime = Runtime(options.folder)
    threads = min(options.threads or len(runtime.cpus), len(runtime.cpus))
    # Before PyTorch starts its threads: one on each cpu that the pool uses too.
    os.environ.update(OMP_NUM_THREADS=str(threads), OMP_PROC_BIND="true",
                      OMP_PLACES=",".join("{%d}" % cpu for cpu in runtime.cpus[:threads]))
    try:
        import torch
    except ImportError as error:
        print(f"torch_peer.py: PyTorch (torch) cannot be imported: {error}", file=sys.stderr)
        return 1
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[options.dtype]
    rows = options.n if options.nq < 0 else options.nq
    kv_heads = options.kv_heads or options.heads

    def make(heads, n):
        return torch.randn(options.batch, heads, n, options.head_dim).to(options.device, dtype)
    q, k, v = make(options.heads, rows), make(kv_heads, options.n), make(kv_heads, options.n)
    o, lse = torch.full_like(q, float("nan")), torch.full(q.shape[:3], float("nan"), device=q.device)
    settings = dict(item.split("=", 1) for item in options.sets)
    settings = {name: int(value) if value.lstrip("-").isdigit() else float(value) for name, value in settings.items()}

    results = []
    with torch.no_grad():
        peers = list(peers_of(torch, options, q, k, v, options.n - rows))
        run = prepare(options, runtime, threads, q=q, k=k, v=v, o=o, lse=lse, **settings)
        run()
        for name, function in peers:
            if isinstance(function, Exception):
                results.append({"peer": name, "note": f"does not run: {function}"})
                continue
            timed = timed_on_cuda if options.device == "cuda" else timed_on_cpu
            ours, theirs, out = timed(run, function, options.repeat)
            difference = float((out.float() - o.float()).abs().max())
            if not difference <= TOLERANCE[options.dtype]:
                print(f"torch_peer.py: {name} and the artifact differ by {difference}", file=sys.stderr)
                return 1
            ratio = float(np.median(np.array(theirs) / np.array(ours)))
            low, median, high = (float(x) for x in np.percentile(theirs, [10, 50, 90]))
            results.append({"peer": name, "median_ms": median, "p10_ms": low, "p90_ms": high, "runs": len(theirs),
                            "ours_ms": float(np.median(ours)), "ratio": ratio, "difference": difference,
                            "note": f"ours {np.median(ours):.2f} ms; median ratio {ratio:.3f}"})
    report = {"torch": torch.__version__, "device": options.device, "threads": threads, "command": sys.argv,
              "peers": results}
    if options.json == "-":
        print(json.dumps(report))
    else:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=1)
        for entry in results:
            print(f"{entry['peer']}: {entry.get('median_ms', float('nan')):.3f} ms; {entry['note']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
