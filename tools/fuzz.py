#!/usr/bin/env python3
"""Runs the libFuzzer targets of build-fuzz/, each for a while, on the corpus in tests/fuzz/corpus/<target>."""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main():
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", help="one of them; all when left out")
    parser.add_argument("seconds", nargs="?", type=int, default=60, help="for each target (60)")
    given = parser.parse_args()
    if given.target and given.target.isdigit():
        given.target, given.seconds = None, int(given.target)

    targets = sorted(path for path in (ROOT / "build-fuzz" / "tests" / "fuzz").glob("fuzz_*") if path.is_file() and not path.suffix)
    known = [path.name.removeprefix("fuzz_") for path in targets]
    if given.target and given.target not in known:
        parser.error(f'there is no target "{given.target}"; there are: {", ".join(known) or "none"}')
    chosen = [path for path in targets if given.target in (None, path.name.removeprefix("fuzz_"))]
    failed = [path.name for path in chosen if fuzz(path, given.seconds) != 0]
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed" + (f": {', '.join(failed)}" if failed else ""))
    return 1 if failed or not chosen else 0


def fuzz(path, seconds):
    name = path.name.removeprefix("fuzz_")
    print(f"=== {name}, {seconds} s", flush=True)
    seeds = ROOT / "tests" / "fuzz" / "corpus" / name
    found = ROOT / "build-fuzz" / "found" / name  # new inputs; what crashes lands beside the folder, or the next run would begin with it
    found.mkdir(parents=True, exist_ok=True)
    folders = [str(found)] + ([str(seeds)] if seeds.is_dir() else [])
    arguments = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={found}."]
    return subprocess.run([str(path), *arguments, *folders], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
