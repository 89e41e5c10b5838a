#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# 1,024 tokens: documents of 300, 1 and 723.
/usr/bin/python3 -c 'import sys, numpy as np; np.save(sys.argv[1], np.int32([0, 300, 301, 1024]))' "$out/cu.npy"
filigree compile documents.attn --dtype f16 --head-dim 128 -o "$out/documents.so"
filigree run "$out/documents.so" --in "$data/qkv-1024.npz,cu=$out/cu.npy" --check
# CHECK: packed_causal d128_f16: o [4, 1024, 128] f16
# CHECK: check: o: passed
# CHECK: check: lse: passed

filigree show documents.attn --n 1024 --in "cu=$out/cu.npy"
# CHECK: 1024 x 1024, tiles of 32: 29.27 % of the pairs; 694 tiles empty, 63 partial, 267 full
