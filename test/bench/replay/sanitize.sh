#!/usr/bin/env bash
# sanitize.sh - the kernels of a folder under NVIDIA's checkers.
#
#   sanitize.sh FOLDER        what make_cases.py numerics wrote, with filigree-replay and libfiligree.so
#
# Runs memcheck, racecheck, synccheck and initcheck, a process for every pattern, and prints a line for
# each tool: clean, or the first findings. Before that, outputs that are too short by design must be found.
# compute-sanitizer is $COMPUTE_SANITIZER, or on the path, or where CUDA is installed. JOBS processes (4) run
# at a time. Status: 0 clean, 1 findings, 2 if nothing could be run.
set -uo pipefail
cd "${1:?expected a folder that make_cases.py wrote}" || exit 2
tool=${COMPUTE_SANITIZER:-$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)}
[ -x "$tool" ] || { echo "sanitize.sh: expected compute-sanitizer, but $tool cannot be run" >&2; exit 2; }
for file in filigree-replay cases.txt; do
  [ -e "$file" ] || { echo "sanitize.sh: expected $file in $PWD" >&2; exit 2; }
done
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
patterns=$(awk '$1 == "kernel" {print $4}' cases.txt | sort -u)

# The runtime asks the driver for parameters until there are no more, which is an error that memcheck would report.
under() { # tool, pattern, further options: status 0 clean, 99 findings, others as the program's own
  local api=()
  [ "$1" != memcheck ] || api=(--report-api-errors no)
  "$tool" --tool "$1" "${api[@]}" --error-exitcode 99 --print-limit 20 \
    ./filigree-replay cases.txt --jobs 1 --once --only "$2" "${@:3}"
}

twin=$(head -n 1 <<<"$patterns")
if under memcheck "$twin" --short-outputs >"$logs/twin" 2>&1 || ! grep -q "Invalid __global__ write" "$logs/twin"; then
  echo "sanitize.sh: expected memcheck to find the outputs of $twin too short, but got:" >&2
  tail -n 20 "$logs/twin" >&2
  exit 2
fi
echo "twin: memcheck finds outputs that are too short"

one() {
  under "$1" "$2" >"$logs/$1-$2" 2>&1 || echo "$2" >>"$logs/$1.failed"
}
export -f one under
export tool logs
status=0
for check in memcheck racecheck synccheck initcheck; do
  xargs -P "${JOBS:-4}" -I {} bash -c 'one "$0" "$1"' "$check" {} <<<"$patterns"
  if [ -f "$logs/$check.failed" ]; then
    status=1
    echo "$check: findings in $(sort "$logs/$check.failed" | tr '\n' ' ')"
    while read -r pattern; do
      # Past the tool's own name and what the program prints.
      grep -m 1 -A 12 "^=========     \|^========= [A-TV-Z]" <(grep -v "COMPUTE-SANITIZER" "$logs/$check-$pattern") ||
        tail -n 12 "$logs/$check-$pattern"
    done < <(sort "$logs/$check.failed" | head -n 3)
  else
    echo "$check: clean, $(wc -l <<<"$patterns") patterns"
  fi
done
exit $status
