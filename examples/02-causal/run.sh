#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

filigree compile causal.attn --dtype f16 --head-dim 128 -o "$out/causal.so"
filigree run "$out/causal.so" --in "$data/qkv-256.npz" --check
# CHECK: causal_attention d128_f16: o [4, 256, 128] f16, lse [4, 256] f32
# CHECK: check: o: passed, 131072 elements
# CHECK: check: lse: passed, 1024 elements

filigree show causal.attn --n 1024
# CHECK: {{^}}▒▒· · ·
# CHECK: {{^}}██▒▒· ·
# CHECK: {{^}}████▒▒·
# CHECK: 1024 x 1024, tiles of 32: 50.05 % of the pairs; 496 tiles empty, 32 partial, 496 full
