"""The real binary, the load driver and the sink, as the parts of the benchmark use them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

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

    def cpu_exactly(self):
        """Seconds as the scheduler counts them, not in ticks: the kernel's CPU clock of another process (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

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
        self.remove()

    def remove(self):
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
