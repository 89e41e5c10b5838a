#!/usr/bin/python3
"""suites.py - runs every suite of tests on finished builds and counts.

    suites.py [--only SUITE]... [--fuzz-seconds S]     after test/setup.sh
    suites.py --count RESULTS.json                     counts only; a test of itself

Unit tests and numerics are the programs that ctest knows of; the parts of
test/ and examples/ come from lit; sanitized and fuzz from the asan build. One
GoogleTest case, one lit file and one fuzzer count as one test. The last line is

    N passed, N failed[, N skipped]

and the exit status is 0 only if none failed. A suite that ran no test failed.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIT = "/usr/lib/llvm-22/bin/lit"
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

# Every one of these must have run at least one test. A folder of test/ that is
# not named here is a suite all the same.
REQUIRED = ["unit", "numerics", "dialect", "passes", "codegen", "frontend", "must-fail", "examples", "sanitized", "fuzz"]
NOT_LIT = ["unit", "lib", "bench", "fuzz", "sanitized"]


def say(text):
    print(text, flush=True)


class Results:
    """suite -> list of (test, outcome), and the seconds that suites took."""

    def __init__(self):
        self.suites, self.seconds = {}, {}

    def add(self, suite, test, outcome, detail=""):
        self.suites.setdefault(suite, []).append((test, outcome))
        if outcome == FAILED:
            say(f"FAILED {suite}: {test}")
            if detail:
                say("\n".join("    " + line for line in detail.splitlines()[-60:]))

    def report(self, required):
        for suite in required:
            outcomes = [outcome for _, outcome in self.suites.get(suite, [])]
            if not any(outcome != SKIPPED for outcome in outcomes):
                self.add(suite, "the suite ran no test", FAILED)
        total = dict.fromkeys((PASSED, FAILED, SKIPPED), 0)
        say("")
        for suite, tests in sorted(self.suites.items()):
            count = {key: sum(outcome == key for _, outcome in tests) for key in total}
            for key in total:
                total[key] += count[key]
            took = f"{self.seconds[suite]:7.1f} s" if suite in self.seconds else ""
            say(f"  {suite:<12}{count[PASSED]:6} passed {count[FAILED]:4} failed {count[SKIPPED]:4} skipped {took}")
        for suite, tests in sorted(self.suites.items()):
            for test, outcome in tests:
                if outcome != PASSED:
                    say(f"  {outcome} {suite}: {test}")
        say("")
        tail = f", {total[SKIPPED]} skipped" if total[SKIPPED] else ""
        say(f"{total[PASSED]} passed, {total[FAILED]} failed{tail}")
        return 1 if total[FAILED] or not total[PASSED] else 0


def run(command, env=None, timeout=900, cwd=TOP):
    """(exit status or None for time-out, output)."""
    try:
        done = subprocess.run(command, cwd=cwd, env=dict(os.environ, **(env or {})), timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        return None, (error.stdout or b"").decode(errors="replace") + f"\nstill running after {timeout} s"


def gtest_outcomes(path):
    """Cases in GoogleTest's JSON."""
    with open(path) as file:
        report = json.load(file)
    for group in report["testsuites"]:
        for case in group["testsuite"]:
            name = f'{group["name"]}.{case["name"]}'
            if case.get("failures"):
                yield name, FAILED, "\n".join(failure["failure"] for failure in case["failures"])
            elif case.get("result") == "SKIPPED" or case["status"] == "NOTRUN":
                yield name, SKIPPED, ""
            else:
                yield name, PASSED, ""


def run_ctest(results, build, wanted, rename=None):
    """Runs what ctest lists. Programs that are not GoogleTest count as one."""
    status, text = run(["ctest", "--show-only=json-v1"], cwd=build)
    if status != 0:
        results.add(rename or "unit", "ctest lists the tests", FAILED, text)
        return
    for test in json.loads(text)["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        suite = rename or (properties.get("LABELS") or ["unit"])[0]
        if suite not in wanted:
            continue
        start = time.monotonic()
        if "command" not in test:
            results.add(suite, test["name"], FAILED, "not built")
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "gtest.json")
            status, text = run(test["command"], {"GTEST_OUTPUT": "json:" + path},
                               cwd=properties.get("WORKING_DIRECTORY", build))
            cases = list(gtest_outcomes(path)) if os.path.exists(path) else []
        for name, outcome, detail in cases:
            results.add(suite, f'{test["name"]}: {name}', outcome, detail)
        if not cases and status == 0 and re.search(r"\[=+\] .*tests? ran", text):
            results.add(suite, test["name"], FAILED, "a GoogleTest program without a case")
        elif not cases:
            results.add(suite, test["name"], PASSED if status == 0 else FAILED, text)
        elif status != 0 and not any(outcome == FAILED for _, outcome, _ in cases):
            results.add(suite, test["name"], FAILED, f"exit status {status}\n{text}")
        took = time.monotonic() - start
        results.seconds[suite] = results.seconds.get(suite, 0) + took
        say(f"[{suite}] {test['name']}: {len(cases) or 1} in {took:.1f} s")


def run_lit(results, build, wanted):
    """Parts of test/ and examples/; a folder without lit tests is no error here."""
    wanted = [suite for suite in wanted if suite not in NOT_LIT]
    folders = [suite if suite == "examples" else f"test/{suite}" for suite in wanted]
    folders = [os.path.join(build, folder) for folder in folders if os.path.isdir(os.path.join(TOP, folder))]
    if not folders:
        return
    start, done = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "lit.json")
        process = subprocess.Popen([LIT, "-v", "--output", path, *folders], cwd=build, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace")
        for line in process.stdout:
            place = re.match(r"[A-Z]+: .* \((\d+) of (\d+)\)$", line)
            if place and int(place[1]) * 10 // int(place[2]) > done:
                done = int(place[1]) * 10 // int(place[2])
                say(f"[lit] {place[1]} of {place[2]}")
            if not line.startswith(("PASS:", "UNSUPPORTED:", "XFAIL:")):
                print(line, end="")
        process.wait()
        tests = json.load(open(path))["tests"] if os.path.exists(path) else []
    for test in tests:
        name = test["name"].split(" :: ", 1)[1]
        parts = name.split("/")
        outcome = {"PASS": PASSED, "FLAKYPASS": PASSED, "XFAIL": PASSED, "UNSUPPORTED": SKIPPED, "SKIPPED": SKIPPED,
                   "EXCLUDED": SKIPPED}.get(test["code"], FAILED)
        results.add("examples" if parts[0] == "examples" else parts[1], name, outcome)
    if process.returncode != 0 and not any(o == FAILED for s in wanted for _, o in results.suites.get(s, [])):
        results.add("dialect", f"lit ended with {process.returncode}", FAILED)
    say(f"[lit] {len(tests)} in {time.monotonic() - start:.1f} s")


def run_fuzzers(results, build, seconds):
    folder = os.path.join(build, "fuzz")
    fuzzers = sorted(f for f in os.listdir(folder)
                     if os.path.isfile(os.path.join(folder, f)) and os.access(os.path.join(folder, f), os.X_OK)
                     ) if os.path.isdir(folder) else []

    def fuzz(name):
        corpus, seeds = os.path.join(folder, "corpus", name), os.path.join(TOP, "test", "fuzz", name)
        os.makedirs(corpus, exist_ok=True)
        say(f"[fuzz] {name}: {seconds} s")
        return name, *run([os.path.join(folder, name), f"-max_total_time={seconds}", "-print_final_stats=1",
                           "-timeout=20", "-rss_limit_mb=4096", f"-artifact_prefix={folder}/{name}-", corpus]
                          + ([seeds] if os.path.isdir(seeds) else []), timeout=seconds + 120)

    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, os.cpu_count() or 1)) as pool:
        for name, status, text in pool.map(fuzz, fuzzers):
            units = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
            good = status == 0 and units and int(units[1]) > 0
            results.add("fuzz", name, PASSED if good else FAILED, text)
            if good:
                say(f"[fuzz] {name}: {units[1]} inputs")
    results.seconds["fuzz"] = time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="SUITE")
    parser.add_argument("--fuzz-seconds", type=int, default=60)
    parser.add_argument("--count", metavar="RESULTS.json")
    options = parser.parse_args()
    results = Results()
    if options.count:
        recorded = json.load(open(options.count))
        for suite, tests in recorded["suites"].items():
            for test, outcome in tests.items():
                results.add(suite, test, outcome)
        return results.report(recorded["required"])

    tests = os.path.join(TOP, "test")
    known = REQUIRED + sorted(folder for folder in os.listdir(tests) if os.path.isdir(os.path.join(tests, folder))
                              and folder not in REQUIRED + NOT_LIT and not folder.startswith(("_", ".")))
    wanted = options.only or known
    for suite in wanted:
        if suite not in known:
            parser.error(f"no suite `{suite}`; there are {', '.join(known)}")
    build, asan = os.path.join(TOP, "build"), os.path.join(TOP, "build-asan")
    if set(wanted) & {"unit", "numerics"}:
        run_ctest(results, build, wanted)
    run_lit(results, build, wanted)
    if "sanitized" in wanted:
        run_ctest(results, asan, wanted, rename="sanitized")
    if "fuzz" in wanted:
        run_fuzzers(results, asan, options.fuzz_seconds)
    return results.report(options.only or REQUIRED)


if __name__ == "__main__":
    sys.exit(main())
