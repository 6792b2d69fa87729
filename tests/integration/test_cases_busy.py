"""Cases from the field: sqlite-busy. Another program holds the database while events come in and go out."""

import collections
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from harness.feeding import Feeder
from harness.process import attempts_of, small_world, the_delivery, wait_state
from harness.waiting import wait_for

PER_SECOND = 20

# Another program: takes the write lock, says so, and keeps it for a while, or until it is told to let go.
HOLDER = """
import select, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
select.select([sys.stdin], [], [], float(sys.argv[2]))
db.execute("ROLLBACK")
"""


def booking(n):
    return {"property_uid": 12, "contract_uid": n}


def hold(bellhop, seconds):
    command = [sys.executable, "-c", HOLDER, str(bellhop.data / "bellhop.db"), str(seconds)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    return holder


def let_go(holder):
    holder.stdin.close()
    gone(holder)


def gone(holder):
    holder.wait(60)
    holder.stdin.close()
    holder.stdout.close()


@pytest.fixture
def scene(install, scripted):
    """A webhook whose receiver takes 100 ms for each request."""

    class Scene:
        pass

    scene = Scene()
    scene.bellhop = install().start()
    scene.site = small_world(scene.bellhop)
    scene.receiver = scripted("request: wait 100ms; reply 200")
    scene.site.webhook(scene.receiver.url())
    return scene


def all_arrived_once(scene, feeder):
    """Every accepted event arrives, is delivered at its first attempt, and not twice; nothing that was refused goes out."""
    wait_for(lambda: set(feeder.accepted) <= set(scene.receiver.ids), "every accepted event to arrive", within=60)
    for event in feeder.accepted:
        [delivery] = wait_state(scene.bellhop.site, event, "delivered", within=60)
        assert delivery["attempts"] == 1, attempts_of(scene.bellhop.site, delivery["id"])
    assert collections.Counter(scene.receiver.ids) == collections.Counter(feeder.accepted)


def test_sqlite_busy_for_three_seconds(scene):
    """sqlite-busy: held for 3 s, then by one that is killed: everything is accepted, perhaps slowly."""
    with Feeder(scene.site, PER_SECOND, booking) as feeder:
        wait_for(lambda: len(feeder.accepted) > 5, "the first events")
        gone(hold(scene.bellhop, 3))
        after = len(feeder.handed)
        killed = hold(scene.bellhop, 60)
        time.sleep(0.5)
        killed.send_signal(signal.SIGKILL)
        gone(killed)
        wait_for(lambda: len(feeder.handed) > after + PER_SECOND, "events to be taken after that")
    assert feeder.refused == []
    assert max(handed.answer.took for handed in feeder.handed) > 2, "the database was not held at all"
    all_arrived_once(scene, feeder)


def test_sqlite_busy_for_longer_than_the_engine_waits(scene):
    """
    sqlite-busy: held for longer than the store waits: 503 with Retry-After, and no 202 without a durable row.

    The results of what was under way are kept and written later: nothing goes out twice, also not after a kill right then.
    """
    bellhop, receiver = scene.bellhop, scene.receiver
    with Feeder(scene.site, PER_SECOND, booking) as feeder:
        wait_for(lambda: len(receiver.requests) > 5, "the first events to go out")
        holder = hold(bellhop, 120)  # the store waits 5 s for another program, or more on a busy machine
        told = wait_for(lambda: feeder.refused, "the store to be reported busy", within=60)
        let_go(holder)
        accepted = len(feeder.accepted)
        wait_for(lambda: len(feeder.accepted) > accepted + PER_SECOND, "events to be taken again")
    for refusal in [*told, *feeder.refused]:
        refusal.problem(503)
        assert int(refusal.headers["Retry-After"]) > 0
    all_arrived_once(scene, feeder)
    assert wait_for(lambda: bellhop.site.get("/readyz").status == 200, "the engine to be ready")
    bellhop.kill()
    bellhop.start()
    for event in feeder.accepted:
        assert the_delivery(bellhop.site, event)["state"] == "delivered"


def test_sqlite_busy_and_killed_meanwhile(scene):
    """sqlite-busy, crash-after-send: the engine is killed while the database is held. Nobody had a 202 without a durable row."""
    bellhop = scene.bellhop
    before = [scene.site.send("booking_added", booking(n)) for n in range(5)]
    holder = hold(bellhop, 2)
    with Feeder(scene.site, 50, lambda n: booking(100 + n), may_break=True) as feeder:
        wait_for(lambda: bellhop.site.get("/healthz").status == 200, "the engine to be alive")
        time.sleep(0.5)
        bellhop.kill()
    assert feeder.accepted == [] and len(feeder.trouble) > 5
    gone(holder)
    bellhop.start()
    for event in before:
        wait_state(bellhop.site, event, "delivered")


def test_sqlite_busy_readers_backup_and_vacuum(scene):
    """sqlite-busy: a long reader, an online backup and a VACUUM: all events are taken and go out once; the copy is whole."""
    path = scene.bellhop.data / "bellhop.db"
    copy = scene.bellhop.folder / "copy.db"
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    with Feeder(scene.site, PER_SECOND, booking) as feeder:
        wait_for(lambda: len(feeder.accepted) > 5, "the first events")
        reader.execute("BEGIN")
        seen = reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()

        with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
            source.backup(target, pages=8, sleep=0.02)
        source.close()
        assert target.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        target.close()

        def vacuumed():
            other = sqlite3.connect(path, timeout=2, isolation_level=None)
            try:
                other.execute("VACUUM")
                return True
            except sqlite3.OperationalError:
                return False  # it was not its turn: the other program's business
            finally:
                other.close()

        wait_for(vacuumed, "the other program's VACUUM", within=30)
        before = len(feeder.accepted)
        wait_for(lambda: len(feeder.accepted) > before + PER_SECOND, "events to be taken after that")
        assert reader.execute("SELECT count(*) FROM sqlite_schema").fetchone() == seen
        reader.execute("ROLLBACK")
    reader.close()
    assert feeder.refused == []
    all_arrived_once(scene, feeder)
