#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

filigree compile dilated.attn --head-dim 128 -o "$out/dilated.so"
filigree run "$out/dilated.so" --in "$data/qkv-1024.npz" --check
filigree show dilated.attn --n 1024
