"""
The misbehaving receiver as a process of its own (tests/receiver/): what it does stands in a scenario, what arrived is read here.

    scripted("request 1-5 per 2s: reply 200 \n request: reply 429 'Retry-After: 2'")      # the fixture; see its --help
    receiver.requests        as those of harness.receiver: id, one(name), all(name), body, at, wall, number, connection, target
    receiver.say("refuse")   a command, in effect when this returns
"""

import base64
import json
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
        self.told = []  # everything, in order
        self.requests, self.heads = [], []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.receiver", "--control", "--host", host, "--port", str(port), "--seed", str(seed), str(file)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.address = wait_for(lambda: self.of_kind("listening") or self._ended(), "the receiver to listen")[0]["address"]
        self.host, _, port = self.address.rpartition(":")
        self.port = int(port)

    def _ended(self):
        assert self.process.poll() is None, f"the receiver ended with {self.process.returncode}: is the scenario right?"

    def _read(self):
        for line in self.process.stdout:
            told = json.loads(line)
            if told["event"] == "request":
                self.requests.append(Arrived(told))
            elif told["event"] == "head":
                self.heads.append(Arrived(told))
            self.told.append(told)

    def url(self, path="/hook", scheme="http"):
        return f"{scheme}://{self.address}{path}"

    def of_kind(self, event):
        return [told for told in list(self.told) if told["event"] == event]

    @property
    def connections(self):
        return len(self.of_kind("connection"))

    @property
    def open_connections(self):
        return self.connections - len(self.of_kind("closed"))

    def answered_at(self):
        """When each request (by its number) had its answer."""
        return {told["request"]: told["at"] for told in self.of_kind("answered")}

    @property
    def ids(self):
        return [request.id for request in list(self.requests)]

    @property
    def bodies(self):
        return [request.body for request in list(self.requests)]

    def of(self, event_id):
        return [request for request in list(self.requests) if request.id == event_id]

    def say(self, command):
        """Gives one command and waits until it is in effect."""
        before = len(self.of_kind("done")) + len(self.of_kind("wrong"))
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        wait_for(lambda: len(self.of_kind("done")) + len(self.of_kind("wrong")) > before or self._ended(), f"the receiver to follow {command!r}")
        assert not self.of_kind("wrong"), self.of_kind("wrong")

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(10)
        self.reader.join(5)
        self.process.stdout.close()
