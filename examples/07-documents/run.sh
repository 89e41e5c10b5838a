#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

# 1,024 tokens: documents of 300, 1 and 723.
/usr/bin/python3 -c 'import sys, numpy as np; np.save(sys.argv[1], np.int32([0, 300, 301, 1024]))' "$out/cu.npy"
filigree compile documents.attn --head-dim 128 -o "$out/documents.so"
filigree run "$out/documents.so" --in "$data/qkv-1024.npz,cu=$out/cu.npy" --check
