"""
The misbehaving receiver as a process of its own (tests/receiver/): what it does stands in a scenario, what arrived is read here.

    scripted("request 1-5 per 2s: reply 200 \n request: reply 429 'Retry-After: 2'")      # the fixture; see its --help
    receiver.requests        as those of harness.receiver: id, one(name), all(name), body, at, wall, number, connection, target
    receiver.say("refuse")   a command, in effect when this returns
"""

import base64
import json
import os
import select
import subprocess
import sys
import threading

from .process import ROOT
from .waiting import wait_for


class Arrived:
    """A request as the program told of it."""

    def __init__(self, told):
        self.told = told
        self.number, self.connection, self.at, self.wall = told["request"], told["connection"], told["at"], told["wall"]
        self.method, self.target, self.version, self.rule = told["method"], told["target"], told["version"], told["rule"]
        self.headers = [tuple(pair) for pair in told["headers"]]
        text = told.get("body")
        self.body = text.encode() if text is not None else base64.b64decode(told.get("body_base64", ""))

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name):
        values = self.all(name)
        assert len(values) == 1, f"expected one header {name}, got {values} in {self.headers}"
        return values[0]

    @property
    def id(self):
        return self.one("webhook-id")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<request {self.number} on connection {self.connection}: {self.method} {self.target} {self.body[:80]!r}>"


class Scripted:
    def __init__(self, scenario="", folder=None, host="127.0.0.1", port=0, seed=1):
        file = folder / "scenario.txt"
        file.write_text(scenario)
        self._told, self._requests, self._heads = [], [], []
        self._rest, self._lock = b"", threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.receiver", "--control", "--host", host, "--port", str(port), "--seed", str(seed), str(file)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        os.set_blocking(self.process.stdout.fileno(), False)
        self._reader = threading.Thread(target=self._go_on_reading, daemon=True)
        self._reader.start()
        self.address = wait_for(lambda: self.of_kind("listening") or self._ended(), "the receiver to listen")[0]["address"]
        self.host, _, port = self.address.rpartition(":")
        self.port = int(port)

    def _ended(self):
        assert self.process.poll() is None, f"the receiver ended with {self.process.returncode}: is the scenario right?"

    # The program tells of a request before it answers. Whoever looks here reads what was told by then himself: so a request
    # that Bellhop has its answer to is seen for sure, however slow the thread is that keeps the pipe from filling up.

    def _go_on_reading(self):
        fd = self.process.stdout.fileno()
        while True:
            select.select([fd], [], [])
            if not self._read():
                return

    def _read(self):
        """Reads what is there. False: and there will be no more."""
        with self._lock:
            while True:
                try:
                    data = os.read(self.process.stdout.fileno(), 1 << 16)
                except BlockingIOError:
                    return True
                except (OSError, ValueError):
                    return False  # it was closed
                if not data:
                    return False
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    self._take(json.loads(line))

    def _take(self, told):
        if told["event"] == "request":
            self._requests.append(Arrived(told))
        elif told["event"] == "head":
            self._heads.append(Arrived(told))
        self._told.append(told)

    @property
    def told(self):
        """Everything, in order."""
        self._read()
        return list(self._told)

    @property
    def requests(self):
        self._read()
        return list(self._requests)

    @property
    def heads(self):
        self._read()
        return list(self._heads)

    def url(self, path="/hook", scheme="http"):
        return f"{scheme}://{self.address}{path}"

    def of_kind(self, event):
        return [told for told in self.told if told["event"] == event]

    @property
    def connections(self):
        return len(self.of_kind("connection"))

    @property
    def open_connections(self):
        return self.connections - len(self.of_kind("closed"))

    def answered_at(self):
        """When each request (by its number) had its answer. Waits for the last: it is told of after the answer went out."""

        def all_told():
            answered = {told["request"]: told["at"] for told in self.of_kind("answered")}
            return answered if all(request.number in answered for request in self.requests) else None

        return wait_for(all_told, "the receiver to have answered all")

    @property
    def ids(self):
        return [request.id for request in self.requests]

    @property
    def bodies(self):
        return [request.body for request in self.requests]

    def of(self, event_id):
        return [request for request in self.requests if request.id == event_id]

    def say(self, command):
        """Gives one command and waits until it is in effect."""
        before = len(self.of_kind("done")) + len(self.of_kind("wrong"))
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        wait_for(lambda: len(self.of_kind("done")) + len(self.of_kind("wrong")) > before or self._ended(), f"the receiver to follow {command!r}")
        assert not self.of_kind("wrong"), self.of_kind("wrong")

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(10)
        self._reader.join(5)
        self.process.stdout.close()
