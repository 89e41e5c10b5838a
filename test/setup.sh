#!/usr/bin/env bash
# setup.sh - from a bare Debian 12 to build/: packages, configure, build.
#
#   test/setup.sh [ninja target]...     default target: all
#
# Installs what is missing of test/packages.txt (as root, from Debian's own
# sources), configures the release preset and builds. Does nothing that is
# already done. FILIGREE_JOBS sets the number of parallel compilations.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '[setup] %s\n' "$*"; }

install_packages() {
  local wanted missing=() package
  wanted=$(sed 's/#.*//' test/packages.txt)
  for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    say "packages: all present"
    return
  fi
  say "packages: installing ${missing[*]}"
  local sudo=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || {
      say "error: not root and no sudo; install these packages and run again"
      exit 1
    }
    sudo=(sudo)
  fi
  local log
  log=$(mktemp)
  if ! { "${sudo[@]}" apt-get -qq update &&
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
      -o Dpkg::Use-Pty=0 install "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 30 "$log"
    rm -f "$log"
    say "error: apt-get failed; needed are the sources bookworm and bookworm-security"
    exit 1
  fi
  rm -f "$log"
}

progress() {
  local line tenths last=-1
  while IFS= read -r line; do
    if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      tenths=$((10 * BASH_REMATCH[1] / BASH_REMATCH[2]))
      if ((tenths > last)); then
        say "$1: ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]} steps"
        last=$tenths
      fi
    fi
  done
}

# Progress of a build: one line for every tenth of it, everything on failure.
build_in() {
  local dir=$1
  shift
  local log=$dir/build.log
  if ! NINJA_STATUS='[%f/%t] ' ninja -C "$dir" ${FILIGREE_JOBS:+-j "$FILIGREE_JOBS"} "$@" 2>&1 | tee "$log" |
    progress "$dir"; then
    grep -vE '^\[[0-9]+/[0-9]+\]' "$log" | head -n 100
    say "error: the build failed; the whole output is in $log"
    exit 1
  fi
}

# setup.sh is also sourced, for these two functions alone.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  install_packages
  if [[ ! -f build/build.ninja ]]; then
    say "configure: preset release"
    cmake --preset release >build-configure.log 2>&1 || {
      tail -n 30 build-configure.log
      say "error: configure failed"
      exit 1
    }
    mv build-configure.log build/configure.log
  fi
  build_in build "$@"
fi
