#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# Fixed at compile time, and changed there.
filigree compile window_sink.attn --pattern window_sink --dtype f16 --head-dim 128 -o "$out/a.so"
filigree run "$out/a.so" --in "$data/qkv-1024.npz" --check
# CHECK: window_sink d128_f16: o [4, 1024, 128] f16
# CHECK: check: o: passed
# CHECK: check: lse: passed

filigree compile window_sink.attn --pattern window_sink --set window=64 --set sink=8 --dtype f16 --head-dim 128 -o "$out/b.so"
filigree run "$out/b.so" --in "$data/qkv-1024.npz" --check
# CHECK: window_sink d128_f16
# CHECK: check: o: passed

# An argument of the run.
filigree compile window_sink.attn --pattern window_sink_run_time --dtype f16 --head-dim 128 -o "$out/c.so"
filigree run "$out/c.so" --in "$data/qkv-1024.npz" --set window=300 --check
# CHECK: window_sink_run_time d128_f16
# CHECK: check: o: passed
filigree run "$out/c.so" --in "$data/qkv-1024.npz" --set window=0 2>&1 || true
# CHECK: filigree: error: expected `window` in [1, 2147483647], but got 0

filigree show window_sink.attn --pattern window_sink --n 1024
# CHECK: {{^}}▒▒▒▒██
# CHECK: 1024 x 1024, tiles of 32: 12.07 % of the pairs; 847 tiles empty, 87 partial, 90 full
