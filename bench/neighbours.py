"""
What bad neighbours cost the healthy: one webhook whose receiver accepts and never answers, with a million deliveries waiting; fifty
whose receivers refuse the connection; and ten healthy ones that get 10 events a second each.

Two engines, one with the bad ones and one without, are measured in turn, round by round; the other one is stopped meanwhile
(SIGSTOP), so that neither disturbs. Both see the same load and the same noise of the machine.
"""

import os
import signal
import socket
import statistics
import threading
import time

from engine import Bellhop, drive, free_port

HEALTHY, DEAD = 10, 50
RATE = 10  # events a second for each healthy one
ROUNDS = 7
ROUND_SECONDS = 6
WAITING_A_DEAD_ONE = 200
SETTLE_SECONDS = 2  # after SIGCONT: what was due meanwhile
PROBES = ["probe_first=1s", "probe_max=10s"]  # or they would be left alone for nearly all of the measurement
P99_RATIO_GOAL = 1.2
MEMORY_GOAL_MB = 100


class Hanging:
    """Accepts, and never says a word."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                self.open.append(self.listener.accept()[0])
            except OSError:
                return

    def close(self):
        self.listener.close()
        for connection in self.open:
            connection.close()


def add_webhook(b, name, property, url):
    b.call("PUT", f"/v1/managers/{name}", {"name": name})
    b.call("PUT", f"/v1/properties/{property}", {"name": name, "managers": [name]})
    b.call("POST", "/v1/webhooks", {"manager_id": name, "name": name, "settings": {"url": url}, "events": ["*"]})


def hand_over(b, property, count):
    for first in range(0, count, 10000):
        line = '{"type":"booking_added","data":{"property_uid":%d,"contract_uid":%d,"note":"%s"}}'
        lines = [line % (property, first + i, "x" * 220) for i in range(min(10000, count - first))]
        b.call("POST", "/v1/events", "\n".join(lines).encode(), "application/x-ndjson")


def start(tools, sink_port, bad_ports):
    allowed = ",".join(f"127.0.0.1:{port}" for port in [sink_port, *bad_ports])
    b = Bellhop(tools.binary, f"allow={allowed}", *PROBES).start()
    for i in range(HEALTHY):
        add_webhook(b, f"h{i}", 100 + i, f"http://127.0.0.1:{sink_port}/hook/{i}")
    return b


def add_bad_ones(b, hanging, dead, waiting):
    add_webhook(b, "hangs", 900, f"http://127.0.0.1:{hanging}/")
    for i in range(DEAD):
        add_webhook(b, f"d{i}", 1000 + i, f"http://127.0.0.1:{dead}/{i}")
        hand_over(b, 1000 + i, WAITING_A_DEAD_ONE)
    hand_over(b, 900, waiting)


def cpu_us(b):
    """As exactly as the kernel knows it: 500 deliveries take a few ticks only."""
    tasks = f"/proc/{b.process.pid}/task"
    total = 0
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1000


def reads(b):
    """Bytes and calls that the process has read; the store's, mostly."""
    with open(f"/proc/{b.process.pid}/io") as f:
        facts = dict(line.split(": ") for line in f.read().splitlines())
    return int(facts["rchar"]), int(facts["syscr"])


def one_round(tools, b, sink_port):
    b.process.send_signal(signal.SIGCONT)
    time.sleep(SETTLE_SECONDS)
    before, (bytes_before, calls_before) = cpu_us(b), reads(b)
    result = drive(
        tools, b, sink_port, "--rate", HEALTHY * RATE, "--events", HEALTHY * RATE * ROUND_SECONDS, "--skip", HEALTHY * RATE, "--connections", 8,
        "--property", ",".join(str(100 + i) for i in range(HEALTHY)),
    )  # fmt: skip
    after, (bytes_after, calls_after) = cpu_us(b), reads(b)
    b.process.send_signal(signal.SIGSTOP)
    return {
        "p50": result["arrival_ms"]["p50"],
        "p99": result["arrival_ms"]["p99"],
        "acknowledged_p50": result["acknowledged_ms"]["p50"],
        "acknowledged_p99": result["acknowledged_ms"]["p99"],
        "cpu_us": (after - before) / result["deliveries"],
        "read_bytes": (bytes_after - bytes_before) / result["deliveries"],
        "read_calls": (calls_after - calls_before) / result["deliveries"],
        "lost": result["lost"],
    }


def summary(rounds):
    p99 = sorted(r["p99"] for r in rounds)
    return {
        **{name: round(statistics.median(r[name] for r in rounds), 3) for name in ("p50", "p99", "acknowledged_p50", "acknowledged_p99", "cpu_us", "read_bytes", "read_calls")},
        "p99_spread": [p99[0], p99[-1]],
        "lost": sum(r["lost"] for r in rounds),
    }


def part_neighbours(tools, waiting):
    sink_port, dead, hanging = free_port(), free_port(), Hanging()
    alone = start(tools, sink_port, [dead, hanging.port])
    among = start(tools, sink_port, [dead, hanging.port])
    add_bad_ones(among, hanging.port, dead, waiting)
    os.sync()  # or the disk is still busy with the million when the measurement begins
    time.sleep(3)
    rounds = {"without": [], "with": []}
    for b in (alone, among):
        b.process.send_signal(signal.SIGSTOP)
    for _ in range(ROUNDS):
        rounds["without"].append(one_round(tools, alone, sink_port))
        rounds["with"].append(one_round(tools, among, sink_port))
    memory, peak = among.memory_mb(), among.memory_mb("VmHWM")
    for b in (alone, among):
        b.process.send_signal(signal.SIGCONT)
    in_memory = int(among.metric("bellhop_window_deliveries"))
    alone.stop()
    among.kill()  # it would wait for those who never answer
    among.remove()
    hanging.close()
    return judged({
        "waiting": waiting, "rounds": ROUNDS, "without": summary(rounds["without"]), "with": summary(rounds["with"]),
        "memory_mb": round(memory, 1), "memory_peak_mb": round(peak, 1), "in_memory": in_memory,
    })  # fmt: skip


def judged(r):
    r["p99_ratio"] = round(r["with"]["p99"] / r["without"]["p99"], 2)
    r["cpu_ratio"] = round(r["with"]["cpu_us"] / r["without"]["cpu_us"], 2)
    r["missed"] = [
        what
        for what, missed in {
            f"p99 with bad neighbours is {r['p99_ratio']} times that without; goal {P99_RATIO_GOAL}": r["p99_ratio"] > P99_RATIO_GOAL,
            f"memory is {r['memory_mb']} MB; goal {MEMORY_GOAL_MB}": r["memory_mb"] >= MEMORY_GOAL_MB,
            "deliveries to healthy receivers were lost": r["with"]["lost"] + r["without"]["lost"] > 0,
        }.items()
        if missed
    ]
    return r


def show_neighbours(r, row):
    for which in ("without", "with"):
        f = r[which]
        row(f"healthy {which} bad neighbours: sent to arrival, ms p50", f["p50"])
        row("  ms p99 (median of the rounds)", f["p99"])
        row("  of which until acknowledged, ms p50 / p99", f"{f['acknowledged_p50']} / {f['acknowledged_p99']}")
        row("  ms p99, least and most of the rounds", f"{f['p99_spread'][0]} .. {f['p99_spread'][1]}")
        row("  CPU us per delivered delivery", f["cpu_us"])
        row("  bytes read per delivered delivery", round(f["read_bytes"]))
        row("  read calls per delivered delivery", round(f["read_calls"], 1))
    row("p99 with / without", r["p99_ratio"], f"goal {P99_RATIO_GOAL}")
    row("CPU with / without", r["cpu_ratio"], "unchanged")
    row(f"{r['waiting']} waiting: memory, MB", r["memory_mb"], f"goal {MEMORY_GOAL_MB}")
    row("  peak, MB", r["memory_peak_mb"])
    row("  of them in memory", r["in_memory"])
    for missed in r["missed"]:
        print(f"  GOAL MISSED: {missed}")
