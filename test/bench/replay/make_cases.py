#!/usr/bin/python3
"""make_cases.py - what filigree-replay runs on a machine without a compiler.

    make_cases.py numerics OUT [--patterns P,...] [--dims D,...] [--dtypes T,...] [--shape B,Hq,Hkv,Nq,Nk]...
                               [--target cuda:sm_90a] [--jobs N]
    make_cases.py timed OUT

numerics: every pattern of test/numerics that has CUDA code, each head size and type, in OUT/numerics, with oracle
libraries and OUT/cases.txt: test/numerics/check.py's inputs on the ragged shapes of cuda/cover.py and longer ones.
What is there and newer than the compiler is kept. A kernel that the compiler refuses is named, goes to OUT/refused.txt
and makes the exit status 1; the others are there all the same.

timed: OUT/times.txt for the artifacts that compile_cuda.sh has put into OUT.
"""
import argparse
import concurrent.futures
import os
import shutil
import sys

import numpy as np

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("..", "../../numerics", "../../numerics/cuda"):
    sys.path.insert(0, os.path.join(HERE, folder))
import check  # noqa: E402
import cover  # noqa: E402
import graphs  # noqa: E402

PATTERNS = [*cover.PATTERNS, *cover.SLOW, "paged", "paged_dense", "paged_window"]
HUGE = ["dense", "window_sink", "alibi_softcap", "sinks"]  # as huge-logits.test
DIMS = [dims for dims in cover.DIMS if dims[0] >= 64]
# What the emulator has no time for: rows to compare with many keys, and more tiles than a chip has multiprocessors.
LONG = [(2, 8, 2, 1, 5000), (1, 4, 2, 5, 2100), (1, 36, 6, 770, 333)]
FEW = 64  # floating-point tables of at most as many numbers are written out


def variant(dims, dtype):
    return f"d{dims[0]}{'' if dims[0] == dims[1] else f'x{dims[1]}'}_{dtype}"


def write_case(file, name, arrays, head="", widths=("q", "k", "v", "kfar", "vfar")):
    """The last axis of `widths` is the kernel's own."""
    print("case", name + head, file=file)
    for key, array in arrays.items():
        extents = [str(extent) for extent in array.shape]
        if key in widths:
            print("normal", key, len(extents), *extents[:-1], "*", file=file)
        elif array.dtype == np.float32 and array.size > FEW:
            print("normal", key, len(extents), *extents, file=file)
        else:
            kind = "f32" if array.dtype == np.float32 else "i32"
            print(kind, key, len(extents), *extents, "=", *array.ravel().tolist(), file=file)


def compile_to(path, pattern, dtypes, dims, *more, value_dim=None):
    """What the compiler says against it, or an empty text."""
    if os.path.exists(path) and os.path.getmtime(path) > os.path.getmtime(shutil.which("filigree")):
        return ""
    status, text = check.run(*check.compile_command(pattern, dtypes, dims, path, *more, value_dim=value_dim))
    return text.strip().splitlines()[0] if status else ""


def numerics(options):
    out = options.out
    patterns = options.patterns.split(",") if options.patterns else PATTERNS
    wanted = [int(dim) for dim in options.dims.split(",")] if options.dims else None
    dims = [pair for pair in cover.DIMS if pair[0] in wanted] if wanted else DIMS
    dtypes = options.dtypes.split(",")
    os.makedirs(os.path.join(out, "numerics", "oracle"), exist_ok=True)
    kernels = [(pattern, pair, dtype) for pattern in patterns for pair in dims for dtype in dtypes]
    oracles = [(pattern, pair) for pattern in patterns for pair in dims]
    refused = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        def oracle(pattern, pair):
            path = os.path.join(out, "numerics", "oracle", f"{pattern}_d{pair[0]}.so")
            return compile_to(path, pattern, options.dtypes, pair[0], "--emit", "oracle", value_dim=pair[1])
        made = [(f"oracle of {pattern} d{pair[0]}", pool.submit(oracle, pattern, pair)) for pattern, pair in oracles]

        def kernel(pattern, pair, dtype):
            path = os.path.join(out, "numerics", f"{pattern}_{variant(pair, dtype)}.so")
            return compile_to(path, pattern, dtype, pair[0], "--target", options.target, value_dim=pair[1])
        made += [(f"{pattern} {variant(pair, dtype)}", pool.submit(kernel, pattern, pair, dtype))
                 for pattern, pair, dtype in kernels]
        for name, future in made:
            if reason := future.result():
                refused.append(name)
                print(f"make_cases.py: left out {name}: {reason}", flush=True)
    with open(os.path.join(out, "cases.txt"), "w") as file:
        for pattern in patterns:
            names = []
            for shape in options.shape or cover.SHAPES + LONG:
                shape = check.allowed_shape(pattern, shape)
                for huge in (False, True) if pattern in HUGE else (False,):
                    name = f"{pattern}-{'x'.join(map(str, shape))}{'-huge' if huge else ''}"
                    # Extents and tables; the numbers are made where they are needed.
                    arrays = check.inputs(name, pattern, shape, 8, 8)
                    write_case(file, name, arrays, " huge" if huge else "")
                    names.append(name)
            for pair in dims:
                for dtype in dtypes:
                    which = variant(pair, dtype)
                    if f"{pattern} {which}" not in refused and f"oracle of {pattern} d{pair[0]}" not in refused:
                        print("kernel", f"numerics/{pattern}_{which}.so", f"numerics/oracle/{pattern}_d{pair[0]}.so",
                              pattern, which, *names, file=file)
    with open(os.path.join(out, "refused.txt"), "w") as file:
        file.writelines(name + "\n" for name in refused)
    print(f"{len(kernels)} kernels, {len(refused)} refused; wrote {os.path.join(out, 'cases.txt')}")
    return 1 if refused else 0


def timed(options):
    """The square shapes of run_cuda.py, one head size, without PyTorch."""
    def arrays(heads, n, **tables):
        return {**{name: np.empty((1, heads, n, 0), np.float32) for name in "qkv"}, **tables}

    def lists_of(lists):
        return dict(zip(("keep.start", "keep.count", "keep.cols"), lists))
    n, heads = 16384, 16
    cuts = graphs.document_cuts(65536, 2048, 6144, 1, 4)
    lists = graphs.causal_lists(heads, 32768 // 128, 0.1, 5)
    rows = [("dense", "dense", arrays(heads, n), n * n),
            ("causal_dense", "causal_dense", arrays(heads, n), n * (n + 1) // 2),
            ("window_4096", "window_sink", arrays(heads, 65536), graphs.window_pairs(65536, 4096, 128)),
            ("documents", "documents", arrays(heads, 65536, cu_q=cuts, cu_k=cuts), graphs.causal_pairs(cuts)),
            ("lists", "lists", arrays(heads, 32768, **lists_of(lists)), int(lists[1][0, 0].sum()) * 128 * 128)]
    with open(os.path.join(options.out, "times.txt"), "w") as file:
        for artifact, pattern, inputs, pairs in rows:
            if not os.path.exists(os.path.join(options.out, artifact + ".so")):
                print(f"make_cases.py: left out {artifact}: it was not compiled")
                continue
            name = f"{artifact}-h{heads}-n{inputs['q'].shape[2]}"
            write_case(file, name, inputs, f" pairs={heads * pairs}")
            print("kernel", f"{artifact}.so", f"oracle/{artifact}.so", pattern, "d128_bf16", name, file=file)
    print(f"wrote {os.path.join(options.out, 'times.txt')}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["numerics", "timed"])
    parser.add_argument("out")
    parser.add_argument("--patterns")
    parser.add_argument("--dims", help="of queries and keys; default: those of cover.py from 64 on")
    parser.add_argument("--dtypes", default="bf16,f16")
    parser.add_argument("--target", default="cuda:sm_90a")
    parser.add_argument("--shape", action="append", type=lambda text: tuple(map(int, text.split(","))),
                        help="instead of those of cover.py")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    return {"numerics": numerics, "timed": timed}[options.what](options)


if __name__ == "__main__":
    sys.exit(main())
