#!/usr/bin/env python3
"""
What `./dev run` does once Bellhop is built.

On the first start the main job happens before your eyes: a receiver is started, then Bellhop; manager 7 of the
properties 12 and 13 gets a webhook that leads to the receiver; the events of one guest booking are handed over; a table shows
what arrived. Then both stay up. A later start keeps the data and starts the same receiver again.

Only commands of the bellhop binary are used, so everything shown can be typed by hand.
"""

import argparse
import base64
import contextlib
import fcntl
import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINARY = ROOT / "build" / "src" / "bellhop"
EVENTS = ROOT / "tests" / "fixtures" / "guest_booking.ndjson"
PATIENCE = 20.0  # seconds for anything that takes milliseconds when all is well


class Failed(Exception):
    """The reason why the main job did not succeed, for the person who reads it."""


def say(text=""):
    print(text, flush=True)


def near(path):
    """A path as it is called in this folder."""
    path = path.resolve()
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def shown(path):
    return shlex.quote(near(path))


def wait_for(condition, what, patience=PATIENCE):
    until = time.monotonic() + patience
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > until:
            raise Failed(f"waited {patience:g} s for {what}")
        time.sleep(0.005)


# --- What was started is stopped, by its own process id -----------------------------------------


class Started:
    """One process of ours. Its standard error goes to a file, whose end is shown when it ends by itself."""

    def __init__(self, name, arguments, log, stdout=None):
        self.name, self.log = name, log
        with open(log, "ab") as stderr:
            self.log_begins = stderr.seek(0, os.SEEK_END)
            # A group of its own: Ctrl-C reaches us alone, and we stop things in the right order.
            self.process = subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, process_group=0)

    def alive(self):
        return self.process.poll() is None

    def check(self):
        if not self.alive():
            said = self.log.read_bytes()[self.log_begins :].decode(errors="replace")
            raise Failed(f"{self.name} ended with {self.process.returncode}:\n" + "\n".join(said.splitlines()[-8:]))

    def stop(self):
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(35)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


# --- The demonstration's own memory -------------------------------------------------------------


class Scene:
    """
    What the demonstration has to remember between starts, in <data>/demo.json: the receiver's port and secret, and
    which webhook leads there.
    """

    def __init__(self, data):
        self.file = data / "demo.json"
        self.existed = self.file.exists()
        self.foreign = not self.existed and (data / "bellhop.db").exists()
        if self.existed:
            kept = json.loads(self.file.read_text())
        else:
            kept = {"port": None, "secret": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(), "webhook": None}
        self.port, self.secret, self.webhook = kept["port"], kept["secret"], kept["webhook"]

    def keep(self):
        text = json.dumps({"port": self.port, "secret": self.secret, "webhook": self.webhook})
        with open(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text + "\n")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/webhooks"


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def refuse_if_running(data):
    """Two on one data folder: the second must not touch what belongs to the first."""
    with contextlib.suppress(FileNotFoundError), open(data / "bellhop.db.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"Bellhop runs on {shown(data)} already, as process {lock.read().strip()}: stop that one, or give another folder with --data") from None


# --- The receiver: `bellhop listen`, whose lines are kept ---------------------------------------


class Receiver(Started):
    def __init__(self, scene, data):
        address = data / "receiver.address"
        address.unlink(missing_ok=True)
        secret = data / "receiver.secret"
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(scene.secret + "\n")
        port = scene.port if scene.port and port_is_free(scene.port) else 0
        arguments = [BINARY, "listen", "--port", str(port), "--json", "--secret", f"@{secret}", "--print-address", address]
        super().__init__("the receiver (bellhop listen)", arguments, data / "receiver.log", stdout=subprocess.PIPE)
        self.arrived, self.changed = {}, threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        where = wait_for(lambda: self.check() or (address.exists() and address.read_text().strip()), "the receiver to listen")
        self.port = int(where.rstrip("/").rpartition(":")[2])

    def _read(self):
        for line in self.process.stdout:
            with contextlib.suppress(ValueError), self.changed:
                request = json.loads(line)
                self.arrived.setdefault(request["webhook_id"], request)
                self.changed.notify_all()

    def wait(self, ids):
        """Waits for all of these events; gives up when nothing new comes for a while."""
        with self.changed:
            until = time.monotonic() + PATIENCE
            while not ids <= set(self.arrived) and time.monotonic() < until:
                self.changed.wait(0.1)
            return {id: self.arrived[id] for id in ids if id in self.arrived}


# --- Bellhop itself -----------------------------------------------------------------------------


class Engine(Started):
    def __init__(self, data, port, allow):
        address = data / "address"
        address.unlink(missing_ok=True)
        arguments = [BINARY, "serve", "--data", data, "--listen", f"127.0.0.1:{port}"]
        if allow:
            arguments += ["--set", "allow=" + ",".join(allow)]
        super().__init__("bellhop serve", arguments, data / "bellhop.log")
        self.data = data
        self.env = {name: value for name, value in os.environ.items() if name not in ("BELLHOP_URL", "BELLHOP_KEY")}  # of another Bellhop
        self.env["BELLHOP_DATA_DIR"] = str(data)
        self.url = wait_for(lambda: self.check() or (address.exists() and address.read_text().strip()), "Bellhop to listen")

    def run(self, *arguments, show=True):
        """A command of the binary, shown as it can be typed, then carried out."""
        if show:
            say("  $ bellhop " + shlex.join(str(word) for word in arguments if word != "--json"))
        done = subprocess.run(
            [BINARY, *arguments], cwd=ROOT, capture_output=True, text=True, env=self.env
        )
        if done.returncode != 0:
            raise Failed(f"bellhop {shlex.join(str(word) for word in arguments)} said: {done.stderr.strip()}")
        return done.stdout


def set_the_scene(engine, scene):
    engine.run("manager", "add", "7", "--name", "Ada")
    engine.run("property", "add", "12", "--manager", "7", "--name", "Sea View")
    engine.run("property", "add", "13", "--manager", "7", "--name", "Old Mill")
    secret = "@" + near(engine.data / "receiver.secret")
    made = engine.run("webhook", "add", "--manager", "7", "--name", "demo receiver", "--url", scene.url, "--secret", secret, "--json")
    scene.webhook = json.loads(made)["id"]
    scene.keep()


def hand_over(engine, receiver, scene):
    """Hands the booking's events over and shows what arrived. Raises Failed unless all of it did, verified."""
    command = ["send", "--file", str(EVENTS.relative_to(ROOT))]
    say("  $ bellhop " + shlex.join(command))
    events = [entry["id"] for entry in json.loads(engine.run(*command, "--json", show=False))["events"]]
    names = [json.loads(line)["type"] for line in EVENTS.read_text().splitlines() if line.strip()]
    told = {id: [row for row in verdicts(engine, id) if row["webhook_id"] in (scene.webhook, None)] for id in events}
    expected = {id for id, rows in told.items() if any(row["delivery_id"] for row in rows)}
    arrived = receiver.wait(expected)

    say()
    say(f"  {'event':28} {'signature':10} {'from hand-off to arrival':>24}")
    for id, name in zip(events, names):
        if id in arrived:
            request = arrived[id]
            signature = "verified" if request["verified"] else request["signature"]
            say(f"  {name:28} {signature:10} {request['since_event_ms']:21.1f} ms")
        elif id in expected:
            say(f"  {name:28} {'-':10} {'did not arrive':>24}")
        else:
            say(f"  {name:28} for webhooks of the site only: it names no property" if not told[id] else f"  {name:28} {told[id][0]['sentence']}")
    say()
    verified = sum(request["verified"] for request in arrived.values())
    if not expected or verified < len(expected):
        raise Failed(f"of {len(expected)} deliveries {len(arrived)} arrived, {verified} of them with a good signature")
    say(f"All {verified} deliveries arrived, each with a good signature.")


def verdicts(engine, event):
    return json.loads(engine.run("explain", event, "--json", show=False))["data"]


def hints(engine, once):
    data = shown(engine.data)
    option = "" if data == "var" else f" --data-dir {data}"
    say()
    say(f"The API is at {engine.url}, its key in {data}/site.key, the log in {data}/bellhop.log.")
    say("It stops now, and its data stays. Without --once it goes on running; then try" if once else "Try next, in a second terminal:")
    say()
    say(f"  curl -H \"Authorization: Bearer $(cat {data}/site.key)\" '{engine.url}/v1/deliveries?limit=3'")
    say(f"  build/src/bellhop send booking_added --property 12 --wait{option}")


def prepare(given):
    """Whatever could be in the way is found before anything is started or changed."""
    data = given.data.resolve()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_if_running(data)
    except OSError as error:
        raise Failed(f"cannot use the data folder {shown(data)}: {error.strerror}") from None
    if given.port and not port_is_free(given.port):
        raise Failed(f"port {given.port} is taken by another program: choose one with --port, or 0 for any that is free")
    return data


def start(given, started):
    data = prepare(given)
    scene = Scene(data)
    if scene.foreign and given.once:
        raise Failed(f"{shown(data)} holds data that ./dev run did not make: give a folder of its own with --data")

    receiver = None
    if not scene.foreign:
        receiver = Receiver(scene, data)
        started.append(receiver)
        old_port, scene.port = scene.port, receiver.port
        if not scene.existed:
            scene.keep()
    engine = Engine(data, given.port, [*given.allow, *([f"127.0.0.1:{scene.port}"] if receiver else [])])
    started.append(engine)

    if receiver is None:
        say(f"{shown(data)} holds data that ./dev run did not make: it is served as it is, without a demonstration.")
    elif scene.webhook is None:
        say(f"First start: a manager, two properties and a webhook to a receiver at {scene.url}")
        set_the_scene(engine, scene)
        hand_over(engine, receiver, scene)
    else:
        say(f"The data of {shown(data)} is kept; the receiver of the demonstration listens again at {scene.url}")
        if scene.port != old_port:
            say(f"(its port {old_port} is taken by something else, so the webhook is pointed to the new one)")
            engine.run("webhook", "set", scene.webhook, "--url", scene.url)
            scene.keep()
        if given.once:
            hand_over(engine, receiver, scene)
    return engine


def port_number(text):
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is no port: a number from 0 to 65535')
    return int(text)


def main():
    parser = argparse.ArgumentParser(prog="./dev run", description="Starts Bellhop and shows what it does.")
    parser.add_argument("--port", type=port_number, default=8380, metavar="N", help="of the API (8380); 0 takes one that is free")
    parser.add_argument("--data", type=Path, default=ROOT / "var", metavar="DIR", help="where database, keys and logs are kept (var)")
    parser.add_argument("--allow", action="append", default=[], metavar="HOST:PORT", help="a receiver of yours in a private network or on this machine; may be given several times")
    parser.add_argument("--once", action="store_true", help="show it, stop, and end with 0 if all arrived, else 1")
    given = parser.parse_args()

    def leave(*_):
        raise KeyboardInterrupt

    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, leave)
    started = []
    try:
        engine = start(given, started)
        hints(engine, given.once)
        if given.once:
            return 0
        say()
        say("Ctrl-C stops everything.")
        while True:
            for one in started:
                one.check()
            time.sleep(0.5)
    except Failed as reason:
        print(f"dev run: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("\nStopping ...")
        return 0 if not given.once else 1
    finally:
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, signal.SIG_IGN)  # what stops must be left to stop
        for one in reversed(started):
            one.stop()


if __name__ == "__main__":
    sys.exit(main())
