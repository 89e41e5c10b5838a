#!/usr/bin/env python3
"""run_cuda.py - measures compiled patterns on a GPU, beside PyTorch.

    run_cuda.py --from FOLDER [--rows dense,causal,...] [--repeat R] [--json FILE]

FOLDER is what compile_cuda.sh wrote. Needs PyTorch with CUDA. Every row first checks its answers; launches of ours and
of the peers alternate on the same random-normal tensors, and the figure is the median of paired ratios. Work is exact
allowed pairs x 2 (Dk + Dv). A peer that cannot run is listed with its reason. A row that fails leaves the others alone,
and the exit status is 1. Rows, bf16, with the peer in brackets:

  numerics    every pattern of test/numerics, by filigree-replay
  small       every row of ragged shapes by the oracles
  repeat      the bits of three runs
  dense       D=64 to 256, groups of heads (cuDNN); causal: the same
  window      4096 + 128 sinks, N=65,536, of the causal rate (FlexAttention)
  documents   of 2,048 to 6,144 tokens, 65,536 in all, of the causal rate (FlexAttention)
  lists       128 x 128, whole and cut by causality, N=32,768, of the dense rate (FlexAttention)
  lists64     64 x 64, 3.7 %
  heavy       rows of Pareto lengths against even ones
  million     the window at N=1,048,576 against 65,536; memory
  decode      one query, over 1 GiB of caches in turn, of the copy bandwidth (SDPA: the fastest back end)
  paged       the same with keys in shuffled pages of 16 and 64
  sm80        code for sm_80 (flash)
  cold        a fresh process until its first result, and the next kernel in its context
  compile     times and sizes of artifacts of one pattern and head size
"""
import argparse
import gc
import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing is written beside the sources
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def gpu_state():
    query = "name,driver_version,clocks.sm,power.draw,temperature.gpu"
    try:
        return subprocess.run(["nvidia-smi", "--query-gpu=" + query, "--format=csv,noheader"], stdout=subprocess.PIPE,
                              text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown: {error}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", required=True)
    parser.add_argument("--rows", help="default: all")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--json", default="bench_cuda.json")
    options = parser.parse_args()
    if not os.path.exists(os.path.join(options.folder, "compile.json")):
        parser.error(f"expected a folder that compile_cuda.sh wrote, but got `{options.folder}`")
    try:
        import torch
    except ImportError as error:
        sys.exit(f"run_cuda.py: PyTorch (torch) cannot be imported: {error}")
    if not torch.cuda.is_available():
        sys.exit("run_cuda.py: expected a CUDA device, but PyTorch finds none")
    from cuda_rows import Bench, first_line
    wanted = options.rows.split(",") if options.rows else Bench.ROWS
    for name in wanted:
        if name not in Bench.ROWS:
            parser.error(f"expected rows out of {','.join(Bench.ROWS)}, but got `{name}`")
    torch.manual_seed(1)
    torch.zeros(1, device="cuda")
    bench, failed, begin, after = Bench(options), 0, time.time(), {}
    with torch.no_grad():
        for name in wanted:
            started = time.time()
            try:
                getattr(bench, "row_" + name)()
            except Exception as error:  # the other rows are measured all the same
                failed += 1
                bench.add({"row": f"{name} FAILED: {first_line(error)}"})
            gc.collect()
            torch.cuda.empty_cache()
            after[name] = {"seconds": round(time.time() - started, 1), "gpu": gpu_state()}
            with open(options.json, "w") as file:  # what was measured outlives what comes
                json.dump({"compiled": bench.compiled, "command": [os.path.basename(word) for word in sys.argv], "seconds": time.time() - begin,
                           "torch": torch.__version__, "failed": failed, "after": after, "rows": bench.rows}, file,
                          indent=1)
    print(f"{len(bench.rows)} measurements, {failed} failed; {time.time() - begin:.0f} s; {gpu_state()}; "
          f"wrote {options.json}")
    return 1 if failed or not bench.rows else 0


if __name__ == "__main__":
    sys.exit(main())
