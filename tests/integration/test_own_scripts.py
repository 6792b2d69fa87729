"""A webhook's own script: what it drops, changes and breaks, and that a dry run says beforehand what then happens."""

import json
import threading

import pytest
from harness.process import attempts_of, deliveries_of, small_world, wait_attempts, wait_state
from harness.receiver import reply
from harness.waiting import wait_for

# Drops cheap bookings, writes the others anew, leaves those of contract 1 as they are, and breaks at contract 13.
CHOOSY = """
local function text(event)
	return { text = "Booking " .. event.data.contract_uid .. " for " .. event.data.total, id = event.id }
end

return {
	accepts = function(event)
		return event.data.total >= 100
	end,
	transform = function(event)
		if event.data.contract_uid == 1 then return nil end
		if event.data.contract_uid == 13 then error("thirteen") end
		return text(event)
	end,
}
"""
BOOKINGS = [(1, 500), (2, 99), (3, 100), (13, 700), (4, 250.50), (5, 0)]


def booking(contract, total):
    return {"property_uid": 12, "contract_uid": contract, "total": total}


def dry_run(api, webhook, **body):
    return api.post(f"/v1/webhooks/{webhook['id']}/dry-run", json=body).ok()


def state_of(site, event):
    return deliveries_of(site, event)[0]["state"]


def verdicts(site, event):
    return site.get(f"/v1/events/{event}/verdicts").ok()["data"]


def test_a_dry_run_over_past_events_says_what_then_happens_to_new_ones(site, receiver):
    """Whoever writes a script tries it on what has come already, saves it, and gets just that from then on."""
    webhook = site.webhook(receiver.url())
    past = [site.send(data=booking(*each)) for each in BOOKINGS]
    for event in past:
        wait_state(site, event, "delivered")
    assert len(receiver.requests) == len(past)

    foretold = dry_run(site, webhook, script=CHOOSY, events=past)["data"]
    assert [row["event_id"] for row in foretold] == past
    assert [row["verdict"] for row in foretold] == ["sent", "filtered", "sent", "error", "sent", "filtered"]
    assert [row["changed"] for row in foretold] == [False, False, True, False, True, False]
    newest = dry_run(site, webhook, script=CHOOSY)["data"]
    assert newest == foretold[::-1]
    assert len(receiver.requests) == len(past), "a dry run sends nothing"

    site.patch(f"/v1/webhooks/{webhook['id']}", json={"script": CHOOSY}).ok()
    assert site.get(f"/v1/webhooks/{webhook['id']}").ok()["script"] == CHOOSY
    for row, each, old in zip(foretold, BOOKINGS, past):
        before = len(receiver.requests)
        event = site.send(data=booking(*each))
        if row["verdict"] == "error":
            delivery = deliveries_of(site, event)[0]["id"]
            attempt = wait_attempts(site, delivery, 1)[0]
            assert attempt["cause"] == "script" and row["error"] in attempt["sentence"], attempt
            assert state_of(site, event) == "pending", "nothing is lost by a mistake"
            assert len(receiver.requests) == before
            continue
        wait_state(site, event, "delivered" if row["verdict"] == "sent" else "filtered")
        sent = [request.body for request in receiver.requests[before:]]
        if row["verdict"] == "filtered":
            assert sent == []
        elif row["changed"]:
            assert [json.loads(body) for body in sent] == [json.loads(row["body"].replace(old, event))]
        else:
            (body,) = sent
            told, is_now = json.loads(row["body"]), json.loads(body)
            assert is_now["data"] == told["data"] and list(is_now) == list(told)


def test_the_same_event_replayed_is_sent_as_the_dry_run_showed_it(site, receiver):
    """Byte for byte, since it is the same event."""
    webhook = site.webhook(receiver.url(), script=CHOOSY)
    events = [site.send(data=booking(contract, 300)) for contract in (1, 2)]
    for event in events:
        wait_state(site, event, "delivered")
    rows = dry_run(site, webhook, events=events)["data"]
    by_id = {request.id: request.body.decode() for request in receiver.requests}
    assert by_id == {row["event_id"]: row["body"] for row in rows}


def test_what_is_filtered_is_told_with_whose_condition_it_was(site, receiver):
    webhook = site.webhook(receiver.url(), script=CHOOSY)
    event = site.send(data=booking(2, 99))
    (delivery,) = wait_state(site, event, "filtered")
    assert delivery["attempts"] == 0 and delivery["ended_at"]
    assert "own script" in delivery["reason"]
    assert attempts_of(site, delivery["id"]) == []
    (row,) = verdicts(site, event)
    assert (row["verdict"], row["state"], row["sentence"]) == ("filtered", "filtered", delivery["reason"])
    listed = site.walk("/v1/deliveries?state=filtered")
    assert [each["id"] for each in listed] == [delivery["id"]]
    assert site.walk(f"/v1/deliveries?state=filtered&webhook_id={webhook['id']}") == listed
    assert receiver.requests == []


def test_a_filtered_one_lets_the_next_of_its_order_follow(site, receiver):
    site.webhook(receiver.url(), script=CHOOSY, order_by="property")
    events = site.send_many([booking(contract, 99 if contract % 3 else 100) for contract in range(20, 50)])
    for place, event in enumerate(events):
        wait_state(site, event, "filtered" if (20 + place) % 3 else "delivered")
    assert receiver.ids == [event for place, event in enumerate(events) if not (20 + place) % 3]


def test_a_test_is_sent_whatever_the_script_wants(site, receiver):
    webhook = site.webhook(receiver.url(), script="return { accepts = function() return false end }")
    made = site.post(f"/v1/webhooks/{webhook['id']}/test", json={}).ok(202)
    wait_state(site, made["event_id"], "delivered")
    assert json.loads(receiver.requests[0].body)["type"] == "bellhop.test"


def test_a_mended_script_delivers_what_a_broken_one_held_up(install, make_receiver):
    site = small_world(install(settings={"retry_schedule": "1s,1s,1s,1s,1s,1s,1s"}).start())
    receiver = make_receiver()
    webhook = site.webhook(receiver.url(), script="return { transform = function(event) return event.nothing.at_all end }")
    event = site.send()
    attempt = wait_attempts(site, deliveries_of(site, event)[0]["id"], 1)[0]
    assert (attempt["outcome"], attempt["cause"]) == ("failed", "script")
    assert "script:1:" in attempt["sentence"]
    site.patch(f"/v1/webhooks/{webhook['id']}", json={"script": "return { transform = function() return 'mended' end }"}).ok()
    wait_state(site, event, "delivered")
    assert [request.body for request in receiver.requests] == [b"mended"]


def test_a_script_that_is_removed_has_no_say_any_more(site, receiver):
    webhook = site.webhook(receiver.url(), script=CHOOSY)
    wait_state(site, site.send(data=booking(2, 99)), "filtered")
    site.patch(f"/v1/webhooks/{webhook['id']}", json={"script": None}).ok()
    assert site.get(f"/v1/webhooks/{webhook['id']}").ok()["script"] is None
    event = site.send(data=booking(2, 99))
    wait_state(site, event, "delivered")
    assert json.loads(receiver.requests[-1].body)["data"] == booking(2, 99)


def test_a_script_outlives_a_restart(install, make_receiver):
    bellhop = install().start()
    site = small_world(bellhop)
    receiver = make_receiver()
    webhook = site.webhook(receiver.url(), script=CHOOSY)
    site = bellhop.restart().site
    assert site.get(f"/v1/webhooks/{webhook['id']}").ok()["script"] == CHOOSY
    wait_state(site, site.send(data=booking(2, 99)), "filtered")


def test_a_manager_tries_his_own_webhooks_on_his_own_events(site, receiver):
    own, other = site.webhook(receiver.url()), site.webhook(receiver.url("/8"), manager="8")
    his, foreign = site.send(), site.send(data={"property_uid": 21, "contract_uid": 8})
    for event in (his, foreign):
        wait_state(site, event, "delivered")
    seven = site.manager_key("7")
    spy = "return { transform = function(event) return event.body end }"
    assert [row["event_id"] for row in dry_run(seven, own, script=spy)["data"]] == [his]
    seven.post(f"/v1/webhooks/{other['id']}/dry-run", json={}).problem(404, "not_found")
    refused = seven.post(f"/v1/webhooks/{own['id']}/dry-run", json={"events": [his, foreign]}).problem(422, "invalid_field")
    assert refused["pointer"] == "/events/1"
    unknown = seven.post(f"/v1/webhooks/{own['id']}/dry-run", json={"events": [his, "evt_0zzzzzzzzzzzz"]}).problem(422, "invalid_field")
    assert unknown == refused
    seven.post(f"/v1/webhooks/{other['id']}/dry-run", json={"script": spy, "events": [foreign]}).problem(404, "not_found")


def test_a_script_that_does_not_check_is_not_kept(site, receiver):
    webhook = site.webhook(receiver.url())
    path = f"/v1/webhooks/{webhook['id']}"
    for script in ("return {", "return {}", "return { accepts = 1 }", "x" * 17000, "error('no')", ""):
        for call in (site.patch(path, json={"script": script}), site.post(path + "/dry-run", json={"script": script})):
            assert call.problem(422, "invalid_field")["pointer"] == "/script"
    site.post("/v1/webhooks", json={"manager_id": "7", "url": receiver.url(), "script": "return {"}).problem(422, "invalid_field")
    assert site.get(path).ok()["script"] is None


def test_passwords_are_not_read_back_by_a_dry_run(site, receiver):
    settings = {"url": receiver.url(), "basic_username": "ada", "basic_password": "s3cr3t-word"}
    webhook = site.post("/v1/webhooks", json={"manager_id": "7", "method": "basic", "settings": settings}).ok(201)
    event = site.send()
    wait_state(site, event, "delivered")
    seven = site.manager_key("7")
    spies = [
        "return { transform = function(event, settings) return tostring(settings.basic_password) .. settings.basic_username end }",
        "return { transform = function(event, settings) error(settings.basic_password or 'nothing') end }",
        "return { accepts = function(event, settings) return settings.basic_password ~= nil end }",
    ]
    verdicts = []
    for spy in spies:
        answer = seven.post(f"/v1/webhooks/{webhook['id']}/dry-run", json={"script": spy})
        assert b"s3cr3t-word" not in answer.body
        verdicts.append(answer.ok()["data"][0])
    assert verdicts[0]["body"] == "nilada"
    assert "nothing" in verdicts[1]["error"]
    assert verdicts[2]["verdict"] == "filtered"


def test_a_bad_script_in_a_dry_run_holds_up_nobody(site, receiver):
    """While it burns its two seconds, events are taken and delivered, and other routes answer."""
    webhook = site.webhook(receiver.url())
    site.send_many([booking(contract, 1) for contract in range(100)])
    wait_for(lambda: len(receiver.requests) == 100, "all to be delivered")
    answers = []
    endless = {"script": "return { accepts = function() while true do end end }", "limit": 100}
    burning = threading.Thread(target=lambda: answers.append(site.post(f"/v1/webhooks/{webhook['id']}/dry-run", json=endless)))
    burning.start()
    while burning.is_alive():
        wait_state(site, site.send(), "delivered", within=30)
    burning.join()
    page = answers[0].ok()
    assert page["truncated"] is True
    assert page["data"] and all(row["verdict"] == "error" for row in page["data"])


def test_a_dry_run_that_is_under_way_does_not_hold_up_the_end(install, make_receiver):
    bellhop = install().start()
    site = small_world(bellhop)
    webhook = site.webhook(make_receiver().url(), enabled=False)
    site.send_many([booking(contract, 1) for contract in range(100)])
    endless = {"script": "return { accepts = function() while true do end end }", "limit": 100}
    answers = []
    calls = [
        threading.Thread(target=lambda: answers.append(site.post(f"/v1/webhooks/{webhook['id']}/dry-run", json=endless))) for _ in range(4)
    ]
    for call in calls:
        call.start()
    wait_for(lambda: b"bellhop_api_suspended 4\n" in site.get("/metrics").body, "all four to wait for the stage")
    bellhop.stop(within=10)
    for call in calls:
        call.join()
    assert all(answer.ok()["truncated"] for answer in answers)


# --- Methods read anew ----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    methods = tmp_path / "methods"
    methods.mkdir()
    (methods / "none.lua").write_text(ACME)
    (methods / "acme.lua").write_text(ACME)
    return methods


ACME = """
return {
  title = "Acme",
  fields = { { key = "url", format = "url", title = "URL", required = true } },
  deliver = function(event, settings, remote) return remote.post(settings.url, { body = event.body }) end,
}
"""


def count(bellhop, words):
    return sum(words in line for line in bellhop.log.splitlines())


def test_a_broken_method_is_told_once_and_the_old_one_goes_on(install, make_receiver, folder):
    bellhop = install(settings={"methods_dir": str(folder)}).start()
    site = small_world(bellhop)
    receiver = make_receiver()
    site.webhook(receiver.url(), method="acme")
    (folder / "acme.lua").write_text("return {\n  title = \n}")
    for _ in range(3):
        page = site.post("/v1/methods/reload").ok()
        assert [(each["name"], each["kept"]) for each in page["broken"]] == [("acme", True)]
    bellhop.reload()
    wait_for(lambda: count(bellhop, "read again"), "the reload")
    assert count(bellhop, "method not loaded") == 1, bellhop.log
    wait_state(site, site.send(), "delivered")

    (folder / "acme.lua").write_text("return {\n\n  title = \n}")
    site.post("/v1/methods/reload").ok()
    assert count(bellhop, "method not loaded") == 2
    (folder / "acme.lua").write_text(ACME.replace("event.body", "'mended'"))
    page = site.post("/v1/methods/reload").ok()
    assert (page["changed"], page["broken"]) == (["acme"], [])
    assert count(bellhop, "broken no more") == 1
    wait_state(site, site.send(), "delivered")
    assert receiver.requests[-1].body == b"mended"


@pytest.mark.smoke
def test_reloads_by_signal_and_by_the_api_do_not_get_in_each_others_way(install, make_receiver, folder):
    bellhop = install(settings={"methods_dir": str(folder)}).start()
    site = small_world(bellhop)
    receiver = make_receiver()
    site.webhook(receiver.url(), method="acme")
    for turn in range(20):
        (folder / "acme.lua").write_text(ACME.replace("event.body", f"'turn {turn}'"))
        bellhop.reload()
        site.post("/v1/methods/reload").ok()
    event = site.send()
    wait_state(site, event, "delivered")
    assert receiver.requests[-1].body == b"turn 19"
    lines = [line["what"] for line in site.walk("/v1/audit")]
    assert sum(line.startswith("methods.reload") for line in lines) == 20
