#!/usr/bin/python3
"""explain.py - what `filigree explain` counts, against counting every pair.

    explain.py PATTERNS.attn        prints the number of cases that agree
"""
import json
import subprocess
import sys

import numpy as np

MASKS = {
    "dense": lambda h, i, j: (i + j) == (i + j),
    "causal_dense": lambda h, i, j: j <= i,
    "window_sink": lambda h, i, j: (j <= i) & ((i - j < 37) | (j < 3)),
    "dilated": lambda h, i, j: (j <= i) & ((i - j) % 9 == 0),
    "grid": lambda h, i, j: (abs(i // 16 - j // 16) <= 2) & (abs(i % 16 - j % 16) <= 2),
    "widening": lambda h, i, j: (j <= i) & (i - j < 20 * h + 10),
    "nothing": lambda h, i, j: (i + j) != (i + j),
}
SHAPES = [(1, 1), (63, 63), (1, 300), (130, 17), (257, 257), (400, 1000)]
HEADS = 3


def counted(mask, queries, keys, rows, columns):
    """Pairs and [empty, partial, full] tiles of all heads."""
    i, j = np.arange(queries)[:, None] + keys - queries, np.arange(keys)
    pairs, tiles = 0, np.zeros(3, int)
    for h in range(HEADS):
        allowed = mask(h, i, j)
        pairs += int(allowed.sum())
        for r in range(0, queries, rows):
            for c in range(0, keys, columns):
                tile = allowed[r:r + rows, c:c + columns]
                tiles[0 if not tile.any() else 2 if tile.all() else 1] += 1
    return pairs, tiles.tolist()


def main():
    agree = differ = 0
    for name, mask in MASKS.items():
        for queries, keys in SHAPES:
            done = subprocess.run(["filigree", "explain", sys.argv[1], "--pattern", name, "--n", str(keys), "--nq",
                                   str(queries), "--heads", str(HEADS), "--target", "cpu:baseline", "--json"],
                                  stdout=subprocess.PIPE, check=True, text=True)
            told = json.loads(done.stdout)
            one = told["sources"][0]["cases"][0]["count"]
            pairs, tiles = counted(mask, queries, keys, told["schedule"]["rows"], told["schedule"]["granule"])
            got = [one["empty"], one["partial"], one["full"]]
            # Without a proof, tiles that are really empty or full may count as partial.
            right = got == tiles if one["tiles_exact"] else got[0] <= tiles[0] and got[2] <= tiles[2] and sum(
                got) == sum(tiles)
            if one["pairs"] == pairs == told["work"]["pairs"] and one["pairs_exact"] and right:
                agree += 1
            else:
                differ += 1
                print(f"{name} {queries} x {keys}: expected {pairs} pairs, tiles {tiles}, but got {one}")
    print(f"{agree} cases agree, {differ} do not")
    return 1 if differ or not agree else 0


if __name__ == "__main__":
    sys.exit(main())
