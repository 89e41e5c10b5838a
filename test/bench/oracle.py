"""oracle.py - judges rows of an attention output in float64, by the numerics rule of the project.

A row passes if its error is at most twice that of naive code in the same precision, plus a floor of
2 eps(dtype) max|o|. The mask is a function (i, keys) -> booleans over positions.
"""
import numpy as np

from binding import Bf16, floats


def eps(array):
    return 2.0 ** -8 if isinstance(array, Bf16) else 2.0 ** -23


def sampled_rows(count, seed=7, most=6):
    rng = np.random.default_rng(seed)
    rows = {0, count - 1, min(127, count - 1), min(128, count - 1), *rng.integers(0, count, 2).tolist()}
    return sorted(rows)[:most]


def exact_row(query, keys, values):
    logits = (keys.astype(np.float64) @ query.astype(np.float64)) / np.sqrt(query.shape[0])
    weights = np.exp(logits - logits.max())
    return (weights @ values.astype(np.float64)) / weights.sum()


def naive_row(query, keys, values, bf16):
    """What plain loops do in f32: NumPy adds along the first axis one by one, along the last pairwise."""
    logits = np.ascontiguousarray((keys * query).T).sum(axis=0) * np.float32(1 / np.sqrt(query.shape[0]))
    weights = np.exp(logits - logits.max())
    total = np.cumsum(weights)[-1]
    if bf16:
        weights = Bf16.of(weights).floats()
    out = (weights[:, None] * values).sum(axis=0) / total
    return Bf16.of(out).floats() if bf16 else out


def check(what, q, k, v, o, keys_of, rows=None):
    """q, k, v, o are [1, H, N, D]; keys_of(h, r) gives the indices of the keys that row r sees."""
    group = q.shape[1] // k.shape[1]
    bf16 = isinstance(o, Bf16)
    compared, worst = 0, 0.0
    for h in range(q.shape[1]):
        exact, naive, got = [], [], []
        for r in rows if rows is not None else sampled_rows(q.shape[2]):
            index = keys_of(h, r)
            out = floats(o[0, h, r])
            if len(index) == 0:
                if out.any():
                    raise RuntimeError(f"{what}: expected 0 in a row without keys, head {h} row {r}")
                continue
            query, keys, values = floats(q[0, h, r]), floats(k[0, h // group][index]), floats(v[0, h // group][index])
            exact.append(exact_row(query, keys, values))
            naive.append(naive_row(query, keys, values, bf16))
            got.append(out)
        if not exact:
            continue
        exact, naive, got = np.array(exact), np.array(naive), np.array(got, np.float64)
        error, bound = np.abs(got - exact).max(), 2 * np.abs(naive - exact).max() + 2 * eps(o) * np.abs(exact).max()
        if not error <= bound:
            raise RuntimeError(f"{what}: head {h} is off by {error:.3g}, expected at most {bound:.3g}")
        compared += len(exact)
        worst = max(worst, error / bound)
    if not compared:
        raise RuntimeError(f"{what}: no row was compared")
    return {"rows_checked": compared, "worst_error_over_bound": round(float(worst), 4)}
