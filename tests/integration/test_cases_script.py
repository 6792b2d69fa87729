"""Cases from the field: script-endless. A script that never ends costs its owner's attempts, and nobody else anything."""

import re
import shutil
from datetime import datetime

import pytest
from harness.process import ROOT, attempts_of, deliveries_of, small_world, wait_attempts, wait_state
from harness.waiting import wait_for

FORM = 'fields = { { key = "url", format = "url", title = "URL", required = true } }'
BURN = "while true do end"

# What does not end when the file is loaded: it never becomes a method.
LOADING = {
    "loops-at-load": f"{BURN} return {{ title = 'x', {FORM}, deliver = function() end }}",
    "loops-in-form": "return { title = 'x', fields = (function() while true do end end)(), deliver = function() end }",
    "grows-at-load": f"local s = 'x' while true do s = s .. s end return {{ title = 'x', {FORM}, deliver = function() end }}",
}

# What does not end when it sends.
SENDING = {
    "loops": BURN,
    "catches": "while true do pcall(function() while true do end end) end",
    "sleeps": "local till = time.now() + 3600 while time.now() < till do end",
    "grows": "local s = 'x' while true do s = s .. s end",
    "hoards": "local t = {} while true do t[#t + 1] = { #t } end",
    "calls-for-ever": "while true do remote.post(settings.url, { body = event.body }) end",
}

# And what does not end in a webhook's own script.
OWN = {
    "accepts": f"return {{ accepts = function(event) {BURN} end }}",
    "transform": f"return {{ transform = function(event) {BURN} end }}",
    "gsub": "return { transform = function(event) return (event.body:gsub('.', function(c) while true do end end)) end }",
    "sort": "return { accepts = function(event) local t = {} for i = 1, 1000 do t[i] = i end "
    "table.sort(t, function(a, b) while true do end end) return true end }",
}


def method_file(deliver):
    return f"return {{ title = 'Endless', {FORM}, deliver = function(event, settings, remote) {deliver} end }}"


class Scene:
    """A methods folder with all that never ends beside the shipped ones, and a plain webhook of manager 7 at property 12."""

    def __init__(self, install, folder, receiver):
        self.methods = folder / "methods"
        shutil.copytree(ROOT / "methods", self.methods)
        for name, text in LOADING.items():
            (self.methods / f"{name}.lua").write_text(text)
        for name, deliver in SENDING.items():
            (self.methods / f"{name}.lua").write_text(method_file(deliver))
        settings = {"methods_dir": str(self.methods), "retry_schedule": "1s,1h"}
        self.bellhop = install(settings=settings).start()
        self.site = small_world(self.bellhop)
        self.receiver = receiver
        self.site.webhook(receiver.url(), properties=["12"])

    def measure(self, count=100):
        """How long each of so many events takes from our hands to the plain webhook's receiver, in seconds, sorted."""
        events = [self.site.send(data={"property_uid": 12, "contract_uid": n}) for n in range(count)]
        for event in events:
            wait_for(lambda event=event: self.receiver.of(event), "a plain delivery", within=30)
        return sorted(self.delay_of(event) for event in events)

    def delay_of(self, event):
        """As Bellhop's own attempt tells it: from when the event was taken until its request was answered."""
        [delivery] = [d for d in wait_plain(self.site, event) if d["state"] == "delivered"]
        [attempt] = attempts_of(self.site, delivery["id"])
        return seconds_between(delivery["created_at"], attempt["started_at"]) + attempt["total_us"] / 1e6


def seconds_between(early, late):
    return (datetime.fromisoformat(late.replace("Z", "+00:00")) - datetime.fromisoformat(early.replace("Z", "+00:00"))).total_seconds()


def wait_plain(site, event):
    return wait_for(lambda: [d for d in deliveries_of(site, event) if d["state"] == "delivered"], "the plain delivery", within=30)


def p99(delays):
    return delays[int(len(delays) * 0.99) - 1]


@pytest.fixture
def scene(install, tmp_path, make_receiver):
    return Scene(install, tmp_path, make_receiver())


def test_script_endless(scene):
    """script-endless: each variant is stopped and fails its attempt; plain deliveries keep their latency; nothing is left running."""
    site = scene.site
    page = site.get("/v1/methods").ok()
    assert sorted(entry["name"] for entry in page["broken"]) == sorted(LOADING)
    assert all(f"{entry['name']}.lua" in entry["error"] for entry in page["broken"])
    without = p99(scene.measure())

    there = {"url": scene.receiver.url("/endless"), "properties": ["13"]}
    endless = [site.webhook(**there, method=name) for name in SENDING]
    endless += [site.webhook(**there, script=script) for script in OWN.values()]
    for n in range(10):
        site.send(data={"property_uid": 13, "contract_uid": n})
    with_them = p99(scene.measure())

    # A hundred deliveries burn their budgets beside the plain ones; a loop gives each of them a millisecond at a time.
    assert with_them < max(20 * without, 0.5), (with_them, without)
    for webhook in endless:
        found = site.get(f"/v1/deliveries?webhook_id={webhook['id']}&limit=1").ok()["data"]
        [first, *_] = wait_attempts(site, found[0]["id"], 1, within=120)
        assert (first["outcome"], first["cause"]) == ("failed", "script"), first
        assert re.search("instructions|memory|computed for too long|calls", first["sentence"]), first["sentence"]
    assert scene.bellhop.stop() == 0  # as soon as ever: whatever computes still has sent nothing


def test_an_own_script_without_an_end_when_it_is_saved_is_refused(scene):
    body = {"manager_id": "7", "url": scene.receiver.url(), "script": f"{BURN} return {{ accepts = function() return true end }}"}
    problem = scene.site.post("/v1/webhooks", json=body).problem(422)
    assert "/script" in str(problem)


def test_a_bad_own_script_hurts_none_of_its_neighbours(bellhop, make_receiver):
    """One manager's script breaks for each event; twenty others' webhooks get every event at their first attempt."""
    site = bellhop.site
    receiver, bad = make_receiver(), make_receiver()
    managers = [str(n) for n in range(100, 121)]
    for manager in managers:
        site.manager(manager)
    site.property("50", *managers)
    site.webhook(bad.url(), manager=managers[0], script="return { accepts = function(event) return event.no.such end }")
    healthy = [site.webhook(receiver.url(f"/{manager}"), manager=manager)["id"] for manager in managers[1:]]

    events = [site.send(data={"property_uid": 50, "contract_uid": n}) for n in range(20)]
    for event in events:
        wait_for(lambda event=event: len(receiver.of(event)) == len(healthy), "all healthy webhooks to have it", within=60)
    for event in events:
        for delivery in deliveries_of(site, event):
            if delivery["webhook_id"] in healthy:
                assert delivery["attempts"] <= 1
    [delivery] = [d for d in deliveries_of(site, events[0]) if d["webhook_id"] not in healthy]
    [first, *_] = wait_attempts(site, delivery["id"], 1)
    assert first["cause"] == "script" and "script:1:" in first["sentence"]
    assert not bad.requests


def test_filtered_events_are_told_and_not_sent(site, receiver):
    site.webhook(receiver.url(), script="return { accepts = function(event) return event.data.contract_uid > 40 end }")
    unwanted = site.send(data={"property_uid": 12, "contract_uid": 7})
    wanted = site.send(data={"property_uid": 12, "contract_uid": 41})
    wait_state(site, wanted, "delivered")
    [filtered] = wait_state(site, unwanted, "filtered")
    assert filtered["attempts"] == 0 and "own script" in filtered["reason"]
    assert not receiver.of(unwanted)
