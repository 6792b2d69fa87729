"""Cases from the field: disable-needs-time. Switching off needs time, notice and all of 2xx; what is held meanwhile, and how it comes back."""

import datetime
import time

import pytest
from harness.process import attempts_of, deliveries_of, small_world, the_delivery, wait_attempts, wait_state
from harness.waiting import never_during, wait_for

# The breaker has tests of its own: here it opens for connections only, and probes often.
PROBES = {"probe_first": "100ms", "probe_max": "200ms", "breaker_percent": "100", "breaker_attempts": "100000"}
# Days in a few seconds: failures for 4 s, two exhausted ones at least 1 s apart; warned after 1 s, and 2 s before.
POLICY = {
    **PROBES, "retry_schedule": "100ms", "look_every": "200ms",
    "disable_after": "4s", "disable_gap": "1s", "failing_warn_after": "1s", "disable_warn_before": "2s",
}  # fmt: skip

GOOD = (200, 201, 202, 204, 206, 207, 226, 299)
BAD = (199, 300, 400, 500, 599, 600, "000")


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def booking(n, property_uid=12):
    return {"property_uid": property_uid, "contract_uid": n}


def shown(site, webhook):
    return site.get(f"/v1/webhooks/{webhook['id']}").ok()


def test_disable_needs_time_all_of_2xx_is_success(install, scripted):
    """disable-needs-time: 200 to 299 are success, whatever stands beside them is none."""
    # An interim answer has no end of its own, and nobody knows how a 600 or a 000 ends: these say goodbye.
    receiver = scripted(
        "".join(f"path /{status}: reply {status}\n" for status in GOOD if status != 204)
        + 'path /204: send "HTTP/1.1 204 No Content\\r\\n\\r\\n"\n'
        + "".join(f"path /{status}: reply {status}; close\n" for status in BAD)
    )
    site = small_world(install(settings={"retry_schedule": "1h", "overload_floor": "1h"}).start())
    webhooks = {site.webhook(receiver.url(f"/{status}"), name=str(status))["id"]: status for status in (*GOOD, *BAD)}
    event = site.send()
    for webhook, status in webhooks.items():

        def tried():
            [delivery] = site.get(f"/v1/deliveries?event_id={event}&webhook_id={webhook}").ok()["data"]
            return delivery if delivery["attempts"] else None

        delivery = wait_for(tried, f"the attempt at {status}")
        [attempt] = attempts_of(site, delivery["id"])
        if status in GOOD:
            assert (delivery["state"], attempt["outcome"], attempt["status"]) == ("delivered", "delivered", status)
        else:
            assert (delivery["state"], attempt["outcome"]) == ("pending", "failed"), (status, attempt)
            assert attempt["sentence"]
        assert site.get(f"/v1/webhooks/{webhook}").ok()["enabled"], status


def test_disable_needs_time_a_short_outage_disables_nothing(install, scripted):
    """disable-needs-time: two minutes down (2 s of 10 here) while 200 events come: not disabled, and all are delivered later."""
    receiver = scripted("start: refuse")
    site = small_world(install(settings={**POLICY, "disable_after": "1h", "retry_schedule": ",".join(["300ms"] * 20)}).start())
    webhook = site.webhook(receiver.url())
    events = []
    for n in range(10):
        events += site.send_many([booking(20 * n + m) for m in range(20)])
        time.sleep(0.2)
    assert shown(site, webhook)["enabled"]
    assert shown(site, webhook)["failing_since"]
    receiver.say("accept")
    wait_for(lambda: set(receiver.ids) == set(events), "all two hundred to arrive", within=60)
    for event in events:
        wait_state(site, event, "delivered")
    after = shown(site, webhook)
    assert after["enabled"] and after["failing_since"] is None and after["disables_at"] is None and after["warnings"] == []


@pytest.mark.smoke
def test_disable_needs_time_and_gives_notice(install, scripted):
    """
    disable-needs-time: many failures at once disable nothing; a long run does, after two warnings, with a reason. What comes then
    is held. A restart in the middle does not begin the run anew.
    """
    receiver = scripted("request: reply 500")
    bellhop = install(settings=POLICY).start()
    site = small_world(bellhop)
    webhook = site.webhook(receiver.url())
    first = site.send_many([booking(n) for n in range(60)])
    wait_state(site, first[0], "exhausted")

    seen, since, restarted, n = {}, None, False, 100

    def disabled():
        nonlocal since, restarted, n
        n += 1
        bellhop.site.hand_over("booking_added", booking(n)).ok(202)
        now = shown(bellhop.site, webhook)
        for warning in now["warnings"]:
            assert warning["sentence"]
            seen.setdefault(warning["code"], (time.time(), now))
        if now["enabled"] and not restarted and "failing" in seen:
            restarted = True
            bellhop.restart()
        since = now["failing_since"] if now["enabled"] else since
        return None if now["enabled"] else now

    off = wait_for(disabled, "the webhook to be disabled", within=30, every=0.15)
    assert off["disabled_cause"] == "failure" and off["disabled_reason"] and restarted
    run = moment(off["disabled_at"]) - moment(since)
    assert run >= 4, f"disabled after {run:.1f} s"
    warned = {code: at - moment(since) for code, (at, _) in seen.items()}
    assert 1 <= warned["failing"] < warned["will_be_disabled"] < run, warned
    at = seen["will_be_disabled"][1]["disables_at"]
    assert at and abs(moment(at) - moment(off["disabled_at"])) < 3, "it was announced for another time"

    late = bellhop.site.send("booking_added", booking(1))
    assert the_delivery(bellhop.site, late)["state"] == "held"
    assert bellhop.site.get(f"/v1/events/{late}/verdicts").ok()["data"][0]["verdict"] == "held"


def test_disable_needs_time_never_by_a_count_alone(install, scripted):
    """Three hundred exhausted within a moment, and long failing without a second exhausted one: neither disables."""
    receiver = scripted("path /count: reply 500\npath /one: reply 500\n")
    settings = {**POLICY, "disable_after": "1s", "disable_gap": "1h"}
    site = small_world(install(settings=settings).start())
    webhook = site.webhook(receiver.url("/count"))
    events = site.send_many([booking(n) for n in range(300)])
    for event in events:
        wait_state(site, event, "exhausted", within=40)
    wait_for(lambda: time.time() - moment(shown(site, webhook)["failing_since"]) > 2, "the run to be longer than disable_after")
    site.send()
    never_during(lambda: not shown(site, webhook)["enabled"], "disabled by a count", 1)


def test_disable_needs_time_a_success_resets(install, scripted):
    """A success in the middle ends the run: the next failure begins a new one."""
    receiver = scripted("request: reply 500")
    site = small_world(install(settings=POLICY).start())
    webhook = site.webhook(receiver.url())
    began = time.monotonic()
    first_run = None
    for turn in range(2):
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            site.send()
            time.sleep(0.15)
        since = wait_for(lambda: shown(site, webhook)["failing_since"], "a run of failures")
        assert since != first_run
        first_run = since
        if turn == 0:
            receiver.say("request: reply 200")
            wait_state(site, site.send(), "delivered")
            assert shown(site, webhook)["failing_since"] is None
            receiver.say("request: reply 500")
    assert time.monotonic() - began > 4
    assert shown(site, webhook)["enabled"]


# --- Held, and back again -----------------------------------------------------------------------


@pytest.fixture
def switched_off(install, scripted):
    """A webhook that its receiver switched off with 410, and three deliveries that are held since."""

    class Scene:
        pass

    scene = Scene()
    scene.bellhop = install().start()
    scene.site = small_world(scene.bellhop)
    scene.receiver = scripted("request 1: reply 410\nrequest 2: reply 500\n")
    scene.webhook = scene.site.webhook(scene.receiver.url())
    scene.path = f"/v1/webhooks/{scene.webhook['id']}"
    wait_state(scene.site, scene.site.send(), "gone")
    wait_for(lambda: not shown(scene.site, scene.webhook)["enabled"], "the webhook to be disabled")
    scene.held = [scene.site.send("booking_added", booking(n)) for n in range(3)]
    assert {the_delivery(scene.site, event)["state"] for event in scene.held} == {"held"}
    return scene


def test_test_and_enable_leaves_all_as_it_is_when_the_test_fails(switched_off):
    site, path = switched_off.site, switched_off.path
    test = site.post(f"{path}/test", json={"enable": True, "held": "all"}).ok(202)
    made = wait_attempts(site, test["delivery_id"], 1)
    assert made[0]["outcome"] == "failed"
    never_during(lambda: shown(site, switched_off.webhook)["enabled"], "enabled by a test that failed", 0.5)
    assert {the_delivery(site, event)["state"] for event in switched_off.held} == {"held"}
    assert len(switched_off.receiver.requests) == 2, "a test is not tried again"


@pytest.mark.parametrize("held, ends", [
    ("all", ["delivered"] * 3),
    ("newest", ["cancelled", "cancelled", "delivered"]),
    ("none", ["cancelled"] * 3),
    ("keep", ["held"] * 3),
])  # fmt: skip
def test_test_and_enable(switched_off, held, ends):
    """disable-needs-time: a test send can enable again; what is held goes as it was asked for."""
    site, path = switched_off.site, switched_off.path
    switched_off.receiver.say("forget")
    test = site.post(f"{path}/test", json={"enable": True, "held": held}).ok(202)
    wait_state(site, test["event_id"], "delivered")
    after = wait_for(lambda: shown(site, switched_off.webhook)["enabled"] and shown(site, switched_off.webhook), "the webhook to be enabled")
    assert after["disabled_cause"] is None and after["disabled_reason"] is None

    def settled():
        return [the_delivery(site, event)["state"] for event in switched_off.held] == ends

    wait_for(settled, f"the held ones to be {ends}")
    expected = {event for event, state in zip(switched_off.held, ends) if state == "delivered"}
    assert set(switched_off.receiver.ids[1:]) == {test["event_id"]} | expected
    fresh = site.send("booking_added", booking(9))
    wait_state(site, fresh, "delivered")
    site.post(f"{path}/test", json={"enable": True}).problem(409, "conflict")


def test_held_is_limited_and_what_goes_is_kept_and_recoverable(install, scripted):
    """More than held_max: the oldest are exhausted with a reason, kept, and can be recovered."""
    receiver = scripted()
    site = small_world(install(settings={"held_max": "10", "look_every": "200ms"}).start())
    webhook = site.webhook(receiver.url(), enabled=False)
    events = site.send_many([booking(n) for n in range(25)])

    def states():
        return [the_delivery(site, event)["state"] for event in events]

    wait_for(lambda: states() == ["exhausted"] * 15 + ["held"] * 10, "the oldest fifteen to be exhausted", within=30, every=0.2)
    first = the_delivery(site, events[0])
    assert first["reason"] and first["ended_at"]
    site.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": True, "held": "all"}).ok(200)
    wait_for(lambda: set(receiver.ids) == set(events[15:]), "the ten to be sent")
    site.post(f"/v1/deliveries/{first['id']}/retry").ok(202)
    wait_state(site, events[0], "delivered")


def test_held_for_too_long_is_exhausted(install, scripted):
    site = small_world(install(settings={"held_span": "1s", "look_every": "200ms"}).start())
    site.webhook(scripted().url(), enabled=False)
    event = site.send()
    assert the_delivery(site, event)["state"] == "held"
    delivery = wait_state(site, event, "exhausted", within=30)[0]
    assert delivery["reason"]


def test_credentials_and_warnings_do_not_leak_to_other_managers(install, scripted):
    """What is shown of a failing webhook is its owner's."""
    site = small_world(install(settings=POLICY).start())
    webhook = site.webhook(scripted("request: reply 500").url())
    site.send()
    wait_for(lambda: shown(site, webhook)["failing_since"], "the failure to be shown")
    site.manager_key("8").get(f"/v1/webhooks/{webhook['id']}").problem(404, "not_found")
    assert site.manager_key("7").get(f"/v1/webhooks/{webhook['id']}").ok()["failing_since"]
    assert [row["failing_since"] for row in site.manager_key("7").get("/v1/webhooks").ok()["data"]] != [None]


def test_a_retry_of_a_held_delivery_is_refused_with_the_way_out(switched_off):
    delivery = the_delivery(switched_off.site, switched_off.held[0])
    problem = switched_off.site.post(f"/v1/deliveries/{delivery['id']}/retry").problem(409)
    assert problem["detail"]
    assert deliveries_of(switched_off.site, switched_off.held[0])[0]["state"] == "held"
