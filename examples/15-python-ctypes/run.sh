#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

filigree compile ../03-window-sink/window_sink.attn --pattern window_sink --head-dim 128 -o "$out/window_sink.so"
PYTHONDONTWRITEBYTECODE=1 ${PYTHON:-/usr/bin/python3} demo.py "$lib/libfiligree.so" "$out/window_sink.so" "$data/qkv-1024.npz"
# CHECK: numpy: max error {{[0-9.]+}}e-0{{[5-9]}}, lse {{[0-9.]+}}e-0{{[5-9]}}
# CHECK: torch: {{the same bits|not installed}}
