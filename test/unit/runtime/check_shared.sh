#!/bin/sh
# What libfiligree.so promises: it exports fil_* and nothing else, needs libc
# and libm only, and is at most 300 KB.
set -eu
lib=$1
fail() {
  echo "$1" >&2
  exit 1
}
exports=$(nm -D --defined-only "$lib" | awk '{print $3}')
[ -n "$exports" ] || fail "expected exported functions, but found none"
foreign=$(echo "$exports" | grep -v '^fil_' || true)
[ -z "$foreign" ] || fail "expected exports fil_* only, but found $foreign"
header=$(dirname "$0")/../../../runtime/filigree.h
for name in $(grep -o 'fil_[a-z_]*(' "$header" | tr -d '(' | sort -u); do
  case $name in fil_tensor_arg | fil_int_arg | fil_float_arg) continue ;; esac
  echo "$exports" | grep -qx "$name" || fail "expected export $name, but found none"
done
needed=$(readelf -d "$lib" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for name in $needed; do
  case $name in libc.so.6 | libm.so.6 | ld-linux-x86-64.so.2) ;;
  *) fail "expected libc and libm only, but it needs $name" ;;
  esac
done
size=$(stat -c %s "$lib")
[ "$size" -le 307200 ] || fail "expected at most 307200 bytes, but found $size"
