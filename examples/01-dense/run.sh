#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

filigree compile dense.attn --head-dim 128 -o "$out/dense.so"
filigree run "$out/dense.so" --in "$data/qkv-256.npz" --check
filigree show dense.attn --n 256
