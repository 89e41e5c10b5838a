#!/usr/bin/env bash
# run.sh - checks everything in this folder on this machine's GPU, then times it.
#
#   ./run.sh [further options of filigree-replay]
#
# Needs a driver and nothing else: filigree-replay runs every kernel of cases.txt twice, judges it by its
# oracle library, then times those of times.txt, prints one table and writes result.json. Where Python has
# PyTorch with CUDA, bench/run_cuda.py follows, beside PyTorch's own kernels, and writes peers.json.
# sanitize.sh runs the same cases under compute-sanitizer. The exit status is 0 only if all agree.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 2
status=0
./filigree-replay cases.txt times.txt --json result.json "$@" || status=$?
if python3 -c 'import numpy, torch; assert torch.cuda.is_available()' 2>/dev/null; then
  rows=$(PYTHONPATH=bench python3 -B -c 'from cuda_rows import Bench; print(",".join(Bench.ROWS[1:]))') &&
    python3 -B bench/run_cuda.py --from . --rows "$rows" --json peers.json || status=1
fi
exit $status
