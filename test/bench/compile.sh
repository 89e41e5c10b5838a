#!/usr/bin/env bash
# compile.sh - artifacts, oracles to judge them, runtime and helper for run.py, in
# one folder.
#
#   compile.sh [BUILD] [OUT]        default: build, build/bench
#
# FILIGREE_TARGET chooses the target (cpu:avx512), CXX the compiler of the helper.
# Compile times, sizes and what the runtime needs go to OUT/compile.json. The
# folder and this checkout are all that another machine needs.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$top/build}
out=${2:-$build/bench}
target=${FILIGREE_TARGET:-cpu:avx512}
filigree=$build/bin/filigree
cxx=${CXX:-$(command -v clang++-22 || command -v c++)}
[ -x "$filigree" ] || { echo "compile.sh: expected a built $filigree" >&2; exit 1; }
mkdir -p "$out/one_variant" "$out/oracle"

"$cxx" -std=c++17 -O3 -fPIC -shared -fno-exceptions -fno-rtti -Wl,--as-needed -I "$top" \
  "$top/test/bench/helper.cpp" "$top/frontend/driver/FmaPeak.cpp" -o "$out/libbench.so"
cp "$build/lib/libfiligree.so" "$out/libfiligree.so"

times=""
compile() { # file name, pattern, further options
  local name=$1 pattern=$2 begin end
  shift 2
  begin=$(date +%s%N)
  "$filigree" compile "$top/test/bench/patterns.attn" --pattern "$pattern" --target "$target" "$@" \
    -o "$out/$name.so"
  end=$(date +%s%N)
  times+="${times:+, }\"$name\": {\"seconds\": $(((end - begin) / 1000000))e-3, \"bytes\": $(stat -c %s "$out/$name.so")}"
}
compile dense dense --head-dim 128,8
compile causal causal_dense --head-dim 128
compile window_sink window_sink --head-dim 128,8
compile lists lists --head-dim 128
for width in 1 4 16 64; do
  compile "columns_$width" columns --set width=$width --head-dim 128
  "$filigree" compile "$top/test/bench/patterns.attn" --pattern columns --set width=$width --emit oracle --head-dim 128 \
    -o "$out/oracle/columns_$width.so"
done
compile documents documents --head-dim 128,8
compile decode dense --head-dim 128 --dtype f32,bf16
for page in 16 64; do
  compile "paged_$page" paged --set page=$page --head-dim 128 --dtype f32,bf16
done
for name in dense causal_dense window_sink lists documents; do
  compile "one_variant/$name" "$name" --head-dim 128
  "$filigree" compile "$top/test/bench/patterns.attn" --pattern "$name" --emit oracle --head-dim 128 \
    --dtype f32,bf16 -o "$out/oracle/$name.so"
done

needs=$(ldd "$out/libfiligree.so" | awk '{printf "%s\"%s\"", (NR > 1 ? ", " : ""), $1}')
commit=$(git -C "$top" rev-parse HEAD 2>/dev/null || echo unknown)
cat > "$out/compile.json" <<JSON
{"commit": "$commit", "target": "$target", "cpu": "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)",
 "runtime": {"bytes": $(stat -c %s "$out/libfiligree.so"), "needs": [$needs]},
 "artifacts": {$times}}
JSON
echo "wrote $out"
