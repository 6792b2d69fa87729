"""By hand: recovering what failed since a moment, and replaying an event."""

import collections
import datetime
import time

import pytest
from harness.process import small_world, the_delivery, wait_state
from harness.signing import assert_signed
from harness.waiting import never_during, wait_for


def booking(n, property_uid=12):
    return {"property_uid": property_uid, "contract_uid": n}


def ago(seconds):
    when = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
    return when.isoformat().replace("+00:00", "Z")


def most_in(times, span):
    times, most, first = sorted(times), 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= span:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.fixture
def failed(install, scripted):
    """Forty deliveries that are exhausted after one attempt each; the receiver is well again."""

    class Scene:
        pass

    scene = Scene()
    scene.bellhop = install(settings={"retry_schedule": "", "breaker_percent": "100", "breaker_attempts": "100000"}).start()
    scene.site = small_world(scene.bellhop)
    scene.receiver = scripted("request: reply 500")
    scene.webhook = scene.site.webhook(scene.receiver.url())
    scene.path = f"/v1/webhooks/{scene.webhook['id']}"
    scene.began = ago(0)
    scene.events = scene.site.send_many([booking(n) for n in range(40)])
    for event in scene.events:
        wait_state(scene.site, event, "exhausted")
    scene.receiver.say("forget")
    scene.arrived = lambda: [request for request in list(scene.receiver.requests) if request.rule is None]
    return scene


def recovery_ended(scene, recovery, state="done", within=40.0):
    def ended():
        now = scene.bellhop.site.get(f"/v1/recoveries/{recovery['id']}").ok()
        return now if now["state"] != "running" else None

    found = wait_for(ended, "the recovery to end", within)
    assert found["state"] == state and found["ended_at"], found
    return found


def test_recover_counts_first_keeps_its_rate_and_ends(failed):
    site = failed.site
    assert site.post(f"{failed.path}/recover", json={"since": failed.began, "dry_run": True}).ok(200) == {"count": 40, "more": False}
    never_during(failed.arrived, "a dry run sent something", 0.3)

    began = time.monotonic()
    recovery = site.post(f"{failed.path}/recover", json={"since": failed.began, "per_second": 20}).ok(202)
    assert recovery["id"].startswith("rec_") and recovery["total"] == 40 and recovery["per_second"] == 20
    assert recovery["webhook_id"] == failed.webhook["id"] and recovery["ended_at"] is None
    site.post(f"{failed.path}/recover", json={"since": failed.began}).problem(409)
    ended = recovery_ended(failed, recovery)
    assert ended["recovered"] == 40
    for event in failed.events:
        wait_state(site, event, "delivered")
    took = time.monotonic() - began
    arrived = failed.arrived()
    assert collections.Counter(request.id for request in arrived) == collections.Counter(failed.events)
    assert took > 0.9 and most_in([request.at for request in arrived], 0.9) <= 25, "faster than it was asked to be"
    first = failed.receiver.of(failed.events[0])
    assert len(first) == 2 and first[0].body == first[1].body
    assert_signed(first[1], failed.webhook["secret"])
    [row] = site.get(f"/v1/recoveries?webhook_id={failed.webhook['id']}").ok()["data"]
    assert row["id"] == recovery["id"]
    assert site.post(f"{failed.path}/recover", json={"since": failed.began, "dry_run": True}).ok(200)["count"] == 0


@pytest.mark.smoke
def test_recover_goes_on_after_a_restart(failed):
    recovery = failed.site.post(f"{failed.path}/recover", json={"since": failed.began, "per_second": 10}).ok(202)
    wait_for(lambda: len(failed.arrived()) >= 8, "some to be sent")
    failed.bellhop.kill()
    failed.bellhop.start()
    assert failed.bellhop.site.get(f"/v1/recoveries/{recovery['id']}").ok()["recovered"] < 40
    assert recovery_ended(failed, recovery)["recovered"] == 40
    for event in failed.events:
        wait_state(failed.bellhop.site, event, "delivered")


def test_recover_can_be_cancelled(failed):
    site = failed.site
    recovery = site.post(f"{failed.path}/recover", json={"since": failed.began, "per_second": 5}).ok(202)
    wait_for(lambda: len(failed.arrived()) >= 3, "some to be sent")
    cancelled = site.post(f"/v1/recoveries/{recovery['id']}/cancel").ok(200)
    assert cancelled["state"] == "cancelled"
    time.sleep(1)  # what was released already still goes out
    sent = len(failed.arrived())
    assert sent < 30
    never_during(lambda: len(failed.arrived()) > sent, "it went on", 1)
    states = collections.Counter(the_delivery(site, event)["state"] for event in failed.events)
    assert states == {"delivered": sent, "exhausted": 40 - sent}
    site.post(f"/v1/recoveries/{recovery['id']}/cancel").problem(409)
    # The rest can be recovered later.
    again = site.post(f"{failed.path}/recover", json={"since": failed.began, "per_second": 10000}).ok(202)
    assert again["total"] == 40 - sent
    recovery_ended(failed, again)
    for event in failed.events:
        wait_state(site, event, "delivered")


def test_recover_what_fails_again_is_not_recovered_for_ever(failed):
    failed.receiver.say("request: reply 500")
    recovery = failed.site.post(f"{failed.path}/recover", json={"since": failed.began, "per_second": 1000}).ok(202)
    assert recovery_ended(failed, recovery)["recovered"] == 40
    for event in failed.events:
        wait_state(failed.site, event, "exhausted")
    never_during(lambda: len(failed.receiver.requests) > 80, "they went out a third time", 0.5)
    assert len(failed.receiver.requests) == 80


def test_recover_reaches_back_to_its_moment_and_not_further(install, scripted):
    receiver = scripted("request 1-10: reply 500")
    site = small_world(install(settings={"retry_schedule": "", "recover_max": "1h", "breaker_percent": "100", "breaker_attempts": "100000"}).start())
    webhook = site.webhook(receiver.url())
    path = f"/v1/webhooks/{webhook['id']}/recover"
    old = site.send_many([booking(n) for n in range(5)])
    for event in old:
        wait_state(site, event, "exhausted")
    time.sleep(0.05)
    between = ago(0)
    time.sleep(0.05)
    new = site.send_many([booking(n) for n in range(5)])
    for event in new:
        wait_state(site, event, "exhausted")
    assert site.post(path, json={"since": between, "dry_run": True}).ok(200)["count"] == 5
    site.post(path, json={"since": between}).ok(202)
    for event in new:
        wait_state(site, event, "delivered")
    assert {the_delivery(site, event)["state"] for event in old} == {"exhausted"}

    site.post(path, json={"since": ago(2 * 3600), "dry_run": True}).problem(422)
    site.post(path, json={"since": "yesterday"}).problem(422)
    site.post(path, json={}).problem(422)
    site.post(path, json={"since": ago(5), "per_second": 0}).problem(422)
    site.post(path, json={"since": ago(5), "per_second": 10001}).problem(422)
    site.post(path, json={"since": ago(5), "speed": 1}).problem(422)
    site.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": False}).ok(200)
    site.post(path, json={"since": ago(5)}).problem(409, "webhook_disabled")


def test_recover_is_the_owners(failed):
    site = failed.site
    other, own = site.manager_key("8"), site.manager_key("7")
    other.post(f"{failed.path}/recover", json={"since": failed.began}).problem(404, "not_found")
    recovery = own.post(f"{failed.path}/recover", json={"since": failed.began, "per_second": 2}).ok(202)
    other.get(f"/v1/recoveries/{recovery['id']}").problem(404, "not_found")
    other.post(f"/v1/recoveries/{recovery['id']}/cancel").problem(404, "not_found")
    assert other.get("/v1/recoveries").ok()["data"] == []
    assert [row["id"] for row in own.get("/v1/recoveries").ok()["data"]] == [recovery["id"]]
    site.emit_key().get("/v1/recoveries").problem(403, "role_not_allowed")
    own.post(f"/v1/recoveries/{recovery['id']}/cancel").ok(200)


# --- Replay -------------------------------------------------------------------------------------


def test_replay_decides_anew_on_todays_directory(site, scripted):
    """Same webhook-id, new timestamp; a webhook that was made since gets it, too; one that is gone does not."""
    receiver = scripted()
    old = site.webhook(receiver.url("/old"), name="old")
    gone = site.webhook(receiver.url("/gone"), name="gone")
    event = site.send()
    wait_for(lambda: len(receiver.requests) == 2, "both")
    wait_state(site, event, "delivered")
    site.delete(f"/v1/webhooks/{gone['id']}").ok(200, 204)
    new = site.webhook(receiver.url("/new"), name="new")
    earlier = int(receiver.requests[0].one("webhook-timestamp"))
    wait_for(lambda: int(time.time()) > earlier, "the second to pass")

    answer = site.post(f"/v1/events/{event}/replay").ok(202)
    assert answer["event_id"] == event
    assert sorted((row["webhook_name"], row["verdict"]) for row in answer["data"]) == [("new", "triggered"), ("old", "triggered")]
    wait_for(lambda: len(receiver.requests) == 4, "the replay to arrive")
    wait_state(site, event, "delivered")
    assert sorted(request.target for request in receiver.requests[2:]) == ["/new", "/old"]
    assert set(receiver.ids) == {event}
    again = next(request for request in receiver.requests[2:] if request.target == "/old")
    assert int(again.one("webhook-timestamp")) > earlier
    assert again.body == next(request.body for request in receiver.requests if request.target == "/old")
    assert_signed(again, old["secret"])
    rounds = collections.defaultdict(dict)
    for row in site.get(f"/v1/events/{event}/verdicts").ok()["data"]:
        rounds[row["round"]][row["webhook_id"]] = row["verdict"]
    assert rounds == {0: {old["id"]: "triggered", gone["id"]: "triggered"}, 1: {old["id"]: "triggered", new["id"]: "triggered"}}


def test_replay_to_one_webhook(site, scripted):
    receiver = scripted()
    one = site.webhook(receiver.url("/one"))
    site.webhook(receiver.url("/two"))
    event = site.send()
    wait_for(lambda: len(receiver.requests) == 2, "both")
    answer = site.post(f"/v1/events/{event}/replay", json={"webhook_id": one["id"]}).ok(202)
    assert [row["webhook_id"] for row in answer["data"]] == [one["id"]]
    wait_for(lambda: len(receiver.requests) == 3, "the replay")
    never_during(lambda: len(receiver.requests) > 3, "the other one was told, too", 0.3)
    assert receiver.requests[2].target == "/one"


def test_replay_is_for_those_who_may(site, scripted):
    """A manager's replay reaches his own webhooks only; an event that is not his, or not there, is not found."""
    receiver = scripted()
    site.property("40", "7", "8")
    seven, eight = site.webhook(receiver.url("/7")), site.webhook(receiver.url("/8"), manager="8")
    event = site.send("booking_added", {"property_uid": 40})
    wait_for(lambda: len(receiver.requests) == 2, "both")
    manager = site.manager_key("7")
    answer = manager.post(f"/v1/events/{event}/replay").ok(202)
    assert [row["webhook_id"] for row in answer["data"]] == [seven["id"]]
    wait_for(lambda: len(receiver.requests) == 3, "the replay")
    never_during(lambda: len(receiver.requests) > 3, "another manager's webhook was told", 0.3)
    assert manager.post(f"/v1/events/{event}/replay", json={"webhook_id": eight["id"]}).status in (404, 422)
    others = site.send("booking_added", {"property_uid": 21})
    manager.post(f"/v1/events/{others}/replay").problem(404, "not_found")
    site.post("/v1/events/evt_0000000000000/replay").problem(404, "not_found")
    site.emit_key().post(f"/v1/events/{event}/replay").problem(403, "role_not_allowed")


def test_replay_of_what_a_disabled_webhook_missed_is_held(site, scripted):
    webhook = site.webhook(scripted().url(), enabled=False)
    event = site.send()
    assert the_delivery(site, event)["state"] == "held"
    answer = site.post(f"/v1/events/{event}/replay").ok(202)
    assert [row["verdict"] for row in answer["data"]] == ["held"] and answer["data"][0]["webhook_id"] == webhook["id"]
