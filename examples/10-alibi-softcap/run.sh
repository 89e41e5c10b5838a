#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

/usr/bin/python3 -c 'import sys, numpy as np; np.save(sys.argv[1], np.float32([2**-2, 2**-4, 2**-6, 2**-8]))' "$out/slopes.npy"
filigree compile alibi_softcap.attn --dtype f16 --head-dim 128 -o "$out/alibi_softcap.so"
filigree run "$out/alibi_softcap.so" --in "$data/qkv-256.npz,slopes=$out/slopes.npy" --check
# CHECK: alibi_softcap d128_f16
# CHECK: check: o: passed
# CHECK: check: lse: passed
