"""Cases from the field: when to try again, and when to stop."""

import datetime
import email.utils
import socket
import ssl
import struct
import subprocess
import time

import pytest
from harness.dns import NameServer, use_name_server
from harness.process import attempts_of, deliveries_of, small_world, the_delivery, wait_attempts, wait_state
from harness.receiver import answers, dead_port, per_delivery, reply
from harness.waiting import never_during, wait_for

OK = reply(200, b"ok")


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def http_dates(at):
    """The three forms that RFC 9110 wants read."""
    when = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return {
        "date imf": email.utils.format_datetime(when.replace(tzinfo=datetime.timezone.utc), usegmt=True),
        "date rfc850": when.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
        "date asctime": when.strftime("%a %b ") + f"{when.day:2d}" + when.strftime(" %H:%M:%S %Y"),
    }


STEP, FLOOR = 2.0, 4.0


@pytest.mark.parametrize("status", [429, 503, 500])
def test_retry_after_forms(install, make_receiver, status):
    """
    retry-after-forms: seconds and the three forms of a date are heard; what is nonsense, or past, leads to no tight loop.

    Steps of 2 s here, and 4 s as the floor of an overload without a (readable) hint.
    """
    values = {
        "7": "7", "blank after": "7 ", "blank before": " 7", "007": "007", "0": "0", "past": "Sun, 06 Nov 1994 08:49:37 GMT",
        "negative": "-5", "word": "abc", "empty": "", "fraction": "1.5", "year": "120x",
        **http_dates(int(time.time()) + 12), "huge": "99999999999999999999", "far": "360000",
    }  # fmt: skip
    table = {"/" + key.replace(" ", "-"): (key, value) for key, value in values.items()}

    def script(exchange):
        exchange.send(reply(status, headers=[("Retry-After", table[exchange.request.target][1])]))

    receiver = make_receiver(script)
    settings = {"retry_schedule": "2s,2s,2s", "overload_floor": "4s", "retry_after_max": "10h"}
    site = small_world(install(settings=settings).start())
    webhooks = {site.webhook(receiver.url(path))["id"]: path for path in table}
    event = site.send()
    wait_for(lambda: len(receiver.requests) >= len(table), "every webhook to be tried")

    for webhook, path in webhooks.items():
        key, value = table[path]

        def tried():
            delivery = site.get(f"/v1/deliveries?event_id={event}&webhook_id={webhook}").ok()["data"][0]
            return delivery if delivery["attempts"] == 1 else None

        delivery = wait_for(tried, f"the first attempt of {key} to be recorded", within=1.9)
        [attempt] = attempts_of(site, delivery["id"])
        answered = moment(attempt["started_at"]) + attempt["total_us"] / 1e6
        wait = moment(delivery["due_at"]) - answered
        what = f"{key}: {wait:.3f} s, {delivery}"
        paced = False
        if key in ("7", "blank after", "blank before", "007"):
            assert 6.9 < wait < 8.5, what
            paced = True
        elif key.startswith("date"):
            due = datetime.datetime.fromtimestamp(moment(delivery["due_at"]), datetime.UTC).timestamp()
            assert parse_any(value) - 0.01 <= due < parse_any(value) + 3, what
            paced = True
        elif key in ("0", "past"):
            assert 1.0 <= wait < 10, what
            assert delivery["spent"] == 1, f"an answer that leads to no wait must not be free: {what}"
            continue
        elif key in ("far", "huge"):
            assert 9 * 3600 < wait <= 10 * 3600 + 5 or (key == "huge" and wait < FLOOR + 1), what
            paced = key == "far"
        else:
            step = STEP if status == 500 else FLOOR
            assert step - 0.1 < wait < step + 1.5, what
        if paced:
            assert delivery["spent"] == (0 if status == 429 else 1), what
        elif key != "huge":
            assert delivery["spent"] == 1, what


def parse_any(text):
    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"):
        try:
            return datetime.datetime.strptime(text, form).replace(tzinfo=datetime.UTC).timestamp()
        except ValueError:
            continue
    raise AssertionError(text)


@pytest.mark.smoke
def test_retry_410_disable(install, make_receiver):
    """
    retry-410-disable: 410 switches the webhook off at once.

    Our rule: the delivery ends `gone`, and what else waits is held (not lost, not sent). Enabling by hand does not fire the
    old ones unasked; asked for, they go.
    """
    site = small_world(install(settings={"in_flight_per_webhook": "1"}).start())
    receiver = make_receiver(answers(reply(410), OK))
    webhook = site.webhook(receiver.url())
    lines = "\n".join('{"type":"booking_added","data":{"property_uid":12,"contract_uid":%d}}' % n for n in range(20))
    events = [e["id"] for e in site.post("/v1/events", body=lines, content_type="application/x-ndjson").ok(202)["events"]]

    def disabled():
        shown = site.get(f"/v1/webhooks/{webhook['id']}").ok()
        return None if shown["enabled"] else shown

    shown = wait_for(disabled, "the webhook to be disabled")
    assert shown["disabled_cause"] == "gone" and "410" in shown["disabled_reason"] and shown["disabled_at"]

    def settled():
        states = sorted(deliveries_of(site, event)[0]["state"] for event in events)
        return states if "pending" not in states else None

    assert wait_for(settled, "nothing to be pending any more") == ["gone"] + ["held"] * 19
    assert len(receiver.requests) == 1

    site.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": True}).ok(200)
    fresh = site.send("booking_added", {"property_uid": 12, "contract_uid": 99})
    wait_state(site, fresh, "delivered")
    assert [request.id for request in receiver.requests[1:]] == [fresh], "held ones are not fired unasked"

    held = [delivery for event in events for delivery in deliveries_of(site, event) if delivery["state"] == "held"]
    assert len(held) == 19


def test_retry_410_disable_and_404_does_not(site, receiver):
    """retry-410-disable: 404 is a failure like another: the receiver may only be restarting."""
    receiver.script = answers(reply(404), reply(404), reply(404), OK)
    webhook = site.webhook(receiver.url())
    event = site.send()
    delivery = wait_state(site, event, "delivered")[0]
    assert [attempt["status"] for attempt in attempts_of(site, delivery["id"])] == [404, 404, 404, 200]
    assert site.get(f"/v1/webhooks/{webhook['id']}").ok()["enabled"] is True


def test_held_deliveries_are_sent_when_asked_for(site, receiver):
    webhook = site.webhook(receiver.url())
    site.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": False}).ok(200)
    events = [site.send("booking_added", {"property_uid": 12, "contract_uid": n}) for n in range(3)]
    for event in events:
        assert the_delivery(site, event)["state"] == "held"
    never_during(lambda: receiver.requests, "a disabled webhook was called", 0.3)

    site.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": True, "held": "newest"}).ok(200)

    wait_state(site, events[2], "delivered")
    wait_for(lambda: all(the_delivery(site, event)["state"] == "cancelled" for event in events[:2]), "the older ones to end")
    assert receiver.ids == [events[2]]


def test_receiver_control_headers(site, make_receiver):
    """`webhook-delivery: abort-message` stops one delivery, `disable` the webhook."""
    aborting = make_receiver(answers(reply(500, headers=[("webhook-delivery", "abort-message")]), OK))
    disabling = make_receiver(answers(reply(500, headers=[("webhook-delivery", "disable")]), OK))
    one, two = site.webhook(aborting.url()), site.webhook(disabling.url(), manager="8")
    first = site.send()
    delivery = wait_state(site, first, "exhausted")[0]
    assert delivery["attempts"] == 1
    assert site.get(f"/v1/webhooks/{one['id']}").ok()["enabled"]
    site.send("booking_added", {"property_uid": 21})
    wait_for(lambda: site.get(f"/v1/webhooks/{two['id']}").ok()["disabled_cause"] == "receiver", "the webhook to be disabled")


# --- retry-network-errors -----------------------------------------------------------------------


def certificate(folder):
    folder.mkdir(parents=True, exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=test",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def first_connection(spoil):
    """Spoils the first connection before anything is read; later ones are served."""
    seen = []

    def on_connect(sock):
        if seen:
            return False
        seen.append(sock)
        spoil(sock)
        return True

    return on_connect


def rst(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_some_then_reset(sock):
    sock.recv(100)
    rst(sock)


@pytest.mark.smoke
def test_retry_network_errors(install, make_receiver, tmp_path):
    """retry-network-errors: everything below HTTP is a failed attempt with its own class, and the second try delivers."""
    cert, key = certificate(tmp_path / "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    bellhop = install(settings={"ca_file": str(cert)}).start()
    site = small_world(bellhop)
    refusing = make_receiver()
    refusing.stop()
    receivers = {
        "reset at connect": make_receiver(on_connect=first_connection(rst)),
        "reset while sending": make_receiver(on_connect=first_connection(read_some_then_reset)),
        "closed at connect": make_receiver(on_connect=first_connection(lambda sock: sock.close())),
        "reset after the request": make_receiver(answers(lambda e: e.reset(), OK)),
        "empty reply": make_receiver(answers(lambda e: e.close(), OK)),
        "torn head": make_receiver(answers(lambda e: (e.send(b"HTTP/1.1 200 OK\r\nContent-"), e.close()), OK)),
        "no answer": make_receiver(answers(lambda e: e.hold(), OK)),
        "refused": refusing,
    }
    alert = b"\x15\x03\x03\x00\x02\x02\x28"  # fatal, handshake_failure

    def tls(first):
        seen = []

        def on_connect(sock):
            if not seen:
                seen.append(True)
                first(sock)
                return True
            # From here on the connection speaks TLS: one request, one answer.
            with context.wrap_socket(sock, server_side=True) as secure:
                while b"\r\n\r\n" not in secure.recv(65536):
                    pass
                secure.sendall(reply(200))
                secure.recv(1)
            return True

        return on_connect

    receivers["tls alert"] = make_receiver(on_connect=tls(lambda sock: (sock.recv(4096), sock.sendall(alert), sock.close())))
    receivers["tls closed"] = make_receiver(on_connect=tls(lambda sock: (sock.recv(4096), rst(sock))))
    receivers["plain text on the tls port"] = make_receiver(on_connect=tls(lambda sock: (sock.recv(4096), sock.sendall(reply(400)), sock.close())))
    causes = {"refused": {"connect"}, "no answer": {"timeout"}, "tls alert": {"tls"}, "tls closed": {"tls"},
              "plain text on the tls port": {"tls"}}  # fmt: skip
    webhooks = {}
    for name, receiver in receivers.items():
        url = receiver.url().replace("http:", "https:") if "tls" in name else receiver.url()
        webhooks[name] = site.webhook(url, name=name, timeout_seconds=3)["id"]

    event = site.send()

    def first_attempts_failed(name):
        delivery = site.get(f"/v1/deliveries?event_id={event}&webhook_id={webhooks[name]}").ok()["data"][0]
        return wait_attempts(site, delivery["id"], 1)[0]

    assert first_attempts_failed("refused")["outcome"] == "failed"
    refusing.start_again()
    wait_state(site, event, "delivered", within=60)
    for name, webhook in webhooks.items():
        delivery = site.get(f"/v1/deliveries?event_id={event}&webhook_id={webhook}").ok()["data"][0]
        made = attempts_of(site, delivery["id"])
        assert made[0]["outcome"] == "failed", name
        assert made[0]["cause"] in causes.get(name, {"connect", "protocol"}), (name, made[0])
        assert made[0]["sentence"], name
        assert made[-1]["outcome"] == "delivered" and made[-1]["status"] == 200, name
        if name != "refused":
            assert len(made) == 2, (name, made)


@pytest.mark.own_namespace("net", "mount")
def test_retry_network_errors_of_names_and_routes(install, make_receiver, tmp_path):
    """retry-network-errors: a name that does not exist (yet), a name server that fails or is silent, no route."""
    good = ["198.51.100.7"]
    table = {
        "nx.example.com": ["NXDOMAIN", good],
        "servfail.example.com": ["SERVFAIL", "SERVFAIL", good],
        "silent.example.com": ["SILENT", good],
        "unreachable.example.com": [["203.0.113.9"]],
    }
    with NameServer({}) as names:
        use_name_server(names, tmp_path)
        receiver = make_receiver(host="198.51.100.7", port=8080)
        site = small_world(install(settings={"allow": "198.51.100.0/24,203.0.113.0/24"}).start())
        webhooks = {name: site.webhook(f"http://{name}:8080/hook")["id"] for name in table}
        names.table.update(table)  # from now on: saving a webhook looks its name up, too
        event = site.send()
        deliveries = {name: site.get(f"/v1/deliveries?event_id={event}&webhook_id={id}").ok()["data"][0]["id"] for name, id in webhooks.items()}

        wait_attempts(site, deliveries["unreachable.example.com"], 1)
        subprocess.run(["ip", "addr", "add", "203.0.113.9/32", "dev", "lo"], check=True)
        late = make_receiver(host="203.0.113.9", port=8080)

        wait_state(site, event, "delivered", within=60)
        for name, delivery in deliveries.items():
            made = attempts_of(site, delivery)
            assert made[0]["cause"] == ("connect" if name.startswith("unreachable") else "dns"), (name, made[0])
            assert made[0]["sentence"] and made[-1]["status"] == 200
        assert len(receiver.requests) == 3 and len(late.requests) == 1


def test_an_exhausted_delivery_is_kept_and_can_be_asked_for_again(install, make_receiver):
    site = small_world(install(settings={"retry_schedule": "1s"}).start())
    receiver = make_receiver(answers(reply(500), reply(500), OK))
    site.webhook(receiver.url())
    event = site.send()
    delivery = wait_state(site, event, "exhausted")[0]
    assert delivery["reason"] and delivery["ended_at"] and delivery["attempts"] == 2
    site.post(f"/v1/deliveries/{delivery['id']}/retry").ok(202)
    wait_state(site, event, "delivered")
    site.post(f"/v1/deliveries/{delivery['id']}/retry").problem(409, "conflict")
    site.post(f"/v1/deliveries/{delivery['id']}/cancel").problem(409, "conflict")


def test_a_pending_delivery_can_be_cancelled(install):
    site = small_world(install(settings={"retry_schedule": "1h"}).start())
    site.webhook(f"http://127.0.0.1:{dead_port()}/")
    event = site.send()
    delivery = the_delivery(site, event)
    wait_attempts(site, delivery["id"], 1)
    site.post(f"/v1/deliveries/{delivery['id']}/cancel").ok(200, 202)
    assert the_delivery(site, event)["state"] == "cancelled"


def test_the_lifetime_ends_a_delivery_whatever_its_attempts(install, make_receiver):
    site = small_world(install(settings={"lifetime": "3s"}).start())
    receiver = make_receiver(lambda e: e.send(reply(429, headers=[("Retry-After", "1")])))
    site.webhook(receiver.url())
    event = site.send()
    delivery = wait_state(site, event, "exhausted")[0]
    assert delivery["spent"] == 0, "polite refusals cost no attempt"


def test_attempts_of_one_delivery_are_never_at_the_same_time(site, receiver):
    """One delivery is attempted by one worker at a time, and a retry by hand while it is under way makes no second."""
    receiver.script = per_delivery(lambda e: (e.pause(0.5), e.send(reply(500))), OK)
    site.webhook(receiver.url())
    event = site.send()
    wait_for(lambda: receiver.requests, "the first attempt to be under way")
    site.post(f"/v1/deliveries/{the_delivery(site, event)['id']}/retry")
    wait_state(site, event, "delivered")
    assert len(receiver.requests) == 2
