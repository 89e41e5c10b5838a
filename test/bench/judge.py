"""judge.py - judges answers by the numerics rule of the project, against an oracle library (--emit oracle).

Per head, over the rows compared: an output may be off by twice the largest error of naive code, in any of its orders
of summation, plus 2 eps(dtype) max|o64|; the log-sum-exp by 1e-5 (1 + |lse64|), 1e-3 for 16 bits. Infinities and NaN
stand where float64 has them, but where naive code leaves the range of its numbers and float64 does not, either will
do. codegen/reference/Numerics.h is the law.
"""
import numpy as np

from binding import Bf16, floats

PER_HEAD = 256
ORDERS = ("o.naive", "o.naive_backward", "o.naive_lanes")


def sampled_rows(count, most=PER_HEAD, seed=7):
    """First and last rows, both sides of tile edges, others by chance; all if there are no more than `most`."""
    if count <= most:
        return np.arange(count)
    rng = np.random.default_rng(seed)
    edges = rng.integers(0, count // 64 + 1, most // 8) * 64
    rows = {0, 1, 2, 3, *range(count - 4, count), *edges.tolist(), *(edges - 1).tolist()}
    rows = {row for row in rows if 0 <= row < count}
    while len(rows) < most:
        rows.add(int(rng.integers(0, count)))
    return np.array(sorted(rows))


def epsilon(array):
    return 2.0 ** -7 if isinstance(array, Bf16) else float(np.finfo(array.dtype).eps)


def stored(values, array):
    """A finite float64 that the type of `array` cannot hold counts as the infinity it becomes."""
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32 if isinstance(array, Bf16) else array.dtype)
    return np.where(np.isinf(narrow), narrow.astype(np.float64), values)


def compare(what, got, exact, orders, limit_of):
    """[rows] or [rows, D] of one head; the largest error over its limit."""
    forward, finite = orders[0], np.isfinite(exact)
    with np.errstate(invalid="ignore"):
        naive = max([0.0] + [float(np.abs(order - exact)[finite & np.isfinite(order)].max(initial=0))
                             for order in orders])
    limit = np.broadcast_to(limit_of(naive, np.abs(exact[finite]).max(initial=0), exact), exact.shape)
    same = (got == exact) | (np.isnan(got) & np.isnan(exact))
    free = finite & ~np.isfinite(forward) & ~np.isfinite(got)
    with np.errstate(invalid="ignore"):
        error = np.where(same | free, 0.0, np.abs(got - exact))
    misplaced = ~same & ~free & ~(finite & np.isfinite(got))
    bad = misplaced | ~(error <= limit)
    if bad.any():
        with np.errstate(invalid="ignore"):
            over = np.where(misplaced | np.isnan(error), np.inf, error - limit)
        at = np.unravel_index(np.argmax(over), error.shape)
        raise RuntimeError(f"{what} is off by {error[at]:.3g}, expected at most {limit[at]:.3g}: got {got[at]:.9g}, "
                           f"float64 {exact[at]:.9g}, row {at[0]} of those compared")
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.nan_to_num(error / limit).max(initial=0))


class Judge:
    """What the oracle says of some rows of a run; `inputs` are those of the compiled pattern, by name."""

    def __init__(self, oracle, threads, inputs, rows=None):
        batch, heads, queries, _ = inputs["q"].shape
        self.rows = sampled_rows(queries) if rows is None else np.asarray(rows)
        width = inputs["v"].shape[3]
        self.exact = {name: np.full((batch, heads, len(self.rows)) + (() if name.startswith("lse") else (width,)),
                                    np.nan) for name in ("o", "lse", "lse.naive", *ORDERS)}
        oracle.prepare(threads, rows=self.rows.astype(np.int32), **inputs, **self.exact)()

    def check(self, what, o, lse):
        """Arrays of the whole run. RuntimeError says what is wrong."""
        worst, tolerance = 0.0, 1e-5 if epsilon(o) < 1e-6 else 1e-3
        heads = list(np.ndindex(*o.shape[:2])) if len(self.rows) else []
        for b, h in heads:
            got = floats(o[b, h][self.rows]).astype(np.float64)
            worst = max(worst, compare(
                f"{what}: head {h}", got, stored(self.exact["o"][b, h], o), [self.exact[name][b, h] for name in ORDERS],
                lambda naive, largest, exact: 2 * naive + 2 * epsilon(o) * largest))
            compare(f"{what}: lse of head {h}", lse[b, h][self.rows].astype(np.float64),
                    stored(self.exact["lse"][b, h], lse), [self.exact["lse.naive"][b, h]],
                    lambda naive, largest, exact: tolerance * (1 + np.abs(exact)))
        if not heads:
            raise RuntimeError(f"{what}: no row was compared")
        return {"rows_checked": len(heads) * len(self.rows), "worst_error_over_bound": round(worst, 4)}
