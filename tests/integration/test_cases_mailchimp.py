"""Cases from the field: MailChimp, against a stand-in that answers in the shapes that MailChimp publishes."""

import base64
import json

import pytest
from harness.mailchimp import BLOCK_PAGE, MailChimp, json_reply, problem
from harness.process import attempts_of, small_world, the_delivery, wait_attempts, wait_state
from harness.receiver import reply
from harness.secrets import assert_nowhere
from harness.waiting import wait_for

KEY = "0123456789abcdef0123456789abcdef-us7"
LIST = "a1b2c3d4e5"
GUEST = {"email": "max.gowen@example.org", "firstname": "Max", "surname": "Gowen"}


@pytest.fixture
def mailchimp():
    service = MailChimp(key=KEY, lists=[LIST])
    yield service
    service.stop()


def create(site, service, manager="7", **settings):
    given = {"mailchimp_apikey": KEY, "mailchimp_listid": LIST, "base_url": service.base, **settings}
    return site.post("/v1/webhooks", json={"manager_id": manager, "method": "mailchimp", "settings": given}).ok(201)


def send(site, details=None, type="booking_added"):
    data = {"property_uid": 12, "contract_uid": 4711} if type.startswith("booking") else {"property_uid": 12, "guest_uid": 8}
    more = {} if details is None else {"details": details}
    return site.send(type, data, **more)


def the_attempts(site, event):
    return attempts_of(site, the_delivery(site, event)["id"])


def end_of(site, event):
    """The delivery, and its last attempt, once it has come to an end."""

    def ended():
        delivery = the_delivery(site, event)
        return delivery if delivery["state"] != "pending" else None

    delivery = wait_for(ended, f"{event} to come to an end")
    return delivery, attempts_of(site, delivery["id"])


# --- The request --------------------------------------------------------------------------------


def test_a_guest_is_added(site, mailchimp):
    """The request as MailChimp documents it: any user, the key as password, double opt-in, the names in merge fields."""
    webhook = create(site, mailchimp)
    assert webhook["settings"]["mailchimp_apikey"] == {"set": True}

    delivery, attempts = end_of(site, send(site, {"guest_details": GUEST}))

    assert delivery["state"] == "delivered" and len(attempts) == 1
    (request,) = mailchimp.requests
    assert (request.method, request.target) == ("POST", f"/3.0/lists/{LIST}/members/")
    assert request.one("content-type") == "application/json"
    assert base64.b64decode(request.one("authorization").removeprefix("Basic ")).decode() == f"bellhop:{KEY}"
    assert json.loads(request.body) == {
        "email_address": "max.gowen@example.org", "status": "pending", "merge_fields": {"FNAME": "Max", "LNAME": "Gowen"},
    }  # fmt: skip
    assert KEY.encode() not in request.body, "the original put the key into the body as well"


@pytest.mark.parametrize(
    "details, sent",
    [
        ({"email": "a@example.org"}, ("a@example.org", {})),
        ({"guest": {"email_address": " b@example.org\n", "first_name": " Zoë ", "last_name": "O'Hara-Müller"}}, ("b@example.org", {"FNAME": "Zoë", "LNAME": "O'Hara-Müller"})),
        ({"customer": {"email": "c@example.org", "given_name": "李", "family_name": ""}}, ("c@example.org", {"FNAME": "李"})),
        ({"contract_details": {"email": "d@example.org", "firstname": 'D "d"', "surname": 17}}, ("d@example.org", {"FNAME": 'D "d"'})),
        ({"guest": {"email": ""}, "booking": {"e_mail": "e@example.org"}}, ("e@example.org", {})),
        ({"guest_details": None, "guest": [], "email": None, "customer": {"email": "f@example.org"}}, ("f@example.org", {})),
    ],
)
def test_the_guest_is_found_under_the_names_that_are_in_use(site, mailchimp, details, sent):
    create(site, mailchimp, status="subscribed")
    delivery, _ = end_of(site, send(site, details))
    assert delivery["state"] == "delivered"
    body = json.loads(mailchimp.requests[0].body)
    assert (body["email_address"], body["merge_fields"], body["status"]) == (*sent, "subscribed")


@pytest.mark.parametrize("details", [None, {}, [], "text", 17, {"guest_details": {"firstname": "Max", "surname": "Gowen"}}, {"guest": {"email": {"x": 1}}}, {"email": "  "}])
def test_an_event_without_a_guest_asks_nobody_and_is_done(site, mailchimp, details):
    """As the companion API of Jomres answers for guest_saved: names, and no e-mail address. It would not be there next time either."""
    create(site, mailchimp)
    delivery, attempts = end_of(site, send(site, details, type="guest_saved"))
    assert delivery["state"] == "delivered" and len(attempts) == 1
    assert "no guest with an e-mail address" in attempts[0]["sentence"]
    assert mailchimp.requests == []


def test_only_events_of_new_guests_count(site, mailchimp):
    """A guest booking is a burst of events; and who is deleted, or cancels, is not one to write to."""
    create(site, mailchimp)
    unwanted = [send(site, {"guest": GUEST}, type) for type in ("booking_cancelled", "guest_deleted", "booking_modified", "guest_type_saved")]
    for event in unwanted:
        wait_state(site, event, "filtered")
    wanted = [send(site, {"guest": {**GUEST, "email": f"{type}@example.org"}}, type) for type in ("booking_added", "guest_saved", "guest_updated")]
    for event in wanted:
        wait_state(site, event, "delivered")
    assert sorted(mailchimp.lists[LIST]) == ["booking_added@example.org", "guest_saved@example.org", "guest_updated@example.org"]
    assert len(mailchimp.requests) == 3


# As the companion API of Jomres answers (hotel.example/jomres/api): everything under `data`, and guests without an e-mail address.
COMPANION = {
    "/api/webhooks/12/booking_added/4711": {"data": {"contract_details": {"guest_uid": "8", "firstname": "Max", "surname": "Gowen"}}, "meta": {"code": 200}},
    "/api/webhooks/12/booking_added/4712": {"data": {"contract_details": {"guest_uid": "8", **GUEST}}, "meta": {"code": 200}},
}


def test_the_guest_is_looked_up_at_the_sites_own_api(install, mailchimp, make_receiver):
    """An event that brings no details: the site's API is asked. No such thing there, or no address: done. Out of order: later."""
    trouble = [reply(503), reply(500)]

    def companion(exchange):
        document = COMPANION.get(exchange.request.target)
        found = json_reply(200, document) if document else json_reply(404, {"code": 404, "error_message": "invalid_contract_uid"})
        exchange.send(trouble.pop() if trouble else found)

    service = make_receiver(companion)
    site = small_world(install(settings={"lookup_url": service.url("/api/webhooks/{property_id}/{type}/{data.contract_uid}")}).start())
    create(site, mailchimp)
    ends = {}
    for contract in (4712, 4711, 4713):
        event = site.send("booking_added", {"property_uid": 12, "contract_uid": contract})
        ends[contract] = end_of(site, event)

    assert [delivery["state"] for delivery, _ in ends.values()] == ["delivered"] * 3
    assert list(mailchimp.lists[LIST]) == [GUEST["email"]]
    assert mailchimp.lists[LIST][GUEST["email"]]["merge_fields"] == {"FNAME": "Max", "LNAME": "Gowen"}
    for contract in (4711, 4713):
        assert "no guest with an e-mail address" in ends[contract][1][-1]["sentence"]
    assert {attempt["cause"] for attempt in ends[4712][1][:-1]} == {"lookup"}
    assert not any(request.all("authorization") for request in service.requests), "the key is MailChimp's alone"


# --- mc-dc-suffix -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key, host",
    [
        ("0123456789abcdef0123456789abcdef-us7", "us7.api.mailchimp.com"),
        ("0123456789abcdef0123456789abcdef-us21", "us21.api.mailchimp.com"),
        (" 0123456789abcdef0123456789abcdef-us10 ", "us10.api.mailchimp.com"),
        ("0123456789abcdef0123456789abcdef-us7\r\n", "us7.api.mailchimp.com"),
        ("\u00a00123456789abcdef0123456789abcdef-us7\u200b", "us7.api.mailchimp.com"),
    ],
)
def test_mc_dc_suffix(bellhop, site, key, host, tmp_path):
    """
    mc-dc-suffix: the data centre comes from the end of the key, and blanks that were pasted along are dropped.

    Clients that took the last three characters failed from us10 on.
    """
    settings = {"mailchimp_apikey": key, "mailchimp_listid": LIST}
    site.post("/v1/webhooks", json={"manager_id": "7", "method": "mailchimp", "settings": settings}).ok(201)
    (tmp_path / "key").write_bytes(key.encode())
    tried = bellhop.run(
        "method", "try", str(bellhop.settings["methods_dir"]) + "/mailchimp.lua", "--event", "booking_added", "--details", json.dumps({"guest": GUEST}),
        "--set", f"mailchimp_apikey=@{tmp_path / 'key'}", "--set", f"mailchimp_listid={LIST}", "--answer", "200",
    )  # fmt: skip
    assert f"POST https://{host}/3.0/lists/{LIST}/members/" in tried.stdout, tried.stdout
    assert key.strip() not in tried.stdout


@pytest.mark.parametrize(
    "key",
    [
        "0123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef-",
        "0123456789abcdef0123456789abcdef-us",
        "0123456789abcdef0123456789abcdef--us7",
        "0123456789abcdef-0123456789abcdef-us7",
        "0123456789abcdef0123456789abcdef-us7-",
        "0123456789ABCDEF0123456789ABCDEF-US7",
        "0123456789abcdef0123456789abcdef-US7",
        "0123456789abcdef 0123456789abcdef-us7",
        "-us7",
        "0123456789abcdef0123456789abcdef-us7.evil.example/",
        "0123456789abcdef0123456789abcdef-us7\nX: y",
        "",
        "   ",
    ],
)
def test_mc_dc_suffix_bad_keys(bellhop, site, key):
    """mc-dc-suffix: a key without its end is refused at the form, with a hint where the whole one is, and not at 3 a.m. in a delivery."""
    answer = site.post("/v1/webhooks", json={"manager_id": "7", "method": "mailchimp", "settings": {"mailchimp_apikey": key, "mailchimp_listid": LIST}})
    refused = answer.problem(422, "invalid_field")
    assert refused["pointer"] == "/settings/mailchimp_apikey"
    if key.strip():
        assert "Copy the whole key" in refused["detail"] and "Profile > Extras > API keys" in refused["detail"]
        assert b"89abcdef" not in answer.body and "89abcdef" not in bellhop.log


def test_another_address_of_the_api_asks_for_the_key_again(site, mailchimp):
    """Otherwise whoever may edit a webhook could have its key sent to a place of his own."""
    settings = {"mailchimp_apikey": KEY, "mailchimp_listid": LIST}
    webhook = site.post("/v1/webhooks", json={"manager_id": "7", "method": "mailchimp", "settings": settings}).ok(201)
    path = f"/v1/webhooks/{webhook['id']}"
    refused = site.patch(path, json={"settings": {"base_url": mailchimp.base}}).problem(422, "credentials_needed")
    assert "mailchimp_apikey" in refused["detail"]
    site.patch(path, json={"settings": {"base_url": mailchimp.base, "mailchimp_apikey": KEY}}).ok(200)


# --- mc-member-exists ---------------------------------------------------------------------------


def test_mc_member_exists(site, mailchimp):
    """
    mc-member-exists: 400 with the title "Member Exists" is what the owner wished for: the guest is on the list.

    It is a delivery: one attempt, with a note, and nothing that counts as a failure.
    """
    webhook = create(site, mailchimp)
    end_of(site, send(site, {"guest": GUEST}))
    delivery, attempts = end_of(site, send(site, {"guest": {**GUEST, "email": GUEST["email"].upper()}}))
    assert delivery["state"] == "delivered"
    assert [(attempt["outcome"], attempt["status"]) for attempt in attempts] == [("delivered", 400)]
    assert "already" in attempts[0]["sentence"]
    shown = site.get(f"/v1/webhooks/{webhook['id']}").ok()
    assert shown["enabled"] and not shown.get("failing_since"), shown


HALF = b'{"type":"x","title":"Member Exists","status":400,"detail":"max'
OTHERS = {
    "another title": problem(400, "Member In Doubt", "Member Exists"),
    "the words in the detail": problem(400, "Bad Request", "Member Exists"),
    "another case": problem(400, "member exists", "..."),
    "a page with the words": reply(400, BLOCK_PAGE, [("Content-Type", "text/html")]),
    "a page that says it is JSON": reply(400, BLOCK_PAGE, [("Content-Type", "application/problem+json")]),
    "a body cut in half": reply(400, HALF, [("Content-Type", "application/problem+json; charset=utf-8")]),
    "a list": json_reply(400, [{"title": "Member Exists"}]),
    "a text": json_reply(400, "Member Exists"),
    "a title that is none": json_reply(400, {"title": ["Member Exists"]}),
    "no body": reply(400),
    "another status": problem(404, "Member Exists", "..."),
}


@pytest.mark.parametrize("answer", OTHERS.values(), ids=OTHERS.keys())
def test_mc_member_exists_others_are_failures(site, mailchimp, answer):
    """mc-member-exists: all that only looks like it is a failed attempt, and is tried again."""
    mailchimp.troubles[GUEST["email"]] = answer
    create(site, mailchimp)
    event = send(site, {"guest": GUEST})
    attempt = wait_attempts(site, the_delivery(site, event)["id"], 1)[0]
    assert attempt["outcome"] == "failed" and "already" not in (attempt["sentence"] or "")
    del mailchimp.troubles[GUEST["email"]]
    wait_state(site, event, "delivered")


# --- What other answers mean --------------------------------------------------------------------

FINAL = {
    "a made-up address": (problem(400, "Invalid Resource", "max.gowen@example.org looks fake or invalid, please enter a real email address."), "made up"),
    "no address": (problem(400, "Invalid Resource", "Please provide a valid email address."), "no valid one"),
    "a field that the audience requires": (
        problem(400, "Invalid Resource", "Your merge fields were invalid.", [{"field": "PHONE", "message": "Please enter a value"}, {"field": "max.gowen@example.org"}]),
        "PHONE",
    ),
    "errors that are none": (problem(400, "Invalid Resource", "?", [17, None, {"field": 17}]), "e-mail address"),
    "deleted for good": (
        problem(400, "Forgotten Email Not Subscribed", "max.gowen@example.org was permanently deleted and cannot be re-imported. The contact must re-subscribe to get back on the list."),
        "deleted from this audience",
    ),
    "unsubscribed": (
        problem(400, "Member In Compliance State", "max.gowen@example.org is in a compliance state due to unsubscribe, bounce, or compliance review and cannot be subscribed."),
        "unsubscribed",
    ),
    "account closed": (problem(403, "User Disabled", "This account has been deactivated."), "closed or suspended"),
    "another data centre": (problem(403, "Wrong Datacenter", "The API key provided is linked to a different datacenter."), "whole key"),
}


@pytest.mark.parametrize("answer, words", FINAL.values(), ids=FINAL.keys())
def test_what_trying_again_cannot_help_ends_with_a_sentence_for_the_owner(site, mailchimp, answer, words):
    mailchimp.troubles[GUEST["email"]] = answer
    create(site, mailchimp)
    delivery, attempts = end_of(site, send(site, {"guest": GUEST}))
    assert delivery["state"] == "exhausted" and len(attempts) == 1
    assert words in attempts[0]["sentence"], attempts[0]["sentence"]
    if words != "PHONE":
        assert "gowen" not in attempts[0]["sentence"], "MailChimp's own words hold the guest's address"


def test_a_revoked_key_and_a_wrong_audience_are_said(site, mailchimp):
    create(site, mailchimp)
    create(site, mailchimp, manager="8", mailchimp_listid="nowhere1")
    mailchimp.key = "another-us7"
    delivery, attempts = end_of(site, send(site, {"guest": GUEST}))
    assert delivery["state"] == "exhausted" and attempts[0]["status"] == 401
    assert "does not know this API key" in attempts[0]["sentence"]

    mailchimp.key = KEY
    event = site.send("booking_added", {"property_uid": 21, "contract_uid": 1}, details={"guest": GUEST})
    delivery, attempts = end_of(site, event)
    assert delivery["state"] == "exhausted" and attempts[0]["status"] == 404
    assert "no audience with this ID" in attempts[0]["sentence"]


AGAIN = {
    "too many requests": problem(429, "Too Many Requests", "You have exceeded the limit of 10 simultaneous connections."),
    "too many requests, with a time": problem(429, "Too Many Requests", "You have exceeded your limit.", headers=[("Retry-After", "1")]),
    "a fault of theirs": problem(500, "Internal Server Error", "A deep internal error has occurred during the processing of your request."),
    "under repair": problem(503, "Compliance Related", "This method has been disabled."),
    "a gateway's page": reply(502, b"<html>Bad Gateway</html>", [("Content-Type", "text/html")]),
    "blocked by a page": reply(403, BLOCK_PAGE, [("Content-Type", "text/html")]),
    "a key refused by something else": reply(401, b"<html>proxy</html>", [("Content-Type", "text/html")]),
    "not found by something else": reply(404, b"<html>nginx</html>", [("Content-Type", "text/html")]),
    "an error of a kind that we do not know": problem(418, "Teapot", "..."),
}


@pytest.mark.parametrize("answer", AGAIN.values(), ids=AGAIN.keys())
def test_what_passes_is_tried_again(site, mailchimp, answer):
    mailchimp.troubles[GUEST["email"]] = answer
    create(site, mailchimp)
    event = send(site, {"guest": GUEST})
    attempt = wait_attempts(site, the_delivery(site, event)["id"], 1)[0]
    assert attempt["outcome"] != "delivered"
    del mailchimp.troubles[GUEST["email"]]
    wait_state(site, event, "delivered")
    assert list(mailchimp.lists[LIST]) == [GUEST["email"]]


def test_a_guest_who_signed_up_too_often_is_taken_later(site, mailchimp):
    detail = "max.gowen@example.org has signed up to a lot of lists very recently; we're not allowing more signups for now"
    mailchimp.troubles[GUEST["email"]] = problem(400, "Invalid Resource", detail)
    create(site, mailchimp)
    event = send(site, {"guest": GUEST})
    attempt = wait_attempts(site, the_delivery(site, event)["id"], 1)[0]
    assert attempt["outcome"] == "failed" and "takes him later" in attempt["sentence"]
    assert the_delivery(site, event)["state"] == "pending"


# --- A test of the webhook ----------------------------------------------------------------------


def test_a_test_looks_whether_key_and_audience_are_right(site, mailchimp):
    """There is no guest in a test, and nobody is added."""
    webhook = create(site, mailchimp)
    answer = site.post(f"/v1/webhooks/{webhook['id']}/test").ok(202)
    (attempt,) = wait_attempts(site, answer["delivery_id"], 1)
    assert attempt["outcome"] == "delivered", attempt
    assert [(request.method, request.target) for request in mailchimp.requests] == [("GET", f"/3.0/lists/{LIST}?fields=id")]
    assert mailchimp.lists == {LIST: {}}

    mailchimp.key = "another-us7"
    answer = site.post(f"/v1/webhooks/{webhook['id']}/test").ok(202)
    (attempt,) = wait_attempts(site, answer["delivery_id"], 1)
    assert "does not know this API key" in attempt["sentence"]


# --- log-redaction ------------------------------------------------------------------------------


def test_log_redaction_mailchimp(bellhop, site, mailchimp):
    """log-redaction: the key is in no answer, attempt, log or file, also when the service sends it back."""
    webhook = create(site, mailchimp)
    echo = reply(500, f"key {KEY} as {base64.b64encode(f'bellhop:{KEY}'.encode()).decode()}".encode(), [("X-Key", KEY)])
    mailchimp.troubles[GUEST["email"]] = echo
    event = send(site, {"guest": GUEST})
    delivery = the_delivery(site, event)
    wait_attempts(site, delivery["id"], 2)
    del mailchimp.troubles[GUEST["email"]]
    wait_state(site, event, "delivered")

    manager = site.manager_key("7")
    path = f"/v1/webhooks/{webhook['id']}"
    places = [path, "/v1/webhooks", f"/v1/deliveries/{delivery['id']}/attempts", f"/v1/deliveries/{delivery['id']}", f"/v1/events/{event}", "/v1/methods"]
    shown = [json.dumps(webhook).encode(), *(api.get(place).body for api in (site, manager) for place in places)]
    shown += [site.get("/v1/audit").body, site.get("/metrics").body]
    shown.append(site.patch(path, json={"settings": {"mailchimp_apikey": KEY, "mailchimp_listid": "?"}}).body)
    shown.append(site.patch(path, json={"settings": {"mailchimp_apikey": KEY + "x-"}}).body)
    bellhop.stop()
    assert_nowhere(KEY, shown, bellhop)
