"""The OAuth2 server of oauth_server.py as a process of its own, seen from a test."""

import json
import subprocess
import sys
from pathlib import Path

import requests

from .waiting import wait_for


class OAuthServer:
    def __init__(self, folder, clients):
        self.errors = folder / "oauth_server.stderr"
        with open(self.errors, "wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "harness.oauth_server"], cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
            )
        self.process.stdin.write(json.dumps(clients))
        self.process.stdin.close()
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.errors.read_text()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def change(self, **order):
        requests.post(f"{self.url}/control", json=order, timeout=10).raise_for_status()

    def _told(self, what):
        return requests.get(f"{self.url}/control", timeout=10).json()[what]

    @property
    def token_requests(self):
        return self._told("token_requests")

    @property
    def hooks(self):
        return self._told("hooks")

    @property
    def tokens(self):
        return self._told("tokens")

    def wait_hooks(self, count, within=20.0):
        return wait_for(lambda: (found := self.hooks) and len(found) >= count and found, f"{count} requests at /hook", within)
