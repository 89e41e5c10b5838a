#!/usr/bin/env bash
# RUN: bash %s | FileCheck %s
source "$(dirname "$0")/../env.sh"

filigree compile neighbourhood.attn --head-dim 128 -o "$out/neighbourhood.so"
filigree run "$out/neighbourhood.so" --in "$data/qkv-1024.npz" --check
filigree show neighbourhood.attn --n 1024
