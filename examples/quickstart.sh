#!/usr/bin/env bash
# quickstart.sh - from a clean checkout to a first right answer.
#
# Installs missing packages, builds, compiles one pattern, runs it on queries,
# keys and values of a trained model, compares with the float64 reference and
# draws the mask. What it makes is in build/quickstart.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash test/setup.sh filigree
PATH=$PWD/build/bin:$PATH
out=build/quickstart
mkdir -p "$out"

title() { printf '\n== %s\n\n' "$*"; }
do_it() {
  printf '$ %s\n' "$*"
  "$@"
}

title "a pattern: examples/03-window-sink/window_sink.attn"
sed -n '/^pattern window_sink(/,/^}/p' examples/03-window-sink/window_sink.attn

title "compiled ahead of time"
do_it filigree compile examples/03-window-sink/window_sink.attn --pattern window_sink --dtype f16 --head-dim 128 --target cpu \
  -o "$out/window_sink.so"

title "what was proved"
do_it filigree explain examples/03-window-sink/window_sink.attn --pattern window_sink --dtype f16 --head-dim 128 --n 1024 \
  --target cpu

title "on 1,024 tokens of a trained model, against the float64 reference"
do_it filigree run "$out/window_sink.so" --in examples/data/qkv-1024.npz --check --repeat 20 --out "$out/o.safetensors"

title "the mask, as tiles"
do_it filigree show examples/03-window-sink/window_sink.attn --pattern window_sink --n 1024
do_it filigree show examples/03-window-sink/window_sink.attn --pattern window_sink --n 1024 -o "$out/mask.svg"
