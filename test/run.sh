#!/usr/bin/env bash
# run.sh - from a clean checkout to one number: packages, build, every test.
#
#   test/run.sh [--only SUITE]... [--fuzz-seconds S]
#
# Needs Debian 12 and, for missing packages, root. Ends with a line
# "N passed, N failed[, N skipped]"; the exit status is 0 only if none failed.
# Suites and what counts as a test: test/suites.py.
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

started=$SECONDS
bash test/setup.sh

# The sanitizers' build holds the fuzzers and the tests marked SANITIZE only.
if [[ $# == 0 || " $* " == *" sanitized "* || " $* " == *" fuzz "* ]]; then
  if [[ ! -f build-asan/build.ninja ]]; then
    say "configure: preset asan"
    cmake --preset asan >build/configure-asan.log 2>&1 || {
      tail -n 30 build/configure-asan.log
      say "error: configure failed"
      exit 1
    }
  fi
  build_in build-asan filigree-sanitized
fi
say "built after $((SECONDS - started)) s"

status=0
/usr/bin/python3 test/suites.py "$@" || status=$?
exit "$status"
