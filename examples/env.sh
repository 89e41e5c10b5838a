# env.sh - sourced by the run.sh of every example: goes to its folder, finds
# filigree, and makes $out, a folder that is gone at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[1]}")"
export PATH="$PWD/../../build/bin:$PATH"
command -v filigree >/dev/null || { echo "no filigree in build/bin: bash examples/quickstart.sh builds it" >&2; exit 1; }
data=$PWD/../data
lib=$PWD/../../build/lib
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
