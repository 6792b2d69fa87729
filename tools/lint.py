#!/usr/bin/env python3
"""
Rules of the tree that no compiler knows, then the compilers' and analysers' findings.

    tools/lint.py --quick    doors, names, headers, purity, scripts, layout (if clang-format is here)
    tools/lint.py            and cppcheck, clang-tidy; `./dev lint` has built with clang's warnings before
    tools/lint.py --deep     and gcc -fanalyzer

What a rule is for stands in docs/architecture.md. A finding is one line: file:line: what, and what to do.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"

# Whose doors a room may use: what lies further down the corridor, and what stands beside it.
# event, directory, store and base are beside the corridor for all that come after them.
MAY_USE = {
    "base": [],
    "event": ["base"],
    "directory": ["base", "event"],
    "watcher": ["base", "event", "directory"],
    "store": ["base", "event", "directory", "watcher"],
    "journal": ["base", "event", "directory", "watcher", "store"],
    "transport": ["base"],
    "method": ["base", "event", "transport"],
    "delivery": ["base", "event", "directory", "watcher", "store", "journal", "method", "transport"],
    "api": ["base", "event", "directory", "watcher", "store", "journal", "method", "transport"],
    "serve": ["base", "event", "directory", "watcher", "store", "journal", "method", "transport", "delivery", "api"],
    "cli": ["base", "event", "directory", "watcher", "store", "journal", "method", "transport", "delivery", "api", "serve"],
}

# A room's door is <room>/<room>.h, and these. All of base/ is for everybody.
DOORS = {
    "event": ["event.h", "catalogue.h"],
    "transport": ["transport.h", "guard.h", "signature.h"],
    "delivery": ["delivery.h", "outcome.h", "hidden.h"],
    "serve": ["serve.h", "lookup.h"],
}

# Pure: no I/O, no clock, no log, no globals.
PURE = ["event/*.c", "watcher/*.c", "delivery/scheduler.c", "delivery/lane.c", "delivery/pace.c", "delivery/outcome.c", "delivery/streak.c"]
PURE_SYSTEM = {"assert.h", "ctype.h", "errno.h", "glib.h", "inttypes.h", "limits.h", "math.h", "stdarg.h", "stdbool.h", "stddef.h",
               "stdint.h", "stdio.h", "stdlib.h", "string.h", "openssl/evp.h", "openssl/sha.h"}  # fmt: skip
PURE_NOT = ["base/log.h", "base/seal.h", "base/settings.h", "base/fault.h"]
IMPURE_CALLS = re.compile(
    r"(?<![.>])\b(bh_clock_\w+|bh_random_bytes|bh_log\w*|g_get_(?:real|monotonic)_time|g_date_time_new_now\w*|time|clock_gettime|gettimeofday"
    r"|getenv|g_getenv|fopen|open|read|write|printf|fprintf|g_print\w*|g_file_\w+|rand|random|g_random_\w+|socket|usleep|g_usleep)\s*\("
)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in sorted(set(out.stdout.split())) if (ROOT / name).exists()]


def sources(*patterns):
    return [path for path in tracked(*(patterns or ("src/*.c", "src/*.h"))) if path.is_relative_to(SRC)]


def includes(path):
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)


def shown(path):
    return str(path.relative_to(ROOT))


def room_of(path):
    parts = path.relative_to(SRC).parts
    return parts[0] if len(parts) > 1 else None


# --- Rules of our own ---------------------------------------------------------------------------


def doors():
    """Rooms include doors only, of rooms further down the corridor or beside it."""
    for path in sources():
        room = room_of(path)
        if room is None:
            continue
        if room not in MAY_USE:
            yield f"{shown(path)}:1: the room {room}/ is not in tools/lint.py: say there whose doors it may use"
            continue
        for line, kind, name in includes(path):
            if kind != '"':
                continue
            other, _, header = name.partition("/")
            where = f"{shown(path)}:{line}"
            if not header:
                yield f'{where}: "{name}" does not name its room: write "room/{name}"'
            elif other == room:
                continue
            elif other not in MAY_USE[room]:
                yield f"{where}: {room}/ may not use {other}/: it lies before it in the corridor; return a value or take a function pointer"
            elif other != "base" and header not in DOORS.get(other, [f"{other}.h"]):
                yield f'{where}: "{name}" is private to {other}/: use its door'


def cycles():
    """The table of rooms itself knows no cycle."""
    done = set()
    while len(done) < len(MAY_USE):
        free = [room for room, uses in MAY_USE.items() if room not in done and set(uses) <= done]
        if not free:
            yield f"tools/lint.py:1: rooms use each other in a circle: {sorted(set(MAY_USE) - done)}"
            return
        done.update(free)


def own_header_first():
    """A .c includes its own header first, so that the header is known to need nothing before it."""
    for path in sources("src/*.c"):
        own = path.with_suffix(".h")
        if not own.exists():
            continue
        first = next(includes(path), None)
        inner = f"{room_of(path)}/internal.h"  # which includes the door before all else
        if first is None or first[2] not in (str(own.relative_to(SRC)), inner):
            yield f'{shown(path)}:1: include "{own.relative_to(SRC)}" first'


def compile_flags(folder):
    """Include paths and definitions of the library, as meson gives them."""
    for entry in json.loads((ROOT / folder / "compile_commands.json").read_text()):
        if "/src/libbellhop.a.p/" in entry["output"] or "src/libbellhop.a.p" in entry["output"]:
            words = shlex.split(entry["command"])
            return [word for word in words if re.match(r"-[IDW]|-std|-f(?!sanitize)", word)], ROOT / folder
    sys.exit(f"{folder}/ has not been built")


def headers_alone():
    """Every header compiles alone."""
    flags, folder = compile_flags("build-asan")

    def check(path):
        # Included, not compiled itself: `#pragma once` in a main file is a warning.
        text = f'#include "{path.relative_to(SRC)}"\n'
        done = subprocess.run(["gcc", *flags, "-fsyntax-only", "-x", "c", "-"], input=text, cwd=folder, capture_output=True, text=True)
        return None if done.returncode == 0 else f"{shown(path)}:1: does not compile alone: {first_error(done.stderr)}"

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(check, sources("src/*.h")))


def first_error(text):
    return next((line for line in text.splitlines() if "error" in line), text[:300])


def names():
    """What leaves a file begins with bh_ (or BH_ for tables)."""
    library = ROOT / "build-asan" / "src" / "libbellhop.a"
    # meson's libraries are thin: the objects are read where they lie.
    done = subprocess.run(["nm", "-g", "--defined-only", "-A", str(library)], cwd=ROOT / "build-asan", capture_output=True, text=True)
    if done.returncode != 0:
        yield f"{shown(library)}:1: nm: {done.stderr.strip()[:200]}"
    for line in done.stdout.splitlines():
        where, _, symbol = line.rpartition(" ")
        if not re.match(r"bh_|BH_|__(odr_)?asan|__sanitizer|__odr", symbol):
            yield f"{where.split(':')[-2]}:1: {symbol} is visible outside: make it static, or call it bh_..."


def purity():
    """event, watcher, scheduler and outcome: no I/O, no clock, no log, no globals."""
    for path in [found for pattern in PURE for found in sorted(SRC.glob(pattern))]:
        for line, kind, name in includes(path):
            if kind == "<" and name not in PURE_SYSTEM:
                yield f"{shown(path)}:{line}: <{name}> has no place in a pure file"
            if kind == '"' and name in PURE_NOT:
                yield f'{shown(path)}:{line}: "{name}" has no place in a pure file'
        for number, text in enumerate(without_comments(path.read_text()).splitlines(), 1):
            found = IMPURE_CALLS.search(text)
            if found and "include" not in text:
                yield f"{shown(path)}:{number}: {found.group(1)}() is not pure: let the caller hand the value in"
        yield from globals_of(path)


def without_comments(text):
    """The same lines, comments and strings blanked."""

    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.DOTALL)


def globals_of(path):
    """Writable data of the object file; constant tables that hold pointers (.data.rel.ro) are not."""
    compiled = ROOT / "build-asan" / "src" / "libbellhop.a.p" / (str(path.relative_to(SRC)).replace("/", "_") + ".o")
    if not compiled.exists():
        return
    done = subprocess.run(["objdump", "-t", str(compiled)], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        match = re.match(r"[0-9a-f]+ .{7} (\.(?:data|bss)\S*)\s+[0-9a-f]+ (?:\.hidden )?(\S+)$", line)
        if match and not match.group(1).startswith(".data.rel.ro") and not re.match(r"__|\.|_ZZ", match.group(2)):
            if match.group(2) != match.group(1):
                yield f"{shown(path)}:1: {match.group(2)} is a global that can change"


def sql_in_the_store_only():
    """SQL lives under src/store and nowhere else."""
    statement = re.compile(r'"\s*(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX))\b', re.IGNORECASE)
    for path in sources("src/*.c"):
        if room_of(path) == "store":
            continue
        for number, text in enumerate(path.read_text().splitlines(), 1):
            if statement.search(text):
                yield f"{shown(path)}:{number}: SQL outside of store/"


def file_sizes():
    """Near 800 lines ask whether two nouns live in a file; at 1000 the question is answered."""
    for path in sources():
        lines = path.read_text().count("\n")
        if lines > 1000:
            yield f"{shown(path)}:1: {lines} lines: split it"


def scripts():
    """Shell scripts read well and parse as POSIX sh; Python compiles."""
    for path in [ROOT / "dev", ROOT / ".ci" / "run"]:
        done = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True)
        if done.returncode != 0:
            yield f"{shown(path)}:1: {done.stderr.strip()}"
        if shutil.which("shellcheck"):
            done = subprocess.run(["shellcheck", "-f", "gcc", str(path)], cwd=ROOT, capture_output=True, text=True)
            yield from done.stdout.splitlines()
    for path in tracked("*.py"):
        try:
            compile(path.read_text(), str(path), "exec")
        except SyntaxError as error:
            yield f"{shown(path)}:{error.lineno}: {error.msg}"


def self_contained():
    """Nothing points outside of the project's own folder, and no lock file names a host."""
    outside = re.compile(r"(?<![\w.])/(?:home|root)/[\w-]")
    for path in tracked():
        if path.is_relative_to(ROOT / "tools") or path.suffix in (".png", ".ico"):
            continue
        try:
            text = path.read_text()
        except (UnicodeDecodeError, IsADirectoryError):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if outside.search(line):
                yield f"{shown(path)}:{number}: points outside of the project: {outside.search(line).group(0)}"
            if path.name == "package-lock.json" and '"resolved"' in line:
                yield f"{shown(path)}:{number}: names a host"


def links():
    """What a page links to, or a comment points to, is there."""
    for path in tracked("*.md", "*.c", "*.h", "*.py", "*.lua", "*.yaml", "meson.build"):
        text = path.read_text()
        found = [(m.start(), m.group(1), path.parent) for m in re.finditer(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)] if path.suffix == ".md" else []
        found += [(m.start(), m.group(0), ROOT) for m in re.finditer(r"\bdocs/[a-z0-9/_-]+\.(?:md|yaml)\b", text)]
        for start, name, folder in found:
            if not (folder / name).exists():
                yield f"{shown(path)}:{text.count(chr(10), 0, start) + 1}: {name} is not there"


def layout():
    """The layout of .c files is clang-format's business. Doors are laid out by hand: their columns are for readers."""
    if not shutil.which("clang-format"):
        return
    files = [str(path) for path in tracked("*.c")]
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=1", *files], cwd=ROOT, capture_output=True, text=True)
    for line in done.stderr.splitlines():
        if "error:" in line:
            yield line.replace(str(ROOT) + "/", "").split(" error:")[0] + " not laid out by clang-format: run ./dev fmt"


# --- Other people's analysers -------------------------------------------------------------------


def cppcheck():
    """cppcheck."""
    command = ["cppcheck", "--quiet", "--enable=warning,portability", "--inline-suppr", "--library=gtk", "--std=c11", "--template=gcc",
               "--error-exitcode=1", "-I", "src", "-j", str(os.cpu_count()), "--suppressions-list=tools/cppcheck.txt", "src"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    yield from (line for line in done.stderr.splitlines() if re.match(r"\S+:\d+", line))


def clang_tidy():
    """clang-tidy, with the checks chosen in .clang-tidy."""

    def check(path):
        done = subprocess.run(["clang-tidy", "--quiet", "-p", "build-clang", str(path)], cwd=ROOT, capture_output=True, text=True)
        return [line.replace(str(ROOT) + "/", "") for line in done.stdout.splitlines() if re.search(r": (warning|error):", line)]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for lines in pool.map(check, sources("src/*.c")):
            yield from lines


def analyzer():
    """gcc -fanalyzer."""
    # Left out: it does not know that a function which returned false has set the GError, and takes that for NULL.
    but = ["-Wno-analyzer-null-dereference", "-Wno-analyzer-null-argument", "-fdiagnostics-color=never"]
    flags, folder = compile_flags("build-asan")

    def check(path):
        done = subprocess.run(["gcc", *flags, "-Wno-error", "-fanalyzer", *but, "-O1", "-c", "-o", "/dev/null", str(path)], cwd=folder, capture_output=True, text=True)
        return [line.replace(str(ROOT) + "/", "") for line in done.stderr.splitlines() if "-Wanalyzer" in line]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for lines in pool.map(check, sources("src/*.c")):
            yield from lines


QUICK = [doors, cycles, own_header_first, headers_alone, names, purity, sql_in_the_store_only, file_sizes, scripts, self_contained, links, layout]
FULL = [cppcheck, clang_tidy]
DEEP = [analyzer]


def main():
    parser = argparse.ArgumentParser(description="Rules of the tree, and analysers' findings.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--junit", type=Path)
    given = parser.parse_args()
    rules = QUICK + ([] if given.quick else FULL) + (DEEP if given.deep else [])
    suite = ElementTree.Element("testsuite", name="lint")
    failed = 0
    for rule in rules:
        started = time.monotonic()
        findings = list(dict.fromkeys(rule()))
        print(f"{'ok  ' if not findings else 'FAIL'} {rule.__name__:22} {rule.__doc__.splitlines()[0] or rule.__doc__.split(chr(10))[1].strip()}", flush=True)
        for finding in findings:
            print(f"     {finding}")
        case = ElementTree.SubElement(suite, "testcase", classname="lint", name=rule.__name__, time=f"{time.monotonic() - started:.2f}")
        if findings:
            failed += 1
            ElementTree.SubElement(case, "failure").text = "\n".join(findings)
    if given.junit:
        ElementTree.ElementTree(suite).write(given.junit)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
