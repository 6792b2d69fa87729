"""Cases from the field: how fast a receiver is sent to, and that one in trouble costs the others nothing."""

import collections
import datetime
import os
import time

import pytest
from harness.feeding import Feeder
from harness.process import attempts_of, deliveries_of, sanitized, small_world, the_delivery, wait_state
from harness.waiting import never_during, wait_for

FULL = bool(os.environ.get("BELLHOP_TEST_FULL"))  # the cases at their full length, by hand


def booking(n, property_uid=12):
    return {"property_uid": property_uid, "contract_uid": n}


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def most_in(times, span):
    """The most of `times` that lie in any stretch of `span` seconds."""
    times, most, first = sorted(times), 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= span:
            first += 1
        most = max(most, last - first + 1)
    return most


# --- retry-429-pause ----------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
def test_retry_429_pause(install, scripted, ordered):
    """
    retry-429-pause: five requests in a window, then 429 with Retry-After. After the first 429 the webhook as a whole waits, then
    resumes in order at a pace that settles; all arrive, and none loses its attempts to waiting.

    In the suite windows of 1 s and 40 events; at full length of 2 s and 100.
    """
    window, count = (2, 100) if FULL else (1, 40)
    receiver = scripted(f'request 1-5 per {window}s: reply 200\nrequest: reply 429 "Retry-After: {window}"')
    # The schedule has two steps only: whoever loses attempts to 429 is exhausted soon.
    site = small_world(install(settings={"retry_schedule": "1s,1s", "overload_floor": "60s"}).start())
    site.webhook(receiver.url(), **({"order_by": "property"} if ordered else {}))
    began = time.monotonic()
    events = site.send_many([booking(n) for n in range(count)])

    def taken():
        return [request for request in list(receiver.requests) if request.rule == 1]

    wait_for(lambda: len(taken()) == count, "all of them to be taken", within=60 if FULL else 30)
    arrived = taken()
    assert collections.Counter(request.id for request in arrived) == collections.Counter(events)
    assert all(wait_state(site, event, "delivered")[0]["spent"] <= 1 for event in events)

    refused = [request.at for request in receiver.requests if request.rule == 2]
    later = [at for at in refused if at > began + window]
    told = f"{len(refused)} refused, {len(later)} of them after the first window: {[round(at - began, 2) for at in refused]}"
    assert refused, "the receiver never had to say no"
    assert len(refused) - len(later) <= 12, told  # two at a time at the start, ten at most
    assert len(later) <= count // 5, told
    assert most_in(later, window) <= 3, f"a wave: {told}"

    place = {event: n for n, event in enumerate(events)}
    order = [place[request.id] for request in arrived]
    if ordered:
        assert order == sorted(order)
    else:
        astray = max(abs(n - m) for n, m in enumerate(order))
        assert astray <= 12, order


def test_a_429_without_a_hint_pauses_the_webhook_too(install, scripted):
    """429 without Retry-After: the floor is the webhook's as a whole, what else waits is not thrown at the receiver meanwhile."""
    receiver = scripted("before 2s: reply 429")
    site = small_world(install(settings={"overload_floor": "1s", "breaker_percent": "100", "breaker_attempts": "1000"}).start())
    site.webhook(receiver.url())
    events = site.send_many([booking(n) for n in range(30)])
    wait_for(lambda: set(receiver.ids) == set(events), "all to be tried")
    for event in events:
        wait_state(site, event, "delivered")
    assert sum(request.rule is not None for request in receiver.requests) <= 8, "one after the other was tried although it was overloaded"


def test_an_overloaded_receiver_gets_one_at_a_time(install, scripted):
    """503 halves the concurrency, down to one request at a time; success raises it again."""
    receiver = scripted("request 1-20: wait 50ms; reply 503\nrequest: wait 50ms; reply 200")
    settings = {"overload_floor": "200ms", "concurrency_start": "8", "breaker_percent": "100", "breaker_attempts": "1000"}
    site = small_world(install(settings=settings).start())
    site.webhook(receiver.url())
    events = site.send_many([booking(n) for n in range(60)])
    for event in events:
        wait_state(site, event, "delivered", within=30)
    answered = receiver.answered_at()
    spans = sorted((request.at, answered[request.number]) for request in receiver.requests)
    overlaps = [sum(begin <= at < end for begin, end in spans) for at, _ in spans]
    assert 4 <= max(overlaps[:8]) <= 8, overlaps
    assert max(overlaps[14:20]) == 1, overlaps
    assert max(overlaps[20:]) > 1, overlaps


# --- The owner's rate limit ---------------------------------------------------------------------


def test_a_rate_limit_is_kept_at_the_receiver_and_costs_nobody_else(install, scripted):
    limited, free = scripted("request: wait 0ms..30ms; reply 200"), scripted()
    site = small_world(install(settings={"concurrency_start": "10"}).start())
    site.webhook(limited.url(), rate_limit={"requests": 10, "seconds": 1})
    site.webhook(free.url(), manager="8")
    began = time.monotonic()
    events = site.send_many([booking(n) for n in range(40)])
    others = site.send_many([booking(n, 21) for n in range(40)])
    wait_for(lambda: len(free.requests) == 40, "the other webhook's to arrive")
    assert len(limited.requests) < 40, "the other one waited, too"
    wait_for(lambda: len(limited.requests) == 40, "all to arrive", within=30)
    times = [request.at for request in limited.requests]
    assert times[-1] - began > 2.9
    starts = []
    for event in events:
        [delivery] = wait_state(site, event, "delivered")
        [attempt] = attempts_of(site, delivery["id"])
        starts.append(moment(attempt["started_at"]))
    assert most_in(starts, 0.999) <= 10, sorted(starts)
    # On a busy machine two that were sent apart may arrive close together.
    assert most_in(times, 0.8) <= 12, times
    for event in others:
        wait_state(site, event, "delivered")


def test_a_rate_limit_can_be_lifted_while_deliveries_wait(install, scripted):
    receiver = scripted()
    site = small_world(install().start())
    webhook = site.webhook(receiver.url(), rate_limit={"requests": 1, "seconds": 3600})
    assert webhook["rate_limit"] == {"requests": 1, "seconds": 3600}
    site.send_many([booking(n) for n in range(5)])
    wait_for(lambda: len(receiver.requests) == 1, "the first")
    never_during(lambda: len(receiver.requests) > 1, "more than one in an hour", 0.5)
    assert site.patch(f"/v1/webhooks/{webhook['id']}", json={"rate_limit": None}).ok(200)["rate_limit"] is None
    wait_for(lambda: len(receiver.requests) == 5, "the rest to come at once", within=10)


# --- The breaker --------------------------------------------------------------------------------

BREAKER = {"breaker_failures": "5", "probe_first": "400ms", "probe_max": "800ms", "retry_schedule": ",".join(["1s"] * 9)}


@pytest.mark.smoke
def test_a_dead_receiver_hears_nothing_but_probes(install, scripted):
    """After five failures to connect nothing but probes is sent, no attempts are spent meanwhile; when it is back, all flows."""
    receiver = scripted("connection: reset")
    bellhop = install(settings=BREAKER).start()
    site = small_world(bellhop)
    site.webhook(receiver.url())
    events = site.send_many([booking(n) for n in range(200)])
    wait_for(lambda: receiver.connections >= 5, "the first failures")
    time.sleep(1)  # whatever was under way when the breaker opened
    before, since = receiver.connections, time.monotonic()
    time.sleep(2.5)
    probes, span = receiver.connections - before, time.monotonic() - since
    assert before <= 20, f"{before} connections before it opened"
    assert 1 <= probes <= span / 0.4 + 1, f"{probes} probes in {span:.1f} s"

    receiver.say("forget")
    wait_for(lambda: set(receiver.ids) == set(events), "everything to arrive", within=30)
    made = []
    for event in events:
        [delivery] = wait_state(site, event, "delivered")
        made.append(delivery["attempts"])
    assert sum(made) <= 200 + before + probes + 10, "attempts were spent while the breaker was open"
    assert collections.Counter(receiver.ids) == collections.Counter(events)


def test_a_receiver_that_only_fails_opens_the_breaker_too(install, scripted):
    receiver = scripted("request: reply 500")
    site = small_world(install(settings={**BREAKER, "breaker_attempts": "10", "breaker_percent": "70"}).start())
    site.webhook(receiver.url())
    site.send_many([booking(n) for n in range(200)])
    wait_for(lambda: len(receiver.requests) >= 10, "the first failures")
    time.sleep(0.5)
    assert len(receiver.requests) <= 30
    receiver.say("forget")
    wait_for(lambda: len(receiver.requests) > 200, "everything to go out", within=30)


def test_an_open_breaker_is_open_after_a_restart_or_opens_again_soon(install, scripted):
    """A restart is no new storm for a dead receiver."""
    receiver = scripted("connection: reset")
    bellhop = install(settings={**BREAKER, "probe_first": "60s", "probe_max": "60s"}).start()
    site = small_world(bellhop)
    site.webhook(receiver.url())
    site.send_many([booking(n) for n in range(300)])
    wait_for(lambda: receiver.connections >= 5, "the first failures")
    bellhop.restart()
    never_during(lambda: receiver.connections > 40, "a storm after the restart", 2.5)


def test_a_retry_by_hand_goes_out_although_the_breaker_is_open(install, scripted):
    receiver = scripted("connection: reset")
    site = small_world(install(settings={**BREAKER, "probe_first": "1h", "probe_max": "1h"}).start())
    site.webhook(receiver.url())
    events = site.send_many([booking(n) for n in range(30)])
    wait_for(lambda: receiver.connections >= 5, "the first failures")
    never_during(lambda: receiver.connections > 20, "the breaker did not open", 1.5)
    receiver.say("forget")
    never_during(lambda: receiver.requests, "sent before anybody asked for it", 0.5)

    wanted = the_delivery(site, events[17])
    site.post(f"/v1/deliveries/{wanted['id']}/retry").ok(202)
    wait_state(site, events[17], "delivered", within=5)
    assert receiver.ids[0] == events[17]
    wait_for(lambda: set(receiver.ids) == set(events), "its success to let the others go", within=20)


def test_a_test_goes_out_although_the_breaker_is_open(install, scripted):
    receiver = scripted("connection: reset")
    site = small_world(install(settings={**BREAKER, "probe_first": "1h", "probe_max": "1h"}).start())
    webhook = site.webhook(receiver.url())
    site.send_many([booking(n) for n in range(30)])
    wait_for(lambda: receiver.connections >= 5, "the first failures")
    never_during(lambda: receiver.connections > 20, "the breaker did not open", 1)
    receiver.say("forget")
    test = site.post(f"/v1/webhooks/{webhook['id']}/test").ok(202)
    wait_state(site, test["event_id"], "delivered", within=5)


def test_what_waits_behind_an_open_breaker_has_a_lifetime_all_the_same(install, scripted):
    receiver = scripted("connection: reset")
    site = small_world(install(settings={**BREAKER, "probe_first": "1h", "probe_max": "1h", "lifetime": "2s", "look_every": "200ms"}).start())
    site.webhook(receiver.url())
    events = site.send_many([booking(n) for n in range(40)])

    def states():
        return collections.Counter(deliveries_of(site, event)[0]["state"] for event in events)

    wait_for(lambda: states() == {"exhausted": 40}, "all forty to be exhausted", within=30, every=0.2)
    assert all(the_delivery(site, event)["reason"] for event in events)


# --- slow-neighbour -----------------------------------------------------------------------------


@pytest.mark.parametrize("hanging", [1, 50])
def test_slow_neighbour(install, scripted, hanging):
    """
    slow-neighbour: webhook A accepts and never answers, 5 000 events wait for it (or for 50 webhooks of one owner on that host);
    ten healthy ones get ten events a second: 95 % within a second all the time; A has its share of connections at most.
    """
    watch = 300 if FULL else 10
    hung, healthy = scripted("request: hold"), scripted()
    bellhop = install(settings={"total_timeout": "15s"}).start()
    site = bellhop.site
    site.manager("1")
    site.property("1", "1")
    for n in range(hanging):
        site.webhook(hung.url(f"/{n}"), manager="1")
    for n in range(10):
        site.manager(f"m{n}")
        site.property(f"1{n}", f"m{n}")
        site.webhook(healthy.url(f"/{n}"), manager=f"m{n}")
    for _ in range(5):
        site.send_many([booking(n, 1) for n in range(1000 // hanging)])
    wait_for(lambda: hung.open_connections >= 2, "the first to hang")
    memory = bellhop.resident_bytes()

    share = 64 if hanging > 1 else 10  # a quarter of 256 for one owner, ten for one webhook
    most_open = 0
    with Feeder(site, 10, lambda n: booking(n, 10 + n % 10)) as feeder:
        until = time.monotonic() + watch
        while time.monotonic() < until:
            most_open = max(most_open, hung.open_connections)
            time.sleep(0.05)
    assert feeder.refused == []
    wait_for(lambda: len(healthy.requests) >= len(feeder.handed), "the last of the healthy ones to arrive", within=10)
    began = {handed.id: handed.started for handed in feeder.handed}
    late = {request.id: request.at - began[request.id] for request in healthy.requests}
    waits = sorted(late.values())
    assert len(waits) == len(feeder.handed) >= watch * 8
    assert waits[int(len(waits) * 0.95)] < 1.0, waits[-30:]
    assert most_open <= share, f"{most_open} connections to the hanging host"
    if not sanitized():
        assert bellhop.resident_bytes() - memory < 16 << 20
