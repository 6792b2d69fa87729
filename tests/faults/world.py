"""
What a scenario plays in: an engine that may die under its hands, a receiver, and a ledger of what was promised.

A scenario is a list of steps. A step that is cut off by the engine's death is done again after the restart, as a caller does
who never got an answer; so every step can be repeated. What was answered once must be answered so again.
"""

import http.client
import json
import shutil
import signal
import sqlite3
import struct
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from harness.api import Api  # noqa: E402
from harness.process import BINARY, Bellhop, small_world  # noqa: E402
from harness.receiver import Receiver, perform, reply  # noqa: E402
from harness.waiting import wait_for  # noqa: E402

OK = reply(200, b"ok")
FLIGHT_MAGIC = b"\x02bhfflgt"
START_AT_MOST = 5.0  # seconds until a restarted engine listens; it takes a twentieth of one when the machine has time

SETTINGS = {
    "retry_schedule": "100ms,100ms,100ms",
    "overload_floor": "100ms",
    "total_timeout": "5s",
    "probe_first": "100ms",
    "probe_max": "200ms",
}


class Interrupted(Exception):
    """The engine died at a fault point while a step was under way."""


class Caller(Api):
    """A client of the API that knows what a broken connection means here."""

    def __init__(self, world):
        super().__init__(world.engine.url, world.engine.key)
        self.world = world

    def request(self, *arguments, **more):
        try:
            return super().request(*arguments, **more)
        except (OSError, http.client.HTTPException, AttributeError) as trouble:  # the last: http.client, of a socket that it gave up
            self.world.must_have_died(trouble)


class Death:
    """What a killed engine left: read from a copy, so that looking changes nothing."""

    def __init__(self, at, point, flight, database):
        self.at, self.point, self.flight, self.database = at, point, flight, database


class World:
    """`folder` holds a data folder in var/ already, or is empty for a first start."""

    def __init__(self, folder, settings, fault=None, log=None):
        self.folder = Path(folder)
        self.fault, self.log = fault, log
        self.engine = Bellhop(self.folder, settings={**SETTINGS, **settings})
        self.receiver = Receiver(script=self._answer)
        self.scripts = {}  # webhook's name -> step or script
        self.webhooks = {}  # name -> id
        self.answers = {}  # key of a call -> what was answered first
        self.calls = {}  # key of a call -> how to make it again
        self.batches = []  # lists of keys that came in one call
        self.deaths = []
        self.started_in = []
        self.armed = False

    # --- Life and death ---------------------------------------------------------------------

    @property
    def is_up(self):
        return self.engine.process is not None

    def start(self, armed=False):
        """Starts the engine, and waits until it listens. An armed one dies at the fault, and may do so at once."""
        self.armed = armed
        environment = {}
        if armed and self.fault:
            environment["BH_FAULT"] = self.fault
        if armed and self.log:
            environment["BH_FAULT_LOG"] = str(self.log)
        began = time.monotonic()
        address, key = self.engine.data / "address", self.engine.data / "site.key"
        address.unlink(missing_ok=True)  # a killed one leaves it
        self.engine.spawn(environment)
        self.until(lambda: address.exists() and address.read_text().strip() and key.exists(), "the engine to listen")
        self.engine.url, self.engine.key = address.read_text().strip(), key.read_text().strip()
        self.site = self.engine.site = Caller(self)
        self.until(lambda: self.site.get("/readyz").status == 200, "the engine to be ready")
        if not armed:
            self.started_in.append(time.monotonic() - began)

    def look_for_death(self):
        if self.engine.process is not None and self.engine.process.poll() is not None:
            self.must_have_died("it is gone")

    def must_have_died(self, trouble):
        """Called when the engine does not answer: it was killed at the fault, or that is a failure."""
        code = self.engine.process.wait(20) if self.engine.process else None
        self.engine.process = None
        said = self.engine.log_file.read_text(errors="replace")
        point = next((line.split(" at ", 1)[1] for line in said.splitlines() if line.startswith("fault: killed at ")), None)
        assert code == -signal.SIGKILL and point and self.armed, f"{trouble}; the engine ended with {code}:\n{said[-6000:]}"
        self.note_death(point)
        raise Interrupted(point)

    def kill(self):
        """As a power cut takes it, without a fault point."""
        self.engine.kill()
        self.note_death("kill -9")

    def note_death(self, point):
        copy = self.folder / f"death.{len(self.deaths) + 1}"
        shutil.copytree(self.engine.data, copy)
        self.deaths.append(Death(time.monotonic(), point, read_flight(copy / "flight"), copy / "bellhop.db"))

    def stop(self):
        """SIGTERM, and an end with 0."""
        process = self.engine.process
        process.send_signal(signal.SIGTERM)
        if process.wait(40) == -signal.SIGKILL:
            self.must_have_died("killed while it stopped")
        self.engine.process = None
        assert process.returncode == 0, f"ended with {process.returncode}:\n{self.engine.log_file.read_text()[-6000:]}"

    def close(self):
        if self.engine.process is not None:
            self.engine.process.kill()
            self.engine.process.wait()
            self.engine.process = None
        self.receiver.stop()

    def until(self, condition, what, within=20.0):
        def reached():
            self.look_for_death()
            return condition()

        return wait_for(reached, what, within, every=0.03)  # engines and receivers of other trials want to live, too

    # --- The receiver -----------------------------------------------------------------------

    def _answer(self, exchange):
        perform(self.scripts.get(name_of(exchange.request), OK), exchange)

    def requests(self, name):
        return [request for request in list(self.receiver.requests) if name_of(request) == name]

    # --- What a scenario does; each may be repeated --------------------------------------------

    def call(self, key, make):
        """A call with an idempotency key: whenever it is made again, the answer is the same."""
        answer = make(self.site).ok(202)
        assert self.answers.setdefault(key, answer) == answer, f"{key}: answered {self.answers[key]} first, and {answer} now"
        self.calls[key] = make
        return answer

    def send(self, key, property_uid=12, type="booking_added", data=None, **members):
        """One event; its key is the caller's id. Returns our id of it."""
        data = data or {"property_uid": property_uid, "contract_uid": int(key.rsplit("-", 1)[1]), "room_uid": 3}
        return self.call(key, lambda site: site.hand_over(type, data, id=key, **members))["id"]

    def send_batch(self, *keys, property_uid=12):
        """Several events in one call: all of them are kept, or none."""
        lines = "\n".join(
            json.dumps({"type": "booking_added", "id": key, "data": {"property_uid": property_uid, "contract_uid": int(key.rsplit("-", 1)[1])}})
            for key in keys
        )
        if keys not in self.batches:
            self.batches.append(keys)
        answer = self.call(keys[0], lambda site: site.post("/v1/events", body=lines, content_type="application/x-ndjson"))
        return [event["id"] for event in answer["events"]]

    def webhook(self, name, script=None, manager="7", **more):
        """A webhook with that name, made unless it is there: who got no answer looks before he makes another."""
        if script:
            self.scripts.setdefault(name, script)
        there = [row for row in self.site.walk("/v1/webhooks", limit=100) if row["name"] == name]
        row = there[0] if there else self.site.webhook(self.receiver.url(f"/{name}/hook"), manager, name=name, **more)
        self.webhooks[name] = row["id"]
        return row

    def path(self, name, more=""):
        return f"/v1/webhooks/{self.webhooks[name]}{more}"

    def patch(self, name, **members):
        return self.site.patch(self.path(name), json=members).ok(200)

    def deliveries(self, name=None, state=None, event=None):
        filters = [f"webhook_id={self.webhooks[name]}"] if name else []
        filters += [f"state={state}"] if state else []
        filters += [f"event_id={event}"] if event else []
        return self.site.walk("/v1/deliveries?" + "&".join(filters), limit=100)

    def until_delivered(self, name, count):
        self.until(lambda: len(self.deliveries(name, "delivered")) >= count, f"{count} deliveries of {name} to be delivered")

    def settle(self, may_stay=()):
        """Nothing waits any more but what the scenario leaves waiting."""

        def settled():
            return all(row["webhook_id"] in {self.webhooks.get(name) for name in may_stay} for row in self.deliveries(state="pending"))

        self.until(settled, "every delivery to end", within=40)

    def repeat_calls(self):
        for key, make in list(self.calls.items()):
            self.call(key, make)


def name_of(request):
    return request.target.split("/")[1]


def read_flight(path):
    """The deliveries that were under way, as a killed engine has noted them."""
    if not path.exists():
        return set()
    data = path.read_bytes()
    if data[:8] != FLIGHT_MAGIC:
        return set()
    return {delivery for attempt, delivery in struct.iter_unpack("<qq", data[8 : 8 + (len(data) - 8) // 16 * 16]) if delivery > 0}


def rows(database, sql, *values):
    """What a query finds, as dictionaries. Opening a killed engine's copy replays its log, as the next start would."""
    with sqlite3.connect(database) as db:
        db.row_factory = sqlite3.Row
        found = [dict(row) for row in db.execute(sql, values)]
    db.close()
    return found


def make_template(folder, settings):
    """A data folder with the small world in it, from which every trial begins."""
    engine = Bellhop(folder, settings={**SETTINGS, **settings}).start()
    small_world(engine)
    assert engine.stop() == 0
    return engine.data


def survived(world, step):
    try:
        step(world)
    except Interrupted:
        return False
    return True


def started_step(step):
    def start_and_do(world):
        if not world.is_up:
            world.start()
        step(world)

    return start_and_do


def run_steps(world, arm, steps):
    """Arms the engine, does the steps in turn, and again whatever its death cut off."""
    survived(world, arm)
    for step in steps:
        while not survived(world, started_step(step)):
            pass
