"""Cases from the field: order-first-attempts; and coalescing, where only the newest counts."""

import collections
import datetime
import time

import pytest
from harness.process import small_world, the_delivery, wait_attempts, wait_state
from harness.waiting import never_during, wait_for

STORY = ("booking_added", "booking_modified", "booking_cancelled")
FAST = {"concurrency_start": "40", "in_flight_per_webhook": "40"}


def stories(bookings, property_uid=12):
    """Added, modified, cancelled of each booking, interleaved."""
    return [(kind, {"property_uid": property_uid, "contract_uid": n}) for kind in STORY for n in range(bookings)]


def now():
    return datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")


def by_contract(requests):
    found = collections.defaultdict(list)
    for request in requests:
        found[request.json["data"]["contract_uid"]].append(request)
    return found


def most_at_once(spans):
    """How many of the (begin, end) overlap at most."""
    moves = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    now = most = 0
    for _, step in moves:
        now += step
        most = max(most, now)
    return most


@pytest.mark.smoke
def test_order_first_attempts(install, scripted):
    """
    order-first-attempts, with order_by: 200 bookings interleaved, a receiver that answers after 0 to 200 ms.

    Per booking strictly serial and in posted order; bookings beside one another; a sequence number without gaps in every body.
    """
    receiver = scripted("request: wait 0ms..200ms; reply 200")
    site = small_world(install(settings=FAST).start())
    site.webhook(receiver.url(), order_by="contract_uid")
    events = site.send_many(stories(200))
    wait_for(lambda: len(receiver.requests) == 600, "all to arrive", within=90)
    answered = receiver.answered_at()

    assert collections.Counter(receiver.ids) == collections.Counter(events)
    spans = [(request.at, answered[request.number]) for request in receiver.requests]
    assert most_at_once(spans) > 5, "bookings waited for one another"
    for contract, requests in by_contract(receiver.requests).items():
        assert [request.json["type"] for request in requests] == list(STORY), contract
        numbers = [request.json["sequence"] for request in requests]
        assert numbers == sorted(numbers)
        for earlier, later in zip(requests, requests[1:]):
            assert later.at >= answered[earlier.number], f"two of booking {contract} at the same time"
    place = {event: n for n, event in enumerate(events, 1)}
    assert {request.id: request.json["sequence"] for request in receiver.requests} == place, "the sequence is the posted order, without gaps"


@pytest.mark.smoke
def test_order_first_attempts_with_failures(install, scripted):
    """order-first-attempts: a later one waits until the earlier is delivered, also when that takes several attempts and a restart."""
    receiver = scripted("request 1-2 per id chance 40: reply 500\nrequest: wait 0ms..50ms; reply 200", seed=3)
    settings = {**FAST, "retry_schedule": "100ms,100ms,100ms,100ms,100ms", "breaker_percent": "100", "breaker_attempts": "1000"}
    bellhop = install(settings=settings).start()
    site = small_world(bellhop)
    site.webhook(receiver.url(), order_by="contract_uid")
    events = site.send_many(stories(30))
    wait_for(lambda: len(receiver.requests) > 20, "the first to go out")
    bellhop.restart()

    def taken():
        return [request for request in list(receiver.requests) if request.rule == 2]

    wait_for(lambda: len({request.id for request in taken()}) == 90, "all to arrive", within=60)
    assert any(request.rule == 1 for request in receiver.requests)
    for contract, requests in by_contract(receiver.requests).items():
        order = [STORY.index(request.json["type"]) for request in requests]
        assert order == sorted(order), f"booking {contract}: {order}"
        assert all(len({r.body for r in requests if r.id == id}) == 1 for id in {r.id for r in requests}), "a body changed between attempts"
    for event in events:
        wait_state(bellhop.site, event, "delivered")


def test_order_later_ones_wait_visibly_and_follow_an_exhausted_one(install, scripted):
    receiver = scripted("request 1-2: reply 500")
    site = small_world(install(settings={"retry_schedule": "2s"}).start())
    site.webhook(receiver.url(), order_by="contract_uid")
    first, second, third = site.send_many(stories(1))
    wait_attempts(site, the_delivery(site, first)["id"], 1)

    shown = {event: the_delivery(site, event) for event in (first, second, third)}
    assert [shown[event]["waits_for_earlier"] for event in (first, second, third)] == [False, True, True]
    assert [shown[event]["sequence"] for event in (first, second, third)] == [1, 2, 3]
    assert shown[first]["due_at"] and shown[second]["due_at"] is None
    assert len({shown[event]["order_key"] for event in shown}) == 1 and shown[first]["order_key"]
    refused = site.post(f"/v1/deliveries/{shown[second]['id']}/retry").problem(409)
    assert "41" in refused["detail"] or shown[second]["order_key"] in refused["detail"]

    wait_state(site, first, "exhausted")
    wait_state(site, third, "delivered")
    assert receiver.ids == [first, first, second, third]
    # Asked for again by hand, it is late, and its sequence number says so.
    site.post(f"/v1/deliveries/{shown[first]['id']}/retry").ok(202)
    wait_state(site, first, "delivered")
    assert [request.json["sequence"] for request in receiver.requests] == [1, 1, 2, 3, 1]


def test_order_a_cancelled_one_lets_the_next_go(install, scripted):
    receiver = scripted("request 1: reply 500")
    site = small_world(install(settings={"retry_schedule": "1h"}).start())
    site.webhook(receiver.url(), order_by="contract_uid")
    first, second, third = site.send_many(stories(1))
    wait_attempts(site, the_delivery(site, first)["id"], 1)
    never_during(lambda: len(receiver.requests) > 1, "a later one overtook", 0.4)
    site.post(f"/v1/deliveries/{the_delivery(site, second)['id']}/cancel").ok(200, 202)
    never_during(lambda: len(receiver.requests) > 1, "the third overtook the first", 0.4)
    site.post(f"/v1/deliveries/{the_delivery(site, first)['id']}/cancel").ok(200, 202)
    wait_state(site, third, "delivered")
    assert receiver.ids == [first, third]


def test_order_by_property_and_its_neighbours(install, scripted):
    """One property's events are serial; another property's and another webhook's do not wait for them."""
    receiver = scripted('path /ordered request 1: wait 1s; reply 200\nrequest: reply 200')
    site = small_world(install(settings=FAST).start())
    site.webhook(receiver.url("/ordered"), order_by="property")
    site.webhook(receiver.url("/free"))
    events = site.send_many([{"property_uid": 12, "contract_uid": n} for n in range(5)])
    wait_for(lambda: receiver.of(events[0]), "the first")
    other = site.send("booking_added", {"property_uid": 13})
    keyless = site.send("user_created", {"cms_user_id": 3}, manager_id="7")
    wait_for(lambda: sum(request.target == "/free" for request in receiver.requests) == 7, "the webhook without an order")
    wait_for(lambda: {other, keyless} <= {request.id for request in receiver.requests if request.target == "/ordered"}, "what has another key, or none")
    for event in [*events, other, keyless]:
        wait_state(site, event, "delivered")
    ordered = [request for request in receiver.requests if request.target == "/ordered"]
    assert [request.id for request in ordered if request.id in events] == events
    answered = receiver.answered_at()
    assert answered[next(r.number for r in ordered if r.id == events[0])] > next(r.at for r in ordered if r.id == other)
    assert all("sequence" not in request.json for request in receiver.requests if request.target == "/free" or request.id == keyless)


def in_order(requests):
    """Per booking added, modified, cancelled, however often each came; and each at all."""
    for contract, ones in by_contract(requests).items():
        order = [STORY.index(request.json["type"]) for request in ones]
        assert order == sorted(order) and set(order) == {0, 1, 2}, f"booking {contract}: {order}"


def test_order_is_kept_over_a_crash(install, scripted):
    """Killed with deliveries under way, twice: what was in flight comes again, and still nothing overtakes."""
    receiver = scripted("request: wait 20ms..80ms; reply 200")
    bellhop = install(settings={"concurrency_start": "8"}).start()
    site = small_world(bellhop)
    site.webhook(receiver.url(), order_by="contract_uid")
    events = site.send_many(stories(40))
    for count in (15, 45):
        wait_for(lambda: len(receiver.requests) > count, "some to be under way")
        bellhop.kill()
        bellhop.start()
    for event in events:
        wait_state(bellhop.site, event, "delivered", within=40)
    in_order(receiver.requests)


@pytest.mark.parametrize("held", ["all", "newest"])
def test_order_is_kept_by_what_was_held(install, scripted, held):
    """Disabled with one of a key tried and others behind it, more come while it is disabled; enabled again, all go in order."""
    receiver = scripted("request 1-5: reply 500\nrequest: wait 0ms..40ms; reply 200")
    site = small_world(install(settings={**FAST, "retry_schedule": "1h"}).start())
    webhook = site.webhook(receiver.url(), order_by="contract_uid")
    path = f"/v1/webhooks/{webhook['id']}"
    events = site.send_many([(kind, data) for kind, data in stories(5) if kind != STORY[2]])
    wait_for(lambda: all(the_delivery(site, event)["attempts"] == 1 for event in events[:5]), "the first of each to be tried")
    site.patch(path, json={"enabled": False}).ok(200)
    events += site.send_many([(STORY[2], {"property_uid": 12, "contract_uid": n}) for n in range(5)])
    wait_for(lambda: all(the_delivery(site, event)["state"] == "held" for event in events), "all to be held")
    site.patch(path, json={"enabled": True, "held": held}).ok(200)
    if held == "newest":
        wait_state(site, events[-1], "delivered")
        wait_for(lambda: all(the_delivery(site, event)["state"] == "cancelled" for event in events[:-1]), "the others to end")
        return
    for event in events:
        wait_state(site, event, "delivered")
    in_order(receiver.requests)
    for contract, requests in by_contract(receiver.requests[5:]).items():
        numbers = [request.json["sequence"] for request in requests]
        assert numbers == sorted(numbers), contract


def test_order_is_kept_by_a_recovery(install, scripted):
    """Exhausted ones that are recovered together go in order, one of a key at a time."""
    receiver = scripted("request: reply 500")
    settings = {**FAST, "retry_schedule": "", "breaker_percent": "100", "breaker_attempts": "100000"}
    site = small_world(install(settings=settings).start())
    webhook = site.webhook(receiver.url(), order_by="contract_uid")
    since = now()
    events = site.send_many(stories(8))
    for event in events:
        wait_state(site, event, "exhausted")
    receiver.say("request: wait 10ms..60ms; reply 200")
    before = len(receiver.requests)
    assert site.post(f"/v1/webhooks/{webhook['id']}/recover", json={"since": since, "per_second": 10000}).ok(202)["total"] == 24
    for event in events:
        wait_state(site, event, "delivered")
    answered = receiver.answered_at()
    for contract, requests in by_contract(receiver.requests[before:]).items():
        assert [request.json["type"] for request in requests] == list(STORY), contract
        assert all(later.at >= answered[earlier.number] for earlier, later in zip(requests, requests[1:])), contract


def test_order_first_attempts_without_an_order(site, scripted):
    """order-first-attempts, without order_by: every body carries its time and an id that grows: either sorts into the posted order."""
    receiver = scripted("request: wait 0ms..50ms; reply 200")
    site.webhook(receiver.url())
    events = []
    for n in range(20):
        events += site.send_many([(kind, {"property_uid": 12, "contract_uid": n}) for kind in STORY])
    wait_for(lambda: len(receiver.requests) == 60, "all to arrive", within=30)
    assert all("sequence" not in request.json for request in receiver.requests)
    assert [request.id for request in sorted(receiver.requests, key=lambda request: (request.json["timestamp"], request.id))] == events
    assert sorted(receiver.ids) == events
    assert all(request.json["id"] == request.id for request in receiver.requests)


# --- Coalescing ---------------------------------------------------------------------------------

PRICE = "tariffs_updated"
COALESCE = {"seconds": 1, "fields": ["property", "room_uid"]}


def price(n, room=5, property_uid=12):
    return {"property_uid": property_uid, "room_uid": room, "price": n}


def shown_coalesced(site, events, newest):
    """All of `events` are coalesced and lead to the one that was sent."""
    sent = the_delivery(site, newest)["id"]

    def settled():
        found = [the_delivery(site, event) for event in events]
        return found if all(delivery["state"] == "coalesced" for delivery in found) else None

    found = wait_for(settled, "the older ones to be coalesced")
    by_id = {delivery["id"]: delivery for delivery in found}
    for delivery in found:
        target, steps = delivery, 0
        while target["id"] != sent:
            target, steps = by_id.get(target["superseded_by"], {"id": target["superseded_by"]}), steps + 1
            assert steps <= len(events), f"{delivery} does not lead to {sent}"
        assert delivery["attempts"] == 0 and delivery["ended_at"]
    return found


@pytest.mark.smoke
def test_coalescing_sends_the_newest_of_forty(site, scripted):
    receiver = scripted()
    webhook = site.webhook(receiver.url(), coalesce=COALESCE)
    assert webhook["coalesce"] == COALESCE
    began = time.monotonic()
    events = site.send_many([price(n) for n in range(40)], PRICE)
    wait_state(site, events[-1], "delivered")
    shown_coalesced(site, events[:-1], events[-1])
    never_during(lambda: len(receiver.requests) > 1, "an older price was sent, too", 1.5)
    [request] = receiver.requests
    assert request.id == events[-1] and request.json["data"]["price"] == 39
    assert request.at - began > 0.9, "it did not wait for newer ones"

    [row] = site.get(f"/v1/events/{events[0]}/verdicts").ok()["data"]
    assert row["verdict"] == "coalesced" and row["sentence"]
    assert site.get(f"/v1/events/{events[-1]}/verdicts").ok()["data"][0]["verdict"] == "triggered"


def test_coalescing_a_steady_stream_is_thinned_and_never_goes_back(site, scripted):
    """A price each 40 ms for 3.2 s and a window of a second: a handful of requests, each newer than the one before, the last one last."""
    receiver = scripted("request: wait 0ms..30ms; reply 200")
    site.webhook(receiver.url(), coalesce=COALESCE)
    events = []
    for n in range(80):
        events.append(site.send(PRICE, price(n)))
        time.sleep(0.04)
    wait_state(site, events[-1], "delivered")
    wait_for(lambda: all(the_delivery(site, event)["state"] in ("delivered", "coalesced") for event in events), "all to be settled")
    sent = [request.json["data"]["price"] for request in receiver.requests]
    assert sent == sorted(set(sent)) and sent[-1] == 79, sent
    assert 3 <= len(sent) <= 8, sent


def test_coalescing_keys_are_type_and_fields(site, scripted):
    """Another room, property or type is another matter; and without a field of the key nobody can tell what it is about."""
    receiver = scripted()
    site.webhook(receiver.url(), coalesce=COALESCE)
    newest, others = {}, []
    for n in range(5):
        for room in (5, "six"):
            for property_uid in (12, 13):
                newest[room, property_uid] = site.send(PRICE, price(n, room, property_uid))
        newest["added"] = site.send("booking_added", {"property_uid": 12, "room_uid": 5, "n": n})
    for data in ({"property_uid": 12, "price": 1}, {"property_uid": 12, "room_uid": None, "price": 2}, {"room_uid": 5, "price": 3}):
        others.append(site.send(PRICE, data, manager_id="7"))
    for event in [*newest.values(), *others]:
        wait_state(site, event, "delivered")
    never_during(lambda: len(receiver.requests) > 8, "more than the newest of each were sent", 0.5)
    assert set(receiver.ids) == set(newest.values()) | set(others)


def test_coalescing_shrinks_the_backlog_of_a_dead_receiver(install, scripted):
    receiver = scripted("start: refuse")
    site = small_world(install(settings={"breaker_failures": "2", "probe_first": "500ms", "probe_max": "500ms"}).start())
    site.webhook(receiver.url(), coalesce={"seconds": 1, "fields": ["property", "room_uid"]})
    events = []
    for n in range(3):
        events += site.send_many([{"property_uid": 12, "room_uid": room, "price": 100 * n + i} for i in range(10) for room in range(4)], PRICE)
        time.sleep(0.7)
    wait_for(lambda: any(the_delivery(site, event)["attempts"] for event in events), "the first attempts")
    receiver.say("accept")
    newest = events[-4:]
    for event in newest:
        wait_state(site, event, "delivered", within=30)
    wait_for(lambda: all(the_delivery(site, event)["state"] in ("delivered", "coalesced") for event in events), "all to be settled", within=30)
    assert len(receiver.requests) <= 8, "the backlog was sent one by one"
    last = {request.json["data"]["room_uid"]: request.json["data"]["price"] for request in receiver.requests}
    assert last == {room: 209 for room in range(4)}


def test_coalescing_with_an_order_is_both(site, scripted):
    receiver = scripted("request: wait 0ms..30ms; reply 200")
    site.webhook(receiver.url(), coalesce={"seconds": 1, "fields": ["property", "room_uid"]}, order_by="room_uid")
    events = site.send_many([price(n, room) for n in range(10) for room in (1, 2, 3)], PRICE)
    for event in events[-3:]:
        wait_state(site, event, "delivered")
    wait_for(lambda: all(the_delivery(site, event)["state"] in ("delivered", "coalesced") for event in events), "all to be settled")
    for room in (1, 2, 3):
        sent = [request.json["data"]["price"] for request in receiver.requests if request.json["data"]["room_uid"] == room]
        assert sent == sorted(sent) and sent[-1] == 9 and len(sent) <= 2, sent


def test_coalescing_lets_no_recovery_bring_an_old_price_back(install, scripted):
    """Old prices that were exhausted, a newer one that was delivered since: recovering the old ones sends none of them."""
    receiver = scripted("request: reply 500")
    settings = {"retry_schedule": "", "breaker_percent": "100", "breaker_attempts": "100000"}
    site = small_world(install(settings=settings).start())
    webhook = site.webhook(receiver.url(), coalesce=COALESCE)
    old, since = [], now()
    for n in range(3):
        old.append(site.send(PRICE, price(n)))
        wait_state(site, old[-1], "exhausted")
    receiver.say("forget")
    new = site.send(PRICE, price(9))
    wait_state(site, new, "delivered")
    recovery = site.post(f"/v1/webhooks/{webhook['id']}/recover", json={"since": since}).ok(202)
    wait_for(lambda: site.get(f"/v1/recoveries/{recovery['id']}").ok()["state"] == "done", "the recovery to end")
    wait_for(lambda: all(the_delivery(site, event)["state"] == "coalesced" for event in old), "the old ones to give way")
    assert {the_delivery(site, event)["superseded_by"] for event in old} == {the_delivery(site, new)["id"]}
    assert len(receiver.requests) == 4
