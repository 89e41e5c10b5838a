# lit.cfg.py - how lit runs the tests under test/ and examples/.
#
# Loaded through <build>/lit.site.cfg.py. Tests are the .mlir, .attn and .test
# files of test/ (not those in a folder Inputs/) and the run.sh of every example.

import os
import shutil
import lit.formats

config.name = "filigree"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".attn", ".test"]
config.excludes = ["Inputs", "data", "unit", "bench", "fuzz"]
config.test_source_root = config.filigree_src_root
config.test_exec_root = config.filigree_obj_root

# filigree, filigree-opt, FileCheck and not are called by their names.
bin_dir = os.path.join(config.filigree_obj_root, "bin")
config.environment["PATH"] = os.pathsep.join([bin_dir, config.llvm_tools_dir, os.environ["PATH"]])

config.substitutions += [
    ("%data", os.path.join(config.filigree_src_root, "examples", "data")),
    ("%python", "/usr/bin/python3"),
    ("%clang", os.path.join(config.llvm_tools_dir, "clang")),
    ("%src", config.filigree_src_root),
    ("%obj", config.filigree_obj_root),
]

# Features: what a test may ask for with REQUIRES. A skipped test is counted.
if os.path.exists(os.path.join(bin_dir, "filigree")):
    config.available_features.add("filigree")
try:
    with open("/proc/cpuinfo") as cpuinfo:
        flags = next((line for line in cpuinfo if line.startswith("flags")), "").split()
except OSError:
    flags = []
if {"avx2", "fma", "f16c"} <= set(flags):
    config.available_features.add("avx2")
if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= set(flags):
    config.available_features.add("avx512")
# Where the compiler looks for it (codegen/cuda/EmitCubin.cpp).
if "FILIGREE_PTXAS" in os.environ:
    config.environment["FILIGREE_PTXAS"] = os.environ["FILIGREE_PTXAS"]
if shutil.which(os.environ.get("FILIGREE_PTXAS") or shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas"):
    config.available_features.add("ptxas")
