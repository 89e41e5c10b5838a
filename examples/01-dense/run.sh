#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

filigree compile dense.attn --dtype f16 --head-dim 128 -o "$out/dense.so"
filigree run "$out/dense.so" --in "$data/qkv-256.npz" --check
# CHECK: dense_attention d128_f16: o [4, 256, 128] f16, lse [4, 256] f32
# CHECK: check: o: passed, 131072 elements
# CHECK: check: lse: passed, 1024 elements

filigree show dense.attn --n 256
# CHECK: 256 x 256, tiles of 8: 100.00 % of the pairs; 0 tiles empty, 0 partial, 1024 full
