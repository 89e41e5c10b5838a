#!/bin/sh
# keep_ptx.sh - in the place of ptxas (FILIGREE_PTXAS): no machine code, but the PTX itself, for the emulator.
#
# The PTX becomes the kernel's image, and is kept in the file $FILIGREE_KEEP_PTX: that of all launches of the last
# compilation, which share a folder, as one module.
in= out=
while [ $# -gt 0 ]; do
  case $1 in
  -o) out=$2 && shift ;;
  -*) ;;
  *) in=$1 ;;
  esac
  shift
done
of="// ${in%/*}"
cp "$in" "$out" && exec 9>>"$FILIGREE_KEEP_PTX" && flock 9 || exit 1
if [ "$(head -n 1 "$FILIGREE_KEEP_PTX")" = "$of" ]; then
  # The head of a module, and what is declared already, once.
  known='^$'
  ! grep -q '^\.extern' "$FILIGREE_KEEP_PTX" || known='^\.extern'
  sed '1,/^\.address_size/d' "$in" | grep -v "$known" >>"$FILIGREE_KEEP_PTX"
else
  { echo "$of" && cat "$in"; } >"$FILIGREE_KEEP_PTX"
fi
