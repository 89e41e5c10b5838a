#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

filigree compile neighbourhood.attn --dtype f16 --head-dim 128 -o "$out/neighbourhood.so"
filigree run "$out/neighbourhood.so" --in "$data/qkv-1024.npz" --check
# CHECK: neighbourhood d128_f16
# CHECK: check: o: passed
# CHECK: check: lse: passed

filigree show neighbourhood.attn --n 1024
# CHECK: {{^}}▒▒▒▒▒▒▒▒· ·
# CHECK: 1024 x 1024, tiles of 32: 4.29 % of the pairs; 812 tiles empty, 212 partial, 0 full
