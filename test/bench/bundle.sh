#!/usr/bin/env bash
# bundle.sh - a folder that a machine with a GPU, its driver and nothing else checks and times.
#
#   bundle.sh [BUILD] [OUT]        default: build, build/gpu-bundle; the target gpu-bundle calls it
#
# Artifacts of every pattern, head size and type, oracle libraries, the runtime, filigree-replay, the programs
# of this folder for where PyTorch is, and run.sh, which starts it all. What is there and newer than the compiler
# is kept; what the compiler refuses is named, and the bundle is without it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../build}" && pwd)
out=${2:-$build/gpu-bundle}
bash "$here/compile_cuda.sh" "$build" "$out"
PATH=$build/bin:$PATH /usr/bin/python3 "$here/replay/make_cases.py" numerics "$out" ||
  echo "bundle.sh: the bundle is without what refused.txt names"
mkdir -p "$out/bench"
cp "$here"/{binding,cold,cuda_rows,graphs,judge,run_cuda,torch_cuda}.py "$out/bench"
cp "$here"/replay/{run,sanitize}.sh "$out"
echo "bundle.sh: $out, $(du -sm "$out" | cut -f 1) MiB; there: ./run.sh"
