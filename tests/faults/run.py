#!/usr/bin/env python3
"""
Kills a real Bellhop at one fault point after the other, and checks after the restart what must always hold.

    ./dev faults                            every point of every scenario, until none fires: takes a while
    ./dev faults --scenario webhook-life    one scenario; --from N begins at its N-th point, --points M tries at most M;
                                            --every K tries each K-th only
    ./dev faults --quick                    what ./dev test runs: the first hit of each point, and a few of the others

A trial that failed says how to repeat it, and its folder is kept: logs, the data folder, and a copy of that at each death.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from world import BINARY, ROOT, World, make_template, run_steps  # noqa: E402
from promises import check_history, check_lives, check_store  # noqa: E402
from scenarios import SCENARIOS  # noqa: E402

NAME = re.compile(r'\bBH_FAULT\("([^"]+)"\)')
QUICK_POINTS = (2, 13, 29, 53, 97, 151, 223, 307)  # of each scenario that has so many, beside the first hit of each name
POINTS_MAX = 5000  # a scenario that never gets through is a failure


class Trial:
    """One run of a scenario, with the engine killed at `fault` (None: not at all)."""

    def __init__(self, scenario, fault, title=None):
        self.scenario, self.fault, self.title = scenario, fault, title or (f"killed at {fault}" if fault else "not killed")
        self.failure, self.died_at, self.reached, self.seconds = None, None, [], 0.0

    @property
    def again(self):
        return f"./dev faults --scenario {self.scenario} --at '{self.fault}'" if self.fault else f"./dev faults --scenario {self.scenario} --points 0"

    def run(self, folder, template):
        began = time.monotonic()
        folder.mkdir(parents=True)
        scenario = SCENARIOS[self.scenario]()
        if not scenario.from_nothing:
            shutil.copytree(template, folder / "var")
        log = folder / "points"
        world = World(folder, scenario.settings, self.fault, log)
        try:
            play(world, scenario)
        except Exception:
            self.failure = traceback.format_exc()
        finally:
            world.close()
        self.died_at = next((death.point for death in world.deaths if death.point != "kill -9"), None)
        self.reached = log.read_text().split() if log.exists() else []
        if not self.failure:
            shutil.rmtree(folder)
        self.seconds = time.monotonic() - began
        return self


def play(world, scenario):
    run_steps(world, scenario.arm, [*scenario.steps(), lambda w: w.settle(scenario.may_stay), World.repeat_calls, World.stop])
    for death in world.deaths:
        check_store(death.database, world)
    check_all(world, scenario)
    # Once more, from a clean end: it finds nothing to do.
    requests = len(world.receiver.requests)
    world.start()
    world.repeat_calls()
    world.stop()
    assert len(world.receiver.requests) == requests, "after a clean stop and a start, something was sent again"
    check_all(world, scenario)


def check_all(world, scenario):
    check_store(world.engine.data / "bellhop.db", world)
    check_history(world, scenario)
    scenario.check(world)
    check_lives(world)


class Runner:
    def __init__(self, folder, workers):
        self.folder, self.workers, self.done = folder, workers, []
        self.template = make_template(folder / "template", {})

    def run(self, trials):
        with concurrent.futures.ThreadPoolExecutor(self.workers) as pool:
            running = [pool.submit(self.run_one, trial) for trial in trials]
            return [future.result() for future in running]

    def run_one(self, trial):
        folder = self.folder / trial.scenario / re.sub(r"[^a-z0-9.-]+", "_", trial.title)
        trial.run(folder, self.template)
        self.done.append(trial)
        if trial.failure:
            print(f"FAIL {trial.scenario}, {trial.title}" + (f" ({trial.died_at})" if trial.died_at else ""), flush=True)
            print(f"     {trial.failure.strip().splitlines()[-1][:400]}\n     kept in {folder}\n     again: {trial.again}", flush=True)
        return trial


def names_in_source():
    names = set()
    for path in (ROOT / "src").rglob("*.c"):
        names.update(NAME.findall(path.read_text()))
    return names


def unreached(trials):
    """Every point in the sources is reached by a scenario: a trial of its own, for the report."""
    trial = Trial("all", None, "every point is reached by a scenario")
    missing = names_in_source() - {name for done in trials for name in done.reached}
    if missing:
        trial.failure = f"no scenario reaches {', '.join(sorted(missing))}"
        print(f"FAIL {trial.failure}", flush=True)
    return trial


def quick(runner, scenarios):
    """The first hit of each point that the scenario reaches, where no other scenario has had it, and some of the later ones."""
    whole = runner.run([Trial(name, None) for name in scenarios])
    trials, seen = [], set()
    for run in whole:
        for name in dict.fromkeys(run.reached):
            if name not in seen:
                seen.add(name)
                trials.append(Trial(run.scenario, f"{name}:1"))
        if not SCENARIOS[run.scenario].is_long:
            trials += [Trial(run.scenario, f"*:{nth}") for nth in QUICK_POINTS if nth <= len(run.reached)]
    runner.run(trials)
    runner.done.append(unreached(whole))


def every_point(runner, name, first, points, every):
    """Point after point, some at a time, until a whole round fires none."""
    runner.run([Trial(name, None)])
    last = first + points * every if points is not None else POINTS_MAX
    for start in range(first, last, 2 * runner.workers * every):
        round = runner.run([Trial(name, f"*:{n}") for n in range(start, min(last, start + 2 * runner.workers * every), every)])
        if round and not round[-1].died_at:
            return
    if points is None:
        failed = Trial(name, None, "it gets through")
        failed.failure = f"after {POINTS_MAX} points it still dies"
        runner.done.append(failed)


def report(runner, junit):
    suite = ElementTree.Element("testsuite", name="faults")
    for trial in runner.done:
        case = ElementTree.SubElement(suite, "testcase", classname=f"faults.{trial.scenario}", name=trial.title, time=f"{trial.seconds:.2f}")
        if trial.failure:
            ElementTree.SubElement(case, "failure").text = f"{trial.failure}\nagain: {trial.again}"
    if junit:
        ElementTree.ElementTree(suite).write(junit)


def main():
    parser = argparse.ArgumentParser(prog="./dev faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=SCENARIOS)
    parser.add_argument("--from", dest="first", type=int, default=1, metavar="N")
    parser.add_argument("--points", type=int, metavar="M")
    parser.add_argument("--every", type=int, default=1, metavar="K")
    parser.add_argument("--at", action="append", metavar="NAME:N", help="kill at this point only; may be given several times")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--workers", type=int, default=3 * (os.cpu_count() or 1), help="trials at a time; most of a trial is waiting")
    parser.add_argument("--junit", type=Path)
    given = parser.parse_args()
    if not BINARY.exists():
        parser.error(f"no binary at {BINARY}: build it with -Dfaults=true, or name one in BELLHOP_BIN")
    scenarios = [given.scenario] if given.scenario else list(SCENARIOS)

    began = time.monotonic()
    runner = Runner(Path(tempfile.mkdtemp(prefix="bellhop-faults-")), given.workers)
    if given.quick:
        quick(runner, scenarios)
    elif given.at:
        runner.run([Trial(name, fault) for name in scenarios for fault in given.at])
    else:
        for name in scenarios:
            every_point(runner, name, given.first, given.points, given.every)
            of_it = [trial for trial in runner.done if trial.scenario == name]
            print(f"{name}: {sum(bool(trial.died_at) for trial in of_it)} deaths, {sum(bool(t.failure) for t in of_it)} failed", flush=True)
        if not given.scenario and given.points is None and given.every == 1:
            runner.done.append(unreached(runner.done))
    report(runner, given.junit)
    failed = [trial for trial in runner.done if trial.failure]
    if not failed:
        shutil.rmtree(runner.folder)
    print(f"{len(runner.done) - len(failed)} passed, {len(failed)} failed, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
