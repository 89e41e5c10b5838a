"""Edges of functions over special values, with --check: many queries (panels) and one query (rows), on each
instruction set. The value is the only logit of its row, so the log-sum-exp is the value."""
import os
import subprocess
import sys
import tempfile

import numpy as np

VALUES = np.float32([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-45, -1e-45, 1.1754942e-38, 1.1754944e-38, 1e-30, 1.0, -1.0,
                     88.7, -87.3, 3.4e38, -3.4e38, 1000.0, -1000.0])
# Neither 88.8 nor -104: their exponentials, or the inverse, are finite in f64 alone.
FUNCTIONS = {"exp": "exp(x)", "one_by_exp": "1 / exp(x)", "log": "log(x)", "one_by_log": "1 / log(x)",
             "log_of_exp": "log(exp(x))"}
# Query i sees key i alone; with one query, head h sees key h alone.
TEXT = """
pattern {name}(q, k, v; f: int >= 0) {{
  param t: float[{axis}]
  return attend(q, k, v, over: where (h, i, j) {{ {axis} == j }}, edge: (_s, h, i, j) -> {{
    let x = t[{axis}]
    {body}
  }})
}}
"""


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def main():
    count, failed = len(VALUES), 0
    rng = np.random.default_rng(1)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    machine = sys.argv[1:]  # instruction sets
    body = "0.0"
    for number, text in enumerate(FUNCTIONS.values()):
        body = f"where(f == {number}, {text}, {body})"
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "s.attn")
        with open(source, "w") as file:
            file.write(TEXT.format(name="panels", axis="i", body=body) + TEXT.format(name="rows", axis="h", body=body))
        for kind in ("panels", "rows"):
            artifact, data = os.path.join(folder, kind + ".so"), os.path.join(folder, kind + ".npz")
            status, text = run("filigree", "compile", source, "--pattern", kind, "--head-dim", "8", "-o", artifact)
            if status:
                sys.exit(text)
            heads, queries = (1, count) if kind == "panels" else (count, 1)
            np.savez(data, q=normal(heads, queries, 8), k=normal(heads, count, 8), v=normal(heads, count, 8), t=VALUES)
        for number, name in enumerate(FUNCTIONS):
            for isa in machine:
                for kind in ("panels", "rows"):
                    status, text = run("filigree", "run", os.path.join(folder, kind + ".so"), "--in",
                                       os.path.join(folder, kind + ".npz"), "--isa", isa, "--set", f"f={number}",
                                       "--check")
                    failed += status != 0
                    if status:
                        print(f"{name} {kind} {isa}: exit status {status}\n{text}")
    print(f"{len(FUNCTIONS)} functions of {count} values on {len(machine)} instruction sets: {failed} differ")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
