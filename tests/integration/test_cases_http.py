"""Cases from the field: what receivers do with HTTP, and what a sender must make of it."""

import time

import pytest
from harness.process import attempts_of, sanitized, small_world, the_delivery, wait_attempts, wait_state
from harness.receiver import answers, by_path, per_delivery, reply
from harness.waiting import wait_for

OK = reply(200, b"ok")


def one_attempt(site, event):
    """The only attempt of the only delivery of `event`, which must be delivered."""
    delivery = wait_state(site, event, "delivered")[0]
    made = attempts_of(site, delivery["id"])
    assert len(made) == 1, made
    return made[0]


# --- http-stale-keepalive -----------------------------------------------------------------------


@pytest.mark.smoke
def test_http_stale_keepalive(site, receiver):
    """http-stale-keepalive: connections that the receiver closed while they were idle cost nobody an attempt, and make no copy."""
    receiver.idle_seconds = 0.5
    receiver.script = lambda exchange: (exchange.pause(0.1), exchange.send(OK))
    site.webhook(receiver.url())
    warm = [site.send("booking_added", {"property_uid": 12, "contract_uid": n}) for n in range(4)]
    for event in warm:
        wait_state(site, event, "delivered")
    wait_for(lambda: receiver.open_connections == 0, "the receiver to close what is idle")

    later = [site.send("booking_added", {"property_uid": 12, "contract_uid": n}) for n in range(4, 8)]

    for event in later:
        one_attempt(site, event)
    assert sorted(receiver.ids) == sorted(warm + later), "one copy of each"


def test_http_stale_keepalive_closed_on_arrival(site, receiver):
    """http-stale-keepalive: FIN at the very moment of the next request, before any byte of an answer: a silent second try."""
    used = set()

    def script(exchange):
        if exchange.request.connection in used:
            exchange.close()
        else:
            used.add(exchange.request.connection)
            exchange.send(OK)

    receiver.script = script
    site.webhook(receiver.url())
    first = site.send()
    one_attempt(site, first)

    second = site.send()

    assert one_attempt(site, second)["status"] == 200
    assert the_delivery(site, second)["spent"] <= 1
    assert len(receiver.of(second)) == 2, "the first went over the stale connection, the second over a new one"


def test_http_stale_keepalive_marked_close(site, receiver):
    """http-stale-keepalive: a connection that said `Connection: close` is never used again, though the socket stays open."""
    receiver.script = answers(reply(200, b"ok", [("Connection", "close")]))
    site.webhook(receiver.url())
    for _ in range(3):
        event = site.send()
        one_attempt(site, event)
    assert len({request.connection for request in receiver.requests}) == 3


@pytest.mark.smoke
def test_connections_are_kept_and_used_again(site, receiver):
    site.webhook(receiver.url())
    for _ in range(5):
        one_attempt(site, site.send())
    assert receiver.connections == 1


# --- http-expect-100 ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1_500, 200_000])
def test_http_expect_100(site, receiver, size):
    """
    http-expect-100: no Expect header, whatever the size; so no second of waiting and no 417.

    (The case also names 2 MB; an event here has at most 256 KiB.)
    """
    receiver.script = lambda exchange: exchange.send(reply(417) if exchange.request.all("expect") else OK)
    site.webhook(receiver.url())
    event = site.send("booking_added", '{"property_uid":12,"fill":"' + "x" * size + '"}')
    assert one_attempt(site, event)["status"] == 200
    assert not receiver.of(event)[0].all("expect")
    assert len(receiver.of(event)[0].body) > size


# --- http-1xx -----------------------------------------------------------------------------------

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </interim.css>; rel=preload\r\n\r\n"


@pytest.mark.parametrize("split", [False, True], ids=["one segment", "a segment per line"])
def test_http_1xx(site, receiver, split):
    """http-1xx: interim answers are skipped: the first attempt is 500 and the second 200, and nothing is shifted by one."""

    def as_told(data):
        parts = [line + b"\n" for line in data.split(b"\n")[:-1]] if split else [data]
        return lambda exchange: exchange.send(*parts)

    receiver.script = answers(
        as_told(EARLY + EARLY + reply(500)),
        as_told(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + reply(200)),
    )
    site.webhook(receiver.url())
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]

    made = attempts_of(site, delivery["id"])
    assert [attempt["status"] for attempt in made] == [500, 200]
    assert "interim" not in made[0]["response"]
    assert [request.connection for request in receiver.requests] == [1, 1]

    assert one_attempt(site, site.send())["status"] == 200


# --- http-no-length -----------------------------------------------------------------------------


def and_close(data):
    return lambda exchange: (exchange.send(data), exchange.close())


def and_hold(data):
    return lambda exchange: (exchange.send(data), exchange.hold())


NO_LENGTH = {
    "HTTP/1.0, body, close": (and_close(b"HTTP/1.0 200 OK\r\n\r\nfine"), 200),
    "no length, body, close": (and_close(b"HTTP/1.1 200 OK\r\n\r\nfine"), 200),
    "204, stays open": (and_hold(b"HTTP/1.1 204 No Content\r\n\r\n"), 204),
    "length 0, close, no FIN": (and_hold(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), 200),
    "odd case": (and_hold(b"HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh: 4\r\nX-oDD: 1\r\n\r\nfine"), 200),
    "bare LF": (and_hold(b"HTTP/1.1 200 OK\nContent-Length: 4\n\nfine"), 200),
    "chunked": (and_hold(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n"), 200),
    "no reason": (and_hold(b"HTTP/1.1 202\r\nContent-Length: 0\r\n\r\n"), 202),
}


@pytest.mark.parametrize("step,status", NO_LENGTH.values(), ids=NO_LENGTH.keys())
def test_http_no_length(site, receiver, step, status):
    """http-no-length: a success is seen with its last byte; nobody waits for a FIN or for a body that never comes."""
    receiver.script = step
    site.webhook(receiver.url())
    attempt = one_attempt(site, site.send())
    assert attempt["status"] == status and attempt["outcome"] == "delivered"
    assert attempt["total_us"] < 2_500_000, "waiting for the end of the connection takes till the time-out"


def test_http_no_length_304(site, receiver):
    """http-no-length: 304 has no body whatever its Content-Length says, and is a failure."""
    receiver.script = answers(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", OK)
    site.webhook(receiver.url())
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]
    made = attempts_of(site, delivery["id"])
    assert [attempt["status"] for attempt in made] == [304, 200]
    assert made[0]["outcome"] == "failed" and made[0]["total_us"] < 2_500_000


# --- http-slow-drip and http-endless-body -------------------------------------------------------


def drip(head, unit):
    def step(exchange):
        if not exchange.send(head):
            return
        while exchange.pause(0.3):
            if not exchange.send(unit):
                return
        exchange.close()

    return step


def test_http_slow_drip(install, make_receiver):
    """
    http-slow-drip: a byte now and then does not stretch the time-out: it covers the whole of an attempt.

    An incomplete head at the limit is a time-out; a complete one of 2xx is a delivery whose body is cut. Another
    manager's webhook is not held up meanwhile.
    """
    slow = make_receiver(
        by_path(
            {
                "/head": drip(b"HTTP/1.1 200 OK\r\nX-Drip: ", b"a"),
                "/body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"b"),
                "/chunked": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nc\r\n"),
            }
        )
    )
    healthy = make_receiver()
    # All at once, and however they end: pacing and breaker would send them one after the other.
    site = small_world(install(settings={"concurrency_start": "10", "breaker_failures": "1000"}).start())
    webhooks = {path: site.webhook(slow.url(path), timeout_seconds=3)["id"] for path in ("/head", "/body", "/chunked")}
    site.webhook(healthy.url(), manager="8")
    started = time.monotonic()
    events = [site.send("booking_added", {"property_uid": 12, "contract_uid": n}) for n in range(6)]
    wait_for(lambda: len(slow.requests) >= 18, "all slow requests to be under way")

    other = site.send("booking_added", {"property_uid": 21, "contract_uid": 1})
    wait_state(site, other, "delivered")
    assert healthy.requests[0].at - started < 3.0, "the healthy webhook was served while the slow ones dripped"

    for event in events:
        for path, webhook in webhooks.items():
            first = wait_for(lambda: first_attempt(site, event, webhook), f"{path} to end at its time-out")
            assert 2_500_000 < first["total_us"] < 8_000_000
            if path == "/head":
                assert (first["outcome"], first["cause"]) == ("failed", "timeout")
            else:
                assert (first["outcome"], first["status"]) == ("delivered", 200), path


def first_attempt(site, event, webhook):
    delivery = site.get(f"/v1/deliveries?event_id={event}&webhook_id={webhook}").ok()["data"][0]
    made = attempts_of(site, delivery["id"])
    return made[0] if made else None


@pytest.mark.smoke
def test_http_endless_body(install, make_receiver):
    """http-endless-body: reading stops at a limit, the status counts at once, and the memory does not grow with the answer."""
    bellhop = install().start(env={"ASAN_OPTIONS": "detect_leaks=1:exitcode=99:quarantine_size_mb=1"})
    site = small_world(bellhop)

    def endless(head, unit):
        def step(exchange):
            if exchange.send(head):
                while not exchange.receiver.stopping.is_set() and exchange.send(unit):
                    pass

        return step

    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    receiver = make_receiver(
        by_path(
            {
                "/chunked": endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk),
                "/long": endless(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 0x8000),
                "/head": endless(b"HTTP/1.1 200 OK\r\n", b"X-Fill: " + b"y" * 1000 + b"\r\n"),
            }
        )
    )
    for path in ("/chunked", "/long"):
        site.webhook(receiver.url(path))
    wait_state(site, site.send(), "delivered")
    before = bellhop.resident_bytes()

    events = [site.send("booking_added", {"property_uid": 12, "contract_uid": n}) for n in range(10)]
    for event in events:
        for delivery in wait_state(site, event, "delivered"):
            made = attempts_of(site, delivery["id"])
            assert len(made) == 1 and made[0]["status"] == 200
            assert len(made[0]["response_body"]) == 16 * 1024
            assert made[0]["total_us"] < 10_000_000
    grown = bellhop.resident_bytes() - before
    assert grown < (64 if sanitized() else 10) * 1024 * 1024, f"grew by {grown} bytes"

    site.property("14", "7")
    webhook = site.webhook(receiver.url("/head"), properties=["14"])
    event = site.send("booking_added", {"property_uid": 14})
    failed = wait_for(lambda: first_attempt(site, event, webhook["id"]), "an endless head to be given up")
    assert failed["outcome"] == "failed" and failed["total_us"] < 10_000_000


# --- redir-no-follow ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["other host", "relative", "loop", "missing"])
def test_redir_no_follow(site, make_receiver, status, kind):
    """redir-no-follow: 3xx is a failed attempt; nobody is called at the new place, and the log says where that would be."""
    elsewhere = make_receiver()
    receiver = make_receiver()
    location = {"other host": elsewhere.url("/login"), "relative": "/login", "loop": receiver.url(), "missing": None}[kind]
    headers = [("Location", location)] if location else []
    receiver.script = answers(reply(status, b"", headers), OK)
    site.webhook(receiver.url())
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]

    first, second = attempts_of(site, delivery["id"])
    assert (first["outcome"], first["status"], second["status"]) == ("failed", status, 200)
    if location:
        assert location in first["response"]
        assert location in first["sentence"], "the owner is told what to change the URL to"
    assert elsewhere.requests == []
    assert [request.target for request in receiver.requests] == ["/hook", "/hook"]
    assert [request.method for request in receiver.requests] == ["POST", "POST"]


def test_redir_no_follow_300(site, receiver):
    """redir-no-follow: 300 without a Location is a failure as well."""
    receiver.script = answers(reply(300), OK)
    site.webhook(receiver.url())
    delivery = wait_state(site, site.send(), "delivered")[0]
    assert [attempt["status"] for attempt in attempts_of(site, delivery["id"])] == [300, 200]


# --- what counts as a delivery ------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 207, 226, 299])
def test_every_2xx_is_a_delivery(site, receiver, status):
    receiver.script = answers(b"HTTP/1.1 204 No Content\r\n\r\n" if status == 204 else reply(status))
    site.webhook(receiver.url())
    assert one_attempt(site, site.send())["status"] == status


@pytest.mark.parametrize("status", [400, 404, 422, 500, 599])
def test_another_status_is_a_failed_attempt_and_is_tried_again(site, receiver, status):
    receiver.script = per_delivery(reply(status), OK)
    site.webhook(receiver.url())
    event = site.send()
    made = wait_attempts(site, the_delivery(site, event)["id"], 2)
    assert [(attempt["outcome"], attempt["status"]) for attempt in made] == [("failed", status), ("delivered", 200)]
    assert made[0]["cause"] == "status" and str(status) in made[0]["sentence"]
    assert receiver.requests[1].at - receiver.requests[0].at > 0.9, "by the schedule of one second"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 600 Far\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 000 Nil\r\nContent-Length: 0\r\n\r\n",
                                    b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x28", b"HTTP/9.9 200 OK\r\n\r\n"])
def test_an_answer_that_is_no_http_is_a_failed_attempt(site, receiver, answer):
    receiver.script = per_delivery(lambda exchange: (exchange.send(answer), exchange.close()), OK)
    site.webhook(receiver.url())
    event = site.send()
    made = wait_attempts(site, the_delivery(site, event)["id"], 2)
    assert [attempt["outcome"] for attempt in made] == ["failed", "delivered"]


# --- basic-utf8 ---------------------------------------------------------------------------------


def test_basic_utf8(site, receiver):
    """basic-utf8: user and password go out as UTF-8, on the first request."""
    settings = {"url": receiver.url(), "basic_username": "büro", "basic_password": "pä:ss wörd€"}
    site.post("/v1/webhooks", json={"manager_id": "7", "method": "basic", "settings": settings}).ok(201)
    event = site.send()
    one_attempt(site, event)
    assert receiver.of(event)[0].one("authorization") == "Basic YsO8cm86cMOkOnNzIHfDtnJk4oKs"


# --- resp-invalid-utf8 --------------------------------------------------------------------------

ODD_BODIES = {
    "torn": b"\xe2\x5c\x78",
    "utf-16": b"\xff\xfe\x00",
    "euro": "€".encode() * 8192,
    "overlong": b"\xc0\x80",
    "surrogate": b"\xed\xa0\x80",
    "nul": b"a\x00b",
    "markup": b"<img src=x onerror=alert(1)></textarea>",
}


@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES.keys())
def test_resp_invalid_utf8(site, receiver, body):
    """resp-invalid-utf8: the receiver's bytes are kept as bytes; the API stays JSON in UTF-8, and the delivery is one."""
    import base64

    receiver.script = answers(
        b"HTTP/1.1 200 \xe2\x5c\xff\r\nX-Odd: \xe2\x5c\xed\xa0\x80\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )
    site.webhook(receiver.url())
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]
    answer = site.get(f"/v1/deliveries/{delivery['id']}/attempts")
    answer.body.decode("utf-8")
    [attempt] = answer.ok()["data"]
    kept = body[: 16 * 1024]
    try:
        text = kept.decode("utf-8")
        valid = True
    except UnicodeDecodeError:
        valid = False
    if valid:
        assert attempt["response_body"] == text
    else:
        assert base64.b64decode(attempt["response_body_base64"]) == kept
        assert "\ufffd" in attempt["response_body"]
    assert "X-Odd" in attempt["response"]
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


# --- http-excess-bytes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first, is_given_up",
    [
        (r'send "HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"', True),
        # Behind an empty body libcurl throws away what came with the head, and keeps the connection: as good for the next one.
        (r'send "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"', False),
        (r'send "HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nabc"; wait 50ms; send "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"', True),
    ],
    ids=["after the body", "two answers", "a moment later"],
)
def test_http_excess_bytes(site, scripted, first, is_given_up):
    """http-excess-bytes: what comes after an answer is never taken for the answer to the next request."""
    receiver = scripted(f"request 1: {first}\nrequest 2: reply 503\nrequest: reply 200")
    site.webhook(receiver.url())
    event = site.send()
    made = wait_attempts(site, the_delivery(site, event)["id"], 2)

    assert [attempt["status"] for attempt in made[:2]] == [500, 503], "each answer belongs to its own request"
    wait_state(site, event, "delivered")
    one, two = receiver.requests[:2]
    assert not is_given_up or one.connection != two.connection, "the connection with bytes left over is given up"
