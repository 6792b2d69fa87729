#!/usr/bin/env python3
"""Bellhop's benchmark: the real binary, a load driver and a sink, everything in one run on one machine.

    ./dev bench              all parts, as a table
    ./dev bench --json       the same as one JSON object
    ./dev bench neighbours   one part; several: --only fanout1,latency
    ./dev bench --scale 0.1  a tenth of the events: a look, not a measurement

CPU figures are user + system time of the whole bellhop process, divided by the deliveries made. Machines are noisy:
compare the ratio to wrk, which posts to the same sink in the same run.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from engine import Bellhop, allow, drive, drive_command, free_port, wait_for
from methods import part_methods, show_methods
from neighbours import part_neighbours, show_neighbours

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def part_fanout(tools, fanout, events):
    sink_port = free_port()
    b = Bellhop(tools.binary, allow(sink_port)).start()
    b.set_up(sink_port, fanout)
    drive(tools, b, sink_port, "--events", max(200, events // 50), "--fanout", fanout)  # warm: connections, caches
    before = b.cpu_seconds()
    result = drive(tools, b, sink_port, "--events", events, "--fanout", fanout, "--connections", 64)
    cpu = b.cpu_seconds() - before
    memory = b.memory_mb("VmHWM")
    b.stop()
    return {
        "deliveries": result["deliveries"],
        "lost": result["lost"],
        "deliveries_per_second": result["deliveries_per_second"],
        "cpu_us_per_delivery": round(cpu / result["deliveries"] * 1e6, 1),
        "memory_peak_mb": round(memory, 1),
    }


def part_wrk(tools):
    if not shutil.which("wrk"):
        return None
    sink = subprocess.Popen([tools.load, "sink", "0"], stdout=subprocess.PIPE, text=True)
    port = sink.stdout.readline().strip()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write('wrk.method = "POST"\nwrk.body = string.rep("x", 300)\nwrk.headers["Content-Type"] = "application/json"\n')
        script.flush()
        command = ["wrk", "-t1", "-c10", "-d5s", "-s", script.name, f"http://127.0.0.1:{port}/hook"]
        wrk = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        text = wrk.stdout.read()
        _, _, usage = os.wait4(wrk.pid, 0)
    sink.kill()
    sink.wait()
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    return {
        "requests_per_second": round(float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))),
        "cpu_us_per_request": round((usage.ru_utime + usage.ru_stime) / requests * 1e6, 1),
    }


def part_idle(tools):
    b = Bellhop(tools.binary).start()
    started = b.started_ms
    time.sleep(1)
    before = b.cpu_seconds()
    time.sleep(5)
    result = {
        "start_ms": round(started, 1),
        "memory_mb": round(b.memory_mb(), 1),
        "cpu_percent": round((b.cpu_seconds() - before) / 5 * 100, 2),
    }
    b.stop()
    return result


def part_latency(tools, seconds):
    sink_port = free_port()
    b = Bellhop(tools.binary, allow(sink_port)).start()
    b.set_up(sink_port, 1)
    drive(tools, b, sink_port, "--events", 20, "--connections", 2)
    result = drive(tools, b, sink_port, "--events", int(20 * seconds), "--rate", 20, "--connections", 4)
    b.stop()
    return {"arrival_ms": result["arrival_ms"], "acknowledged_ms": result["acknowledged_ms"], "lost": result["lost"]}


def part_million(tools, count):
    """One webhook whose receiver is dead, and `count` deliveries waiting for it."""
    dead = free_port()
    b = Bellhop(tools.binary, allow(dead)).start()
    b.set_up(dead, 1)
    began = time.monotonic()
    made = 0
    while made < count:
        step = min(10000, count - made)
        lines = [
            '{"type":"booking_added","data":{"property_uid":12,"contract_uid":%d,"note":"%s"}}' % (made + i, "x" * 220) for i in range(step)
        ]
        b.call("POST", "/v1/events", "\n".join(lines).encode(), "application/x-ndjson")
        made += step
    taken = time.monotonic() - began
    time.sleep(3)
    result = {
        "waiting": made,
        "taken_in_per_second": round(made / taken),
        "memory_mb": round(b.memory_mb(), 1),
        "memory_peak_mb": round(b.memory_mb("VmHWM"), 1),
        "in_memory": int(b.metric("bellhop_window_deliveries")),
    }
    b.kill()
    b.start()
    result["restart_ms"] = round(b.started_ms, 1)
    time.sleep(2)
    result["memory_after_restart_mb"] = round(b.memory_mb(), 1)
    b.stop()
    return result


def part_kill(tools, events):
    """kill -9 in the middle of the events, started again: what is lost, what comes twice, how soon it goes on."""
    sink_port, listen = free_port(), f"127.0.0.1:{free_port()}"  # the driver finds it again on the same port
    b = Bellhop(tools.binary, allow(sink_port)).start(listen)
    b.set_up(sink_port, 1)
    load = subprocess.Popen(
        drive_command(tools, b, sink_port, "--events", events, "--survive", "--patience", 30), stdout=subprocess.PIPE, text=True
    )
    wait_for("half of the events", lambda: b.metric('bellhop_attempts_total{outcome="delivered"}') >= events / 2)
    b.kill()
    again = time.monotonic()
    b.start(listen)
    result = json.loads(load.stdout.read())
    load.wait()
    b.stop()
    return {
        "events": events,
        "acknowledged": result["acknowledged"],
        "lost": result["lost"],
        "copies": result["copies"],
        "restart_ms": round(b.started_ms, 1),
        "all_arrived_after_restart_s": round(result["last_arrival_us"] / 1e6 - again, 2),
    }


# --- The report ------------------------------------------------------------------------------------


def row(name, value, goal=""):
    print(f"  {name:<52} {value:>16}   {goal}")


def show(r):
    print("Bellhop benchmark: one machine, one run\n")
    for part, goal in (("fanout1", "goal 50"), ("fanout10", "goal 35")):
        if part in r:
            f = r[part]
            row(f"{part}: deliveries a second", f["deliveries_per_second"])
            row(f"{part}: CPU us per durable signed delivery", f["cpu_us_per_delivery"], goal)
            row(f"{part}: memory under load, MB (peak)", f["memory_peak_mb"])
            row(f"{part}: lost", f["lost"], "goal 0")
    if r.get("wrk"):
        row("wrk to the same sink: requests a second", r["wrk"]["requests_per_second"])
        row("wrk to the same sink: CPU us per request", r["wrk"]["cpu_us_per_request"])
    if "ratio_to_wrk" in r:
        for part, ratio in r["ratio_to_wrk"].items():
            row(f"{part}: CPU of a delivery / CPU of a wrk request", ratio)
    if "latency" in r:
        row("20 events/s: sent to arrival, ms p50", r["latency"]["arrival_ms"]["p50"], "goal 1")
        row("20 events/s: sent to arrival, ms p99", r["latency"]["arrival_ms"]["p99"], "goal 5")
        row("20 events/s: sent to acknowledged, ms p50", r["latency"]["acknowledged_ms"]["p50"])
    if "idle" in r:
        row("start until ready, ms", r["idle"]["start_ms"])
        row("idle: memory, MB", r["idle"]["memory_mb"], "goal 15")
        row("idle: % of a core", r["idle"]["cpu_percent"], "goal 0.5")
    if "million" in r:
        m = r["million"]
        row(f"{m['waiting']} waiting for a dead receiver: memory, MB", m["memory_mb"], "goal 100")
        row("  peak while they came in, MB", m["memory_peak_mb"])
        row("  of them in memory", m["in_memory"])
        row("  taken in, events a second", m["taken_in_per_second"])
        row("  restart until ready, ms", m["restart_ms"])
        row("  memory after the restart, MB", m["memory_after_restart_mb"])
    if "kill" in r:
        k = r["kill"]
        row(f"kill -9 amid {k['events']} events: lost", k["lost"], "goal 0")
        row("  copies", k["copies"], "only what was in flight")
        row("  everything arrived, s after the restart", k["all_arrived_after_restart_s"], "goal 2")
    if "neighbours" in r:
        show_neighbours(r["neighbours"], row)
    if "methods" in r:
        show_methods(r["methods"], row)


PARTS = ["fanout1", "fanout10", "wrk", "latency", "idle", "million", "kill", "neighbours", "methods"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS, help="only this one")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="where the release build lies")
    parser.add_argument("--only", help="comma list of: " + ", ".join(PARTS))
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of events")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    tools = parser.parse_args()
    tools.binary = os.path.join(tools.build, "src", "bellhop")
    tools.load = os.path.join(tools.build, "bench", "bellhop-load")

    parts = [tools.part] if tools.part else tools.only.split(",") if tools.only else PARTS
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error("no such part: " + ", ".join(sorted(unknown)))
    n = lambda count: max(100, int(count * tools.scale))
    run = {
        "fanout1": lambda: part_fanout(tools, 1, n(200000)),
        "fanout10": lambda: part_fanout(tools, 10, n(40000)),
        "wrk": lambda: part_wrk(tools),
        "latency": lambda: part_latency(tools, 20),
        "idle": lambda: part_idle(tools),
        "million": lambda: part_million(tools, n(1000000)),
        "kill": lambda: part_kill(tools, n(5000)),
        "neighbours": lambda: part_neighbours(tools, n(1000000)),
        "methods": lambda: part_methods(tools, tools.scale),
    }
    result = {}
    for part in parts:
        if not tools.json:
            print(f"... {part}", file=sys.stderr)
        result[part] = run[part]()
    if result.get("wrk"):
        result["ratio_to_wrk"] = {
            part: round(result[part]["cpu_us_per_delivery"] / result["wrk"]["cpu_us_per_request"], 2)
            for part in ("fanout1", "fanout10")
            if part in result
        }
    print(json.dumps(result)) if tools.json else show(result)
    return 1 if any(result.get(part, {}).get("missed") for part in ("neighbours", "methods")) else 0


if __name__ == "__main__":
    sys.exit(main())
