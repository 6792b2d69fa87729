"""Cases from the field: loop-self-call. A webhook that leads back to the engine, or to whoever feeds it."""

import concurrent.futures
import json
import threading
import time

import pytest
from harness.process import small_world, the_delivery, wait_state
from harness.receiver import reply
from harness.waiting import never_during, wait_for

OK = reply(200)


def test_loop_self_call_own_address_is_refused_at_save(bellhop, site, receiver):
    """loop-self-call: the engine's own API by address and by name, although the setting `allow` has its address on the list."""
    port = bellhop.url.rsplit(":", 1)[1]
    for host in ("127.0.0.1", "localhost", "LOCALHOST", "127.1", "0x7f000001", "[::ffff:127.0.0.1]"):
        url = f"http://{host}:{port}/v1/events"
        site.post("/v1/webhooks", json={"name": "loop", "url": url, "manager_id": "7"}).problem(422, "target_refused")
    webhook = site.webhook(receiver.url())
    answer = site.patch(f"/v1/webhooks/{webhook['id']}", json={"url": f"http://localhost:{port}/v1/events"})
    answer.problem(422, "target_refused")
    assert site.get(f"/v1/webhooks/{webhook['id']}").ok()["url"] == receiver.url()


def test_loop_self_call_a_chain_ends_after_hops_max(install, make_receiver):
    """loop-self-call: a receiver that posts a new event for each delivery, and passes Bellhop-Hops on, is stopped with a reason."""
    bellhop = install(settings={"hops_max": "4"}).start()
    site = small_world(bellhop)
    emit = site.emit_key()
    chain, refusals = [], []

    def feed_back(exchange):
        hops = exchange.request.one("bellhop-hops")
        chain.append(int(hops))
        n = len(chain)
        exchange.send(OK)
        answer = emit.hand_over("booking_added", {"property_uid": 12, "contract_uid": n}, headers={"Bellhop-Hops": hops})
        if answer.status != 202:
            refusals.append(answer)

    receiver = make_receiver(feed_back)
    site.webhook(receiver.url())
    site.send()
    [refusal] = wait_for(lambda: refusals, "the chain to be ended")
    problem = refusal.problem(508, "loop_detected")
    assert "hops" in problem["detail"].lower() or "loop" in problem["detail"].lower()
    never_during(lambda: len(refusals) > 1 or len(chain) > 5, "the chain goes on", 0.5)
    assert chain == [1, 2, 3, 4, 5]
    assert len(site.get("/v1/events").ok()["data"]) == 5
    assert site.hand_over("booking_added").status == 202, "a first-hand event is none of it"


def test_loop_self_call_hops_are_kept_over_a_restart_and_retries(install, make_receiver):
    bellhop = install().start()
    site = small_world(bellhop)
    receiver = make_receiver()
    receiver.stop()
    site.webhook(receiver.url())
    event = site.hand_over("booking_added", headers={"Bellhop-Hops": "3"}).ok(202)["id"]
    wait_for(lambda: the_delivery(site, event)["attempts"] >= 1, "the first attempt")
    bellhop.restart()
    receiver.start_again()
    wait_state(bellhop.site, event, "delivered")
    assert receiver.requests[0].one("bellhop-hops") == "4"


@pytest.mark.parametrize("hops", ["x", "-1", "1.5", "", "1 2", "0x1"])
def test_loop_self_call_hops_that_are_no_number_are_refused(site, hops):
    site.hand_over("booking_added", headers={"Bellhop-Hops": hops}).problem(400)


@pytest.mark.parametrize("hops", ["9", "1001", "99999999999999999999"])
def test_loop_self_call_hops_beyond_the_limit_are_a_loop(site, hops):
    site.hand_over("booking_added", headers={"Bellhop-Hops": hops}).problem(508, "loop_detected")


def test_loop_self_call_every_event_of_a_call_has_its_hops(site, receiver):
    site.webhook(receiver.url())
    lines = "\n".join(json.dumps({"type": "booking_added", "data": {"property_uid": 12, "contract_uid": n}}) for n in range(3))
    site.post("/v1/events", body=lines, content_type="application/x-ndjson", headers={"Bellhop-Hops": "2"}).ok(202)
    wait_for(lambda: len(receiver.requests) == 3, "all three")
    assert {request.one("bellhop-hops") for request in receiver.requests} == {"3"}
    receiver.requests.clear()
    site.send()
    wait_for(lambda: receiver.requests, "a first-hand event")
    assert receiver.requests[0].one("bellhop-hops") == "1"


def test_loop_self_call_the_own_channel_hears_nothing(site, receiver):
    """loop-self-call: no delivery to the channel that caused the change, whatever feeds it back."""
    site.webhook(receiver.url("/own"), channel_id="3", name="own")
    site.webhook(receiver.url("/other"), channel_id="4", name="other")
    event = site.send("booking_added", {"property_uid": 12}, channel={"channel_id": 3})
    wait_state(site, event, "delivered")
    never_during(lambda: any(request.target == "/own" for request in receiver.requests), "its own change came back", 0.3)
    verdicts = {row["webhook_name"]: row["verdict"] for row in site.get(f"/v1/events/{event}/verdicts").ok()["data"]}
    assert verdicts == {"own": "own_change", "other": "triggered"}


def test_loop_self_call_intake_is_limited_for_each_caller(install, make_receiver):
    """loop-self-call: an API key over its rate gets 429 with Retry-After; other keys do not notice, and after that time it is heard again."""
    site = small_world(install(settings={"intake_rate": "20"}).start())
    one, two = site.emit_key(), site.emit_key()
    began = time.monotonic()
    answers, lock = [], threading.Lock()

    def post(n):
        answer = one.hand_over("booking_added", {"property_uid": 12, "contract_uid": n})
        with lock:
            answers.append(answer)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(post, range(100)))
    took = time.monotonic() - began
    refused = [answer for answer in answers if answer.status != 202]
    assert 20 <= 100 - len(refused) <= 21 + 20 * took, f"{len(refused)} refused in {took:.2f} s"
    for answer in refused:
        answer.problem(429, "too_many_events")
        assert 1 <= int(answer.headers["Retry-After"]) <= 5
    assert two.hand_over("booking_added").status == 202
    wait_for(lambda: one.hand_over("booking_added").status == 202, "the caller to be heard again", within=6, every=0.2)


def test_loop_self_call_a_call_of_many_events_counts_each(install):
    site = small_world(install(settings={"intake_rate": "20"}).start())
    lines = "\n".join(json.dumps({"type": "booking_added", "data": {"property_uid": 12, "contract_uid": n}}) for n in range(18))
    caller = site.emit_key()
    assert caller.post("/v1/events", body=lines, content_type="application/x-ndjson").status == 202
    caller.post("/v1/events", body=lines, content_type="application/x-ndjson").problem(429, "too_many_events")
