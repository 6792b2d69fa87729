"""A receiver that was written for Jomres notices no change: the shape `jomres` over the wire, against captured requests."""

import json

import pytest
from harness.process import ROOT, wait_state
from harness.signing import assert_signed

ROWS = json.loads((ROOT / "tests" / "fixtures" / "jomres_wire.json").read_text())["rows"]


@pytest.fixture
def jomres_site(bellhop):
    """The people of the captured run: manager 2 of the properties 1 and 2, super manager 1, receptionist 3."""
    site = bellhop.site
    site.manager("1", role="super")
    site.manager("2")
    site.manager("3", role="receptionist")
    site.property("1", "3", "2")
    site.property("2", "2")
    return site


def test_the_jomres_shape_matches_what_was_captured(jomres_site, receiver):
    """
    Every captured event, handed over one by one. A row with an owner is what manager 2's webhook gets; one without is
    what the site's gets. Rows that change the directory are put back at once, so that the next one finds the same people.
    """
    site = jomres_site
    managers = site.webhook(receiver.url("/manager"), manager="2", shape="jomres")
    sites = site.webhook(receiver.url("/site"), manager=None, shape="jomres")
    wrong = []
    for row in ROWS:
        event = site.post("/v1/events", body=json.dumps(row["event"], separators=(",", ":"))).ok(202)["id"]
        wait_state(site, event, "delivered")
        target = "/manager" if row["owner"] == "2" else "/site"
        request = next(request for request in receiver.of(event) if request.target == target)
        assert_signed(request, (managers if target == "/manager" else sites)["secret"])
        if request.body.decode() != row["body"]:
            wrong.append((row["event"], request.body.decode(), row["body"]))
        site.manager("3", role="receptionist")
        site.property("1", "3", "2")
        site.property("2", "2")
    assert not wrong, "\n".join(f"{event}\n  sent     {sent}\n  captured {body}" for event, sent, body in wrong)


def test_the_guest_booking_burst_arrives_whole(site, receiver, fixtures):
    """The six events of one guest booking in one call: five reach the manager's webhook, the account is the site's matter."""
    site.webhook(receiver.url(), shape="standard")
    text = (fixtures / "guest_booking.ndjson").read_bytes()
    accepted = site.post("/v1/events", body=text, content_type="application/x-ndjson").ok(202)["events"]
    kinds = [json.loads(line)["type"] for line in text.splitlines() if line.strip()]
    assert kinds == ["user_created", "property_settings_updated", "invoice_created", "invoice_updated", "booking_added", "property_state_change"]
    for kind, entry in zip(kinds[1:], accepted[1:]):
        wait_state(site, entry["id"], "delivered")
        body = json.loads(receiver.of(entry["id"])[0].body)
        assert (body["type"], body["id"]) == (kind, entry["id"])
    assert receiver.of(accepted[0]["id"]) == []


def test_the_object_form_of_jomres_is_taken_in(site, receiver):
    site.webhook(receiver.url(), shape="jomres")
    event = site.post(
        "/v1/events",
        body='{"webhook_event":"booking_added","webhook_event_description":"A booking","webhook_event_plugin":"core","data":{"property_uid":12,"contract_uid":"8"}}',
    ).ok(202)["id"]
    wait_state(site, event, "delivered")
    assert receiver.of(event)[0].body == b'{"data":{"property_uid":12,"contract_uid":"8","task":"booking_added","manager_id":7}}'
