#!/usr/bin/env python3
"""Bellhop's benchmark: the real binary, a load driver and a sink, everything in one run on one machine.

    ./dev bench              all parts, as a table
    ./dev bench --json       the same as one JSON object
    ./dev bench --only fanout1,latency
    ./dev bench --scale 0.1  a tenth of the events: a look, not a measurement

CPU figures are user + system time of the whole bellhop process, divided by the deliveries made. Machines are noisy:
compare the ratio to wrk, which posts to the same sink in the same run.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, condition, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.002)
    raise SystemExit(f"bench: waited {seconds} s for {what}")


class Bellhop:
    """One `bellhop serve` with a data folder of its own."""

    def __init__(self, binary, *settings, data=None):
        self.binary = binary
        self.settings = settings
        self.data = data or tempfile.mkdtemp(prefix="bellhop-bench-")
        self.process = None

    def start(self, listen="127.0.0.1:0"):
        address = os.path.join(self.data, "address")
        if os.path.exists(address):
            os.unlink(address)
        began = time.monotonic()
        command = [self.binary, "serve", "--data", self.data, "--listen", listen, "--set", "log_level=error"]
        for setting in self.settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(command)
        self.url = wait_for("the API", lambda: self.read("address"))
        self.key = self.read("site.key")
        wait_for("readiness", self.is_ready)
        self.started_ms = (time.monotonic() - began) * 1000
        return self

    def read(self, name):
        try:
            with open(os.path.join(self.data, name)) as f:
                return f.read().strip()
        except FileNotFoundError:
            return None

    def is_ready(self):
        try:
            return urllib.request.urlopen(self.url + "/readyz", timeout=5).status == 200
        except OSError:
            return False

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def call(self, method, path, body=None, content_type="application/json"):
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        request.add_header("Authorization", "Bearer " + self.key)
        if data is not None:
            request.add_header("Content-Type", content_type)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def set_up(self, sink_port, webhooks):
        self.call("PUT", "/v1/managers/7", {"name": "Bench"})
        self.call("PUT", "/v1/properties/12", {"name": "Bench", "managers": ["7"]})
        for i in range(webhooks):
            url = f"http://127.0.0.1:{sink_port}/hook/{i}"
            self.call("POST", "/v1/webhooks", {"manager_id": "7", "settings": {"url": url}, "events": ["*"]})

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory_mb(self, field="VmRSS"):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(field + r":\s+(\d+)", f.read()).group(1)) / 1024

    def metric(self, name):
        text = urllib.request.urlopen(self.url + "/metrics", timeout=10).read().decode()
        match = re.search("^" + re.escape(name) + r" (\S+)$", text, re.M)
        return float(match.group(1)) if match else 0.0

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.data, ignore_errors=True)


def drive_command(tools, bellhop, sink_port, *more):
    return [tools.load, "drive", "--api-port", str(bellhop.port), "--sink-port", str(sink_port), "--key", bellhop.key, *map(str, more)]


def drive(tools, bellhop, sink_port, *more):
    done = subprocess.run(drive_command(tools, bellhop, sink_port, *more), stdout=subprocess.PIPE, text=True)
    if not done.stdout:
        raise SystemExit("bench: the load driver gave up")
    return json.loads(done.stdout)


def allow(port):
    return f"allow=127.0.0.1:{port}"


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


PARTS = ["fanout1", "fanout10", "wrk", "latency", "idle", "million", "kill"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="where the release build lies")
    parser.add_argument("--only", help="comma list of: " + ", ".join(PARTS))
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of events")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    tools = parser.parse_args()
    tools.binary = os.path.join(tools.build, "src", "bellhop")
    tools.load = os.path.join(tools.build, "bench", "bellhop-load")

    parts = tools.only.split(",") if tools.only else PARTS
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


if __name__ == "__main__":
    main()
