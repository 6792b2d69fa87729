"""Cases from the field: crashes, full disks, and webhooks that go away under their deliveries. What is accepted is never lost."""

import collections
import json
import random
import sqlite3
import subprocess
import time

import pytest
from harness.process import attempts_of, small_world, the_delivery, wait_attempts, wait_state
from harness.receiver import dead_port, reply
from harness.waiting import never_during, wait_for

OK = reply(200, b"ok")


def booking(n, property_uid=12):
    return {"property_uid": property_uid, "contract_uid": n}


@pytest.mark.smoke
def test_crash_after_send(install, make_receiver):
    """
    crash-after-send: killed at random moments, eight times, with events coming in all the while.

    All that was answered with 202 arrives; extra copies only of what was in flight at a kill, or was answered so shortly before that
    its record was not on disk yet; with the same id and body, and every such attempt is visible.
    """
    chance = random.Random(20260101)
    in_flight = 4
    bellhop = install(settings={"in_flight_per_webhook": str(in_flight)}).start()
    site = small_world(bellhop)
    receiver = make_receiver(lambda e: (e.pause(0.02), e.send(OK)))
    site.webhook(receiver.url())
    accepted, killed_at = [], []
    for _ in range(8):
        kill_at = time.monotonic() + chance.uniform(0.05, 0.6)
        while time.monotonic() < kill_at and len(accepted) < 400:
            accepted.append(bellhop.site.send("booking_added", booking(len(accepted))))
        bellhop.kill()
        killed_at.append(time.monotonic())
        bellhop.start()

    wait_for(lambda: set(accepted) <= set(receiver.ids), "every accepted event to arrive", within=60)
    unknown = collections.Counter()
    for event in accepted:
        ended = wait_for(lambda: ended_delivery(bellhop.site, event), f"{event} to end")
        causes = [attempt["cause"] for attempt in attempts_of(bellhop.site, ended["id"])]
        unknown[event] = causes.count("crash")
        # In flight at three kills: set aside, as one that may be the cause of them. It did arrive.
        assert ended["state"] == "delivered" or (ended["state"] == "exhausted" and unknown[event] >= 3), (ended, causes)
    copies = collections.Counter(receiver.ids)
    last_before = {event: [request.at for request in receiver.of(event)][:-1] for event in accepted}
    for event in accepted:
        assert copies[event] - 1 <= unknown[event], f"{copies[event]} requests for {event}, but only {unknown[event]} attempts of unknown end"
        for at in last_before[event]:
            assert any(-0.5 < kill - at < 1.0 for kill in killed_at), "a copy without a kill shortly after the first"
        assert len({request.body for request in receiver.of(event)}) == 1


def ended_delivery(site, event):
    delivery = the_delivery(site, event)
    return delivery if delivery["state"] not in ("pending", "held") else None


@pytest.mark.smoke
def test_crash_right_after_the_202(install, make_receiver):
    """crash-after-send: killed the moment the caller has his 202, the event is there after the restart, and goes out."""
    bellhop = install().start()
    site = small_world(bellhop)
    receiver = make_receiver()
    site.webhook(receiver.url())
    for n in range(5):
        event = bellhop.site.send("booking_added", booking(n))
        bellhop.kill()
        bellhop.start()
        wait_state(bellhop.site, event, "delivered")
        assert event in receiver.ids


def test_crash_in_flight_is_sent_again_soon(install, make_receiver):
    """What was in flight when the process was killed is sent again at once after the restart, with the same webhook-id."""
    bellhop = install().start()
    site = small_world(bellhop)
    receiver = make_receiver(lambda e: e.hold())
    site.webhook(receiver.url())
    event = site.send()
    wait_for(lambda: receiver.requests, "the attempt to be under way")
    bellhop.kill()
    receiver.script = lambda e: e.send(OK)
    bellhop.start()
    wait_state(bellhop.site, event, "delivered", within=10)
    assert receiver.ids == [event, event]
    assert receiver.requests[0].body == receiver.requests[1].body


def test_crash_again_and_again_sets_the_delivery_aside(install, make_receiver):
    """crash-after-send: a delivery that is in flight at three unclean stops ends exhausted, cause crash; the rest goes on."""
    bellhop = install().start()
    site = small_world(bellhop)
    deadly, healthy = make_receiver(lambda e: e.hold()), make_receiver()
    site.webhook(deadly.url())
    site.webhook(healthy.url(), manager="8")
    event = site.send()
    wait_for(lambda: deadly.requests, "the attempt to be under way")
    kills = 0
    while the_delivery(bellhop.site, event)["state"] == "pending":
        kills += 1
        assert kills <= 5, "it is tried for ever"
        seen = len(deadly.requests)
        bellhop.kill()
        bellhop.start()
        wait_for(
            lambda: len(deadly.requests) > seen or the_delivery(bellhop.site, event)["state"] != "pending",
            "the delivery to be tried again, or to be set aside",
        )
    assert kills >= 3
    delivery = the_delivery(bellhop.site, event)
    assert delivery["state"] == "exhausted"
    assert "crash" in {attempt["cause"] for attempt in attempts_of(bellhop.site, delivery["id"])}
    other = bellhop.site.send("booking_added", booking(1, 21))
    wait_state(bellhop.site, other, "delivered")


# --- deleted-webhook-poison ---------------------------------------------------------------------


@pytest.fixture
def waiting_for_a_dead_receiver(install, make_receiver):
    """Fifty deliveries, each tried once in vain, of a webhook whose receiver is down."""

    class Scene:
        pass

    scene = Scene()
    scene.bellhop = install().start()
    scene.site = small_world(scene.bellhop)
    scene.receiver = make_receiver()
    scene.receiver.stop()
    scene.webhook = scene.site.webhook(scene.receiver.url())
    lines = "\n".join(json.dumps({"type": "booking_added", "data": booking(n)}) for n in range(50))
    answer = scene.site.post("/v1/events", body=lines, content_type="application/x-ndjson").ok(202)
    scene.events = [entry["id"] for entry in answer["events"]]
    wait_attempts(scene.site, the_delivery(scene.site, scene.events[0])["id"], 1)
    return scene


def states(scene):
    return collections.Counter(row["state"] for row in scene.bellhop.site.walk("/v1/deliveries", limit=100))


@pytest.mark.parametrize("what", ["the webhook", "its owner"])
def test_deleted_webhook_poison(waiting_for_a_dead_receiver, what):
    """deleted-webhook-poison (a, d): no request any more, the deliveries end cancelled, their history stays, a restart changes nothing."""
    scene = waiting_for_a_dead_receiver
    scene.site.delete(f"/v1/webhooks/{scene.webhook['id']}" if what == "the webhook" else "/v1/managers/7").ok(200, 204)
    # What was being sent at that very moment may still go out; the receiver comes back when that is through.
    wait_for(lambda: states(scene) == {"cancelled": 50}, "all fifty to be cancelled")
    scene.receiver.start_again()
    scene.bellhop.restart()
    never_during(lambda: scene.receiver.requests, "a removed webhook was called", 1.5)
    assert states(scene) == {"cancelled": 50}
    first = the_delivery(scene.bellhop.site, scene.events[0])
    assert first["reason"] and attempts_of(scene.bellhop.site, first["id"])
    assert " error " not in scene.bellhop.log


@pytest.mark.smoke
def test_deleted_webhook_poison_disabled_and_enabled(waiting_for_a_dead_receiver):
    """deleted-webhook-poison (b): nothing is sent while it is disabled; enabled again, all of it goes."""
    scene = waiting_for_a_dead_receiver
    path = f"/v1/webhooks/{scene.webhook['id']}"
    scene.site.patch(path, json={"enabled": False}).ok(200)
    scene.receiver.start_again()
    wait_for(lambda: states(scene) == {"held": 50}, "all fifty to be held")
    scene.bellhop.restart()
    never_during(lambda: scene.receiver.requests, "a disabled webhook was called", 1.5)

    scene.bellhop.site.patch(path, json={"enabled": True}).ok(200)
    wait_for(lambda: states(scene) == {"delivered": 50}, "all fifty to be delivered")
    assert sorted(scene.receiver.ids) == sorted(scene.events)


def test_deleted_webhook_poison_changed(waiting_for_a_dead_receiver, make_receiver):
    """deleted-webhook-poison (c): URL, secret and method are those of the moment of sending."""
    scene = waiting_for_a_dead_receiver
    place = make_receiver()
    secret = "whsec_+yBFao+02f4jSG2St9wBJktwlbrfBClOc5i94gcsUXY="
    settings = {"url": place.url(), "basic_username": "u", "basic_password": "p"}
    scene.site.post(f"/v1/webhooks/{scene.webhook['id']}/secret/rotate", json={"overlap": "0s", "secret": secret}).ok(200)
    scene.site.patch(f"/v1/webhooks/{scene.webhook['id']}", json={"method": "basic", "settings": settings}).ok(200)
    scene.receiver.start_again()

    wait_for(lambda: states(scene) == {"delivered": 50}, "all fifty to be delivered")
    assert scene.receiver.requests == []
    from harness.signing import assert_signed

    for request in place.requests:
        assert request.one("authorization") == "Basic dTpw"
        assert_signed(request, secret)


# --- wake-without-next --------------------------------------------------------------------------


@pytest.mark.smoke
def test_wake_without_next(site, receiver):
    """wake-without-next: a single event after a pause is sent at once; it does not lie there until the next one comes."""
    site.webhook(receiver.url())
    chance = random.Random(7)
    for n in range(150):
        time.sleep(chance.uniform(0, 0.03))
        event = site.send("booking_added", booking(n))
        wait_for(lambda: receiver.ids[-1:] == [event], f"event {n} to arrive by itself", within=3, every=0.002)


def test_wake_after_the_store_was_away(bellhop, site, receiver):
    """wake-without-next, sqlite-busy: another program holds the database for a while; afterwards all goes on without a restart."""
    site.webhook(receiver.url())
    try:
        other = sqlite3.connect(bellhop.data / "bellhop.db", timeout=0.2, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        pytest.skip("the engine holds the database for itself: nobody can take it away")
    started = time.monotonic()
    while time.monotonic() - started < 2:
        answer = site.hand_over("booking_added", booking(1))
        assert answer.status in (202, 503), answer.body
        if answer.status == 202:
            break
    other.execute("ROLLBACK")
    other.close()

    def accepted():
        answer = site.hand_over("booking_added", booking(2))
        assert answer.status in (202, 503)
        return answer.json["id"] if answer.status == 202 else None

    event = wait_for(accepted, "the store to take events again")
    wait_for(lambda: event in receiver.ids, "the event to arrive without a restart")


# --- disk-full-ingest ---------------------------------------------------------------------------


def fill_up(site, start):
    """Hands events over until the first refusal; returns the ids of those that were accepted, and the refusal."""
    accepted = []
    for n in range(start, start + 2000):
        answer = site.hand_over("booking_added", json.dumps({**booking(n), "fill": "x" * 20_000}))
        if answer.status == 202:
            accepted.append(answer.json["id"])
        else:
            return accepted, answer
    raise AssertionError("the disk never got full")


@pytest.mark.own_namespace("mount")
def test_disk_full_ingest(install, make_receiver, tmp_path):
    """
    disk-full-ingest: no 202 for what is not stored; reading goes on; room again, and it resumes by itself; nothing is damaged.

    The data folder is a small file system of its own, with a ballast file on it that is removed later.
    """
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], check=True)
    bellhop = install(name="small/bellhop")
    logs = tmp_path / "logs"
    logs.mkdir()
    bellhop.folder = logs  # the log must not compete for the room
    bellhop.start()
    site = small_world(bellhop)
    receiver = make_receiver()
    site.webhook(receiver.url())
    (folder / "ballast").write_bytes(b"x" * 3_000_000)

    accepted, refused = fill_up(site, 0)
    problem = refused.problem(503, "store_unavailable")
    assert refused.headers["Retry-After"] and problem["detail"]
    for n in range(20):
        again = site.hand_over("booking_added", json.dumps({**booking(10_000 + n), "fill": "x" * 20_000}))
        if again.status == 202:
            accepted.append(again.json["id"])
        else:
            again.problem(503, "store_unavailable")
    assert site.get("/v1/events").status == 200
    assert site.get("/healthz").status == 200
    assert accepted

    (folder / "ballast").unlink()

    def resumed():
        answer = site.hand_over("booking_added", booking(20_000))
        return answer.json["id"] if answer.status == 202 else None

    accepted.append(wait_for(resumed, "events to be accepted again by itself", within=30))
    for event in accepted:
        wait_state(site, event, "delivered", within=60)
    assert set(receiver.ids) == set(accepted), "nothing that was refused went out"
    assert wait_for(lambda: site.get("/readyz").status == 200, "the engine to be ready again")
    bellhop.stop()
    with sqlite3.connect(bellhop.data / "bellhop.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_disk_full_ingest_file_size_limit(install, make_receiver):
    """disk-full-ingest: the same with RLIMIT_FSIZE; and after a restart with room all that was accepted is there."""
    bellhop = install(wrapper=["prlimit", "--fsize=2500000", "--"]).start()
    site = small_world(bellhop)
    receiver = make_receiver()
    receiver.stop()
    site.webhook(receiver.url())
    accepted, refused = fill_up(site, 0)
    assert refused.status == 503
    assert site.get("/healthz").status == 200
    bellhop.stop()
    bellhop.wrapper = []
    receiver.start_again()
    bellhop.start()
    for event in accepted:
        wait_state(bellhop.site, event, "delivered", within=60)
    assert set(receiver.ids) == set(accepted)


# --- speed is no promise here, but memory must not follow the backlog ---------------------------


@pytest.mark.smoke
def test_a_long_backlog_is_worked_off_in_full(install, make_receiver):
    """More waits than a lane's window holds: none is forgotten at the refill, none is sent twice, also over a restart."""
    bellhop = install(settings={"window": "16"}).start()
    site = small_world(bellhop)
    receiver = make_receiver()
    webhook = site.webhook(receiver.url(), enabled=False)
    lines = "\n".join(json.dumps({"type": "booking_added", "data": booking(n)}) for n in range(500))
    events = [entry["id"] for entry in site.post("/v1/events", body=lines, content_type="application/x-ndjson").ok(202)["events"]]
    site.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": True}).ok(200)
    wait_for(lambda: len(receiver.requests) > 50, "the first to be sent")
    bellhop.restart()
    wait_for(lambda: set(receiver.ids) == set(events), "all five hundred to arrive", within=60)
    assert len(receiver.ids) == 500
    for event in events:
        wait_state(bellhop.site, event, "delivered")


def test_a_dead_receiver_does_not_hold_up_another(site, receiver):
    site.webhook(f"http://127.0.0.1:{dead_port()}/", manager="7")
    site.webhook(receiver.url(), manager="8")
    for n in range(30):
        site.send("booking_added", booking(n))
    event = site.send("booking_added", booking(1, 21))
    wait_state(site, event, "delivered", within=5)
