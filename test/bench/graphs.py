"""graphs.py - block lists and document lengths that the benchmarks run on, and how many pairs they hold.

NumPy alone. A list is {start, count, cols}: int32, [1, heads, rows of blocks] and all entries, ascending in a row.
"""
import numpy as np


def lists_of(counts, columns_of):
    """The list whose row (h, r) holds the `counts[h, r]` columns that columns_of(h, r, count) gives."""
    start, cols = np.zeros((1, *counts.shape), np.int32), []
    for h, row in np.ndindex(counts.shape):
        start[0, h, row] = len(cols)
        cols.extend(columns_of(h, row, int(counts[h, row])))
    return start, counts[None].astype(np.int32), np.array(cols or [0], np.int32)


def causal_lists(heads, rows, density, seed):
    """The diagonal, and `density` of the strict lower triangle, another set a head."""
    rng = np.random.default_rng(seed)
    counts = np.array([[round(density * row) + 1 for row in range(rows)]] * heads)
    return lists_of(counts, lambda h, row, count: [*np.sort(rng.choice(row, count - 1, replace=False)), row])


def random_lists(counts, columns, seed):
    """Rows of given lengths out of all columns."""
    rng = np.random.default_rng(seed)
    return lists_of(counts, lambda h, row, count: np.sort(rng.choice(columns, count, replace=False)))


def pareto_counts(heads, rows, columns, total, seed, alpha=1.2):
    """Lengths of rows with a heavy tail and those of as many entries spread evenly: [heads, rows] each.

    The lengths are clipped to 1..columns and at a hundredth of the longest one."""
    tails = np.random.default_rng(seed).pareto(alpha, (heads, rows)) + 1
    fewest = max(1, -(-columns // 100))
    low, high = 0.0, float(total)
    for _ in range(60):  # the scale at which the clipped lengths have the wanted sum
        middle = (low + high) / 2
        fits = np.clip(np.round(tails * middle), fewest, columns).sum() < total
        low, high = (middle, high) if fits else (low, middle)
    uneven = np.clip(np.round(tails * low), fewest, columns).astype(np.int64)
    even = np.full((heads, rows), int(uneven.sum()) // uneven.size)
    even.ravel()[:int(uneven.sum()) % uneven.size] += 1
    return uneven, even


def document_cuts(total, shortest, longest, step, seed):
    """Cumulative lengths of documents of random length, multiples of `step`, that sum to `total`."""
    rng = np.random.default_rng(seed)
    lengths = []
    while (left := total - sum(lengths)) > longest:
        # What remains must be one document or more.
        most = min(longest, left - shortest)
        lengths.append(int(rng.integers(-(-shortest // step), most // step + 1)) * step)
    return np.cumsum([0, *lengths, left]).astype(np.int32)


def causal_pairs(cuts):
    """Allowed pairs of one head: causal inside each document."""
    lengths = np.diff(cuts.astype(np.int64))
    return int((lengths * (lengths + 1) // 2).sum())


def window_pairs(n, window, sink):
    """Allowed pairs of one head: the last `window` keys and the first `sink`."""
    i = np.arange(n, dtype=np.int64)
    return int((np.minimum(i + 1, window) + np.clip(i + 1 - window, 0, sink)).sum())


def padded(start, count, cols, width, skip_last=False):
    """(counts, indices [1, heads, rows, width]) as FlexAttention takes them; without the last entry of a row."""
    counts = count - 1 if skip_last else count
    indices = np.zeros((*count.shape, width), np.int32)
    for place in np.ndindex(count.shape):
        first, kept = start[place], counts[place]
        indices[place][:kept] = cols[first:first + kept]
    return counts.astype(np.int32), indices
