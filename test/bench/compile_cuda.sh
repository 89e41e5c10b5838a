#!/usr/bin/env bash
# compile_cuda.sh - artifacts, oracles and runtime for run_cuda.py, in one folder.
#
#   compile_cuda.sh [BUILD] [OUT]        default: build, build/bench-cuda
#
# The folder and this checkout are all that a machine with a GPU and PyTorch needs.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$top/build}
out=${2:-$build/bench-cuda}
filigree=$build/bin/filigree
[ -x "$filigree" ] || { echo "compile_cuda.sh: expected a built $filigree" >&2; exit 1; }
mkdir -p "$out/oracle"
cp "$build/lib/libfiligree.so" "$out/libfiligree.so"

times=""
compile() { # file name, pattern, further options
  local name=$1 pattern=$2 begin end
  shift 2
  begin=$(date +%s%N)
  "$filigree" compile "$top/test/bench/patterns.attn" --pattern "$pattern" --target cuda:sm_90a --dtype bf16 "$@" \
    -o "$out/$name.so"
  end=$(date +%s%N)
  times+="${times:+, }\"$name\": {\"seconds\": $(((end - begin) / 1000000))e-3, \"bytes\": $(stat -c %s "$out/$name.so")}"
}
for pattern in dense causal_dense window_sink; do
  compile "$pattern" "$pattern" --head-dim 64,96,128,256
  "$filigree" compile "$top/test/bench/patterns.attn" --pattern "$pattern" --emit oracle --dtype bf16 \
    --head-dim 64,96,128,256 -o "$out/oracle/$pattern.so"
done
compile lists lists --head-dim 128
compile window_4096 window_sink --head-dim 128 --set window=4096

commit=$(git -C "$top" rev-parse HEAD 2>/dev/null || echo unknown)
cat > "$out/compile.json" <<JSON
{"commit": "$commit", "target": "cuda:sm_90a", "artifacts": {$times}}
JSON
echo "wrote $out"
