#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# Fixed at compile time, and changed there.
filigree compile window_sink.attn --pattern window_sink --head-dim 128 -o "$out/a.so"
filigree run "$out/a.so" --in "$data/qkv-1024.npz" --check

filigree compile window_sink.attn --pattern window_sink --set window=64 --set sink=8 --head-dim 128 -o "$out/b.so"
filigree run "$out/b.so" --in "$data/qkv-1024.npz" --check

# An argument of the run.
filigree compile window_sink.attn --pattern window_sink_run_time --head-dim 128 -o "$out/c.so"
filigree run "$out/c.so" --in "$data/qkv-1024.npz" --set window=300 --check
