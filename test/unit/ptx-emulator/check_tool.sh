#!/bin/sh
# check_tool.sh LLC EMULATE PYTHON - the command line, on PTX that LLVM made.
set -e
here=$(dirname "$0")
llc=$1 emulate=$2 python=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -c 'import sys, array; array.array("I", range(7, 71)).tofile(sys.stdout.buffer)' >"$folder/in"

for cpu in sm_80 sm_90a; do
  for level in 0 3; do
    "$llc" -mcpu=$cpu -O$level "$here/llvm.ll" -o "$folder/llvm.ptx"
    test "$("$emulate" "$folder/llvm.ptx")" = llvm
    "$emulate" "$folder/llvm.ptx" --kernel llvm --block 64 --policy random --seed 3 "in:$folder/in" "out:256:$folder/out" u32:64
    "$python" - "$folder/out" <<'PYTHON'
import array, sys
out = array.array("I", open(sys.argv[1], "rb").read())
for t in range(64):
    warp = sum(range(7 + t // 32 * 32, 39 + t // 32 * 32))
    extra = [0, 2 * t, int(t * 0.5 + 1), bin(t).count("1"), 1000][t % 5]
    assert out[t] == warp + extra + (t << 32) // 4294967295, (t, out[t])
PYTHON
  done
done

# Too small a buffer is a finding: status 1. Text that is no PTX: status 2.
status=0
"$emulate" "$folder/llvm.ptx" --kernel llvm --block 64 "in:$folder/in" out:128 u32:64 >"$folder/log" || status=$?
grep -q '^out of bounds: line [0-9]* `.*st.global' "$folder/log"
test $status = 1
status=0
printf '.version 8.7\n.target sm_90a\n.visible .entry k() { frob; }\n' | "$emulate" - 2>"$folder/log" || status=$?
grep -q 'unsupported instruction `frob`' "$folder/log"
test $status = 2
