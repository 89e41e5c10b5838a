#!/usr/bin/env bash
# compile_cuda.sh - artifacts, oracles and runtime for run_cuda.py, in one folder.
#
#   compile_cuda.sh [BUILD] [OUT]        default: build, build/bench-cuda
#
# The folder and this checkout are all that a machine with a GPU and PyTorch needs. Beside it,
# replay/make_cases.py numerics OUT makes what the row `numerics` replays.
# What the compiler refuses is left out, with its reason in compile.json.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$top/build}
out=${2:-$build/bench-cuda}
filigree=$build/bin/filigree
[ -x "$filigree" ] || { echo "compile_cuda.sh: expected a built $filigree" >&2; exit 1; }
mkdir -p "$out/oracle"
cp "$build/lib/libfiligree.so" "$build/test/bin/filigree-replay" "$out"

times="" refused=""
compile() { # file name, pattern, head sizes, further options
  local name=$1 pattern=$2 dims=$3 begin end reason
  shift 3
  rm -f "$out/$name.so"
  begin=$(date +%s%N)
  if ! reason=$("$filigree" compile "$top/test/bench/patterns.attn" --pattern "$pattern" --dtype bf16 \
    --target "${target:-cuda:sm_90a}" --head-dim "$dims" "$@" -o "$out/$name.so" 2>&1); then
    reason=$(head -n 1 <<<"$reason" | tr -d '"\\')
    echo "compile_cuda.sh: left out $name: $reason" >&2
    refused+="${refused:+, }\"$name\": \"$reason\""
    return
  fi
  end=$(date +%s%N)
  times+="${times:+, }\"$name\": {\"seconds\": $(((end - begin) / 1000000))e-3, "
  times+="\"bytes\": $(stat -c %s "$out/$name.so"), \"variants\": $(tr , '\n' <<<"$dims" | wc -l)}"
}
both() { # an oracle library too
  compile "$@"
  "$filigree" compile "$top/test/bench/patterns.attn" --pattern "$2" --emit oracle --dtype bf16 --head-dim "$3" \
    "${@:4}" -o "$out/oracle/$1.so"
}
for pattern in dense causal_dense window_sink; do
  both "$pattern" "$pattern" 64,96,128,256
done
for pattern in documents lists lists_causal lists64; do
  both "$pattern" "$pattern" 128
done
both decode dense 128
both window_4096 window_sink 128 --set window=4096
for page in 16 64; do
  both "paged$page" paged 128 --set page=$page
done
for pattern in dense causal_dense lists; do
  target=cuda:sm_80 compile "sm80_$pattern" "$pattern" 128
done

commit=$(git -C "$top" rev-parse HEAD 2>/dev/null || echo unknown)
cat > "$out/compile.json" <<JSON
{"commit": "$commit", "target": "cuda:sm_90a", "artifacts": {$times}, "refused": {$refused}}
JSON
/usr/bin/python3 "$top/test/bench/replay/make_cases.py" timed "$out"
echo "wrote $out"
