#!/bin/sh
# keep_ptx.sh - in the place of ptxas (FILIGREE_PTXAS): no machine code, but the PTX itself, for the emulator.
#
# The PTX becomes the kernel's image, and a copy of it the file $FILIGREE_KEEP_PTX.
in= out=
while [ $# -gt 0 ]; do
  case $1 in
  -o) out=$2 && shift ;;
  -*) ;;
  *) in=$1 ;;
  esac
  shift
done
cp "$in" "$out" && cp "$in" "$FILIGREE_KEEP_PTX"
