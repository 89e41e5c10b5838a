#!/usr/bin/python3
"""check_spec.py - dialect/SPEC.md, the tests and the operations agree.

    check_spec.py SPEC.md TESTS-FOLDER OPS.td

Every operation has a section with all its parts, a roundtrip, an invalid and a
fold test; every constraint Ck of an operation has a function <op>_ck... in its
invalid test and the other way round, numbered without a gap; every example
stands in the test it names. Prints what does not hold; exit status 1 if any.
"""
import os
import re
import sys

PARTS = ["Semantics", "Inputs", "Constraints", "Empty row", "Fold", "Example"]


def squeeze(text):
    return " ".join(line.strip() for line in text.splitlines())


def check(spec, tests, ops):
    sections = {m[1]: m[2] for m in re.finditer(r"^## (\w+)\n(.*?)(?=^##? |\Z)", spec, re.M | re.S)
                if "**Semantics.**" in m[2]}
    mnemonics = re.findall(r'Attn_\w*Op<"(\w+)"', ops)
    for name in sorted(set(sections) ^ set(mnemonics)):
        yield f"{name}: only in {'SPEC.md' if name in sections else 'AttnOps.td'}"
    for name in mnemonics:
        text = sections.get(name, "")
        for part in PARTS:
            if f"**{part}.**" not in text:
                yield f"{name}: no part `{part}`"
        files = {}
        for kind in ("roundtrip", "invalid", "fold"):
            path = os.path.join(tests, f"{name}-{kind}.mlir")
            if not os.path.exists(path):
                yield f"{name}: no {os.path.basename(path)}"
            files[kind] = open(path).read() if os.path.exists(path) else ""
        stated = [int(k) for k in re.findall(r"^\* C(\d+):", text, re.M)]
        if not stated or stated != list(range(1, len(stated) + 1)):
            yield f"{name}: expected constraints C1, C2, ..., but got {stated}"
        tested = {int(k) for k in re.findall(rf"@{name}_c(\d+)", files["invalid"])}
        for k in sorted(set(stated) - tested):
            yield f"{name}: C{k} has no test {name}_c{k}"
        for k in sorted(tested - set(stated)):
            yield f"{name}: test {name}_c{k} has no C{k}"
        example = re.search(r"\*\*Example\.\*\* `([^`]+)`\n```mlir\n(.*?)```", text, re.S)
        if not example:
            yield f"{name}: no example"
        elif squeeze(example[2]) not in squeeze(files["roundtrip"] if example[1] == f"{name}-roundtrip.mlir" else ""):
            yield f"{name}: the example is not in {example[1]}"


if __name__ == "__main__":
    spec, tests, ops = sys.argv[1:]
    faults = list(check(open(spec).read(), tests, open(ops).read()))
    print("\n".join(faults) or "SPEC.md, tests and operations agree")
    sys.exit(1 if faults else 0)
