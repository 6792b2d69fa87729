"""Cases from the field: time-utc. Spans are spans in every zone, and what is shown or sent is UTC."""

import datetime
import re
import subprocess
import sys
import time

import pytest
from harness.process import small_world, the_delivery, wait_attempts, wait_state
from harness.signing import assert_signed
from harness.waiting import wait_for

UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def moment(text):
    assert UTC_TIME.fullmatch(text), text
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def times_in(value):
    """All members of an answer whose name says that they are a time."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name.endswith("_at") and member is not None:
                yield member
            yield from times_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from times_in(member)


def zone_that_changes(at, by_hours):
    """A POSIX TZ whose summer time begins at the moment `at`, or ends then when the clock goes back."""
    forward = by_hours > 0
    base = 3  # east of Greenwich, so that local time is not UTC by chance
    local = time.gmtime(at + base * 3600 if forward else at + (base + 1) * 3600)
    change = f"{local.tm_yday - 1}/{local.tm_hour:02d}:{local.tm_min:02d}:{local.tm_sec:02d}"
    other = f"{(local.tm_yday - 1 + 180) % 365}/00:00:00"
    begin, end = (change, other) if forward else (other, change)
    return f"AAA-{base}BBB-{base + 1},{begin},{end}"


def time_in(zone, at):
    """How many hours the zone's clock is ahead of UTC at a moment, as the C library reads the zone."""
    code = f"import time; time.tzset(); t = time.localtime({at}); print(t.tm_gmtoff)"
    return int(subprocess.run([sys.executable, "-c", code], env={"TZ": zone}, capture_output=True, text=True, check=True).stdout) / 3600


@pytest.mark.parametrize("zone", ["America/St_Johns", "Asia/Kathmandu", "Europe/Berlin", "clock goes forward", "clock goes back"])
def test_time_utc(install, scripted, zone):
    """
    time-utc: the same real delays in every zone and over both changes of the clock; RFC 3339 with Z; Unix seconds.

    Attempts at once, after 1 s, 1 s and 1 s (over the change, where there is one), then one in five hours.
    """
    receiver = scripted("request 1-4: reply 500")
    if zone.startswith("clock"):
        at = int(time.time()) + 4
        zone = zone_that_changes(at, +1 if "forward" in zone else -1)
        offsets = {time_in(zone, at - 1), time_in(zone, at)}
        assert len(offsets) == 2, "the clock of that zone does not change then"
    else:
        at = 0
    bellhop = install(settings={"retry_schedule": "1s,1s,1s,5h"}).start(env={"TZ": zone})
    site = small_world(bellhop)
    webhook = site.webhook(receiver.url())
    wait_for(lambda: time.time() > at - 2, "the change of the clock to be near")
    began = time.time()
    event = site.send("booking_added", {"property_uid": 12, "contract_uid": 41})
    delivery = the_delivery(site, event)["id"]

    made = wait_attempts(site, delivery, 4)
    starts = sorted(moment(attempt["started_at"]) for attempt in made)
    assert abs(starts[0] - began) < 5
    assert all(0.9 < later - earlier < 5 for earlier, later in zip(starts, starts[1:])), starts
    assert not at or starts[0] < at < starts[-1], "the change was not between the attempts"

    def due_in_five_hours():
        return abs(moment(the_delivery(site, event)["due_at"]) - (time.time() + 5 * 3600)) < 10

    wait_for(due_in_five_hours, "the next attempt to be due in five hours")
    site.post(f"/v1/deliveries/{delivery}/retry").ok(202)
    wait_state(site, event, "delivered")

    for request in receiver.requests:
        stamp = request.one("webhook-timestamp")
        assert re.fullmatch(r"\d{10}", stamp) and abs(int(stamp) - request.wall) < 5, (stamp, request.wall)
        assert_signed(request, webhook["secret"])
        assert abs(moment(request.json["timestamp"]) - began) < 5
    for path in (f"/v1/events/{event}", f"/v1/deliveries/{delivery}", f"/v1/deliveries/{delivery}/attempts", f"/v1/webhooks/{webhook['id']}",
                 "/v1/events", "/v1/deliveries", "/v1/webhooks", "/v1/keys", "/v1/audit"):  # fmt: skip
        shown = list(times_in(site.get(path).ok()))
        assert shown or path == "/v1/audit", path
        for text in shown:
            assert abs(moment(text) - began) < 60, (path, text)


def test_time_utc_a_given_time_with_an_offset_is_shown_in_utc(install, scripted):
    """time-utc: 2026-03-29T03:30:00+02:00 is half past one by UTC, also where that hour does not exist."""
    receiver = scripted()
    site = small_world(install().start(env={"TZ": "Europe/Berlin"}))
    site.webhook(receiver.url())
    event = site.send("booking_added", {"property_uid": 12}, occurred_at="2026-03-29T03:30:00+02:00")
    wait_state(site, event, "delivered")
    assert moment(site.get(f"/v1/events/{event}").ok()["occurred_at"]) == moment("2026-03-29T01:30:00Z")
    assert moment(receiver.requests[0].json["timestamp"]) == moment("2026-03-29T01:30:00Z")
