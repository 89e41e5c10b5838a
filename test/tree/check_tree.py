#!/usr/bin/python3
"""check_tree.py - the layout that every reader relies on.

    check_tree.py TOP

Names at the top, a README of at most 30 lines in every folder that has sources
(the top one: under 120), at most 1,000 lines a file, the licence in every source
file, include guards named after the path, no tabs. Prints what does not hold.
"""
import os
import re
import subprocess
import sys

TOP_NAMES = {"CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "dialect", "passes", "codegen", "runtime",
             "frontend", "examples", "test"}
README_OF = ["dialect", "passes", "codegen", "runtime", "frontend", "examples", "test"]
SOURCES = (".cpp", ".h", ".td", ".c")


def check(top, files):
    for name in sorted({file.split("/")[0] for file in files}):
        if name not in TOP_NAMES and not name.startswith("."):
            yield f"{name}: not among the names of the top folder"
    for folder in README_OF:
        if folder + "/README.md" not in files:
            yield f"{folder}: no README.md"
    for file in files:
        path = os.path.join(top, file)
        if not os.path.isfile(path) or not file.endswith(SOURCES + (".md", ".py", ".sh", ".attn", ".mlir", ".txt")):
            continue
        text = open(path, encoding="utf-8").read()
        lines = text.count("\n")
        if lines > 1000:
            yield f"{file}: expected at most 1000 lines, but got {lines}"
        limit = 120 if file == "README.md" else 30 if file in [f + "/README.md" for f in README_OF] else None
        if limit and lines > limit:
            yield f"{file}: expected at most {limit} lines, but got {lines}"
        if "\t" in text and not file.startswith("test/fuzz"):
            yield f"{file}: has a tab"
        if not file.endswith(SOURCES) or os.path.basename(file).startswith("Precompiled."):
            continue  # nobody includes the precompiled header
        if "SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception" not in text[:1000]:
            yield f"{file}: no licence in its head"
        guard = "FILIGREE_" + re.sub(r"\W", "_", file).upper()
        if file.endswith(".h") and f"#ifndef {guard}\n#define {guard}\n" not in text:
            yield f"{file}: expected the guard {guard}"


if __name__ == "__main__":
    top = sys.argv[1]
    listed = subprocess.run(["git", "-C", top, "ls-files"], stdout=subprocess.PIPE, text=True)
    files = listed.stdout.split()
    if listed.returncode or not files:  # an exported tree
        for folder, folders, names in os.walk(top):
            if folder == top:
                folders[:] = [name for name in folders if not name.startswith(("build", ".git"))]
            files += [os.path.relpath(os.path.join(folder, name), top) for name in names]
    faults = list(check(top, files))
    print("\n".join(faults) or "the tree is in order")
    sys.exit(1 if faults else 0)
