#!/usr/bin/python3
"""cover.py - CUDA kernels on the emulator: a selection of all combinations in which pairs occur.

    cover.py PART PARTS       a part of the covering selection; also: cover.py --list
    cover.py --all            every pattern, head size and type on every shape: hours

A kernel is a pattern with head sizes, a type and a target. Every pattern has three
kernels of three sizes and both types, which run on all SHAPES between them, one or
three on each target, four each; every size meets both types, both targets and all shapes.
Patterns that gather keys have one kernel each and two shapes. Prints the number of
cases as check.py does.
"""
import argparse
import itertools
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.dont_write_bytecode = True
import check  # noqa: E402

PATTERNS = ["dense", "causal", "causal_top_left", "window_sink", "one_key", "empty_rows", "nothing", "dilated", "grid",
            "window_of_head", "prefix", "documents", "gaps", "lists", "two_lists", "wide_lists", "uneven_lists",
            "low_lists", "offsets", "bias", "alibi_softcap", "sinks", "two_sources", "far_positions", "far_division",
            "far_logits"]
# Every list entry of these is a chunk of 128 keys that are masked but for few: slow to emulate.
SLOW = ["columns", "columns_causal", "columns_bias", "columns_or", "columns_out", "columns_grid", "columns_of_head"]
# Of queries and keys, of values.
DIMS = [(8, 8), (40, 40), (64, 64), (96, 96), (128, 128), (192, 128), (256, 256)]
DTYPES = ["bf16", "f16"]
TARGETS = ["cuda:sm_90a", "cuda:sm_80"]
# Batch, query heads, key heads, queries, keys: one row, ragged tails, several tiles, groups of 1 to 8, more
# chunks than there are stages; keys are split where tiles are fewer than the four multiprocessors.
SHAPES = [(1, 2, 1, 1, 1), (1, 2, 2, 63, 63), (2, 2, 1, 64, 64), (1, 4, 1, 65, 65), (2, 3, 1, 113, 203),
          (1, 2, 1, 1, 300), (1, 1, 1, 130, 17), (1, 2, 1, 257, 257), (1, 2, 1, 5, 700),
          (1, 8, 1, 1, 1030), (1, 3, 1, 17, 540), (1, 2, 2, 2, 600)]
SMALL = [(1, 2, 1, 1, 1), (1, 2, 1, 33, 65)]


def covering():
    """(pattern, dims, dtype, target, shapes): 7 sizes, 2 types, 2 targets and 3 times 4 shapes in turn, so that
    all meet; targets alternate within a pattern, beginning with the other one every two patterns."""
    chosen = []
    for number, (pattern, turn) in enumerate(itertools.product(PATTERNS, range(3))):
        chosen.append((pattern, DIMS[number % len(DIMS)], DTYPES[number % 2],
                       TARGETS[(turn + number // 6) % 2],
                       [SHAPES[(number + 3 * n) % len(SHAPES)] for n in range(4)]))
    for number, pattern in enumerate(SLOW[:5]):
        chosen.append((pattern, DIMS[number], DTYPES[number % 2], TARGETS[number // 2 % 2], SMALL))
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", type=int, nargs="?", default=1)
    parser.add_argument("parts", type=int, nargs="?", default=1)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.all:
        kernels = [(*kernel, SHAPES) for kernel in itertools.product(PATTERNS + SLOW, DIMS, DTYPES, TARGETS)]
    else:
        kernels = covering()[options.part - 1::options.parts]
    with tempfile.TemporaryDirectory() as folder:
        runs = check.Kernels(folder, device="cuda")
        for pattern, (dim, value_dim), dtype, target, shapes in kernels:
            runs.target = target
            if options.list:
                print(pattern, dim, value_dim, dtype, target, *shapes)
            elif runs.compile(pattern, dtype, dim, value_dim):
                for shape in shapes:
                    runs.check(pattern, dtype, dim, shape, value_dim)
        return 0 if options.list else runs.report()


if __name__ == "__main__":
    sys.exit(main())
