"""Cases from the field: OAuth2 client credentials, with a real server and with services that misbehave to order."""

import base64
import json
import sqlite3
import time
import urllib.parse

import pytest
from harness.process import attempts_of, deliveries_of, small_world, the_delivery, wait_attempts, wait_state
from harness.receiver import Receiver, by_path, reply
from harness.signing import assert_signed
from harness.waiting import wait_for

SECRET = "p+q/r=s:t%u&v-w"


def webhook_of(site, receiver_url, token_url, **more):
    settings = {"url": receiver_url, "token_url": token_url, "client_id": "hub", "client_secret": SECRET} | more
    return site.post("/v1/webhooks", json={"manager_id": "7", "method": "oauth", "settings": settings}).ok(201)


def change(site, webhook, **settings):
    return site.patch(f"/v1/webhooks/{webhook['id']}", json={"settings": settings}).ok()


def token_answer(token, **more):
    return reply(200, json.dumps({"access_token": token, "token_type": "Bearer"} | more).encode(), headers=[("Content-Type", "application/json")])


class TokenService(Receiver):
    """Gives T1, T2, T3 ...; each answer is what `answer(number)` says."""

    def __init__(self, answer=lambda number: token_answer(f"secret-token-T{number}", expires_in=3600)):
        super().__init__(script=lambda exchange: exchange.send(answer(exchange.request.number)))


@pytest.fixture
def make_service():
    made = []

    def make(*arguments):
        made.append(TokenService(*arguments))
        return made[-1]

    yield make
    for service in made:
        service.stop()


def accepts_only(*tokens):
    """A receiver's script: 401 for every other token."""

    def script(exchange):
        bearer = exchange.request.one("authorization")
        exchange.send(reply(200 if bearer in [f"Bearer {token}" for token in tokens] else 401, b"see you"))

    return script


def bearers(receiver):
    return [request.one("authorization").removeprefix("Bearer ") for request in list(receiver.requests)]


def send_all(site, count):
    return [site.send() for _ in range(count)]


def wait_all(site, events, state, within=30.0):
    for event in events:
        wait_state(site, event, state, within)


def assert_plain_token_request(headers):
    """Nothing of the delivery goes to the token service."""
    names = {name.lower() for name, _ in headers}
    assert not [name for name in names if name.startswith(("webhook-", "bellhop-")) or name == "traceparent"], names


# --- A real server -----------------------------------------------------------------------------


CLIENTS = [{"client_id": "hub", "secret": SECRET, "scopes": ["bookings", "rooms"]}]


@pytest.mark.parametrize("credentials", ["header", "body"])
def test_a_real_server_takes_both_ways_of_showing_who_one_is(site, oauth_server, credentials):
    server = oauth_server(CLIENTS)
    webhook = webhook_of(site, f"{server.url}/hook", f"{server.url}/token", credentials=credentials, scope="bookings rooms")
    server.change(verify_with=[webhook["secret"]])

    events = send_all(site, 5)
    wait_all(site, events, "delivered")

    (asked,) = server.token_requests
    assert asked["status"] == 200
    form = urllib.parse.parse_qs(asked["form"])
    assert form.pop("grant_type") == ["client_credentials"]
    assert form.pop("scope") == ["bookings rooms"]
    assert ("client_secret" in form) == (credentials == "body")
    assert_plain_token_request(asked["headers"])
    hooks = server.hooks
    assert [hook["status"] for hook in hooks] == [200] * 5
    assert [hook["verified"] for hook in hooks] == [1] * 5, "each delivery is signed with the webhook's secret"


def test_a_revoked_token_is_replaced_and_the_event_arrives(site, oauth_server):
    server = oauth_server(CLIENTS)
    webhook_of(site, f"{server.url}/hook", f"{server.url}/token")
    wait_state(site, site.send(), "delivered")
    server.change(revoke=True)

    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]

    assert len(attempts_of(site, delivery["id"])) == 1, "one attempt: the refusal was answered within it"
    assert [hook["status"] for hook in server.hooks] == [200, 401, 200]
    assert len(server.token_requests) == 2


def test_an_expired_token_is_replaced_before_it_is_refused(site, oauth_server):
    server = oauth_server(CLIENTS)
    server.change(expires_in=2)
    webhook_of(site, f"{server.url}/hook", f"{server.url}/token")

    def one_more():
        wait_state(site, site.send(), "delivered")
        return len(server.token_requests) >= 3

    wait_for(one_more, "a second and a third token", every=0.2)
    assert {hook["status"] for hook in server.hooks} == {200}


@pytest.mark.parametrize(
    "settings, says",
    [({"client_secret": "wrong"}, "401, invalid_client"), ({"scope": "kitchen"}, "400, invalid_scope"), ({"client_id": "nobody"}, "invalid_client")],
)
def test_what_a_real_server_refuses_is_a_matter_of_credentials(site, oauth_server, settings, says):
    server = oauth_server(CLIENTS)
    webhook_of(site, f"{server.url}/hook", f"{server.url}/token", **settings)

    event = site.send()
    attempt = wait_attempts(site, the_delivery(site, event)["id"], 1)[0]

    assert attempt["cause"] == "credentials"
    assert attempt["sentence"].startswith("The token service ") and says in attempt["sentence"], attempt["sentence"]
    assert server.hooks == []


def test_a_changed_secret_counts_from_the_next_event_on(site, oauth_server):
    server = oauth_server([*CLIENTS, {"client_id": "other", "secret": "other one"}])
    webhook = webhook_of(site, f"{server.url}/hook", f"{server.url}/token", credentials="body")
    wait_state(site, site.send(), "delivered")
    change(site, webhook, client_id="other", client_secret="other one")
    wait_state(site, site.send(), "delivered")

    assert len(server.token_requests) == 2
    used = [dict(hook["headers"])["Authorization"] for hook in server.hooks]
    assert used[0] != used[1]


def test_a_token_url_that_the_guard_refuses_is_not_asked(install, receiver, make_receiver):
    """What the guard refuses today it refuses tomorrow, for the token URL as for the webhook's own: final, and it says so."""
    service = make_receiver(host="127.0.0.2")
    bellhop = install(settings={"allow": "127.0.0.1, 127.0.0.2"}).start()
    site = small_world(bellhop)
    webhook_of(site, receiver.url(), service.url("/token"))
    bellhop.settings["allow"] = "127.0.0.1"
    bellhop.restart()

    event = bellhop.site.send()
    delivery = wait_state(bellhop.site, event, "exhausted")[0]
    (attempt,) = attempts_of(bellhop.site, delivery["id"])

    assert attempt["cause"] == "guard"
    assert attempt["sentence"].startswith("The token service may not be asked.")
    assert service.connections == 0
    assert receiver.requests == []


# --- oauth-secret-basic ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "credentials, header",
    [
        (None, "Basic Z3Vlc3QraHViJTJGNzpwJTJCcSUyRnIlM0RzJTNBdCUyNXUlMjZ2K3clQzMlQTk="),
        ("header", "Basic Z3Vlc3QraHViJTJGNzpwJTJCcSUyRnIlM0RzJTNBdCUyNXUlMjZ2K3clQzMlQTk="),
        ("header_raw", "Basic Z3Vlc3QgaHViLzc6cCtxL3I9czp0JXUmdiB3w6k="),
    ],
)
def test_oauth_secret_basic(site, receiver, make_service, credentials, header):
    """
    oauth-secret-basic: client credentials in the Basic header are form-encoded first.

    Some clients do not encode, some servers do not decode; so the default is the RFC, the other way is a setting, and neither is
    tried in silence after the other, which would double failed logins.
    """
    service = make_service()
    more = {"credentials": credentials} if credentials else {}
    webhook = webhook_of(site, receiver.url(), service.url("/token"), client_id="guest hub/7", client_secret="p+q/r=s:t%u&v wé", **more)

    event = site.send()
    wait_state(site, event, "delivered")

    (asked,) = service.requests
    assert asked.one("authorization") == header
    assert asked.one("content-type") == "application/x-www-form-urlencoded"
    assert asked.body == b"grant_type=client_credentials"
    assert_plain_token_request(asked.headers)
    assert_signed(receiver.of(event)[0], webhook["secret"])


def test_oauth_secret_basic_refused_is_not_tried_in_another_way(site, receiver, make_service):
    """oauth-secret-basic: a refusal is shown, not answered with the same secret in another form."""
    service = make_service(lambda number: reply(401, b'{"error":"invalid_client"}'))
    webhook_of(site, receiver.url(), service.url("/token"))
    event = site.send()
    wait_attempts(site, the_delivery(site, event)["id"], 1)
    assert len(service.requests) == 1
    assert receiver.requests == []


# --- oauth-stampede ----------------------------------------------------------------------------


def test_oauth_stampede(site, receiver, make_service):
    """
    oauth-stampede: fifty events and no token make one token request; and one again when it expires.

    Where each worker fetches one of its own, the identity provider locks the client out.
    """

    def slow(exchange):
        exchange.pause(1)
        exchange.send(token_answer(f"secret-token-T{exchange.request.number}", expires_in=5))

    service = make_service()
    service.script = slow
    webhook_of(site, receiver.url(), service.url("/token"))

    wait_all(site, send_all(site, 50), "delivered")
    assert len(service.requests) == 1
    assert bearers(receiver) == ["secret-token-T1"] * 50
    first = service.requests[0].at + 1  # when it was answered

    wait_for(lambda: time.monotonic() > first + 2.5, "half of the life of the token to be over")
    wait_all(site, send_all(site, 50), "delivered")
    assert len(service.requests) == 2
    assert bearers(receiver)[50:] == ["secret-token-T2"] * 50


def test_oauth_stampede_while_the_service_is_down(install, make_receiver, make_service):
    """
    oauth-stampede: a token service in trouble is left alone for longer and longer, what waits for it stays, and nobody else is
    slowed.
    """
    # So many attempts that only the pause of the lane bounds them.
    site = small_world(install(settings={"retry_schedule": ",".join(["1s"] * 30)}).start())
    mended = []
    service = make_service(lambda number: token_answer("secret-token-A", expires_in=3600) if mended else reply(503))
    receiver, neighbour = make_receiver(), make_receiver()
    webhook_of(site, receiver.url(), service.url("/token"))
    events = send_all(site, 50)
    failed = wait_for(
        lambda: [a for event in events for d in deliveries_of(site, event) for a in attempts_of(site, d["id"])], "an attempt that failed"
    )

    assert failed[0]["cause"] == "token"
    assert failed[0]["sentence"] == "The token service answered 503."
    assert receiver.requests == []
    assert {deliveries_of(site, event)[0]["state"] for event in events} == {"pending"}

    # A neighbour is sent to as if nothing were the matter.
    site.webhook(neighbour.url(), manager_id="8")
    asked = time.monotonic()
    wait_state(site, site.send("booking_added", '{"property_uid":21}'), "delivered", within=5)
    assert time.monotonic() - asked < 5

    wait_for(lambda: len(service.requests) >= 2, "the service to be asked again", within=40)
    mended.append(True)
    wait_all(site, events, "delivered", within=60)
    times = [request.at for request in service.requests]
    assert len(times) == 3
    assert times[1] - times[0] >= 4.9 and times[2] - times[1] >= 9.8, times
    assert set(bearers(receiver)) == {"secret-token-A"}


# --- oauth-no-expiry ---------------------------------------------------------------------------


def test_oauth_no_expiry(site, receiver, make_service):
    """
    oauth-no-expiry: a token without expires_in is kept for minutes; and whose is it?

    Kept for one event each it floods the service, kept for ever it is dead one day, and kept under too few of its settings
    it is somebody else's.
    """
    service = make_service(lambda number: token_answer(f"secret-token-T{number}"))
    first = webhook_of(site, receiver.url("/first"), service.url("/token"))
    for _ in range(20):
        wait_state(site, site.send(), "delivered")
    assert len(service.requests) == 1

    others = [
        webhook_of(site, receiver.url(f"/{name}"), service.url("/token"), **more)
        for name, more in [("scope", {"scope": "a"}), ("audience", {"audience": "b"}), ("secret", {"client_secret": "c"}), ("same", {})]
    ]
    wait_state(site, site.send(), "delivered")
    assert len(service.requests) == 1 + len(others)
    latest = {request.target: request.one("authorization") for request in receiver.requests}
    assert len(set(latest.values())) == len(latest) == 5

    change(site, first, client_secret="changed")
    wait_state(site, site.send(), "delivered")
    assert len(service.requests) == 2 + len(others)


# --- oauth-401-once ----------------------------------------------------------------------------


def test_oauth_401_once(site, make_receiver, make_service):
    """
    oauth-401-once: ten deliveries whose token is refused get one new token, and all arrive.

    Others took the same token from their cache again, or looped, or dropped the new token when a late refusal of the old one came in.
    """
    service = make_service()
    receiver = make_receiver(script=accepts_only("secret-token-T1"))
    webhook_of(site, receiver.url(), service.url("/token"))
    wait_all(site, send_all(site, 20), "delivered")  # it is sent to ten at a time by now
    seen = len(receiver.requests)

    held = []

    def refuses_late(exchange):
        bearer = exchange.request.one("authorization")
        if bearer == "Bearer secret-token-T1":
            held.append(exchange.request.number)
            if len(held) == 1:  # this one hears of it when the others have the new token
                wait_for(lambda: "secret-token-T2" in bearers(receiver), "somebody to use the new token")
            exchange.send(reply(401, b"invalid_token"))
        else:
            exchange.send(reply(200))

    receiver.script = refuses_late
    events = send_all(site, 10)
    wait_all(site, events, "delivered")

    assert len(service.requests) == 2, "one refresh for all of them"
    assert {len(attempts_of(site, the_delivery(site, event)["id"])) for event in events} == {1}
    assert bearers(receiver)[seen:].count("secret-token-T2") == 10
    wait_state(site, site.send(), "delivered")
    assert len(service.requests) == 2, "the late refusal did not drop the new token"


def test_oauth_401_once_and_not_again(install, make_receiver, make_service):
    """oauth-401-once: a receiver that always refuses costs an attempt one more request at most, and then the attempt has failed."""
    site = small_world(install(settings={"retry_schedule": "1s,1s,1s"}).start())
    service = make_service()
    receiver = make_receiver(script=accepts_only())
    webhook_of(site, receiver.url(), service.url("/token"))

    event = site.send()
    delivery = wait_state(site, event, "exhausted")[0]
    made = attempts_of(site, delivery["id"])

    assert len(made) == 4
    assert {attempt["status"] for attempt in made} == {401}
    assert {attempt["cause"] for attempt in made} == {"credentials"}
    assert len(receiver.requests) == 5, "the first attempt asked twice, the others had no other token yet"
    assert len(service.requests) == 2


def test_oauth_401_stays_a_failure_though_the_service_gives_the_same_token_again(site, make_receiver, make_service):
    """oauth-401-once: a 200 of the token service is not mistaken for the receiver's."""
    service = make_service(lambda number: token_answer("secret-token-A", expires_in=3600))
    receiver = make_receiver(script=accepts_only())
    webhook_of(site, receiver.url("/hook"), service.url("/token"))

    event = site.send()
    attempt = wait_attempts(site, the_delivery(site, event)["id"], 1)[0]

    assert (attempt["outcome"], attempt["status"], attempt["cause"]) == ("failed", 401, "credentials")
    assert attempt["request"].startswith("POST /hook\n"), attempt["request"]
    assert attempt["response_body"] == "see you"


# --- log-redaction -----------------------------------------------------------------------------


def spellings(secret):
    """The forms in which a secret could show itself."""
    quoted = urllib.parse.quote(secret, safe="")
    return {secret, quoted, quoted.replace("%20", "+"), urllib.parse.quote_plus(secret), json.dumps(secret)[1:-1],
            base64.b64encode(secret.encode()).decode().rstrip("=")}


def bytes_of(path):
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(path.name + "*")))


@pytest.mark.parametrize("credentials", ["header", "header_raw", "body"])
def test_log_redaction_of_oauth(bellhop, site, make_receiver, make_service, credentials):
    """
    log-redaction: neither client secret nor token stand in attempts, in the log, in answers of the API or in the database, whatever
    the services repeat of what they were sent.
    """
    secret = "s3cr3t with blanks & +signs"
    tokens = ["first/token-0123456789", "second/token-0123456789"]

    def echo(exchange, status):
        text = exchange.request.raw.decode("latin-1")
        exchange.send(reply(status, text.encode(), headers=[("X-Echo", exchange.request.one("authorization"))] if exchange.request.all("authorization") else []))

    def serve(exchange):
        number = exchange.request.number
        if number == 1:
            return echo(exchange, 400)
        if number == 2:
            sent = exchange.request.body.decode() + secret
            return exchange.send(reply(401, json.dumps({"error": "invalid_client", "error_description": sent}).encode()))
        return exchange.send(token_answer(tokens[number % 2], refresh_token="refresh-me-0123456789", id_token="who-i-am-0123456789"))

    service = make_service()
    service.script = serve
    receiver = make_receiver(script=lambda exchange: echo(exchange, 401 if exchange.request.number <= 2 else 500 if exchange.request.number == 3 else 200))
    webhook = webhook_of(site, receiver.url(), service.url("/token"), client_secret=secret, credentials=credentials)
    event = site.send()
    delivery = wait_state(site, event, "delivered", within=60)[0]

    shown = [
        json.dumps(site.get(path).ok())
        for path in ["/v1/webhooks", f"/v1/webhooks/{webhook['id']}", f"/v1/deliveries/{delivery['id']}", f"/v1/deliveries/{delivery['id']}/attempts",
                     f"/v1/events/{event}"]
    ]
    bellhop.stop()
    with sqlite3.connect(bellhop.data / "bellhop.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    places = {"API": "".join(shown).encode(), "log": bellhop.log.encode(), "database": bytes_of(bellhop.data / "bellhop.db")}
    assert len(receiver.requests) >= 4 and len(service.requests) >= 4
    for hidden in [secret, *tokens, "refresh-me-0123456789", "who-i-am-0123456789"]:
        for spelling in spellings(hidden):
            for place, content in places.items():
                assert spelling.encode() not in content, f"{spelling} stands in the {place}"


# --- Looking details up ------------------------------------------------------------------------


LOOKING = """return {
  title = "Looks up",
  fields = { { key = "url", format = "url", title = "URL", required = true } },
  deliver = function(event, settings, remote)
    local details = remote.lookup(event)
    return remote.post(settings.url, { body = json.encode{ total = details and details.booking_details.contract_total or "?" } })
  end,
}
"""


def looking_settings(tmp_path, base):
    methods, secret = tmp_path / "methods", tmp_path / "lookup.secret"
    methods.mkdir()
    (methods / "looks.lua").write_text(LOOKING)
    secret.write_text("the site's own\n")
    return {
        "methods_dir": str(methods),
        "lookup_url": base + "/jomres/api/webhooks/{property_id}/{type}/{data.contract_uid}",
        "lookup_token_url": base + "/jomres/api/",
        "lookup_client_id": "bellhop",
        "lookup_client_secret_file": str(secret),
    }


def test_details_are_looked_up_at_the_sites_own_api(install, make_receiver, tmp_path):
    """The companion API of Jomres: a token from its base, the details under data; it is trusted, and neither signed nor tidied up."""
    details = {"data": {"booking_details": {"contract_total": "242.00"}}, "meta": {"code": 200, "site": {}}}
    api = make_receiver()
    api.script = by_path(
        {
            "/jomres/api/": token_answer("f" * 40, expires_in=31536000, scope="webhooks_get"),
            "/jomres/api/webhooks/12/booking_added/41": reply(200, json.dumps(details).encode()),
        }
    )
    receiver = make_receiver(host="127.0.0.2")
    settings = looking_settings(tmp_path, f"http://{api.address}") | {"allow": "127.0.0.2"}  # the API may be reached all the same
    site = small_world(install(settings=settings).start())
    site.webhook(receiver.url(), method="looks")

    event = site.send("booking_added", '{"property_uid":12,"contract_uid":41}')
    wait_state(site, event, "delivered")

    assert receiver.of(event)[0].body == b'{"total":"242.00"}'
    asked, looked = api.requests
    assert asked.body == b"grant_type=client_credentials&client_id=bellhop&client_secret=the+site%27s+own"
    assert looked.line.startswith("GET ") and looked.one("authorization") == "Bearer " + "f" * 40
    for request in api.requests:
        assert_plain_token_request(request.headers)


def test_a_site_that_gives_no_details_costs_no_attempt(install, make_receiver, tmp_path):
    api = make_receiver(script=lambda exchange: exchange.send(reply(503)))
    receiver = make_receiver()
    bellhop = install(settings=looking_settings(tmp_path, f"http://{api.address}") | {"retry_schedule": "1s", "lookup_token_url": ""}).start()
    site = small_world(bellhop)
    site.webhook(receiver.url(), method="looks")

    event = site.send("booking_added", '{"property_uid":12,"contract_uid":41}')
    made = wait_attempts(site, the_delivery(site, event)["id"], 3, within=30)

    assert {attempt["cause"] for attempt in made} == {"lookup"}
    assert made[0]["request"].startswith("GET ") and made[0]["request_body"] is None  # the event did not go along
    assert deliveries_of(site, event)[0]["state"] == "pending", "more attempts than the schedule has, and none of them counted"
    api.script = lambda exchange: exchange.send(reply(404))
    wait_state(site, event, "delivered", within=30)
    assert receiver.of(event)[0].body == b'{"total":"?"}'


def test_a_wrong_lookup_setting_ends_the_start_with_its_reason(install, tmp_path):
    bellhop = install(settings={"lookup_url": "https://site.example/{booking}"})
    bellhop.expect_failure = True
    bellhop.spawn()
    assert bellhop.ended() == 2
    assert "lookup_url: {booking} is unknown" in bellhop.log
