"""
What the engine is doing when it dies. Each scenario is a list of steps that can be repeated (see world.py), begins with the small
world of the integration tests (managers 7 and 8) on disk, and takes a second or two.
"""

import json
import time

from harness.receiver import per_delivery, perform, reply
from world import OK, small_world

FAILS = reply(500, b"no")


def torn(exchange):
    """Amid the answer: a reset before its first byte would get a second try that is no attempt."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    exchange.close()


class Scenario:
    settings = {}
    from_nothing = False  # begins with an empty folder, and the first start may die
    is_long = False  # then ./dev test kills it only where no other scenario comes by
    may_stay = ()  # webhooks whose deliveries are still pending at the end

    def arm(self, world):
        """Starts the engine that may die."""
        world.start(armed=True)

    def steps(self):
        raise NotImplementedError

    def ends(self, world, delivery):
        """The states that this delivery may be in when everything has ended."""
        return {"delivered"}

    def check(self, world):
        """What must hold of this scenario beyond what always does."""


class FirstStart(Scenario):
    """An empty folder: sealing key, schema, first key, address; and the first event."""

    from_nothing = True

    def steps(self):
        def world_and_event(w):
            small_world(w.engine)
            w.webhook("a")
            w.send("first-1")

        return [world_and_event]


class Events(Scenario):
    """Events one by one and in batches, for several webhooks of two managers and the site; events that change the directory."""

    def steps(self):
        def webhooks(w):
            w.webhook("a")
            w.webhook("b", shape="jomres")
            w.webhook("c", manager="8")
            w.webhook("all", manager=None)
            w.webhook("few", events=["booking_cancelled"])

        def single(w):
            for n in range(1, 5):
                w.send(f"single-{n}", property_uid=12 if n % 2 else 21)

        def batches(w):
            w.send_batch("batch-11", "batch-12", "batch-13", "batch-14")
            w.send_batch("batch-21", "batch-22", "batch-23", property_uid=21)

        def news(w):
            w.send("news-31", type="property_created", data={"property_uid": 31, "contract_uid": 31}, manager_id="7")
            w.send("news-32", property_uid=31)

        return [webhooks, single, batches, news]


class Failures(Scenario):
    """Receivers that fail once, say when to come again, hang up amid the answer, say nothing in time, fail for ever, or are gone."""

    settings = {"total_timeout": "300ms"}

    def steps(self):
        def webhooks(w):
            w.webhook("once", per_delivery(FAILS, OK))
            w.webhook("later", per_delivery(reply(429, headers=[("Retry-After", "1")]), OK))
            w.webhook("torn", per_delivery(torn, OK))
            w.webhook("slow", per_delivery(lambda e: e.hold(), OK), manager="8")
            w.webhook("never", FAILS, manager="8")
            w.webhook("gone", reply(410), manager="8")

        def events(w):
            w.send("fails-1")
            w.send("fails-2")
            w.send("fails-3", property_uid=21)
            w.send("fails-4", property_uid=21)

        return [webhooks, events]

    def ends(self, world, delivery):
        return {"never": {"exhausted"}, "gone": {"gone", "held"}}.get(delivery.webhook, {"delivered"})


class WebhookLife(Scenario):
    """A webhook is edited, disabled and enabled with each way to deal with what was held, and removed under waiting deliveries."""

    settings = {"retry_schedule": "50ms," * 60 + "50ms"}

    def steps(self):
        def waiting(w):
            w.webhook("x", FAILS)
            w.webhook("y")
            for n in range(1, 4):
                w.send(f"life-{n}")
            w.until(lambda: len(w.requests("x")) >= 3, "the first tries to be made")

        def edit(w):
            w.patch("x", url=w.receiver.url("/x/elsewhere"), timeout_seconds=4)
            w.site.post(w.path("x", "/secret/rotate"), json={"overlap": "1h"}).ok(200)

        def disable(w):
            w.patch("x", enabled=False)
            w.until(lambda: not w.deliveries("x", "pending"), "what waits to be held")

        def held(first, count):
            def more(w):
                for n in range(first, first + count):
                    w.send(f"held-{n}")

            return more

        def enable(policy):
            def step(w):
                w.scripts["x"] = OK
                w.patch("x", enabled=True, held=policy)

            return step

        def all_is_sent(w):
            w.until(lambda: not w.deliveries("x", "held") and not w.deliveries("x", "pending"), "what was held to be sent")

        def remove(w):
            w.scripts["x"] = FAILS
            w.patch("x", enabled=True, held="all")
            w.send("removed-61")
            w.until(lambda: w.deliveries("x", "pending"), "one to wait")

        def removed(w):
            w.site.delete(w.path("x")).ok(204, 200, 404) if "x" in w.webhooks else None
            w.until(lambda: not w.deliveries("x", "pending") and not w.deliveries("x", "held"), "what waited to be cancelled")

        return [
            waiting, edit, disable, enable("all"), all_is_sent,
            disable, held(20, 3), enable("newest"), all_is_sent,
            disable, held(30, 2), enable("none"),
            disable, held(40, 1), enable("keep"),
            remove, removed,
        ]  # fmt: skip

    def ends(self, world, delivery):
        return {"delivered", "cancelled"} if delivery.webhook == "x" else {"delivered"}


class ByHand(Scenario):
    """Retried and cancelled by hand, tests, keys, a manager who goes with his webhook."""

    settings = {"retry_schedule": "50ms"}

    def steps(self):
        def exhausted(w):
            w.webhook("x", FAILS)
            w.webhook("y", FAILS, manager="8")
            w.site.post("/v1/keys", json={"role": "emit", "name": "of the test"}).ok(201)
            for n in (1, 2):
                w.send(f"hand-{n}")
            w.until(lambda: len(w.deliveries("x", "exhausted")) == 2, "two to be exhausted")

        def retry(w):
            w.scripts["x"] = OK
            for row in w.deliveries("x", "exhausted"):
                w.site.post(f"/v1/deliveries/{row['id']}/retry").ok(202)
            w.until_delivered("x", 2)

        def cancel(w):
            w.patch("x", enabled=False)
            event = w.send("hand-3")
            for row in w.deliveries("x", event=event):
                if row["state"] != "cancelled":
                    w.site.post(f"/v1/deliveries/{row['id']}/cancel").ok(200, 202)
            w.patch("x", enabled=True)

        def try_out(w):
            w.site.post(w.path("x", "/test")).ok(202)

        def manager_goes(w):
            w.send("hand-4", property_uid=21)
            w.site.delete("/v1/managers/8").ok(200, 204, 404)
            for key in w.site.walk("/v1/keys", limit=100):
                if key["name"] == "of the test":
                    w.site.delete(f"/v1/keys/{key['id']}").ok(200, 204)

        return [exhausted, retry, cancel, try_out, manager_goes]

    def ends(self, world, delivery):
        if delivery.webhook == "y":
            return {"exhausted", "cancelled"}
        if delivery.is_test:
            return {"delivered", "exhausted"}  # it is sent once, and may have been under way at the death
        return {"cancelled"} if delivery.event == event_number(world, "hand-3") and delivery.webhook == "x" else {"delivered"}


class Order(Scenario):
    """One after the other per property, where one of them fails at first and one for ever."""

    def steps(self):
        at_first = per_delivery(FAILS, FAILS, OK)

        def fails_at_first(exchange):
            perform({1: at_first, 4: FAILS}.get(contract_of(exchange.request), OK), exchange)

        def single(w):
            w.webhook("x", fails_at_first, order_by="property")
            w.webhook("y", order_by="contract_uid")
            for n in range(1, 7):
                w.send(f"order-{n}", property_uid=12 if n % 2 else 13)

        def batch(w):
            w.send_batch("order-11", "order-12", "order-13")

        def cancelled(w):
            w.send("order-14", property_uid=13)
            w.send("order-15", property_uid=13)
            w.patch("x", enabled=False)
            w.send("order-16", property_uid=13)
            w.patch("x", enabled=True, held="all")

        return [single, batch, cancelled]

    def ends(self, world, delivery):
        fails = delivery.webhook == "x" and delivery.event == event_number(world, "order-4")
        return {"exhausted"} if fails else {"delivered"}

    def check(self, world):
        arrived = {}
        for request in world.requests("x"):
            body = json.loads(request.body)
            arrived.setdefault(body["data"]["property_uid"], []).append(body["sequence"])
        for property_uid, numbers in arrived.items():
            assert numbers == sorted(numbers), f"those of property {property_uid} came as {numbers}"


class Coalesce(Scenario):
    """Of several that wait with the same key, only the newest is sent."""

    def steps(self):
        def burst(w):
            w.webhook("x", coalesce={"seconds": 1, "fields": ["property"]})
            w.webhook("y", coalesce={"seconds": 1.5, "fields": ["property", "room_uid"]}, order_by="property")
            for n in range(1, 9):
                w.send(f"coalesce-{n}", property_uid=12 if n % 3 else 13)

        def first_through(w):
            w.until_delivered("x", 1)
            for n in range(9, 13):
                w.send(f"coalesce-{n}")

        return [burst, first_through]

    def ends(self, world, delivery):
        newest = delivery.event in (event_number(world, "coalesce-12"), event_number(world, "coalesce-6"))
        return {"delivered"} if newest else {"delivered", "coalesced"}


class Replay(Scenario):
    """Stored events are decided anew, for all and for one webhook that came later."""

    def steps(self):
        def events(w):
            w.webhook("x")
            w.webhook("z", FAILS, order_by="property")
            for n in (1, 2, 3):
                w.send(f"replay-{n}")
            w.until_delivered("x", 3)
            w.webhook("y")

        def replay(w):
            w.site.post(f"/v1/events/{w.answers['replay-1']['id']}/replay").ok(202)
            for n in (2, 3):
                w.site.post(f"/v1/events/{w.answers[f'replay-{n}']['id']}/replay", json={"webhook_id": w.webhooks["y"]}).ok(202)

        return [events, replay]

    def ends(self, world, delivery):
        return {"exhausted"} if delivery.webhook == "z" else {"delivered"}


class Recover(Scenario):
    """What was exhausted is recovered step by step; a second recovery is cancelled half way."""

    settings = {"retry_schedule": "20ms", "breaker_failures": "1000", "breaker_attempts": "1000"}

    def steps(self):
        def exhausted(first, count):
            def step(w):
                w.webhook("x", FAILS)
                w.webhook("y", FAILS, manager="8", order_by="property")
                w.send_batch(*(f"recover-{n}" for n in range(first, first + count)))
                w.send(f"recover-{first + count}", property_uid=21)
                w.until(lambda: len(w.deliveries("x", "exhausted")) >= count, f"{count} to be exhausted")

            return step

        def recover(name, per_second):
            def step(w):
                w.scripts[name] = OK
                since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
                w.site.post(w.path(name, "/recover"), json={"since": since, "dry_run": True}).ok(200)
                answer = w.site.post(w.path(name, "/recover"), json={"since": since, "per_second": per_second})
                assert answer.status in (202, 409), answer.body  # 409: the one before the death runs on

            return step

        def recovered(w):
            def done():
                return all(row["state"] != "running" for row in w.site.walk("/v1/recoveries"))

            w.until(done, "the recovery to end")

        def fail_again(w):
            w.scripts.update(x=FAILS)

        def cancel(w):
            for row in w.site.walk("/v1/recoveries"):
                if row["state"] == "running":
                    w.site.post(f"/v1/recoveries/{row['id']}/cancel").ok(200)

        return [
            exhausted(100, 12), recover("x", 20), recover("y", 100), recovered,
            fail_again, exhausted(200, 12), recover("x", 5), cancel, recovered,
        ]  # fmt: skip

    def ends(self, world, delivery):
        return {"delivered", "exhausted"} if delivery.webhook == "x" else {"delivered"}

    def check(self, world):
        first = {event_id for key in ("recover-100",) for event_id in (e["id"] for e in world.answers[key]["events"])}
        sent = set(world.receiver.ids)
        assert first <= sent, "what the recovery promised was not sent"


class TestAndEnable(Scenario):
    """A disabled webhook is tried out: it stays so when the test fails, and is enabled and sends the newest when it succeeds."""

    def steps(self):
        def held(w):
            w.webhook("x", FAILS)
            w.patch("x", enabled=False)
            for n in range(1, 5):
                w.send(f"test-{n}")

        def try_out(w):
            answer = w.site.post(w.path("x", "/test"), json={"enable": True, "held": "newest"})
            assert answer.status in (202, 409), answer.body  # 409: it is enabled already, by the one before the death

        def fails(w):
            try_out(w)
            w.settle()
            assert not w.site.get(w.path("x")).ok()["enabled"], "enabled although the test failed"

        def succeeds(w):
            w.scripts["x"] = OK
            try_out(w)
            w.until(lambda: w.site.get(w.path("x")).ok()["enabled"], "the webhook to be enabled")
            w.until(lambda: not w.deliveries("x", "held"), "what was held to be dealt with")
            w.send("test-9")

        return [held, fails, succeeds]

    def ends(self, world, delivery):
        if delivery.is_test:
            return {"delivered", "exhausted"}
        newest = delivery.event in (event_number(world, "test-4"), event_number(world, "test-9"))
        return {"delivered"} if newest else {"cancelled"}


class Stop(Scenario):
    """SIGTERM while slow receivers answer, records are on their way and callers call."""

    def steps(self):
        def slow(exchange):
            exchange.pause(0.15)
            exchange.send(OK)

        def stop_amid(w):
            w.webhook("a", slow)
            w.webhook("b", per_delivery(FAILS, slow))
            for n in range(1, 6):
                w.send(f"stop-{n}")
            w.until(lambda: w.requests("a") and w.requests("b"), "requests to be under way")
            w.stop()

        return [stop_amid]


class CrashStart(Scenario):
    """A start after a crash that dies as well: what was in flight is told once, and sent again."""

    def arm(self, world):
        world.start()
        world.webhook("a", lambda e: e.hold())
        world.webhook("b", lambda e: e.hold(), manager="8")
        for n in (1, 2):
            world.send(f"crash-{n}")
        world.send("crash-3", property_uid=21)
        world.until(lambda: len(world.receiver.requests) == 3, "three requests to be under way")
        world.kill()
        world.scripts.update(a=OK, b=OK)
        world.start(armed=True)

    def steps(self):
        return [lambda w: w.until_delivered("a", 2), lambda w: w.send("crash-4")]


class Large(Scenario):
    """Enough bytes that the log is written back to the database, in the middle of it all."""

    is_long = True

    def steps(self):
        def fill(first):
            def step(w):
                w.webhook("a", events=["booking_cancelled"])
                for n in range(first, first + 40):
                    w.send(f"large-{n}", data={"property_uid": 12, "contract_uid": n, "fill": "x" * 250_000})

            return step

        def one_that_goes_out(w):
            w.send("large-900", type="booking_cancelled")

        return [fill(100), fill(200), one_that_goes_out]


def contract_of(request):
    return json.loads(request.body)["data"]["contract_uid"]


def event_number(world, key):
    from promises import id_number

    return id_number(world.answers[key]["id"])


SCENARIOS = {
    "first-start": FirstStart,
    "events": Events,
    "failures": Failures,
    "webhook-life": WebhookLife,
    "by-hand": ByHand,
    "order": Order,
    "coalesce": Coalesce,
    "replay": Replay,
    "recover": Recover,
    "test-and-enable": TestAndEnable,
    "stop": Stop,
    "crash-start": CrashStart,
    "large": Large,
}
