#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

filigree compile dilated.attn --dtype f16 --head-dim 128 -o "$out/dilated.so"
filigree run "$out/dilated.so" --in "$data/qkv-1024.npz" --check
# CHECK: dilated d128_f16
# CHECK: check: o: passed
# CHECK: check: lse: passed

filigree show dilated.attn --n 1024
# CHECK: 1024 x 1024, tiles of 32: 7.40 % of the pairs; 616 tiles empty, 408 partial, 0 full
