#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

filigree compile ../03-window-sink/window_sink.attn --pattern window_sink --head-dim 64 -o "$out/window_sink.so"
${CXX:-clang++-22} -std=c++17 -O2 -Wall -Werror -I../.. main.cpp -L"$lib" -lfiligree -pthread -Wl,-rpath,"$lib" -o "$out/embed-cpp"
"$out/embed-cpp" "$out/window_sink.so" window_sink 512
# CHECK: sum of o: {{-?[0-9.]+}}
# CHECK: sum of lse: {{-?[0-9.]+}}
