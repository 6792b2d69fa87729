"""Cases from the field: HTTP Basic."""

import base64

import pytest
from harness.process import attempts_of, the_delivery, wait_attempts, wait_state
from harness.receiver import reply


def basic(site, receiver, user, password):
    settings = {"url": receiver.url(), "basic_username": user, "basic_password": password}
    return site.post("/v1/webhooks", json={"manager_id": "7", "method": "basic", "settings": settings}).ok(201)


def deliver(site, receiver):
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]
    return receiver.of(event), attempts_of(site, delivery["id"])


def test_basic_utf8(site, receiver):
    """
    basic-utf8: user and password that are not ASCII travel as UTF-8, on the first request.

    Senders that encoded them as Latin-1, or dropped what they could not encode, were answered 401 for people with umlauts only. And
    nobody is asked first: a receiver that would have to challenge us sees the header at once.
    """
    receiver.script = lambda exchange: exchange.send(reply(200 if exchange.request.all("authorization") else 401))
    basic(site, receiver, "büro", "pä:ss wörd€")

    requests, attempts = deliver(site, receiver)

    assert len(requests) == 1 and receiver.connections == 1
    assert requests[0].one("authorization") == "Basic YsO8cm86cMOkOnNzIHfDtnJk4oKs"
    assert [attempt["status"] for attempt in attempts] == [200]


@pytest.mark.parametrize(
    "user, password",
    [
        ("a", ":"),
        ("ada", " leading and trailing "),
        ("=&<>\"\\'%", "= & < > \" \\ ' %25 +"),
        ("😀", "пароль 密码 🔑"),
        ("e\u0301", "é"),  # not made the same: what was entered is sent
        ("x" * 512, "ü" * 2048),
    ],
)
def test_basic_utf8_whatever_was_entered_is_what_is_sent(site, receiver, user, password):
    """basic-utf8: any character survives the way from the form to the header; only the first colon divides."""
    basic(site, receiver, user, password)

    requests, attempts = deliver(site, receiver)

    scheme, _, encoded = requests[0].one("authorization").partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded, validate=True).decode() == f"{user}:{password}"
    assert encoded not in attempts[0]["request"]


@pytest.mark.parametrize("user, password, what", [("a:b", "secret", "user name holds a colon"), ("ada", "two\nlines", "password holds a control character")])
def test_basic_utf8_what_basic_cannot_say_is_said(site, receiver, user, password, what):
    """basic-utf8: RFC 7617 has no way to send these; the attempt says so, and nothing else goes out in their place."""
    basic(site, receiver, user, password)

    event = site.send()
    delivery = the_delivery(site, event)
    attempt = wait_attempts(site, delivery["id"], 1)[0]

    assert attempt["cause"] == "script" and what in attempt["sentence"], attempt
    assert "two" not in attempt["sentence"] and receiver.requests == []
