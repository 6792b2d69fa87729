"""The method for Slack: what a template makes of an event, and what the answers mean."""

import json

import pytest
from harness.process import attempts_of, the_delivery, wait_attempts, wait_state
from harness.receiver import reply
from harness.secrets import assert_nowhere
from harness.slack import Slack, word
from harness.waiting import wait_for


@pytest.fixture
def slack():
    service = Slack()
    yield service
    service.stop()


def create(site, service, template=None, **more):
    settings = {"webhook_url": service.webhook_url, **({} if template is None else {"template": template})}
    return site.post("/v1/webhooks", json={"manager_id": "7", "method": "slack", "settings": settings, **more}).ok(201)


def message(site, slack, data=None, **more):
    event = site.send("booking_added", data or {"property_uid": 12, "contract_uid": 4711}, **more)
    wait_state(site, event, "delivered")
    return slack.messages[-1]


def end_of(site, event):
    def ended():
        delivery = the_delivery(site, event)
        return delivery if delivery["state"] != "pending" else None

    delivery = wait_for(ended, f"{event} to come to an end")
    return delivery, attempts_of(site, delivery["id"])


# --- The message --------------------------------------------------------------------------------


def test_a_booking_is_told_in_the_words_of_the_default_template(site, slack):
    create(site, slack)
    assert message(site, slack) == "New booking 4711 at property 12"
    (request,) = slack.requests
    assert request.method == "POST" and request.one("content-type") == "application/json"
    assert json.loads(request.body) == {"text": "New booking 4711 at property 12"}


DATA = """{"property_uid": 12, "contract_uid": "8", "total": "242.00", "exact": 12345678901234567890, "big": 9223372036854775807, "ok": true,
 "no": false, "none": null, "empty": "", "guest": {"name": "Zoë & <Co>", "rooms": ["7", {"floor": 2}]}, "odd-name": "x", "type": "mine"}"""
DETAILS = {"guest": {"name": "From details", "city": "Köln"}, "arrival": "2027-03-25"}


@pytest.mark.parametrize(
    "template, expected",
    [
        ("{contract_uid}, {total}, {exact}, {big}", "8, 242.00, 12345678901234567890, 9223372036854775807"),
        ("{ok} {no} [{none}] [{empty}]", "true false [] []"),
        ("{type} {property_id} {manager_id}", "booking_added 12 7"),
        ("{data.type} {data.property_uid}", "mine 12"),
        ("{guest.name}", "Zoë &amp; &lt;Co&gt;"),
        ("{guest.rooms.1} {guest.rooms.2.floor} {odd-name}", "7 2 x"),
        ("{details.guest.name} {guest.city} {arrival}", "From details Köln 2027-03-25"),
        ("{nobody} {guest} {guest.rooms} {guest.rooms.3} {guest.name.x} {.} {}", "{nobody} {guest} {guest.rooms} {guest.rooms.3} {guest.name.x} {.} {}"),
        ("{{contract_uid}} { contract_uid } %d %1 %%", "{8} { contract_uid } %d %1 %%"),
        ("<https://hotel.example/{contract_uid}|Open> & *now*\n\ttab", "<https://hotel.example/8|Open> & *now*\n\ttab"),
        ("plain \"text\" \\ 🛎️", 'plain "text" \\ 🛎️'),
    ],
)
def test_names_in_braces_are_replaced(site, slack, template, expected):
    """Numbers of any size keep their digits; what the event does not have stays as it is, so that a mistake in the template is seen."""
    create(site, slack, template)
    assert message(site, slack, DATA, details=DETAILS) == expected


@pytest.mark.parametrize("name", ["<!channel>", "<http://evil.example|Your bank>", "&lt;!here&gt;", "{type}", "%1 {contract_uid}", "a\"b\\c\n", "\u202e<@U1>"])
def test_a_guest_cannot_call_everybody_or_make_links(site, slack, name):
    """In values, & < and > are escaped, as Slack asks for; and what stands in a value is not looked into again."""
    create(site, slack, "Guest: {guest}")
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert message(site, slack, {"property_uid": 12, "guest": name}) == f"Guest: {escaped}"


def test_a_test_shows_what_a_message_will_look_like(site, slack):
    webhook = create(site, slack)
    answer = site.post(f"/v1/webhooks/{webhook['id']}/test").ok(202)
    (attempt,) = wait_attempts(site, answer["delivery_id"], 1)
    assert attempt["outcome"] == "delivered"
    assert slack.messages == ["This is a test. A message will look like this:\nNew booking {contract_uid} at property {property_uid}"]


def test_a_dry_run_shows_the_message(site, slack):
    """It is made by `transform`, so the owner sees it before anybody else does."""
    webhook = create(site, slack)
    event = site.send("booking_added", {"property_uid": 12, "contract_uid": 4711})
    wait_state(site, event, "delivered")
    body = {"method": "slack", "settings": {"template": "{guest}?"}, "events": [event]}
    (row,) = site.post(f"/v1/webhooks/{webhook['id']}/dry-run", json=body).ok(200)["data"]
    assert (row["verdict"], row["changed"], json.loads(row["body"])) == ("sent", True, {"text": "{guest}?"})
    assert len(slack.messages) == 1


# --- The form -----------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["hooks.slack.com/services/T/B/x", "https://hooks.slack.com", "https://hooks.slack.com/", "javascript:alert(1)", "https://hooks.slack.com/a b", "/services/T/B/s3cr3t"])
def test_what_is_no_webhook_url_is_refused_with_a_hint(site, url):
    answer = site.post("/v1/webhooks", json={"manager_id": "7", "method": "slack", "settings": {"webhook_url": url}})
    refused = answer.problem(422, "invalid_field")
    assert refused["pointer"] == "/settings/webhook_url" and "https://hooks.slack.com/services/" in refused["detail"]
    assert b"s3cr3t" not in answer.body


def test_a_url_that_the_guard_refuses_is_not_called(site, slack):
    """The URL is a password, so it is not looked at on save. The guard looks at every call all the same."""
    settings = {"webhook_url": f"http://127.0.0.2:{slack.port}/services/x"}
    site.post("/v1/webhooks", json={"manager_id": "7", "method": "slack", "settings": settings}).ok(201)
    delivery, attempts = end_of(site, site.send())
    assert delivery["state"] == "exhausted" and attempts[0]["cause"] == "guard"
    assert slack.requests == []


def test_log_redaction_slack(bellhop, site, slack):
    """log-redaction: whoever has the URL may write into the channel; so it is in no answer, attempt, log or file."""
    slack.trouble = reply(500, f"{slack.webhook_url}".encode(), [("X-Echo", slack.webhook_url)])
    webhook = create(site, slack)
    event = site.send()
    delivery = the_delivery(site, event)
    wait_attempts(site, delivery["id"], 2)
    slack.trouble = None
    wait_state(site, event, "delivered")
    path = f"/v1/webhooks/{webhook['id']}"
    manager = site.manager_key("7")
    places = [path, "/v1/webhooks", f"/v1/deliveries/{delivery['id']}/attempts", f"/v1/deliveries/{delivery['id']}", f"/v1/events/{event}"]
    shown = [json.dumps(webhook).encode(), *(api.get(place).body for api in (site, manager) for place in places), site.get("/v1/audit").body]
    bellhop.stop()
    assert_nowhere("s3cr3tW3bh00kT0k3n", shown, bellhop)


# --- What the answers mean ----------------------------------------------------------------------

FINAL = {
    "invalid_payload": (400, "could not read the message"),
    "no_text": (400, "The message was empty"),
    "action_prohibited": (403, "administrator"),
    "posting_to_general_channel_denied": (403, "administrator"),
    "invalid_token": (403, "Copy it from Slack once more"),
    "channel_not_found": (404, "does not exist any more"),
    "no_service": (404, "does not know this webhook"),
    "no_active_hooks": (404, "switched off"),
    "no_team": (404, "workspace does not exist"),
    "team_disabled": (403, "workspace is closed"),
}


@pytest.mark.parametrize("text", FINAL)
def test_a_refusal_of_slack_ends_the_delivery_with_a_sentence(site, slack, text):
    status, words = FINAL[text]
    slack.trouble = word(status, text)
    create(site, slack)
    delivery, attempts = end_of(site, site.send())
    assert delivery["state"] == "exhausted" and [attempt["status"] for attempt in attempts] == [status]
    assert words in attempts[0]["sentence"]


def test_a_message_of_blanks_is_said_to_be_empty(site, slack):
    create(site, slack, "{none}")
    delivery, attempts = end_of(site, site.send("booking_added", {"property_uid": 12, "none": None}))
    assert delivery["state"] == "exhausted" and "The message was empty" in attempts[0]["sentence"]


def test_an_archived_channel_disables_the_webhook(site, slack):
    slack.trouble = word(410, "channel_is_archived")
    webhook = create(site, slack)
    delivery, _ = end_of(site, site.send())
    assert delivery["state"] == "gone"
    assert site.get(f"/v1/webhooks/{webhook['id']}").ok()["enabled"] is False


AGAIN = {
    "too many": word(429, "rate_limited", [("Retry-After", "1")]),
    "a fault of theirs": word(500, "rollup_error"),
    "under repair": reply(503, b"<html>Service Unavailable</html>"),
    "a page of another site": reply(200, b"<html>Sign in</html>", [("Content-Type", "text/html")]),
    "an empty success": reply(200),
    "a redirect": reply(302, b"", [("Location", "https://slack.com/signin")]),
    "not found by something else": reply(404, b"<html>no_service</html>"),
    "a word that we do not know": word(400, "brand_new_error"),
    "a word of another status": word(500, "no_service"),
}


@pytest.mark.parametrize("answer", AGAIN.values(), ids=AGAIN.keys())
def test_what_is_no_word_of_slack_is_tried_again(site, slack, answer):
    slack.trouble = answer
    create(site, slack)
    event = site.send()
    attempt = wait_attempts(site, the_delivery(site, event)["id"], 1)[0]
    assert attempt["outcome"] != "delivered"
    slack.trouble = None
    wait_state(site, event, "delivered")
