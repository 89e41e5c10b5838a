#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# Without a GPU: the stand-ins of the tests, if they are built.
tests=$lib/../test/lib
if [[ ! -e /dev/nvidiactl && -e $tests/fake-cuda/libcuda.so.1 ]]; then
  export FILIGREE_LIBCUDA=$tests/fake-cuda/libcuda.so.1
  export FAKE_CUDA_PLUGIN=$tests/ptx-emulator/filigree_emulating_plugin.so
  export FILIGREE_PTXAS=$PWD/../../test/lib/ptx-emulator/keep_ptx.sh FILIGREE_KEEP_PTX=$out/kernel.ptx
  export FILIGREE_EMULATE_PTX=$FILIGREE_KEEP_PTX FILIGREE_EMULATE_UNWRITTEN=1
fi

filigree compile ../03-window-sink/window_sink.attn --pattern window_sink --head-dim 64 --dtype bf16 --target cpu,cuda:sm_90a -o "$out/window_sink.so"
${CXX:-clang++-22} -std=c++17 -O2 -Wall -Werror -I../.. main.cpp -L"$lib" -lfiligree -ldl -Wl,-rpath,"$lib" -o "$out/embed-cuda"
"$out/embed-cuda" "$out/window_sink.so" window_sink 200
# CHECK: window_sink d64_bf16 on {{[0-9]+}} multiprocessors, code for sm_90a
# CHECK: replay 1: o differs by {{[0-9.e-]+}}, lse by {{[0-9.e-]+}} from the CPU's
# CHECK: replay 2: o differs by {{[0-9.e-]+}}, lse by {{[0-9.e-]+}} from the CPU's

# A machine without a driver.
FILIGREE_LIBCUDA=/nowhere "$out/embed-cuda" "$out/window_sink.so" window_sink || echo "exit status $?"
# CHECK: unsupported: {{.*}}/nowhere
# CHECK: exit status 77
