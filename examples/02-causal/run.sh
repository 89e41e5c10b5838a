#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

filigree compile causal.attn --head-dim 128 -o "$out/causal.so"
filigree run "$out/causal.so" --in "$data/qkv-256.npz" --check
filigree show causal.attn --n 1024
