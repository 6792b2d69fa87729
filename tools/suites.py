#!/usr/bin/env python3
"""
Runs the test suites and says how each ended; `./dev test` has built and installed what they need.

Every suite leaves JUnit files, and what is counted is what stands in them: each test of a GTest program (TAP) and of
pytest is one. The last line is "N passed, N failed".
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build-asan" / "results"
PYTEST = [str(ROOT / ".venv" / "bin" / "python"), "-m", "pytest"]

# Rooms with threads: their suites run under the thread sanitizer too.
THREADED = ["directory", "journal", "transport", "api", "attempt", "scheduler"]

SANITIZERS = {
    "G_SLICE": "always-malloc",  # GLib's own allocator hides from the sanitizers what was freed and by whom
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "LSAN_OPTIONS": f"suppressions={ROOT / 'tests' / 'lsan.supp'}:print_suppressions=0",
    "TSAN_OPTIONS": f"exitcode=99:suppressions={ROOT / 'tests' / 'tsan.supp'}",
}


class Count:
    def __init__(self, passed=0, failed=0, skipped=0, names=()):
        self.passed, self.failed, self.skipped, self.names = passed, failed, skipped, list(names)

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.names += other.names
        return self


def read_junit(path):
    count = Count()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = "/".join(filter(None, [case.get("classname"), case.get("name")]))
        if case.find("failure") is not None or case.find("error") is not None:
            count.failed += 1
            count.names.append(name)
        elif case.find("skipped") is not None:
            count.skipped += 1
        else:
            count.passed += 1
    return count


def run(command, **more):
    environment = {**os.environ, **SANITIZERS, **more.pop("env", {})}
    return subprocess.run(command, cwd=ROOT, env=environment, **more).returncode


def ended(code, count, what):
    """A program that died without a failed test in its results has failed all the same."""
    if code != 0 and count.failed == 0:
        count.failed += 1
        count.names.append(f"{what} ended with {code}")
    return count


def meson_suite(folder, suite, tests=()):
    """The programs of one meson suite; a program that crashes counts as one failure more."""
    junit = ROOT / folder / "meson-logs" / "testlog.junit.xml"
    junit.unlink(missing_ok=True)
    arguments = ["meson", "test", "-C", folder, "--no-rebuild", "--quiet", "--print-errorlogs", "--suite", suite]
    code = run([*arguments, *tests], stdin=subprocess.DEVNULL)
    if not junit.exists():
        return ended(code, Count(), f"meson test --suite {suite}")
    return ended(code, read_junit(junit), f"meson test --suite {suite}")


def tests_of_rooms(folder, rooms):
    """The programs that test one of `rooms`: "api" means api, api_events and so on."""
    done = subprocess.run(["meson", "test", "-C", folder, "--no-rebuild", "--list"], cwd=ROOT, capture_output=True, text=True)
    there = {line.split(" / ")[-1].strip() for line in done.stdout.splitlines()}
    return sorted(name for name in there if name.split("_")[0] in rooms)


def pytest_suite(name, binary, *arguments):
    junit = RESULTS / f"{name}.xml"
    junit.parent.mkdir(parents=True, exist_ok=True)
    junit.unlink(missing_ok=True)
    command = [*PYTEST, "tests/integration", "-q", f"--junitxml={junit}", "-o", f"cache_dir={RESULTS / 'cache'}", *arguments]
    code = run(command, env={"BELLHOP_BIN": str(ROOT / binary)}, stdin=subprocess.DEVNULL)
    return ended(code, read_junit(junit) if junit.exists() else Count(), "pytest")


def lint(folder):
    junit = RESULTS / "lint.xml"
    junit.parent.mkdir(parents=True, exist_ok=True)
    code = run([sys.executable, "tools/lint.py", "--quick", "--junit", str(junit)])
    return ended(code, read_junit(junit) if junit.exists() else Count(), "lint")


def unit(folder):
    return meson_suite(folder, "unit")


def conformance(folder):
    return meson_suite(folder, "conformance")


def sim(folder):
    return meson_suite(folder, "sim")


def integration(folder):
    # Most of these tests wait for something, so more of them than cores run at a time.
    return pytest_suite("integration", "build-asan/src/bellhop", "-n", str(2 * (os.cpu_count() or 1)), "--dist", "worksteal")


def faults(folder):
    junit = RESULTS / "faults.xml"
    junit.parent.mkdir(parents=True, exist_ok=True)
    junit.unlink(missing_ok=True)
    code = run([sys.executable, "tests/faults/run.py", "--quick", "--junit", str(junit)], env={"BELLHOP_BIN": str(ROOT / "build-asan/src/bellhop")})
    return ended(code, read_junit(junit) if junit.exists() else Count(), "faults")


def thread(folder):
    count = meson_suite("build-tsan", "unit", tests_of_rooms("build-tsan", THREADED))
    count += meson_suite("build-tsan", "conformance")
    count += pytest_suite("thread", "build-tsan/src/bellhop", "-m", "smoke")
    return count


SUITES = {"lint": lint, "unit": unit, "conformance": conformance, "sim": sim, "integration": integration, "faults": faults, "thread": thread}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=list(SUITES))
    parser.add_argument("--folder", default="build-asan", help="of the unit and conformance suites")
    given = parser.parse_args()
    for name in given.suites:
        if name not in SUITES:
            parser.error(f'there is no suite "{name}"; there are: {", ".join(SUITES)}')

    total, lines = Count(), []
    for name in given.suites:
        print(f"\n=== {name} " + "=" * (70 - len(name)), flush=True)
        started = time.monotonic()
        count = SUITES[name](given.folder)
        if count.passed + count.failed + count.skipped == 0:
            count = Count(failed=1, names=[f"{name} ran no test"])
        lines.append(f"{name:12} {count.passed:5} passed {count.failed:3} failed {count.skipped:3} skipped {time.monotonic() - started:6.0f} s")
        total += count

    print("\n=== summary " + "=" * 63)
    print("\n".join(lines))
    for name in total.names:
        print(f"failed: {name}")
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    print(f"{total.passed} passed, {total.failed} failed{skipped}", flush=True)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    if not shutil.which("meson"):
        sys.exit("meson is missing: run this through ./dev test")
    sys.exit(main())
