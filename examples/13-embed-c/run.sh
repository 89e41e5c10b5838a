#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

filigree compile ../03-window-sink/window_sink.attn --pattern window_sink --head-dim 64 -o "$out/window_sink.so"
${CC:-clang-22} -std=c11 -O2 -Wall -Werror -I../.. main.c -L"$lib" -lfiligree -Wl,-rpath,"$lib" -o "$out/embed-c"
"$out/embed-c" "$out/window_sink.so" 512
# CHECK: window_sink d64_f32
# CHECK: sum of o: {{-?[0-9.]+}}
# CHECK: sum of lse: {{-?[0-9.]+}}
