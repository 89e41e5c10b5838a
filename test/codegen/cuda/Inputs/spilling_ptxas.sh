#!/bin/sh
# spilling_ptxas.sh - in the place of ptxas (FILIGREE_PTXAS): no machine code, but the PTX itself, and spills on demand.
#
# Every call writes its function to the file $FILIGREE_CALLS. Of those whose name ends in $FILIGREE_SPILL the first
# $FILIGREE_SPILLS calls report spilled registers.
in= out=
while [ $# -gt 0 ]; do
  case $1 in
  -o) out=$2 && shift ;;
  -*) ;;
  *) in=$1 ;;
  esac
  shift
done
function=$(basename "$in" .ptx)
echo "$function" >>"$FILIGREE_CALLS"
cp "$in" "$out" || exit 1
case $function in
*"$FILIGREE_SPILL")
  [ "$(grep -cx "$function" "$FILIGREE_CALLS")" -gt "$FILIGREE_SPILLS" ] ||
    echo "    64 bytes stack frame, 24 bytes spill stores, 28 bytes spill loads"
  ;;
esac
